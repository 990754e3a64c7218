/* The running sums of running.h in vectors of eight floats. Part of running.h, which includes it. */
#ifndef HASHMATCH_RUNNING_WIDE_H
#define HASHMATCH_RUNNING_WIDE_H

/* ---- the same eight floats at a time; between two passes little more than a box of lines is held ---- */

/* A quotient by a whole number d under 2^20 is x * high + x * low, with 1 / d as the sum of two floats: what is rounded
   last is off by less than 2^-46 of itself, and the nearest middle between two floats is 2^-25 / d of it away. */
typedef struct {
    float high, low;
} hm_inverse;

static hm_inverse hm_inverse_of(int64_t divisor)
{
    hm_inverse inverse;
    inverse.high = (float)(1.0 / (double)divisor);
    inverse.low = (float)(1.0 / (double)divisor - (double)inverse.high);
    return inverse;
}

/* Inverses of the number of pixels under the box at each place; of 1 from the end to `padded`. */
static void hm_inverses(int64_t length, int64_t padded, hm_inverse *inverses)
{
    const int64_t box = hm_box(length), ahead = (box + 2) / 2 - 1;
    int64_t before = 0;
    for (int64_t place = 0; place < padded; place++) {
        const int64_t stop = place + ahead + 1, start = stop - box;
        const int64_t count = place < length ? (stop < length ? stop : length) - (start > 0 ? start : 0) : 1;
        inverses[place] = count == before ? inverses[place - 1] : hm_inverse_of(count);
        before = count;
    }
}

HM_WIDE static inline __m256 hm_over(__m256 x, const hm_inverse *divisor)
{
    return _mm256_fmadd_ps(x, _mm256_set1_ps(divisor->high), _mm256_mul_ps(x, _mm256_set1_ps(divisor->low)));
}

/* Luma of eight pixels; reads 32 bytes of four-byte pixels, 28 of three. */
HM_WIDE static inline __m256 hm_luma8(const uint8_t *at, int step, const hm_inverse *thousand)
{
    if (step == 1)
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)at)));
    const __m256i shares = _mm256_set1_epi32(299 | 587 << 16), last = _mm256_set1_epi32(114);
    __m256i pixels, warm, blue;
    if (step == 4) {
        const __m256i two = _mm256_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1, 0, -1, 1, -1, 4,
                                             -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
        const __m256i third = _mm256_setr_epi8(2, -1, -1, -1, 6, -1, -1, -1, 10, -1, -1, -1, 14, -1, -1, -1, 2, -1, -1,
                                               -1, 6, -1, -1, -1, 10, -1, -1, -1, 14, -1, -1, -1);
        pixels = _mm256_loadu_si256((const __m256i *)at);
        warm = _mm256_shuffle_epi8(pixels, two);
        blue = _mm256_shuffle_epi8(pixels, third);
    } else {
        const __m256i two = _mm256_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1, 0, -1, 1, -1, 3,
                                             -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1);
        const __m256i third = _mm256_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1, 2, -1, -1,
                                               -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1);
        pixels = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at)),
                                         _mm_loadu_si128((const __m128i *)(at + 12)), 1);
        warm = _mm256_shuffle_epi8(pixels, two);
        blue = _mm256_shuffle_epi8(pixels, third);
    }
    const __m256i thousandths = _mm256_add_epi32(_mm256_madd_epi16(warm, shares), _mm256_madd_epi16(blue, last));
    return hm_over(_mm256_cvtepi32_ps(thousandths), thousand);
}

/* Eight lines of eight floats become their columns. */
HM_WIDE static inline void hm_turn8(__m256 *r)
{
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

/* Luma of HM_BAND rows from `top`, the last row again after the end, side by side for each place. */
HM_WIDE static void hm_band_of(const uint8_t *base, int64_t stride, int64_t height, int64_t width, int step,
                               int64_t top, const hm_inverse *thousand, float *lines)
{
    /* no byte past a row is read: a pixel of three or four bytes more is there, or the loop at the end does it */
    const int64_t even = width - (step == 1 ? 0 : step == 4 ? 1 : 2);
    for (int half = 0; half < HM_BAND; half += 8) {
        const uint8_t *rows[8];
        __m256 eight[8];
        int64_t x = 0;
        for (int i = 0; i < 8; i++)
            rows[i] = base + (top + half + i < height ? top + half + i : height - 1) * stride;
        for (; x + 8 <= even; x += 8) {
            for (int i = 0; i < 8; i++)
                eight[i] = hm_luma8(rows[i] + x * step, step, thousand);
            hm_turn8(eight);
            for (int i = 0; i < 8; i++)
                _mm256_storeu_ps(lines + (x + i) * HM_BAND + half, eight[i]);
        }
        for (int i = 0; i < 8; i++)
            for (int64_t place = x; place < width; place++) {
                float luma;
                hm_luma_row(rows[i] + place * step, 1, step, &luma);
                lines[place * HM_BAND + half + i] = luma;
            }
    }
}

/* Blur the lines along the rows, to rows `pitch` apart; the lines before the first and after the last are zeros. */
HM_WIDE static void hm_box_band(const float *lines, int64_t length, int64_t pitch, const hm_inverse *inverses,
                                float *const *rows)
{
    const int64_t box = hm_box(length), ahead = (box + 2) / 2 - 1;
    __m256 total[HM_BAND / 8], eight[8];
    for (int half = 0; half < HM_BAND / 8; half++) {
        total[half] = _mm256_setzero_ps();
        for (int64_t place = 0; place < ahead; place++)
            total[half] = _mm256_add_ps(total[half], _mm256_loadu_ps(lines + place * HM_BAND + 8 * half));
    }
    for (int64_t x = 0; x < pitch; x += 8)
        for (int half = 0; half < HM_BAND / 8; half++) {
            const float *entering = lines + (x + ahead) * HM_BAND + 8 * half, *leaving = entering - box * HM_BAND;
            __m256 sum = total[half];
            for (int i = 0; i < 8; i++) {
                sum = _mm256_add_ps(sum, _mm256_loadu_ps(entering + i * HM_BAND));
                sum = _mm256_sub_ps(sum, _mm256_loadu_ps(leaving + i * HM_BAND));
                eight[i] = hm_over(sum, inverses + x + i);
            }
            total[half] = sum;
            hm_turn8(eight);
            for (int i = 0; i < 8; i++)
                _mm256_storeu_ps(rows[8 * half + i] + x, eight[i]);
        }
}

/* Blur HM_BAND rows down the columns, turn them to lines, sum those along the rows and keep the 64 sampled places. */
HM_WIDE static void hm_box_twice(float *totals, const float *const *entering, const float *const *leaving,
                                 const hm_inverse *inverses, int64_t length, int64_t pitch, float *lines,
                                 float *sampled)
{
    const int64_t box = hm_box(length), ahead = (box + 2) / 2 - 1;
    int64_t cell = 0, place = -ahead, next = hm_sample(0, length);
    __m256 total[HM_BAND / 8], eight[8];
    for (int half = 0; half < HM_BAND / 8; half++)
        total[half] = _mm256_setzero_ps();
    for (int64_t x = 0; cell < HM_SIDE; x += 8) {
        if (x < pitch) {
            __m256 sum = _mm256_loadu_ps(totals + x);
            for (int half = 0; half < HM_BAND; half += 8) {
                for (int i = 0; i < 8; i++) {
                    sum = _mm256_add_ps(sum, _mm256_loadu_ps(entering[half + i] + x));
                    sum = _mm256_sub_ps(sum, _mm256_loadu_ps(leaving[half + i] + x));
                    eight[i] = hm_over(sum, inverses + half + i);
                }
                hm_turn8(eight);
                for (int i = 0; i < 8 && x + i < length; i++)
                    _mm256_storeu_ps(lines + (x + i) * HM_BAND + half, eight[i]);
            }
            _mm256_storeu_ps(totals + x, sum);
        }
        for (int i = 0; i < 8; i++, place++) {
            const float *line = lines + (x + i) * HM_BAND;
            for (int half = 0; half < HM_BAND / 8; half++) {
                total[half] = _mm256_add_ps(total[half], _mm256_loadu_ps(line + 8 * half));
                total[half] = _mm256_sub_ps(total[half], _mm256_loadu_ps(line - box * HM_BAND + 8 * half));
            }
            for (; place == next; next = ++cell < HM_SIDE ? hm_sample(cell, length) : -1) {
                const int64_t stop = place + ahead + 1 < length ? place + ahead + 1 : length;
                const int64_t start = place + ahead + 1 > box ? place + ahead + 1 - box : 0;
                const __m256 count = _mm256_set1_ps((float)(stop - start));
                for (int half = 0; half < HM_BAND / 8; half++)
                    _mm256_storeu_ps(sampled + cell * HM_BAND + 8 * half, _mm256_div_ps(total[half], count));
            }
        }
    }
}

HM_WIDE static int hm_blur_wide(const uint8_t *base, int64_t stride, int64_t height, int64_t width, int step,
                                float *small)
{
    const int64_t box = hm_box(height), ahead = (box + 2) / 2 - 1, ring = box + 2 * HM_BAND;
    const int64_t pitch = (width + 7) / 8 * 8, around = hm_box(width), tall = height + HM_BAND;
    const size_t line_floats = (size_t)((pitch + 2 * around + 8) * HM_BAND);
    const size_t row_floats = (size_t)(pitch * (ring + 2));
    const hm_inverse thousand = hm_inverse_of(1000);
    float *lines = calloc(2 * line_floats, sizeof *lines), *rows = calloc(row_floats, sizeof *rows);
    float *sampled = malloc((size_t)(height * HM_SIDE) * sizeof *sampled);
    hm_inverse *inverses = malloc((size_t)(pitch + tall) * sizeof *inverses);
    const int failed = !lines || !rows || !sampled || !inverses;
    float *totals = rows + ring * pitch, *nothing = totals + pitch, *once = lines + around * HM_BAND;
    float *twice = once + line_floats, narrow[HM_SIDE * HM_BAND];
    int64_t place = 0;
    if (!failed) {
        hm_inverses(width, pitch, inverses);
        hm_inverses(height, tall, inverses + pitch);
    }
    for (int64_t top = 0; !failed && top < height; top += HM_BAND) {
        float *band[HM_BAND];
        for (int r = 0; r < HM_BAND; r++)
            band[r] = rows + (top + r) % ring * pitch;
        hm_band_of(base, stride, height, width, step, top, &thousand, once);
        hm_box_band(once, width, pitch, inverses, band);
        const int64_t ready = top + HM_BAND, until = ready < height ? ready - ahead - HM_BAND : height - 1;
        for (; place <= until; place += HM_BAND) {
            const float *entering[HM_BAND], *leaving[HM_BAND];
            for (int64_t y = 0; !place && y < ahead; y++)
                for (int64_t x = 0; x < pitch; x++)
                    totals[x] += rows[y * pitch + x];
            for (int r = 0; r < HM_BAND; r++) {
                const int64_t enters = place + r + ahead, leaves = enters - box;
                entering[r] = enters < height ? rows + enters % ring * pitch : nothing;
                leaving[r] = leaves >= 0 && leaves < height ? rows + leaves % ring * pitch : nothing;
            }
            hm_box_twice(totals, entering, leaving, inverses + pitch + place, width, pitch, twice, narrow);
            for (int64_t r = 0; r < HM_BAND && place + r < height; r++)
                for (int cell = 0; cell < HM_SIDE; cell++)
                    sampled[(place + r) * HM_SIDE + cell] = narrow[cell * HM_BAND + r];
        }
    }
    if (!failed)
        hm_box_last(sampled, height, small);
    free(lines);
    free(rows);
    free(sampled);
    free(inverses);
    return failed;
}

#endif
