# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.points`: the same bytes, without the interpreter's lock."""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

import numpy as np

from hashmatch.kernels.numpy.points import LUMA, SLOPE

cdef extern from "points.h" nogil:
    int hm_has_wide()
    void hm_luma(int wide, const uint8_t *row, int64_t pixel, int64_t channel, int grey, int64_t width, const float *share,
                 float *out)
    void hm_scaled(int wide, const float *row, float weight, int64_t n, float *out)
    void hm_added(int wide, const float *row, float weight, int64_t n, float *out)
    void hm_gather(int wide, const float *row, const int64_t *first, const float *weights, int64_t taps, int64_t n,
                   float *out)
    void hm_blur(int wide, const float *image, int64_t height, int64_t width, const float *taps, int64_t n_taps,
                 int64_t step, float *row, float *out)
    void hm_peaks(int wide, const float *levels, int64_t n, int64_t height, int64_t width, float least, int64_t margin,
                  float *spare, uint8_t *peaks)
    void hm_patch(int wide, const float *image, int64_t height, int64_t width, float x0, float y0, float cosine,
                  float sine, float step, const float *grid, float *out)
    void hm_bilinear(int wide, const float *image, int64_t height, int64_t width, const float *x, const float *y,
                     int64_t n, float *out)
    void hm_directions(int wide, const float *patches, int64_t n, const float *weight, const float *slope, int n_slope,
                       float *out)
    void hm_values(int wide, const float *patches, int64_t n, const int32_t *cosines, const int32_t *order,
                   const int32_t *ends, const int32_t *column, const double *mix, double *out)

PATHS = ("portable", "avx2") if hm_has_wide() else ("portable",)


cdef int _wide(path) except -1:
    if path is None:
        return hm_has_wide()
    if path not in PATHS:
        raise ValueError("this processor has no such path")
    return path == "avx2"


cdef int _within(const int64_t[::1] first, int64_t taps, int64_t size) except -1:
    """Refuse sums that would read outside, or whose places go back."""
    cdef int64_t i
    for i in range(first.shape[0]):
        if first[i] < 0 or first[i] + taps > size or (i and first[i] < first[i - 1]):
            raise ValueError("the places of a weighted sum must ascend within the picture")
    return 0


def tent_luma(const uint8_t[:, :, :] pixels, down_tents, across_tents, path=None):
    cdef const int64_t[::1] down = down_tents.first, across = across_tents.first
    cdef const float[:, ::1] down_weights = down_tents.weights, across_weights = across_tents.weights
    cdef const float[::1] shares = LUMA
    cdef int64_t height = pixels.shape[0], width = pixels.shape[1], rows = down.shape[0], columns = across.shape[0]
    cdef int64_t tall = down_weights.shape[1], broad = across_weights.shape[1], i, k, ready = 0, y
    cdef int wide = _wide(path), grey = pixels.shape[2] == 1
    cdef int64_t pixel = pixels.strides[1], channel = pixels.strides[2]
    cdef float *ring
    cdef float *total
    cdef float[:, ::1] out
    if pixels.shape[2] not in (1, 3) or not height or not width or not tall or not broad:
        raise ValueError("pixels must be grey or RGB, and sums have a tap")
    if down_weights.shape[0] != rows or across_weights.shape[0] != columns:
        raise ValueError("every place must have its weights")
    _within(down, tall, height)
    _within(across, broad, width)
    made = np.empty((rows, columns), np.float32)
    if not rows or not columns:
        return made
    out = made
    ring = <float *>malloc((tall + 1) * width * sizeof(float))
    if ring == NULL:
        raise MemoryError
    total = ring + tall * width
    with nogil:
        for i in range(rows):
            if ready < down[i]:
                ready = down[i]
            while ready < down[i] + tall:
                hm_luma(wide, &pixels[ready, 0, 0], pixel, channel, grey, width, &shares[0], ring + ready % tall * width)
                ready += 1
            hm_scaled(wide, ring + down[i] % tall * width, down_weights[i, 0], width, total)
            for k in range(1, tall):
                hm_added(wide, ring + (down[i] + k) % tall * width, down_weights[i, k], width, total)
            hm_gather(wide, total, &across[0], &across_weights[0, 0], broad, columns, &out[i, 0])
    free(ring)
    return made


def blur(const float[:, ::1] image, const float[::1] taps, int64_t step, float[:, ::1] out, path=None):
    cdef int64_t height = image.shape[0], width = image.shape[1], n_taps = taps.shape[0]
    cdef int wide = _wide(path)
    cdef float *row
    if out.shape[0] != height or out.shape[1] != width:
        raise ValueError("the blurred picture must have the shape of the picture")
    if n_taps < 1 or step < 1 or n_taps * step > 1 << 20:
        raise ValueError("a blur has taps, at least a pixel apart")
    if not height or not width:
        return
    if &out[0, 0] < &image[0, 0] + height * width and &image[0, 0] < &out[0, 0] + height * width:
        raise ValueError("a blur needs an array of its own")
    row = <float *>malloc((width + 2 * (n_taps - 1) * step) * sizeof(float))
    if row == NULL:
        raise MemoryError
    with nogil:
        hm_blur(wide, &image[0, 0], height, width, &taps[0], n_taps, step, row, &out[0, 0])
    free(row)


def peaks(const float[:, :, ::1] levels, float least, int64_t margin, path=None):
    cdef int64_t n = levels.shape[0] - 1, height = levels.shape[1], width = levels.shape[2]
    cdef int wide = _wide(path)
    cdef uint8_t[:, :, ::1] out
    cdef float *spare
    if margin < 1:
        raise ValueError("the margin is at least 1")
    made = np.zeros((max(0, n - 2), max(0, height - 2 * margin), max(0, width - 2 * margin)), np.uint8)
    if made.size:
        out = made
        spare = <float *>malloc((3 * n + 1) * width * sizeof(float))
        if spare == NULL:
            raise MemoryError
        with nogil:
            hm_peaks(wide, &levels[0, 0, 0], n, height, width, least, margin, spare, &out[0, 0, 0])
        free(spare)
    return made.view(np.bool_)


def patches(list images, const float[::1] steps, at, path=None):
    cdef const int64_t[::1] which = at.which
    cdef const float[::1] x = at.x, y = at.y, cosine = at.cosine, sine = at.sine, grid = at.grid
    cdef int64_t n = which.shape[0], i, count = len(images)
    cdef int wide = _wide(path)
    cdef const float[:, ::1] image
    cdef float[:, :, ::1] out
    cdef const float **starts
    cdef int64_t *sizes
    if not x.shape[0] == y.shape[0] == cosine.shape[0] == sine.shape[0] == n or grid.shape[0] != 16:
        raise ValueError("every patch has a place and a direction, and 16 samples a side")
    if steps.shape[0] != count:
        raise ValueError("every level has a step")
    for i in range(n):
        if which[i] < 0 or which[i] >= count:
            raise ValueError("there is no such level")
    made = np.empty((n, 16, 16), np.float32)
    if not n:
        return made
    out = made
    starts = <const float **>malloc(count * sizeof(float *))
    sizes = <int64_t *>malloc(2 * count * sizeof(int64_t))
    try:
        if starts == NULL or sizes == NULL:
            raise MemoryError
        for i in range(count):
            image = images[i]
            if image.shape[0] < 2 or image.shape[1] < 2 or image.shape[0] * image.shape[1] > 1 << 30:
                raise ValueError("a level has at least 2 samples a side")
            starts[i], sizes[2 * i], sizes[2 * i + 1] = &image[0, 0], image.shape[0], image.shape[1]
        with nogil:
            for i in range(n):
                hm_patch(wide, starts[which[i]], sizes[2 * which[i]], sizes[2 * which[i] + 1], x[i], y[i], cosine[i],
                         sine[i], steps[which[i]], &grid[0], &out[i, 0, 0])
    finally:
        free(starts)
        free(sizes)
    return made


def bilinear(const float[:, ::1] image, const float[::1] x, const float[::1] y, path=None):
    cdef int64_t height = image.shape[0], width = image.shape[1], n = x.shape[0], i
    cdef int wide = _wide(path)
    cdef bint numbers = True
    cdef float[::1] out
    if height < 2 or width < 2 or height * width > 1 << 30:
        raise ValueError("a picture has at least 2 samples a side")
    if y.shape[0] != n:
        raise ValueError("every sample has two places")
    made = np.empty(n, np.float32)
    if n:
        out = made
        with nogil:
            for i in range(n):
                numbers = numbers and x[i] == x[i] and y[i] == y[i]
            if numbers:
                hm_bilinear(wide, &image[0, 0], height, width, &x[0], &y[0], n, &out[0])
        if not numbers:
            raise ValueError("a place must be a number")
    return made


def directions(const float[:, :, ::1] sampled, const float[:, ::1] weight, path=None):
    cdef int64_t n = sampled.shape[0]
    cdef const float[::1] slope = SLOPE
    cdef int wide = _wide(path), terms = <int>slope.shape[0]
    cdef float[::1] out
    if sampled.shape[1] != 16 or sampled.shape[2] != 16 or weight.shape[0] != 16 or weight.shape[1] != 16:
        raise ValueError("patches and weights have 16 x 16 samples")
    made = np.empty(n, np.float32)
    if n:
        out = made
        with nogil:
            hm_directions(wide, &sampled[0, 0, 0], n, &weight[0, 0], &slope[0], terms, &out[0])
    return made


def coefficients(const float[:, :, ::1] sampled, const int32_t[:, ::1] cosines, const int32_t[:, ::1] order,
                 const double[:, ::1] turn, path=None):
    cdef int64_t n = sampled.shape[0], i, j, k
    cdef int wide = _wide(path)
    cdef int32_t found = 0
    cdef bint fits = True
    cdef int32_t *ends
    cdef int32_t *column
    cdef double *mix
    cdef double[:, ::1] out
    if sampled.shape[1] != 16 or sampled.shape[2] != 16 or cosines.shape[0] != 16 or cosines.shape[1] != 16:
        raise ValueError("patches and cosines have 16 x 16 numbers")
    if order.shape[0] != 128 or order.shape[1] != 2 or turn.shape[0] != 128 or turn.shape[1] != 128:
        raise ValueError("there are 128 coefficients")
    for i in range(128):
        if order[i, 0] < 0 or order[i, 1] < 0 or order[i, 0] + order[i, 1] > 15:
            raise ValueError("there is no such coefficient")
    for i in range(256):
        fits = fits and -1024 <= cosines[i // 16, i % 16] <= 1024
    with nogil:
        for i in range(n):
            for j in range(16):
                for k in range(16):
                    fits = fits and fabs(sampled[i, j, k]) <= 256.0
    if not fits:
        raise ValueError("samples are at most 256 in size and cosines at most 1,024")
    made = np.empty((n, 128), np.float64)
    if not n:
        return made
    out = made
    ends = <int32_t *>malloc(129 * sizeof(int32_t))
    column = <int32_t *>malloc(128 * 128 * sizeof(int32_t))
    mix = <double *>malloc(128 * 128 * sizeof(double))
    if ends != NULL and column != NULL and mix != NULL:
        with nogil:
            for i in range(128):
                ends[i] = found
                for j in range(128):
                    if turn[i, j] != 0.0:
                        column[found], mix[found] = <int32_t>j, turn[i, j]
                        found += 1
            ends[128] = found
            hm_values(wide, &sampled[0, 0, 0], n, &cosines[0, 0], &order[0, 0], ends, column, mix, &out[0, 0])
    else:
        made = None
    free(ends)
    free(column)
    free(mix)
    if made is None:
        raise MemoryError
    return made
