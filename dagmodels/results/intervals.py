"""Confidence intervals of a fit by one of three methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.results.bootstrap import check_level

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.fit import Fit

METHODS = ("wald", "profile", "boot", "posterior")


def confint(
    fit: Fit, method: str, level: float, which: str | Iterable[str] | None, options: dict[str, Any]
) -> DataFrame:
    """See `Fit.confint`."""
    from pandas import DataFrame

    check_level(level)
    if method not in METHODS:
        hint = f"one of {', '.join(map(repr, METHODS))}"
        raise_all([ModelError(f"method is {method!r}", hint=hint)], "the intervals")
    if options and method != "boot":
        raise FitError(f"confint: method={method!r} does not take {', '.join(options)}")
    columns = fit.estimate_columns
    names = list(map(str, columns["name"]))
    chosen = _chosen(fit, names, which)
    at = [names.index(n) for n in chosen]
    estimate = np.asarray(columns["estimate"], dtype=float)[at]
    match method:
        case "wald":
            low, high = _wald(fit, at, level)
        case "posterior":
            low, high = _posterior(fit, chosen, level)
        case "boot":
            kind = options.pop("kind", "percentile")
            found = fit.bootstrap(**options).intervals(kind, level)
            low, high = found["lower"].to_numpy()[at], found["upper"].to_numpy()[at]
        case _:
            return _profile(fit, chosen, level, explicit=which is not None)
    return DataFrame({"name": chosen, "estimate": estimate, "lower": low, "upper": high})


def _chosen(fit: Fit, names: Sequence[str], which: str | Iterable[str] | None) -> list[str]:
    if which is None:
        return list(names)
    asked = [which] if isinstance(which, str) else list(which)
    for name in asked:
        fit[name]  # tells what there is instead
    return asked


def _wald(fit: Fit, at: list[int], level: float) -> tuple[Any, Any]:
    estimate, se = (np.asarray(fit.estimate_columns[k], dtype=float)[at] for k in ("estimate", "se"))
    half = NormalDist().inv_cdf((1 + level) / 2) * se
    lowest, highest = (edge[at] for edge in fit.domains())
    return np.maximum(estimate - half, lowest), np.minimum(estimate + half, highest)


def _posterior(fit: Fit, chosen: list[str], level: float) -> tuple[Any, Any]:
    if fit.marginals is None:
        raise FitError("this fit has no posterior: fit with posterior=True, or use another method")
    shares = ((1 - level) / 2, (1 + level) / 2)
    return tuple(np.array([fit.marginals.quantile(n, p) for n in chosen]) for p in shares)


def _profile(fit: Fit, chosen: list[str], level: float, *, explicit: bool) -> DataFrame:
    from pandas import DataFrame

    if fit.again is None:
        raise FitError(f"the '{fit.backend}' backend has no profiles; method='wald' needs none")
    targets = fit.targets(chosen)
    refused = {t.name: reason for t in targets if (reason := fit.again.refuses(t)) is not None}
    if explicit and refused:
        name = next(iter(refused))
        raise FitError(f"'{name}' has no profile: {refused[name]}; method='boot' takes it")
    if refused and len(refused) == len(targets):
        reasons = "; ".join(dict.fromkeys(refused.values()))
        raise FitError(f"no estimate has a profile: {reasons}; method='wald' or 'boot' takes them")
    targets = [t for t in targets if t.name not in refused]
    limits = fit.again.profile(targets, level)
    return DataFrame({
        "name": [t.name for t in targets],
        "estimate": [fit[t.name] for t in targets],
        "lower": [found.lower for found in limits],
        "upper": [found.upper for found in limits],
    })  # fmt: skip
