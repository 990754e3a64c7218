/* The loops of keys.pyx: buckets of a compact directory, and the codes they hold. All numbers are whole, so
   every path gives the same answer. Starts, lengths and rows may come from a damaged file: each is checked before it is
   used, and HM_BAD is returned for one that lies outside. */
#ifndef HASHMATCH_KEYS_H
#define HASHMATCH_KEYS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HM_BAD (-1)
#define HM_NO_MEMORY (-2)
#define HM_AHEAD 24 /* reads under way at once */
#define HM_RING 2048

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define HM_X86 1
#define HM_POPCNT __attribute__((target("popcnt")))
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

static int hm_counts_bits(void) {
#ifdef HM_X86
    return __builtin_cpu_supports("popcnt") ? 1 : 0;
#else
    return 0;
#endif
}

/* Where the rows of every bucket start, see numpy.keys.Starts. */
typedef struct {
    const uint32_t *heads4; /* one of the two is NULL */
    const uint64_t *heads8;
    const uint64_t *low, *high;
    int64_t n_heads, n_low, n_high;
    int shift;
} hm_starts;

/* The place of the first 1 of a word that has one. */
static inline int64_t hm_lowest(uint64_t word) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(word);
#else
    return HM_COUNT((word & (~word + 1)) - 1);
#endif
}

/* The place of one of the ones of a word, counted from 0; there are more than that. */
static inline int64_t hm_selected(uint64_t word, int64_t number) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t sums = word - ((word >> 1) & 0x5555555555555555u);
    sums = (sums & 0x3333333333333333u) + ((sums >> 2) & 0x3333333333333333u);
    sums = ((sums + (sums >> 4)) & 0x0f0f0f0f0f0f0f0fu) * ones; /* each byte: the ones up to its end */
    int64_t place = hm_lowest(((sums | tops) - (uint64_t)(number + 1) * ones) & tops) & ~(int64_t)7;
    number -= (int64_t)(sums << 8 >> place & 255);
    uint64_t byte = word >> place & 255;
    for (; number; number--) byte &= byte - 1;
    return place + hm_lowest(byte);
}

static inline int64_t hm_low(const hm_starts *starts, int64_t number) {
    if (!starts->shift) return 0;
    int64_t at = number * starts->shift;
    return (int64_t)(starts->low[at >> 6] >> (at & 63) & (((uint64_t)1 << starts->shift) - 1));
}

static inline int64_t hm_first(const hm_starts *starts, int64_t block) {
    int64_t head = starts->heads4 ? (int64_t)starts->heads4[block] : (int64_t)starts->heads8[block];
    return (head >> starts->shift) + 64 * block;
}

/* The bodies count bits: compiled for any processor and for those with an instruction for it. */
#define HM_RANGES(name, target)                                                                                       \
    target static int hm_bucket_ranges_##name(const hm_starts *starts, const int64_t *buckets, int64_t n,            \
                                              int64_t *begins, int64_t *lengths) {                                    \
        for (int64_t i = 0; i < n; i++)                                                                               \
            if (buckets[i] < 0 || buckets[i] >= 64 * starts->n_heads) return HM_BAD;                                  \
        for (int64_t i = 0; i < n; i++) {                                                                             \
            if (i + 2 * HM_AHEAD < n) {                                                                               \
                int64_t later = buckets[i + 2 * HM_AHEAD] >> 6;                                                       \
                if (starts->heads4) HM_PREFETCH(starts->heads4 + later);                                              \
                else HM_PREFETCH(starts->heads8 + later);                                                             \
                if (starts->shift) HM_PREFETCH(starts->low + (buckets[i + 2 * HM_AHEAD] * starts->shift >> 6));       \
            }                                                                                                         \
            if (i + HM_AHEAD < n) {                                                                                   \
                int64_t soon = hm_first(starts, buckets[i + HM_AHEAD] >> 6) >> 6;                                     \
                if (soon >= 0 && soon < starts->n_high) HM_PREFETCH(starts->high + soon);                             \
            }                                                                                                         \
            int64_t bucket = buckets[i], left = bucket & 63, at = hm_first(starts, bucket >> 6), word = at >> 6;      \
            if (at < 0 || word >= starts->n_high) return HM_BAD;                                                      \
            uint64_t bits = starts->high[word] & (~(uint64_t)0 << (at & 63));                                         \
            for (int count = HM_COUNT(bits); count <= left; count = HM_COUNT(bits)) {                                 \
                left -= count;                                                                                        \
                if (++word >= starts->n_high) return HM_BAD;                                                          \
                bits = starts->high[word];                                                                            \
            }                                                                                                         \
            int64_t place = hm_selected(bits, left);                                                                  \
            int64_t here = 64 * word + place;                                                                         \
            for (bits &= ~(uint64_t)1 << place; !bits; bits = starts->high[word])                                     \
                if (++word >= starts->n_high) return HM_BAD;                                                          \
            int64_t there = 64 * word + hm_lowest(bits);                                                              \
            int64_t begin = ((here - bucket) << starts->shift) + hm_low(starts, bucket);                              \
            int64_t end = ((there - bucket - 1) << starts->shift) + hm_low(starts, bucket + 1);                       \
            begins[i] = begin;                                                                                        \
            lengths[i] = end > begin ? end - begin : 0;                                                               \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

HM_RANGES(any, )
#ifdef HM_X86
HM_RANGES(popcnt, HM_POPCNT)
#endif

static int hm_bucket_ranges(const hm_starts *starts, const int64_t *buckets, int64_t n, int counts, int64_t *begins,
                            int64_t *lengths) {
#ifdef HM_X86
    if (counts) return hm_bucket_ranges_popcnt(starts, buckets, n, begins, lengths);
#endif
    (void)counts;
    return hm_bucket_ranges_any(starts, buckets, n, begins, lengths);
}

/* Pairs that agree, in the order in which they are found. */
typedef struct {
    int64_t *owners, *rows;
    int32_t *distances;
    int64_t n, room;
} hm_pairs;

static int hm_keep(hm_pairs *pairs, int64_t owner, int64_t row, int distance) {
    if (pairs->n == pairs->room) {
        int64_t room = pairs->room ? 2 * pairs->room : 1024;
        int64_t *owners = (int64_t *)realloc(pairs->owners, (size_t)room * sizeof *owners);
        if (owners) pairs->owners = owners;
        int64_t *rows = (int64_t *)realloc(pairs->rows, (size_t)room * sizeof *rows);
        if (rows) pairs->rows = rows;
        int32_t *distances = (int32_t *)realloc(pairs->distances, (size_t)room * sizeof *distances);
        if (distances) pairs->distances = distances;
        if (!owners || !rows || !distances) return HM_NO_MEMORY;
        pairs->room = room;
    }
    pairs->owners[pairs->n] = owner;
    pairs->rows[pairs->n] = row;
    pairs->distances[pairs->n++] = distance;
    return 0;
}

/* Codes of 16 bytes, the rows of all buckets, and the query's codes. */
typedef struct {
    const uint64_t *codes;
    const uint32_t *rows;
    const uint64_t *queries;
    int64_t n_codes, n_rows, n_queries;
} hm_stock;

/* Compare a ring of rows, whose codes are on their way. */
#define HM_BODIES(name, target)                                                                                       \
    target static int hm_compare_##name(const hm_stock *stock, const uint32_t *rows, const int32_t *owners, int64_t n, \
                                        int most, hm_pairs *pairs) {                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                             \
            if (i + HM_AHEAD < n) HM_PREFETCH(stock->codes + 2 * (int64_t)rows[i + HM_AHEAD]);                        \
            const uint64_t *code = stock->codes + 2 * (int64_t)rows[i];                                               \
            const uint64_t *query = stock->queries + 2 * (int64_t)owners[i];                                          \
            int apart = HM_COUNT(code[0] ^ query[0]) + HM_COUNT(code[1] ^ query[1]);                                  \
            if (apart <= most && hm_keep(pairs, owners[i], rows[i], apart)) return HM_NO_MEMORY;                      \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

HM_BODIES(any, )
#ifdef HM_X86
HM_BODIES(popcnt, HM_POPCNT)
#endif

static int hm_compare(const hm_stock *stock, const uint32_t *rows, const int32_t *owners, int64_t n, int most, int counts,
                      hm_pairs *pairs) {
#ifdef HM_X86
    if (counts) return hm_compare_popcnt(stock, rows, owners, n, most, pairs);
#endif
    (void)counts;
    return hm_compare_any(stock, rows, owners, n, most, pairs);
}

/* Compare each query with the codes of its buckets. */
static int hm_near_rows(const hm_stock *stock, const int64_t *starts, const int64_t *lengths, const int64_t *owners,
                        int64_t n, int most, int counts, hm_pairs *pairs) {
    uint32_t rows[HM_RING];
    int32_t whose[HM_RING];
    int64_t filled = 0;
    int failed;
    for (int64_t i = 0; i < n; i++) {
        if (i + HM_AHEAD < n && starts[i + HM_AHEAD] >= 0 && starts[i + HM_AHEAD] < stock->n_rows)
            HM_PREFETCH(stock->rows + starts[i + HM_AHEAD]);
        if (owners[i] < 0 || owners[i] >= stock->n_queries || lengths[i] < 0 || starts[i] < 0) return HM_BAD;
        if (starts[i] > stock->n_rows || lengths[i] > stock->n_rows - starts[i]) return HM_BAD;
        for (int64_t j = starts[i]; j < starts[i] + lengths[i]; j++) {
            if ((int64_t)stock->rows[j] >= stock->n_codes) return HM_BAD;
            rows[filled] = stock->rows[j];
            whose[filled++] = (int32_t)owners[i];
            if (filled == HM_RING) {
                failed = hm_compare(stock, rows, whose, filled, most, counts, pairs);
                if (failed) return failed;
                filled = 0;
            }
        }
    }
    return hm_compare(stock, rows, whose, filled, most, counts, pairs);
}

#endif
