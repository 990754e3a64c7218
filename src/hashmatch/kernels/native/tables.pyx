# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twin of `hashmatch.kernels.numpy.tables`, without the interpreter's lock."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hashmatch.kernels.native.hits cimport (
    HM_AHEAD, checked, fill, hm_check, hm_codes_level, hm_hits, hm_order, hm_rows
)

import numpy as np

cdef extern from "tables.h" nogil:
    ctypedef struct hm_tables:
        const uint64_t *ranks
        const uint8_t *slots
        const uint8_t *runs
        int64_t n_slots
        int64_t n_runs
        int row_bits
        int tag_bits
        int item_bytes

    ctypedef struct hm_group:
        int64_t table
        int64_t end
        int64_t bound

    ctypedef struct hm_plan:
        const uint32_t *masks
        const hm_group *groups
        int64_t n
        int64_t n_groups

    ctypedef struct hm_place:
        uint64_t place

    ctypedef struct hm_scratch:
        uint32_t *buckets
        hm_place *items
        hm_place *runs
        uint32_t *rows
        int64_t room

    int HM_CROWDED
    int64_t hm_candidates(const hm_tables *, const hm_rows *, const hm_plan *, const uint32_t *, const uint32_t *,
                          int64_t, int, hm_scratch *)

PATHS = ("portable", "popcnt")[:1 + (hm_codes_level() >= 1)]
cdef object _empty = np.empty
cdef object _int64 = np.dtype(np.int64)
cdef object _int32 = np.dtype(np.int32)


cdef class Probes:
    """What one search looks up; made and checked by `TableSearch.probes`."""

    cdef hm_plan plan
    cdef uint32_t[::1] masks
    cdef int64_t[:, ::1] groups
    cdef object owner

    def __len__(self):
        return self.plan.n


cdef class TableSearch:
    """Twin of `hashmatch.kernels.numpy.tables.TableSearch`."""

    cdef hm_rows codes
    cdef hm_tables tables
    cdef int level
    cdef int64_t n_tables
    cdef object widths
    cdef int64_t[::1] starts
    cdef int64_t[::1] bits
    cdef const uint64_t[:, ::1] _codes
    cdef const uint64_t[:, ::1] _ranks
    cdef const uint8_t[::1] _slots
    cdef const uint8_t[::1] _runs

    def __init__(self, const uint64_t[:, ::1] codes, const uint64_t[:, ::1] ranks, const uint8_t[::1] slots,
                 const uint8_t[::1] runs, widths, int tag_bits, int item_bytes, path=None):
        cdef int64_t width, start = 0, buckets = 0
        if not codes.shape[0] or codes.shape[0] > <int64_t> 1 << 32 or not codes.shape[1]:
            raise ValueError("there are no codes, or too many")
        self.level = hm_codes_level() if path is None else PATHS.index(path)
        self.widths = tuple(widths)
        self.n_tables = len(self.widths)
        self.tables.row_bits, self.tables.tag_bits, self.tables.item_bytes = 1, tag_bits, item_bytes
        while codes.shape[0] - 1 >> self.tables.row_bits:
            self.tables.row_bits += 1
        for width in self.widths:
            if not 1 <= width <= 32 or buckets & (<int64_t> 1 << width) - 1:
                raise ValueError("a substring has 1 to 32 bits, and the widest come first")
            buckets += <int64_t> 1 << width
            start += width
        if not self.n_tables or start > 64 * codes.shape[1] or buckets > <int64_t> 1 << 32:
            raise ValueError("the substrings do not fit the codes, or have too many buckets")
        if not 4 <= item_bytes <= 5 or not 0 <= tag_bits <= min(8 * item_bytes - self.tables.row_bits, min(self.widths)):
            raise ValueError("an item has 4 or 5 bytes, and a tag no more bits than there are")
        if ranks.shape[0] != (buckets + 63) // 64 or ranks.shape[1] != 3:
            raise ValueError("the tables have another number of buckets than ranks")
        if min(slots.shape[0], runs.shape[0]) < 8 or (slots.shape[0] - 8) % item_bytes or (runs.shape[0] - 8) % item_bytes:
            raise ValueError("slots and runs are items, and eight bytes more")
        self.bits = np.array(self.widths, dtype=np.int64)
        self.starts = np.cumsum(self.bits) - self.bits
        self._codes, self._ranks, self._slots, self._runs = codes, ranks, slots, runs
        self.codes.words, self.codes.n_words, self.codes.n = &codes[0, 0], codes.shape[1], codes.shape[0]
        self.tables.ranks, self.tables.slots, self.tables.runs = &ranks[0, 0], &slots[0], &runs[0]
        self.tables.n_slots = (slots.shape[0] - 8) // item_bytes
        self.tables.n_runs = (runs.shape[0] - 8) // item_bytes

    def probes(self, masks, groups):
        cdef int64_t g, p = 0, first, bound, table
        cdef Probes made = Probes.__new__(Probes)
        made.owner = self
        made.masks = np.array(masks, dtype=np.uint32)
        made.groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        firsts = np.cumsum([0, *(1 << width for width in self.widths)])
        for g in range(made.groups.shape[0]):
            table, bound = made.groups[g, 0], made.groups[g, 2]
            if not (0 <= table < self.n_tables and p <= made.groups[g, 1] <= made.masks.shape[0]
                    and 0 <= bound < 1 << 16):
                raise ValueError("a group of probes names no table")
            first = firsts[table]
            while p < made.groups[g, 1]:
                if not first <= made.masks[p] < first + (<int64_t> 1 << self.bits[table]):
                    raise ValueError("a probe names no bucket of its table")
                p += 1
        if not p or p != made.masks.shape[0]:
            raise ValueError("the groups do not hold all probes")
        made.plan.masks, made.plan.n = &made.masks[0], p
        made.plan.groups, made.plan.n_groups = <const hm_group *> &made.groups[0, 0], made.groups.shape[0]
        return made

    def find(self, const uint64_t[:, :] queries, Probes probes not None, int64_t radius, int64_t most):
        cdef int64_t n_words = self.codes.n_words, k = queries.shape[1], p = probes.plan.n, n_crowded = 0
        cdef int64_t i, w, found, before, compared = 0, failed = 0
        cdef hm_scratch scratch
        cdef hm_hits hits
        cdef char *room = NULL
        cdef uint64_t *words
        cdef uint32_t *keys
        cdef int64_t *crowded
        cdef int64_t *owners = NULL
        if queries.shape[0] != n_words or probes.owner is not self:
            raise ValueError("the queries or the probes are of other tables")
        scratch.rows, scratch.room = NULL, 0
        hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
        # in one piece, the numbers of eight bytes first
        room = <char *> malloc((3 * p + 2) * sizeof(hm_place) + (n_words + 2 * k) * 8
                               + (2 * self.n_tables + p + HM_AHEAD) * 4)
        if room == NULL:
            raise MemoryError
        try:
            scratch.items = <hm_place *> room
            scratch.runs = scratch.items + 2 * p + 1
            words = <uint64_t *> (scratch.runs + p + 1)
            crowded = <int64_t *> (words + n_words)
            owners = crowded + k  # where each query's hits end
            keys = <uint32_t *> (owners + k)
            scratch.buckets = keys + 2 * self.n_tables
            with nogil:
                for i in range(k):
                    for w in range(n_words):
                        words[w] = queries[w, i]
                    self.cut(words, keys)
                    found = hm_candidates(&self.tables, &self.codes, &probes.plan, keys, keys + self.n_tables, most,
                                          self.level, &scratch)
                    if found == HM_CROWDED:
                        crowded[n_crowded] = i
                        n_crowded += 1
                    elif found < 0:
                        failed = found
                        break
                    else:
                        compared += found
                        before = hits.n
                        if found:
                            failed = hm_check(&self.codes, words, radius, scratch.rows, found, self.level, &hits)
                        if not failed:
                            failed = hm_order(&hits, before)
                        if failed:
                            break
                    owners[i] = hits.n
            checked(failed)
            rows, distances = _empty(hits.n, _int64), _empty(hits.n, _int32)
            fill(rows, hits.rows, 8 * hits.n)
            fill(distances, hits.distances, 4 * hits.n)
            return _owners(owners, k, hits.n), rows, distances, compared, _copied(crowded, n_crowded)
        finally:
            free(room)
            free(scratch.rows)
            free(hits.rows)
            free(hits.distances)

    cdef void cut(self, const uint64_t *words, uint32_t *keys) noexcept nogil:
        """Give a query's key in each table, then its tags: of the table after it, after the last one of the first."""
        cdef int64_t t, w, shift
        cdef uint64_t key
        for t in range(self.n_tables):
            w, shift = self.starts[t] >> 6, self.starts[t] & 63
            key = words[w] >> shift
            if shift + self.bits[t] > 64:
                key |= words[w + 1] << (64 - shift)
            keys[t] = <uint32_t> (key & ((<uint64_t> 1 << self.bits[t]) - 1))
        for t in range(self.n_tables):
            keys[self.n_tables + t] = keys[t + 1 if t + 1 < self.n_tables else 0]


cdef _copied(const int64_t *numbers, int64_t n):
    """Copy numbers into an array."""
    array = _empty(n, _int64)
    fill(array, numbers, 8 * n)
    return array


cdef _owners(const int64_t *ends, int64_t k, int64_t n):
    """Number of the query of each hit, from where each query's hits end."""
    if k == 1:
        return np.zeros(n, _int64)
    array = _empty(n, _int64)
    cdef int64_t[::1] to = array
    cdef int64_t owner, i = 0
    for owner in range(k):
        while i < ends[owner]:
            to[i] = owner
            i += 1
    return array


def table_fill(const uint32_t[::1] keys, int64_t width):
    cdef int64_t n = keys.shape[0], i, total = 0, count, size = <int64_t> 1 << width
    if not 1 <= width <= 32:
        raise ValueError("a substring has 1 to 32 bits")
    ends = np.zeros(size, dtype=np.uint32)
    rows = np.empty(n, dtype=np.uint32)
    cdef uint32_t[::1] at = ends
    cdef uint32_t[::1] to = rows
    cdef int outside = 0
    with nogil:
        for i in range(n):
            if keys[i] >= <uint64_t> size:
                outside = 1
                break
            at[keys[i]] += 1
        if not outside:
            for i in range(size):
                count = at[i]
                at[i] = <uint32_t> total
                total += count
            for i in range(n):
                to[at[keys[i]]] = <uint32_t> i
                at[keys[i]] += 1  # in the end every start stands where its bucket ends
    if outside:
        raise ValueError("a key has more bits than its table")
    return ends, rows


def table_pack(const uint32_t[::1] ends, const uint64_t[::1] items, int64_t base, int item_bytes):
    cdef int64_t size = ends.shape[0], i, j, start = 0, count, n_slots = 0, n_runs = 0
    cdef uint64_t number
    if not size or ends[size - 1] != items.shape[0] or not 4 <= item_bytes <= 5:
        raise ValueError("the items do not fill the table")
    for i in range(size):
        count = <int64_t> ends[i] - start
        if count < 0:
            raise ValueError("the buckets overlap")
        start = ends[i]
        n_slots += count if count < 3 else 1
        n_runs += count + 1 if count > 2 else 0
    kinds = np.empty(size, dtype=np.uint8)
    slots = np.empty(n_slots * item_bytes, dtype=np.uint8)
    runs = np.empty(n_runs * item_bytes, dtype=np.uint8)
    cdef uint8_t[::1] to_kinds = kinds
    cdef uint8_t[::1] to_slots = slots
    cdef uint8_t[::1] to_runs = runs
    cdef uint8_t *slot = &to_slots[0] if n_slots else NULL
    cdef uint8_t *run = &to_runs[0] if n_runs else NULL
    cdef int64_t place = base
    start = 0
    with nogil:
        for i in range(size):
            count = <int64_t> ends[i] - start
            to_kinds[i] = <uint8_t> (count if count < 2 else 3 if count == 2 else 2)
            if count > 2:
                number = <uint64_t> place
                place += count + 1
                memcpy(slot, &number, item_bytes)
                slot += item_bytes
                number = <uint64_t> count
                memcpy(run, &number, item_bytes)
                run += item_bytes
                for j in range(start, ends[i]):
                    memcpy(run, &items[j], item_bytes)
                    run += item_bytes
            else:
                for j in range(start, ends[i]):
                    memcpy(slot, &items[j], item_bytes)
                    slot += item_bytes
            start = ends[i]
    return kinds, slots, runs
