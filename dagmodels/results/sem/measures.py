"""Fit measures of a moments fit by lavaan's names (dots as underscores).

Formulas: chi-square and its non-centrality, Steiger and Lind (1980), Browne and Cudeck (1993) for RMSEA;
Bentler (1990, Psychol. Bull. 107:238) for CFI; Tucker and Lewis (1973); Bentler and Bonett (1980) for NFI;
Bollen (1989) for IFI and RFI; Bentler (1995) for SRMR and Bollen (1989) for CRMR; Hoelter (1983) for CN;
Joereskog and Soerbom (1981) for GFI; McDonald (1989) for MFI.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.numerics.saturated_moments import Unrestricted, independence, unrestricted

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """The model between its two neighbours.

    chisq, df, fmin : of the model against no restriction. baseline_chisq, baseline_df : of independence.
    parameters : as lavaan counts them. rows : units with any value. groups : their number.
    unrestricted_value : log likelihood without restriction. free : means and covariances without restriction.
    """

    chisq: float
    df: int
    fmin: float
    baseline_chisq: float
    baseline_df: int
    parameters: int
    rows: float
    groups: int
    unrestricted_value: float
    free: Unrestricted


def compare(solution: MomentsSolution, *, meanstructure: bool) -> Comparison:
    """Of a fit. meanstructure : False leaves saturated means out of the counts."""
    form = solution.form
    sample, groups = form.sample, form.structure.groups
    given = form.template.given
    p, x = given.size, int(given.sum())
    free = unrestricted(sample)
    saturated = free.value - form.given_constant
    moments = groups * (_triangle(p) + p - _triangle(x) - x)
    alone = independence(sample)[:, ~given].sum()
    chisq = max(solution.at.deviance - saturated, 0.0)
    rows = sample.rows
    k = solution.parameters
    return Comparison(
        chisq=chisq,
        df=moments - k,
        fmin=chisq / (2 * rows),
        baseline_chisq=float(alone - saturated),
        baseline_df=moments - 2 * groups * (p - x),
        parameters=k if meanstructure else k - groups * (p - x),
        rows=rows,
        groups=groups,
        unrestricted_value=-0.5 * saturated,
        free=free,
    )


def refuse_unseen(form: MomentsForm, groups: tuple[str, ...]) -> None:
    """Nothing compares with the means and covariances of a variable without any value in a group.

    Raises
    ------
    FitError : such variables, with their groups.
    """
    sample = form.sample
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    seen = np.array([sample.mask[sample.group == g].any(axis=0) for g in range(form.structure.groups)])
    told = [
        f"'{names[v]}'" + (f" in group '{groups[g]}'" if len(groups) > 1 else "")
        for g, v in np.argwhere(~seen)
    ]
    if told:
        raise FitError(f"there is no value of {', '.join(told)}; leave out the variable or the group")


def _triangle(p: int) -> int:
    return p * (p + 1) // 2


def measures(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    """All measures, by name."""
    found = tests_and_criteria(solution, c)
    found.update(residual_measures(solution, c, meanstructure=meanstructure))
    found.update(_others(solution, c, meanstructure=meanstructure))
    return found


def tests_and_criteria(solution: MomentsSolution, c: Comparison) -> dict[str, float]:
    """What follows from the neighbours alone, at any number of levels."""
    log_likelihood = -0.5 * solution.at.deviance
    n, k = c.rows, c.parameters
    return {
        "npar": float(k),
        "fmin": c.fmin,
        "chisq": c.chisq,
        "df": float(c.df),
        "pvalue": upper_tail(c.chisq, c.df),
        "baseline_chisq": c.baseline_chisq,
        "baseline_df": float(c.baseline_df),
        "baseline_pvalue": upper_tail(c.baseline_chisq, c.baseline_df),
        **incremental(c.chisq, c.df, c.baseline_chisq, c.baseline_df),
        "logl": log_likelihood,
        "unrestricted_logl": c.unrestricted_value,
        "aic": -2 * log_likelihood + 2 * k,
        "bic": -2 * log_likelihood + math.log(n) * k,
        "ntotal": n,
        "bic2": -2 * log_likelihood + math.log((n + 2) / 24) * k,
        **rmsea(c.chisq, c.df, n, c.groups),
    }


def upper_tail(chisq: float, df: int) -> float:
    """P(chi-square with df > chisq); nan without degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(df, chisq)) if df > 0 else math.nan


def incremental(x: float, df: float, b: float, b_df: float) -> dict[str, float]:
    """Indices that place the model between independence and no restriction."""
    gain = max(b - b_df, 0.0)
    loss = max(x - df, 0.0)
    cfi = 1.0 if max(loss, gain) == 0 else 1.0 - loss / max(loss, gain)
    with np.errstate(all="ignore"):
        x_, df_, b_, b_df_ = (np.float64(v) for v in (x, df, b, b_df))
        tli = 1.0 if df == 0 else float((b_ / b_df_ - x_ / df_) / (b_ / b_df_ - 1))
        nfi = float((b_ - x_) / b_)
        return {
            "cfi": cfi,
            "tli": tli,
            "nnfi": tli,
            "rfi": 1.0 if df == 0 else float((b_ / b_df_ - x_ / df_) / (b_ / b_df_)),
            "nfi": nfi,
            "pnfi": float(df_ / b_df_) * nfi,
            "ifi": float((b_ - x_) / (b_ - df_)),
            "rni": float(((b_ - b_df_) - (x_ - df_)) / (b_ - b_df_)),
        }


def rmsea(x: float, df: float, n: float, groups: int, level: float = 0.9) -> dict[str, float]:
    """Root mean square error of approximation with its interval and the tests of close and not close fit."""
    from scipy.special import chndtr

    names = ("rmsea", "rmsea_ci_lower", "rmsea_ci_upper", "rmsea_ci_level", "rmsea_pvalue", "rmsea_close_h0",
             "rmsea_notclose_pvalue", "rmsea_notclose_h0")  # fmt: skip
    if df <= 0:
        return dict(zip(names, (0.0, 0.0, 0.0, level, math.nan, 0.05, math.nan, 0.08), strict=True))
    scale = math.sqrt(groups / (n * df))
    tail = (1 - level) / 2

    def missing(target: float) -> Callable[[float], float]:
        return lambda ncp: float(chndtr(x, df, ncp)) - target

    lower = _root(missing(1 - tail), x)
    upper = _root(missing(tail), x)
    close, far = (n * df * h**2 / groups for h in (0.05, 0.08))
    values = (
        math.sqrt(max(x - df, 0.0)) * scale,
        math.sqrt(lower) * scale,
        math.sqrt(upper) * scale,
        level,
        1.0 - float(chndtr(x, df, close)),
        0.05,
        float(chndtr(x, df, far)),
        0.08,
    )
    return dict(zip(names, values, strict=True))


def _root(f: Callable[[float], float], x: float) -> float:
    """Where a falling function of the non-centrality crosses zero; zero if it begins below."""
    from scipy.optimize import brentq

    if f(0.0) <= 0:
        return 0.0
    top = max(4.0 * x, 100.0)
    while f(top) > 0:
        top *= 2
    return float(brentq(f, 0.0, top, xtol=1e-12, rtol=1e-14))


def residual_measures(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    """RMR, SRMR and CRMR in lavaan's variants, averaged over groups by their sizes."""
    form, moments = solution.form, solution.at.moments
    o = form.structure.observed
    sizes = np.array([form.sample.n[form.sample.group == g].sum() for g in range(c.groups)])
    total: dict[str, float] = {}
    for g in range(c.groups):
        s, sigma = c.free.cov[g], moments.covariance[g][np.ix_(o, o)]
        m, mu = c.free.mean[g], moments.mean[g][o]
        for name, value in group_residuals(s, sigma, m, mu, meanstructure).items():
            total[name] = total.get(name, 0.0) + float(sizes[g] / sizes.sum()) * value
    return total


def group_residuals(s: Floats, sigma: Floats, m: Floats, mu: Floats, means: bool) -> dict[str, float]:
    p = len(s)
    low, strict = np.tril_indices(p), np.tril_indices(p, -1)
    d, d_model = np.sqrt(np.diag(s)), np.sqrt(np.diag(sigma))
    raw = (s - sigma)[low]
    bentler = ((s - sigma) / np.outer(d, d))[low]
    cor = (s / np.outer(d, d) - sigma / np.outer(d_model, d_model))[strict]
    mplus = np.concatenate([cor, (np.diag(s) - np.diag(sigma)) / np.diag(s)])
    mean_raw, mean_bentler, mean_cor = m - mu, (m - mu) / d, m / d - mu / d_model
    names = ("rmr", "srmr_bentler", "crmr", "srmr_mplus")
    parts = (raw, bentler, cor, mplus)
    level = (mean_raw, mean_bentler, mean_bentler, mean_cor)  # as lavaan has them
    found: dict[str, float] = {}
    for name, part, mean in zip(names, parts, level, strict=True):
        alone = math.sqrt(float(np.mean(part**2))) if part.size else 0.0
        both = np.concatenate([part, mean]) if means else part
        found[name] = math.sqrt(float(np.mean(both**2))) if both.size else 0.0
        found[f"{name}_nomean"] = alone
    found["srmr"] = found["srmr_bentler"]
    return found


def _others(solution: MomentsSolution, c: Comparison, *, meanstructure: bool) -> dict[str, float]:
    form, moments = solution.form, solution.at.moments
    o, n = form.structure.observed, c.rows
    own = ~form.template.given  # moments of covariates have no weight
    asked = (own[:, None] | own).astype(float)
    level, spread = _available(solution, c)
    above = below = 0.0
    for rows, g, w in zip(form.sample.n.tolist(), form.sample.group.tolist(), moments.w, strict=True):
        away = w @ (spread[g] - moments.covariance[g][np.ix_(o, o)])
        whole = w @ (spread[g] * asked)
        above += rows / n * 0.5 * float(np.sum(away * away.T))
        below += rows / n * 0.5 * float(np.sum(whole * whole.T))
        if meanstructure:
            gap, mean = level[g] - moments.mean[g][o], level[g] * own
            above += rows / n * float(gap @ w @ gap)
            below += rows / n * float(mean @ w @ mean)
    p = o.size
    count = c.groups * (_triangle(p) + (p if meanstructure else 0))
    return other_measures(c, 1.0 - above / below, count)


def other_measures(c: Comparison, gfi: float, count: int) -> dict[str, float]:
    """Critical N, variants of the goodness of fit index, McDonald's index, and cross-validation.

    gfi : the index. count : of the moments that it weighs.
    """
    from scipy.special import chdtri

    n = c.rows
    ratio = c.chisq / n
    return {
        **{
            f"cn_{int(a * 100):02d}": float(chdtri(c.df, a)) / ratio + 1 if c.df > 0 and ratio > 0 else 1.0
            for a in (0.05, 0.01)
        },
        "gfi": gfi,
        "agfi": 1.0 - count / c.df * (1.0 - gfi) if c.df > 0 else 1.0,
        "pgfi": c.df / count * gfi,
        "mfi": math.exp(-0.5 * (c.chisq - c.df) / n),
        "ecvi": ratio + 2 * c.parameters / n,
    }


def _available(solution: MomentsSolution, c: Comparison) -> tuple[Floats, Floats]:
    """Means and covariances as the goodness of fit index weighs them: where values are missing, lavaan takes
    each mean from all rows that have the variable and each covariance from all that have both. They follow
    from the cells' statistics, for the rows may not be known; without two rows, c.free has the moment."""
    sample = solution.form.sample
    if sample.complete:
        return c.free.mean, c.free.cov
    mean, cov = np.array(c.free.mean), np.array(c.free.cov)
    for g in range(c.groups):
        cells = np.flatnonzero(sample.group == g)
        n, there = sample.n[cells], sample.mask[cells].astype(float)
        x = np.where(sample.mask[cells], sample.mean[cells] - mean[g], 0.0)  # about these no digits are lost
        count, both = n @ there, (n[:, None] * there).T @ there
        sums = (n[:, None] * x).T @ there  # of each variable over the rows that have both
        products = np.tensordot(n, sample.cov[cells], axes=1) + (n[:, None] * x).T @ x
        scatter = products - sums * sums.T / np.maximum(both, 1)
        share = (n.sum() - 1) / n.sum()
        cov[g] = np.where(both > 1, scatter / np.maximum(both - 1, 1) * share, cov[g])
        mean[g] += n @ x / np.maximum(count, 1)
    return mean, cov
