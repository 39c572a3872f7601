"""Naive and corrected coefficients of covariates measured with error, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import location_argument
from dagmodels.analysis.reading_values import places
from dagmodels.bind.problem import Problem
from dagmodels.dispatch.fitting import fit_known, known
from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.measurement.mismeasured import Mismeasured, Readings, mismeasured, naive_values
from dagmodels.measurement.naive import coefficients_of, mean_unknowns, naive_problem
from dagmodels.measurement.values import at_rows, error_variance, law_of, values_of, with_reports
from dagmodels.results.answers import Answer, latents_of
from dagmodels.results.fit import Fit
from dagmodels.results.measurement.attenuation import Attenuation, Panel

Floats = NDArray[np.float64]
GRID = (11, 101)  # fewest and most points of a line
CELLS = 2_000_000  # rows times points that are evaluated at once


def attenuation(fit: Fit, problem: Problem, readings: Readings | None = None) -> Attenuation:
    """See `Fit.attenuation`."""
    found = mismeasured(problem, readings)
    plain = naive_problem(problem, found)
    naive = naive_fit(plain, fit.backend)
    about = {n for n, node in problem.graph.nodes.items() if node.role in ("latent", "parameter")}
    about -= {m.node for m in found}
    corrected, uncorrected = Answer.of("corrected", fit, about), Answer.of("naive", naive, about)
    values = values_of(problem, corrected.estimates, latents_of(fit))
    errors = {m.node: _errors(problem, m, with_reports(problem, values)) for m in found}
    table = _table(problem, found, plain, uncorrected, corrected, errors)
    panels = tuple(
        panel
        for m in found
        if not m.discrete
        for outcome in m.outcomes
        if (panel := _panel(problem, plain, m, outcome, uncorrected, values, errors[m.node])) is not None
    )
    return Attenuation(problem.graph.name, fit, naive, table, panels)


def naive_fit(plain: Problem, backend: str) -> Fit:
    """The naive model by the same backend, or by the one that the policy prefers where that one refuses."""
    found = known(plain)
    from dagmodels.dispatch.plan import make_plan

    method = backend if make_plan(found, backend).backend is not None else "auto"
    return fit_known(found, method)


def _table(
    problem: Problem,
    found: tuple[Mismeasured, ...],
    plain: Problem,
    naive: Answer,
    corrected: Answer,
    errors: Mapping[str, Floats | None],
) -> dict[str, list[Any]]:
    """One row a coefficient: those of covariates with error first, then the others of the same outcomes."""
    rows: list[tuple[str, str, str]] = []
    for m in found:
        for outcome in m.outcomes:
            rows += [(m.node, outcome, n) for n in coefficients_of(problem.graph, outcome, m.node)]
    named = {n for _, _, n in rows}
    outcomes = dict.fromkeys(o for m in found for o in m.outcomes)
    rows += [("", o, n) for o in outcomes for n in mean_unknowns(plain.graph, o) if n not in named]
    trust = {m.node: _reliability(problem, m, plain, found, errors[m.node]) for m in found}
    columns: dict[str, list[Any]] = {
        k: []
        for k in (
            *("covariate", "outcome", "name", "naive", "naive_se", "corrected", "se"),
            *("attenuation", "se_ratio", "reliability", "reliability_given"),
        )
    }
    done: set[tuple[str, str]] = set()
    for covariate, outcome, node in rows:
        for name, number in naive.numbers.items():
            if name.partition("[")[0] != node or name not in corrected.numbers or (covariate, name) in done:
                continue
            done.add((covariate, name))
            other = corrected.numbers[name]
            cells = (covariate, outcome, name, number.estimate, number.se, other.estimate, other.se)
            shrunk = _ratio(number.estimate, other.estimate) if covariate else np.nan
            ratios = (shrunk, _ratio(other.se, number.se))
            both = trust.get(covariate, (np.nan, np.nan))
            for key, value in zip(columns, (*cells, *ratios, *both), strict=True):
                columns[key].append(value)
    if not columns["name"]:
        told = (
            f"no coefficient of model '{problem.graph.name}' is in the naive model and in the corrected one"
        )
        hint = "coefficients are unknowns that multiply a true value in the law of an outcome"
        raise_all([ModelError(told, hint=hint)], "the attenuation")
    return columns


def _ratio(a: float, b: float) -> float:
    return a / b if b != 0 and np.isfinite(a) and np.isfinite(b) else np.nan


def _errors(problem: Problem, m: Mismeasured, values: Mapping[str, Floats]) -> Floats | None:
    """The error variance of each naive value, flat; None for states and Berkson errors."""
    if m.discrete or m.berkson:
        return None
    size = int(np.prod(problem.shape(m.node), dtype=np.int64))
    total, count = np.zeros(size), np.zeros(size)
    for name in m.readings:
        variance = error_variance(problem, name, values)
        seen = np.isfinite(problem.values[name].reshape(-1))
        at = places(problem, m.node, name)[seen]
        np.add.at(total, at, variance[seen])
        np.add.at(count, at, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count**2


def _reliability(
    problem: Problem, m: Mismeasured, plain: Problem, found: tuple[Mismeasured, ...], error: Floats | None
) -> tuple[float, float]:
    """One minus error variance over observed variance of the naive values: plain, and given the columns that
    stand beside the covariate in the laws of its outcomes."""
    if error is None:
        return np.nan, np.nan
    w = naive_values(problem, m).reshape(-1)
    there = np.isfinite(w) & np.isfinite(error)
    mean = float(error[there].mean())
    columns = [w[there] * 0 + 1.0]
    plates = problem.graph.nodes[m.node].plates
    codes = problem.rows(plates).codes
    names = {p for o in m.outcomes for p in _columns_beside(plain, o)} - {m.node}
    for name in sorted(names):
        own = plain.graph.nodes[name].plates
        if all(p in codes for p in own):
            values = plain.values[name]
            columns.append(
                np.broadcast_to(values[tuple(codes[p] for p in own)] if own else values, w.shape)[there]
            )
    z = np.stack(columns, axis=1)
    left = w[there] - z @ np.linalg.lstsq(z, w[there], rcond=None)[0]
    degrees = max(int(there.sum()) - np.linalg.matrix_rank(z), 1)
    return 1.0 - mean / float(np.var(w[there], ddof=1)), 1.0 - mean / float(left @ left / degrees)


def _columns_beside(plain: Problem, outcome: str) -> tuple[str, ...]:
    """Numeric covariates in an outcome's mean, through deterministic nodes."""
    graph = plain.graph
    found, waiting, done = set[str](), [outcome], set[str]()
    while waiting:
        for parent in graph.parents[waiting.pop()]:
            if parent in done:
                continue
            done.add(parent)
            node = graph.nodes[parent]
            if node.kind == "covariate" and node.values_in is None and parent in _means(plain, outcome):
                found.add(parent)
            if node.kind == "deterministic":
                waiting.append(parent)
    return tuple(sorted(found))


def _means(plain: Problem, outcome: str) -> set[str]:
    """Names that stand in the location of an outcome, deterministic ones looked through."""
    law, _ = law_of(plain, outcome)
    tree = law.argument(location_argument(law) or "")
    if not isinstance(tree, ex.Expression):
        return set()
    found, waiting = set[str](), [r.name for r in ex.references(tree)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name in plain.graph.nodes and plain.graph.nodes[name].kind == "deterministic":
                waiting.extend(plain.graph.parents[name])
    return found


def _panel(
    problem: Problem,
    plain: Problem,
    m: Mismeasured,
    outcome: str,
    naive: Answer,
    corrected: Mapping[str, Floats],
    error: Floats | None,
) -> Panel | None:
    """The picture's numbers for a covariate and an outcome; None where the latter's rows are not of it."""
    codes = problem.rows(problem.graph.nodes[outcome].plates).codes
    plates = problem.graph.nodes[m.node].plates
    if (
        not all(p in codes for p in plates)
        or outcome not in problem.values
        or outcome not in plain.graph.nodes
    ):
        return None
    at = tuple(codes[p] for p in plates)
    w = naive_values(problem, m)
    finite = w[np.isfinite(w)]
    points = int(np.clip(CELLS // max(w.size, at[0].size), *GRID))
    grid = np.linspace(finite.min(), finite.max(), points)
    latent = corrected.get(m.node)
    there = None if latent is None else latent[..., 0][at]
    if there is not None and not np.isfinite(there).any():
        there = None
    own = values_of(plain, naive.estimates, latents_of(naive.fit))
    y = problem.values[outcome].reshape(-1)
    size = np.zeros(y.size) if error is None else np.sqrt(error).reshape(w.shape)[at]
    lines = [_line(p, outcome, m.node, grid, v) for p, v in ((plain, own), (problem, corrected))]
    return Panel(m.node, outcome, w[at], y, size, there, grid, lines[0], lines[1])


def _line(
    problem: Problem, outcome: str, covariate: str, grid: Floats, values: Mapping[str, Floats]
) -> Floats | None:
    """The expected outcome along a covariate, other columns and latents at their means; None where the law
    has no such number."""
    shape = problem.shape(covariate)
    held, alike = {covariate: np.broadcast_to(grid, (*shape, grid.size))}, True
    for name, array in values.items():
        node = problem.graph.nodes[name]
        if name == covariate or node.kind == "deterministic":
            continue
        level = node.plates and node.values_in is None and node.role in ("covariate", "latent", "observed")
        held[name] = np.broadcast_to(np.nanmean(array), array.shape) if level else array
        alike = alike and bool(level or not node.plates)
    law, place = law_of(problem, outcome)
    tree = law.argument(location_argument(law) or "")
    if isinstance(tree, ex.Vector) and place is not None:
        tree = tree.items[place]
    if not isinstance(tree, ex.Expression):
        return None
    try:
        values = with_reports(problem, held)
        return np.nanmean(at_rows(problem, outcome, tree, values, 1 if alike else None), axis=0)
    except FitError:  # e.g. a coefficient that a hidden state selects: there is no line, the points remain
        return None


__all__ = ["attenuation", "naive_fit"]
