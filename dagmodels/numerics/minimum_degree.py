"""An order of elimination that fills little: approximate minimum degree on the quotient graph.

Of Amestoy, Davis and Duff (1996, SIAM J. Matrix Anal. Appl. 17, 886-905): eliminated rows stay as
*elements*, lists of the rows that they couple; a row's degree is bounded by the sizes of its elements
outside the pivot's (their eq. 4); rows with equal lists are eliminated together; elements inside another
one are absorbed.  Departures: a row waits until its children (rows that depend on it) are gone, and the
search ends where the rest is nearly full, which will be stored densely anyway.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel


@kernel("i8[::1](i8, i8[::1], i4[::1], i8[::1], i4[::1], f8)")
def minimum_degree(n, ptr, adj, above, parents, share):
    """Rows in an order of elimination.

    n : rows. ptr, adj : neighbours of each row, both ways. above, parents : each row's parents, which are
    among its neighbours, come later in the given order and stay later. share : the search ends where each
    row left is coupled to this share of all that are left; these follow in the given order.
    """
    waiting = np.zeros(n, np.int64)
    for k in range(parents.size):
        waiting[parents[k]] += 1
    lists = np.empty(adj.size + adj.size // 4 + 4 * n + 16, np.int32)  # of elements, then of rows, by row
    lists[: adj.size] = adj
    free = adj.size
    start = ptr[:n].copy()
    length = np.diff(ptr)  # of a row's (or an element's) list ...
    elements = np.zeros(n, np.int64)  # ... and how many elements it begins with
    weight = np.ones(n, np.int64)  # rows eliminated together; negative while in the pivot's list; 0: gone
    degree = length.copy()
    is_element = np.zeros(n, np.bool_)
    outside = np.zeros(n, np.int64)  # of an element, less `stamp`: rows outside the pivot's list
    stamp = 1
    member, last = np.full(n, -1, np.int64), np.arange(n)  # rows eliminated together, a chain each
    head, after, before = np.full(n + 1, -1, np.int64), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    bucket, chained, key = np.full(n, -1, np.int64), np.full(n, -1, np.int64), np.zeros(n, np.int64)
    mark = np.zeros(n, np.int64)
    marked = 0
    for i in range(n - 1, -1, -1):
        if waiting[i] == 0:
            d = degree[i]
            after[i] = head[d]
            if head[d] >= 0:
                before[head[d]] = i
            head[d] = i
    order = np.empty(n, np.int64)
    count = 0
    least = 0
    while count < n:
        while least <= n and head[least] < 0:
            least += 1
        if least > n or least >= share * (n - count):
            break
        me = head[least]
        head[least] = after[me]
        if head[least] >= 0:
            before[head[least]] = -1
        # room for the pivot's list, at most `degree` long: move the living lists together if need be
        if free + degree[me] + 1 > lists.size:
            free = 0
            living = np.flatnonzero((length > 0) & (is_element | (weight > 0)))
            for i in living[np.argsort(start[living])]:
                for k in range(length[i]):
                    lists[free + k] = lists[start[i] + k]
                start[i] = free
                free += length[i]
        own = weight[me]
        weight[me] = -own
        begin = free
        size = 0
        for x in range(start[me], start[me] + length[me]):
            e = lists[x]
            if x < start[me] + elements[me]:
                for y in range(start[e], start[e] + length[e]):
                    i = lists[y]
                    if weight[i] > 0:
                        size += weight[i]
                        weight[i] = -weight[i]
                        lists[free] = i
                        free += 1
                is_element[e] = False
                length[e] = 0
            elif weight[e] > 0:
                size += weight[e]
                weight[e] = -weight[e]
                lists[free] = e
                free += 1
        end = free
        i = me
        while i >= 0:
            for k in range(above[i], above[i + 1]):
                waiting[parents[k]] -= 1
            i = member[i]
        for x in range(begin, end):  # out of the lists by degree
            i = lists[x]
            if waiting[i] == 0 and (before[i] >= 0 or head[degree[i]] == i):
                if after[i] >= 0:
                    before[after[i]] = before[i]
                if before[i] >= 0:
                    after[before[i]] = after[i]
                else:
                    head[degree[i]] = after[i]
            after[i] = before[i] = -1
        for x in range(begin, end):
            i = lists[x]
            for y in range(start[i], start[i] + elements[i]):
                e = lists[y]
                if is_element[e]:
                    if outside[e] >= stamp:
                        outside[e] += weight[i]
                    else:
                        outside[e] = degree[e] + stamp + weight[i]
        is_element[me] = True
        for x in range(begin, end):
            i = lists[x]
            w = -weight[i]
            rest, code = 0, 0
            to = start[i]
            for y in range(start[i], start[i] + elements[i]):
                e = lists[y]
                if is_element[e]:
                    if outside[e] > stamp:
                        rest += outside[e] - stamp
                        code += e
                        lists[to] = e
                        to += 1
                    else:  # all of it lies in the pivot's list
                        is_element[e] = False
                        length[e] = 0
            found = to - start[i]
            stop = start[i] + length[i]
            first = start[i] + elements[i]
            kept = to
            saved = -1  # the first row of the list may stand where the pivot goes
            for y in range(first, stop):
                j = lists[y]
                if weight[j] > 0:
                    rest += weight[j]
                    code += j
                    if saved < 0:
                        saved = j
                    else:
                        lists[kept + 1] = j
                        kept += 1
            if rest == 0 and waiting[i] == 0:  # nothing outside the pivot's list: eliminated with it
                member[last[me]] = i
                last[me] = last[i]
                weight[i] = 0
                length[i] = 0
                own += w
                size -= w
                for k in range(above[i], above[i + 1]):
                    waiting[parents[k]] -= 1
                j = member[i]
                while j >= 0:
                    for k in range(above[j], above[j + 1]):
                        waiting[parents[k]] -= 1
                    j = member[j]
                continue
            if saved >= 0:
                # entries beyond the first stand from to + 1 on; the first goes behind them
                lists[kept + 1] = saved
                kept += 1
            lists[to] = me
            elements[i] = found + 1
            length[i] = kept + 1 - start[i]
            degree[i] = min(degree[i], rest)
            code += me
            key[i] = code % n
            chained[i] = bucket[key[i]]
            bucket[key[i]] = i
        stamp += n + 1
        for x in range(begin, end):
            i = lists[x]
            if weight[i] == 0 or bucket[key[i]] < 0:
                continue
            i = bucket[key[i]]
            bucket[key[i]] = -1
            while i >= 0:
                if weight[i] != 0 and waiting[i] == 0 and chained[i] >= 0:
                    marked += 1
                    for y in range(start[i], start[i] + length[i]):
                        mark[lists[y]] = marked
                    j, previous = chained[i], i
                    while j >= 0:
                        same = weight[j] != 0 and waiting[j] == 0
                        same = same and length[j] == length[i] and elements[j] == elements[i]
                        if same:
                            for y in range(start[j], start[j] + length[j]):
                                if mark[lists[y]] != marked:
                                    same = False
                                    break
                        if same:
                            member[last[i]] = j
                            last[i] = last[j]
                            weight[i] += weight[j]
                            weight[j] = 0
                            length[j] = 0
                            chained[previous] = chained[j]
                        else:
                            previous = j
                        j = chained[j]
                i = chained[i]
        to = begin
        left = n - count - own
        for x in range(begin, end):
            i = lists[x]
            if weight[i] == 0:
                continue
            weight[i] = -weight[i]
            degree[i] = max(min(degree[i] + size - weight[i], left - weight[i]), 0)
            lists[to] = i
            to += 1
            if waiting[i] == 0:
                d = degree[i]
                least = min(least, d)
                after[i] = head[d]
                if head[d] >= 0:
                    before[head[d]] = i
                head[d] = i
        start[me] = begin
        length[me] = to - begin
        free = to
        degree[me] = size
        weight[me] = 0
        if to == begin:
            is_element[me] = False
        i = me
        while i >= 0:
            order[count] = i
            count += 1
            i = member[i]
    gone = np.zeros(n, np.bool_)
    gone[order[:count]] = True
    for i in range(n):
        if not gone[i]:
            order[count] = i
            count += 1
    return order
