"""Fit measures and scaled tests of least-squares fits, by lavaan's names.

The statistic is the minimum itself; independence has a closed form, because its statistics are linear in its
unknowns. With U = V - V D (D'V D)^-1 D'V over all groups, scaled tests take tr(U Gamma) and tr((U Gamma)^2)
(Satorra and Bentler 1994; Asparouhov and Muthen 2010). Robust measures of ordered variables put the
estimates into the normal-theory discrepancy of correlations (Savalei 2021, Multivar. Behav. Res. 56:390).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.least_squares import LeastSquares, LeastSquaresForm
from dagmodels.forms.moments import MomentsSolution
from dagmodels.numerics.ordinal.statistics import COVARIANCE, LEVEL, VARIANCE
from dagmodels.numerics.saturated_moments import Unrestricted
from dagmodels.results.sem.estimators import Choice
from dagmodels.results.sem.measures import (
    Comparison,
    group_residuals,
    incremental,
    other_measures,
    rmsea,
    upper_tail,
)
from dagmodels.results.sem.scaled import Scaled, robust_incremental, robust_rmsea, scaled_measures

Floats = NDArray[np.float64]


def _form(solution: MomentsSolution) -> LeastSquaresForm:
    return cast(LeastSquaresForm, solution.form)


def _at(solution: MomentsSolution) -> LeastSquares:
    return cast(LeastSquares, solution.at)


def compare_squares(solution: MomentsSolution, *, meanstructure: bool) -> Comparison:
    """Of a fit. meanstructure : False leaves saturated means out of the count of parameters.

    `rows` is the number of rows less that of groups, which all measures take, as lavaan has it.
    """
    form = _form(solution)
    parts, groups = form.space.parts, len(form.parts)
    k = solution.parameters
    means = int(((parts.kind == LEVEL) & ~parts.ordered[parts.first]).sum())
    pairs = int((parts.kind == COVARIANCE).sum())
    alone = sum((p.n - 1) * _independence(form, g) for g, p in enumerate(form.parts))
    total = sum(p.n for p in form.parts)
    x = form.sample
    return Comparison(
        chisq=solution.at.deviance,
        df=groups * parts.kind.size - k,
        fmin=solution.at.deviance / (2 * total),
        baseline_chisq=float(alone),
        baseline_df=groups * pairs,
        parameters=k if meanstructure else k - groups * means,
        rows=form.freedom,
        groups=groups,
        unrestricted_value=math.nan,
        free=Unrestricted(x.mean, x.cov, math.nan),
    )


def _free(form: LeastSquaresForm) -> Floats:
    """Derivatives of a group's statistics in the unknowns of independence: all but covariances."""
    return np.eye(form.space.parts.kind.size)[:, form.space.parts.kind != COVARIANCE]


def _independence(form: LeastSquaresForm, g: int) -> float:
    """The least weighted sum of squares of independent variables."""
    part, free = form.parts[g], _free(form)
    slopes = part.weights.times(free)
    inner = free.T @ slopes
    beta = np.linalg.solve(inner, slopes.T @ part.value)
    away = part.value - free @ beta
    return float(away @ part.weights.times(away))


# -- measures


def square_measures(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    """All measures, by name; there is no likelihood in them."""
    form = _form(solution)
    plain = form.weighting != "ULS"  # whose statistic has no known distribution
    total = sum(p.n for p in form.parts)
    found = {
        "npar": float(c.parameters),
        "fmin": c.fmin,
        "chisq": c.chisq,
        "df": float(c.df),
        "pvalue": upper_tail(c.chisq, c.df) if plain else math.nan,
        "baseline_chisq": c.baseline_chisq,
        "baseline_df": float(c.baseline_df),
        "baseline_pvalue": upper_tail(c.baseline_chisq, c.baseline_df) if plain else math.nan,
        **incremental(c.chisq, c.df, c.baseline_chisq, c.baseline_df),
        "ntotal": total,
        **rmsea(c.chisq, c.df, c.rows, c.groups),
    }
    if form.template.thresholds is None:
        found.update(_residuals(solution, c, meanstructure=meanstructure))
    else:
        found.update(_ordered_residuals(solution))
        found["wrmr"] = math.sqrt(c.chisq / (c.groups * form.space.parts.kind.size))
    found.update(_goodness(solution, c, meanstructure=meanstructure))
    return found


def _residuals(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    form, moments = _form(solution), solution.at.moments
    o = form.structure.observed
    total: dict[str, float] = {}
    for g, share in enumerate(form.shares.tolist()):
        own = (c.free.cov[g], moments.covariance[g][np.ix_(o, o)], c.free.mean[g], moments.mean[g][o])
        for name, value in group_residuals(*own, meanstructure).items():
            total[name] = total.get(name, 0.0) + share * value
    return total


def _ordered_residuals(solution: MomentsSolution) -> dict[str, float]:
    """Of correlations (`nomean`), and of thresholds with them; variances have no residuals but count."""
    form, at = _form(solution), _at(solution)
    parts = form.space.parts
    p = parts.levels.size
    pair, cut = np.flatnonzero(parts.kind == COVARIANCE), np.flatnonzero(form.space.slots >= 0)
    i, j = parts.first[pair], parts.second[pair]
    total: dict[str, float] = {}
    for g, (part, implied) in enumerate(zip(form.parts, at.implied, strict=True)):
        away = part.value - implied.value
        d = np.ones(p)
        own = parts.kind == VARIANCE
        d[parts.first[own]] = np.sqrt(part.value[own])
        model = np.sqrt(np.where(parts.ordered, 1.0, np.diag(implied.sigma)[form.space.y]))
        bollen = part.value[pair] / (d[i] * d[j]) - implied.value[pair] / (model[i] * model[j])
        chosen = {
            "rmr": (away[pair], p), "srmr_bentler": (away[pair] / (d[i] * d[j]), p), "crmr": (bollen, 0),
        }  # fmt: skip
        for name, (values, more) in chosen.items():
            squares, count = float(values @ values), values.size + more
            both = squares + float(away[cut] @ away[cut])
            share = float(form.shares[g])
            alone = share * math.sqrt(squares / max(count, 1))
            total[f"{name}_nomean"] = total.get(f"{name}_nomean", 0.0) + alone
            whole = share * math.sqrt(both / max(count + cut.size, 1))
            total[name] = total.get(name, 0.0) + whole
    return {**total, "srmr": total["srmr_bentler_nomean"]}


def _goodness(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    form, at = _form(solution), _at(solution)
    parts = form.space.parts
    means = (parts.kind == LEVEL) & ~parts.ordered[parts.first]
    used = np.ones(parts.kind.size, dtype=bool) if meanstructure else ~means
    gfi = 0.0
    for share, p, i in zip(form.shares.tolist(), form.parts, at.implied, strict=True):
        away, whole = (np.where(used, v, 0.0) for v in (p.value - i.value, p.value))
        gfi += share * (1.0 - float(away @ p.weights.times(away)) / float(whole @ p.weights.times(whole)))
    found = other_measures(c, gfi, c.groups * int(used.sum()))
    if form.template.thresholds is not None:
        del found["ecvi"]
    return found


# -- scaled tests


@dataclass(frozen=True, eq=False, slots=True)
class Traces:
    """tr(U Gamma) and tr((U Gamma)^2)."""

    first: float
    second: float


def _traces(form: LeastSquaresForm, slopes: tuple[Floats, ...]) -> Traces:
    """slopes : each group's D, (q, k), in unknowns that are shared by the groups."""
    k = slopes[0].shape[1]
    inner, meat, mixed = (np.zeros((k, k)) for _ in range(3))
    first = second = 0.0
    for share, part, d in zip(form.shares.tolist(), form.parts, slopes, strict=True):
        assert part.gamma is not None
        weighted = part.weights.times(part.gamma)  # V Gamma
        first += float(np.trace(weighted))
        second += float(np.sum(weighted * weighted.T))
        turned = part.weights.times(d)
        moved = part.gamma @ turned
        inner += share * (d.T @ turned)
        meat += share * (turned.T @ moved)
        mixed += share * (moved.T @ part.weights.times(moved))
    solved = np.linalg.solve(inner, meat) if k else meat
    crossed = float(np.trace(np.linalg.solve(inner, mixed))) if k else 0.0
    return Traces(first - float(np.trace(solved)), second - 2 * crossed + float(np.sum(solved * solved.T)))


def square_scaled(solution: MomentsSolution, c: Comparison, choice: Choice) -> Scaled:
    """The scaled test that was chosen."""
    form = _form(solution)
    kept = np.flatnonzero(~solution.optimum.active)
    model = _traces(form, tuple(j[:, kept] for j in _at(solution).slopes))
    base = [_traces(_alone(form, g), (_free(form),)) for g in range(c.groups)]
    first, second = sum(b.first for b in base), sum(b.second for b in base)
    return Scaled(
        choice.test,
        model.first / c.df if c.df > 0 else math.nan,
        first / c.baseline_df if c.baseline_df > 0 else math.nan,
        second=model.second,
        baseline_second=second,
    )


def _alone(form: LeastSquaresForm, g: int) -> LeastSquaresForm:
    """One group as if it were all: traces of groups that share nothing add up."""
    return replace(form, parts=(form.parts[g],))


def square_scaled_measures(solution: MomentsSolution, c: Comparison, s: Scaled) -> dict[str, float]:
    """Scaled and robust measures."""
    found = scaled_measures(c, s)
    form = _form(solution)
    if form.template.thresholds is None or "cfi_robust" not in found:
        return found
    return {**found, **_correlation_measures(solution, c)}


def _correlation_measures(solution: MomentsSolution, c: Comparison) -> dict[str, float]:
    """Robust CFI, TLI and RMSEA of ordered variables; nan beside numbers and covariates, and where the
    correlations are not positive definite."""
    form, at = _form(solution), _at(solution)
    parts = form.space.parts
    unknown = not parts.ordered.all() or parts.covariates > 0
    pair = np.flatnonzero(parts.kind == COVARIANCE)
    i, j = parts.first[pair], parts.second[pair]
    x = base = trace = base_trace = 0.0
    kept = np.flatnonzero(~solution.optimum.active)
    inner = sum(
        f * (d[:, kept].T @ p.weights.times(d[:, kept]))
        for f, p, d in zip(form.shares.tolist(), form.parts, at.slopes, strict=True)
    )
    weighed: list[tuple[float, Floats, Floats, Floats, Floats]] = []
    for f, p, implied, d in zip(form.shares.tolist(), form.parts, at.implied, at.slopes, strict=True):
        r, sigma = np.eye(parts.levels.size), np.eye(parts.levels.size)
        r[i, j] = r[j, i] = p.value[pair]
        sigma[i, j] = sigma[j, i] = implied.value[pair]
        if unknown or min(np.linalg.eigvalsh(r)[0], np.linalg.eigvalsh(sigma)[0]) < 1.5e-8:
            return dict.fromkeys(_robust(1.0, 1.0, 1.0, 1.0, c), math.nan)
        w = np.linalg.inv(sigma)
        log_r = float(np.linalg.slogdet(r)[1])
        x += p.n * (float(np.linalg.slogdet(sigma)[1]) - log_r + float(np.sum(w * r)) - len(r))
        base -= p.n * log_r
        assert p.gamma is not None
        own = p.gamma[np.ix_(pair, pair)]
        base_trace += float(np.trace(own))
        normal = w[np.ix_(i, i)] * w[np.ix_(j, j)] + w[np.ix_(i, j)] * w[np.ix_(j, i)]
        pull = p.weights.times(np.eye(parts.kind.size)[:, pair])[pair]
        weighed.append((f, d[pair][:, kept], normal, own, pull))
    for f, d, normal, own, pull in weighed:
        whole = np.linalg.solve(inner, d.T @ pull)  # (k, pairs) of the estimates in this group's correlations
        trace += float(np.sum(normal * own)) - 2 * f * float(np.trace(normal @ d @ whole @ own))
        for h, other, bend, _, _ in weighed:
            moved = other @ whole
            trace += f * h * float(np.trace(moved.T @ bend @ moved @ own))
    return _robust(x, trace / c.df if c.df > 0 else math.nan, base, base_trace / c.baseline_df, c)


def _robust(x: float, factor: float, b: float, b_factor: float, c: Comparison) -> dict[str, float]:
    return {
        **robust_incremental(x, c.df, factor, b, c.baseline_df, b_factor),
        **robust_rmsea(x / factor, c.df, c.rows / factor, c.groups, "robust"),
    }
