"""Fill of an elimination before any number: how many later neighbours each row gets, which, and where."""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.tail_kernels import LONG, WIDE, WIDE_LEAST


@kernel("Tuple((i8[::1], i8[::1]))(i8, i8[::1], i4[::1])")
def fill_counts(n, ptr, adj):
    """Of each row the number of later neighbours after fill, and the first of them (n: none).

    ptr, adj : pattern before elimination, each row's later neighbours.  Nothing of the fill's size is
    made: counts are sums over the elimination tree of leaves of row subtrees less their least common
    ancestors (Gilbert, Ng and Peyton 1994, SIAM J. Matrix Anal. Appl. 15, 1075-1091).
    """
    back_ptr = np.zeros(n + 1, np.int64)
    for k in range(adj.size):
        back_ptr[adj[k] + 1] += 1
    for i in range(n):
        back_ptr[i + 1] += back_ptr[i]
    back = np.empty(adj.size, np.int32)
    at = back_ptr[:n].copy()
    for i in range(n):
        for k in range(ptr[i], ptr[i + 1]):
            back[at[adj[k]]] = i
            at[adj[k]] += 1
    parent, above = np.full(n, n, np.int64), np.full(n, n, np.int64)
    for j in range(n):  # the tree (Liu 1990), paths to the root shortened on the way
        for k in range(back_ptr[j], back_ptr[j + 1]):
            i = np.int64(back[k])
            while i < j:
                up = above[i]
                above[i] = j
                if up == n:
                    parent[i] = j
                i = up
    first_child, next_child = np.full(n + 1, -1, np.int64), np.full(n, -1, np.int64)
    for i in range(n - 1, -1, -1):
        next_child[i] = first_child[parent[i]]
        first_child[parent[i]] = i
    post = np.empty(n, np.int64)  # children before parents, subtrees in one piece
    stack = np.empty(n + 1, np.int64)
    stack[0] = n
    top, count = 0, 0
    while top >= 0:
        i = stack[top]
        c = first_child[i]
        if c >= 0:
            first_child[i] = next_child[c]
            top += 1
            stack[top] = c
        else:
            top -= 1
            if i < n:
                post[count] = i
                count += 1
    least = np.full(n, -1, np.int64)  # the first row of a subtree, by its place in `post`
    number = np.zeros(n, np.int64)
    for k in range(n):
        i = post[k]
        number[i] = 1 if least[i] < 0 else 0
        while i < n and least[i] < 0:
            least[i] = k
            i = parent[i]
    furthest, previous = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    above[:] = np.arange(n)
    for k in range(n):
        j = post[k]
        if parent[j] < n:
            number[parent[j]] -= 1
        for x in range(ptr[j], ptr[j + 1]):
            i = adj[x]
            if least[j] <= furthest[i]:
                continue  # not a leaf of row i's subtree
            furthest[i] = least[j]
            number[j] += 1
            q = previous[i]
            previous[i] = j
            if q >= 0:
                root = q
                while above[root] != root:
                    root = above[root]
                while q != root:
                    up = above[q]
                    above[q] = root
                    q = up
                number[root] -= 1
        above[j] = parent[j] if parent[j] < n else j
    for i in range(n):
        if parent[i] < n:
            number[parent[i]] += number[i]
    return number - 1, parent


@kernel("i4[::1](i8, i8[::1], i4[::1], i8, i8[::1])")
def symbolic(n, ptr, adj, ts, out_ptr):
    """Later neighbours of each row before ts once all earlier rows are eliminated, sorted.

    ptr, adj : pattern before elimination, each row's later neighbours (parents included).
    out_ptr : where each row's list begins, by `fill_counts`.
    """
    child_head = np.full(n, -1, np.int64)
    child_next = np.full(n, -1, np.int64)
    mark = np.full(n, -1, np.int64)
    out = np.empty(out_ptr[ts], np.int32)
    size = 0
    for i in range(ts):
        start = size
        mark[i] = i
        for k in range(ptr[i], ptr[i + 1]):
            j = adj[k]
            if mark[j] != i:
                mark[j] = i
                out[size] = j
                size += 1
        c = child_head[i]
        while c >= 0:
            for k in range(out_ptr[c], out_ptr[c + 1]):
                j = out[k]
                if mark[j] != i:
                    mark[j] = i
                    out[size] = j
                    size += 1
            c = child_next[c]
        if size > start:
            parent = n
            for k in range(start, size):
                parent = min(parent, out[k])
            child_next[i] = child_head[parent]
            child_head[parent] = i
    # sorted by listing the rows of each neighbour, then the neighbours of each row, both in order
    column_ptr = np.zeros(n + 1, np.int64)
    for k in range(size):
        column_ptr[out[k] + 1] += 1
    for j in range(n):
        column_ptr[j + 1] += column_ptr[j]
    rows = np.empty(size, np.int32)
    at = column_ptr[:n].copy()
    for i in range(ts):
        for k in range(out_ptr[i], out_ptr[i + 1]):
            rows[at[out[k]]] = i
            at[out[k]] += 1
    found = np.empty(size, np.int32)
    at = out_ptr[:ts].copy()
    for j in range(n):
        for k in range(column_ptr[j], column_ptr[j + 1]):
            found[at[rows[k]]] = j
            at[rows[k]] += 1
    return found


@kernel("Tuple((i8[::1], i4[::1]))(i8, i8, i8[::1], i4[::1], i8, b1)")
def targets(n, ts, ptr, nbr, base, blocks):
    """Where in H the update of each pair (a <= b) of a sparse row's neighbours goes.

    Pairs are listed row by row, a outer and b inner, as the elimination visits them.  With `blocks`
    none are listed for wide rows: those whose neighbours all lie in the tail and are many.
    """
    nt = n - ts
    start = np.zeros(ts + 1, np.int64)
    for i in range(ts):
        deg = ptr[i + 1] - ptr[i]
        if blocks and nt > LONG and deg >= WIDE_LEAST and deg * WIDE >= nt and nbr[ptr[i]] >= ts:
            deg = 0
        start[i + 1] = start[i] + deg * (deg + 1) // 2
    where = np.empty(start[ts], np.int32)
    # rows that share a neighbour a visit it in increasing order, so place is filled once per (i, a)
    for i in range(ts):
        k = start[i]
        if start[i + 1] == k:
            continue
        for x in range(ptr[i], ptr[i + 1]):
            a = nbr[x]
            if a >= ts:
                for y in range(x, ptr[i + 1]):
                    where[k] = base + (a - ts) * nt + (nbr[y] - ts)
                    k += 1
            else:
                where[k] = a
                k += 1
                z = ptr[a]
                for y in range(x + 1, ptr[i + 1]):
                    while nbr[z] != nbr[y]:
                        z += 1
                    where[k] = ts + z
                    k += 1
    return start, where


@kernel("i8[::1](i8, i8[::1], i8[::1])")
def generations(n, child, parent):
    """For each element the longest path to it from an element without children; -1 on a cycle."""
    count = np.zeros(n, np.int64)
    ptr = np.zeros(n + 1, np.int64)
    for k in range(child.size):
        count[parent[k]] += 1
        ptr[child[k] + 1] += 1
    for i in range(n):
        ptr[i + 1] += ptr[i]
    above = np.empty(child.size, np.int64)
    fill = ptr[:n].copy()
    for k in range(child.size):
        above[fill[child[k]]] = parent[k]
        fill[child[k]] += 1
    found = np.full(n, -1, np.int64)
    queue = np.empty(n, np.int64)
    end = 0
    for i in range(n):
        if count[i] == 0:
            found[i] = 0
            queue[end] = i
            end += 1
    depth = np.zeros(n, np.int64)
    at = 0
    while at < end:
        i = queue[at]
        at += 1
        for k in range(ptr[i], ptr[i + 1]):
            j = above[k]
            depth[j] = max(depth[j], found[i] + 1)
            count[j] -= 1
            if count[j] == 0:
                found[j] = depth[j]
                queue[end] = j
                end += 1
    return found
