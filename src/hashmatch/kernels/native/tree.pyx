# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The walk of a BK-tree of bits, without the interpreter's lock; its twin walks level by level, in `hashmatch.index.bktree`."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from hashmatch.kernels.native.hits cimport checked, fill, hm_codes_level, hm_columns, hm_hits

import numpy as np

cdef extern from "tree.h" nogil:
    ctypedef struct hm_tree:
        const uint32_t *node_slot
        const uint32_t *edge_start
        const uint32_t *edge_end
        const int64_t *edge_key
        const int64_t *first_edge
        const int32_t *edge_node
        int64_t n_nodes
        int64_t n_edges
        int64_t span

    ctypedef struct hm_list:
        int64_t *items
        int64_t n
        int64_t room

    int HM_COSTLY
    int64_t hm_descend(const hm_tree *, const hm_columns *, const uint64_t *, int64_t, const uint8_t *, int, hm_list *,
                       hm_list *, int64_t *, hm_hits *)
    int hm_leaves(const hm_tree *, const hm_columns *, const uint64_t *, int64_t, int, const hm_list *, hm_hits *)

PATHS = ("portable", "popcnt", "avx2", "avx512")[:hm_codes_level() + 1]


cdef class TreeWalk:
    """A tree whose arrays were checked to fit together, ready to be searched.

    Parameters
    ----------
    columns : (n_words, n) uint64 array
        Codes by slot.
    order : (n,) uint32 array
        Row of each slot.
    node_slot, edge_key, edge_start, edge_end, edge_node
        As `hashmatch.index.bktree.Tree` holds them.
    span : int
        One more than the largest distance.
    path : str, optional
        One of ``PATHS``; else the fastest.
    """

    cdef hm_columns codes
    cdef hm_tree tree
    cdef int level
    cdef const uint64_t[:, ::1] _columns
    cdef const uint32_t[::1] _order
    cdef const uint32_t[::1] _node_slot
    cdef const int64_t[::1] _edge_key
    cdef const uint32_t[::1] _edge_start
    cdef const uint32_t[::1] _edge_end
    cdef const int32_t[::1] _edge_node
    cdef const int64_t[::1] _first_edge

    def __init__(self, const uint64_t[:, ::1] columns, const uint32_t[::1] order, const uint32_t[::1] node_slot,
                 const int64_t[::1] edge_key, const uint32_t[::1] edge_start, const uint32_t[::1] edge_end,
                 const int32_t[::1] edge_node, int64_t span, path=None):
        cdef int64_t n_edges = edge_key.shape[0], n_nodes = node_slot.shape[0]
        if (not columns.shape[0] or not columns.shape[1] or order.shape[0] != columns.shape[1] or not n_nodes
                or not n_edges or edge_start.shape[0] != n_edges or edge_end.shape[0] != n_edges
                or edge_node.shape[0] != n_edges or not 1 < span <= 1 << 20):
            raise ValueError("codes and tree do not fit together")
        self.level = hm_codes_level() if path is None else PATHS.index(path)
        self._columns, self._order, self._node_slot, self._edge_key = columns, order, node_slot, edge_key
        self._edge_start, self._edge_end, self._edge_node = edge_start, edge_end, edge_node
        self._first_edge = np.searchsorted(edge_key, np.arange(n_nodes + 1) * span)
        self.codes.words, self.codes.n_words, self.codes.n = &columns[0, 0], columns.shape[0], columns.shape[1]
        self.tree.node_slot, self.tree.edge_start, self.tree.edge_end = &node_slot[0], &edge_start[0], &edge_end[0]
        self.tree.edge_key, self.tree.edge_node = &edge_key[0], &edge_node[0]
        self.tree.first_edge = &self._first_edge[0]
        self.tree.n_nodes, self.tree.n_edges, self.tree.span = n_nodes, n_edges, span

    def find(self, const uint64_t[:, :] queries, int64_t radius, hopeless, double most):
        """Search queries.

        Parameters
        ----------
        queries : (n_words, k) uint64 array
            Queries.
        radius : int
            Bits, inclusive.
        hopeless : (span,) bool array
            For each distance from the root whether such a query is not searched.
        most : float
            Codes that the leaves of a query may hold; one with more is not searched.

        Returns
        -------
        owners, rows, distances : (h,) arrays of int64, int64 and int32
            Query, row and distance of each hit; the queries ascending.
        probes, compared : int
            Nodes and edges visited, and codes compared.
        left : (c,) int64 array
            Queries that were not searched, ascending.

        Raises
        ------
        ValueError
            If the queries do not fit.
        IndexError
            If the tree leads outside itself.
        """
        cdef int64_t n_words = self.codes.n_words, k = queries.shape[1], i, j, w, total, before, visited
        cdef int64_t probes = 0, compared = 0, failed = 0, n_left = 0
        cdef const uint8_t[::1] at_root = hopeless.view(np.uint8)
        cdef hm_hits hits
        cdef hm_list nodes, leaves
        cdef uint64_t *words = NULL
        cdef int64_t *ends
        cdef int64_t *given_up
        if queries.shape[0] != n_words or at_root.shape[0] != self.tree.span:
            raise ValueError("the queries or the distances are of another tree")
        hits.rows, hits.distances, hits.n, hits.room = NULL, NULL, 0, 0
        nodes.items, nodes.n, nodes.room = NULL, 0, 0
        leaves.items, leaves.n, leaves.room = NULL, 0, 0
        words = <uint64_t *> malloc((n_words + 2 * k) * 8)
        if words == NULL:
            raise MemoryError
        try:
            ends = <int64_t *> (words + n_words)
            given_up = ends + k
            with nogil:
                for i in range(k):
                    for w in range(n_words):
                        words[w] = queries[w, i]
                    before, visited = hits.n, 0
                    total = hm_descend(&self.tree, &self.codes, words, radius, &at_root[0], self.level, &nodes, &leaves,
                                       &visited, &hits)
                    probes += 2 * visited
                    compared += visited
                    if total == HM_COSTLY or total > most:
                        hits.n = before
                        given_up[n_left] = i
                        n_left += 1
                    elif total < 0:
                        failed = total
                        break
                    else:
                        compared += total
                        failed = hm_leaves(&self.tree, &self.codes, words, radius, self.level, &leaves, &hits)
                        if failed:
                            break
                    for j in range(before, hits.n):
                        hits.rows[j] = self._order[hits.rows[j]]
                    ends[i] = hits.n
            checked(failed)
            rows, distances = np.empty(hits.n, np.int64), np.empty(hits.n, np.int32)
            left, until = np.empty(n_left, np.int64), np.empty(k, np.int64)
            fill(rows, hits.rows, 8 * hits.n)
            fill(distances, hits.distances, 4 * hits.n)
            fill(left, given_up, 8 * n_left)
            if k == 1:
                owners = np.zeros(hits.n, np.int64)
            else:
                fill(until, ends, 8 * k)
                owners = np.repeat(np.arange(k), np.diff(until, prepend=0))
            return owners, rows, distances, probes, compared, left
        finally:
            free(words)
            free(nodes.items)
            free(leaves.items)
            free(hits.rows)
            free(hits.distances)
