"""Kernels of conjugate pairs: what a latent's law and its children's densities have in common.

A latent r with a kernel's law and children whose log densities are a log r - b r + c ("gamma") or
a log r + b log(1 - r) + c ("beta") is integrated out by sums A of the a and B of the b: given the children it
has the kernel's law at (alpha + A, beta + B), and what is left is `log_marginal` plus the sum of the c.
Families say which parameters fit (`Conjugacy`) and which laws of latents do (`ConjugatePrior`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagmodels.distributions._family import Formula
from dagmodels.distributions._shared import NEVER


@dataclass(frozen=True, slots=True)
class Kernel:
    """See the module.

    log_marginal : `(f, alpha, beta, A, B)`, the log of the integral of the prior density times
        r**A exp(-B r) or r**A (1 - r)**B.
    multiplies : whether children may have r times a number: only the gamma kernel is closed under that.
    """

    name: str
    log_marginal: Formula
    multiplies: bool


def log_rising(f: Any, x: Any, a: Any) -> Any:
    """log of gamma(x + a)/gamma(x), a >= 0, with its digits where x is large."""
    return f.lgamma(a + 1) - f.lbeta(x, a + 1) - f.log(x + a)


def gamma_marginal(f: Any, alpha: Any, beta: Any, a: Any, b: Any) -> Any:
    """Gamma integral: gamma(alpha + A)/gamma(alpha) beta^alpha/(beta + B)^(alpha + A)."""
    body = log_rising(f, alpha, a) - a * f.log(beta + b) - alpha * f.log1p(b / beta)
    return f.where((alpha > 0) * (beta > 0), body, NEVER)


def beta_marginal(f: Any, alpha: Any, beta: Any, a: Any, b: Any) -> Any:
    """Beta integral: B(alpha + A, beta + B)/B(alpha, beta)."""
    body = log_rising(f, alpha, a) + log_rising(f, beta, b) - log_rising(f, alpha + beta, a + b)
    return f.where((alpha > 0) * (beta > 0), body, NEVER)


KERNELS: Mapping[str, Kernel] = {
    "gamma": Kernel("gamma", gamma_marginal, True),
    "beta": Kernel("beta", beta_marginal, False),
}
