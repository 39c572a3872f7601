"""Passes of messages over a junction tree, for several rows of evidence side by side.

Entries of cliques have the rows as their last axis, so that one visit of an entry serves all rows and the
compiler can take them together. The arrays of the tree are those of `junction.tree.Tree`; collecting and
distributing evidence with one division a separator is the scheme of Jensen, Lauritzen and Olesen (1990),
"Bayesian updating in causal probabilistic networks by local computations", where 0/0 is 0.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel

TREE = "i8[::1], i8[::1], i8[::1], i8[::1], i4[::1], i8[::1]"  # starts, parents, widths, messages, maps, ...
FAST = {"fastmath": {"contract", "nsz"}}


@kernel("void(f8[::1], f8[:, ::1], f8[:, ::1], b1[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1])", **FAST)
def enter(potentials, weights, cells, touched, starts, homes, strides, sizes, offsets):
    """Fill the working entries: the potentials times the evidence of each row.

    weights : (all states, rows), of each node's states. touched : nodes with evidence in some row.
    cells : (entries, rows), filled.
    """
    rows = cells.shape[1]
    for e in range(cells.shape[0]):
        p = potentials[e]
        for b in range(rows):
            cells[e, b] = p
    for node in range(homes.size):
        if touched[node]:
            first, end = starts[homes[node]], starts[homes[node] + 1]
            stride, size, at = strides[node], sizes[node], offsets[node]
            for block in range(first, end, stride * size):
                for s in range(size):
                    for e in range(block + s * stride, block + (s + 1) * stride):
                        for b in range(rows):
                            cells[e, b] *= weights[at + s, b]


@kernel(f"void(f8[:, ::1], f8[:, ::1], f8[::1], b1, {TREE})", **FAST)
def collect(cells, sent, logs, largest, starts, parents, widths, messages, maps, map_starts):
    """Messages from the leaves to the roots; what a row cannot be stays zero, with logarithm -inf.

    sent : (entries of separators, rows), the messages; what they multiply is divided by their scale.
    logs : by row, the logarithm of the sum of all products. largest : of the largest product instead.
    """
    rows = cells.shape[1]
    scale = np.empty(rows)
    for b in range(rows):
        logs[b] = 0.0
    for c in range(parents.size - 1, -1, -1):
        width, at = widths[c], messages[c]
        rest = (starts[c + 1] - starts[c]) // width
        for b in range(rows):
            scale[b] = 0.0
        for s in range(width):
            first = starts[c] + s * rest
            for b in range(rows):
                sent[at + s, b] = cells[first, b]
            if largest:
                for e in range(first + 1, first + rest):
                    for b in range(rows):
                        sent[at + s, b] = max(sent[at + s, b], cells[e, b])
                for b in range(rows):
                    scale[b] = max(scale[b], sent[at + s, b])
            else:
                for e in range(first + 1, first + rest):
                    for b in range(rows):
                        sent[at + s, b] += cells[e, b]
                for b in range(rows):
                    scale[b] += sent[at + s, b]
        for b in range(rows):
            logs[b] += np.log(scale[b]) if scale[b] > 0.0 else -np.inf
            scale[b] = 1.0 / scale[b] if scale[b] > 0.0 else 0.0
        above = parents[c]
        if above >= 0:
            first, where = starts[above], map_starts[c]
            for k in range(starts[above + 1] - first):
                m = at + maps[where + k]
                for b in range(rows):
                    cells[first + k, b] *= sent[m, b] * scale[b]
        else:
            for e in range(starts[c], starts[c + 1]):
                for b in range(rows):
                    cells[e, b] *= scale[b]


@kernel(f"void(f8[:, ::1], f8[:, ::1], {TREE})", **FAST)
def distribute(cells, sent, starts, parents, widths, messages, maps, map_starts):
    """Messages from the roots to the leaves, after `collect`: the entries become probabilities of cliques."""
    rows = cells.shape[1]
    widest = 1
    for c in range(parents.size):
        widest = max(widest, widths[c])
    back = np.empty((widest, rows))
    for c in range(parents.size):
        above = parents[c]
        if above >= 0:
            width, at = widths[c], messages[c]
            rest = (starts[c + 1] - starts[c]) // width
            first, where = starts[above], map_starts[c]
            for s in range(width):
                for b in range(rows):
                    back[s, b] = 0.0
            for k in range(starts[above + 1] - first):
                m = maps[where + k]
                for b in range(rows):
                    back[m, b] += cells[first + k, b]
            for s in range(width):
                for b in range(rows):
                    old = sent[at + s, b]
                    back[s, b] = back[s, b] / old if old > 0.0 else 0.0
                for e in range(starts[c] + s * rest, starts[c] + (s + 1) * rest):
                    for b in range(rows):
                        cells[e, b] *= back[s, b]


@kernel("void(f8[:, ::1], f8[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1])", **FAST)
def margins(cells, found, starts, homes, strides, sizes, offsets):
    """Probabilities of each node's states from those of the cliques; found : (all states, rows)."""
    rows = cells.shape[1]
    total = np.empty(rows)
    for node in range(homes.size):
        first, end = starts[homes[node]], starts[homes[node] + 1]
        stride, size, at = strides[node], sizes[node], offsets[node]
        for s in range(size):
            for b in range(rows):
                found[at + s, b] = 0.0
        for block in range(first, end, stride * size):
            for s in range(size):
                for e in range(block + s * stride, block + (s + 1) * stride):
                    for b in range(rows):
                        found[at + s, b] += cells[e, b]
        for b in range(rows):
            total[b] = 0.0
        for s in range(size):
            for b in range(rows):
                total[b] += found[at + s, b]
        for s in range(size):
            for b in range(rows):
                found[at + s, b] = found[at + s, b] / total[b] if total[b] > 0.0 else np.nan


@kernel(f"void(f8[:, ::1], i8[:, ::1], {TREE}, i8[::1], i8[::1], i8[::1])")
def trace_back(cells, states, starts, parents, widths, messages, maps, map_starts, homes, strides, sizes):
    """The states of the largest product, after `collect(largest=True)`; states : (nodes, rows), filled.

    The first of equal ones is taken.
    """
    chosen = np.empty(parents.size, dtype=np.int64)
    for b in range(cells.shape[1]):
        for c in range(parents.size):
            width, above, first = widths[c], parents[c], starts[c]
            end = starts[c + 1]
            if above >= 0:
                rest = (end - first) // width
                first += rest * maps[map_starts[c] + chosen[above] - starts[above]]
                end = first + rest
            best = first
            for e in range(first + 1, end):
                if cells[e, b] > cells[best, b]:
                    best = e
            chosen[c] = best
        for node in range(homes.size):
            at = chosen[homes[node]] - starts[homes[node]]
            states[node, b] = at // strides[node] % sizes[node]


@kernel(f"void(f8[:, ::1], f8[:, ::1], i8[:, ::1], {TREE}, i8[::1], i8[::1], i8[::1])")
def draw_back(
    cells, uniforms, states, starts, parents, widths, messages, maps, map_starts, homes, strides, sizes
):
    """Joint states drawn by their probabilities, after `collect`: cliques from the roots, each given the
    states that it shares with the one above (Dawid 1992, "Applications of a general propagation algorithm
    for probabilistic expert systems", section 6).

    uniforms : (cliques, rows), on [0, 1). states : (nodes, rows), filled.
    """
    chosen = np.empty(parents.size, dtype=np.int64)
    for b in range(cells.shape[1]):
        for c in range(parents.size):
            width, above, first = widths[c], parents[c], starts[c]
            end = starts[c + 1]
            if above >= 0:
                rest = (end - first) // width
                first += rest * maps[map_starts[c] + chosen[above] - starts[above]]
                end = first + rest
            total = 0.0
            for e in range(first, end):
                total += cells[e, b]
            left = uniforms[c, b] * total
            picked = first
            for e in range(first, end):
                if cells[e, b] > 0.0:
                    picked = e
                    left -= cells[e, b]
                    if left < 0.0:
                        break
            chosen[c] = picked
        for node in range(homes.size):
            at = chosen[homes[node]] - starts[homes[node]]
            states[node, b] = at // strides[node] % sizes[node]


@kernel("void(i8[:, ::1], i8[::1], f8[:, ::1], i8[::1], i8[::1])")
def weigh(codes, nodes, weights, sizes, offsets):
    """Evidence of rows as weights of states: one for the state seen and where nothing is, else zero.

    codes : (rows, columns), -1 where nothing is seen. nodes : of the columns. weights : (all states, rows).
    """
    for at in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            weights[at, b] = 1.0
    for k in range(nodes.size):
        first = offsets[nodes[k]]
        for b in range(codes.shape[0]):
            if codes[b, k] >= 0:
                for s in range(sizes[nodes[k]]):
                    weights[first + s, b] = 1.0 if s == codes[b, k] else 0.0
