"""Scaled tests of a moments fit: Satorra-Bentler and Yuan-Bentler, with their scaling factors.

The statistic is divided by c = tr(U Gamma) / df, its mean under the model whatever the distribution of the
data. With V the weights of the unrestricted moments, E the information and D their derivatives,
tr(U Gamma) = tr(V Gamma) - tr(E^-1 D'V Gamma V D): the first term is a mean over rows of squared distances,
the second a product of matrices of the number of parameters, so that complete data need no matrix of
p(p + 1)/2 rows.

- Satorra and Bentler (1994, in von Eye and Clogg, Latent Variables Analysis, 399): V at the model's
  moments, Gamma of the sample's fourth moments, expected information.
- Adjusted for the variance too ("scaled.shifted", "mean.var.adjusted"): `adjusted` and `second_trace`.
- Yuan and Bentler (2000, Sociol. Methodol. 30:165): outer products of scores between inverse observed
  informations; at the model's moments, or ("mplus") the first term at the unrestricted ones and the second
  tr(A0^-1 B0) of the model.

Missing values, and Yuan and Bentler's own variant, take the information of the unrestricted moments whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.casewise import Centred, cluster_sums, mean_coordinates, meat
from dagmodels.forms.moments import MomentsSolution
from dagmodels.results.sem.adjusted import ADJUSTED, Adjusted, adjusted
from dagmodels.results.sem.estimators import BY_MOMENTS, Choice
from dagmodels.results.sem.measures import Comparison, incremental, rmsea, upper_tail
from dagmodels.results.sem.second_trace import baseline_second_trace, second_trace
from dagmodels.results.sem.unrestricted_scores import GroupScores, dense_terms, group_scores

Floats = NDArray[np.float64]
STATED = ("rmsea_ci_level", "rmsea_close_h0", "rmsea_notclose_h0")


@dataclass(frozen=True, slots=True)
class Scaled:
    """A scaled test.

    test : lavaan's word. factor : c of the model. baseline : c of independence.
    h1, h0 : scaling factors of the two log likelihoods (Yuan-Bentler), else nan.
    second, baseline_second : tr(U Gamma U Gamma) of both, where the test is adjusted for variance, else nan.
    """

    test: str
    factor: float
    baseline: float
    h1: float = math.nan
    h0: float = math.nan
    second: float = math.nan
    baseline_second: float = math.nan

    def of_model(self, c: Comparison) -> Adjusted:
        """The model's test."""
        return adjusted(self._kind, c.chisq, c.df, self.factor * c.df, self.second)

    def of_baseline(self, c: Comparison) -> Adjusted:
        """The test of independence."""
        trace = self.baseline * c.baseline_df
        return adjusted(self._kind, c.baseline_chisq, c.baseline_df, trace, self.baseline_second)

    @property
    def _kind(self) -> str:
        return self.test if self.test in ADJUSTED else "satorra.bentler"


def scaled_test(
    solution: MomentsSolution, c: Comparison, choice: Choice, clusters: NDArray[Any] | None,
    free: list[GroupScores] | None, *, meanstructure: bool,
) -> Scaled:  # fmt: skip
    """Of a fit; clusters : codes of the rows, or None. free : where values are missing, `free_scores`."""
    with np.errstate(all="ignore"):
        if choice.test in BY_MOMENTS:
            found = _satorra_bentler(solution, c, meanstructure)
            if choice.test == "satorra.bentler":
                return found
            second, base = second_trace(solution), baseline_second_trace(solution, c)
            return Scaled(choice.test, found.factor, found.baseline, second=second, baseline_second=base)
        if choice.test == "yuan.bentler":
            return _yuan_bentler(solution, c, clusters, meanstructure)
        return _yuan_bentler_mplus(solution, c, choice, clusters, free, meanstructure)


def _ratio(a: float, b: float) -> float:
    found = float(a) / b if b > 0 else math.nan
    return found if found > 0 else math.nan


def _kept(solution: MomentsSolution, meanstructure: bool) -> NDArray[np.intp]:
    """Coordinates that count: off bounds, and without saturated means where means are no part."""
    free = ~solution.optimum.active
    if not meanstructure:
        free &= ~mean_coordinates(solution.form, solution.at.jacobian)
    return np.flatnonzero(free)


def _model_trace(
    solution: MomentsSolution, information: Floats, products: Floats, meanstructure: bool
) -> float:
    """tr(I^-1 M) of the model's parameters; information : of minus twice the log likelihood.

    Saturated means that are no part of the model are profiled out: the trace over all coordinates is theirs
    and that of the others' Schur complement.
    """
    every = _trace(information, products, _kept(solution, True))
    if meanstructure:
        return every
    level = mean_coordinates(solution.form, solution.at.jacobian) & ~solution.optimum.active
    return every - _trace(information, products, np.flatnonzero(level))


def _trace(information: Floats, products: Floats, kept: NDArray[np.intp]) -> float:
    at = np.ix_(kept, kept)
    return float(np.trace(np.linalg.solve(0.5 * information[at], products[at]))) if kept.size else 0.0


def free_scores(solution: MomentsSolution, c: Comparison) -> list[GroupScores]:
    """Scores and information of each group's free moments at their estimates."""
    return [
        group_scores(solution.form, g, c.free.mean[g], c.free.cov[g], means=True) for g in range(c.groups)
    ]


# -- Satorra and Bentler


def _satorra_bentler(solution: MomentsSolution, c: Comparison, meanstructure: bool) -> Scaled:
    form, moments = solution.form, solution.at.moments
    o, given = form.structure.observed, form.template.given
    whole = base = 0.0
    for g in range(form.structure.groups):
        part = Centred.of(form.values[form.group_of == g], given)
        sigma = moments.covariance[g][np.ix_(o, o)]
        whole += _weighted(part, np.linalg.inv(sigma), meanstructure)
        base += _weighted(part, np.linalg.inv(_independent(part, given)), meanstructure)
        base -= _independent_trace(part, given, meanstructure)
    inner = _model_trace(solution, solution.at.information(), meat(solution.at, "robust.sem"), meanstructure)
    return Scaled("satorra.bentler", _ratio(whole - inner, c.df), _ratio(base, c.baseline_df))


def _weighted(part: Centred, w: Floats, means: bool) -> float:
    """tr(V Gamma) of one group, V the normal-theory weights with inverse covariance w."""
    d, n = part.d, len(part.d)
    dw = d @ w
    total = np.einsum("ij,ij->i", dw, d) ** 2
    second = d.T @ d / n
    if part.h is not None:
        hw = part.h @ w
        total += np.einsum("ij,ij->i", hw, part.h) ** 2 - 2 * np.einsum("ij,ij->i", dw, part.h) ** 2
        second = second - part.h.T @ part.h / n
    ws = w @ second
    found = 0.5 * (float(total.mean()) - float(np.sum(ws * ws.T)))
    return found + float(np.trace(ws)) if means else found


def _independent(part: Centred, given: NDArray[np.bool_]) -> Floats:
    """Covariance under independence; covariates keep theirs."""
    cov = part.d.T @ part.d / len(part.d)
    return np.where(np.outer(given, given) | np.eye(len(cov), dtype=bool), cov, 0.0)


def _independent_trace(part: Centred, given: NDArray[np.bool_], means: bool) -> float:
    variance = (part.d**2).mean(axis=0)
    hat = np.zeros_like(part.d) if part.h is None else part.h
    found = 0.5 * (part.d**2 - hat**2).var(axis=0) / variance**2
    if means:
        found = found + ((part.d - hat) ** 2).mean(axis=0) / variance
    return float(found[~given].sum())


# -- Yuan and Bentler


def _yuan_bentler_mplus(
    solution: MomentsSolution, c: Comparison, choice: Choice, clusters: NDArray[Any] | None,
    free: list[GroupScores] | None, meanstructure: bool,
) -> Scaled:  # fmt: skip
    form = solution.form
    top = base = 0.0
    for g in range(form.structure.groups):
        rows = np.flatnonzero(form.group_of == g)
        own = None if clusters is None else clusters[rows]
        values = form.values[rows]
        if free is None:
            top += _unrestricted_trace(Centred.of(values, form.template.given), form.template.given, own,
                                       meanstructure)  # fmt: skip
        else:
            top += free[g].trace(own)
        base += _baseline_trace(values, form.template.given, own, meanstructure)
    kind = "robust.huber.white" if clusters is None else "robust.cluster"
    bread = solution.at.hessian() if choice.information == "observed" else solution.at.information()
    low = _model_trace(solution, bread, meat(solution.at, kind, clusters), meanstructure)
    return Scaled(
        choice.test,
        _ratio(top - low, c.df),
        _ratio(top - base, c.baseline_df),
        top / (c.df + c.parameters),
        _ratio(low, _kept(solution, meanstructure).size),
    )


def _unrestricted_trace(
    part: Centred, given: NDArray[np.bool_], clusters: NDArray[Any] | None, means: bool
) -> float:
    """tr(A1^-1 B1) of one group's complete rows at their own moments, covariates fixed.

    In terms of the regression on the covariates, whose information is block diagonal: with r the residuals
    over their standard deviations and x the covariates (and 1) over theirs, the sum of squares of r x' and
    half that of r r' - I.
    """
    d = part.d[:, ~given] - (0.0 if part.h is None else part.h[:, ~given])
    n, q = d.shape
    r = d @ _whitener(d)
    x = part.d[:, given]
    x = x @ _whitener(x) if x.shape[1] else x
    if means:
        x = np.concatenate([x, np.ones((n, 1))], axis=1)
    if clusters is None:
        size = np.einsum("ij,ij->i", r, r)
        return float((size * np.einsum("ij,ij->i", x, x)).mean() + 0.5 * ((size**2).mean() - q))
    slopes = (r[:, :, None] * x[:, None, :]).reshape(n, -1)
    second = (r[:, :, None] * r[:, None, :] - np.eye(q)).reshape(n, -1) * math.sqrt(0.5)
    sums, factor = cluster_sums(np.concatenate([slopes, second], axis=1), clusters)
    return factor * float(np.sum(sums**2)) / n


def _whitener(d: Floats) -> Floats:
    """L^-T of the second moments L L', so that d L^-T has none but ones."""
    return np.linalg.inv(np.linalg.cholesky(d.T @ d / len(d))).T


def _baseline_trace(
    values: Floats, given: NDArray[np.bool_], clusters: NDArray[Any] | None, means: bool
) -> float:
    """tr(A0^-1 B0) of independence: each variable alone, from the rows that have it."""
    found = 0.0
    for v in np.flatnonzero(~given).tolist():
        rows = np.flatnonzero(~np.isnan(values[:, v]))
        d = values[rows, v] - values[rows, v].mean()
        d = d / d.std()
        each = np.stack([math.sqrt(0.5) * (d**2 - 1)] + ([d] if means else []), axis=1)
        factor = 1.0
        if clusters is not None:
            # all of a group's clusters count, those without a value with sums of zero
            _, factor = cluster_sums(np.zeros((len(values), 1)), clusters)
            each, _ = cluster_sums(each, clusters[rows])
        found += factor * float(np.sum(each**2)) / rows.size
    return found


def _yuan_bentler(
    solution: MomentsSolution, c: Comparison, clusters: NDArray[Any] | None, meanstructure: bool
) -> Scaled:
    """At the model's moments; the information of the model is D'A1 D (lavaan's "h1")."""
    form, moments = solution.form, solution.at.moments
    o = form.structure.observed
    kept = _kept(solution, meanstructure)
    parts: list[GroupScores] = []
    alone: list[GroupScores] = []
    for g in range(form.structure.groups):
        rows = form.group_of == g
        mean = moments.mean[g][o] if meanstructure else c.free.mean[g]
        sigma = moments.covariance[g][np.ix_(o, o)]
        parts.append(group_scores(form, g, mean, sigma, means=meanstructure))
        values = form.values[rows]
        center, variance = np.nanmean(values, axis=0), np.nanvar(values, axis=0)
        both = np.outer(form.template.given, form.template.given)
        independent = np.diag(variance)
        independent[both] = c.free.cov[g][both]
        alone.append(group_scores(form, g, center, independent, means=meanstructure))
    top, low = dense_terms(solution, parts, kept, clusters)
    base = _alone_trace(alone, clusters, form.group_of)
    return Scaled(
        "yuan.bentler", _ratio(top - low, c.df), _ratio(base, c.baseline_df),
        top / (c.df + c.parameters), _ratio(low, kept.size),
    )  # fmt: skip


def _alone_trace(parts: list[GroupScores], clusters: NDArray[Any] | None, group_of: NDArray[Any]) -> float:
    found = 0.0
    for g, part in enumerate(parts):
        own = None if clusters is None else clusters[group_of == g]
        derivative = part.own_derivatives()
        found += part.trace(own) - part.model_trace(derivative, own)
    return found


# -- measures


def scaled_measures(c: Comparison, s: Scaled) -> dict[str, float]:
    """lavaan's scaled and robust measures.

    "scaled" puts the scaled statistics into the formulas; "robust" estimates what the measures would be in
    the population (Brosseau-Liard, Savalei and Li 2012, Multivar. Behav. Res. 47:904, for RMSEA;
    Brosseau-Liard and Savalei 2014, ibid. 49:460, for CFI and TLI; Savalei 2018, ibid. 53:419, for the
    scaled and shifted test, whose estimates are those of the scaled one). As in lavaan, the scaled RMSEA
    has tr(U Gamma) in the place of df, with the shifted test the shifted statistic; the robust measures
    leave "mean.var.adjusted" out.
    """
    model, base = s.of_model(c), s.of_baseline(c)
    x, b = model.chisq, base.chisq
    trace = s.factor * c.df if c.df > 0 else 0.0
    found = {
        "chisq_scaled": x,
        "df_scaled": model.df,
        "pvalue_scaled": model.pvalue,
        "chisq_scaling_factor": model.factor,
        "baseline_chisq_scaled": b,
        "baseline_df_scaled": base.df,
        "baseline_pvalue_scaled": base.pvalue,
        "baseline_chisq_scaling_factor": base.factor,
        **{f"{k}_scaled": _known(v, x, b) for k, v in incremental(x, model.df, b, base.df).items()},
        **robust_incremental(c.chisq, c.df, s.factor, c.baseline_chisq, c.baseline_df, s.baseline),
        "scaling_factor_h1": s.h1,
        "scaling_factor_h0": s.h0,
    }
    if s.test == "scaled.shifted":
        found |= robust_rmsea(x, c.df, c.rows, c.groups, "scaled")
    else:
        found |= robust_rmsea(c.chisq, trace, c.rows, c.groups, "scaled")
    found |= robust_rmsea(x, c.df, c.rows / model.factor, c.groups, "robust")
    left = ("factor_h",) if math.isnan(s.h1) else ()
    left = (*left, "_robust") if s.test == "mean.var.adjusted" else left
    return {k: v for k, v in found.items() if not any(part in k for part in left)}


def _known(value: float, *parts: float) -> float:
    """The value, or nan where one of its parts is."""
    return math.nan if any(math.isnan(p) for p in parts) else float(value)


def robust_rmsea(x: float, df: float, n: float, groups: int, ending: str) -> dict[str, float]:
    """RMSEA with its interval and tests under names with an ending; nan where a part is unknown."""
    known = df <= 0 or not any(math.isnan(v) for v in (x, df, n))
    values = rmsea(x, df, n, groups) if known else rmsea(0.0, 1, 1.0, 1)
    return {f"{k}_{ending}": v if known else math.nan for k, v in values.items() if k not in STATED}


def robust_incremental(
    x: float, df: float, factor: float, b: float, b_df: float, b_factor: float
) -> dict[str, float]:
    """CFI, TLI and RNI with expectations c df in the place of df."""
    loss, gain = x - factor * df, b - b_factor * b_df
    top = max(loss, gain, 0.0)
    cfi = _known(1.0 if top == 0 else 1.0 - max(loss, 0.0) / top, loss, gain)
    with np.errstate(all="ignore"):
        rni = float(1.0 - np.float64(loss) / gain)
        tli = float(1.0 - np.float64(loss) * b_df / (gain * df)) if df > 0 else 1.0
    return {"cfi_robust": cfi, "tli_robust": tli, "nnfi_robust": tli, "rni_robust": rni}


def scaled_difference(first: Any, second: Any) -> dict[str, float]:
    """The scaled test of two nested fits (Satorra and Bentler 2001, Psychometrika 66:507).

    Returns chisq_diff, df_diff, pvalue and the scaling factor of the difference, nan where that is negative
    (then method 2010, or the unscaled test). The fits may come in either order.

    Raises
    ------
    FitError : the fits have no scaled test, or not the same, or the same degrees of freedom.
    """
    from dagmodels.errors import FitError
    from dagmodels.results.sem.likelihood_ratio import refuse_others
    from dagmodels.results.sem.square_difference import square_difference

    refuse_others((first, second))
    free, tied = sorted((first, second), key=lambda f: f.comparison.df)
    if free.scaled is None or tied.scaled is None or free.scaled.test != tied.scaled.test:
        raise FitError("both fits need the same scaled test; fit both with estimator='MLM' or 'MLR'")
    if free.scaled.test in ADJUSTED and free.naming.choice.weighting:
        found = square_difference(free, tied)
        return {
            "chisq_diff": found.chisq, "df_diff": found.df, "pvalue": found.pvalue,
            "scaling_factor": found.factor,
        }  # fmt: skip
    if free.scaled.test in ADJUSTED:
        told = f"test='{free.scaled.test}' gives no scaled difference: its statistics do not subtract"
        raise FitError(f"{told}; fit both with estimator='MLM', whose estimates and errors are the same")
    df1, df0 = free.comparison.df, tied.comparison.df
    if df1 == df0:
        raise FitError(f"both fits have {df0} degrees of freedom: neither is nested in the other")
    c1 = 1.0 if df1 == 0 else free.scaled.factor
    factor = (df0 * tied.scaled.factor - df1 * c1) / (df0 - df1)
    x = (tied.comparison.chisq - free.comparison.chisq) / factor if factor > 0 else math.nan
    return {
        "chisq_diff": x,
        "df_diff": float(df0 - df1),
        "pvalue": upper_tail(x, df0 - df1),
        "scaling_factor": factor if factor > 0 else math.nan,
    }
