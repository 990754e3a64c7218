/* The reference's own float32 arithmetic: a blur along the rows, down the columns, along the rows and down the columns,
   of which 64 x 64 pixels are kept. Every running sum adds and takes off the same floats in the same order as the
   reference, so the bits are its own. Part of pixels.h, which includes it. */
#ifndef HASHMATCH_RUNNING_H
#define HASHMATCH_RUNNING_H

#define HM_ROWS 32 /* rows that a running sum goes along together */
#define HM_BAND 16 /* the same in vectors: two sums of eight */

/* 0.299 r + 0.587 g + 0.114 b in doubles, rounded to float, is the quotient below for all 2^24 colours: thousandths lie
   far from every middle between two floats, next to a double's error. */
HM_BODY void hm_luma_row(const uint8_t *HM_RESTRICT row, int64_t width, int step, float *HM_RESTRICT out)
{
    if (step == 1)
        for (int64_t x = 0; x < width; x++)
            out[x] = (float)(int)row[x];
    else if (step == 3)
        for (int64_t x = 0; x < width; x++)
            out[x] = (float)(299 * row[3 * x] + 587 * row[3 * x + 1] + 114 * row[3 * x + 2]) / 1000.0f;
    else
        for (int64_t x = 0; x < width; x++)
            out[x] = (float)(299 * row[4 * x] + 587 * row[4 * x + 1] + 114 * row[4 * x + 2]) / 1000.0f;
}

/* Rows of floats, `pitch` apart, to HM_ROWS floats side by side for each place, and back. */
HM_BODY void hm_to_lanes(const float *HM_RESTRICT rows, int64_t pitch, int64_t width, float *HM_RESTRICT lanes)
{
    for (int64_t x = 0; x < width; x++)
        for (int r = 0; r < HM_ROWS; r++)
            lanes[x * HM_ROWS + r] = rows[r * pitch + x];
}

HM_BODY void hm_from_lanes(const float *HM_RESTRICT lanes, int64_t pitch, int64_t width, float *HM_RESTRICT rows)
{
    for (int64_t x = 0; x < width; x++)
        for (int r = 0; r < HM_ROWS; r++)
            rows[r * pitch + x] = lanes[x * HM_ROWS + r];
}

/* One running sum for each lane; at every place the entering line is added, then the leaving one taken off. */
HM_BODY void hm_box_lanes(const float *HM_RESTRICT in, int64_t length, float *HM_RESTRICT out)
{
    const int64_t width = hm_box(length), ahead = (width + 2) / 2 - 1;
    float total[HM_ROWS];
    int64_t count = ahead;
    for (int r = 0; r < HM_ROWS; r++)
        total[r] = 0.0f;
    for (int64_t place = 0; place < ahead; place++)
        for (int r = 0; r < HM_ROWS; r++)
            total[r] += in[place * HM_ROWS + r];
    for (int64_t place = 0; place < length; place++) {
        const int64_t entering = place + ahead, leaving = entering - width;
        if (entering < length) {
            const float *line = in + entering * HM_ROWS;
            for (int r = 0; r < HM_ROWS; r++)
                total[r] += line[r];
            count += leaving < 0;
        }
        if (leaving >= 0) {
            const float *line = in + leaving * HM_ROWS;
            for (int r = 0; r < HM_ROWS; r++)
                total[r] -= line[r];
            count -= entering >= length;
        }
        const float divisor = (float)count;
        for (int r = 0; r < HM_ROWS; r++)
            out[place * HM_ROWS + r] = total[r] / divisor;
    }
}

/* The same, where only the 64 sampled places are wanted: out is (64, HM_ROWS). */
HM_BODY void hm_box_sampled(const float *HM_RESTRICT in, int64_t length, float *HM_RESTRICT out)
{
    const int64_t width = hm_box(length), ahead = (width + 2) / 2 - 1;
    float total[HM_ROWS];
    int64_t count = ahead, cell = 0;
    for (int r = 0; r < HM_ROWS; r++)
        total[r] = 0.0f;
    for (int64_t place = 0; place < ahead; place++)
        for (int r = 0; r < HM_ROWS; r++)
            total[r] += in[place * HM_ROWS + r];
    for (int64_t place = 0; cell < HM_SIDE; place++) {
        const int64_t entering = place + ahead, leaving = entering - width;
        if (entering < length) {
            const float *line = in + entering * HM_ROWS;
            for (int r = 0; r < HM_ROWS; r++)
                total[r] += line[r];
            count += leaving < 0;
        }
        if (leaving >= 0) {
            const float *line = in + leaving * HM_ROWS;
            for (int r = 0; r < HM_ROWS; r++)
                total[r] -= line[r];
            count -= entering >= length;
        }
        for (; cell < HM_SIDE && hm_sample(cell, length) == place; cell++)
            for (int r = 0; r < HM_ROWS; r++)
                out[cell * HM_ROWS + r] = total[r] / (float)count;
    }
}

HM_BODY void hm_slide(float *HM_RESTRICT total, const float *HM_RESTRICT entering, const float *HM_RESTRICT leaving,
                      float *HM_RESTRICT out, float divisor, int64_t n)
{
    if (entering && leaving)
        for (int64_t x = 0; x < n; x++) {
            float value = total[x] + entering[x];
            value -= leaving[x];
            total[x] = value;
            out[x] = value / divisor;
        }
    else if (entering)
        for (int64_t x = 0; x < n; x++) {
            total[x] += entering[x];
            out[x] = total[x] / divisor;
        }
    else if (leaving)
        for (int64_t x = 0; x < n; x++) {
            total[x] -= leaving[x];
            out[x] = total[x] / divisor;
        }
    else
        for (int64_t x = 0; x < n; x++)
            out[x] = total[x] / divisor;
}

/* The last pass, down the 64 columns. */
HM_BODY void hm_box_last(const float *sampled, int64_t height, float *HM_RESTRICT small)
{
    const int64_t box = hm_box(height), ahead = (box + 2) / 2 - 1;
    int64_t count = ahead, cell = 0;
    float sum[HM_SIDE];
    memset(sum, 0, sizeof sum);
    for (int64_t y = 0; y < ahead; y++)
        for (int x = 0; x < HM_SIDE; x++)
            sum[x] += sampled[y * HM_SIDE + x];
    for (int64_t y = 0; cell < HM_SIDE; y++) {
        const int64_t entering = y + ahead, leaving = entering - box;
        if (entering < height) {
            for (int x = 0; x < HM_SIDE; x++)
                sum[x] += sampled[entering * HM_SIDE + x];
            count += leaving < 0;
        }
        if (leaving >= 0) {
            for (int x = 0; x < HM_SIDE; x++)
                sum[x] -= sampled[leaving * HM_SIDE + x];
            count -= entering >= height;
        }
        for (; cell < HM_SIDE && hm_sample(cell, height) == y; cell++)
            for (int x = 0; x < HM_SIDE; x++)
                small[cell * HM_SIDE + x] = sum[x] / (float)count;
    }
}

static int hm_blur_portable(const uint8_t *base, int64_t stride, int64_t height, int64_t width, int step, float *small)
{
    const int64_t box = hm_box(height), ahead = (box + 2) / 2 - 1, ring = box + HM_ROWS;
    const int64_t pitch = (width + 31) / 32 * 32 + 16; /* never a multiple of a page: rows would share cache lines */
    const size_t block = (size_t)(HM_ROWS * pitch);
    float *rows = calloc(block, sizeof *rows), *lanes = malloc(block * sizeof *lanes);
    float *blurred = malloc(block * sizeof *blurred), *twice = calloc(block, sizeof *twice);
    float *kept = malloc((size_t)(ring * width) * sizeof *kept);
    float *total = calloc((size_t)width, sizeof *total), *sampled = malloc((size_t)height * HM_SIDE * sizeof *sampled);
    float narrow[HM_SIDE * HM_ROWS];
    int failed = !rows || !lanes || !blurred || !twice || !kept || !total || !sampled;
    int64_t place = -ahead, count = ahead, filled = 0, done = 0;
    for (int64_t top = 0; !failed && top < height; top += HM_ROWS) {
        const int64_t taken = height - top < HM_ROWS ? height - top : HM_ROWS;
        for (int64_t r = 0; r < taken; r++)
            hm_luma_row(base + (top + r) * stride, width, step, rows + r * pitch);
        hm_to_lanes(rows, pitch, width, lanes);
        hm_box_lanes(lanes, width, blurred);
        hm_from_lanes(blurred, pitch, width, rows);
        for (int64_t r = 0; r < taken; r++)
            memcpy(kept + (top + r) % ring * width, rows + r * pitch, (size_t)width * sizeof *kept);
        const int64_t ready = top + taken, until = ready == height ? height : ready - ahead;
        for (; place < until; place++) {
            const int64_t entering = place + ahead, leaving = entering - box;
            const float *enters = entering < height ? kept + entering % ring * width : NULL;
            const float *leaves = leaving >= 0 ? kept + leaving % ring * width : NULL;
            if (place < 0) {
                for (int64_t x = 0; x < width; x++)
                    total[x] += enters[x];
                continue;
            }
            count += enters && leaving < 0;
            count -= leaves && !enters;
            hm_slide(total, enters, leaves, twice + filled * pitch, (float)count, width);
            if (++filled < HM_ROWS && place + 1 < height)
                continue;
            hm_to_lanes(twice, pitch, width, lanes);
            hm_box_sampled(lanes, width, narrow);
            for (int64_t r = 0; r < filled; r++)
                for (int cell = 0; cell < HM_SIDE; cell++)
                    sampled[(done + r) * HM_SIDE + cell] = narrow[cell * HM_ROWS + r];
            done += filled;
            filled = 0;
        }
    }
    if (!failed)
        hm_box_last(sampled, height, small);
    free(rows);
    free(lanes);
    free(blurred);
    free(twice);
    free(kept);
    free(total);
    free(sampled);
    return failed;
}

#ifdef HM_PIXELS_AVX2
#include "running_wide.h"
#endif

#endif
