# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.keys`, without the interpreter's lock."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import numpy as np

cdef extern from "keys.h" nogil:
    ctypedef struct hm_pairs:
        int64_t *owners
        int64_t *rows
        int32_t *distances
        int64_t n
        int64_t room

    ctypedef struct hm_stock:
        const uint64_t *codes
        const uint32_t *rows
        const uint64_t *queries
        int64_t n_codes
        int64_t n_rows
        int64_t n_queries

    ctypedef struct hm_starts:
        const uint32_t *heads4
        const uint64_t *heads8
        const uint64_t *low
        const uint64_t *high
        int64_t n_heads
        int64_t n_low
        int64_t n_high
        int shift

    int HM_BAD
    int hm_counts_bits()
    int hm_bucket_ranges(const hm_starts *, const int64_t *, int64_t, int, int64_t *, int64_t *)
    int hm_near_rows(const hm_stock *, const int64_t *, const int64_t *, const int64_t *, int64_t, int, int, hm_pairs *)

PATHS = ("portable", "popcnt") if hm_counts_bits() else ("portable",)


def bucket_ranges(starts, const int64_t[::1] buckets, path=None):
    cdef int64_t n = buckets.shape[0]
    cdef const uint32_t[::1] heads4
    cdef const uint64_t[::1] heads8
    cdef const uint64_t[::1] low = starts.low, high = starts.high
    cdef hm_starts directory
    cdef int failed, counts = hm_counts_bits() if path is None else PATHS.index(path)
    directory.heads4, directory.heads8 = NULL, NULL
    directory.n_heads, directory.n_low, directory.n_high = starts.heads.shape[0], low.shape[0], high.shape[0]
    directory.shift = starts.shift
    begins, lengths = np.empty(n, np.int64), np.empty(n, np.int64)
    if not n:
        return begins, lengths
    if not directory.n_heads or not directory.n_high or not 0 <= directory.shift <= 16:
        raise IndexError("the directory is damaged")
    if 64 * directory.n_low < (64 * directory.n_heads + 1) * directory.shift:
        raise IndexError("the directory is damaged")
    if starts.heads.dtype.itemsize == 4:
        heads4 = starts.heads
        directory.heads4 = &heads4[0]
    else:
        heads8 = starts.heads
        directory.heads8 = &heads8[0]
    directory.low, directory.high = (&low[0] if directory.n_low else NULL), &high[0]
    cdef int64_t[::1] to_begins = begins, to_lengths = lengths
    with nogil:
        failed = hm_bucket_ranges(&directory, &buckets[0], n, counts, &to_begins[0], &to_lengths[0])
    if failed:
        raise IndexError("there is no such bucket, or the directory is damaged")
    return begins, lengths


def near_rows(const uint64_t[:, ::1] codes, const uint32_t[::1] rows, const int64_t[::1] starts,
              const int64_t[::1] lengths, const int64_t[::1] owners, const uint64_t[:, ::1] queries, int most, path=None):
    cdef int64_t n = starts.shape[0]
    cdef int failed = 0, counts = hm_counts_bits() if path is None else PATHS.index(path)
    cdef hm_stock stock
    cdef hm_pairs pairs
    cdef int64_t[::1] to_owners, to_rows
    cdef int32_t[::1] to_distances
    if codes.shape[1] != 2 or queries.shape[1] != 2 or lengths.shape[0] != n or owners.shape[0] != n:
        raise ValueError("codes of 16 bytes, and a length and a query for each start")
    if queries.shape[0] >= <int64_t> 1 << 31:
        raise ValueError("too many queries")
    pairs.owners, pairs.rows, pairs.distances, pairs.n, pairs.room = NULL, NULL, NULL, 0, 0
    stock.n_codes, stock.n_rows, stock.n_queries = codes.shape[0], rows.shape[0], queries.shape[0]
    stock.codes = &codes[0, 0] if stock.n_codes else NULL
    stock.rows = &rows[0] if stock.n_rows else NULL
    stock.queries = &queries[0, 0] if stock.n_queries else NULL
    try:
        if n:
            with nogil:
                failed = hm_near_rows(&stock, &starts[0], &lengths[0], &owners[0], n, most, counts, &pairs)
        if failed == HM_BAD:
            raise IndexError("a row lies outside its table")
        if failed:
            raise MemoryError
        found, near, distances = np.empty(pairs.n, np.int64), np.empty(pairs.n, np.int64), np.empty(pairs.n, np.int32)
        if pairs.n:
            to_owners, to_rows, to_distances = found, near, distances
            memcpy(&to_owners[0], pairs.owners, pairs.n * sizeof(int64_t))
            memcpy(&to_rows[0], pairs.rows, pairs.n * sizeof(int64_t))
            memcpy(&to_distances[0], pairs.distances, pairs.n * sizeof(int32_t))
        return found, near, distances
    finally:
        free(pairs.owners)
        free(pairs.rows)
        free(pairs.distances)
