"""Likelihood-ratio tests between nested structural equation models, as lavaan's `lavTestLRT`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.sem.adjusted import ADJUSTED
from dagmodels.results.sem.measures import upper_tail
from dagmodels.results.sem.scaled import scaled_difference
from dagmodels.results.sem.square_difference import square_difference

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

SLACK = 1e-6  # of a chi-square, by which a restricted model may seem to fit better


def comparison(fits: Sequence[SemFit], names: Sequence[str]) -> DataFrame:
    """The table, fewest degrees of freedom first; each row is tested against the one before.

    Columns: Df, AIC, BIC, Chisq, Chisq diff, RMSEA (of the difference), Df diff, Pr(>Chisq). Of fits with a
    scaled test the difference is scaled too (Satorra and Bentler 2001; of least squares with adjusted tests
    Satorra 2000), and has no RMSEA; `Chisq` is the unscaled one, as in lavaan. Least squares have no AIC.

    Raises
    ------
    FitError : some of the fits, not all, have a scaled test, or another one.
    ModelErrors : fits of different data, of models that cannot be nested, or without degrees of freedom
        between them.
    """
    from pandas import DataFrame

    refuse_unlike(fits)
    order = sorted(range(len(fits)), key=lambda i: (fits[i].measures["df"], i))
    chosen = [fits[i] for i in order]
    rows, scaled = [], any(f.scaled is not None for f in fits)
    for place, fit in enumerate(chosen):
        m = fit.measures
        known = {"AIC": m["aic"], "BIC": m["bic"]} if fit.solution.at.likelihood else {}
        row = {"Df": int(m["df"]), **known, "Chisq": m["chisq"]}
        gain, root, df, p = math.nan, math.nan, math.nan, math.nan
        if place:
            before = chosen[place - 1].measures
            gain, df = m["chisq"] - before["chisq"], m["df"] - before["df"]
            groups = len(fit.naming.groups)
            root = math.sqrt(max(gain / m["ntotal"] / df - 1 / m["ntotal"], 0.0) * groups)
            p = upper_tail(max(gain, 0.0), int(df))
            if scaled and fit.naming.choice.weighting and fit.naming.choice.test in ADJUSTED:
                test = square_difference(chosen[place - 1], fit)
                gain, df, p, root = test.chisq, test.df, test.pvalue, math.nan
            elif scaled:
                found = scaled_difference(chosen[place - 1], fit)
                gain, p, root = found["chisq_diff"], found["pvalue"], math.nan
        rows.append({**row, "Chisq diff": gain, "RMSEA": root, "Df diff": df, "Pr(>Chisq)": p})
    return DataFrame(rows, index=[names[i] for i in order])


def refuse_others(fits: Sequence[object]) -> None:
    """Raise ModelErrors for what is no fit of a structural model, or where there is nothing to compare."""
    hint = "give fits of dm.cfa, dm.sem or dm.growth: free.lr_test(restricted)"
    errors = [
        ModelError(f"{_kind(fit)} is no fit of a structural model", hint=hint)
        for fit in fits
        if not hasattr(fit, "naming")
    ]
    if len(fits) < 2:
        errors.append(ModelError("there is one fit, and nothing to compare it with", hint=hint))
    raise_all(errors, "the comparison of fits")


def _kind(given: object) -> str:
    plain = given is None or isinstance(given, int | float | str | bool)
    return repr(given) if plain else f"a {type(given).__name__}"


def refuse_unlike(fits: Sequence[SemFit]) -> None:
    """Raise ModelErrors for what is no fit, and for fits that have no likelihood ratio."""
    refuse_others(fits)
    errors = []
    first = fits[0]
    for place, fit in enumerate(fits[1:], start=2):
        if set(fit.naming.observed) != set(first.naming.observed):
            odd = sorted(set(fit.naming.observed) ^ set(first.naming.observed))
            told = f"fit {place} has other observed variables than the first one: {', '.join(odd)}"
            errors.append(ModelError(told, hint="compare models of the same variables"))
        elif fit.n_observations != first.n_observations:
            told = f"fit {place} has {fit.n_observations} rows, the first one {first.n_observations}"
            errors.append(ModelError(told, hint="fit all models to the same rows"))
        elif fit.naming.choice.weighting == first.naming.choice.weighting and not _same_data(first, fit):
            told = f"the data of fit {place} are not those of the first one"
            errors.append(ModelError(told, hint="fit all models to the same rows and groups"))
        elif set(fit.naming.exogenous) != set(first.naming.exogenous) and _given(fit) != _given(first):
            told = f"fit {place} takes other variables as given than the first one"
            errors.append(ModelError(told, hint="fit all models with fixed_x=False"))
        if fit.naming.choice.weighting != first.naming.choice.weighting:
            told = f"fit {place} has another estimator than the first one"
            errors.append(ModelError(told, hint="fit all models with the same estimator"))
        if fit.naming.meanstructure != first.naming.meanstructure:
            told = "some models, not all, have means"
            errors.append(ModelError(told, hint="fit all models with meanstructure=True"))
    raise_all(errors, "the comparison of fits")
    ordered = sorted(fits, key=lambda f: f.measures["df"])
    for a, b in pairwise(ordered):
        if a.measures["df"] == b.measures["df"]:
            told = (
                f"two models have {a.measures['df']:g} degrees of freedom, so neither is nested in the other"
            )
            errors.append(ModelError(told, hint="compare them by AIC or BIC"))
        elif b.measures["chisq"] < a.measures["chisq"] - SLACK * max(1.0, a.measures["chisq"]):
            told = (
                f"the model with {b.measures['df']:g} degrees of freedom fits better than that with "
                f"{a.measures['df']:g}: they are not nested, or one of them did not reach its optimum"
            )
            errors.append(ModelError(told, hint="compare them by AIC or BIC, or look at `converged`"))
    raise_all(errors, "the comparison of fits")


def _given(fit: SemFit) -> set[str]:
    form = fit.solution.form
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    return {n for n, g in zip(names, form.template.given.tolist(), strict=True) if g}


def _same_data(a: SemFit, b: SemFit) -> bool:
    """The same rows in any order of variables and rows: by the moments of each group."""
    if sorted(a.naming.groups) != sorted(b.naming.groups):
        return False
    if a.solution.form.sample.complete != b.solution.form.sample.complete:
        return False
    one, other = _moments(a), _moments(b)
    return all(np.allclose(x, y, rtol=1e-9, atol=1e-12) for x, y in zip(one, other, strict=True))


def _moments(fit: SemFit) -> list[np.ndarray]:
    form = fit.solution.form
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    order = np.argsort(names)
    found = []
    for _, g in sorted((label, g) for g, label in enumerate(fit.naming.groups)):
        if form.sample.complete:  # the rows may not be known
            free, n = fit.comparison.free, form.sample.n[form.sample.group == g].sum()
            mean = free.mean[g][order] * fit.naming.meanstructure
            found += [np.full(order.size, n), mean, free.cov[g][np.ix_(order, order)]]
            continue
        x = form.values[form.group_of == g][:, order]
        there = ~np.isnan(x)
        sums = np.where(there, x, 0.0)
        count = np.maximum(there.sum(axis=0), 1)
        found += [there.sum(axis=0).astype(float), sums.sum(axis=0) / count, (sums.T @ sums) / len(x)]
    return found
