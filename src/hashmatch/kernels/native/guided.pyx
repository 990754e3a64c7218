# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.guided`, without the interpreter's lock."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import numpy as np

cdef extern from "guided.h" nogil:
    ctypedef struct hm_near:
        int64_t *rows
        int64_t *found
        int32_t *distances
        int64_t n
        int64_t room

    ctypedef struct hm_table:
        const uint64_t *words
        int64_t n_words
        int64_t n
        const int32_t *offsets
        int64_t n_keys
        const int32_t *positions

    int HM_BAD
    int hm_guided_wide()
    void hm_all_keys(int wide, const float *odds, const float *size, const float *sure, int64_t n, int64_t groups,
                     int bits, const uint32_t *subsets, int64_t n_subsets, int flips, uint32_t *keys, float *chances)
    int hm_find_near(int wide, const hm_table *table, const uint32_t *keys, const float *chances, int64_t n_asked,
                     float least, const uint64_t *queries, int64_t n_queries, int64_t limit, int64_t radius,
                     hm_near *hits)

PATHS = ("portable", "avx2") if hm_guided_wide() else ("portable",)


cdef int _wide(path) except -1:
    if path is None:
        return hm_guided_wide()
    if path not in PATHS:
        raise ValueError("this processor has no such path")
    return path == "avx2"


def likely_keys(const float[:, :, ::1] odds, const float[:, :, ::1] size, const float[:, :, ::1] sure,
                const uint32_t[::1] subsets, int flips, path=None):
    cdef int64_t n = odds.shape[0], groups = odds.shape[1], bits = odds.shape[2], n_subsets = subsets.shape[0], i
    cdef int wide = _wide(path)
    cdef uint32_t[:, :, ::1] to_keys
    cdef float[:, :, ::1] to_chances
    for i in range(3):
        if size.shape[i] != odds.shape[i] or sure.shape[i] != odds.shape[i]:
            raise ValueError("odds, sizes and chances have one shape")
    if not 1 <= bits <= 32:
        raise ValueError("there are 1 to 32 bits a group")
    if flips < 0 or flips > 10 or flips > bits:
        raise ValueError("a subset is one of 0 to 10 bits of the group")
    for i in range(n_subsets):
        if subsets[i] >= <uint32_t>1 << flips:
            raise ValueError("a subset is one of 0 to 10 bits of the group")
    keys = np.empty((groups, n_subsets, n), np.uint32)
    chances = np.empty((groups, n_subsets, n), np.float32)
    if keys.size:
        to_keys, to_chances = keys, chances
        with nogil:
            hm_all_keys(wide, &odds[0, 0, 0], &size[0, 0, 0], &sure[0, 0, 0], n, groups, <int>bits, &subsets[0],
                        n_subsets, flips, &to_keys[0, 0, 0], &to_chances[0, 0, 0])
    return keys, chances


def near_by_keys(const uint64_t[:, ::1] words, const int32_t[::1] offsets, const int32_t[::1] positions,
                 const uint32_t[:, ::1] keys, const float[:, ::1] chances, float least, const uint64_t[:, ::1] queries,
                 int64_t limit, int64_t radius, path=None):
    cdef int wide = _wide(path), failed = 0
    cdef hm_table table
    cdef hm_near hits
    cdef int64_t[::1] to_rows
    cdef int64_t[::1] to_found
    cdef int32_t[::1] to_distances
    if keys.shape[0] != chances.shape[0] or keys.shape[1] != chances.shape[1] or keys.shape[1] != queries.shape[0]:
        raise ValueError("every key is of a query")
    if words.shape[1] != queries.shape[1]:
        raise ValueError("a query has as many words as an entry")
    if positions.shape[0] != words.shape[0] or not offsets.shape[0]:
        raise ValueError("the table must hold every entry")
    hits.rows, hits.found, hits.distances, hits.n, hits.room = NULL, NULL, NULL, 0, 0
    table.n, table.n_words, table.n_keys = words.shape[0], words.shape[1], offsets.shape[0] - 1
    table.words, table.positions, table.offsets = NULL, NULL, &offsets[0]
    if table.n and table.n_words:
        table.words, table.positions = &words[0, 0], &positions[0]
    try:
        if keys.shape[0] and keys.shape[1] and table.n_words:
            with nogil:
                failed = hm_find_near(wide, &table, &keys[0, 0], &chances[0, 0], keys.shape[0] * keys.shape[1], least,
                                      &queries[0, 0], queries.shape[0], limit, radius, &hits)
        if failed == HM_BAD:
            raise ValueError("a key lies beyond its table, or the table is none")
        if failed:
            raise MemoryError
        rows, found = np.empty(hits.n, np.int64), np.empty(hits.n, np.int64)
        distances = np.empty(hits.n, np.int32)
        if hits.n:
            to_rows, to_found, to_distances = rows, found, distances
            memcpy(&to_rows[0], hits.rows, hits.n * sizeof(int64_t))
            memcpy(&to_found[0], hits.found, hits.n * sizeof(int64_t))
            memcpy(&to_distances[0], hits.distances, hits.n * sizeof(int32_t))
        return rows, found, distances
    finally:
        free(hits.rows)
        free(hits.found)
        free(hits.distances)
