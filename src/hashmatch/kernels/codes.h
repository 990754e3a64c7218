/* The loops of _native_codes.pyx: distances in word columns, substring tables, the walk of a BK-tree. All numbers are
   whole, so every path gives the same answer. Rows and offsets may come from a damaged file: each is checked before it
   is used, and HM_BAD is returned for one that lies outside. */
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
        const uint64_t *one = codes->words, *two = codes->n_words > 1 ? one + codes->n : NULL;                         \
        for (int64_t row = start; row < stop; row++) {                                                                \
            int64_t distance = HM_COUNT(one[row] ^ query[0]);                                                         \
            if (two) distance += HM_COUNT(two[row] ^ query[1]);                                                       \
            if (distance > radius) continue;                                                                          \
            distance += hm_distance_##name(codes, row, query, 2);                                                     \
            if (distance <= radius && hm_keep(hits, row, distance)) return HM_NO_MEMORY;                              \
        }                                                                                                             \
        return 0;                                                                                                     \
    }                                                                                                                 \
    target static int hm_scan_rows_##name(const hm_rows *codes, const uint64_t *query, int64_t radius, hm_hits *hits) {\
        const uint64_t *code = codes->words;                                                                          \
        for (int64_t row = 0; row < codes->n; row++, code += codes->n_words) {                                        \
            int64_t distance = HM_COUNT(code[0] ^ query[0]);                                                          \
            if (codes->n_words > 1) distance += HM_COUNT(code[1] ^ query[1]);                                         \
            if (distance > radius) continue; /* nearly always */                                                      \
            for (int64_t w = 2; w < codes->n_words; w++) distance += HM_COUNT(code[w] ^ query[w]);                    \
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

HM_AVX2 static inline __m256i hm_count_avx2(__m256i words) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    __m256i bits = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(words, low)),
                                   _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(words, 4), low)));
    return _mm256_sad_epu8(bits, _mm256_setzero_si256());
}

HM_AVX2 static int hm_scan_avx2(const hm_columns *codes, const uint64_t *query, int64_t radius, hm_hits *hits) {
    const uint64_t *one = codes->words, *two = codes->n_words > 1 ? one + codes->n : NULL;
    __m256i q0 = _mm256_set1_epi64x((int64_t)query[0]), q1 = _mm256_set1_epi64x(two ? (int64_t)query[1] : 0);
    __m256i bound = _mm256_set1_epi64x(radius + 1);
    int64_t row = 0;
    for (; row + 4 <= codes->n; row += 4) {
        __m256i bits = hm_count_avx2(_mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(one + row)), q0));
        if (two)
            bits = _mm256_add_epi64(
                bits, hm_count_avx2(_mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(two + row)), q1)));
        int near = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(bound, bits)));
        for (; near; near &= near - 1)
            if (hm_settle(codes, query, radius, row + __builtin_ctz((unsigned)near), hits)) return HM_NO_MEMORY;
    }
    return hm_scan_popcnt(codes, query, radius, row, codes->n, hits);
}

HM_AVX512 static int hm_scan_avx512(const hm_columns *codes, const uint64_t *query, int64_t radius, hm_hits *hits) {
    const uint64_t *one = codes->words, *two = codes->n_words > 1 ? one + codes->n : NULL;
    __m512i q0 = _mm512_set1_epi64((int64_t)query[0]), q1 = _mm512_set1_epi64(two ? (int64_t)query[1] : 0);
    __m512i bound = _mm512_set1_epi64(radius);
    int64_t row = 0;
    for (; row + 16 <= codes->n; row += 16) {
        __m512i a = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(one + row), q0));
        __m512i b = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(one + row + 8), q0));
        if (two) {
            a = _mm512_add_epi64(a, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(two + row), q1)));
            b = _mm512_add_epi64(b, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(two + row + 8), q1)));
        }
        unsigned near = (unsigned)_mm512_cmple_epi64_mask(a, bound);
        near |= (unsigned)_mm512_cmple_epi64_mask(b, bound) << 8;
        for (; near; near &= near - 1)
            if (hm_settle(codes, query, radius, row + __builtin_ctz(near), hits)) return HM_NO_MEMORY;
    }
    return hm_scan_popcnt(codes, query, radius, row, codes->n, hits);
}
#endif

/* Every row within the radius, ascending. */
static int hm_scan(const hm_columns *codes, const uint64_t *query, int64_t radius, int level, hm_hits *hits) {
#ifdef HM_X86
    if (level >= 3) return hm_scan_avx512(codes, query, radius, hits);
    if (level == 2) return hm_scan_avx2(codes, query, radius, hits);
    if (level == 1) return hm_scan_popcnt(codes, query, radius, 0, codes->n, hits);
#endif
    (void)level;
    return hm_scan_any(codes, query, radius, 0, codes->n, hits);
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

/* Substring tables of one index, see reference_codes.Tables. */
typedef struct {
    const uint64_t *marks; /* for 64 buckets each: which are filled, and the filled buckets before them */
    const uint32_t *heads4; /* one of the two is NULL */
    const uint64_t *heads8;
    const uint32_t *runs;
    int64_t n_buckets, n_heads, n_runs;
    int row_bits, tag_bits; /* of an item */
} hm_tables;

/* What one query looks up: its key and its tag in each table; for each probe the table, the mask and the bound. */
typedef struct {
    const int64_t *keys, *tags;
    const int64_t *owners, *masks, *bounds;
    int64_t n;
} hm_probes;

/* Place of a filled bucket, or of a run, and the probe that led there. */
typedef struct {
    uint64_t place;
    int64_t probe;
} hm_place;

/* Room for what one query needs. */
typedef struct {
    hm_place *places;
    uint32_t *rows;
    int64_t room;
} hm_scratch;

static int hm_widen(hm_scratch *scratch, int64_t room) {
    if (room <= scratch->room) return 0;
    room += room / 2;
    uint32_t *rows = (uint32_t *)realloc(scratch->rows, (size_t)room * sizeof *rows);
    if (!rows) return HM_NO_MEMORY;
    scratch->rows = rows;
    scratch->room = room;
    return 0;
}

/* The bodies of hm_candidates, which counts bits too. A run is marked by the highest bit of its head. */
#define HM_CANDIDATES(name, target)                                                                                   \
    target static int64_t hm_candidates_##name(const hm_tables *tables, const hm_rows *codes, const hm_probes *probes,\
                                               int64_t most, hm_scratch *scratch) {                                   \
        const uint64_t run = tables->heads4 ? (uint64_t)1 << 31 : (uint64_t)1 << 63;                                  \
        const uint64_t rows = ((uint64_t)1 << tables->row_bits) - 1, tags = ((uint64_t)1 << tables->tag_bits) - 1;    \
        int64_t filled = 0, in_runs = 0, seen = 0, total = 0;                                                         \
        for (int64_t p = 0; p < probes->n; p++) {                                                                     \
            if (p + HM_AHEAD < probes->n) {                                                                           \
                int64_t next = probes->keys[probes->owners[p + HM_AHEAD]] ^ probes->masks[p + HM_AHEAD];              \
                HM_PREFETCH(tables->marks + 2 * (next >> 6));                                                         \
            }                                                                                                         \
            int64_t bucket = probes->keys[probes->owners[p]] ^ probes->masks[p];                                      \
            if (bucket >= tables->n_buckets) return HM_BAD;                                                           \
            uint64_t word = tables->marks[2 * (bucket >> 6)], bit = (uint64_t)1 << (bucket & 63);                     \
            if (!(word & bit)) continue;                                                                              \
            uint64_t place = tables->marks[2 * (bucket >> 6) + 1] + (uint64_t)HM_COUNT(word & (bit - 1));             \
            if (place >= (uint64_t)tables->n_heads) return HM_BAD;                                                    \
            if (tables->heads4) HM_PREFETCH(tables->heads4 + place);                                                  \
            else HM_PREFETCH(tables->heads8 + place);                                                                 \
            scratch->places[filled].place = place;                                                                    \
            scratch->places[filled++].probe = p;                                                                      \
        }                                                                                                             \
        if (filled > most) return -3;                                                                                 \
        if (hm_widen(scratch, filled)) return HM_NO_MEMORY;                                                           \
        for (int64_t i = 0; i < filled; i++) {                                                                        \
            hm_place at = scratch->places[i];                                                                         \
            uint64_t head = tables->heads4 ? tables->heads4[at.place] : tables->heads8[at.place];                     \
            if (head < run) {                                                                                         \
                uint64_t tag = head >> tables->row_bits ^ (uint64_t)probes->tags[probes->owners[at.probe]];           \
                head &= rows;                                                                                         \
                if (head >= (uint64_t)codes->n) return HM_BAD;                                                        \
                seen++;                                                                                               \
                if (HM_COUNT(tag & tags) > probes->bounds[at.probe]) continue;                                        \
                HM_PREFETCH(codes->words + head * (uint64_t)codes->n_words);                                          \
                scratch->rows[total++] = (uint32_t)head;                                                              \
            } else {                                                                                                  \
                head ^= run;                                                                                          \
                if (head >= (uint64_t)tables->n_runs) return HM_BAD;                                                  \
                HM_PREFETCH(tables->runs + head);                                                                     \
                scratch->places[in_runs].place = head;                                                                \
                scratch->places[in_runs++].probe = at.probe;                                                          \
            }                                                                                                         \
        }                                                                                                             \
        for (int64_t i = 0; i < in_runs; i++) {                                                                       \
            hm_place at = scratch->places[i];                                                                         \
            int64_t place = (int64_t)at.place, count = tables->runs[place], bound = probes->bounds[at.probe];         \
            uint64_t asked = (uint64_t)probes->tags[probes->owners[at.probe]];                                        \
            if (count >= tables->n_runs - place) return HM_BAD;                                                       \
            seen += count;                                                                                            \
            if (seen > most) return -3;                                                                               \
            if (hm_widen(scratch, total + count)) return HM_NO_MEMORY;                                                \
            for (int64_t j = 1; j <= count; j++) {                                                                    \
                uint64_t item = tables->runs[place + j], row = item & rows;                                           \
                if (row >= (uint64_t)codes->n) return HM_BAD;                                                         \
                if (HM_COUNT((item >> tables->row_bits ^ asked) & tags) > bound) continue;                            \
                HM_PREFETCH(codes->words + row * (uint64_t)codes->n_words);                                           \
                scratch->rows[total++] = (uint32_t)row;                                                               \
            }                                                                                                         \
        }                                                                                                             \
        return total;                                                                                                 \
    }

HM_CANDIDATES(any, )
#ifdef HM_X86
HM_CANDIDATES(popcnt, HM_POPCNT)
#endif

/* The candidates of one query: of all rows in its buckets those whose tags are near enough; -3 where the buckets hold more
   than `most`. */
static int64_t hm_candidates(const hm_tables *tables, const hm_rows *codes, const hm_probes *probes, int64_t most,
                             int level, hm_scratch *scratch) {
#ifdef HM_X86
    if (level >= 1) return hm_candidates_popcnt(tables, codes, probes, most, scratch);
#endif
    (void)level;
    return hm_candidates_any(tables, codes, probes, most, scratch);
}

/* A BK-tree in flat arrays, see hashmatch.index.bktree.Tree. */
typedef struct {
    const uint32_t *node_slot, *edge_start, *edge_end;
    const int64_t *edge_key;
    const int32_t *edge_node;
    int64_t n_nodes, n_edges, span;
} hm_tree;

/* Growing list of numbers. */
typedef struct {
    int64_t *items;
    int64_t n, room;
} hm_list;

static int hm_push(hm_list *list, int64_t item) {
    if (list->n == list->room) {
        int64_t room = list->room ? 2 * list->room : 256;
        int64_t *items = (int64_t *)realloc(list->items, (size_t)room * sizeof *items);
        if (!items) return HM_NO_MEMORY;
        list->items = items;
        list->room = room;
    }
    list->items[list->n++] = item;
    return 0;
}

static int64_t hm_first_at_least(const int64_t *keys, int64_t n, int64_t key) {
    int64_t low = 0;
    while (n > 0) {
        int64_t half = n / 2;
        if (keys[low + half] < key) {
            low += half + 1;
            n -= half + 1;
        } else n = half;
    }
    return low;
}

/* Walk down from the root: hits among the pivots, edges to leaves in `leaves`. Gives the codes in those leaves. */
static int64_t hm_descend(const hm_tree *tree, const hm_columns *codes, const uint64_t *query, int64_t radius, int level,
                          hm_list *nodes, hm_list *leaves, int64_t *visited, hm_hits *hits) {
    int64_t total = 0;
    nodes->n = leaves->n = 0;
    if (hm_push(nodes, 0)) return HM_NO_MEMORY;
    while (nodes->n) {
        int64_t node = nodes->items[--nodes->n], slot = tree->node_slot[node];
        if (slot >= codes->n || ++*visited > tree->n_nodes) return HM_BAD;
        int64_t distance = hm_distance(codes, slot, query, level), base = node * tree->span;
        if (distance <= radius && hm_keep(hits, slot, distance)) return HM_NO_MEMORY;
        int64_t high = distance + radius < tree->span - 1 ? distance + radius : tree->span - 1;
        int64_t edge = hm_first_at_least(tree->edge_key, tree->n_edges, base + (distance > radius ? distance - radius : 0));
        for (; edge < tree->n_edges && tree->edge_key[edge] <= base + high; edge++) {
            int64_t child = tree->edge_node[edge], start = tree->edge_start[edge], stop = tree->edge_end[edge];
            if (child >= tree->n_nodes) return HM_BAD;
            if (child >= 0) {
                HM_PREFETCH(tree->node_slot + child);
                if (hm_push(nodes, child)) return HM_NO_MEMORY;
            } else {
                if (stop < start || stop > codes->n) return HM_BAD;
                HM_PREFETCH(codes->words + start);
                total += stop - start;
                if (hm_push(leaves, edge)) return HM_NO_MEMORY;
            }
        }
    }
    return total;
}

/* Compare the codes of the leaves. */
static int hm_leaves(const hm_tree *tree, const hm_columns *codes, const uint64_t *query, int64_t radius, int level,
                     const hm_list *leaves, hm_hits *hits) {
    for (int64_t i = 0; i < leaves->n; i++) {
        int64_t edge = leaves->items[i], start = tree->edge_start[edge], stop = tree->edge_end[edge];
        if (i + 4 < leaves->n) HM_PREFETCH(codes->words + tree->edge_start[leaves->items[i + 4]]);
#ifdef HM_X86
        if (level >= 1) {
            if (hm_scan_popcnt(codes, query, radius, start, stop, hits)) return HM_NO_MEMORY;
            continue;
        }
#endif
        if (hm_scan_any(codes, query, radius, start, stop, hits)) return HM_NO_MEMORY;
    }
    return 0;
}

#endif
