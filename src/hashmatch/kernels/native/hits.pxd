# cython: language_level=3
"""What the modules of kernels over codes share: the structs of codes.h, and copying hits into arrays."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

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

    int HM_BAD
    int HM_NO_MEMORY
    int HM_AHEAD
    int hm_codes_level()
    int hm_scan(const hm_columns *, const uint64_t *, int64_t, int64_t, int64_t, int, hm_hits *)
    int hm_scan_rows(const hm_rows *, const uint64_t *, int64_t, int, hm_hits *)
    int hm_check(const hm_rows *, const uint64_t *, int64_t, const uint32_t *, int64_t, int, hm_hits *)
    int hm_order(hm_hits *, int64_t)


cdef inline int checked(int64_t failed) except -1:
    """Raise what a kernel's answer stands for."""
    if failed == HM_BAD:
        raise IndexError("a row or an offset lies outside its table")
    if failed == HM_NO_MEMORY:
        raise MemoryError
    return 0


cdef inline int fill(array, const void *source, int64_t n_bytes) except -1:
    """Copy numbers into an array that was made for them; by the buffer itself, as a memoryview takes longer."""
    cdef Py_buffer view
    if n_bytes:
        PyObject_GetBuffer(array, &view, PyBUF_WRITABLE)
        memcpy(view.buf, source, <size_t> n_bytes)
        PyBuffer_Release(&view)
    return 0
