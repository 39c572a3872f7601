"""Factor scores and expected responses, row by row, from what each row shows.

Regression scores are the means of latent variables given the row (Thurstone 1935); Bartlett's (1937, Br. J.
Psychol. 28:97) take them as unknown constants: weighted least squares of the indicators on their loadings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.forms.least_squares import LeastSquares
from dagmodels.forms.ordered_scores import ordered_scores
from dagmodels.results.sem.positions import variable_numbers
from dagmodels.results.sem.written import matrices

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WHERE = "the new rows"


@dataclass(frozen=True, eq=False, slots=True)
class GivenRows:
    """Rows to predict for: their labels, values by variable and groups; None where they are those fitted.

    clusters : labels of the clusters that they lie in, and each row's code; None in models of one level.
    """

    index: Any
    values: Mapping[str, Floats] | None
    group: Ints | None
    clusters: tuple[tuple[object, ...], Ints] | None = None


def _rows(fit: SemFit, new: Any, needed: Sequence[str]) -> tuple[Any, Floats, Ints]:
    """Index, values of the observed variables (n, p) with nan where missing, and groups."""
    form = fit.solution.form
    if fit.rows is None:
        raise FitError("this fit knows moments alone; fit the rows themselves to score or predict rows")
    given = fit.rows(new)
    if given.values is None or given.group is None:
        return given.index, form.values, form.group_of
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    absent = [n for n in needed if n not in given.values]
    hint = "give every row a value, or nan"
    raise_all([ModelError(f"the variable '{n}' is missing", node=n, hint=hint) for n in absent], WHERE)
    empty = np.full(len(given.group), np.nan)
    columns = [given.values.get(n, empty) for n in names]
    return given.index, np.stack(columns, axis=1), given.group


def factor_scores(fit: SemFit, new: Any, method: str, se: bool) -> Any:
    """Scores of the latent variables; with `se` the pair of scores and standard errors."""
    from pandas import DataFrame

    ways = {"regression": _regression, "ebm": _regression, "bartlett": _bartlett}
    if method.lower() not in ways:
        raise FitError(f"method={method!r} is none of 'regression', 'Bartlett', 'EBM'")
    if fit.solution.form.template.thresholds is not None:
        if method.lower() == "bartlett":
            raise FitError("ordered variables have no Bartlett scores; method='EBM' gives posterior modes")
        ways["regression"] = ways["ebm"] = _modes
    if not fit.naming.latent:
        raise FitError("this model has no latent variables, so no factor scores")
    index, values, group = _rows(fit, new, fit.naming.observed)
    number = variable_numbers(fit.solution.form)
    latent = np.array([number[f] for f in fit.naming.latent])
    scores, errors = ways[method.lower()](fit, values, group, latent)
    names = list(fit.naming.latent)
    found = DataFrame(scores, index=index, columns=names)
    return (found, DataFrame(errors, index=index, columns=names)) if se else found


def _patterns(values: Floats, group: Ints) -> Iterator[tuple[int, NDArray[np.bool_], Ints]]:
    """Group, what is there, and the rows, for each missing pattern."""
    there = ~np.isnan(values)
    keys = np.concatenate([group[:, None], there], axis=1)
    patterns, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    order = np.argsort(of, kind="stable")
    ends = np.cumsum(np.bincount(of, minlength=len(patterns)))[:-1]
    for pattern, rows in zip(patterns, np.split(order, ends), strict=True):
        yield int(pattern[0]), pattern[1:].astype(bool), rows


def conditional(fit: SemFit, values: Floats, group: Ints, wanted: Ints) -> tuple[Floats, Floats]:
    """Means and standard deviations of variables given each row, (n, wanted); as in the population where
    nothing is there."""
    moments, o = fit.solution.at.moments, fit.solution.form.structure.observed
    mean, sd = np.empty((len(values), wanted.size)), np.empty((len(values), wanted.size))
    for g, mask, rows in _patterns(values, group):
        seen, sigma = o[mask], moments.covariance[g]
        weight = np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[np.ix_(seen, wanted)]).T
        mean[rows] = moments.mean[g, wanted] + (values[rows][:, mask] - moments.mean[g, seen]) @ weight.T
        variance = np.diag(sigma)[wanted] - np.einsum("ij,ij->i", weight, sigma[np.ix_(wanted, seen)])
        sd[rows] = np.sqrt(np.maximum(variance, 0.0))
    return mean, sd


def _regression(fit: SemFit, values: Floats, group: Ints, latent: Ints) -> tuple[Floats, Floats]:
    return conditional(fit, values, group, latent)


def _modes(fit: SemFit, values: Floats, group: Ints, latent: Ints) -> tuple[Floats, Floats]:
    return ordered_scores(cast(LeastSquares, fit.solution.at), values, group, latent)


def _bartlett(fit: SemFit, values: Floats, group: Ints, latent: Ints) -> tuple[Floats, Floats]:
    """Nan where a row's indicators do not determine a latent variable."""
    number = variable_numbers(fit.solution.form)
    o = fit.solution.form.structure.observed
    latents = fit.naming.latent
    items = np.array(
        [number[v] for v in dict.fromkeys(r.rhs for r in fit.naming.rows if r.op == "=~") if v not in latents]
    )
    place = {v: n for n, v in enumerate(o.tolist())}
    columns = np.array([place[v] for v in items.tolist()])
    others = np.array([v for v in o.tolist() if v not in items], dtype=np.int64)
    apart = np.array([place[v] for v in others.tolist()], dtype=np.int64)
    a, p, level = matrices(fit)
    if not fit.naming.meanstructure:  # saturated: intercepts are what the implied means leave
        mean = fit.solution.at.moments.mean
        level = mean - np.einsum("gij,gj->gi", a, mean)
    scores, errors = (np.full((len(values), latent.size), np.nan) for _ in range(2))
    for g, mask, rows in _patterns(values, group):
        inverse = np.linalg.inv(np.eye(items.size) - a[g][np.ix_(items, items)])
        loading = inverse @ a[g][np.ix_(items, latent)]
        noise = inverse @ p[g][np.ix_(items, items)] @ inverse.T
        slope = inverse @ a[g][np.ix_(items, others)]
        used = np.flatnonzero((slope != 0).any(axis=0))  # other variables that the items depend on
        offset = inverse @ level[g, items] + values[rows][:, apart[used]] @ slope[:, used].T
        there = mask[columns]
        found, variance = _least_squares(loading[there], noise[np.ix_(there, there)])
        scores[rows] = (values[rows][:, columns[there]] - offset[:, there]) @ found.T
        errors[rows] = np.sqrt(variance)
        lost = np.isnan(variance)
        scores[np.ix_(rows, lost)] = np.nan
    return scores, errors


def _least_squares(loading: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Weights of the items for each latent variable, and the variances of the scores; nan where the items
    leave it open. An item without noise is its latent variable."""
    k = loading.shape[1]
    weights, variance = np.zeros((k, len(loading))), np.full(k, np.nan)
    known = np.flatnonzero((loading != 0).any(axis=0))
    if not known.size:
        return weights, variance
    part = loading[:, known]
    whole = noise + part @ part.T  # generalised least squares with a regular weight (Rao 1973, section 4i)
    inner = part.T @ np.linalg.solve(whole, part)
    sizes, vectors = np.linalg.eigh(inner)
    kept = sizes > 1e-10 * sizes.max()
    inverse = (vectors[:, kept] / sizes[kept]) @ vectors[:, kept].T
    weights[known] = inverse @ np.linalg.solve(whole, part).T
    open_ = (np.abs(vectors[:, ~kept]) > 1e-6).any(axis=1)
    found = np.maximum(np.einsum("ij,jk,ik->i", weights[known], noise, weights[known]), 0.0)
    variance[known] = np.where(open_, np.nan, found)
    return weights, variance


def responses(fit: SemFit, new: Any, outcomes: Any, given: Any) -> DataFrame:
    """Expected values of `outcomes` given `given`."""
    from pandas import DataFrame

    naming = fit.naming
    given = _names(fit, given, naming.exogenous)
    if not given:
        told = "predict: no observed variable is exogenous here; say which ones are known: given=['x1']"
        raise FitError(told)
    wanted = _names(fit, outcomes, [v for v in naming.observed if v not in given])
    cut = fit.solution.form.template.thresholds
    if cut is not None and set(given) - set(naming.exogenous):
        odd = next(iter(set(given) - set(naming.exogenous)))
        told = f"given '{odd}', expected values are no linear function where variables are ordered"
        raise FitError(f"predict: {told}; take given={list(naming.exogenous)}, for means of latent responses")
    index, values, group = _rows(fit, new, given)
    form = fit.solution.form
    number = variable_numbers(form)
    known = np.isin(form.structure.observed, [number[v] for v in given])
    mean, _ = conditional(
        fit, np.where(known, values, np.nan), group, np.array([number[v] for v in wanted], dtype=np.int64)
    )
    return DataFrame(mean, index=index, columns=list(wanted))


def _names(fit: SemFit, names: Any, default: Sequence[str]) -> list[str]:
    if names is None:
        return list(default)
    chosen = [names] if isinstance(names, str) else list(names)
    observed = fit.naming.observed
    faults = []
    for n in chosen:
        if n not in observed:
            near = difflib.get_close_matches(str(n), observed, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(observed[:12])}"
            faults.append(ModelError(f"'{n}' is no observed variable of the model", node=str(n), hint=hint))
    raise_all(faults, "the variables to predict")
    return chosen
