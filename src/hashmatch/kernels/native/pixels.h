/* The loops of pixels.pyx. Every body is compiled twice: portable, and for AVX2 where the compiler can. Sums
   are of whole numbers, or of floats in one stated order without fused multiply-add, so both give the same bits. */
#ifndef HASHMATCH_PIXELS_H
#define HASHMATCH_PIXELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_PIXELS_AVX2 1
#include <immintrin.h>
#define HM_WIDE __attribute__((target("avx2,fma")))
#define HM_BODY static inline __attribute__((always_inline))
static int hm_pixels_wide(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
#define HM_WIDE
#define HM_BODY static inline
static int hm_pixels_wide(void) { return 0; }
#endif

#if defined(_MSC_VER)
#define HM_RESTRICT __restrict
#else
#define HM_RESTRICT restrict
#endif

#if defined(__GNUC__) || defined(__clang__)
typedef double hm_four __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint32_t hm_quad __attribute__((vector_size(16), aligned(4), may_alias));
#endif

#define HM_SIDE 64
#define HM_TILE 16384
#define HM_GROUP_WEIGHT 257 /* 255 * 257 fits 16 bits */
#define HM_LANES 12         /* a multiple of the steps 1, 3 and 4 */

/* Windows of one side; the arrays belong to the caller. */
typedef struct {
    int64_t n;
    const int64_t *starts, *stops, *offsets, *cells;
    const double *weights;
    const uint8_t *whole;
    double scale;
} hm_taps;

/* ---- weighted sums of rows ---- */

static int64_t hm_box(int64_t n) { return (n + 2 * HM_SIDE - 1) / (2 * HM_SIDE); }
static int64_t hm_sample(int64_t cell, int64_t n) { return (2 * cell + 1) * n / (2 * HM_SIDE); }

HM_BODY void hm_add4(uint16_t *HM_RESTRICT total, const uint8_t *HM_RESTRICT a, const uint8_t *HM_RESTRICT b,
                     const uint8_t *HM_RESTRICT c, const uint8_t *HM_RESTRICT d, const uint16_t *w, int64_t n)
{
    const uint16_t wa = w[0], wb = w[1], wc = w[2], wd = w[3];
    for (int64_t i = 0; i < n; i++)
        total[i] = (uint16_t)(total[i] + (uint16_t)(wa * a[i]) + (uint16_t)(wb * b[i]) + (uint16_t)(wc * c[i])
                              + (uint16_t)(wd * d[i]));
}

HM_BODY void hm_add1(uint16_t *HM_RESTRICT total, const uint8_t *HM_RESTRICT a, uint16_t weight, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] = (uint16_t)(total[i] + (uint16_t)(weight * a[i]));
}

HM_BODY void hm_flush(uint32_t *HM_RESTRICT sums, uint16_t *HM_RESTRICT total, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sums[i] += total[i];
    memset(total, 0, (size_t)n * sizeof *total);
}

/* Rows under one window of whole weights up to 257, in 16 bits as long as those hold the sum. */
HM_BODY void hm_whole_rows(const uint8_t *rows, int64_t stride, int64_t count, const double *weights, int64_t n,
                           uint16_t *total, uint32_t *HM_RESTRICT sums)
{
    int flushed = 0, pending = 0;
    memset(total, 0, (size_t)n * sizeof *total);
    for (int64_t y = 0; y < count;) {
        uint16_t w[4] = {0, 0, 0, 0};
        int taken = 0, weight = 0;
        while (taken < 4 && y + taken < count) {
            int next = (int)weights[y + taken];
            if (taken && pending + weight + next > HM_GROUP_WEIGHT)
                break;
            w[taken++] = (uint16_t)next;
            weight += next;
        }
        if (pending + weight > HM_GROUP_WEIGHT) {
            if (!flushed)
                memset(sums, 0, (size_t)n * sizeof *sums);
            hm_flush(sums, total, n);
            flushed = 1;
            pending = 0;
        }
        const uint8_t *row = rows + y * stride;
        if (taken == 4)
            hm_add4(total, row, row + stride, row + 2 * stride, row + 3 * stride, w, n);
        else
            for (int k = 0; k < taken; k++)
                hm_add1(total, row + k * stride, w[k], n);
        pending += weight;
        y += taken;
    }
    if (flushed)
        hm_flush(sums, total, n);
    else
        for (int64_t i = 0; i < n; i++)
            sums[i] = total[i];
}

#ifdef HM_PIXELS_AVX2
/* The same for weights up to 64, two rows in one multiplication. Of every 32 numbers `total` holds 0 to 7, 16 to 23,
   8 to 15 and 24 to 31, as unpacking leaves them; what is over at the end of a row is left to the loop above. */
HM_WIDE static void hm_flush_wide(uint32_t *HM_RESTRICT sums, const uint16_t *HM_RESTRICT total, int64_t n, int added)
{
    for (int64_t i = 0; i < n; i += 32)
        for (int64_t k = 0; k < 4; k++) {
            const int64_t from = i + (k % 2) * 16 + (k / 2) * 8;
            __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(total + from)));
            __m256i *out = (__m256i *)(sums + i + 8 * k);
            if (added)
                wide = _mm256_add_epi32(wide, _mm256_loadu_si256(out));
            _mm256_storeu_si256(out, wide);
        }
}

HM_WIDE static void hm_whole_rows_wide(const uint8_t *rows, int64_t stride, int64_t count, const double *weights,
                                       int64_t n, uint16_t *HM_RESTRICT total, uint32_t *HM_RESTRICT sums)
{
    int flushed = 0, pending = 0;
    const int64_t even = n / 32 * 32;
    for (int64_t y = 0; y < count;) {
        int w[4] = {0, 0, 0, 0}, taken = 0, weight = 0;
        while (taken < 4 && y + taken < count) {
            const int next = (int)weights[y + taken];
            if (taken && pending + weight + next > HM_GROUP_WEIGHT)
                break;
            w[taken++] = next;
            weight += next;
        }
        if (pending + weight > HM_GROUP_WEIGHT) {
            hm_flush_wide(sums, total, even, flushed);
            flushed = 1;
            pending = 0;
        }
        const uint8_t *a = rows + y * stride, *b = taken > 1 ? a + stride : a;
        const uint8_t *c = taken > 2 ? b + stride : a, *d = taken > 3 ? c + stride : a;
        const __m256i first = _mm256_set1_epi16((int16_t)(w[0] | w[1] << 8));
        const __m256i second = _mm256_set1_epi16((int16_t)(w[2] | w[3] << 8));
        for (int64_t i = 0; i < even; i += 32) {
            const __m256i one = _mm256_loadu_si256((const __m256i *)(a + i));
            const __m256i two = _mm256_loadu_si256((const __m256i *)(b + i));
            const __m256i three = _mm256_loadu_si256((const __m256i *)(c + i));
            const __m256i four = _mm256_loadu_si256((const __m256i *)(d + i));
            __m256i *out = (__m256i *)(total + i);
            __m256i low = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(one, two), first);
            __m256i high = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(one, two), first);
            low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(three, four), second));
            high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(three, four), second));
            if (pending) {
                low = _mm256_add_epi16(low, _mm256_loadu_si256(out));
                high = _mm256_add_epi16(high, _mm256_loadu_si256(out + 1));
            }
            _mm256_storeu_si256(out, low);
            _mm256_storeu_si256(out + 1, high);
        }
        pending += weight;
        y += taken;
    }
    hm_flush_wide(sums, total, even, flushed);
    hm_whole_rows(rows + even, stride, count, weights, n - even, total, sums + even);
}
#endif

/* Rows under any window: products and sums are exact in doubles, then cut to multiples of 1 / unit. */
HM_BODY void hm_cut_rows(const uint8_t *rows, int64_t stride, int64_t count, const double *weights, int64_t n,
                         double unit, double *HM_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = 0.0;
    for (int64_t y = 0; y < count; y++) {
        const uint8_t *HM_RESTRICT row = rows + y * stride;
        const double weight = weights[y];
        for (int64_t i = 0; i < n; i++)
            out[i] += weight * (double)row[i];
    }
    if (unit != 0.0)
        for (int64_t i = 0; i < n; i++)
            out[i] = rint(out[i] * unit) / unit;
}

/* Sum of products in 12 lanes; all terms are multiples of one unit and exact, so the order does not show. */
HM_BODY void hm_dot(const double *HM_RESTRICT row, const double *HM_RESTRICT weights, int64_t n, double *lanes)
{
    int64_t i = 0;
#if defined(__GNUC__) || defined(__clang__)
    hm_four a = {0.0, 0.0, 0.0, 0.0}, b = a, c = a;
    for (; i + HM_LANES <= n; i += HM_LANES) {
        const hm_four *x = (const hm_four *)(row + i), *w = (const hm_four *)(weights + i);
        a += x[0] * w[0];
        b += x[1] * w[1];
        c += x[2] * w[2];
    }
    memcpy(lanes, &a, sizeof a);
    memcpy(lanes + 4, &b, sizeof b);
    memcpy(lanes + 8, &c, sizeof c);
#else
    for (int j = 0; j < HM_LANES; j++)
        lanes[j] = 0.0;
    for (; i + HM_LANES <= n; i += HM_LANES)
        for (int j = 0; j < HM_LANES; j++)
            lanes[j] += row[i + j] * weights[i + j];
#endif
    for (int j = 0; i + j < n; j++)
        lanes[j] += row[i + j] * weights[i + j];
}

/* Sums of sums of the pixels before each place, four numbers a pixel, modulo 2^32: a tent is three of them. sums has
   three numbers of anything after its end. */
HM_BODY void hm_twice_summed(const uint32_t *sums, int64_t width, int step, uint32_t *HM_RESTRICT twice)
{
#if defined(__GNUC__) || defined(__clang__)
    hm_quad once = {0, 0, 0, 0}, all = {0, 0, 0, 0};
    for (int64_t x = 0; x < width; x++) {
        all += once;
        once += *(const hm_quad *)(sums + x * step);
        *(hm_quad *)(twice + 4 * x + 4) = all;
    }
#else
    uint32_t once[4] = {0, 0, 0, 0}, all[4] = {0, 0, 0, 0};
    for (int64_t x = 0; x < width; x++)
        for (int c = 0; c < 4; c++) {
            all[c] += once[c];
            once[c] += sums[x * step + c];
            twice[4 * x + 4 + c] = all[c];
        }
#endif
    for (int c = 0; c < 4; c++) {
        twice[c] = 0;
        twice[4 * width + 4 + c] = all[c] + once[c];
    }
}

HM_BODY void hm_luma(double parts[4][HM_SIDE], int64_t n, int step, double scale, double *HM_RESTRICT out)
{
    if (step == 1)
        for (int64_t h = 0; h < n; h++)
            out[h] = parts[0][h] / scale;
    else
        for (int64_t h = 0; h < n; h++) {
            double luma = parts[0][h] * 0.299;
            luma += parts[1][h] * 0.587;
            luma += parts[2][h] * 0.114;
            out[h] = luma / scale;
        }
}

/* Averages of the picture under all pairs of windows, as luma, for some sets of rows' windows and some of columns'.
   Sets of rows' windows go down side by side, as they look at nearly the same rows. spread: for each set of columns'
   windows the weights, each repeated `step` times. small: (ends, sets, 64, 64). */
HM_BODY int hm_tent_body(const uint8_t *base, int64_t stride, int64_t length, int step, const hm_taps *downs,
                         int ends, const hm_taps *along, int sets, const double *const *spread, double unit, int wide,
                         double *small)
{
    const int64_t width = (length + (step == 4)) / step, box = hm_box(width);
    const int narrow = downs->scale <= 257.0 * 257.0, fits = narrow && downs->scale * along->scale <= 16777216.0;
    uint16_t *total = malloc(HM_TILE * sizeof *total);
    uint32_t *sums = calloc((size_t)length + 3, sizeof *sums);
    uint32_t *twice = malloc((size_t)(4 * width + 8) * sizeof *twice);
    double *row = malloc((size_t)length * sizeof *row);
    double *cells = malloc((size_t)(ends * sets) * HM_SIDE * HM_SIDE * sizeof *cells);
    int failed = !total || !sums || !twice || !row || !cells;
    for (int64_t at = 0; !failed && at < HM_SIDE * ends; at++) {
        const hm_taps *down = downs + at % ends;
        const int64_t v = at / ends;
        if (v >= down->n)
            continue;
        const double *weights = down->weights + down->offsets[v];
        const uint8_t *rows = base + down->starts[v] * stride;
        int64_t count = down->stops[v] - down->starts[v];
        const int in_whole = down->whole[v] && narrow, in_sums = in_whole && fits;
        for (int64_t x = 0; x < length; x += HM_TILE) {
            int64_t n = length - x < HM_TILE ? length - x : HM_TILE;
#ifdef HM_PIXELS_AVX2
            if (wide && in_whole && down->scale <= 64.0 * 64.0)
                hm_whole_rows_wide(rows + x, stride, count, weights, n, total, sums + x);
            else
#endif
            if (in_whole)
                hm_whole_rows(rows + x, stride, count, weights, n, total, sums + x);
            else
                hm_cut_rows(rows + x, stride, count, weights, n, down->whole[v] && unit >= 1.0 ? 0.0 : unit, row + x);
        }
        if (in_sums)
            hm_twice_summed(sums, width, step, twice);
        else if (in_whole)
            for (int64_t i = 0; i < length; i++)
                row[i] = (double)(int32_t)sums[i]; /* at most 255 * 257^2 */
        for (int set = 0; set < sets; set++) {
            const hm_taps *taps = along + set;
            double parts[4][HM_SIDE];
            for (int64_t h = 0; h < taps->n; h++) {
                double part[4] = {0.0, 0.0, 0.0, 0.0};
                int64_t first = taps->starts[h] * step, last = taps->stops[h] * step;
                if (last > length)
                    last = length;
                if (in_sums && taps->whole[h]) {
                    const uint32_t *peak = twice + 4 * (taps->starts[h] + box);
                    const uint32_t *end = peak + 4 * box, *begin = peak - 4 * box;
                    for (int c = 0; c < 4; c++)
                        part[c] = (double)(end[c] - 2 * peak[c] + begin[c]);
                } else {
                    double lanes[HM_LANES];
                    if (in_sums)
                        for (int64_t i = first; i < last; i++)
                            row[i] = (double)(int32_t)sums[i];
                    hm_dot(row + first, spread[set] + taps->offsets[h] * step, last - first, lanes);
                    for (int j = 0; j < HM_LANES; j++)
                        part[j % step] += lanes[j];
                }
                for (int c = 0; c < 4; c++)
                    parts[c][h] = part[c];
            }
            hm_luma(parts, taps->n, step, down->scale * taps->scale,
                    cells + ((at % ends * sets + set) * HM_SIDE + v) * HM_SIDE);
        }
    }
    for (int pair = 0; !failed && pair < ends * sets; pair++)
        for (int i = 0; i < HM_SIDE; i++)
            for (int j = 0; j < HM_SIDE; j++)
                small[(pair * HM_SIDE + i) * HM_SIDE + j] =
                    cells[(pair * HM_SIDE + downs[pair / sets].cells[i]) * HM_SIDE + along[pair % sets].cells[j]];
    free(total);
    free(sums);
    free(twice);
    free(row);
    free(cells);
    return failed;
}

#include "cells.h"
#include "running.h"
#include "transform.h"

/* ---- each body for both paths ---- */

#define HM_TWICE(RESULT, NAME, PARAMETERS, PORTABLE, WIDE)                                                             \
    static RESULT NAME##_portable PARAMETERS { PORTABLE; }                                                             \
    HM_WIDE static RESULT NAME##_wide PARAMETERS { WIDE; }

HM_TWICE(int, hm_tent,
         (const uint8_t *base, int64_t stride, int64_t length, int step, const hm_taps *downs, int ends,
          const hm_taps *along, int sets, const double *const *spread, double unit, double *small),
         return hm_tent_body(base, stride, length, step, downs, ends, along, sets, spread, unit, 0, small),
         return hm_tent_body(base, stride, length, step, downs, ends, along, sets, spread, unit, 1, small))

HM_TWICE(void, hm_transform_double, (const double *small, const double *cosines, double *out),
         hm_transform_double_body(small, cosines, out), hm_transform_double_body(small, cosines, out))

HM_TWICE(void, hm_transform_float, (const float *small, const float *cosines, float *out),
         hm_transform_float_body(small, cosines, out), hm_transform_float_body(small, cosines, out))

HM_TWICE(int, hm_cells,
         (const uint8_t *base, int64_t stride, int step, int64_t tall, int64_t wide, int64_t down, int64_t across,
          int16_t *out),
         return hm_cells_body(base, stride, step, tall, wide, down, across, out),
         return hm_cells_body(base, stride, step, tall, wide, down, across, out))

#endif
