"""Unknowns that may stand in standard units, (x - location)/scale: their law has a scale that is unknown."""

from __future__ import annotations

from collections.abc import Collection

from dagmodels.analysis.laws import LOCATION_SCALE
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Statement, Stochastic

SHAPES = ("nu",)  # parameters that are neither location nor scale


def with_unknown_scale(dag: Dag, discrete: Collection[str] = ()) -> tuple[str, ...]:
    """Latent nodes, in the order of the graph, with a statement that gives them by a location and an unknown
    scale, and whose laws hang neither on the node itself nor on a discrete unknown.

    discrete : names of discrete unknowns.
    """
    tied = {n for c in dag.covariances for n in (c.left.name, c.right.name)}
    found = []
    for name in dag.order:
        node = dag.nodes[name]
        if node.observed or name in discrete or name in tied:
            continue
        if any(unknown_scales(dag, s) for s in node.statements):
            above = _ancestors(dag, name)
            if name not in above and not above & set(discrete):
                found.append(name)
    return tuple(found)


def unknown_scales(dag: Dag, statement: Statement) -> tuple[str, ...]:
    """Unknown nodes that a statement's scale names, also through deterministic nodes; empty where none is."""
    if not isinstance(statement, Stochastic) or statement.distribution.family not in LOCATION_SCALE:
        return ()
    location, _ = LOCATION_SCALE[statement.distribution.family]
    trees = [
        tree
        for key, tree in statement.distribution.arguments
        if key != location and key not in SHAPES and isinstance(tree, ex.Expression)
    ]
    found: dict[str, None] = {}
    seen: set[str] = set()
    while trees:
        for reference in ex.references(trees.pop()):
            node = dag.nodes.get(reference.name)
            if node is None or node.observed or reference.name in seen:
                continue
            seen.add(reference.name)
            if node.kind == "deterministic":
                trees += [t for s in node.statements for t in expressions(s)]
            elif node.kind in ("stochastic", "parameter"):
                found[reference.name] = None
    return tuple(found)


def _ancestors(dag: Dag, name: str) -> set[str]:
    found: set[str] = set()
    queue = list(dag.parents[name])
    while queue:
        top = queue.pop()
        if top not in found:
            found.add(top)
            queue += dag.parents[top]
    return found
