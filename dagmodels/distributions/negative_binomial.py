"""NegativeBinomial(mu, alpha): mean mu, variance mu + mu**2/alpha; or n and p."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, batch, count, xlogy


def log_density(f: Any, x: Any, mu: Any, alpha: Any) -> Any:
    # 1/(B(alpha, x + 1)(alpha + x)) is the coefficient; it keeps its digits towards the Poisson limit
    body = (
        -f.lbeta(alpha, x + 1)
        - f.log(alpha + x)
        - alpha * f.log1p(mu / alpha)
        + xlogy(f, x, mu / (alpha + mu))
    )
    return f.where(count(f, x) * (mu >= 0) * (alpha > 0), body, NEVER)


def log_cdf(f: Any, x: Any, mu: Any, alpha: Any) -> Any:
    k = f.floor(x)
    inside = f.where(mu > 0, f.log_betainc(alpha, k + 1, alpha / (alpha + mu)), 0.0)
    return f.where(x >= 0, f.where(x < math.inf, inside, 0.0), NEVER)


def log_survival(f: Any, x: Any, mu: Any, alpha: Any) -> Any:
    k = f.floor(x)
    inside = f.log_betainc(k + 1, alpha, mu / (alpha + mu))
    return f.where(x >= 0, f.where(x < math.inf, inside, NEVER), 0.0)


def draw(rng: Any, mu: Any, alpha: Any, size: Any = None) -> Any:
    shape = batch(size, mu, alpha)
    return rng.poisson(mu * (rng.standard_gamma(alpha, shape) / alpha))


FAMILY = Family(
    name="NegativeBinomial",
    parameters=(Argument("mu", "nonnegative"), Argument("alpha", "positive")),
    support=Support("integer", lower=0.0),
    log_density=log_density,
    draw=draw,
    discrete=True,
    signatures={("n", "p"): lambda f, n, p: (n * (1 - p) / p, n)},
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, mu, alpha: mu + 0 * alpha,
    variance=lambda f, mu, alpha: mu + mu**2 / alpha,
    doc="Counts with mean mu; a Poisson whose mean is Gamma distributed with shape alpha.",
)
