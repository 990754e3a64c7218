# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Compiled twins of `hashmatch.kernels.numpy.borders`: the same bits, and where it is worth it without the
interpreter's lock."""

from libc.math cimport floor
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

import numpy as np

from hashmatch.kernels.numpy import borders as rules

cdef extern from "borders.h" nogil:
    ctypedef struct hm_lines:
        const int16_t *first
        int64_t channels, lines, samples, channel, line, sample

    ctypedef struct hm_strip:
        const uint8_t *first
        int64_t channels, lines, samples, channel, line, sample

    ctypedef struct hm_seam_rule:
        int64_t skip, far
        int cap
        double smooth, sharper, dull, dim
        const int64_t *back
        int64_t backs

    int hm_borders_wide()
    int hm_line_colour(const hm_lines *, int64_t, int16_t *, int *)
    int hm_median_away(const hm_lines *, const int16_t *, double *)
    int hm_off_middle(const hm_lines *, int, int64_t *)
    int hm_rises_portable(const hm_lines *, const int16_t *, const int *, const int *, int64_t, int64_t, int64_t,
                          int64_t, int64_t, double, double, double *, double *)
    int hm_rises_wide(const hm_lines *, const int16_t *, const int *, const int *, int64_t, int64_t, int64_t,
                      int64_t, int64_t, double, double, double *, double *)
    void hm_line_textures(const hm_lines *, int, double *)
    int hm_seams_portable(const hm_lines *, const hm_seam_rule *, double *)
    int hm_seams_wide(const hm_lines *, const hm_seam_rule *, double *)
    int64_t hm_ramp_rest_portable(const hm_lines *, double)
    int64_t hm_ramp_rest_wide(const hm_lines *, double)
    int hm_profile_portable(const hm_strip *, const int16_t *, int32_t, int64_t, int32_t, int64_t *)
    int hm_profile_wide(const hm_strip *, const int16_t *, int32_t, int64_t, int32_t, int64_t *)

PATHS = ("portable", "avx2") if hm_borders_wide() else ("portable",)

DEF MOST_CHANNELS = 3
DEF MOST_SAMPLES = 32767
DEF MOST_TOLERANCES = 2
DEF MOST_BACKS = 8

cdef double DUST = rules.DUST, GROUND = rules.GROUND, FINE = rules.FINE
cdef int CAP = rules.CAP, CHANGE = 16 * rules.MOST_CHANGE, PART = rules.PART
cdef int64_t BACK[MOST_BACKS]
cdef hm_seam_rule SEAMS
SEAMS.far, SEAMS.cap, SEAMS.smooth = rules.FAR, 2 * rules.CAP, rules.SMOOTH
SEAMS.sharper, SEAMS.dull, SEAMS.dim = rules.SHARPER, rules.DULL, rules.DIM
SEAMS.backs = len(rules.BACK)
for number, lag in enumerate(rules.BACK[:MOST_BACKS]):
    BACK[number] = lag


cdef int _wide(path) except -1:
    if path is None:
        return hm_borders_wide()
    if path not in PATHS:
        raise ValueError("this processor has no such path")
    return path == "avx2"


cdef hm_lines _lines(const int16_t[:, :, :] cells, int packed, int64_t least_lines, int64_t least_samples) except *:
    """Samples of lines as the loops take them; `packed` where those of a line must follow each other."""
    cdef hm_lines lines
    if not 1 <= cells.shape[0] <= MOST_CHANNELS or cells.shape[1] < least_lines:
        raise ValueError("cells have one to three channels, and there are as many lines as are looked at")
    if not least_samples <= cells.shape[2] <= MOST_SAMPLES:
        raise ValueError("a line has as many samples as are looked at, and fewer than 32,768")
    if packed and cells.strides[2] != sizeof(int16_t):
        raise ValueError("the samples of a line follow each other")
    lines.first = &cells[0, 0, 0]
    lines.channels, lines.lines, lines.samples = cells.shape[0], cells.shape[1], cells.shape[2]
    lines.channel, lines.line = cells.strides[0] // 2, cells.strides[1] // 2
    lines.sample = cells.strides[2] // 2
    return lines


cdef int _check_colour(const int16_t[::1] colour, int64_t channels) except -1:
    if colour.shape[0] != channels:
        raise ValueError("a colour has a number for each channel")
    return 0


cdef _refuse_levels():
    raise ValueError("samples lie within -512 to 511")


# What takes some microseconds keeps the interpreter's lock: asking for it again would take longer.


def line_colour(const int16_t[:, :] line):
    cdef const int16_t[:, :, :] cells = line[:, None, :]
    cdef hm_lines lines = _lines(cells, 0, 1, 1)
    cdef int64_t rank = <int64_t> (0.95 * (lines.samples - 1))
    cdef int spread = 0, failed
    cdef int16_t[::1] to_colour
    colour = np.empty(lines.channels, np.int16)
    to_colour = colour
    failed = hm_line_colour(&lines, rank, &to_colour[0], &spread)
    if failed:
        _refuse_levels()
    return colour, spread


def median_away(const int16_t[:, :] line, const int16_t[::1] colour):
    cdef const int16_t[:, :, :] cells = line[:, None, :]
    cdef hm_lines lines = _lines(cells, 0, 1, 1)
    cdef double median = 0.0
    cdef int failed
    _check_colour(colour, lines.channels)
    failed = hm_median_away(&lines, &colour[0], &median)
    if failed:
        _refuse_levels()
    return median


def border_rises(const int16_t[:, :, :] cells, const int16_t[::1] colour, tolerances, int64_t skip, int64_t least,
                 int64_t deepest, int64_t text, path=None):
    cdef hm_lines lines = _lines(cells, 1, 5, 1)
    cdef int wide = _wide(path), limits[MOST_TOLERANCES], sudden[MOST_TOLERANCES], failed
    cdef int64_t count = len(tolerances), t
    cdef double[:, ::1] to_full, to_rises
    _check_colour(colour, lines.channels)
    if not 1 <= count <= MOST_TOLERANCES or skip < 0 or 2 * skip >= lines.samples:
        raise ValueError("one or two tolerances, and samples are left between the ends of a line")
    for t in range(count):
        # differences are whole numbers
        limits[t] = <int> floor(min(tolerances[t], 10000.0))
        sudden[t] = max(5, limits[t])
    full, rises = np.empty((count, lines.lines)), np.empty((count, lines.lines))
    to_full, to_rises = full, rises
    with nogil:
        if wide:
            failed = hm_rises_wide(&lines, &colour[0], limits, sudden, count, skip, least, deepest, text, DUST, GROUND,
                                   &to_full[0, 0], &to_rises[0, 0])
        else:
            failed = hm_rises_portable(&lines, &colour[0], limits, sudden, count, skip, least, deepest, text, DUST,
                                       GROUND, &to_full[0, 0], &to_rises[0, 0])
    if failed:
        raise MemoryError
    return full, rises


def line_textures(const int16_t[:, :] luma):
    cdef const int16_t[:, :, :] cells = luma[None, :, :]
    cdef hm_lines lines = _lines(cells, 0, 1, 3)
    cdef double[::1] to_means
    means = np.empty(lines.lines)
    to_means = means
    hm_line_textures(&lines, 2 * CAP, &to_means[0])
    return means


def seam_strengths(const int16_t[:, :, :] cells, int64_t skip, path=None):
    cdef hm_lines lines = _lines(cells, 1, 5, 3)
    cdef hm_seam_rule rule = SEAMS
    cdef int wide = _wide(path), failed
    cdef double[::1] to_seams
    if skip < 0 or 2 * skip >= lines.samples:
        raise ValueError("samples are left between the ends of a line")
    rule.skip, rule.back = skip, BACK
    seams = np.empty(lines.lines)
    to_seams = seams
    with nogil:
        if wide:
            failed = hm_seams_wide(&lines, &rule, &to_seams[0])
        else:
            failed = hm_seams_portable(&lines, &rule, &to_seams[0])
    if failed:
        raise MemoryError
    return seams


def ramp_rest(const int16_t[:, :] luma, path=None):
    cdef const int16_t[:, :, :] cells = luma[None, :, :]
    cdef hm_lines lines = _lines(cells, 1, 1, 2)
    cdef int wide = _wide(path)
    cdef int64_t parts
    with nogil:
        parts = hm_ramp_rest_wide(&lines, FINE) if wide else hm_ramp_rest_portable(&lines, FINE)
    return <double> parts / FINE / <double> (lines.lines * lines.samples)


def step_profile(const uint8_t[:, :, :] pixels, colour, double tolerance, int64_t tail, path=None):
    cdef hm_strip strip
    cdef int wide = _wide(path), failed
    cdef int16_t sixteenths[MOST_CHANNELS]
    cdef const int16_t *given = NULL
    cdef int32_t limit = 0
    cdef int64_t[::1] to_profile
    if pixels.shape[0] not in (1, 3) or pixels.shape[1] < 2 or not 1 <= pixels.shape[2] <= 2048:
        raise ValueError("a strip is grey or RGB, of two or more lines of at most 2,048 samples")
    if colour is not None:
        if len(colour) != pixels.shape[0] or not 0 <= tail < pixels.shape[1] or not 0 <= tolerance <= 1024:
            raise ValueError("a colour has a number for each channel, and some lines are content")
        if max(abs(int(value)) for value in colour) > 512:
            _refuse_levels()
        for number, value in enumerate(colour):
            sixteenths[number] = 16 * int(value)
        given = sixteenths
        limit = round(16 * PART * tolerance)
    strip.first = &pixels[0, 0, 0]
    strip.channels, strip.lines, strip.samples = pixels.shape[0], pixels.shape[1], pixels.shape[2]
    strip.channel, strip.line, strip.sample = pixels.strides[0], pixels.strides[1], pixels.strides[2]
    profile = np.empty(strip.lines - (colour is None), np.int64)
    to_profile = profile
    with nogil:
        if wide:
            failed = hm_profile_wide(&strip, given, limit, tail, CHANGE, &to_profile[0])
        else:
            failed = hm_profile_portable(&strip, given, limit, tail, CHANGE, &to_profile[0])
    if failed:
        raise MemoryError
    return profile


def off_middle(const int16_t[:, :, :] cells, int tolerance):
    cdef hm_lines lines = _lines(cells, 0, 1, 1)
    cdef int64_t count = 0
    cdef int failed
    with nogil:
        failed = hm_off_middle(&lines, tolerance, &count)
    if failed:
        _refuse_levels()
    return count
