"""Known errors that cannot be: a scale of data that is zero or negative, row by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.evaluate import CannotEvaluate, evaluate, head_rows
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import distribution_of
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Stochastic

Floats = NDArray[np.float64]
MOST = 3  # rows that are named


def known_scales(problem: Problem) -> tuple[Finding, ...]:
    """Observed Normal nodes whose scale is written with data alone and is not positive somewhere."""
    return tuple(_findings(problem))


def known_spread(problem: Problem, statement: Stochastic, law: Distribution) -> Floats | None:
    """The known scale at every row of a statement, (rows,); None where it is not written with data alone."""
    tree = law.argument("sigma")
    nodes = problem.graph.nodes
    if not isinstance(tree, ex.Expression) or any(
        r.name in nodes and nodes[r.name].kind not in ("covariate", "constant") for r in ex.references(tree)
    ):
        return None
    rows, named = head_rows(statement.head, problem)
    values = {n: v[..., None] for n, v in problem.values.items()}
    try:
        found = evaluate(tree, rows, values, problem)
    except CannotEvaluate:  # what has no single number a row is not judged
        return None
    return np.broadcast_to(found[:, 0], (rows.n,))[named]


def _findings(problem: Problem) -> Iterator[Finding]:
    for node in problem.graph.nodes.values():
        if node.role != "observed" or len(node.statements) != 1:
            continue
        (statement,) = node.statements
        law = distribution_of(statement)
        if not isinstance(statement, Stochastic) or law is None or law.family != "Normal":
            continue
        scale = known_spread(problem, statement, law)
        if scale is None:
            continue
        seen = problem.observed.get(node.name)
        bad = ~(scale > 0)
        if seen is not None and seen.size == bad.size:
            bad &= seen.reshape(-1)
        if bad.any():
            yield _finding(problem, node.name, law, scale, np.flatnonzero(bad))


def _finding(problem: Problem, name: str, law: Distribution, scale: Floats, bad: NDArray[np.intp]) -> Finding:
    told = ", ".join(f"{scale[i]:g} at {_label(problem, name, int(i))}" for i in bad[:MOST])
    more = f" and {bad.size - MOST} more" if bad.size > MOST else ""
    columns = tuple(dict.fromkeys(r.name for r in ex.references(law.argument("sigma"))))  # type: ignore[arg-type]
    if not columns and bad.size > 1:
        told, more = f"{scale[0]:g}", ""
    hint = "a scale is a positive number; leave such a row out, or give the error it has"
    if (scale[bad] == 0).all() and columns:
        hint = "a row without any error needs no latent; leave it out, or give the least error it can have"
    return Finding("scale", (name, *columns), f"the known scale of '{name}' is {told}{more}", hint)


def _label(problem: Problem, name: str, place: int) -> str:
    plates = problem.graph.nodes[name].plates
    shape = problem.shape(name)
    codes = np.unravel_index(place, shape) if shape else ()
    return " ".join(f"{p} {problem.labels[p][int(c)]}" for p, c in zip(plates, codes, strict=True)) or name


__all__ = ["known_scales", "known_spread"]
