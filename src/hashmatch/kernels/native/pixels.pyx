# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.pixels`: the same bits, without the interpreter's lock."""

from libc.stdint cimport int16_t, int64_t, uint8_t

import numpy as np

cdef extern from "pixels.h" nogil:
    ctypedef struct hm_taps:
        int64_t n
        const int64_t *starts
        const int64_t *stops
        const int64_t *offsets
        const int64_t *cells
        const double *weights
        const uint8_t *whole
        double scale

    int hm_pixels_wide()
    int hm_tent_portable(const uint8_t *, int64_t, int64_t, int, const hm_taps *, int, const hm_taps *, int,
                         const double *const *, double, double *)
    int hm_tent_wide(const uint8_t *, int64_t, int64_t, int, const hm_taps *, int, const hm_taps *, int,
                     const double *const *, double, double *)
    void hm_transform_double_portable(const double *, const double *, double *)
    void hm_transform_double_wide(const double *, const double *, double *)
    void hm_transform_float_portable(const float *, const float *, float *)
    void hm_transform_float_wide(const float *, const float *, float *)
    int hm_blur_portable(const uint8_t *, int64_t, int64_t, int64_t, int, float *)
    int hm_blur_wide(const uint8_t *, int64_t, int64_t, int64_t, int, float *)
    int hm_cells_portable(const uint8_t *, int64_t, int, int64_t, int64_t, int64_t, int64_t, int16_t *)
    int hm_cells_wide(const uint8_t *, int64_t, int, int64_t, int64_t, int64_t, int64_t, int16_t *)
    int64_t hm_steps(const double *, double)
    double hm_decide(const double *, uint8_t *)

PATHS = ("portable", "avx2") if hm_pixels_wide() else ("portable",)

DEF SIDE = 64
DEF MOST_SETS = 2


cdef int _wide(path) except -1:
    if path is None:
        return hm_pixels_wide()
    if path not in PATHS:
        raise ValueError("this processor has no such path")
    return path == "avx2"


cdef int64_t _pixels_in(const uint8_t[:, :] numbers, int step) except -1:
    """Pixels in a row of numbers; refuses what is no row of pixels."""
    cdef int64_t length = numbers.shape[1]
    if step not in (1, 3, 4) or numbers.shape[0] < 1 or length < 1 or (length + (step == 4)) % step:
        raise ValueError("numbers are rows of grey, RGB, or RGB with a byte between pixels")
    if length > 1 and numbers.strides[1] != 1:
        raise ValueError("the numbers of a row follow each other")
    return (length + (step == 4)) // step


cdef class _Taps:
    """The arrays of one set of windows, held and checked against the side they are for."""

    cdef const int64_t[::1] starts, stops, offsets, cells
    cdef const double[::1] weights
    cdef const uint8_t[::1] whole
    cdef hm_taps taps

    def __cinit__(self, taps, int64_t side):
        cdef int64_t i, n
        self.starts, self.stops, self.offsets = taps.starts, taps.stops, taps.offsets
        self.cells, self.weights, self.whole = taps.cells, taps.weights, taps.whole
        n = self.starts.shape[0]
        if not 1 <= n <= SIDE or self.stops.shape[0] != n or self.offsets.shape[0] != n or self.whole.shape[0] != n:
            raise ValueError("a side has 1 to 64 windows")
        if self.cells.shape[0] != SIDE:
            raise ValueError("there are 64 cells")
        for i in range(n):
            if not 0 <= self.starts[i] < self.stops[i] <= side or self.offsets[i] < 0:
                raise ValueError("windows lie within their side")
            if self.offsets[i] + self.stops[i] - self.starts[i] > self.weights.shape[0]:
                raise ValueError("every pixel of a window has a weight")
        for i in range(SIDE):
            if not 0 <= self.cells[i] < n:
                raise ValueError("every cell has a window")
        self.taps.n = n
        self.taps.starts, self.taps.stops, self.taps.offsets = &self.starts[0], &self.stops[0], &self.offsets[0]
        self.taps.cells, self.taps.weights, self.taps.whole = &self.cells[0], &self.weights[0], &self.whole[0]
        self.taps.scale = taps.scale


# Views that are transformed in less time than it takes to hand the interpreter's lock over and to ask for it again.
cdef enum:
    FEW = 8


def tent_averages(const uint8_t[:, :] numbers, int step, down, along, path=None):
    cdef int64_t height = numbers.shape[0], width = _pixels_in(numbers, step), length = numbers.shape[1]
    cdef int wide = _wide(path), ends = len(down), sets = len(along), k, failed
    cdef hm_taps rows[MOST_SETS]
    cdef hm_taps sides[MOST_SETS]
    cdef const double *spread[MOST_SETS]
    cdef const double[::1] repeated
    cdef _Taps windows
    cdef double[:, :, :, ::1] small
    cdef double unit
    if not 1 <= ends <= MOST_SETS or not 1 <= sets <= MOST_SETS:
        raise ValueError("one or two sets of windows down the columns, and along the rows")
    held = []
    for k in range(ends):
        windows = _Taps(down[k], height)
        held.append(windows)
        rows[k] = windows.taps
    for k in range(sets):
        windows = _Taps(along[k], width)
        repeated = along[k].repeated(step)
        if repeated.shape[0] != step * windows.weights.shape[0]:
            raise ValueError("every weight is repeated for each number of a pixel")
        held.append((windows, repeated))
        sides[k] = windows.taps
        spread[k] = &repeated[0]
    if len({taps.scale for taps in down}) > 1 or len({taps.scale for taps in along}) > 1:
        raise ValueError("sets of windows of one side have one scale")
    unit = down[0].unit
    result = np.empty((ends, sets, SIDE, SIDE))
    small = result
    with nogil:
        if wide:
            failed = hm_tent_wide(&numbers[0, 0], numbers.strides[0], length, step, rows, ends, sides, sets, spread,
                                  unit, &small[0, 0, 0, 0])
        else:
            failed = hm_tent_portable(&numbers[0, 0], numbers.strides[0], length, step, rows, ends, sides, sets,
                                      spread, unit, &small[0, 0, 0, 0])
    if failed:
        raise MemoryError
    return result


def transform(const double[:, :, ::1] small, const double[:, ::1] cosines, path=None):
    cdef int64_t n = small.shape[0]
    cdef int wide = _wide(path)
    cdef double[:, :, ::1] out
    if small.shape[1] != SIDE or small.shape[2] != SIDE or cosines.shape[0] != SIDE or cosines.shape[1] != 16:
        raise ValueError("views are 64 x 64, cosines 64 x 16")
    result = np.empty((n, 16, 16))
    out = result
    if n > FEW:
        with nogil:
            _transform(small, cosines, out, wide)
    else:
        _transform(small, cosines, out, wide)
    return result


cdef void _transform(const double[:, :, ::1] small, const double[:, ::1] cosines, double[:, :, ::1] out,
                     int wide) noexcept nogil:
    cdef int64_t i
    for i in range(small.shape[0]):
        if wide:
            hm_transform_double_wide(&small[i, 0, 0], &cosines[0, 0], &out[i, 0, 0])
        else:
            hm_transform_double_portable(&small[i, 0, 0], &cosines[0, 0], &out[i, 0, 0])


def transform_float32(const float[:, ::1] small, const float[:, ::1] cosines, path=None):
    cdef int wide = _wide(path)
    cdef float[:, ::1] out
    if small.shape[0] != SIDE or small.shape[1] != SIDE or cosines.shape[0] != SIDE or cosines.shape[1] != 16:
        raise ValueError("a view is 64 x 64, cosines 64 x 16")
    result = np.empty((16, 16), np.float32)
    out = result
    with nogil:
        if wide:
            hm_transform_float_wide(&small[0, 0], &cosines[0, 0], &out[0, 0])
        else:
            hm_transform_float_portable(&small[0, 0], &cosines[0, 0], &out[0, 0])
    return result


def decide(const double[:, :, ::1] coefficients):
    cdef int64_t n = coefficients.shape[0], i
    cdef uint8_t[:, ::1] codes
    cdef double[::1] gaps
    if coefficients.shape[1] != 16 or coefficients.shape[2] != 16:
        raise ValueError("a view has 16 x 16 coefficients")
    result = np.empty((n, 32), np.uint8), np.empty(n)
    codes, gaps = result
    for i in range(n):  # microseconds: less than asking for the lock again
        gaps[i] = hm_decide(&coefficients[i, 0, 0], &codes[i, 0])
    return result


def step_sums(const double[:, ::1] small, double noise):
    cdef int64_t low, high
    if small.shape[0] != SIDE or small.shape[1] != SIDE:
        raise ValueError("a view is 64 x 64")
    low = hm_steps(&small[0, 0], -noise)
    high = hm_steps(&small[0, 0], noise)
    return low, high


def blur_float32(const uint8_t[:, :] numbers, int step, path=None):
    cdef int64_t height = numbers.shape[0], width = _pixels_in(numbers, step)
    cdef int wide = _wide(path), failed
    cdef float[:, ::1] small
    if height < 5 or width < 5:
        raise ValueError("sides have at least 5 pixels")
    result = np.empty((SIDE, SIDE), np.float32)
    small = result
    with nogil:
        if wide:
            failed = hm_blur_wide(&numbers[0, 0], numbers.strides[0], height, width, step, &small[0, 0])
        else:
            failed = hm_blur_portable(&numbers[0, 0], numbers.strides[0], height, width, step, &small[0, 0])
    if failed:
        raise MemoryError
    return result


def opponent_cells(const uint8_t[:, :] numbers, int step, int64_t down, int64_t across, path=None):
    cdef int64_t height = numbers.shape[0], width = _pixels_in(numbers, step), tall, broad
    cdef int wide = _wide(path), failed
    cdef int16_t[:, :, ::1] out
    if not (1 <= down <= height and 1 <= across <= width):
        raise ValueError("a cell has at least one pixel and lies in the picture")
    tall, broad = height // down, width // across
    result = np.empty((1 if step == 1 else 3, tall, broad), np.int16)
    out = result
    with nogil:
        if wide:
            failed = hm_cells_wide(&numbers[0, 0], numbers.strides[0], step, tall, broad, down, across, &out[0, 0, 0])
        else:
            failed = hm_cells_portable(&numbers[0, 0], numbers.strides[0], step, tall, broad, down, across,
                                       &out[0, 0, 0])
    if failed:
        raise MemoryError
    return result
