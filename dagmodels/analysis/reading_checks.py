"""What data say of the readings of true values before anything is fitted.

Errors: designs for replicates in which nothing was read twice, validation samples that overlap with nothing
(`replicates` has readings that are all equal, and samples that overlap with some). Doubts: errors as large
as what was observed, alone or given the columns in the law of the true values, and true values that vary
together once their errors are taken away.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.error_variance import would_identify
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.known_scales import known_spread
from dagmodels.analysis.laws import distribution_of, location
from dagmodels.analysis.measurement import Measured, covariates_with_error
from dagmodels.analysis.reading_values import averages, places
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
LEAST = 3  # true values with a reading, below which nothing is judged


def reading_findings(problem: Problem) -> tuple[Finding, ...]:
    """What cannot be fitted, each with what to do."""
    return (*_replicates(problem), *_validation(problem))


def reading_doubts(problem: Problem) -> tuple[str, ...]:
    """What a user must know of the answer, as sentences."""
    found = [(m, e) for m in _by_element(problem) if (e := _error(problem, m)) is not None]
    single = [(m, e, s) for m, e in found if (s := _too_large(problem, m, e)) is not None]
    said = {m.node for m, _, _ in single}
    left = [(m, e) for m, e in found if m.node not in said]
    return (*(s for _, _, s in single), *_together(problem, left))


def _by_element(problem: Problem) -> Iterator[Measured]:
    """Covariates each of whose readings reads the element that it lies in (not one element of a vector)."""
    nodes = problem.graph.nodes
    for m in covariates_with_error(problem.graph):
        codes = [problem.rows(nodes[r.node].plates).codes for r in m.readings]
        if all(p in c for c in codes for p in nodes[m.node].plates):
            yield m


def _replicates(problem: Problem) -> Iterator[Finding]:
    dag = problem.graph
    for m in _by_element(problem):
        own = [r for r in m.readings if r.unknown and not r.also_outcome]
        if len(own) != len(m.readings) or any(_told(dag, n) for r in own for n in r.unknown):
            continue
        names = tuple(r.node for r in own)
        found = averages(problem, m.node, names)
        unknown = tuple(dict.fromkeys(n for r in own for n in r.unknown))
        shown, listed = ", ".join(f"'{n}'" for n in names), ", ".join(f"'{n}'" for n in unknown)
        if not (found.count >= 2).any() and _nested(dag, m) and len(names) == 1 and _linear(dag, m):
            told = f"{listed} is not identified: no '{m.node}' has two readings {shown}"
            hint = "read some of them twice, or write the number of the error"
            yield would_identify(dag, Finding("replicates", (unknown[0], *names), told, hint))


def _told(dag: Dag, name: str) -> bool:
    """Whether a prior tells an unknown."""
    return any(
        law is not None and law.family != "Flat" for law in map(distribution_of, dag.nodes[name].statements)
    )


def _nested(dag: Dag, m: Measured) -> bool:
    return set(dag.nodes[m.readings[0].node].plates) != set(dag.nodes[m.node].plates)


def _linear(dag: Dag, m: Measured) -> bool:
    """One Normal outcome and Normal true values: then variances and covariances are all that data tell."""
    if len(m.outcomes) != 1 or m.law is None or m.law.family != "Normal":
        return False
    laws = [distribution_of(s) for s in dag.nodes[m.outcomes[0]].statements]
    return all(law is not None and law.family == "Normal" for law in laws)


def _validation(problem: Problem) -> Iterator[Finding]:
    """Observed nodes with missing cells that are never there together with any node that depends on them."""
    dag = problem.graph
    for name, node in dag.nodes.items():
        seen = problem.observed.get(name)
        if node.role != "observed" or not node.plates or seen is None or seen.all() or not seen.any():
            continue
        children = [c for c in dag.children[name] if c != name and dag.nodes[c].role == "observed"]
        children = [c for c in children if set(node.plates) <= set(problem.rows(dag.nodes[c].plates).codes)]
        if len(children) < 2 or any(_lagged(dag, c, name) for c in (name, *children)):
            continue
        if not any(_overlap(problem, name, c, seen) for c in children):
            shown = ", ".join(f"'{c}'" for c in children)
            yield Finding(
                "validation",
                (name, *children),
                f"'{name}' is never seen together with {shown}: this validation sample does not overlap "
                "with what it should validate",
                f"give rows in which '{name}' and its reading are both there; rows of another study are a "
                "plate of their own, which shares the parameters of the measurement",
            )


def _lagged(dag: Dag, child: str, name: str) -> bool:
    """Whether a node reads another element than its own: then rows do not meet one to one."""
    trees = [tree for s in dag.nodes[child].statements for tree in expressions(s)]
    found = [r for tree in trees for r in ex.references(tree) if r.name == name]
    return any(not isinstance(i, ex.PlateIndex) for r in found for i in r.indices or ())


def _overlap(problem: Problem, name: str, child: str, seen: NDArray[np.bool_]) -> bool:
    there = problem.observed[child].reshape(-1)
    return bool((there & seen.reshape(-1)[places(problem, name, child)]).any())


def _error(problem: Problem, m: Measured) -> Floats | None:
    """The error variance of each true value's mean reading, flat, where it is known or replicates tell it."""
    names = tuple(r.node for r in m.readings)
    found = averages(problem, m.node, names)
    if any(r.also_outcome or r.law.family != "Normal" for r in m.readings):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        if any(r.unknown for r in m.readings):
            degrees = np.maximum(found.count - 1, 0).sum()
            return None if degrees < 2 else found.squares.sum() / degrees / found.count
        total = np.zeros(found.count.size)
        for r in m.readings:
            (statement, *more) = problem.graph.nodes[r.node].statements
            scale = known_spread(problem, statement, r.law) if isinstance(statement, Stochastic) else None
            values = problem.values[r.node].reshape(-1)
            if more or scale is None or scale.size != values.size:
                return None
            there = np.isfinite(values)
            np.add.at(total, places(problem, m.node, r.node)[there], scale[there] ** 2)
        return total / found.count**2


def _too_large(problem: Problem, m: Measured, error: Floats) -> str | None:
    w = averages(problem, m.node, (r.node for r in m.readings)).mean
    there = np.isfinite(w) & np.isfinite(error)
    columns = _columns(problem, m)
    if there.sum() < LEAST + len(columns):
        return None
    mean, scatter = float(error[there].mean()), float(np.var(_left(w, columns, there)))
    if mean < scatter:
        return None
    names = ", ".join(f"'{r.node}'" for r in m.readings)
    shown = names if len(m.readings) == 1 and _one_each(problem, m) else f"the mean of {names}"
    given = "" if not columns else f", given {', '.join(map(repr, columns))},"
    bounds = _bounds(problem, m, w, columns)
    return (
        f"the error variance of {shown} ({mean:.4g}) is not below its observed variance{given} "
        f"({scatter:.4g}): nothing is left for '{m.node}' to vary, the corrected slope hangs on the "
        f"model alone; what holds is its sign and {bounds}"
    )


def _one_each(problem: Problem, m: Measured) -> bool:
    return problem.shape(m.readings[0].node) == problem.shape(m.node)


def _together(problem: Problem, found: list[tuple[Measured, Floats]]) -> Iterator[str]:
    """True values of one plate and one outcome whose corrected covariance matrix has no inverse."""
    done: set[str] = set()
    for m, _ in found:
        same = [
            (n, e)
            for n, e in found
            if problem.graph.nodes[n.node].plates == problem.graph.nodes[m.node].plates
            and set(n.outcomes) & set(m.outcomes)
        ]
        if len(same) < 2 or {n.node for n, _ in same} <= done:
            continue
        done |= {n.node for n, _ in same}
        columns: dict[str, Floats] = {}
        for n, _ in same:
            columns |= _columns(problem, n)
        w = [averages(problem, n.node, (r.node for r in n.readings)).mean for n, _ in same]
        there = np.all([np.isfinite(v) & np.isfinite(e) for v, (_, e) in zip(w, same, strict=True)], axis=0)
        if there.sum() < LEAST + len(columns) + len(same):
            continue
        left = np.stack([_left(v, columns, there) for v in w])
        true = left @ left.T / left.shape[1] - np.diag([float(e[there].mean()) for _, e in same])
        size = np.sqrt(np.maximum(true.diagonal(), 1e-300))
        if float(np.linalg.eigvalsh(true / np.outer(size, size))[0]) <= 0:
            names = ", ".join(f"'{n.node}'" for n, _ in same)
            yield (
                f"once their errors are taken away, {names} vary together without remainder (the corrected "
                "covariance matrix of their readings is not positive definite): the data do not tell their "
                "coefficients apart; what holds is their joint effect; take one of them, their mean, or "
                "smaller errors if those stated are too large"
            )


def _columns(problem: Problem, m: Measured) -> dict[str, Floats]:
    """Numeric covariates in the mean of the true values, at these."""
    dag = problem.graph
    tree = None if m.law is None else location(m.law)
    if tree is None:
        return {}
    codes = problem.rows(dag.nodes[m.node].plates).codes
    size = int(np.prod(problem.shape(m.node), dtype=np.int64))
    found: dict[str, Floats] = {}
    for r in ex.references(tree):
        node = dag.nodes.get(r.name)
        if node is None or node.kind != "covariate" or node.values_in is not None:
            continue
        if all(p in codes for p in node.plates):
            values = problem.values[r.name]
            picked = values[tuple(codes[p] for p in node.plates)] if node.plates else values
            found[r.name] = np.broadcast_to(picked, (size,))
    return found


def _left(w: Floats, columns: dict[str, Floats], there: NDArray[np.bool_]) -> Floats:
    """What a regression on columns leaves."""
    x = np.stack([np.ones(int(there.sum())), *(c[there] for c in columns.values())], axis=1)
    return w[there] - x @ np.linalg.lstsq(x, w[there], rcond=None)[0]


def _bounds(problem: Problem, m: Measured, w: Floats, columns: dict[str, Floats]) -> str:
    """Gini's bounds where the outcome is one column of the same rows, given columns too.

    The slope lies between that of y on w and the reverse regression (Gini 1921; Klepper and Leamer 1984,
    Econometrica 52:163).
    """
    if len(m.outcomes) == 1:
        y = problem.values.get(m.outcomes[0])
        law = distribution_of(problem.graph.nodes[m.outcomes[0]].statements[0])
        if y is not None and y.size == w.size and law is not None and law.family == "Normal":
            both = np.isfinite(w) & np.isfinite(y.reshape(-1))
            c = np.cov(_left(w, columns, both), _left(y.reshape(-1), columns, both))
            if abs(c[0, 1]) > 1e-12 * np.sqrt(c[0, 0] * c[1, 1]) and c[0, 0] > 1e-12 * np.var(w[both]):
                given = f"given {', '.join(map(repr, columns))}" if columns else "without other covariates"
                direct, reverse = c[0, 1] / c[0, 0], c[1, 1] / c[0, 1]
                return (
                    f"Gini's bounds {given}: between {direct:.4g} (regression of "
                    f"'{m.outcomes[0]}') and {reverse:.4g} (the reverse regression)"
                )
    return "that it is at least as steep as the naive slope"


__all__ = ["reading_doubts", "reading_findings"]
