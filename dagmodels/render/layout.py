"""Hints that keep large pictures narrow: where the scalars go that feed one node only.

Graphviz puts all parents of a node in the row above it, and beside a plate when that row crosses the
plate.  Twenty scales and intercepts then make a picture ten times wider than high.  In a crowded
picture those of a node without children go below it, as residuals do in path diagrams, in two rows
by turns; those of a node inside a plate go above the whole plate when they are many.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from dagmodels.graph.dag import Dag
from dagmodels.graph.expression import Reference
from dagmodels.render.boxes import Box
from dagmodels.render.edges import Edge

_CROWDED = 12
_MANY = 4


@dataclass(frozen=True, slots=True)
class Hint:
    """How an arrow takes part in the ranking.

    rows : how many rows apart parent and child stand, at least.
    below : whether the parent stands below the child.
    """

    rows: int = 1
    below: bool = False


def hints(
    dag: Dag, whole: Box, arrows: tuple[Edge, ...], carrying: Set[str] = frozenset()
) -> Mapping[tuple[str, str], Hint]:
    """Hints by (parent, child); arrows that are not named follow the usual ranking.

    Parameters
    ----------
    dag, whole, arrows : the model, its boxes and its arrows.
    carrying : nodes with an arrow that has an estimate in its middle and so takes two rows; all
        their arrows then do, which keeps their children in one row.
    """
    alone = _satellites(dag)
    coefficients = {(e.coefficient, e.child) for e in arrows if e.coefficient is not None}
    crowded = sum(len(names) for names in alone.values()) > _CROWDED
    height = _heights(dag, whole, carrying)
    found = {(e.parent, e.child): Hint(rows=2) for e in arrows if e.parent in carrying}
    lowered = {child for _, child in found}
    for child, names in alone.items():
        if child in lowered:  # beside the parent whose arrow takes two rows, not between it and the child
            found |= {(n, child): Hint(rows=2) for n in names}
        under: list[str] = []
        if crowded and not dag.children[child]:
            under = [n for n in names if (n, child) not in coefficients]
        above = [n for n in names if n not in under]
        if crowded or len(above) >= _MANY:
            found |= {(n, child): Hint(rows=1 + height[child]) for n in above}
        found |= {(n, child): Hint(rows=1 + i % 2, below=True) for i, n in enumerate(under)}
    for name, ends in middle_of_arcs(dag, arrows).items():
        below = crowded and not any(dag.children[end] for end in ends)
        found |= {(name, end): Hint(1 if below else 1 + height[end], below) for end in ends}
    return found


def _heights(dag: Dag, whole: Box, carrying: Set[str]) -> dict[str, int]:
    """How many rows of its outermost box stand above each node: none outside of boxes."""
    outermost = {name: i for i, box in enumerate(whole.boxes) for name in box.members()}
    height: dict[str, int] = {}
    for name in dag.order:
        inside = [p for p in dag.parents[name] if p in height and outermost.get(p) == outermost.get(name)]
        height[name] = (
            max((height[p] + 1 + (p in carrying) for p in inside), default=0) if name in outermost else 0
        )
    return height


def _satellites(dag: Dag) -> dict[str, list[str]]:
    """For each node the scalars without parents that feed it and nothing else."""
    found: dict[str, list[str]] = {}
    for name, node in dag.nodes.items():
        children = dag.children[name]
        if not node.plates and not dag.parents[name] and len(children) == 1:
            found.setdefault(children[0], []).append(name)
    return found


def middle_of_arcs(dag: Dag, arrows: tuple[Edge, ...]) -> Mapping[str, tuple[str, str]]:
    """Scalars that are nothing but one covariance: name -> the two nodes it ties.

    Such a node stands in the middle of the double-headed arc, as its label.
    """
    found: dict[str, tuple[str, str]] = {}
    for covariance in dag.covariances:
        tree = covariance.expression
        if not isinstance(tree, Reference) or dag.nodes[tree.name].plates or dag.parents[tree.name]:
            continue
        ends = (covariance.left.name, covariance.right.name)
        through_it = all(e.covariance for e in arrows if e.parent == tree.name)
        if set(dag.children[tree.name]) == set(ends) and through_it:
            found[tree.name] = ends
    return found
