"""Wald(mu, lam): the inverse Gaussian law, variance mu**3/lam; or mu and phi = lam/mu."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2PI, NEVER, batch, log_add_exp, log_diff_exp


def log_density(f: Any, x: Any, mu: Any, lam: Any) -> Any:
    z = (x - mu) / mu
    body = 0.5 * (f.log(lam) - LOG_2PI - 3 * f.log(x) - lam * z * z / x)
    return f.where((x > 0) * (x < math.inf) * (mu > 0) * (lam > 0), body, NEVER)


def _arguments(f: Any, x: Any, mu: Any, lam: Any) -> tuple[Any, Any, Any]:
    """Distances of the two normal tails, and the log of the second one's weight (Shuster 1968, J. Amer.
    Statist. Assoc. 63, equation 3)."""
    root = f.sqrt(lam / x)
    return root * (x - mu) / mu, root * (x + mu) / mu, 2 * lam / mu


def log_cdf(f: Any, x: Any, mu: Any, lam: Any) -> Any:
    near, far, weight = _arguments(f, x, mu, lam)
    inside = log_add_exp(f, f.log_Phi(near), weight + f.log_Phi(-far))
    return f.where(x > 0, f.where(x < math.inf, inside, 0.0), NEVER)


def log_survival(f: Any, x: Any, mu: Any, lam: Any) -> Any:
    near, far, weight = _arguments(f, x, mu, lam)
    inside = log_diff_exp(f, f.log_Phi(-near), weight + f.log_Phi(-far))
    return f.where(x > 0, f.where(x < math.inf, inside, NEVER), 0.0)


def draw(rng: Any, mu: Any, lam: Any, size: Any = None) -> Any:
    return rng.wald(mu, lam, batch(size, mu, lam))


FAMILY = Family(
    name="Wald",
    parameters=(Argument("mu", "positive"), Argument("lam", "positive")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    signatures={
        ("mu", "phi"): lambda f, mu, phi: (mu, mu * phi),
        ("lam", "phi"): lambda f, lam, phi: (lam / phi, lam),
    },
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, mu, lam: mu + 0 * lam,
    variance=lambda f, mu, lam: mu**3 / lam,
    doc="Inverse Gaussian with mean mu and shape lam: first passage of a drifting Brownian motion.",
)
