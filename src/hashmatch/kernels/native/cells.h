/* Cells of whole pixels, in brightness and two halved colour differences. Part of pixels.h, which includes it. */
#ifndef HASHMATCH_CELLS_H
#define HASHMATCH_CELLS_H

/* ---- cells of whole pixels, in brightness and two halved colour differences ---- */

#define HM_ROUND 12582912.0f /* 1.5 * 2^23: added and taken off, it rounds small numbers, halves to even */

HM_BODY void hm_opponent(const uint16_t *HM_RESTRICT red, const uint16_t *HM_RESTRICT green,
                         const uint16_t *HM_RESTRICT blue, int64_t n, float count, int16_t *HM_RESTRICT luma,
                         int16_t *HM_RESTRICT warm, int16_t *HM_RESTRICT cold)
{
    for (int64_t x = 0; x < n; x++) {
        const float r = ((float)(int)red[x] / count + HM_ROUND) - HM_ROUND;
        const float g = ((float)(int)green[x] / count + HM_ROUND) - HM_ROUND;
        const float b = ((float)(int)blue[x] / count + HM_ROUND) - HM_ROUND;
        const float y = (2.0f * r + 5.0f * g + b) / 8.0f;
        luma[x] = (int16_t)(int)y;
        warm[x] = (int16_t)(int)((r - y) / 2.0f);
        cold[x] = (int16_t)(int)((b - y) / 2.0f);
    }
}

HM_BODY void hm_sum4(uint16_t *HM_RESTRICT total, const uint8_t *HM_RESTRICT a, const uint8_t *HM_RESTRICT b,
                     const uint8_t *HM_RESTRICT c, const uint8_t *HM_RESTRICT d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] = (uint16_t)(a[i] + b[i] + c[i] + d[i]);
}

HM_BODY uint64_t hm_four_sums(const uint16_t *sums)
{
    uint64_t four;
    memcpy(&four, sums, sizeof four);
    return four;
}

/* Sums of cells from sums of their rows: four side by side in one word, of which the fourth is not looked at; none
   outgrows its 16 bits. */
HM_BODY void hm_fold(const uint16_t *HM_RESTRICT sums, int64_t jump, const int64_t *ahead, int64_t columns,
                     int64_t wide, uint16_t *HM_RESTRICT means)
{
    for (int64_t x = 0; x < wide; x++) {
        uint16_t parts[4];
        uint64_t total = hm_four_sums(sums + x * jump);
        for (int64_t k = 1; k < columns; k++)
            total += hm_four_sums(sums + x * jump + ahead[k]);
        memcpy(parts, &total, sizeof parts);
        for (int c = 0; c < 3; c++)
            means[c * wide + x] = parts[c];
    }
}

HM_BODY int hm_cells_body(const uint8_t *base, int64_t stride, int step, int64_t tall, int64_t wide, int64_t down,
                          int64_t across, int16_t *out)
{
    const int64_t rows = down < 4 ? down : 4, columns = across < 4 ? across : 4, jump = across * step;
    const int64_t length = wide * jump - (step == 4), plane = tall * wide;
    const float count = (float)(rows * columns);
    uint16_t *sums = calloc((size_t)length + 4, sizeof *sums), *means = malloc((size_t)(3 * wide) * sizeof *means);
    int failed = !sums || !means;
    int64_t ahead[4] = {0, 0, 0, 0};
    for (int64_t k = 0; k < columns; k++)
        ahead[k] = k * across / columns * step;
    for (int64_t y = 0; !failed && y < tall; y++) {
        const uint8_t *first = base + y * down * stride;
        if (rows == 4) {
            const uint8_t *half = first + down / 2 * stride;
            hm_sum4(sums, first, first + down / 4 * stride, half, first + 3 * down / 4 * stride, length);
        } else {
            memset(sums, 0, (size_t)length * sizeof *sums);
            for (int64_t k = 0; k < rows; k++)
                hm_add1(sums, first + k * down / rows * stride, 1, length);
        }
        if (step == 1)
            for (int64_t x = 0; x < wide; x++) {
                int total = 0;
                for (int64_t k = 0; k < columns; k++)
                    total += sums[x * jump + ahead[k]];
                means[x] = (uint16_t)total;
            }
        else if (columns == 4)
            hm_fold(sums, jump, ahead, 4, wide, means);
        else
            hm_fold(sums, jump, ahead, columns, wide, means);
        int16_t *cells = out + y * wide;
        if (step == 1)
            for (int64_t x = 0; x < wide; x++)
                cells[x] = (int16_t)(int)(((float)(int)means[x] / count + HM_ROUND) - HM_ROUND);
        else
            hm_opponent(means, means + wide, means + 2 * wide, wide, count, cells, cells + plane, cells + 2 * plane);
    }
    free(sums);
    free(means);
    return failed;
}

#endif
