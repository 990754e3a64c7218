/* The loops of borders.pyx. Bodies over many samples are compiled twice: portable, and for AVX2 where the
   compiler can. Sums are of whole numbers, and what is divided then rounds as in numpy/borders.py, so both give the
   same bits. */
#ifndef HASHMATCH_BORDERS_H
#define HASHMATCH_BORDERS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_WIDE __attribute__((target("avx2")))
#define HM_BODY static inline __attribute__((always_inline))
static int hm_borders_wide(void) { return __builtin_cpu_supports("avx2") ? 1 : 0; }
#else
#define HM_WIDE
#define HM_BODY static inline
static int hm_borders_wide(void) { return 0; }
#endif

#define HM_LEVELS 1024 /* samples lie within -512 to 511, differences within 0 to 1023 */
#define HM_MOST_CHANNELS 3
#define HM_PART 64 /* parts of a sixteenth */

/* Samples of one line or of many: `line`, `sample` and `channel` are steps in numbers of 16 bits. */
typedef struct {
    const int16_t *first;
    int64_t channels, lines, samples;
    int64_t channel, line, sample;
} hm_lines;

HM_BODY int hm_step(int one, int other) { return one > other ? one - other : other - one; }

/* ---- middles, by counting ---- */

static int hm_ranked(const int32_t *counts, int64_t rank)
{
    int level = 0;
    for (int64_t below = counts[0]; below <= rank; below += counts[level])
        level++;
    return level;
}

/* Upper median of a channel over all lines; -1 where a sample is out of range. */
static int hm_middle_of(const hm_lines *cells, int64_t channel, int16_t *middle)
{
    int32_t counts[HM_LEVELS];
    memset(counts, 0, sizeof counts);
    for (int64_t k = 0; k < cells->lines; k++) {
        const int16_t *line = cells->first + channel * cells->channel + k * cells->line;
        for (int64_t p = 0; p < cells->samples; p++) {
            const int level = line[p * cells->sample] + HM_LEVELS / 2;
            if (level < 0 || level >= HM_LEVELS)
                return -1;
            counts[level]++;
        }
    }
    *middle = (int16_t)(hm_ranked(counts, cells->lines * cells->samples / 2) - HM_LEVELS / 2);
    return 0;
}

/* How many samples of one line lie at each distance from a colour, in the channel that differs most; -1 as above. */
static int hm_count_away(const hm_lines *line, const int16_t *colour, int32_t *counts)
{
    memset(counts, 0, HM_LEVELS * sizeof *counts);
    for (int64_t p = 0; p < line->samples; p++) {
        int away = 0;
        for (int64_t c = 0; c < line->channels; c++) {
            const int step = hm_step(line->first[c * line->channel + p * line->sample], colour[c]);
            away = step > away ? step : away;
        }
        if (away >= HM_LEVELS)
            return -1;
        counts[away]++;
    }
    return 0;
}

static int hm_line_colour(const hm_lines *line, int64_t rank, int16_t *colour, int *spread)
{
    int32_t counts[HM_LEVELS];
    for (int64_t c = 0; c < line->channels; c++)
        if (hm_middle_of(line, c, colour + c))
            return -1;
    if (hm_count_away(line, colour, counts))
        return -1;
    *spread = hm_ranked(counts, rank);
    return 0;
}

static int hm_median_away(const hm_lines *line, const int16_t *colour, double *median)
{
    int32_t counts[HM_LEVELS];
    if (hm_count_away(line, colour, counts))
        return -1;
    *median = 0.5 * (hm_ranked(counts, (line->samples - 1) / 2) + hm_ranked(counts, line->samples / 2));
    return 0;
}

static int hm_off_middle(const hm_lines *cells, int tolerance, int64_t *count)
{
    int16_t middle[HM_MOST_CHANNELS];
    *count = 0;
    for (int64_t c = 0; c < cells->channels; c++)
        if (hm_middle_of(cells, c, middle + c))
            return -1;
    for (int64_t k = 0; k < cells->lines; k++)
        for (int64_t p = 0; p < cells->samples; p++) {
            int off = 0;
            for (int64_t c = 0; c < cells->channels; c++)
                off |= hm_step(cells->first[c * cells->channel + k * cells->line + p * cells->sample], middle[c])
                       > tolerance;
            *count += off;
        }
    return 0;
}

/* ---- borders of one colour; samples of a line follow each other ---- */

HM_BODY int64_t hm_over(const int16_t *values, int limit, int64_t n)
{
    uint16_t count = 0;
    for (int64_t p = 0; p < n; p++)
        count = (uint16_t)(count + (values[p] > limit));
    return count;
}

HM_BODY int64_t hm_both_over(const int16_t *one, int limit, const int16_t *other, int other_limit, int64_t n)
{
    uint16_t count = 0;
    for (int64_t p = 0; p < n; p++)
        count = (uint16_t)(count + ((one[p] > limit) & (other[p] > other_limit)));
    return count;
}

/* Differences of two lines in the channel where each sample differs most. */
HM_BODY void hm_steps_between(const hm_lines *lines, int64_t one, int64_t other, int64_t from, int64_t n, int16_t *out)
{
    for (int64_t c = 0; c < lines->channels; c++) {
        const int16_t *a = lines->first + c * lines->channel + one * lines->line + from;
        const int16_t *b = lines->first + c * lines->channel + other * lines->line + from;
        if (c == 0)
            for (int64_t p = 0; p < n; p++)
                out[p] = (int16_t)(a[p] > b[p] ? a[p] - b[p] : b[p] - a[p]);
        else
            for (int64_t p = 0; p < n; p++) {
                const int16_t step = (int16_t)(a[p] > b[p] ? a[p] - b[p] : b[p] - a[p]);
                out[p] = step > out[p] ? step : out[p];
            }
    }
}

HM_BODY void hm_steps_from(const hm_lines *lines, int64_t one, const int16_t *colour, int16_t *out)
{
    for (int64_t c = 0; c < lines->channels; c++) {
        const int16_t *a = lines->first + c * lines->channel + one * lines->line;
        const int16_t b = colour[c];
        if (c == 0)
            for (int64_t p = 0; p < lines->samples; p++)
                out[p] = (int16_t)(a[p] > b ? a[p] - b : b - a[p]);
        else
            for (int64_t p = 0; p < lines->samples; p++) {
                const int16_t step = (int16_t)(a[p] > b ? a[p] - b : b - a[p]);
                out[p] = step > out[p] ? step : out[p];
            }
    }
}

/* `limits` and `sudden`: tolerances cut to whole grey levels; full and rises are (tolerances, lines). */
HM_BODY int hm_rises_body(const hm_lines *lines, const int16_t *colour, const int *limits, const int *sudden,
                          int64_t tolerances, int64_t skip, int64_t least, int64_t deepest, int64_t text, double dust,
                          double ground, double *full, double *rises)
{
    const int64_t n = lines->lines, m = lines->samples, inner = m - 2 * skip;
    int16_t *room = malloc((size_t)(m + 2 * inner) * sizeof *room);
    if (!room)
        return 1;
    int16_t *ahead = room + m, *change = ahead + inner;
    for (int64_t t = 0; t < tolerances; t++)
        memset(rises + t * n, 0, (size_t)n * sizeof *rises);
    for (int64_t k = 0; k < n; k++) {
        hm_steps_from(lines, k, colour, room);
        for (int64_t t = 0; t < tolerances; t++)
            full[t * n + k] = (double)hm_over(room, limits[t], m) / (double)m;
        if (k < 3 || k - 1 > deepest || k - 1 < least)
            continue;
        memcpy(ahead, room + skip, (size_t)inner * sizeof *ahead);
        hm_steps_between(lines, k, k - 3, skip, inner, change);
        for (int64_t t = 0; t < tolerances; t++)
            rises[t * n + k - 1] = (double)hm_both_over(ahead, limits[t], change, sudden[t], inner) / (double)inner;
    }
    for (int64_t t = 0; t < tolerances; t++) {
        double *share = full + t * n, *rise = rises + t * n, clear = 0.0;
        int64_t others = 0;
        for (int64_t k = 0; k < n; k++) {
            const int is_border = k == 0 || (clear / (double)k >= ground && others <= text);
            if (!is_border || k < least || k > deepest)
                rise[k] = 0.0;
            else if (k >= 2 && k < n - 1)
                rise[k] -= 0.5 * (share[k - 1] + share[k - 2]);
            clear += 1.0 - share[k];
            others += share[k] > dust;
        }
    }
    free(room);
    return 0;
}

/* ---- seams ---- */

HM_BODY double hm_texture(const int16_t *line, int64_t step, int64_t m, int cap)
{
    int32_t sum = 0;
    for (int64_t p = 2; p < m; p++) {
        const int16_t curve = (int16_t)(line[p * step] - 2 * line[(p - 1) * step] + line[(p - 2) * step]);
        const int16_t size = (int16_t)(curve < 0 ? -curve : curve);
        sum += size < cap ? size : cap;
    }
    return (double)sum / (double)(m - 2);
}

static void hm_line_textures(const hm_lines *luma, int cap, double *means)
{
    for (int64_t k = 0; k < luma->lines; k++)
        means[k] = hm_texture(luma->first + k * luma->line, luma->sample, luma->samples, cap);
}

typedef struct {
    int64_t skip, far;
    int cap;
    double smooth, sharper, dull, dim;
    const int64_t *back;
    int64_t backs;
} hm_seam_rule;

HM_BODY int64_t hm_eighths(const int16_t *steps, const int16_t *usual, int64_t n)
{
    int32_t sum = 0;
    for (int64_t p = 0; p < n; p++) {
        const int16_t over = (int16_t)(4 * steps[p] - 10 * usual[p] - 3);
        const int16_t low = over > 0 ? over : 0;
        sum += low < 8 ? low : 8;
    }
    return sum;
}

HM_BODY int hm_seams_body(const hm_lines *lines, const hm_seam_rule *rule, double *seams)
{
    const int64_t n = lines->lines, m = lines->samples, inner = m - 2 * rule->skip;
    int16_t *single = malloc((size_t)((n + 2) * inner) * sizeof *single);
    double *sums = malloc((size_t)n * sizeof *sums);
    int failed = !single || !sums;
    if (!failed) {
        int16_t *usual = single + n * inner, *twice = usual + inner;
        memset(single, 0, (size_t)inner * sizeof *single);
        for (int64_t k = 1; k < n; k++)
            hm_steps_between(lines, k, k - 1, rule->skip, inner, single + k * inner);
        for (int64_t k = 0; k < n; k++) {
            const double texture = hm_texture(lines->first + k * lines->line, 1, m, rule->cap);
            sums[k] = k ? sums[k - 1] + texture : texture;
        }
        for (int64_t k = 0; k < n; k++) {
            double strength = rule->dim;
            if (k < 3) {
                seams[k] = 0.0;
                continue;
            }
            if (k < n - 1) {
                memset(usual, 0, (size_t)inner * sizeof *usual);
                for (int64_t b = 0; b < rule->backs && rule->back[b] <= k; b++) {
                    const int16_t *before = single + (k - rule->back[b]) * inner;
                    for (int64_t p = 0; p < inner; p++)
                        usual[p] = before[p] > usual[p] ? before[p] : usual[p];
                }
                hm_steps_between(lines, k + 1, k - 1, rule->skip, inner, twice);
                const int64_t once = hm_eighths(single + k * inner, usual, inner);
                const int64_t both = hm_eighths(twice, usual, inner);
                const float clear = (float)((double)(once > both ? once : both) / (double)(8 * inner));
                strength = (double)clear > strength ? (double)clear : strength;
            }
            const int64_t ahead = k + rule->far < n - 1 ? k + rule->far : n - 1, over = ahead - k;
            const double inside = (sums[ahead] - sums[k]) / (double)(over > 1 ? over : 1);
            if (inside < rule->sharper * (sums[k - 2] / (double)(k - 1)))
                strength *= rule->dull;
            seams[k] = sums[k - 1] / (double)k > rule->smooth ? 0.0 : strength;
        }
    }
    free(single);
    free(sums);
    return failed;
}

/* Sum of the distances from each line's own ramp, in parts of a grey level. */
HM_BODY int64_t hm_ramp_rest_body(const hm_lines *luma, double fine)
{
    const int64_t m = luma->samples;
    const double squares = (double)(m * (m * m - 1) / 3);
    int64_t total = 0;
    for (int64_t k = 0; k < luma->lines; k++) {
        const int16_t *line = luma->first + k * luma->line;
        int64_t sum = 0, tilt = 0;
        for (int64_t p = 0; p < m; p++) {
            sum += line[p];
            tilt += line[p] * (2 * p - (m - 1));
        }
        const double mean = (double)sum / (double)m, slope = (double)tilt / squares;
        double parts = 0.0; /* of whole numbers, exact */
        for (int64_t p = 0; p < m; p++) {
            const double ramp = (double)(int)(2 * p - (m - 1));
            parts += rint(fabs(((double)line[p] - mean) - slope * ramp) * fine);
        }
        total += (int64_t)parts;
    }
    return total;
}

/* ---- edges to the pixel ---- */

typedef struct {
    const uint8_t *first;
    int64_t channels, lines, samples;
    int64_t channel, line, sample; /* steps, bytes */
} hm_strip;

/* Brightness and two halved colour differences of a line, in sixteenths. */
HM_BODY void hm_opponent_line(const hm_strip *strip, int64_t k, int16_t *values)
{
    const int64_t m = strip->samples, step = strip->sample;
    const uint8_t *red = strip->first + k * strip->line;
    if (strip->channels == 1) {
        for (int64_t p = 0; p < m; p++)
            values[p] = (int16_t)(16 * red[p * step]);
        return;
    }
    const uint8_t *green = red + strip->channel, *blue = green + strip->channel;
    for (int64_t p = 0; p < m; p++) {
        const int r = red[p * step], g = green[p * step], b = blue[p * step], luma = 2 * r + 5 * g + b;
        values[p] = (int16_t)(2 * luma);
        values[m + p] = (int16_t)(8 * r - luma);
        values[2 * m + p] = (int16_t)(8 * b - luma);
    }
}

/* colour: NULL, or in sixteenths; tolerance: in HM_PARTs of those; profile: as numpy.borders.step_profile says. */
HM_BODY int hm_profile_body(const hm_strip *strip, const int16_t *colour, int32_t tolerance, int64_t tail,
                            int32_t change, int64_t *profile)
{
    const int64_t n = strip->lines, m = strip->samples, channels = strip->channels;
    int16_t *values = malloc((size_t)(2 * channels * m) * sizeof *values);
    int32_t *away = malloc((size_t)((n + 1) * m) * sizeof *away), *cap = away ? away + n * m : NULL;
    if (!values || !away) {
        free(values);
        free(away);
        return 1;
    }
    for (int64_t k = 0; k < n; k++) {
        int16_t *here = values + (k % 2) * channels * m;
        const int16_t *before = values + ((k + 1) % 2) * channels * m;
        int32_t *most = away + k * m;
        hm_opponent_line(strip, k, here);
        memset(most, 0, (size_t)m * sizeof *most);
        if (!colour && k == 0)
            continue;
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < m; p++) {
                const int32_t step = here[c * m + p] - (colour ? colour[c] : before[c * m + p]);
                const int32_t size = step < 0 ? -step : step;
                most[p] = size > most[p] ? size : most[p];
            }
    }
    if (colour) {
        memset(cap, 0, (size_t)m * sizeof *cap);
        for (int64_t k = tail; k < n; k++)
            for (int64_t p = 0; p < m; p++)
                cap[p] += away[k * m + p];
        for (int64_t p = 0; p < m; p++) {
            const int32_t content = (int32_t)((int64_t)cap[p] * (7 * HM_PART) / (10 * (n - tail)));
            cap[p] = content > tolerance ? content : tolerance;
        }
    }
    for (int64_t k = colour ? 0 : 1; k < n; k++) {
        int32_t sum = 0;
        if (colour)
            for (int64_t p = 0; p < m; p++) {
                const int32_t size = HM_PART * away[k * m + p];
                sum += size < cap[p] ? size : cap[p];
            }
        else
            for (int64_t p = 0; p < m; p++)
                sum += away[k * m + p] < change ? away[k * m + p] : change;
        *profile++ = sum;
    }
    free(values);
    free(away);
    return 0;
}

/* ---- each body for both paths ---- */

#define HM_TWICE(RESULT, NAME, PARAMETERS, ARGUMENTS)                                                                  \
    static RESULT NAME##_portable PARAMETERS { return NAME##_body ARGUMENTS; }                                         \
    HM_WIDE static RESULT NAME##_wide PARAMETERS { return NAME##_body ARGUMENTS; }

HM_TWICE(int, hm_rises,
         (const hm_lines *lines, const int16_t *colour, const int *limits, const int *sudden, int64_t tolerances,
          int64_t skip, int64_t least, int64_t deepest, int64_t text, double dust, double ground, double *full,
          double *rises),
         (lines, colour, limits, sudden, tolerances, skip, least, deepest, text, dust, ground, full, rises))

HM_TWICE(int, hm_seams, (const hm_lines *lines, const hm_seam_rule *rule, double *seams), (lines, rule, seams))

HM_TWICE(int64_t, hm_ramp_rest, (const hm_lines *luma, double fine), (luma, fine))

HM_TWICE(int, hm_profile,
         (const hm_strip *strip, const int16_t *colour, int32_t tolerance, int64_t tail, int32_t change,
          int64_t *profile),
         (strip, colour, tolerance, tail, change, profile))

#endif
