/* Distances of codes, in word columns and in rows. All numbers are whole, so every path gives the same answer. */
#ifndef HASHMATCH_CODES_H
#define HASHMATCH_CODES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HM_BAD (-1)
#define HM_NO_MEMORY (-2)
#define HM_AHEAD 24 /* reads under way at once */

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_X86 1
#include <immintrin.h>
#define HM_POPCNT __attribute__((target("popcnt")))
#define HM_AVX2 __attribute__((target("avx2,popcnt")))
#define HM_AVX512 __attribute__((target("avx512f,avx512vpopcntdq,popcnt")))
#else
#define HM_POPCNT
#endif
#if defined(__GNUC__) || defined(__clang__)
#define HM_PREFETCH(address) __builtin_prefetch(address)
#define HM_COUNT(word) __builtin_popcountll(word)
#else
#define HM_PREFETCH(address) ((void)0)
static inline int HM_COUNT(uint64_t word) {
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return (int)((((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
}
#endif

/* 0: any processor; 1: counts bits in one instruction; 2: AVX2; 3: AVX-512 with a bit count. */
static int hm_codes_level(void) {
#ifdef HM_X86
    if (!__builtin_cpu_supports("popcnt")) return 0;
    if (!__builtin_cpu_supports("avx2")) return 1;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq") ? 3 : 2;
#else
    return 0;
#endif
}

typedef struct {
    const uint64_t *words; /* n_words columns of n */
    int64_t n_words, n;
} hm_columns;

/* The same codes, one after the other. */
typedef struct {
    const uint64_t *words; /* n rows of n_words */
    int64_t n_words, n;
} hm_rows;

/* Hits of all queries, one after the other. */
typedef struct {
    int64_t *rows;
    int32_t *distances;
    int64_t n, room;
} hm_hits;

static int hm_keep(hm_hits *hits, int64_t row, int64_t distance) {
    if (hits->n == hits->room) {
        int64_t room = hits->room ? 2 * hits->room : 64;
        int64_t *rows = (int64_t *)realloc(hits->rows, (size_t)room * sizeof *rows);
        if (rows) hits->rows = rows;
        int32_t *distances = (int32_t *)realloc(hits->distances, (size_t)room * sizeof *distances);
        if (distances) hits->distances = distances;
        if (!rows || !distances) return HM_NO_MEMORY;
        hits->room = room;
    }
    hits->rows[hits->n] = row;
    hits->distances[hits->n++] = (int32_t)distance;
    return 0;
}

/* Words to add up before a row is told by them: so many that few rows come near by chance, whose bits differ by halves. */
static int64_t hm_lead(int64_t n_words, int64_t radius) {
    int64_t lead = n_words < 2 ? n_words : 2;
    while (lead < n_words && radius > 32 * lead - 14) lead++;
    return lead;
}

/* The bodies that count bits, compiled for any processor and for those with an instruction for it. */
#define HM_BODIES(name, target)                                                                                       \
    target static int64_t hm_distance_##name(const hm_columns *codes, int64_t row, const uint64_t *query,              \
                                             int64_t first) {                                                         \
        int64_t distance = 0;                                                                                         \
        for (int64_t w = first; w < codes->n_words; w++)                                                              \
            distance += HM_COUNT(codes->words[w * codes->n + row] ^ query[w]);                                        \
        return distance;                                                                                              \
    }                                                                                                                 \
    target static int hm_scan_##name(const hm_columns *codes, const uint64_t *query, int64_t radius, int64_t start,    \
                                     int64_t stop, hm_hits *hits) {                                                   \
        int64_t lead = hm_lead(codes->n_words, radius);                                                               \
        for (int64_t row = start; row < stop; row++) {                                                                \
            const uint64_t *code = codes->words + row;                                                                \
            int64_t distance = HM_COUNT(*code ^ query[0]);                                                            \
            for (int64_t w = 1; w < lead; w++) distance += HM_COUNT(code[w * codes->n] ^ query[w]);                   \
            if (distance > radius) continue;                                                                          \
            distance += hm_distance_##name(codes, row, query, lead);                                                  \
            if (distance <= radius && hm_keep(hits, row, distance)) return HM_NO_MEMORY;                              \
        }                                                                                                             \
        return 0;                                                                                                     \
    }                                                                                                                 \
    target static int hm_scan_rows_##name(const hm_rows *codes, const uint64_t *query, int64_t radius, hm_hits *hits) {\
        const uint64_t *code = codes->words;                                                                          \
        int64_t lead = hm_lead(codes->n_words, radius);                                                               \
        for (int64_t row = 0; row < codes->n; row++, code += codes->n_words) {                                        \
            int64_t distance = HM_COUNT(code[0] ^ query[0]), w = 1;                                                   \
            for (; w < lead; w++) distance += HM_COUNT(code[w] ^ query[w]);                                           \
            if (distance > radius) continue; /* nearly always */                                                      \
            for (; w < codes->n_words; w++) distance += HM_COUNT(code[w] ^ query[w]);                                 \
            if (distance <= radius && hm_keep(hits, row, distance)) return HM_NO_MEMORY;                              \
        }                                                                                                             \
        return 0;                                                                                                     \
    }                                                                                                                 \
    target static int hm_check_##name(const hm_rows *codes, const uint64_t *query, int64_t radius,                    \
                                      const uint32_t *rows, int64_t count, hm_hits *hits) {                           \
        for (int64_t i = 0; i < count; i++) {                                                                         \
            if (i + HM_AHEAD < count) HM_PREFETCH(codes->words + rows[i + HM_AHEAD] * codes->n_words);                \
            int64_t row = rows[i], distance = 0, w = 0;                                                               \
            const uint64_t *code = codes->words + row * codes->n_words;                                               \
            for (; w < codes->n_words && distance <= radius; w++) distance += HM_COUNT(code[w] ^ query[w]);           \
            if (distance <= radius && hm_keep(hits, row, distance)) return HM_NO_MEMORY;                              \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

HM_BODIES(any, )
#ifdef HM_X86
HM_BODIES(popcnt, HM_POPCNT)

/* Rest of a row that the first words let through. */
HM_POPCNT static int hm_settle(const hm_columns *codes, const uint64_t *query, int64_t radius, int64_t row,
                               hm_hits *hits) {
    int64_t distance = hm_distance_popcnt(codes, row, query, 0);
    return distance <= radius ? hm_keep(hits, row, distance) : 0;
}

HM_AVX2 static inline __m256i hm_count_avx2(const uint64_t *words, uint64_t query) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    __m256i off = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)words), _mm256_set1_epi64x((int64_t)query));
    __m256i bits = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(off, low)),
                                   _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(off, 4), low)));
    return _mm256_sad_epu8(bits, _mm256_setzero_si256());
}

HM_AVX2 static int hm_scan_avx2(const hm_columns *codes, const uint64_t *query, int64_t radius, int64_t start,
                                int64_t stop, hm_hits *hits) {
    int64_t row = start, lead = hm_lead(codes->n_words, radius);
    __m256i bound = _mm256_set1_epi64x(radius + 1);
    for (; row + 4 <= stop; row += 4) {
        const uint64_t *code = codes->words + row;
        __m256i bits = hm_count_avx2(code, query[0]);
        for (int64_t w = 1; w < lead; w++) bits = _mm256_add_epi64(bits, hm_count_avx2(code + w * codes->n, query[w]));
        int near = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(bound, bits)));
        for (; near; near &= near - 1)
            if (hm_settle(codes, query, radius, row + __builtin_ctz((unsigned)near), hits)) return HM_NO_MEMORY;
    }
    return hm_scan_popcnt(codes, query, radius, row, stop, hits);
}

HM_AVX512 static inline __m512i hm_count_avx512(const uint64_t *words, uint64_t query) {
    return _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(words), _mm512_set1_epi64((int64_t)query)));
}

HM_AVX512 static int hm_scan_avx512(const hm_columns *codes, const uint64_t *query, int64_t radius, int64_t start,
                                    int64_t stop, hm_hits *hits) {
    int64_t row = start, lead = hm_lead(codes->n_words, radius);
    __m512i bound = _mm512_set1_epi64(radius);
    for (; row + 16 <= stop; row += 16) {
        const uint64_t *code = codes->words + row;
        __m512i a = hm_count_avx512(code, query[0]), b = hm_count_avx512(code + 8, query[0]);
        for (int64_t w = 1; w < lead; w++) {
            a = _mm512_add_epi64(a, hm_count_avx512(code + w * codes->n, query[w]));
            b = _mm512_add_epi64(b, hm_count_avx512(code + w * codes->n + 8, query[w]));
        }
        unsigned near = (unsigned)_mm512_cmple_epi64_mask(a, bound);
        near |= (unsigned)_mm512_cmple_epi64_mask(b, bound) << 8;
        for (; near; near &= near - 1)
            if (hm_settle(codes, query, radius, row + __builtin_ctz(near), hits)) return HM_NO_MEMORY;
    }
    return hm_scan_popcnt(codes, query, radius, row, stop, hits);
}
#endif

/* Every row from `start` to before `stop` within the radius, ascending. */
static int hm_scan(const hm_columns *codes, const uint64_t *query, int64_t radius, int64_t start, int64_t stop, int level,
                   hm_hits *hits) {
#ifdef HM_X86
    if (level >= 3) return hm_scan_avx512(codes, query, radius, start, stop, hits);
    if (level == 2) return hm_scan_avx2(codes, query, radius, start, stop, hits);
    if (level == 1) return hm_scan_popcnt(codes, query, radius, start, stop, hits);
#endif
    (void)level;
    return hm_scan_any(codes, query, radius, start, stop, hits);
}

/* Every row within the radius, ascending, of codes that stand one after the other. */
static int hm_scan_rows(const hm_rows *codes, const uint64_t *query, int64_t radius, int level, hm_hits *hits) {
#ifdef HM_X86
    if (level >= 1) return hm_scan_rows_popcnt(codes, query, radius, hits);
#endif
    (void)level;
    return hm_scan_rows_any(codes, query, radius, hits);
}

/* Compare the named rows. */
static int hm_check(const hm_rows *codes, const uint64_t *query, int64_t radius, const uint32_t *rows, int64_t count,
                    int level, hm_hits *hits) {
#ifdef HM_X86
    if (level >= 1) return hm_check_popcnt(codes, query, radius, rows, count, hits);
#endif
    (void)level;
    return hm_check_any(codes, query, radius, rows, count, hits);
}

static int64_t hm_distance(const hm_columns *codes, int64_t row, const uint64_t *query, int level) {
#ifdef HM_X86
    if (level >= 1) return hm_distance_popcnt(codes, row, query, 0);
#endif
    (void)level;
    return hm_distance_any(codes, row, query, 0);
}

static int hm_by_row(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Sort the hits from place `from` on by row and keep each row once; a distance fits 16 bits, a row 32. */
static int hm_order(hm_hits *hits, int64_t from) {
    int64_t count = hits->n - from;
    if (count < 2) return 0;
    uint64_t *keys = (uint64_t *)malloc((size_t)count * sizeof *keys);
    if (!keys) return HM_NO_MEMORY;
    for (int64_t i = 0; i < count; i++)
        keys[i] = (uint64_t)hits->rows[from + i] << 24 | (uint64_t)hits->distances[from + i];
    qsort(keys, (size_t)count, sizeof *keys, hm_by_row);
    hits->n = from;
    for (int64_t i = 0; i < count; i++) {
        if (i && keys[i] == keys[i - 1]) continue;
        hits->rows[hits->n] = (int64_t)(keys[i] >> 24);
        hits->distances[hits->n++] = (int32_t)(keys[i] & 0xffffff);
    }
    free(keys);
    return 0;
}

#endif
