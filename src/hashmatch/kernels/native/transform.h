/* Cosines, quality and bits of a PDQ hash. Part of pixels.h, which includes it. */
#ifndef HASHMATCH_TRANSFORM_H
#define HASHMATCH_TRANSFORM_H

/* ---- cosines, quality, bits ---- */

/* 16 x 16 coefficients of 64 x 64 cells; every sum begins with its first product and goes through the cells in order.
   cosines: (64, 16), a row for each cell. */
#define HM_TRANSFORM(NAME, TYPE)                                                                                       \
    HM_BODY void NAME(const TYPE *HM_RESTRICT small, const TYPE *HM_RESTRICT cosines, TYPE *HM_RESTRICT out)           \
    {                                                                                                                  \
        TYPE half[16][HM_SIDE], sum[16];                                                                               \
        for (int u = 0; u < 16; u++)                                                                                   \
            for (int x0 = 0; x0 < HM_SIDE; x0 += 16) {                                                                 \
                for (int j = 0; j < 16; j++)                                                                           \
                    sum[j] = cosines[u] * small[x0 + j];                                                               \
                for (int cell = 1; cell < HM_SIDE; cell++) {                                                           \
                    const TYPE cosine = cosines[cell * 16 + u];                                                        \
                    for (int j = 0; j < 16; j++)                                                                       \
                        sum[j] += cosine * small[cell * HM_SIDE + x0 + j];                                             \
                }                                                                                                      \
                for (int j = 0; j < 16; j++)                                                                           \
                    half[u][x0 + j] = sum[j];                                                                          \
            }                                                                                                          \
        for (int u = 0; u < 16; u++) {                                                                                 \
            for (int j = 0; j < 16; j++)                                                                               \
                sum[j] = half[u][0] * cosines[j];                                                                      \
            for (int cell = 1; cell < HM_SIDE; cell++) {                                                               \
                const TYPE value = half[u][cell];                                                                      \
                for (int j = 0; j < 16; j++)                                                                           \
                    sum[j] += value * cosines[cell * 16 + j];                                                          \
            }                                                                                                          \
            for (int j = 0; j < 16; j++)                                                                               \
                out[u * 16 + j] = sum[j];                                                                              \
        }                                                                                                              \
    }

HM_TRANSFORM(hm_transform_double_body, double)
HM_TRANSFORM(hm_transform_float_body, float)

static int64_t hm_steps(const double *small, double change)
{
    int64_t total = 0;
    for (int i = 0; i < HM_SIDE; i++)
        for (int j = 0; j < HM_SIDE; j++) {
            double here = small[i * HM_SIDE + j];
            if (i + 1 < HM_SIDE)
                total += (int64_t)(fabs(small[(i + 1) * HM_SIDE + j] - here) * (100.0 / 255.0) + change);
            if (j + 1 < HM_SIDE)
                total += (int64_t)(fabs(small[i * HM_SIDE + j + 1] - here) * (100.0 / 255.0) + change);
        }
    return total;
}

/* Put the value of rank 127 at place 127 and return it and the next higher; values is overwritten. */
static void hm_middle(double *values, double *below, double *above)
{
    int low = 0, high = 255;
    while (low < high) {
        double pivot = values[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (pivot < values[j])
                j--;
            if (i <= j) {
                double kept = values[i];
                values[i++] = values[j];
                values[j--] = kept;
            }
        }
        if (127 <= j)
            high = j;
        else if (127 >= i)
            low = i;
        else
            break;
    }
    double next = values[128];
    for (int i = 129; i < 256; i++)
        if (values[i] < next)
            next = values[i];
    *below = values[127];
    *above = next;
}

/* 256 bits over the lower of the two middle coefficients, the highest first, and the gap between the two. */
static double hm_decide(const double *coefficients, uint8_t *code)
{
    double values[256], below, above;
    memcpy(values, coefficients, sizeof values);
    hm_middle(values, &below, &above);
    for (int byte = 0; byte < 32; byte++) {
        unsigned bits = 0;
        for (int bit = 0; bit < 8; bit++)
            bits = bits << 1 | (unsigned)(coefficients[255 - 8 * byte - bit] > below);
        code[byte] = (uint8_t)bits;
    }
    return above - below;
}

#endif
