"""Definitions that look back at themselves: `n[t] = n[t-1]*r[t]`, alone or by way of other definitions."""

from __future__ import annotations

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic


def circle(dag: Dag, name: str) -> tuple[str, ...]:
    """The nodes that a node's definitions depend on and that depend on it in turn, itself among them; empty
    where it does not look back."""
    found = {n for n in _reached(dag, name) if name in _reached(dag, n)}
    return tuple(n for n in dag.order if n in found)


def _reached(dag: Dag, name: str) -> set[str]:
    """Nodes that definitions depend on, by way of definitions alone."""
    queue, found = [name], set[str]()
    while queue:
        for parent in _read(dag, queue.pop()):
            if parent not in found:
                found.add(parent)
                queue.append(parent)
    return found


def _read(dag: Dag, name: str) -> set[str]:
    """Names in a node's definitions."""
    return {r.name for tree in defined(dag, name) for r in ex.references(tree) if r.name in dag.nodes}


def defined(dag: Dag, name: str) -> list[ex.Expression]:
    """The expressions that define a node, or some of its elements."""
    return [s.expression for s in dag.nodes[name].statements if isinstance(s, Deterministic)]


__all__ = ["circle", "defined"]
