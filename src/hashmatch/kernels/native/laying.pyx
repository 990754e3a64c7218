# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.laying`: the same bits, without the interpreter's lock."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

cdef extern from "laying.h" nogil:
    ctypedef struct hm_laying:
        const float *image
        int64_t height
        int64_t width
        double step
        double size_x
        double size_y
        int64_t columns
        int64_t rows
        double wide
        double tall
        const uint8_t *signs
        const double *probes
        int64_t n_probes

    void hm_fit(const double *, const double *, const double *, const double *, int64_t, double *, double *, double *,
                double *, uint8_t *, double *)
    void hm_inside(const hm_laying *, const double *, const double *, uint8_t *)
    void hm_cells(const hm_laying *, const double *, const double *, const uint8_t *, float *)
    int64_t hm_steps(const hm_laying *, const uint8_t *, int64_t *)
    void hm_compare(const hm_laying *, const float *, const int64_t *, int64_t, uint32_t *, uint32_t *, float *,
                    uint8_t *)

cdef int64_t FEWEST = 12


def fit_map(const double[:, ::1] source, const double[:, ::1] target, const double[::1] sigma,
            const double[:, ::1] turn):
    cdef int64_t n = source.shape[0]
    cdef double *room
    if not n or target.shape[0] != n or sigma.shape[0] != n or turn.shape[0] != n:
        raise ValueError("a fit needs pairs: two places, a scale and a turn of each")
    if source.shape[1] != 2 or target.shape[1] != 2 or turn.shape[1] != 2:
        raise ValueError("a fit needs pairs: two places, a scale and a turn of each")
    matrix, shift, keep, residual = np.empty((2, 2)), np.empty(2), np.empty(n, np.uint8), np.empty(n)
    cdef double[:, ::1] to_matrix = matrix
    cdef double[::1] to_shift = shift, to_residual = residual
    cdef uint8_t[::1] to_keep = keep
    room = <double *> malloc(2 * n * sizeof(double))
    if room == NULL:
        raise MemoryError
    with nogil:
        hm_fit(&source[0, 0], &target[0, 0], &sigma[0], &turn[0, 0], n, room, room + n, &to_matrix[0, 0], &to_shift[0],
               &to_keep[0], &to_residual[0])
    free(room)
    return matrix, shift, keep.view(np.bool_), residual


def lay(const float[:, ::1] image, double step, size, grid, const double[:, :, ::1] matrices,
        const double[:, ::1] shifts, const double[:, ::1] probes):
    cdef int64_t m = matrices.shape[0], columns = grid.columns, rows = grid.rows, n_cells, n_steps, n = 0, k
    cdef const uint8_t[::1] signs = grid.signs.view(np.uint8)
    cdef hm_laying laying
    cdef uint8_t *inside
    cdef float *cells
    cdef int64_t *steps
    cdef uint32_t *sizes
    if not 1 <= columns <= 255 or not 1 <= rows <= 255:
        raise ValueError("a grid, its signs, a picture, maps and probes are needed")
    n_cells, n_steps = columns * rows, (columns - 1) * rows + columns * (rows - 1)
    if signs.shape[0] != n_steps or not image.shape[0] or not image.shape[1] or not probes.shape[0] or not m:
        raise ValueError("a grid, its signs, a picture, maps and probes are needed")
    if matrices.shape[1] != 2 or matrices.shape[2] != 2 or shifts.shape[0] != m or shifts.shape[1] != 2:
        raise ValueError("a map is a matrix and a shift")
    if probes.shape[1] != 2 or not step > 0:
        raise ValueError("a probe has two places, and the step is over 0")
    laying.image, laying.height, laying.width, laying.step = &image[0, 0], image.shape[0], image.shape[1], step
    laying.size_x, laying.size_y = size
    laying.columns, laying.rows, laying.wide, laying.tall = columns, rows, grid.wide, grid.tall
    laying.signs, laying.probes, laying.n_probes = NULL, &probes[0, 0], probes.shape[0]
    if n_steps:
        laying.signs = &signs[0]
    inside = <uint8_t *> malloc(n_cells)
    cells = <float *> malloc(n_cells * sizeof(float))
    steps = <int64_t *> malloc((n_steps + 1) * sizeof(int64_t))
    sizes = <uint32_t *> malloc((n_steps + 4096) * sizeof(uint32_t))
    cdef float[:, ::1] to_weights
    cdef uint8_t[:, ::1] to_agree
    cdef int64_t[::1] to_steps
    try:
        if inside == NULL or cells == NULL or steps == NULL or sizes == NULL:
            raise MemoryError
        with nogil:
            memset(inside, 1, n_cells)
            for k in range(m):
                hm_inside(&laying, &matrices[k, 0, 0], &shifts[k, 0], inside)
            n = hm_steps(&laying, inside, steps)
            if n < FEWEST:
                n = 0
        weights, agree = np.empty((m, n), np.float32), np.empty((m, n), np.uint8)
        numbers = np.empty(n, np.int64)
        if n:
            to_weights, to_agree, to_steps = weights, agree, numbers
            with nogil:
                for k in range(n):
                    to_steps[k] = steps[k]
                for k in range(m):
                    hm_cells(&laying, &matrices[k, 0, 0], &shifts[k, 0], inside, cells)
                    hm_compare(&laying, cells, steps, n, sizes, sizes + n_steps, &to_weights[k, 0], &to_agree[k, 0])
        return weights, agree.view(np.bool_), numbers
    finally:
        free(inside)
        free(cells)
        free(steps)
        free(sizes)
