"""The bivariate normal, margins and correlations, against scipy and differences of log likelihoods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from dagmodels.numerics.ordinal import bivariate
from dagmodels.numerics.ordinal.margins import numeric_margin, ordered_margin
from dagmodels.numerics.ordinal.pairs import pair
from dagmodels.numerics.ordinal.statistics import layout, statistics
from dagmodels.numerics.ordinal.tables import polychoric

PLACES = [
    (0.3, -1.2, 0.5),
    (0.0, 0.0, 0.3),
    (0.0, 1.0, -0.4),
    (-2.0, -3.0, 0.9),
    (1e-9, 2.0, 0.1),
    (1.5, 1.5, -0.99),
]


@pytest.mark.parametrize(("h", "k", "rho"), PLACES)
def test_the_distribution_is_scipys(h, k, rho):
    found = bivariate.distribution(np.array([h]), np.array([k]), np.array([rho]))[0]
    wanted = multivariate_normal.cdf([h, k], cov=[[1, rho], [rho, 1]], abseps=1e-13, releps=1e-13)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_the_distribution_at_infinity():
    far = np.array([np.inf, -np.inf, np.inf, 0.4])
    other = np.array([0.7, 3.0, np.inf, -np.inf])
    found = bivariate.distribution(far, other, np.full(4, 0.3))
    np.testing.assert_allclose(found, [norm.cdf(0.7), 0.0, 1.0, 0.0], atol=1e-15)


def test_derivatives_of_the_distribution_in_the_correlation():
    h, k = np.array([0.3, -0.8, 1.7]), np.array([1.1, 0.2, -0.4])
    rho, e = np.array([0.2, -0.6, 0.75]), 1e-5
    slope = (bivariate.distribution(h, k, rho + e) - bivariate.distribution(h, k, rho - e)) / (2 * e)
    np.testing.assert_allclose(bivariate.density(h, k, rho), slope, rtol=1e-7)
    bend = (bivariate.density(h, k, rho + e) - bivariate.density(h, k, rho - e)) / (2 * e)
    np.testing.assert_allclose(bivariate.density_slope(h, k, rho), bend, rtol=1e-6)


@pytest.fixture(scope="module")
def drawn():
    """Two ordered and two plain variables of 400 rows, with one covariate."""
    rng = np.random.default_rng(3)
    x, f = rng.standard_normal((400, 1)), rng.standard_normal(400)
    y = f[:, None] * np.array([0.7, 0.8, 0.6, 0.5]) + 0.6 * rng.standard_normal((400, 4))
    y += x * np.array([0.3, 0.2, -0.4, 0.1])
    found = y.copy()
    found[:, 0], found[:, 2] = np.digitize(y[:, 0], [-0.5, 0.6]), np.digitize(y[:, 2], [0.1])
    return found, x


def _log_density(kinds, categories, values, x, theta, rho):
    """Rows' joint log densities of two variables, theta their margins' parameters one after the other."""
    bounds, at = [], 0
    for ordered, column in zip(kinds, (0, 1), strict=True):
        k = categories[column]
        if ordered:
            level, slope = theta[at : at + k - 1], theta[at + k - 1 : at + k - 1 + x.shape[1]]
            at += k - 1 + x.shape[1]
            ends = np.concatenate([[-np.inf], level, [np.inf]])
            c = values[:, column].astype(int)
            bounds.append((ends[c + 1] - x @ slope, ends[c] - x @ slope))
        else:
            mean, slope, variance = theta[at], theta[at + 1 : at + 1 + x.shape[1]], theta[at + 1 + x.shape[1]]
            at += 2 + x.shape[1]
            bounds.append(((values[:, column] - mean - x @ slope) / np.sqrt(variance), np.sqrt(variance)))
    r = np.full(1, rho)
    if all(kinds):
        (a, b), (c, d) = bounds
        cdf = bivariate.distribution
        return np.log(cdf(a, c, r) - cdf(b, c, r) - cdf(a, d, r) + cdf(b, d, r))
    if not any(kinds):
        (e, s), (f, t) = bounds
        q = (e**2 - 2 * rho * e * f + f**2) / (1 - rho**2)
        return -0.5 * (q + np.log(1 - rho**2)) - np.log(s * t)
    (e, s), (up, low) = bounds if kinds[1] else bounds[::-1]
    root = np.sqrt(1 - rho**2)
    return (
        norm.logpdf(e)
        - np.log(s)
        + np.log(norm.cdf((up - rho * e) / root) - norm.cdf((low - rho * e) / root))
    )


@pytest.mark.parametrize(("i", "j"), [(0, 2), (0, 1), (1, 2), (1, 3)])
def test_scores_of_pairs_are_derivatives_of_their_log_densities(drawn, i, j):
    values, x = drawn
    w = np.ones(len(values))
    levels = {0: 3, 2: 2}
    margins = [
        ordered_margin(values[:, v].astype(int), levels[v], x, w)
        if v in levels
        else numeric_margin(values[:, v], x, w)
        for v in (i, j)
    ]
    found = pair(*margins, x, w)
    assert found.converged
    parts = [np.concatenate([m.level, m.slopes, [] if m.ordered else [m.variance]]) for m in margins]
    theta = np.concatenate(parts)
    kinds = [m.ordered for m in margins]
    at = (kinds, [levels.get(v, 0) for v in (i, j)], values[:, [i, j]], x)

    def rows(theta, rho):
        return _log_density(*at, theta, rho)

    e = 1e-5
    score = (rows(theta, found.rho + e) - rows(theta, found.rho - e)) / (2 * e)
    np.testing.assert_allclose(found.score, score, atol=2e-7)
    assert abs(score.sum()) < 1e-5 * np.sqrt(score @ score)  # a maximum
    slopes = np.stack(
        [(rows(theta + h, found.rho) - rows(theta - h, found.rho)) / (2 * e) for h in e * np.eye(theta.size)]
    )
    products = slopes @ found.score
    np.testing.assert_allclose(np.concatenate([found.first, found.second]), products, atol=2e-4, rtol=1e-6)


def test_scores_of_margins_sum_to_zero(drawn):
    values, x = drawn
    w = np.ones(len(values))
    for v, k in ((0, 3), (2, 2)):
        m = ordered_margin(values[:, v].astype(int), k, x, w)
        assert np.abs(m.scores.sum(axis=0)).max() < 1e-7
    assert np.abs(numeric_margin(values[:, 1], x, w).scores.sum(axis=0)).max() < 1e-9


def test_tables_say_what_pairs_of_rows_say():
    rng = np.random.default_rng(8)
    f = rng.standard_normal(500)
    y = 0.7 * f[:, None] + 0.7 * rng.standard_normal((500, 3))
    category = np.stack(
        [np.digitize(y[:, 0], [0.2]), np.digitize(y[:, 1], [-0.7, 0.5]), np.digitize(y[:, 2], [-1, 0, 1])], 1
    )
    w, x = np.ones(500), np.zeros((500, 0))
    margins = [ordered_margin(category[:, v], v + 2, x, w) for v in range(3)]
    found = polychoric(category, [m.level for m in margins], w)
    for t, (i, j) in enumerate(zip(found.first, found.second, strict=True)):
        one = pair(margins[i], margins[j], x, w)
        assert found.rho[t] == pytest.approx(one.rho, abs=1e-10)
        np.testing.assert_allclose(found.score[t][category[:, i], category[:, j]], one.score, atol=1e-9)
        np.testing.assert_allclose(found.with_first[t][: margins[i].level.size], one.first, atol=1e-7)
        np.testing.assert_allclose(found.with_second[t][: margins[j].level.size], one.second, atol=1e-7)


def test_dichotomies_with_empty_cells():
    category = np.repeat([[0, 0], [0, 1], [1, 1]], [30, 20, 50], axis=0)  # none in (1, 0)
    level = [norm.ppf([0.5]), norm.ppf([0.3])]
    found = polychoric(category, level, np.ones(100))
    table = np.array([[29.5, 20.5], [0.5, 49.5]])  # a half added, margins kept
    p = multivariate_normal.cdf(
        [level[0][0], level[1][0]], cov=[[1, found.rho[0]], [found.rho[0], 1]], abseps=1e-12
    )
    assert p == pytest.approx(table[0, 0] / 100, abs=1e-9)  # two by two tables are reproduced
    one = polychoric(np.repeat([[0, 0], [1, 1]], [40, 60], axis=0), level, np.ones(100))
    assert not one.converged[0]


def test_merged_rows_and_permuted_rows_change_nothing():
    rng = np.random.default_rng(5)
    category = rng.integers(0, 3, size=(300, 3)).astype(float)
    category[:, 1] = np.clip(category[:, 0] + rng.integers(-1, 2, 300), 0, 2)
    parts, x = layout(np.array([2, 2, 2]), 0), np.zeros((300, 0))
    found = statistics(category, x, parts)
    plain = statistics(category, x, parts, np.ones(300))
    other = statistics(category[rng.permutation(300)], x, parts)
    for one in (plain, other):
        np.testing.assert_allclose(found.value, one.value, atol=1e-11)
        np.testing.assert_allclose(found.gamma, one.gamma, atol=1e-8)


@pytest.mark.long
def test_the_sampling_covariance_is_that_of_repeated_samples():
    """1,500 samples of 1,000 rows: each variance within 5 of its standard errors (false alarm below 1e-5)."""
    rng = np.random.default_rng(11)
    parts = layout(np.array([2, 0, 1, 0]), 1)
    values, gammas, n, draws = [], [], 1000, 1500
    for _ in range(draws):
        x, f = rng.standard_normal((n, 1)), rng.standard_normal(n)
        y = f[:, None] * np.array([0.7, 0.8, 0.6, 0.5]) + 0.6 * rng.standard_normal((n, 4))
        y += x * np.array([0.3, 0.2, -0.4, 0.1])
        v = y.copy()
        v[:, 0], v[:, 2] = np.digitize(y[:, 0], [-0.5, 0.6]), np.digitize(y[:, 2], [0.1])
        found = statistics(v, x, parts)
        values.append(found.value)
        gammas.append(np.diag(found.gamma))
    spread = n * np.var(values, axis=0)
    mean = np.mean(gammas, axis=0)
    error = mean * np.sqrt(2.0 / draws) + 0.02 * mean  # and a bias of the order of 1/n
    assert (np.abs(spread - mean) < 5 * error).all()
