"""Limits that observed indicators give to missing values: `w ~ Bernoulli(t > c)`, which BUGS calls dinterval.

Where w = 1 is given and t is missing, t is above c, as JAGS says of censored values: beyond it the joint
density is zero.  With the limit as the end of t's interval no point lies where it is zero, and the density
within is the same, because the indicator's factor is one there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import cells
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Node
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
Known = Callable[[ex.Expression, Rows], Floats | ex.Expression]
ABOVE, BELOW = (">", ">="), ("<", "<=")


def indicated(problem: Problem, node: Node, known: Known) -> tuple[Floats, Floats]:
    """Lower and upper limits of all elements of a node, infinite where no indicator says anything.

    known : a tree's numbers by row where they are data alone.
    """
    size = int(np.prod(problem.shape(node.name), dtype=np.int64))
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    for child in problem.graph.children[node.name]:
        other = problem.graph.nodes[child]
        if child not in problem.observed or not set(node.plates) <= set(other.plates):
            continue
        for share in cells(problem, child):
            test = _test(share.statement, node)
            if test is None:
                continue
            above, limit = test
            given = problem.observed[child].reshape(-1)[share.places]
            value = problem.values[child].reshape(-1)[share.places]
            ends = known(limit, share.rows)
            if isinstance(ends, ex.Expression):
                continue
            low = given & (value == (1.0 if above else 0.0))
            high = given & (value == (0.0 if above else 1.0))
            own = _places(problem, node, share.rows)
            np.maximum.at(lower, own[low], ends[low])
            np.minimum.at(upper, own[high], ends[high])
    empty = lower >= upper  # contradictory data: left to be named where the density is found to be zero
    lower[empty], upper[empty] = -np.inf, np.inf
    return lower, upper


def _places(problem: Problem, node: Node, rows: Rows) -> NDArray[np.int64]:
    """The node's element that each row of a child compares."""
    found = np.zeros(rows.n, dtype=np.int64)
    for plate, size in zip(node.plates, problem.shape(node.name), strict=True):
        found = found * size + rows.codes[plate]
    return found


def _test(statement: object, node: Node) -> tuple[bool, ex.Expression] | None:
    """Whether an indicator is 1 above a limit, and the limit, of statements that compare the node element by
    element."""
    law = statement.distribution if isinstance(statement, Stochastic) else None
    p = law.argument("p") if law is not None and law.family == "Bernoulli" else None
    if not isinstance(p, ex.Binary) or p.operator not in (*ABOVE, *BELOW):
        return None
    own = ex.Reference(node.name, tuple(ex.PlateIndex(plate) for plate in node.plates))
    if p.left == own and not _uses(p.right, node.name):
        return p.operator in ABOVE, p.right
    if p.right == own and not _uses(p.left, node.name):
        return p.operator in BELOW, p.left
    return None


def _uses(tree: ex.Expression, name: str) -> bool:
    return any(r.name == name for r in ex.references(tree))


__all__ = ["indicated"]
