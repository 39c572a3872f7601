"""Log prior densities of outer unknowns, written out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Stochastic

from .affine import NotLinearGaussian, constant
from .functions import matrix_of
from .interpret import Interpreter
from .unknowns import Env


def log_prior(of: Interpreter) -> Any:
    """Sum of the log prior densities of all stochastic elements in theta, each on its own scale."""
    total: Any = 0.0
    for name, value in of.theta.items():
        node = of.graph.nodes[name]
        if any(
            getattr(s, "distribution", None) and s.distribution.family == "Wishart" for s in node.statements
        ):
            total = total + _wishart(of, name, value)
            continue
        for codes in np.ndindex(*value.shape):
            statement = of.statement(name, codes)
            if isinstance(statement, Stochastic):
                env = of.env(name, codes, statement)
                total = total + _log_density(of, statement.distribution, value[codes], env, name)
    return total


def _log_density(of: Interpreter, d: Distribution, x: Any, env: Any, name: str) -> Any:
    if d.family not in _DENSITIES:
        raise NotLinearGaussian(f"the oracle knows no prior density of {name} ~ {d.family}")
    given = {}
    for key, tree in d.arguments:
        assert isinstance(tree, ex.Expression)
        given[key] = constant(of.evaluate(tree, env), f"{key} of {name}")  # type: ignore[arg-type]
    return _DENSITIES[d.family](x, **given)


def _wishart(of: Interpreter, name: str, value: Any) -> Any:
    """Wishart(nu, V) has mean nu V; one matrix a node."""
    statement = of.graph.nodes[name].statements[0]
    assert isinstance(statement, Stochastic)
    nu_tree, v_tree = statement.distribution.argument("nu"), statement.distribution.argument("V")
    env = Env({})
    nu = constant(of.evaluate(nu_tree, env), "nu")  # type: ignore[arg-type]
    p = value.shape[-1]
    v = matrix_of(of.evaluate(v_tree, env), p, "V")  # type: ignore[arg-type]
    log_gamma = p * (p - 1) / 4 * math.log(math.pi) + sum(_lgamma((nu - j) / 2) for j in range(p))
    return (
        (nu - p - 1) / 2 * np.log(np.linalg.det(value))
        - np.trace(np.linalg.solve(v, value)) / 2
        - nu * p / 2 * math.log(2)
        - nu / 2 * np.log(np.linalg.det(v))
        - log_gamma
    )


def _lgamma(x: Any) -> Any:
    from scipy.special import loggamma

    return loggamma(x)


def _normal(x: Any, mu: Any = 0.0, sigma: Any = None, tau: Any = None) -> Any:
    precision = 1.0 / sigma**2 if sigma is not None else 1.0 if tau is None else tau
    return 0.5 * np.log(precision / (2 * math.pi)) - 0.5 * precision * (x - mu) ** 2


def _half_student_t(x: Any, nu: Any, sigma: Any) -> Any:
    log_peak = _lgamma((nu + 1) / 2) - _lgamma(nu / 2) - 0.5 * np.log(nu * math.pi) - np.log(sigma)
    return math.log(2) + log_peak - (nu + 1) / 2 * np.log1p(x**2 / (nu * sigma**2))


def _beta(x: Any, alpha: Any, beta: Any) -> Any:
    constant_part = _lgamma(alpha + beta) - _lgamma(alpha) - _lgamma(beta)
    return constant_part + (alpha - 1) * np.log(x) + (beta - 1) * np.log(1 - x)


_DENSITIES = {
    "Normal": _normal,
    "HalfNormal": lambda x, sigma=1.0: math.log(2) + _normal(x, 0.0, sigma),
    "HalfCauchy": lambda x, beta=1.0: math.log(2 / math.pi) - np.log(beta) - np.log(1 + (x / beta) ** 2),
    "HalfStudentT": lambda x, nu, sigma=1.0: _half_student_t(x, nu, sigma),
    "Exponential": lambda x, lam=1.0: np.log(lam) - lam * x,
    "Gamma": lambda x, alpha, beta: (
        alpha * np.log(beta) - _lgamma(alpha) + (alpha - 1) * np.log(x) - beta * x
    ),
    "InverseGamma": lambda x, alpha, beta: (
        alpha * np.log(beta) - _lgamma(alpha) - (alpha + 1) * np.log(x) - beta / x
    ),
    "LogNormal": lambda x, mu=0.0, sigma=1.0: _normal(np.log(x), mu, sigma) - np.log(x),
    "Uniform": lambda x, lower=0.0, upper=1.0: -np.log(upper - lower + 0.0 * x),
    "Beta": _beta,
    "Flat": lambda x: 0.0,
    "HalfFlat": lambda x: 0.0,
}
