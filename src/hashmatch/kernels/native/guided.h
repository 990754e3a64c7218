/* Loops of the guided search: keys of uncertain bits, and the entries that they lead to. Float sums are taken in one
   fixed order on every path. */
#ifndef HASHMATCH_GUIDED_H
#define HASHMATCH_GUIDED_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HM_NO_MEMORY (-2)
#define HM_BAD (-1)
#define HM_KEYS 64 /* keys whose reads are under way at once */
#define HM_MOST_FLIPS 10
#define HM_MOST_BITS 32

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_X86 1
#define HM_INLINE static inline __attribute__((always_inline))
#define HM_WIDE __attribute__((target("avx2,popcnt")))
#else
#define HM_X86 0
#define HM_INLINE static inline
#endif

#if defined(__GNUC__) || defined(__clang__)
#define HM_PREFETCH(address) __builtin_prefetch(address)
#define HM_COUNT(word) __builtin_popcountll(word)
#else
#define HM_PREFETCH(address) ((void)0)
static int HM_COUNT(uint64_t word)
{
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return (int)((((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
}
#endif

static int hm_guided_wide(void)
{
#if HM_X86
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#else
    return 0;
#endif
}

/* Keys of one code and one group of `bits`; key and chance of subset i go to place i * stride. */
HM_INLINE void hm_keys_body(const float *odds, const float *size, const float *sure, int bits, const uint32_t *subsets,
                            int64_t n_subsets, int flips, int64_t stride, uint32_t *keys, float *chances)
{
    float cost[1 << HM_MOST_FLIPS], chance = 0.0f;
    uint32_t flipped[1 << HM_MOST_FLIPS], key = 0;
    float left[HM_MOST_BITS]; /* sizes of the bits not taken yet; no size is infinite */
    int64_t s;
    int i, j;
    for (i = 0; i < bits; i++) {
        chance = chance + sure[i];
        key |= (uint32_t)(odds[i] > 0.0f) << i;
        left[i] = size[i];
    }
    cost[0] = 0.0f;
    flipped[0] = 0;
    for (i = 0; i < flips; i++) {
        int least = 0, half = 1 << i;
        float step = left[0];
        uint32_t bit;
        for (j = 1; j < bits; j++) {
            const int lower = left[j] < step;
            step = lower ? left[j] : step;
            least = lower ? j : least;
        }
        bit = (uint32_t)1 << least;
        left[least] = INFINITY;
        for (j = 0; j < half; j++) {
            cost[half + j] = cost[j] + step;
            flipped[half + j] = flipped[j] | bit;
        }
    }
    for (s = 0; s < n_subsets; s++) {
        keys[s * stride] = key ^ flipped[subsets[s]];
        chances[s * stride] = chance - cost[subsets[s]];
    }
}

HM_INLINE void hm_all_keys_body(const float *odds, const float *size, const float *sure, int64_t n, int64_t groups,
                                int bits, const uint32_t *subsets, int64_t n_subsets, int flips, uint32_t *keys,
                                float *chances)
{
    int64_t v, g;
    for (g = 0; g < groups; g++)
        for (v = 0; v < n; v++) {
            int64_t from = (v * groups + g) * bits, to = g * n_subsets * n + v;
            hm_keys_body(odds + from, size + from, sure + from, bits, subsets, n_subsets, flips, n, keys + to,
                         chances + to);
        }
}

typedef struct {
    int64_t *rows, *found;
    int32_t *distances;
    int64_t n, room;
} hm_near;

static int hm_keep(hm_near *hits, int64_t row, int64_t found, int32_t distance)
{
    if (hits->n == hits->room) {
        int64_t room = hits->room ? 2 * hits->room : 256, *rows, *places;
        int32_t *distances;
        rows = (int64_t *)realloc(hits->rows, (size_t)room * sizeof *rows);
        if (rows) hits->rows = rows;
        places = (int64_t *)realloc(hits->found, (size_t)room * sizeof *places);
        if (places) hits->found = places;
        distances = (int32_t *)realloc(hits->distances, (size_t)room * sizeof *distances);
        if (distances) hits->distances = distances;
        if (!rows || !places || !distances) return HM_NO_MEMORY;
        hits->room = room;
    }
    hits->rows[hits->n] = row;
    hits->found[hits->n] = found;
    hits->distances[hits->n++] = distance;
    return 0;
}

typedef struct {
    const uint64_t *words;
    int64_t n_words, n;
    const int32_t *offsets;
    int64_t n_keys;
    const int32_t *positions;
} hm_table;

HM_INLINE int hm_near_body(const hm_table *table, const uint32_t *keys, const float *chances, int64_t n_asked,
                           float least, const uint64_t *queries, int64_t n_queries, int64_t limit, int64_t radius,
                           hm_near *hits)
{
    int64_t asked[HM_KEYS], starts[HM_KEYS], ends[HM_KEYS], at = 0, total = 0, i, p, w;
    int full = 0;
    while (at < n_asked && !full) {
        int64_t n = 0;
        for (; at < n_asked && n < HM_KEYS; at++)
            if (least <= chances[at]) {
                if (keys[at] >= table->n_keys) return HM_BAD;
                asked[n++] = at;
                HM_PREFETCH(table->offsets + keys[at]);
            }
        for (i = 0; i < n; i++) {
            starts[i] = table->offsets[keys[asked[i]]];
            ends[i] = table->offsets[keys[asked[i]] + 1];
            if (starts[i] < 0 || ends[i] < starts[i] || ends[i] > table->n) return HM_BAD;
            total += ends[i] - starts[i];
            if (total > limit) {
                full = 1;
                n = i;
                break;
            }
            HM_PREFETCH(table->positions + starts[i]);
        }
        for (i = 0; i < n; i++)
            for (p = starts[i]; p < ends[i]; p++) {
                if (table->positions[p] < 0 || table->positions[p] >= table->n) return HM_BAD;
                HM_PREFETCH(table->words + table->positions[p] * table->n_words);
            }
        for (i = 0; i < n; i++) {
            int64_t row = asked[i] % n_queries;
            const uint64_t *query = queries + row * table->n_words;
            for (p = starts[i]; p < ends[i]; p++) {
                const uint64_t *entry = table->words + table->positions[p] * table->n_words;
                int64_t distance = 0;
                for (w = 0; w < table->n_words; w++) distance += HM_COUNT(entry[w] ^ query[w]);
                if (distance <= radius && hm_keep(hits, row, table->positions[p], (int32_t)distance))
                    return HM_NO_MEMORY;
            }
        }
    }
    return 0;
}

#define HM_KEYS_TAKES                                                                                                  \
    const float *odds, const float *size, const float *sure, int64_t n, int64_t groups, int bits,                      \
        const uint32_t *subsets, int64_t n_subsets, int flips, uint32_t *keys, float *chances
#define HM_KEYS_GIVES odds, size, sure, n, groups, bits, subsets, n_subsets, flips, keys, chances
#define HM_NEAR_TAKES                                                                                                  \
    const hm_table *table, const uint32_t *keys, const float *chances, int64_t n_asked, float least,                   \
        const uint64_t *queries, int64_t n_queries, int64_t limit, int64_t radius, hm_near *hits
#define HM_NEAR_GIVES table, keys, chances, n_asked, least, queries, n_queries, limit, radius, hits

#if HM_X86
HM_WIDE static void hm_all_keys_wide(HM_KEYS_TAKES) { hm_all_keys_body(HM_KEYS_GIVES); }
HM_WIDE static int hm_near_wide(HM_NEAR_TAKES) { return hm_near_body(HM_NEAR_GIVES); }
#endif

static void hm_all_keys(int wide, HM_KEYS_TAKES)
{
#if HM_X86
    if (wide) {
        hm_all_keys_wide(HM_KEYS_GIVES);
        return;
    }
#endif
    (void)wide;
    hm_all_keys_body(HM_KEYS_GIVES);
}

static int hm_find_near(int wide, HM_NEAR_TAKES)
{
#if HM_X86
    if (wide) return hm_near_wide(HM_NEAR_GIVES);
#endif
    (void)wide;
    return hm_near_body(HM_NEAR_GIVES);
}

#endif
