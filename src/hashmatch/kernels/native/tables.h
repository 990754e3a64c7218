/* Looking a query up in substring tables, see tables.pyx. What stands in the tables may come from a damaged file:
   each place is checked before it is used, and HM_BAD is returned for one that lies outside. Whether a bucket holds
   nothing, one row or several is as good as random; so the loops write every place, and count on only where it is wanted:
   a branch would be mispredicted half of the time. Each loop asks some steps ahead for what it reads: asking for all
   of it at once is slower. */
#ifndef HASHMATCH_TABLES_H
#define HASHMATCH_TABLES_H

#include "codes.h"

#define HM_CROWDED (-3)

/* Substring tables of one index, see numpy.tables.TableSearch. */
typedef struct {
    const uint64_t *ranks; /* for 64 buckets each: the slots before them, and two planes of what each has */
    const uint8_t *slots, *runs;
    int64_t n_slots, n_runs;
    int row_bits, tag_bits, item_bytes;
} hm_tables;

/* Probes of one table in a row, whose finds may differ from the query's tag in so many bits. */
typedef struct {
    int64_t table, end, bound;
} hm_group;

/* What is looked up: masks by group, each within the buckets of its table. */
typedef struct {
    const uint32_t *masks;
    const hm_group *groups;
    int64_t n, n_groups;
} hm_plan;

/* Place of an item or of a run, with the tag and the bound of the probe that led there. */
typedef struct {
    uint64_t place;
    uint32_t tag, bound;
} hm_place;

/* Room for what one query needs: items for two a probe and one more, runs for one a probe and one more, rows as wanted. */
typedef struct {
    uint32_t *buckets;
    hm_place *items, *runs;
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

/* An item, with what stands behind it: the arrays end in eight bytes more. */
static inline uint64_t hm_item(const uint8_t *items, uint64_t place, int item_bytes) {
    uint64_t item;
    memcpy(&item, items + place * (uint64_t)item_bytes, sizeof item);
    return item;
}

/* The bodies of hm_candidates, which counts bits too. A bucket of one item has a bit in the first plane, one of two items in
   both, and one of three or more, which stand in a run, in the second. */
#define HM_CANDIDATES(name, target)                                                                                   \
    target static int64_t hm_candidates_##name(const hm_tables *tables, const hm_rows *codes, const hm_plan *plan,    \
                                               const uint32_t *keys, const uint32_t *tags, int64_t most, hm_scratch *scratch) { \
        const uint64_t n_slots = (uint64_t)tables->n_slots, n_runs = (uint64_t)tables->n_runs, n_rows = (uint64_t)codes->n; \
        const uint64_t row_mask = ((uint64_t)1 << tables->row_bits) - 1, tag_mask = ((uint64_t)1 << tables->tag_bits) - 1; \
        const int bytes = tables->item_bytes, row_bits = tables->row_bits;                                            \
        const uint64_t item_mask = ((uint64_t)1 << 8 * bytes) - 1;                                                    \
        uint32_t *buckets = scratch->buckets;                                                                         \
        hm_place *items = scratch->items, *runs = scratch->runs, at;                                                  \
        int64_t n_items = 0, in_runs = 0, seen, total = 0, p = 0;                                                     \
        uint64_t bad = 0;                                                                                             \
        for (int64_t g = 0; g < plan->n_groups; g++) {                                                                \
            uint32_t key = keys[plan->groups[g].table];                                                               \
            for (int64_t end = plan->groups[g].end; p < end; p++) buckets[p] = key ^ plan->masks[p];                  \
        }                                                                                                             \
        for (p = 0; p < HM_AHEAD; p++) buckets[plan->n + p] = buckets[0]; /* asked for ahead, at no cost */           \
        p = 0;                                                                                                        \
        for (int64_t g = 0; g < plan->n_groups; g++) {                                                                \
            at.tag = tags[plan->groups[g].table];                                                                     \
            at.bound = (uint32_t)plan->groups[g].bound;                                                               \
            for (int64_t end = plan->groups[g].end; p < end; p++) {                                                   \
                const uint64_t *next = tables->ranks + 3 * (uint64_t)(buckets[p + HM_AHEAD] >> 6);                    \
                HM_PREFETCH(next);                                                                                    \
                HM_PREFETCH(next + 2); /* a quarter lie on two lines */                                               \
                const uint64_t *rank = tables->ranks + 3 * (uint64_t)(buckets[p] >> 6);                               \
                uint64_t below = buckets[p] & 63, before = ((uint64_t)1 << below) - 1;                                \
                uint64_t one = rank[1] >> below & 1, two = rank[2] >> below & 1;                                      \
                at.place = rank[0] + (uint64_t)HM_COUNT(rank[1] & before) + (uint64_t)HM_COUNT(rank[2] & before);     \
                uint64_t outside = at.place + (one & two) >= n_slots;                                                 \
                bad |= outside & (one | two);                                                                         \
                at.place = outside ? 0 : at.place;                                                                    \
                runs[in_runs] = at;                                                                                   \
                in_runs += (int64_t)(two & ~one);                                                                     \
                items[n_items] = at;                                                                                  \
                n_items += (int64_t)one;                                                                              \
                at.place++;                                                                                           \
                items[n_items] = at;                                                                                  \
                n_items += (int64_t)(one & two);                                                                      \
            }                                                                                                         \
        }                                                                                                             \
        if (bad) return HM_BAD;                                                                                       \
        seen = n_items;                                                                                               \
        if (seen + in_runs > most) return HM_CROWDED;                                                                 \
        if (hm_widen(scratch, n_items + 1)) return HM_NO_MEMORY;                                                      \
        uint32_t *rows = scratch->rows;                                                                               \
        for (int64_t i = 0; i < n_items; i++) {                                                                       \
            HM_PREFETCH(tables->slots + items[i + HM_AHEAD < n_items ? i + HM_AHEAD : i].place * (uint64_t)bytes);    \
            uint64_t item = hm_item(tables->slots, items[i].place, bytes), row = item & row_mask;                     \
            bad |= row >= n_rows;                                                                                     \
            rows[total] = (uint32_t)row;                                                                              \
            total += (uint32_t)HM_COUNT((item >> row_bits ^ items[i].tag) & tag_mask) <= items[i].bound;              \
        }                                                                                                             \
        for (int64_t i = 0; i < in_runs; i++) {                                                                       \
            HM_PREFETCH(tables->slots + runs[i + HM_AHEAD < in_runs ? i + HM_AHEAD : i].place * (uint64_t)bytes);     \
            runs[i].place = hm_item(tables->slots, runs[i].place, bytes) & item_mask;                                 \
            bad |= runs[i].place >= n_runs;                                                                           \
        }                                                                                                             \
        if (bad) return HM_BAD;                                                                                       \
        for (int64_t i = 0; i < in_runs; i++) {                                                                       \
            uint64_t next = runs[i + HM_AHEAD < in_runs ? i + HM_AHEAD : i].place;                                    \
            HM_PREFETCH(tables->runs + next * (uint64_t)bytes);                                                       \
            HM_PREFETCH(tables->runs + (next + 3) * (uint64_t)bytes); /* many lie on two lines */                     \
            at = runs[i];                                                                                             \
            uint64_t count = hm_item(tables->runs, at.place, bytes) & item_mask;                                      \
            if (count >= n_runs - at.place) return HM_BAD;                                                            \
            seen += (int64_t)count;                                                                                   \
            if (seen > most) return HM_CROWDED;                                                                       \
            if (hm_widen(scratch, total + (int64_t)count + 1)) return HM_NO_MEMORY;                                   \
            rows = scratch->rows;                                                                                     \
            for (uint64_t j = 1; j <= count; j++) {                                                                   \
                uint64_t item = hm_item(tables->runs, at.place + j, bytes), row = item & row_mask;                    \
                bad |= row >= n_rows;                                                                                 \
                rows[total] = (uint32_t)row;                                                                          \
                total += (uint32_t)HM_COUNT((item >> row_bits ^ at.tag) & tag_mask) <= at.bound;                      \
            }                                                                                                         \
        }                                                                                                             \
        return bad ? HM_BAD : total;                                                                                  \
    }

HM_CANDIDATES(any, )
#ifdef HM_X86
HM_CANDIDATES(popcnt, HM_POPCNT)
#endif

/* The candidates of one query: of all rows in its buckets those whose tags are near enough; HM_CROWDED where the buckets
   hold more than `most`. */
static int64_t hm_candidates(const hm_tables *tables, const hm_rows *codes, const hm_plan *plan, const uint32_t *keys,
                             const uint32_t *tags, int64_t most, int level, hm_scratch *scratch) {
#ifdef HM_X86
    if (level >= 1) return hm_candidates_popcnt(tables, codes, plan, keys, tags, most, scratch);
#endif
    (void)level;
    return hm_candidates_any(tables, codes, plan, keys, tags, most, scratch);
}

#endif
