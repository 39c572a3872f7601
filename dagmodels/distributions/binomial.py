"""Binomial(n, p), or logit_p = log(p/(1 - p))."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, count, log_choose, xlog1py, xlogy


def log_density(f: Any, x: Any, n: Any, p: Any) -> Any:
    body = log_choose(f, n, x) + xlogy(f, x, p) + xlog1py(f, n - x, -p)
    return f.where(count(f, x) * count(f, n) * (x <= n) * (p >= 0) * (p <= 1), body, NEVER)


def log_density_logit(f: Any, x: Any, n: Any, logit_p: Any) -> Any:
    body = log_choose(f, n, x) - x * f.softplus(-logit_p) - (n - x) * f.softplus(logit_p)
    return f.where(count(f, x) * count(f, n) * (x <= n), body, NEVER)


def log_cdf(f: Any, x: Any, n: Any, p: Any) -> Any:
    k = f.floor(x)
    return f.where(x >= 0, f.where(x < n, f.log_betainc(n - k, k + 1, 1 - p), 0.0), NEVER)


def log_survival(f: Any, x: Any, n: Any, p: Any) -> Any:
    k = f.floor(x)
    return f.where(x >= 0, f.where(x < n, f.log_betainc(k + 1, n - k, p), NEVER), 0.0)


def draw(rng: Any, n: Any, p: Any, size: Any = None) -> Any:
    return rng.binomial(np.asarray(n).astype(np.int64), p, size)


def success_terms(f: Any, x: Any, n: Any) -> Any:
    return x, n - x, f.where(count(f, x) * count(f, n) * (x <= n), log_choose(f, n, x), NEVER)


FAMILY = Family(
    name="Binomial",
    parameters=(Argument("n", "count"), Argument("p", "probability")),
    support=Support("integer", lower=0.0, upper=lambda f, n, p: n),
    log_density=log_density,
    draw=draw,
    discrete=True,
    alternatives={"logit_p": ("p", lambda f, logit_p: f.expit(logit_p))},
    direct={("n", "logit_p"): log_density_logit},
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, n, p: n * p,
    variance=lambda f, n, p: n * p * (1 - p),
    conjugacies=(Conjugacy("p", "beta", success_terms),),
    doc="Successes in n independent trials of probability p.",
)
