"""BetaBinomial(n, alpha, beta): Binomial(n, p) with p ~ Beta(alpha, beta)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, batch, count, log_choose


def log_density(f: Any, x: Any, n: Any, alpha: Any, beta: Any) -> Any:
    body = log_choose(f, n, x) + f.lbeta(x + alpha, n - x + beta) - f.lbeta(alpha, beta)
    return f.where(count(f, x) * count(f, n) * (x <= n) * (alpha > 0) * (beta > 0), body, NEVER)


def draw(rng: Any, n: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    shape = batch(size, n, alpha, beta)
    return rng.binomial(np.asarray(n).astype(np.int64), rng.beta(alpha, beta, shape), shape)


def variance(f: Any, n: Any, alpha: Any, beta: Any) -> Any:
    total = alpha + beta
    return n * alpha * beta * (total + n) / (total**2 * (total + 1))


FAMILY = Family(
    name="BetaBinomial",
    parameters=(Argument("n", "count"), Argument("alpha", "positive"), Argument("beta", "positive")),
    support=Support("integer", lower=0.0, upper=lambda f, n, alpha, beta: n),
    log_density=log_density,
    draw=draw,
    discrete=True,
    mean=lambda f, n, alpha, beta: n * alpha / (alpha + beta),
    variance=variance,
    doc="Successes in n trials whose common probability is Beta(alpha, beta).",
)
