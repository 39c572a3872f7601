"""NegativeBinomial(mu, alpha): variance mu + mu**2/alpha; or n and p, or mu and dispersion = 1/alpha."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, batch, count, xlogy

POISSON = 1e-12  # a dispersion below is drawn from as this one, which no data can tell from zero
NEAR = 1e-4  # the series' first missing term is the fourth power of this, times x


def log_density(f: Any, x: Any, mu: Any, alpha: Any) -> Any:
    # 1/(B(alpha, x + 1)(alpha + x)) is the coefficient; it keeps its digits towards the Poisson limit
    body = (
        -f.lbeta(alpha, x + 1)
        - f.log(alpha + x)
        - alpha * f.log1p(mu / alpha)
        + xlogy(f, x, mu / (alpha + mu))
    )
    return f.where(count(f, x) * (mu >= 0) * (alpha > 0), body, NEVER)


def by_dispersion(f: Any, x: Any, mu: Any, dispersion: Any) -> Any:
    """The log density at alpha = 1/dispersion, dispersion >= 0: at zero it is the Poisson's.

    With d the dispersion the log density is x log mu - lgamma(x + 1) + sum_{j < x} log(1 + j d)
    - (x + 1/d) log(1 + mu d), analytic in d; where d is small against 1/x and 1/mu, its Taylor series.
    """
    d = dispersion
    first = 0.5 * x * (x - 1)  # sums of j, j^2 and j^3 below x
    second = first * (2 * x - 1) / 3
    sums = d * (first + d * (d * (first * first / 3) - 0.5 * second))
    logs = mu * d * (0.5 - mu * d * (1 / 3 - mu * d * (0.25 - mu * d / 5)))  # 1 - log(1 + mu d)/(mu d)
    series = xlogy(f, x, mu) - f.lgamma(x + 1) + sums - mu * (1 + x * d) * (1 - logs)
    near = d * (x + mu + 1) < NEAR
    body = f.where(near, series, log_density(f, x, mu, 1 / d))
    return f.where(count(f, x) * (mu >= 0) * (d >= 0), body, NEVER)


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


def success_terms(f: Any, x: Any, n: Any) -> Any:
    return n, x, f.where(count(f, x) * (n > 0), -f.lbeta(n, x + 1) - f.log(n + x), NEVER)


FAMILY = Family(
    name="NegativeBinomial",
    parameters=(Argument("mu", "nonnegative"), Argument("alpha", "positive")),
    support=Support("integer", lower=0.0),
    log_density=log_density,
    draw=draw,
    discrete=True,
    signatures={
        ("n", "p"): lambda f, n, p: (n * (1 - p) / p, n),
        ("mu", "dispersion"): lambda f, mu, dispersion: (mu, 1 / f.max(dispersion, POISSON)),
    },
    direct={("mu", "dispersion"): by_dispersion},
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, mu, alpha: mu + 0 * alpha,
    variance=lambda f, mu, alpha: mu + mu**2 / alpha,
    conjugacies=(Conjugacy("p", "beta", success_terms, signature=("n", "p")),),
    doc="Counts with mean mu; a Poisson whose mean is Gamma distributed with shape alpha.",
)
