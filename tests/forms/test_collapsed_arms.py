"""Collapsed densities far down their arms, where scales are near zero, against dense algebra of 80 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.collapsed import Collapsed, collapsed

Floats = NDArray[np.float64]

ONE_EACH = """model one
plate g
a[g] ~ Normal(mu, tau)
observed y[g] ~ Normal(a[g], sigma)
mu ~ Normal(0, 2)
tau ~ HalfNormal(2)
sigma ~ HalfNormal(1)
"""
NESTED = """model nested
plate g
plate i in g
a[g] ~ Normal(mu, tau)
c[i] ~ Normal(0, 1.5)
observed y[i] ~ Normal(a[g] + c[i], sigma)
mu ~ Normal(0, 2)
tau ~ HalfNormal(2)
sigma ~ HalfNormal(1)
"""
CROSSED = """model crossed
plate g
plate h
plate i in g, h
a[g] ~ Normal(mu, tau)
b[h] ~ Normal(0, 1.5)
observed y[i] ~ Normal(a[g] + b[h], sigma)
mu ~ Normal(0, 2)
tau ~ HalfNormal(2)
sigma ~ HalfNormal(1)
"""
Y = [1.2, -0.3, 2.25, 0.4, -1.5, 3.75]
G, H = [0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3]  # a chain: six sums of seven effects


def known(text: str) -> tuple[Collapsed, Floats, Floats]:
    """The form, and which rows share an effect of scale tau, and one of scale 1.5."""
    data: dict[str, Any] = {"y": Y}
    if text == ONE_EACH:
        return collapsed(bind(dm.read(text).dag, {**data, "g": 6})), np.eye(6), np.zeros((6, 6))
    data |= {"g": [f"g{k}" for k in G]}
    if text == CROSSED:
        data |= {"h": [f"h{k}" for k in H]}
    found = collapsed(bind(dm.read(text).dag, data))
    same = np.equal.outer(H, H) if text == CROSSED else np.eye(6)
    return found, np.equal.outer(G, G).astype(float), np.asarray(same, dtype=float)


def dense(y: Floats, shared: Floats, other: Floats) -> float:
    """Log density of (log tau, log sigma) by a Cholesky factor of V in decimals."""
    with localcontext() as context:
        context.prec = 80
        tau, sigma = (Decimal(float(v)).exp() for v in y)
        n = len(Y)
        V = [
            [
                Decimal(4)
                + tau**2 * int(shared[i, j])
                + Decimal("2.25") * int(other[i, j])
                + sigma**2 * (i == j)
                for j in range(n)
            ]
            for i in range(n)
        ]
        L = [[Decimal(0)] * n for _ in range(n)]
        z, total = [Decimal(0)] * n, Decimal(0)
        for i in range(n):
            for j in range(i + 1):
                rest = V[i][j] - sum((L[i][k] * L[j][k] for k in range(j)), Decimal(0))
                L[i][j] = rest.sqrt() if i == j else rest / L[j][j]
            z[i] = (Decimal(Y[i]) - sum((L[i][k] * z[k] for k in range(i)), Decimal(0))) / L[i][i]
            total -= L[i][i].ln() + z[i] ** 2 / 2
        likelihood = float(total) - 0.5 * n * np.log(2.0 * np.pi)
    scales = np.exp(y)
    prior = stats.halfnorm.logpdf(scales, scale=[2.0, 1.0]) + y
    return float(likelihood + prior.sum())


def ways(far: float) -> tuple[Floats, Floats]:
    """Far down the arm of sigma, and of tau."""
    return np.array([0.3, far]), np.array([far, 0.3])


@pytest.mark.parametrize("text", [ONE_EACH, NESTED, CROSSED])
@pytest.mark.parametrize("far", [0.0, -5.0, -12.0, -20.0, -30.0])
def test_densities_and_gradients_far_down_the_arms(text: str, far: float) -> None:
    """All digits, but where two effects stand in one row: there the ratio of variances costs as many."""
    c, shared, other = known(text)
    assert c.names == ("tau", "sigma")
    lost = 0.0 if text == ONE_EACH else 1e-14 * np.exp(-2.0 * far)  # 6 rows, squares up to 14
    for y, off in zip(ways(far), (lost, 0.0), strict=True):
        value, gradient = c.log_density(y)
        if off > 1e-3:
            assert value < dense(y, shared, other) + 10.0  # no mode where there is none
            continue
        assert value == pytest.approx(dense(y, shared, other), rel=1e-10, abs=1e-9 + off)
        for i in range(2):
            e = 1e-3 * np.eye(2)[i]
            ends = [dense(y + k * e, shared, other) for k in (-2, -1, 1, 2)]
            slope = float(np.dot([1.0, -8.0, 8.0, -1.0], ends)) / 12e-3
            assert gradient[i] == pytest.approx(slope, rel=1e-7, abs=1e-7 + off)


def test_elements_there_follow_the_data() -> None:
    c, _, _ = known(ONE_EACH)
    drawn = c.draws(np.tile([0.3, -25.0], (10, 1)), np.random.default_rng(1), ["a"])["a"]
    np.testing.assert_allclose(drawn, np.tile(Y, (10, 1)), atol=1e-9)
