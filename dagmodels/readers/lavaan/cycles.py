"""Non-recursive parts: variables that depend on one another in a circle, found by Tarjan's algorithm."""

from __future__ import annotations

from collections.abc import Mapping

from dagmodels.readers.lavaan.equations import Equations


def knots(found: Equations) -> list[tuple[str, ...]]:
    """Sets of variables that need one joint law, each in the order of the equations.

    A circle takes those with it whose residuals covary with its own, and all that then lies between.
    """
    edges = {n: [p for _, p in e.terms if p in found.by_name] for n, e in found.by_name.items()}
    if _acyclic(edges):
        return []
    tied: set[frozenset[str]] = set()
    while True:
        components = [c for c in _components(edges) if len(c) > 1]
        inside = {n for c in components for n in c}
        new = [
            p for p in found.covariances if (p[0] in inside or p[1] in inside) and frozenset(p) not in tied
        ]
        if not new:
            break
        for a, b in new:
            tied.add(frozenset((a, b)))
            edges[a] = [*edges[a], b]
            edges[b] = [*edges[b], a]
    order = {n: i for i, n in enumerate(found.by_name)}
    return [tuple(sorted(c, key=order.__getitem__)) for c in components]


def _acyclic(edges: Mapping[str, list[str]]) -> bool:
    waiting = {n: set(parents) for n, parents in edges.items()}
    children: dict[str, list[str]] = {}
    for name, parents in waiting.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    ready = [n for n, parents in waiting.items() if not parents]
    count = 0
    while ready:
        name = ready.pop()
        count += 1
        for child in children.get(name, ()):
            waiting[child].discard(name)
            if not waiting[child]:
                ready.append(child)
    return count == len(edges)


def _components(edges: Mapping[str, list[str]]) -> list[list[str]]:
    """Strongly connected components (Tarjan 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in edges:
        if start in index:
            continue
        work: list[tuple[str, int]] = [(start, 0)]
        while work:
            name, at = work.pop()
            if at == 0:
                index[name] = low[name] = len(index)
                stack.append(name)
                on_stack.add(name)
            parents = edges[name]
            if at and at <= len(parents):
                low[name] = min(low[name], low[parents[at - 1]])
            going = False
            for i in range(at, len(parents)):
                parent = parents[i]
                if parent not in index:
                    work += [(name, i + 1), (parent, 0)]
                    going = True
                    break
                if parent in on_stack:
                    low[name] = min(low[name], index[parent])
            if not going and low[name] == index[name]:
                component: list[str] = []
                while not component or component[-1] != name:
                    component.append(stack.pop())
                    on_stack.discard(component[-1])
                found.append(component)
    return found
