"""Cauchy(alpha, beta)."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, LOG_PI, NEVER, batch


def log_density(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    body = -LOG_PI - f.log(beta) - f.log1p(((x - alpha) / beta) ** 2)
    return f.where(beta > 0, body, NEVER)


def log_tail(f: Any, z: Any) -> Any:
    """log P(Z > z) of the standard law, as a Student t with one degree of freedom.

    arctan is an incomplete beta function: P(Z > z) = I(1/(1 + z**2); 1/2, 1/2) / 2 for z > 0.
    """
    far = f.log_betainc(0.5, 0.5, 1 / (1 + z**2)) - LOG_2
    middle = 0.5 * f.exp(f.log_betainc(0.5, 0.5, z**2 / (1 + z**2)))
    near = f.log(f.where(z > 0, 0.5 - middle, 0.5 + middle))
    return f.where(z**2 < 1, near, f.where(z > 0, far, f.log1p(-f.exp(far))))


def draw(rng: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    return alpha + beta * rng.standard_cauchy(batch(size, alpha, beta))


FAMILY = Family(
    name="Cauchy",
    parameters=(Argument("alpha"), Argument("beta", "positive")),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    log_cdf=lambda f, x, alpha, beta: log_tail(f, (alpha - x) / beta),
    log_survival=lambda f, x, alpha, beta: log_tail(f, (x - alpha) / beta),
    doc="Cauchy with median alpha and half-width beta at half height; it has no moments.",
)
