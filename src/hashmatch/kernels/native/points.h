/* Inner loops of the keypoint kernels. Every float sum is taken in one fixed order, the same on every path, and nothing
   is fused: wider registers change the speed alone. `HM_BOTH` makes of each loop a portable and an AVX2 build. */
#ifndef HASHMATCH_POINTS_H
#define HASHMATCH_POINTS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_AVX2 1
#define HM_INLINE static inline __attribute__((always_inline))
#define HM_WIDE __attribute__((target("avx2,popcnt")))
#define HM_FETCH(address) __builtin_prefetch(address)
#else
#define HM_AVX2 0
#define HM_INLINE static inline
#define HM_FETCH(address) ((void)0)
#endif

#if defined(_MSC_VER)
#define HM_ALONE __restrict
#else
#define HM_ALONE restrict
#endif

#if HM_AVX2
#define HM_BOTH(name, declared, passed)                                                                                \
    HM_WIDE static void name##_wide declared { name##_body passed; }                                                   \
    static void name##_plain declared { name##_body passed; }                                                          \
    static void name(int wide, HM_UNPACK declared { if (wide) name##_wide passed; else name##_plain passed; }
#define HM_UNPACK(...) __VA_ARGS__)
#else
#define HM_BOTH(name, declared, passed)                                                                                \
    static void name(int wide, HM_UNPACK declared { (void)wide; name##_body passed; }
#define HM_UNPACK(...) __VA_ARGS__)
#endif

static int hm_has_wide(void)
{
#if HM_AVX2
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#else
    return 0;
#endif
}

/* Luma of one row: c0 R + c1 G + c2 B, each product and sum rounded. */
HM_INLINE void hm_luma_body(const uint8_t *HM_ALONE row, int64_t pixel, int64_t channel, int grey, int64_t width,
                            const float *HM_ALONE share, float *HM_ALONE out)
{
    int64_t x;
    if (grey && pixel == 1) {
        for (x = 0; x < width; x++) out[x] = (float)row[x];
    } else if (grey) {
        for (x = 0; x < width; x++) out[x] = (float)row[x * pixel];
    } else if (pixel == 3 && channel == 1) {
        float a = share[0], b = share[1], c = share[2];
        for (x = 0; x < width; x++)
            out[x] = ((float)row[3 * x] * a + (float)row[3 * x + 1] * b) + (float)row[3 * x + 2] * c;
    } else if (HM_AVX2 && pixel == 4 && channel == 1) { /* four bytes at a time, but for the last pixel's fourth */
        float a = share[0], b = share[1], c = share[2];
        const uint8_t *at = row + 4 * (width - 1);
        for (x = 0; x < width - 1; x++) {
            uint32_t four;
            memcpy(&four, row + 4 * x, 4);
            out[x] = ((float)(int32_t)(four & 255) * a + (float)(int32_t)(four >> 8 & 255) * b) +
                     (float)(int32_t)(four >> 16 & 255) * c;
        }
        out[width - 1] = ((float)at[0] * a + (float)at[1] * b) + (float)at[2] * c;
    } else {
        float a = share[0], b = share[1], c = share[2];
        for (x = 0; x < width; x++) {
            const uint8_t *at = row + x * pixel;
            out[x] = ((float)at[0] * a + (float)at[channel] * b) + (float)at[2 * channel] * c;
        }
    }
}
HM_BOTH(hm_luma,
        (const uint8_t *row, int64_t pixel, int64_t channel, int grey, int64_t width, const float *share, float *out),
        (row, pixel, channel, grey, width, share, out))

HM_INLINE void hm_scaled_body(const float *HM_ALONE row, float weight, int64_t n, float *HM_ALONE out)
{
    int64_t x;
    for (x = 0; x < n; x++) out[x] = row[x] * weight;
}
HM_BOTH(hm_scaled, (const float *row, float weight, int64_t n, float *out), (row, weight, n, out))

HM_INLINE void hm_added_body(const float *HM_ALONE row, float weight, int64_t n, float *HM_ALONE out)
{
    int64_t x;
    for (x = 0; x < n; x++) out[x] = out[x] + row[x] * weight;
}
HM_BOTH(hm_added, (const float *row, float weight, int64_t n, float *out), (row, weight, n, out))

/* Weighted sums of neighbours along one row: output i takes `taps` samples from first[i]. */
HM_INLINE void hm_gather_body(const float *HM_ALONE row, const int64_t *HM_ALONE first, const float *HM_ALONE weights,
                              int64_t taps, int64_t n, float *HM_ALONE out)
{
    int64_t i, k;
    for (i = 0; i < n; i++) {
        const float *at = row + first[i], *w = weights + i * taps;
        float sum = at[0] * w[0];
        for (k = 1; k < taps; k++) sum = sum + at[k] * w[k];
        out[i] = sum;
    }
}
HM_BOTH(hm_gather,
        (const float *row, const int64_t *first, const float *weights, int64_t taps, int64_t n, float *out),
        (row, first, weights, taps, n, out))

/* Two rows at the same distance of the middle one. */
HM_INLINE void hm_pair_body(const float *HM_ALONE a, const float *HM_ALONE b, float weight, int64_t n,
                            float *HM_ALONE out)
{
    int64_t x;
    for (x = 0; x < n; x++) out[x] = out[x] + (a[x] + b[x]) * weight;
}

/* Mirror a place into 0 .. n - 1, the outermost sample repeated. */
static int64_t hm_mirror(int64_t at, int64_t n)
{
    int64_t around = 2 * n;
    at %= around;
    if (at < 0) at += around;
    return at < n ? at : around - 1 - at;
}

/* Blur down, then across. `row` has width + 2 reach floats. */
HM_INLINE void hm_blur_body(const float *image, int64_t height, int64_t width, const float *taps, int64_t n_taps,
                            int64_t step, float *row, float *out)
{
    int64_t reach = (n_taps - 1) * step, y, x, k;
    float *middle = row + reach;
    for (y = 0; y < height; y++) {
        const float *here = image + y * width;
        float *HM_ALONE mid = middle;
        float *HM_ALONE to = out + y * width;
        for (x = 0; x < width; x++) mid[x] = here[x] * taps[0];
        for (k = 1; k < n_taps; k++)
            hm_pair_body(image + hm_mirror(y - k * step, height) * width, image + hm_mirror(y + k * step, height) * width,
                         taps[k], width, mid);
        for (x = 1; x <= reach; x++) {
            middle[-x] = middle[hm_mirror(-x, width)];
            middle[width - 1 + x] = middle[hm_mirror(width - 1 + x, width)];
        }
        for (x = 0; x < width; x++) to[x] = middle[x] * taps[0];
        for (k = 1; k < n_taps; k++) hm_pair_body(middle - k * step, middle + k * step, taps[k], width, to);
    }
}
HM_BOTH(hm_blur,
        (const float *image, int64_t height, int64_t width, const float *taps, int64_t n_taps, int64_t step, float *row,
         float *out),
        (image, height, width, taps, n_taps, step, row, out))

#define HM_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Mark samples of |difference of levels| that no neighbour in 3x3x3 exceeds. `spare` has (3 n + 1) width floats, n the
   number of differences; `peaks` is (n - 2, height - 2 margin, width - 2 margin), margin at least 1. */
HM_INLINE void hm_peaks_body(const float *levels, int64_t n, int64_t height, int64_t width, float least, int64_t margin,
                             float *spare, uint8_t *peaks)
{
    int64_t plane = height * width, rows = height - 2 * margin, columns = width - 2 * margin, y, z, x;
    float *HM_ALONE most = spare + 3 * n * width;
    for (y = margin - 1; y <= height - margin; y++) {
        for (z = 0; z < n; z++) {
            const float *HM_ALONE fine = levels + z * plane + y * width, *HM_ALONE coarse = fine + plane;
            float *HM_ALONE size = spare + (z * 3 + y % 3) * width;
            for (x = 0; x < width; x++) size[x] = fabsf(coarse[x] - fine[x]);
        }
        if (y < margin + 1) continue;
        for (z = 1; z < n - 1; z++) {
            const float *HM_ALONE a = spare + (z - 1) * 3 * width;
            const float *HM_ALONE core = spare + (z * 3 + (y - 1) % 3) * width;
            uint8_t *HM_ALONE to = peaks + ((z - 1) * rows + y - 1 - margin) * columns;
            for (x = margin - 1; x <= width - margin; x++) {
                float p = HM_MAX(HM_MAX(a[x], a[x + width]), a[x + 2 * width]);
                float q = HM_MAX(HM_MAX(a[x + 3 * width], a[x + 4 * width]), a[x + 5 * width]);
                float r = HM_MAX(HM_MAX(a[x + 6 * width], a[x + 7 * width]), a[x + 8 * width]);
                most[x] = HM_MAX(HM_MAX(p, q), r);
            }
            for (x = 0; x < columns; x++) {
                float here = core[x + margin];
                float m = HM_MAX(HM_MAX(most[x + margin - 1], most[x + margin]), most[x + margin + 1]);
                to[x] = (uint8_t)((here >= m) & (here > least));
            }
        }
    }
}
HM_BOTH(hm_peaks,
        (const float *levels, int64_t n, int64_t height, int64_t width, float least, int64_t margin, float *spare,
         uint8_t *peaks),
        (levels, n, height, width, least, margin, spare, peaks))

#define HM_SIDE 16

/* Samples between pixels; beyond the sides the last pixel goes on. */
HM_INLINE void hm_bilinear_body(const float *image, int64_t height, int64_t width, const float *x, const float *y,
                                int64_t n, float *out)
{
    float right = (float)(width - 1), bottom = (float)(height - 1);
    int32_t last_left = (int32_t)(width - 2), last_top = (int32_t)(height - 2), wide = (int32_t)width;
    int64_t i, j;
    for (i = 0; i < n; i += HM_SIDE) {
        int64_t many = n - i < HM_SIDE ? n - i : HM_SIDE;
        float u[HM_SIDE], v[HM_SIDE];
        int32_t at[HM_SIDE];
        for (j = 0; j < many; j++) {
            float across = x[i + j], down = y[i + j];
            int32_t left, top;
            across = across > 0.0f ? across : 0.0f;
            across = across < right ? across : right;
            down = down > 0.0f ? down : 0.0f;
            down = down < bottom ? down : bottom;
            left = (int32_t)across;
            top = (int32_t)down;
            left = left < last_left ? left : last_left;
            top = top < last_top ? top : last_top;
            u[j] = across - (float)left;
            v[j] = down - (float)top;
            at[j] = top * wide + left;
        }
        for (j = 0; j < many; j++) {
            const float *p = image + at[j];
            float a = p[0], c = p[width];
            float upper = a + u[j] * (p[1] - a), lower = c + u[j] * (p[width + 1] - c);
            out[i + j] = upper + v[j] * (lower - upper);
        }
    }
}
HM_BOTH(hm_bilinear,
        (const float *image, int64_t height, int64_t width, const float *x, const float *y, int64_t n, float *out),
        (image, height, width, x, y, n, out))

/* One turned patch of 16 x 16 samples, read between pixels. */
HM_INLINE void hm_patch_body(const float *image, int64_t height, int64_t width, float x0, float y0, float cosine,
                             float sine, float step, const float *grid, float *out)
{
    int row, column;
    for (row = 0; row < HM_SIDE; row++) {
        float sv = sine * grid[row], cv = cosine * grid[row], x[HM_SIDE], y[HM_SIDE];
        for (column = 0; column < HM_SIDE; column++) {
            x[column] = (x0 + (cosine * grid[column] - sv)) / step;
            y[column] = (y0 + (sine * grid[column] + cv)) / step;
        }
        hm_bilinear_body(image, height, width, x, y, HM_SIDE, out + row * HM_SIDE);
    }
}
HM_BOTH(hm_patch,
        (const float *image, int64_t height, int64_t width, float x0, float y0, float cosine, float sine, float step,
         const float *grid, float *out),
        (image, height, width, x0, y0, cosine, sine, step, grid, out))

#define HM_BINS 36

/* Direction of a patch's gradients in whole 256ths of a turn. `slope` are the odd terms of the arctangent in bins, the
   last first; `weight` is (16, 16). */
HM_INLINE double hm_direction_body(const float *patch, const float *weight, const float *slope, int n_slope)
{
    float size[HM_SIDE * HM_SIDE], turn[HM_SIDE * HM_SIDE];
    double low_sums[HM_BINS], high_sums[HM_BINS], sums[HM_BINS], smooth[HM_BINS];
    int i, k, row, column, peak = 0, pass;
    double before, here, after, curve, place;
    for (row = 0; row < HM_SIDE; row++)
        for (column = 0; column < HM_SIDE; column++) {
            i = row * HM_SIDE + column;
            size[i] = column > 0 && column < HM_SIDE - 1 ? patch[i + 1] - patch[i - 1] : 0.0f;
            turn[i] = row > 0 && row < HM_SIDE - 1 ? patch[i + HM_SIDE] - patch[i - HM_SIDE] : 0.0f;
        }
    for (i = 0; i < HM_SIDE * HM_SIDE; i++) {
        float x = size[i], y = turn[i], along = fabsf(x), up = fabsf(y);
        float large = along > up ? along : up, small = along > up ? up : along;
        float t = small / (large > 0.0f ? large : 1.0f), square = t * t, bins = slope[0];
        for (k = 1; k < n_slope; k++) bins = bins * square + slope[k];
        bins = bins * t;
        bins = up > along ? 9.0f - bins : bins;
        bins = x < 0.0f ? 18.0f - bins : bins;
        bins = y < 0.0f ? 36.0f - bins : bins;
        size[i] = sqrtf(x * x + y * y) * weight[i];
        turn[i] = bins;
    }
    memset(low_sums, 0, sizeof low_sums);
    memset(high_sums, 0, sizeof high_sums);
    for (i = 0; i < HM_SIDE * HM_SIDE; i++) {
        int low = (int)turn[i];
        double part;
        low = low < 0 ? 0 : low < HM_BINS ? low : HM_BINS - 1;
        part = (double)turn[i] - low;
        low_sums[low] += (double)size[i] * (1.0 - part);
        high_sums[low == HM_BINS - 1 ? 0 : low + 1] += (double)size[i] * part;
    }
    for (i = 0; i < HM_BINS; i++) sums[i] = low_sums[i] + high_sums[i];
    for (pass = 0; pass < 3; pass++) {
        for (i = 0; i < HM_BINS; i++)
            smooth[i] = (sums[i ? i - 1 : HM_BINS - 1] + sums[i] + sums[i < HM_BINS - 1 ? i + 1 : 0]) / 3.0;
        memcpy(sums, smooth, sizeof sums);
    }
    for (i = 1; i < HM_BINS; i++)
        if (sums[i] > sums[peak]) peak = i;
    before = sums[peak ? peak - 1 : HM_BINS - 1];
    here = sums[peak];
    after = sums[peak < HM_BINS - 1 ? peak + 1 : 0];
    curve = before - 2.0 * here + after;
    place = peak + 0.5 * (before - after) / (curve == 0.0 ? 1.0 : curve);
    place = rint(place * (256.0 / HM_BINS));
    return (place < 0.0 ? place + 256.0 : place >= 256.0 ? place - 256.0 : place) + 0.0; /* no -0 */
}

HM_INLINE void hm_directions_body(const float *patches, int64_t n, const float *weight, const float *slope, int n_slope,
                                  float *out)
{
    int64_t i;
    for (i = 0; i < n; i++)
        out[i] = (float)hm_direction_body(patches + i * HM_SIDE * HM_SIDE, weight, slope, n_slope);
}
HM_BOTH(hm_directions,
        (const float *patches, int64_t n, const float *weight, const float *slope, int n_slope, float *out),
        (patches, n, weight, slope, n_slope, out))

#define HM_BITS 128

/* The cosine coefficients of a patch, turned: whole numbers under 2 ** 53, exact in any order. `cosines` is (16, 16) by
   row of waves, `order` (128, 2); row i of the turn has the numbers from ends[i] to ends[i + 1] of `mix`, for the
   coefficients in `column`. */
HM_INLINE void hm_values_body(const float *patches, int64_t n, const int32_t *cosines, const int32_t *order,
                              const int32_t *ends, const int32_t *column, const double *mix, double *out)
{
    int64_t p;
    for (p = 0; p < n; p++) {
        const float *patch = patches + p * HM_SIDE * HM_SIDE;
        double *HM_ALONE to = out + p * HM_BITS;
        int32_t whole[HM_SIDE * HM_SIDE], tall[HM_SIDE * HM_SIDE];
        double wide[HM_SIDE * HM_SIDE], plain[HM_BITS], mean;
        int i, j, k;
        int32_t total = 0;
        for (i = 0; i < HM_SIDE * HM_SIDE; i++) {
            whole[i] = (int32_t)rint((double)patch[i] * 256.0);
            total += whole[i];
        }
        mean = rint(total / 256.0);
        for (i = 0; i < HM_SIDE * HM_SIDE; i++) whole[i] -= (int32_t)mean;
        memset(tall, 0, sizeof tall);
        for (i = 0; i < HM_SIDE; i++)
            for (k = 0; k < HM_SIDE; k++) {
                int32_t c = cosines[i * HM_SIDE + k];
                for (j = 0; j < HM_SIDE; j++) tall[i * HM_SIDE + j] += c * whole[k * HM_SIDE + j];
            }
        for (i = 0; i < HM_SIDE; i++)
            for (j = 0; j < HM_SIDE - i; j++) {
                double sum = 0.0;
                for (k = 0; k < HM_SIDE; k++) sum += (double)tall[i * HM_SIDE + k] * (double)cosines[j * HM_SIDE + k];
                wide[i * HM_SIDE + j] = sum;
            }
        for (i = 0; i < HM_BITS; i++) plain[i] = rint(wide[order[2 * i] * HM_SIDE + order[2 * i + 1]] * (1.0 / 65536.0));
        for (i = 0; i < HM_BITS; i++) {
            double sum = 0.0;
            for (k = ends[i]; k < ends[i + 1]; k++) sum += mix[k] * plain[column[k]];
            to[i] = sum + 0.0;
        }
    }
}
HM_BOTH(hm_values,
        (const float *patches, int64_t n, const int32_t *cosines, const int32_t *order, const int32_t *ends,
         const int32_t *column, const double *mix, double *out),
        (patches, n, cosines, order, ends, column, mix, out))

#endif
