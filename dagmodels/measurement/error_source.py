"""Where the error variance of a covariate is from: the graph, replicates, a reliability, or the fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import location
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.reading_values import averages, places
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.measurement.mismeasured import Mismeasured, naive_values
from dagmodels.measurement.values import at_rows, error_variance, law_of, with_reports

Floats = NDArray[np.float64]
KNOWN, POOLED, RELIABLE, FITTED, STATES, CALIBRATED = (
    "known",
    "within replicates",
    "by its reliability",
    "as fitted",
    "states",
    "as fitted, readings calibrated",
)


def error_source(
    problem: Problem, m: Mismeasured, fitted: Mapping[str, Floats]
) -> tuple[Floats, Floats, str, tuple[Floats, Floats] | None]:
    """Error variance of each naive value, its multiple of one reading's, where it is from, and the sums of
    squares within replicates with their degrees of freedom."""
    graph = problem.graph
    own_readings = averages(problem, m.node, m.readings)
    count = own_readings.count
    share = 1.0 / np.maximum(count, 1.0)
    data = {
        n: v[..., None] for n, v in problem.values.items() if graph.nodes[n].kind in ("covariate", "constant")
    }
    total, unknown = np.zeros(count.size), False
    for name in m.readings:
        try:
            variance = error_variance(problem, name, with_reports(problem, data))
        except FitError:  # it is written with unknowns: replicates or the fit must tell it
            unknown = True
            variance = error_variance(problem, name, fitted)
        seen = np.isfinite(problem.values[name].reshape(-1))
        np.add.at(total, places(problem, m.node, name)[seen], variance[seen])
    own = total * share**2
    if any(not _exact(problem, m.node, name) for name in m.readings):
        return own, share, CALIBRATED, None
    if not unknown:
        return own, share, KNOWN, None
    inside = own_readings.squares, np.maximum(count - 1.0, 0.0)
    degrees = float(inside[1].sum())
    if degrees >= 2 and _alike(problem, m, fitted):
        return float(inside[0].sum()) / degrees * share, share, POOLED, inside
    if (left := _unreliable(problem, m, fitted, count)) is not None:
        return own, share, RELIABLE, left
    return own, share, FITTED, None


def _exact(problem: Problem, node: str, reading: str) -> bool:
    """Whether a reading's mean is exactly the true value."""
    law, place = law_of(problem, reading)
    tree = location(law)
    if isinstance(tree, ex.Vector) and place is not None:
        tree = tree.items[place]
    return isinstance(tree, ex.Reference) and tree.name == node


def calibrated_readings(
    problem: Problem, m: Mismeasured, fitted: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    """Mean of the readings brought to the scale of the true value, (w - c0)/c1 at the fitted numbers, and its
    error variance. Raises `FitError` for readings that are no line of it."""
    size = int(np.prod(problem.shape(m.node), dtype=np.int64))
    total, squares, count = np.zeros((3, size))
    for name in m.readings:
        law, _ = law_of(problem, name)
        tree = location(law)
        if tree is None:
            raise FitError(f"'{name}' has no mean that could be brought to the scale of '{m.node}'")
        at: list[Floats] = []
        for level in (0.0, 1.0, 2.0):
            values = dict(fitted) | {m.node: np.full((*problem.shape(m.node), 1), level)}
            at.append(at_rows(problem, name, tree, with_reports(problem, values))[:, 0])
        slope = at[1] - at[0]
        if (np.abs(at[2] - at[1] - slope) > 1e-9 * (1 + np.abs(slope))).any() or (slope == 0).any():
            raise FitError(f"the mean of '{name}' is no line in '{m.node}'")
        seen = np.isfinite(problem.values[name].reshape(-1))
        where = places(problem, m.node, name)[seen]
        np.add.at(total, where, ((problem.values[name].reshape(-1) - at[0]) / slope)[seen])
        np.add.at(squares, where, (error_variance(problem, name, fitted) / slope**2)[seen])
        np.add.at(count, where, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count, squares / count**2


def _unreliable(
    problem: Problem, m: Mismeasured, fitted: Mapping[str, Floats], count: Floats
) -> tuple[Floats, Floats] | None:
    """(1 - r) times squares about the mean, where the error is a multiple of the true values' own variance;
    None where it is not, or where these have no common mean."""
    graph = problem.graph
    law, _ = law_of(problem, m.node)
    mean, scale = location(law), law.argument("sigma")
    if (
        law.family != "Normal"
        or len(m.readings) != 1
        or not isinstance(scale, ex.Reference)
        or (count != 1).any()
    ):
        return None
    if mean is None or any(graph.nodes[r.name].plates for r in ex.references(mean) if r.name in graph.nodes):
        return None
    if graph.nodes[scale.name].plates:
        return None
    twice = dict(fitted) | {scale.name: 2.0 * fitted[scale.name]}
    one, two = (error_variance(problem, m.readings[0], with_reports(problem, v)) for v in (fitted, twice))
    unknown = set(Reach(graph).unknowns_of(m.readings[0])) - {m.node, scale.name}
    if unknown or not np.allclose(two, 4.0 * one, rtol=1e-9) or np.ptp(one) > 1e-9 * one.max():
        return None
    own = float(fitted[scale.name].reshape(-1)[0]) ** 2
    share = float(one[0]) / (own + float(one[0]))
    w = naive_values(problem, m).reshape(-1)
    return share * (w - np.nanmean(w)) ** 2, np.ones(w.size)


def crossed_error(
    problem: Problem, m: Mismeasured, outcome: str, fitted: Mapping[str, Floats], n: int
) -> Floats:
    """Covariance of the errors of a reading and of the outcome, (rows,): not zero in joint laws alone."""
    law, place = law_of(problem, outcome)
    found = np.zeros(n)
    statement = problem.graph.nodes[outcome].statements[0]
    for name in m.readings:
        cov = law.argument("cov")
        if place is None or name not in getattr(statement, "names", ()):
            continue
        row = cov.items[place] if isinstance(cov, ex.Vector) else None
        if not isinstance(row, ex.Vector) or len(m.readings) > 1:
            raise FitError(f"the covariance of '{name}' and '{outcome}' cannot be read off their law")
        found += at_rows(problem, outcome, row.items[statement.names.index(name)], fitted)[:, 0]  # type: ignore[union-attr]
    return found


def _alike(problem: Problem, m: Mismeasured, fitted: Mapping[str, Floats]) -> bool:
    """Whether all readings have one error variance."""
    sizes = np.concatenate([error_variance(problem, name, fitted) for name in m.readings])
    return bool(np.ptp(sizes) <= 1e-9 * sizes.max())


__all__ = ["CALIBRATED", "STATES", "calibrated_readings", "crossed_error", "error_source"]
