# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of the scans of `hashmatch.kernels.numpy.codes` and `hashmatch.kernels.reference_codes`, without the
interpreter's lock."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc

from hashmatch.kernels.native.hits cimport (
    checked, fill, hm_codes_level, hm_columns, hm_hits, hm_rows, hm_scan, hm_scan_rows
)

import numpy as np

PATHS = ("portable", "popcnt", "avx2", "avx512")[:hm_codes_level() + 1]


def hamming_scan(const uint64_t[:, ::1] columns, const uint64_t[:] query, int64_t radius, path=None):
    cdef hm_columns codes
    codes.words, codes.n_words, codes.n = NULL, columns.shape[0], columns.shape[1]
    if codes.n and codes.n_words:
        codes.words = &columns[0, 0]
    return _scanned(&codes, NULL, codes.n_words, query, radius, path)


def rows_scan(const uint64_t[:, ::1] codes, const uint64_t[:] query, int64_t radius, path=None):
    cdef hm_rows stored
    stored.words, stored.n_words, stored.n = NULL, codes.shape[1], codes.shape[0]
    if stored.n and stored.n_words:
        stored.words = &codes[0, 0]
    return _scanned(NULL, &stored, stored.n_words, query, radius, path)


cdef _scanned(const hm_columns *columns, const hm_rows *codes, int64_t n_words, const uint64_t[:] query, int64_t radius,
              path):
    """Scan codes in the one layout or the other."""
    cdef int64_t w
    cdef int level = hm_codes_level() if path is None else PATHS.index(path)
    cdef int failed = 0
    cdef hm_hits hits
    if query.shape[0] != n_words or not n_words:
        raise ValueError("a query has as many words as a code")
    hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
    cdef uint64_t *words = <uint64_t *> malloc(n_words * sizeof(uint64_t))
    if words == NULL:
        raise MemoryError
    try:
        with nogil:
            for w in range(n_words):
                words[w] = query[w]
            if columns != NULL and columns.n:
                failed = hm_scan(columns, words, radius, 0, columns.n, level, &hits)
            elif codes != NULL and codes.n:
                failed = hm_scan_rows(codes, words, radius, level, &hits)
        checked(failed)
        rows, distances = np.empty(hits.n, np.int64), np.empty(hits.n, np.int32)
        fill(rows, hits.rows, 8 * hits.n)
        fill(distances, hits.distances, 4 * hits.n)
        return rows, distances
    finally:
        free(words)
        free(hits.rows)
        free(hits.distances)
