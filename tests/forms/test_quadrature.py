"""Adaptive Gauss-Hermite quadrature against integrals by brute force, lme4's nAGQ, and differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.forms.build_field import build_field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.quadrature import QuadratureEvaluator
from tests.backends.laplace import models as m

ONE = """model one
plate grp
plate row in grp
covariate x[row]
parameter b0, b1
parameter tau > 0
u[grp] ~ Normal(0, tau)
observed y[row] ~ Bernoulli(expit(b0 + b1*x + u))
"""
TWO = """model two
plate grp
plate row in grp
plate coef = "a", "b"
plate coef2 as coef
covariate x[row]
parameter b0, b1
parameter S[coef, coef2] covariance
u[grp, coef] ~ MvNormal(0, S)
observed y[row] ~ Poisson(exp(b0 + b1*x + u[grp, "a"] + u[grp, "b"]*x))
"""
N, G = 24, 4


def frame(seed: int, counts: bool) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(G), N // G)
    x = rng.normal(size=N)
    eta = 0.2 + 0.5 * x + 0.8 * rng.normal(size=G)[group]
    y = rng.poisson(np.exp(eta)) if counts else (rng.random(N) < special.expit(eta)).astype(int)
    return pd.DataFrame({"grp": group, "x": x, "y": y})


def evaluator(text: str, data: pd.DataFrame, order: int) -> QuadratureEvaluator:
    dag = dm.read(text).dag
    problem = bind(dag, data)
    return QuadratureEvaluator(build_field(problem, roles(dag, problem)), order)


def at(e: ModeEvaluator, **values: list[float]) -> np.ndarray:
    return np.concatenate([values[c.node] for c in e.field.coordinates])


def one_by_quad(data: pd.DataFrame, b0: float, b1: float, tau: float) -> float:
    total = 0.0
    for _, part in data.groupby("grp"):
        y, x = part["y"].to_numpy(), part["x"].to_numpy()

        def f(z: float, y: np.ndarray = y, x: np.ndarray = x) -> float:
            e = b0 + b1 * x + tau * z
            return float(np.exp((y * e - np.log1p(np.exp(e))).sum() - 0.5 * z * z) / np.sqrt(2 * np.pi))

        total += np.log(integrate.quad(f, -12, 12, epsabs=1e-14, epsrel=1e-12)[0])
    return -2 * total


def test_one_dimension_against_brute_force() -> None:
    data = frame(1, counts=False)
    e = evaluator(ONE, data, 31)
    x = at(e, b0=[0.3], b1=[0.6], tau=[0.9])
    assert e.criterion(x).total == pytest.approx(one_by_quad(data, 0.3, 0.6, 0.9), abs=1e-9)


def test_two_dimensions_against_a_fine_grid() -> None:
    """The trapezoidal rule on a fine grid is spectrally accurate for such integrands."""
    data = frame(2, counts=True)
    e = evaluator(TWO, data, 21)
    factor = np.array([[0.7, 0.0], [0.2, 0.5]])
    x = at(e, b0=[0.1], b1=[0.4], S=[0.7, 0.2, 0.5])
    z = np.linspace(-9, 9, 361)
    grid = np.stack(np.meshgrid(z, z, indexing="ij"))
    u = np.einsum("ij,jkl->ikl", factor, grid)
    total = 0.0
    for _, part in data.groupby("grp"):
        log = -0.5 * (grid**2).sum(axis=0) - np.log(2 * np.pi)
        for y, v in zip(part["y"], part["x"], strict=True):
            eta = 0.1 + 0.4 * v + u[0] + u[1] * v
            log = log + y * eta - np.exp(eta) - special.gammaln(y + 1)
        total += np.log(np.exp(log).sum() * (z[1] - z[0]) ** 2)
    assert e.criterion(x).total == pytest.approx(-2 * total, abs=1e-7)


def test_order_one_is_laplace() -> None:
    data = frame(3, counts=False)
    e = evaluator(ONE, data, 1)
    x = at(e, b0=[0.3], b1=[0.6], tau=[0.9])
    assert e.criterion(x).total == ModeEvaluator(e.field).criterion(x).total


@pytest.mark.parametrize(("text", "order"), [(ONE, 2), (ONE, 7), (TWO, 3)])
def test_gradient_against_differences(text: str, order: int) -> None:
    e = evaluator(text, frame(4, counts=text is TWO), order)
    x = at(e, b0=[0.3], b1=[0.6], tau=[0.9], S=[0.7, 0.2, 0.5])
    _, gradient = e.value_and_gradient(x)
    for i, expected in enumerate(gradient):
        h = 4e-3 * np.eye(x.size)[i]
        near, far = (e.criterion(x + k * h).total - e.criterion(x - k * h).total for k in (1, 2))
        assert (8 * near - far) / (12 * 4e-3) == pytest.approx(expected, abs=1e-7 * max(1, abs(expected)))


def test_gradient_at_a_scale_of_zero() -> None:
    """The criterion is even in the scale: no slope there, and the others' are those of the nodes."""
    e = evaluator(ONE, frame(4, counts=False), 5)
    x = at(e, b0=[0.3], b1=[0.6], tau=[0.0])
    _, gradient = e.value_and_gradient(x)
    assert dict(zip((c.node for c in e.field.coordinates), gradient, strict=True))["tau"] == 0.0
    for i in np.flatnonzero(gradient):
        h = 1e-4 * np.eye(x.size)[i]
        slope = (e.criterion(x + h).total - e.criterion(x - h).total) / 2e-4
        assert slope == pytest.approx(gradient[i], rel=1e-6)


@pytest.mark.parametrize("order", [9, 25])
def test_cbpp_as_lme4(order: int) -> None:
    """lme4 leaves a constant of the data out of its log likelihood here; ours includes it."""
    fits = m.reference("cbpp")["fits"]
    reference, other = fits[f"nAGQ{order}"]["reference"], fits["nAGQ9"]["reference"]
    g, data = dm.read(m.CBPP), m.cbpp()
    fit = g.fit(data, quadrature=order)
    assert fit.converged
    assert f"{order} nodes" in fit.method
    table = fit.estimates.set_index("name")
    names = ["b1", "b2", "b3", "b4"]
    np.testing.assert_allclose(table.loc[names, "estimate"], reference["fixed"]["est"], rtol=2e-6)
    np.testing.assert_allclose(table.loc[names, "se"], reference["fixed"]["se"], rtol=1e-5)
    assert fit["tau"] == pytest.approx(reference["varcomp"][0]["sdcor"], rel=2e-6)
    if order == 25:
        difference = reference["minus2logLik"] - other["minus2logLik"]
        nine = g.fit(data, quadrature=9)
        assert -2 * (fit.log_likelihood - nine.log_likelihood) == pytest.approx(difference, abs=1e-6)


def test_crossed_latents_are_refused_with_advice() -> None:
    text = (
        "model crossed\nplate a\nplate b\nplate row in a, b\nparameter m\nparameter s, t > 0\n"
        "u[a] ~ Normal(0, s)\nv[b] ~ Normal(0, t)\nobserved y[row] ~ Poisson(exp(m + u + v))\n"
    )
    data = pd.DataFrame({"a": list("ppqqrr"), "b": list("xyxyxy"), "y": [1, 2, 0, 3, 1, 1]})
    with pytest.raises(FitError, match="leave quadrature out"):
        evaluator(text, data, 5)


def test_integrated_coefficients_are_refused_with_advice() -> None:
    text = ONE.replace("parameter b0, b1", "b0, b1 ~ Flat()")
    with pytest.raises(FitError, match="'parameter b'"):
        evaluator(text, frame(1, counts=False), 5)
