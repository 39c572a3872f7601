"""Loops of names that lags make: nodes that depend on their own earlier elements."""

from __future__ import annotations

from dagmodels.graph.dag import Dag


def loops(dag: Dag) -> tuple[tuple[str, ...], ...]:
    """Groups of nodes that depend on one another's earlier elements, one name where it is its own.

    The strongly connected components of the graph of names that hold a cycle (Tarjan 1972, SIAM
    Journal on Computing 1, without recursion). In the order of the model.
    """
    position = {name: i for i, name in enumerate(dag.nodes)}
    found = [
        tuple(sorted(c, key=position.__getitem__))
        for c in _components(dag)
        if len(c) > 1 or c[0] in dag.parents[c[0]]
    ]
    return tuple(sorted(found, key=lambda c: position[c[0]]))


def _components(dag: Dag) -> list[list[str]]:
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in dag.nodes:
        if root in index:
            continue
        work = [(root, iter(dag.children[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, children = work[-1]
            for child in children:
                if child not in index:
                    index[child] = low[child] = len(index)
                    stack.append(child)
                    on_stack.add(child)
                    work.append((child, iter(dag.children[child])))
                    break
                if child in on_stack:
                    low[name] = min(low[name], index[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = stack.index(name)
                    found.append(stack[cut:])
                    on_stack.difference_update(stack[cut:])
                    del stack[cut:]
    return found
