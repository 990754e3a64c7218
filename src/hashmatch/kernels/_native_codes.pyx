# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.reference` and `hashmatch.kernels.reference_codes`, without the interpreter's lock."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import numpy as np

cdef extern from "codes.h" nogil:
    ctypedef struct hm_columns:
        const uint64_t *words
        int64_t n_words
        int64_t n

    ctypedef struct hm_rows:
        const uint64_t *words
        int64_t n_words
        int64_t n

    ctypedef struct hm_hits:
        int64_t *rows
        int32_t *distances
        int64_t n
        int64_t room

    ctypedef struct hm_tables:
        const uint64_t *marks
        const uint32_t *heads4
        const uint64_t *heads8
        const uint32_t *runs
        int64_t n_buckets
        int64_t n_heads
        int64_t n_runs
        int row_bits
        int tag_bits

    ctypedef struct hm_probes:
        const int64_t *keys
        const int64_t *tags
        const int64_t *owners
        const int64_t *masks
        const int64_t *bounds
        int64_t n

    ctypedef struct hm_place:
        uint64_t place
        int64_t probe

    ctypedef struct hm_scratch:
        hm_place *places
        uint32_t *rows
        int64_t room

    ctypedef struct hm_tree:
        const uint32_t *node_slot
        const uint32_t *edge_start
        const uint32_t *edge_end
        const int64_t *edge_key
        const int32_t *edge_node
        int64_t n_nodes
        int64_t n_edges
        int64_t span

    ctypedef struct hm_list:
        int64_t *items
        int64_t n
        int64_t room

    int HM_BAD
    int HM_NO_MEMORY
    int hm_codes_level()
    int hm_scan(const hm_columns *, const uint64_t *, int64_t, int, hm_hits *)
    int hm_scan_rows(const hm_rows *, const uint64_t *, int64_t, int, hm_hits *)
    int hm_check(const hm_rows *, const uint64_t *, int64_t, const uint32_t *, int64_t, int, hm_hits *)
    int hm_order(hm_hits *, int64_t)
    int64_t hm_candidates(const hm_tables *, const hm_rows *, const hm_probes *, int64_t, int, hm_scratch *)
    int64_t hm_descend(const hm_tree *, const hm_columns *, const uint64_t *, int64_t, int, hm_list *, hm_list *,
                       int64_t *, hm_hits *)
    int hm_leaves(const hm_tree *, const hm_columns *, const uint64_t *, int64_t, int, const hm_list *, hm_hits *)

PATHS = ("portable", "popcnt", "avx2", "avx512")[:hm_codes_level() + 1]


cdef int _level(path) except -1:
    if path is None:
        return hm_codes_level()
    return PATHS.index(path)


cdef _taken(hm_hits *hits):
    """Copy the hits into arrays."""
    distances = np.empty(hits.n, dtype=np.int32)
    cdef int32_t[::1] to
    if hits.n:
        to = distances
        memcpy(&to[0], hits.distances, hits.n * sizeof(int32_t))
    return _copied(hits.rows, hits.n), distances


cdef _copied(const int64_t *numbers, int64_t n):
    """Copy numbers into an array."""
    array = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] to
    if n:
        to = array
        memcpy(&to[0], numbers, n * sizeof(int64_t))
    return array


cdef _owners(const int64_t *ends, int64_t k):
    """Number of the query of each hit, from where each query's hits end."""
    array = np.empty(ends[k - 1] if k else 0, dtype=np.int64)
    cdef int64_t[::1] to = array
    cdef int64_t owner, i = 0
    for owner in range(k):
        while i < ends[owner]:
            to[i] = owner
            i += 1
    return array


cdef int _checked(int64_t failed) except -1:
    if failed == HM_BAD:
        raise IndexError("a row or an offset lies outside its table")
    if failed == HM_NO_MEMORY:
        raise MemoryError
    return 0


def hamming_scan(const uint64_t[:, ::1] columns, const uint64_t[:] query, int64_t radius, path=None):
    cdef int64_t n_words = columns.shape[0], w
    cdef int level = _level(path), failed = 0
    cdef hm_columns codes
    cdef hm_hits hits
    cdef uint64_t *words
    if query.shape[0] != n_words or not n_words:
        raise ValueError("a query has as many words as a code")
    codes.words, codes.n_words, codes.n = NULL, n_words, columns.shape[1]
    hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
    words = <uint64_t *> malloc(n_words * sizeof(uint64_t))
    if words == NULL:
        raise MemoryError
    try:
        for w in range(n_words):
            words[w] = query[w]
        if codes.n:
            codes.words = &columns[0, 0]
            with nogil:
                failed = hm_scan(&codes, words, radius, level, &hits)
        _checked(failed)
        return _taken(&hits)
    finally:
        free(words)
        free(hits.rows)
        free(hits.distances)


def rows_scan(const uint64_t[:, ::1] codes, const uint64_t[:] query, int64_t radius, path=None):
    cdef int64_t n_words = codes.shape[1], w
    cdef int level = _level(path), failed = 0
    cdef hm_rows stored
    cdef hm_hits hits
    cdef uint64_t *words
    if query.shape[0] != n_words or not n_words:
        raise ValueError("a query has as many words as a code")
    stored.words, stored.n_words, stored.n = NULL, n_words, codes.shape[0]
    hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
    words = <uint64_t *> malloc(n_words * sizeof(uint64_t))
    if words == NULL:
        raise MemoryError
    try:
        for w in range(n_words):
            words[w] = query[w]
        if stored.n:
            stored.words = &codes[0, 0]
            with nogil:
                failed = hm_scan_rows(&stored, words, radius, level, &hits)
        _checked(failed)
        return _taken(&hits)
    finally:
        free(words)
        free(hits.rows)
        free(hits.distances)


def table_find(const uint64_t[:, ::1] codes, const uint64_t[:, ::1] marks, heads, const uint32_t[::1] runs,
               const uint64_t[:, :] queries, const int64_t[::1] starts, const int64_t[::1] widths,
               const int64_t[::1] tables, const int64_t[::1] masks, const int64_t[::1] bounds, int tag_bits,
               int64_t radius, int64_t most, path=None):
    cdef int64_t n_words = codes.shape[1], k = queries.shape[1], n_tables = starts.shape[0], p = tables.shape[0]
    cdef int64_t i, t, w, shift, found, before, compared = 0, buckets = 0, failed = 0, strange = 0
    cdef int row_bits = 1
    cdef int level = _level(path)
    cdef const uint32_t[::1] heads4
    cdef const uint64_t[::1] heads8
    cdef hm_rows stored
    cdef hm_tables shelves
    cdef hm_probes probes
    cdef hm_scratch scratch
    cdef hm_hits hits
    cdef uint64_t *words = NULL
    cdef int64_t *keys = NULL
    cdef int64_t *ends = NULL
    cdef int64_t *crowded = NULL
    cdef int64_t n_crowded = 0
    shelves.heads4, shelves.heads8 = NULL, NULL
    shelves.n_heads = heads.shape[0]
    if heads.dtype.itemsize == 4:
        heads4 = heads
        shelves.heads4 = &heads4[0] if shelves.n_heads else NULL
    else:
        heads8 = heads
        shelves.heads8 = &heads8[0] if shelves.n_heads else NULL
    if (queries.shape[0] != n_words or widths.shape[0] != n_tables or masks.shape[0] != p or bounds.shape[0] != p
            or not codes.shape[0] or codes.shape[0] > <int64_t> 1 << 32
            or not n_words or marks.shape[1] != 2 or not marks.shape[0] or not shelves.n_heads):
        raise ValueError("codes, queries, tables and masks do not fit together")
    for t in range(n_tables):
        if not (1 <= widths[t] <= 32 and 0 <= starts[t] and starts[t] + widths[t] <= 64 * n_words):
            raise ValueError("a substring lies outside the code")
        if tag_bits > widths[t]:
            raise ValueError("a tag has more bits than there are")
        buckets += <int64_t> 1 << widths[t]
    while codes.shape[0] - 1 >> row_bits:
        row_bits += 1
    if not 0 <= tag_bits <= 32 - row_bits:
        raise ValueError("a tag has more bits than there are")
    if (buckets + 63) // 64 != marks.shape[0]:
        raise ValueError("the tables have another number of buckets than marks")
    with nogil:
        for i in range(p):  # without a branch, so that it takes no time
            strange |= (tables[i] < 0) | (tables[i] >= n_tables) | (masks[i] < 0) | (masks[i] >= buckets)
    if strange:
        raise ValueError("a probe names no bucket")
    shelves.marks, shelves.n_buckets = &marks[0, 0], buckets
    shelves.row_bits, shelves.tag_bits = row_bits, tag_bits
    shelves.runs, shelves.n_runs = (&runs[0] if runs.shape[0] else NULL), runs.shape[0]
    stored.words, stored.n_words, stored.n = &codes[0, 0], n_words, codes.shape[0]
    scratch.places, scratch.rows, scratch.room = NULL, NULL, 0
    hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
    words = <uint64_t *> malloc(n_words * sizeof(uint64_t))
    keys = <int64_t *> malloc((2 * n_tables + 1) * sizeof(int64_t))
    ends = <int64_t *> malloc((k + 1) * sizeof(int64_t))
    crowded = <int64_t *> malloc((k + 1) * sizeof(int64_t))
    scratch.places = <hm_place *> malloc((p + 1) * sizeof(hm_place))
    probes.keys, probes.tags, probes.n = keys, keys + n_tables, p
    probes.owners, probes.masks, probes.bounds = NULL, NULL, NULL
    if p:
        probes.owners, probes.masks, probes.bounds = &tables[0], &masks[0], &bounds[0]
    try:
        if words == NULL or keys == NULL or ends == NULL or crowded == NULL or scratch.places == NULL:
            raise MemoryError
        with nogil:
            for i in range(k):
                for w in range(n_words):
                    words[w] = queries[w, i]
                for t in range(n_tables):
                    w, shift = starts[t] >> 6, starts[t] & 63
                    keys[t] = <int64_t> (words[w] >> shift)
                    if shift + widths[t] > 64:
                        keys[t] |= <int64_t> (words[w + 1] << (64 - shift))
                    keys[t] &= (<int64_t> 1 << widths[t]) - 1
                for t in range(n_tables):  # the tag is of the table after it, and of the first one after the last
                    keys[n_tables + t] = keys[t + 1 if t + 1 < n_tables else 0]
                found = hm_candidates(&shelves, &stored, &probes, most, level, &scratch)
                if found == -3:
                    crowded[n_crowded] = i
                    n_crowded += 1
                elif found < 0:
                    failed = found
                    break
                else:
                    compared += found
                    before = hits.n
                    failed = hm_check(&stored, words, radius, scratch.rows, found, level, &hits) if found else 0
                    if not failed:
                        failed = hm_order(&hits, before)
                    if failed:
                        break
                ends[i] = hits.n
        _checked(failed)
        found_rows, distances = _taken(&hits)
        owners = np.zeros(hits.n, dtype=np.int64) if k == 1 else _owners(ends, k)
        unsearched = _copied(crowded, n_crowded)
    finally:
        free(words)
        free(keys)
        free(ends)
        free(crowded)
        free(scratch.places)
        free(scratch.rows)
        free(hits.rows)
        free(hits.distances)
    return owners, found_rows, distances, compared, unsearched


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


def table_pack(const uint32_t[::1] ends, const uint32_t[::1] items, int64_t base):
    cdef int64_t size = ends.shape[0], i, start = 0, count, n_heads = 0, n_runs = 0
    cdef uint64_t run = <uint64_t> 1 << 63
    if not size or ends[size - 1] != items.shape[0]:
        raise ValueError("the items do not fill the table")
    for i in range(size):
        count = <int64_t> ends[i] - start
        if count < 0:
            raise ValueError("the buckets overlap")
        start = ends[i]
        n_heads += count > 0
        n_runs += count + 1 if count > 1 else 0
    filled = np.zeros(size, dtype=np.uint8)
    heads = np.empty(n_heads, dtype=np.uint64)
    runs = np.empty(n_runs, dtype=np.uint32)
    cdef uint8_t[::1] is_filled = filled
    cdef uint64_t[::1] to_heads = heads
    cdef uint32_t[::1] to_runs = runs
    cdef int64_t head = 0, place = 0, j
    start = 0
    with nogil:
        for i in range(size):
            count = <int64_t> ends[i] - start
            if count:
                is_filled[i] = 1
                if count == 1:
                    to_heads[head] = items[start]
                else:
                    to_heads[head] = run | <uint64_t> (base + place)
                    to_runs[place] = <uint32_t> count
                    for j in range(count):
                        to_runs[place + 1 + j] = items[start + j]
                    place += count + 1
                head += 1
            start = ends[i]
    return filled.view(np.bool_), heads, runs


def tree_find(const uint64_t[:, ::1] columns, const uint32_t[::1] node_slot, const int64_t[::1] edge_key,
              const uint32_t[::1] edge_start, const uint32_t[::1] edge_end, const int32_t[::1] edge_node, int64_t span,
              const uint64_t[:, :] queries, const int64_t[::1] asked, int64_t radius, double most, path=None):
    cdef int64_t n_words = columns.shape[0], k = asked.shape[0], i, w, total, before, visited, probes = 0, compared = 0
    cdef int level = _level(path)
    cdef int64_t failed = 0
    cdef hm_columns codes
    cdef hm_tree tree
    cdef hm_hits hits
    cdef hm_list nodes, leaves
    cdef uint64_t *words = NULL
    tree.n_nodes, tree.n_edges, tree.span = node_slot.shape[0], edge_key.shape[0], span
    if (queries.shape[0] != n_words or not n_words or span <= 64 * (n_words - 1) or not tree.n_nodes
            or edge_start.shape[0] != tree.n_edges or edge_end.shape[0] != tree.n_edges
            or edge_node.shape[0] != tree.n_edges or not tree.n_edges or not columns.shape[1]):
        raise ValueError("codes, tree and queries do not fit together")
    for i in range(k):
        if not 0 <= asked[i] < queries.shape[1]:
            raise ValueError("there is no such query")
    codes.words, codes.n_words, codes.n = &columns[0, 0], n_words, columns.shape[1]
    tree.node_slot, tree.edge_start, tree.edge_end = &node_slot[0], &edge_start[0], &edge_end[0]
    tree.edge_key, tree.edge_node = &edge_key[0], &edge_node[0]
    hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
    nodes.items, nodes.n, nodes.room = NULL, 0, 0
    leaves.items, leaves.n, leaves.room = NULL, 0, 0
    costly = np.zeros(k, dtype=np.uint8)
    ends_of = np.zeros(k, dtype=np.int64)
    cdef uint8_t[::1] is_costly = costly
    cdef int64_t[::1] hits_until = ends_of
    words = <uint64_t *> malloc(n_words * sizeof(uint64_t))
    try:
        if words == NULL:
            raise MemoryError
        with nogil:
            for i in range(k):
                for w in range(n_words):
                    words[w] = queries[w, asked[i]]
                before, visited = hits.n, 0
                total = hm_descend(&tree, &codes, words, radius, level, &nodes, &leaves, &visited, &hits)
                probes += 2 * visited
                compared += visited
                if total < 0:
                    failed = total
                    break
                if total > most:
                    is_costly[i] = 1
                    hits.n = before
                else:
                    compared += total
                    failed = hm_leaves(&tree, &codes, words, radius, level, &leaves, &hits)
                    if failed:
                        break
                hits_until[i] = hits.n
        _checked(failed)
        slots, distances = _taken(&hits)
    finally:
        free(words)
        free(nodes.items)
        free(leaves.items)
        free(hits.rows)
        free(hits.distances)
    owners = np.repeat(np.asarray(asked), np.diff(ends_of, prepend=0))
    return owners, slots, distances, probes, compared, costly.view(np.bool_)
