"""Known errors that cannot be, by row: scales and variances that are not positive, impossible covariances.

Also scales that are zero whatever their unknowns are (a reliability of one).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.evaluate import CannotEvaluate, evaluate, head_rows
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import distribution_of
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Joint, Stochastic

Floats = NDArray[np.float64]
MOST = 3  # rows that are named


def known_scales(problem: Problem) -> tuple[Finding, ...]:
    """Observed Normal nodes whose scale is written with data alone and is not positive somewhere, and vectors
    of them whose known error covariances are no covariance matrix somewhere."""
    return (*_findings(problem), *_matrices(problem))


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
            if _always_zero(problem, statement, law):
                yield Finding(
                    "scale",
                    (node.name,),
                    f"the scale of '{node.name}' is zero whatever its unknowns are",
                    "a reading without error is the true value: let it be a covariate in its place (a "
                    "reliability of 1 says so), or state an error",
                )
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


def _always_zero(problem: Problem, statement: Stochastic, law: Distribution) -> bool:
    """Whether a scale with scalar unknowns is zero at two points of them."""
    tree = law.argument("sigma")
    if not isinstance(tree, ex.Expression):
        return False
    names = [r.name for r in ex.references(tree) if r.name in problem.graph.nodes]
    unknown = [n for n in names if n not in problem.values]
    if not unknown or any(problem.graph.nodes[n].plates for n in unknown):
        return False
    rows, _ = head_rows(statement.head, problem)
    values = {n: v[..., None] for n, v in problem.values.items()}
    values |= {n: np.array([0.7, 1.9]) for n in unknown}
    try:
        return not evaluate(tree, rows, values, problem).any()
    except CannotEvaluate:  # as above
        return False


def _matrices(problem: Problem) -> Iterator[Finding]:
    """Joint normal nodes of which every known part of the covariance is looked at: unknown scales at zero."""
    for statement in problem.graph.statements:
        if not isinstance(statement, Joint) or not statement.observed:
            continue
        cov = statement.distribution.argument("cov")
        if statement.distribution.family != "MvNormal" or not isinstance(cov, ex.Vector):
            continue
        found = _matrix(problem, statement, cov)
        if found is None:
            continue
        matrix, known = found
        names = ", ".join(f"'{n}'" for n in statement.names)
        for i, name in enumerate(statement.names):
            bad = np.flatnonzero(~(matrix[:, i, i] > 0)) if known[i] else np.zeros(0, dtype=np.intp)
            if bad.size:
                told = _several(problem, name, matrix[:, i, i], bad)
                hint = "a variance is a positive number; leave such a row out, or give the error it has"
                yield Finding("scale", (name,), f"the known error variance of '{name}' is {told}", hint)
                return
        least: Floats = np.asarray(np.linalg.eigvalsh(matrix)[:, 0], dtype=np.float64)
        bad = np.flatnonzero(least < -1e-10 * np.abs(matrix).max(axis=(1, 2)))
        if bad.size:
            told = _several(problem, statement.names[0], least, bad)
            yield Finding(
                "scale",
                statement.names,
                f"the known error covariances of {names} are those of no law: their smallest eigenvalue is "
                f"{told}",
                "a covariance is at most the root of the product of both variances; look at its scale",
            )


def _matrix(problem: Problem, statement: Joint, cov: ex.Vector) -> tuple[Floats, list[bool]] | None:
    """Covariance matrices by row with unknown scales at zero, and which variances are known; None where other
    unknowns stand in them."""
    nodes = problem.graph.nodes
    values = {n: v[..., None] for n, v in problem.values.items()}
    unknown: set[str] = set()
    for tree in (t for row in cov.items if isinstance(row, ex.Vector) for t in row.items):
        for r in ex.references(tree):
            if r.name in nodes and r.name not in values:
                unknown.add(r.name)
    for name in unknown:
        domain = getattr(nodes[name].statements[0], "domain", None)
        if nodes[name].plates or domain is None or domain.kind != "interval" or domain.lower != 0:
            return None
        values[name] = np.zeros(1)
    rows = problem.rows(statement.plates)
    k = len(statement.names)
    matrix, known = np.zeros((rows.n, k, k)), [False] * k
    for i, row in enumerate(cov.items):
        for j, tree in enumerate(row.items if isinstance(row, ex.Vector) else ()):
            try:
                matrix[:, i, j] = evaluate(tree, rows, values, problem)[:, 0]
            except CannotEvaluate:  # as above
                return None
            if i == j:
                known[i] = not any(r.name in unknown for r in ex.references(tree))
    return matrix, known


def _several(problem: Problem, name: str, values: Floats, bad: NDArray[np.intp]) -> str:
    told = ", ".join(f"{values[i]:.4g} at {_label(problem, name, int(i))}" for i in bad[:MOST])
    return told + (f" and {bad.size - MOST} more" if bad.size > MOST else "")


def _label(problem: Problem, name: str, place: int) -> str:
    plates = problem.graph.nodes[name].plates
    shape = problem.shape(name)
    codes = np.unravel_index(place, shape) if shape else ()
    return " ".join(f"{p} {problem.labels[p][int(c)]}" for p, c in zip(plates, codes, strict=True)) or name


__all__ = ["known_scales", "known_spread"]
