/* The loops of laying.pyx: a map fitted to pairs of points, cells of a picture read through maps, and their steps
   held against signs. Each sum and product rounds on its own, in the order of numpy/laying.py. */
#ifndef HASHMATCH_LAYING_H
#define HASHMATCH_LAYING_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Fit a map; see numpy.laying.fit_map. `weights` and `owns` have room for n numbers. */
static void hm_fit(const double *source, const double *target, const double *sigma, const double *turn, int64_t n,
                   double *weights, double *owns, double *matrix, double *shift, uint8_t *keep, double *residual) {
    for (int64_t i = 0; i < n; i++) {
        double error = 1.5 + 0.35 * sigma[i], size = turn[2 * i] * turn[2 * i] + turn[2 * i + 1] * turn[2 * i + 1];
        weights[i] = 1.0 / (error * error);
        owns[i] = 1.0 / ((0.12 * 0.12) * size);
        keep[i] = 1;
    }
    for (int round = 0; round < 4; round++) {
        double total = 0, mx = 0, my = 0, tx = 0, ty = 0, around = 0, own = 0, re = 0, im = 0, own_re = 0, own_im = 0;
        double xx = 0, xy = 0, yy = 0, p = 0, q = 0, r = 0, s = 0, least;
        int64_t first = 0, any = 0, same = 1;
        for (int64_t i = 0; i < n; i++) {
            double w = keep[i] ? weights[i] : 0.0;
            total += w;
            mx += w * source[2 * i];
            my += w * source[2 * i + 1];
            tx += w * target[2 * i];
            ty += w * target[2 * i + 1];
        }
        mx /= total;
        my /= total;
        tx /= total;
        ty /= total;
        for (int64_t i = 0; i < n; i++) {
            double w = keep[i] ? weights[i] : 0.0, o = keep[i] ? owns[i] : 0.0;
            double ax = source[2 * i] - mx, ay = source[2 * i + 1] - my, bx = target[2 * i] - tx, by = target[2 * i + 1] - ty;
            around += w * (ax * ax + ay * ay);
            own += o;
            re += w * (ax * bx + ay * by);
            im += w * (ax * by - ay * bx);
            own_re += o * turn[2 * i];
            own_im += o * turn[2 * i + 1];
            xx += w * (ax * ax);
            xy += w * (ax * ay);
            yy += w * (ay * ay);
            p += w * (ax * bx);
            q += w * (ax * by);
            r += w * (ay * bx);
            s += w * (ay * by);
        }
        around = around + own;
        re = (re + own_re) / around;
        im = (im + own_im) / around;
        if (re * re + im * im < (0.5 / 8.0) * (0.5 / 8.0)) {
            while (first < n - 1 && !keep[first]) first++;
            if (!keep[first]) first = 0;
            re = turn[2 * first];
            im = turn[2 * first + 1];
        }
        double stiff = 1.0 / ((0.04 * 0.04) * (re * re + im * im));
        xx = xx + stiff;
        yy = yy + stiff;
        p = p + stiff * re;
        q = q + stiff * im;
        r = r - stiff * im;
        s = s + stiff * re;
        double det = xx * yy - xy * xy;
        matrix[0] = (yy * p - xy * r) / det;
        matrix[1] = (xx * r - xy * p) / det;
        matrix[2] = (yy * q - xy * s) / det;
        matrix[3] = (xx * s - xy * q) / det;
        shift[0] = tx - (matrix[0] * mx + matrix[1] * my);
        shift[1] = ty - (matrix[2] * mx + matrix[3] * my);
        least = INFINITY;
        for (int64_t i = 0; i < n; i++) {
            double x = source[2 * i], y = source[2 * i + 1];
            double off_x = ((matrix[0] * x + matrix[1] * y) + shift[0]) - target[2 * i];
            double off_y = ((matrix[2] * x + matrix[3] * y) + shift[1]) - target[2 * i + 1];
            residual[i] = sqrt(off_x * off_x + off_y * off_y) / (8.0 + sigma[i] * 0.35);
            any |= residual[i] <= 1.0;
            if (residual[i] < least) least = residual[i];
        }
        for (int64_t i = 0; i < n; i++) {
            uint8_t now = (uint8_t)(any ? residual[i] <= 1.0 : residual[i] <= least);
            same &= now == keep[i];
            keep[i] = now;
        }
        if (same) break;
    }
}

typedef struct {
    const float *image;
    int64_t height, width; /* of the image */
    double step, size_x, size_y;
    int64_t columns, rows; /* of the grid */
    double wide, tall;
    const uint8_t *signs;
    const double *probes;
    int64_t n_probes;
} hm_laying;

static inline double hm_along(const double *row, double shift, double x, double y) {
    return (row[0] * x + row[1] * y) + shift;
}

/* Clear the cells that reach outside the picture in this map. A map has a matrix by rows. */
static void hm_inside(const hm_laying *laying, const double *matrix, const double *shift, uint8_t *inside) {
    double size[2] = {laying->size_x, laying->size_y};
    for (int axis = 0; axis < 2; axis++) {
        const double *row = matrix + 2 * axis;
        double reach = 0.45 * (fabs(row[0] * laying->wide) + fabs(row[1] * laying->tall)), last = size[axis] - reach;
        for (int64_t j = 0; j < laying->rows; j++) {
            double y = ((double)j + 0.5) * laying->tall;
            uint8_t *to = inside + j * laying->columns;
            for (int64_t i = 0; i < laying->columns; i++) {
                double along = hm_along(row, shift[axis], ((double)i + 0.5) * laying->wide, y);
                to[i] &= (uint8_t)((along >= reach) & (along <= last));
            }
        }
    }
}

static inline float hm_sample(const hm_laying *laying, float x, float y) {
    int64_t columns = laying->width, rows = laying->height;
    float last_x = (float)(columns - 1), last_y = (float)(rows - 1);
    x = x < 0 ? 0 : x > last_x ? last_x : x;
    y = y < 0 ? 0 : y > last_y ? last_y : y;
    int64_t left = (int64_t)x, top = (int64_t)y;
    if (left > columns - 2) left = columns > 1 ? columns - 2 : 0;
    if (top > rows - 2) top = rows > 1 ? rows - 2 : 0;
    x -= (float)left;
    y -= (float)top;
    const float *a = laying->image + top * columns + left;
    const float *b = a + (rows > 1 ? columns : 0);
    int right = columns > 1;
    float upper = a[0] + (a[right] - a[0]) * x;
    float lower = b[0] + (b[right] - b[0]) * x;
    return upper + (lower - upper) * y;
}

/* Read the cells that are inside. */
static void hm_cells(const hm_laying *laying, const double *matrix, const double *shift, const uint8_t *inside,
                     float *cells) {
    for (int64_t j = 0; j < laying->rows; j++) {
        double y = ((double)j + 0.5) * laying->tall;
        for (int64_t i = 0; i < laying->columns; i++) {
            int64_t cell = j * laying->columns + i;
            cells[cell] = 0;
            if (!inside[cell]) continue;
            double x = ((double)i + 0.5) * laying->wide;
            double at_x = hm_along(matrix, shift[0], x, y), at_y = hm_along(matrix + 2, shift[1], x, y);
            float sum = 0;
            for (int64_t p = 0; p < laying->n_probes; p++) {
                double u = laying->probes[2 * p] * laying->wide, v = laying->probes[2 * p + 1] * laying->tall;
                float sx = (float)((at_x + (matrix[0] * u + matrix[1] * v)) / laying->step - 0.5);
                float sy = (float)((at_y + (matrix[2] * u + matrix[3] * v)) / laying->step - 0.5);
                float read = hm_sample(laying, sx, sy);
                sum = p ? sum + read : read;
            }
            cells[cell] = sum / (float)laying->n_probes;
        }
    }
}

/* Number the steps between cells that are both inside, ascending; gives how many. */
static int64_t hm_steps(const hm_laying *laying, const uint8_t *inside, int64_t *steps) {
    int64_t columns = laying->columns, rows = laying->rows, n = 0, number = 0;
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = 0; i + 1 < columns; i++, number++)
            if (inside[j * columns + i] & inside[j * columns + i + 1]) steps[n++] = number;
    for (int64_t j = 0; j + 1 < rows; j++)
        for (int64_t i = 0; i < columns; i++, number++)
            if (inside[j * columns + i] & inside[(j + 1) * columns + i]) steps[n++] = number;
    return n;
}

/* The number of one rank, from 0, among numbers of 0 or more, by three rounds over 12, 12 and 8 of their bits. */
static float hm_ranked(const uint32_t *numbers, int64_t n, int64_t rank, uint32_t *counts) {
    static const int shifts[3] = {20, 8, 0}, widths[3] = {12, 12, 8};
    uint32_t known = 0, mask = 0;
    for (int round = 0; round < 3; round++) {
        uint32_t size = (uint32_t)1 << widths[round];
        memset(counts, 0, size * sizeof *counts);
        for (int64_t i = 0; i < n; i++)
            if ((numbers[i] & mask) == known) counts[numbers[i] >> shifts[round] & (size - 1)]++;
        uint32_t bin = 0;
        while (bin + 1 < size && rank >= (int64_t)counts[bin]) rank -= counts[bin++];
        known |= bin << shifts[round];
        mask |= (size - 1) << shifts[round];
    }
    float found;
    memcpy(&found, &known, sizeof found);
    return found;
}

/* Weigh and compare the steps of one map. `sizes` has room for n numbers, `counts` for 4096. */
static void hm_compare(const hm_laying *laying, const float *cells, const int64_t *steps, int64_t n, uint32_t *sizes,
                       uint32_t *counts, float *weights, uint8_t *agree) {
    int64_t columns = laying->columns, across = (columns - 1) * laying->rows;
    for (int64_t s = 0; s < n; s++) {
        int64_t number = steps[s], first, second;
        if (number < across) {
            first = number / (columns - 1) * columns + number % (columns - 1);
            second = first + 1;
        } else {
            first = number - across;
            second = first + columns;
        }
        float rise = cells[second] - cells[first], size = fabsf(rise);
        weights[s] = size;
        memcpy(sizes + s, &size, sizeof size);
        agree[s] = (rise > 0) == (laying->signs[number] != 0);
    }
    float full = hm_ranked(sizes, n, (int64_t)(0.75 * (double)(n - 1)), counts);
    float top = 0.125f * hm_ranked(sizes, n, (int64_t)(0.95 * (double)(n - 1)), counts);
    if (top > full) full = top;
    if (full < 1.0f) full = 1.0f;
    for (int64_t s = 0; s < n; s++) {
        float weight = weights[s] / full;
        weights[s] = weight > 1.0f ? 1.0f : weight;
    }
}

#endif
