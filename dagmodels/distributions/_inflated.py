"""Counts with too many zeros: a share 1 - psi of zeros added to a family of counts, or put in their place.

Zero-inflated (Lambert 1992, Technometrics 34): psi f(x), and 1 - psi more at zero.
Hurdle (Mullahy 1986, J. Econometrics 33): 1 - psi at zero, else psi f(x)/(1 - f(0)).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Formula
from dagmodels.distributions._shared import NEVER, event_batch, log1mexp, log_add_exp, log_diff_exp


def inflated_density(formula: Formula, f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
    """The zero-inflated log density over that of the counts."""
    own = f.log(psi) + formula(f, x, *parameters)
    body = f.where(f.equal(x, 0), log_add_exp(f, f.log1p(-psi), own), own)
    return f.where((psi >= 0) * (psi <= 1), body, NEVER)


def hurdle_density(formula: Formula, log_zero: Any, f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
    """The hurdle's log density over that of the counts, of which `log_zero` is the one at zero."""
    some = f.log(psi) + formula(f, x, *parameters) - log1mexp(f, -log_zero)
    return f.where((psi >= 0) * (psi <= 1), f.where(f.equal(x, 0), f.log1p(-psi), some), NEVER)


def zero_inflated(base: Family, *, name: str, log_density: Formula) -> Family:
    """psi, then the parameters of `base`: zeros come from it too."""

    def log_cdf(f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
        inside = log_add_exp(f, f.log1p(-psi), f.log(psi) + base.log_cdf(f, x, *parameters))  # type: ignore[misc]
        return f.where(x >= 0, f.where(x < math.inf, inside, 0.0), NEVER)

    def log_survival(f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
        return f.where(x >= 0, f.log(psi) + base.log_survival(f, x, *parameters), 0.0)  # type: ignore[misc]

    def draw(rng: Any, psi: Any, *parameters: Any, size: Any = None) -> Any:
        shape = event_batch(size, 0, (psi, 0), *((p, 0) for p in parameters))
        return np.where(rng.random(shape) < psi, base.draw(rng, *parameters, size=shape), 0)

    def mean(f: Any, psi: Any, *parameters: Any) -> Any:
        return psi * base.mean(f, *parameters)  # type: ignore[misc]

    def variance(f: Any, psi: Any, *parameters: Any) -> Any:
        m = base.mean(f, *parameters)  # type: ignore[misc]
        return psi * (base.variance(f, *parameters) + (1 - psi) * m * m)  # type: ignore[misc]

    def stated(formula: Formula) -> Formula:
        return lambda f, x, psi, *values: inflated_density(formula, f, x, psi, *values)

    return replace(
        _with_psi(base),
        name=name,
        log_density=log_density,
        draw=draw,
        direct={("psi", *names): stated(formula) for names, formula in base.direct.items()},
        log_cdf=log_cdf,
        log_survival=log_survival,
        mean=mean,
        variance=variance,
        doc=f"{base.name} with probability psi, else zero.",
    )


def hurdle(
    base: Family,
    *,
    name: str,
    log_density: Formula,
    log_zero: Formula,
    direct: Mapping[tuple[str, ...], Formula] | None = None,
) -> Family:
    """psi, the probability of a positive count, then the parameters of `base`, which is truncated at zero.

    log_zero : `(f, *parameters)`, the log density of `base` at zero.
    """

    def log_cdf(f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
        zero = log_zero(f, *parameters)
        some = log_diff_exp(f, base.log_cdf(f, x, *parameters), zero) - log1mexp(f, -zero)  # type: ignore[misc]
        inside = log_add_exp(f, f.log1p(-psi), f.log(psi) + some)
        some_counts = f.where(x < 1, f.log1p(-psi), f.where(x < math.inf, inside, 0.0))
        return f.where(x >= 0, some_counts, NEVER)

    def log_survival(f: Any, x: Any, psi: Any, *parameters: Any) -> Any:
        some = base.log_survival(f, x, *parameters) - log1mexp(f, -log_zero(f, *parameters))  # type: ignore[misc]
        return f.where(x >= 0, f.log(psi) + some, 0.0)

    def draw(rng: Any, psi: Any, *parameters: Any, size: Any = None) -> Any:
        from dagmodels.distributions.truncated import truncated

        shape = event_batch(size, 0, (psi, 0), *((p, 0) for p in parameters))
        some = truncated(base).draw(rng, *parameters, 1.0, np.inf, size=shape)
        return np.where(rng.random(shape) < psi, some, 0)

    def mean(f: Any, psi: Any, *parameters: Any) -> Any:
        return psi * base.mean(f, *parameters) / -f.expm1(log_zero(f, *parameters))  # type: ignore[misc]

    def variance(f: Any, psi: Any, *parameters: Any) -> Any:
        share = psi / -f.expm1(log_zero(f, *parameters))
        m = base.mean(f, *parameters)  # type: ignore[misc]
        return share * (base.variance(f, *parameters) + (1 - share) * m * m)  # type: ignore[misc]

    return replace(
        _with_psi(base),
        name=name,
        log_density=log_density,
        draw=draw,
        direct=direct or {},
        log_cdf=log_cdf,
        log_survival=log_survival,
        mean=mean,
        variance=variance,
        doc=f"Zero with probability 1 - psi, else {base.name} given that it is positive.",
    )


def _with_psi(base: Family) -> Family:
    """The base with psi before its parameters, in every parametrisation."""

    def led(formula: Formula) -> Formula:
        return lambda f, psi, *values: (psi, *formula(f, *values))

    upper: Any = base.support.upper
    shifted = (lambda f, psi, *parameters: upper(f, *parameters)) if callable(upper) else upper
    return replace(
        base,
        parameters=(Argument("psi", "probability"), *base.parameters),
        support=replace(base.support, upper=shifted),
        conjugacies=(),
        conjugate_prior=None,
        signatures={("psi", *names): led(formula) for names, formula in base.signatures.items()},
    )
