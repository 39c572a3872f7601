"""Likelihood, gradient, information and Hessian of moment structures against densities row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments, Sample, Structure
from dagmodels.numerics.saturated_moments import independence, unrestricted

PATHS = [(0, 3), (1, 3), (2, 5), (4, 5), (5, 3), (1, 0), (0, 4)]
OBSERVED = np.array([0, 1, 2, 4])


def structure(rng, *, cyclic=False, groups=2):
    t = 6
    places = []
    for g in range(groups):
        places += [(PATH, g, i, j) for i, j in PATHS + ([(3, 0)] if cyclic else [])]
        places += [(COVARIANCE, g, i, i) for i in range(t)] + [(COVARIANCE, g, 0, 1), (COVARIANCE, g, 3, 2)]
        places += [(MEAN, g, i, 0) for i in (0, 1, 3)]
    kind, group, row, column = np.array(places).T
    base = np.zeros((groups, t, t))
    return Structure(
        OBSERVED, base, base.copy(), 0.3 * rng.normal(size=(groups, t)), kind, group, row, column
    )


def values(s, rng):
    x = 0.3 * rng.normal(size=s.kind.size)
    own = (s.kind == COVARIANCE) & (s.row == s.column)
    x[own] = 1.0 + 0.3 * rng.random(own.sum())
    x[(s.kind == COVARIANCE) & ~own] = 0.1
    return x


def raw(rng, missing):
    rows = {0: rng.normal(size=(25, 4)), 1: 1 + rng.normal(size=(31, 4))}
    if missing:
        for y in rows.values():
            y[rng.random(y.shape) < 0.25] = np.nan
            y[np.isnan(y).all(axis=1), 0] = 0.0
    return rows


def sample(rows):
    cells = []
    for g, y in rows.items():
        there = ~np.isnan(y)
        for mask in np.unique(there, axis=0):
            part = y[(there == mask).all(axis=1)]
            mean = np.where(mask, part.mean(axis=0), 0.0)
            away = np.where(mask, part - mean, 0.0)
            cells.append((g, float(len(part)), mask, mean, away.T @ away / len(part)))
    group, n, mask, mean, cov = zip(*cells, strict=True)
    return Sample(np.array(group), np.array(n), np.stack(mask), np.stack(mean), np.stack(cov))


def brute(s, x, rows):
    """Minus twice the sum of the rows' normal log densities, B and the moments by definition."""
    a, p, c = s.filled(x)
    total = 0.0
    for g, y in rows.items():
        b = np.linalg.inv(np.eye(6) - a[g])
        sigma, mu = (b @ p[g] @ b.T)[np.ix_(OBSERVED, OBSERVED)], (b @ c[g])[OBSERVED]
        for row in y:
            m = ~np.isnan(row)
            total += multivariate_normal(mu[m], sigma[np.ix_(m, m)]).logpdf(row[m])
    return -2 * total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("cyclic", [False, True])
def test_value_and_derivatives(seed, missing, cyclic):
    rng = np.random.default_rng(seed)
    s, rows = structure(rng, cyclic=cyclic), raw(rng, missing)
    x, data = values(s, rng), sample(rows)
    assert s.acyclic is not cyclic
    at = Moments(s, data, x)
    assert at.value == pytest.approx(brute(s, x, rows), rel=1e-11)
    h = 1e-5
    eye = np.eye(x.size)
    differences = [
        (Moments(s, data, x + h * e).value - Moments(s, data, x - h * e).value) / (2 * h) for e in eye
    ]
    np.testing.assert_allclose(at.gradient, differences, rtol=1e-6, atol=1e-6)
    slopes = [
        (Moments(s, data, x + h * e).gradient - Moments(s, data, x - h * e).gradient) / (2 * h) for e in eye
    ]
    np.testing.assert_allclose(at.hessian(), slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("missing", [False, True])
def test_information_by_its_definition(missing):
    """2 I = sum n (tr(W dS W dS') + 2 dm' W dm'), the derivatives of the moments by differences."""
    rng = np.random.default_rng(3)
    s, rows = structure(rng), raw(rng, missing)
    x, data = values(s, rng), sample(rows)

    def moments(x):
        at = Moments(s, data, x)
        return at.covariance[:, OBSERVED[:, None], OBSERVED], at.mean[:, OBSERVED]

    h, m = 1e-6, x.size
    slopes = []
    for e in np.eye(m):
        (s1, m1), (s0, m0) = moments(x + h * e), moments(x - h * e)
        slopes.append(((s1 - s0) / (2 * h), (m1 - m0) / (2 * h)))
    sigma, _ = moments(x)
    want = np.zeros((m, m))
    for n, g, mask in zip(data.n, data.group, data.mask, strict=True):
        w = np.zeros((4, 4))
        w[np.ix_(mask, mask)] = np.linalg.inv(sigma[g][np.ix_(mask, mask)])
        for a in range(m):
            for b in range(m):
                want[a, b] += n * np.trace(w @ slopes[a][0][g] @ w @ slopes[b][0][g])
                want[a, b] += n * 2 * slopes[a][1][g] @ w @ slopes[b][1][g]
    np.testing.assert_allclose(Moments(s, data, x).information(), want, rtol=1e-6, atol=1e-6)


def test_slopes_of_variances():
    rng = np.random.default_rng(5)
    s, data = structure(rng), sample(raw(rng, False))
    x = values(s, rng)
    got = Moments(s, data, x).variance_slopes()
    h = 1e-6
    for e in range(x.size):
        step = h * np.eye(x.size)[e]
        up, down = Moments(s, data, x + step), Moments(s, data, x - step)
        change = np.diagonal((up.covariance - down.covariance)[s.group[e]]) / (2 * h)
        np.testing.assert_allclose(got[e], change, atol=1e-8)


def test_not_positive_definite_is_infinite():
    rng = np.random.default_rng(1)
    s, data = structure(rng), sample(raw(rng, False))
    x = values(s, rng)
    x[(s.kind == COVARIANCE) & (s.row == s.column)] = -1.0
    assert Moments(s, data, x).value == np.inf


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_unrestricted_moments_are_the_maximum(share):
    """No small step raises the likelihood of the rows; with complete rows it is the sample's own moments."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4)) + 3.0
    y[rng.random(y.shape) < share] = np.nan
    y[np.isnan(y).all(axis=1), 0] = 3.0
    found = unrestricted(sample({0: y}))

    def value(mean, cov):
        total = 0.0
        for row in y:
            m = ~np.isnan(row)
            total += multivariate_normal(mean[m], cov[np.ix_(m, m)]).logpdf(row[m])
        return -2 * total

    best = value(found.mean[0], found.cov[0])
    assert found.value == pytest.approx(best, rel=1e-9)
    for _ in range(60):
        turn = np.eye(4) + 3e-3 * rng.normal(size=(4, 4))
        shift = 3e-3 * rng.normal(size=4)
        assert value(found.mean[0] + shift, turn @ found.cov[0] @ turn.T) > best
    if share == 0:
        np.testing.assert_allclose(found.cov[0], np.cov(y.T, bias=True), rtol=1e-12)


def test_independence_is_one_normal_law_a_variable():
    rng = np.random.default_rng(9)
    rows = raw(rng, True)
    found = independence(sample(rows))
    for g, y in rows.items():
        for j in range(4):
            column = y[:, j][~np.isnan(y[:, j])]
            want = -2 * multivariate_normal(column.mean(), column.var()).logpdf(column).sum()
            assert found[g, j] == pytest.approx(want, rel=1e-12)
