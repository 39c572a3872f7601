"""Densities, distribution and quantile functions of JAGS' laws, of data alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# JAGS' parameters -> scipy's distribution with its arguments
_LAWS: Mapping[str, tuple[str, Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "bern": ("bernoulli", lambda p: ((p,), {})),
    "beta": ("beta", lambda a, b: ((a, b), {})),
    "bin": ("binom", lambda p, n: ((n, p), {})),
    "chisqr": ("chi2", lambda k: ((k,), {})),
    "dexp": ("laplace", lambda m, t: ((m, 1 / t), {})),
    "exp": ("expon", lambda b: ((0.0, 1 / b), {})),
    "f": ("f", lambda n, m: ((n, m), {})),
    "gamma": ("gamma", lambda r, b: ((r,), {"scale": 1 / b})),
    "gen.gamma": ("gengamma", lambda r, b, c: ((r, c), {"scale": 1 / b})),
    "lnorm": ("lognorm", lambda m, t: ((1 / np.sqrt(t),), {"scale": np.exp(m)})),
    "logis": ("logistic", lambda m, t: ((m, 1 / t), {})),
    "nchisqr": ("ncx2", lambda k, d: ((k, d), {})),
    "negbin": ("nbinom", lambda p, r: ((r, p), {})),
    "norm": ("norm", lambda m, t: ((m, 1 / np.sqrt(t)), {})),
    "par": ("pareto", lambda a, c: ((a,), {"scale": c})),
    "pois": ("poisson", lambda m: ((m,), {})),
    "t": ("t", lambda m, t, k: ((k, m, 1 / np.sqrt(t)), {})),
    "unif": ("uniform", lambda a, b: ((a, b - a), {})),
    "weib": ("weibull_min", lambda v, b: ((v,), {"scale": b ** (-1 / v)})),
}
_KINDS = {"d": "pdf", "p": "cdf", "q": "ppf", "logdensity.": "logpdf"}


def of_law(name: str) -> Callable[..., Any] | None:
    """The function of that name, such as `pgamma` or `logdensity.t`; None where there is none."""
    for start, kind in _KINDS.items():
        law = name.removeprefix(start)
        if law != name and law in _LAWS:
            return _function(law, kind)
    return None


def _function(law: str, kind: str) -> Callable[..., Any]:
    own, parameters = _LAWS[law]

    def call(x: Any, *arguments: Any) -> Any:
        from scipy import stats

        given, named = parameters(*(np.asarray(a, dtype=float) for a in arguments))
        known = getattr(stats, own)
        method = kind.replace("pdf", "pmf") if hasattr(known, "pmf") else kind
        return getattr(known, method)(x, *given, **named)

    return call


__all__ = ["of_law"]
