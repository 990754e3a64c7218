/* The walk of a BK-tree, see tree.pyx. Slots, edges and nodes may come from a damaged file: each is checked before
   it is used, and HM_BAD is returned for one that lies outside. */
#ifndef HASHMATCH_TREE_H
#define HASHMATCH_TREE_H

#include "codes.h"

#define HM_COSTLY (-3)

/* A BK-tree in flat arrays, see hashmatch.index.bktree.Tree; and where the edges of each node begin, and those of none. */
typedef struct {
    const uint32_t *node_slot, *edge_start, *edge_end;
    const int64_t *edge_key, *first_edge;
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

static int64_t hm_first_at_least(const int64_t *keys, int64_t low, int64_t high, int64_t key) {
    while (low < high) {
        int64_t half = low + (high - low) / 2;
        if (keys[half] < key) low = half + 1;
        else high = half;
    }
    return low;
}

/* Walk down from the root: hits among the pivots, edges to leaves in `leaves`. Gives the codes in those leaves, HM_COSTLY where
   `hopeless` says so of the distance from the root. */
static int64_t hm_descend(const hm_tree *tree, const hm_columns *codes, const uint64_t *query, int64_t radius,
                          const uint8_t *hopeless, int level, hm_list *nodes, hm_list *leaves, int64_t *visited,
                          hm_hits *hits) {
    int64_t total = 0;
    nodes->n = leaves->n = 0;
    if (hm_push(nodes, 0)) return HM_NO_MEMORY;
    while (nodes->n) {
        int64_t node = nodes->items[--nodes->n], slot = tree->node_slot[node], base = node * tree->span;
        if (slot >= codes->n || *visited >= tree->n_nodes) return HM_BAD;
        int64_t distance = hm_distance(codes, slot, query, level);
        if (distance >= tree->span) return HM_BAD;
        if (!node && hopeless[distance]) return HM_COSTLY;
        ++*visited;
        if (distance <= radius && hm_keep(hits, slot, distance)) return HM_NO_MEMORY;
        int64_t high = distance + radius < tree->span - 1 ? distance + radius : tree->span - 1;
        int64_t low = distance > radius ? distance - radius : 0, last = tree->first_edge[node + 1];
        int64_t edge = hm_first_at_least(tree->edge_key, tree->first_edge[node], last, base + low);
        for (; edge < last && tree->edge_key[edge] <= base + high; edge++) {
            int64_t child = tree->edge_node[edge], start = tree->edge_start[edge], stop = tree->edge_end[edge];
            if (child >= tree->n_nodes || stop < start || stop > codes->n) return HM_BAD;
            HM_PREFETCH(codes->words + start); /* the pivot of a node is its first code */
            if (child >= 0) {
                HM_PREFETCH(tree->first_edge + child);
                if (hm_push(nodes, child)) return HM_NO_MEMORY;
            } else {
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
        int64_t edge = leaves->items[i];
        if (i + 4 < leaves->n) HM_PREFETCH(codes->words + tree->edge_start[leaves->items[i + 4]]);
        if (hm_scan(codes, query, radius, tree->edge_start[edge], tree->edge_end[edge], level, hits)) return HM_NO_MEMORY;
    }
    return 0;
}

#endif
