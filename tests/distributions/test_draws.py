"""Draws against distribution functions, probabilities and moments.

Every test of a random quantity fails falsely with probability at most 1e-6 (times the number of
comparisons inside it, which its threshold is divided by): Kolmogorov-Smirnov and chi-square tests by
their p value, moments by their own Monte Carlo standard error and a normal quantile.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from family_cases import DENSE
from scipy import special, stats

from dagmodels.distributions import family
from dagmodels.distributions._numeric import quietly
from dagmodels.errors import ModelError

FALSE_ALARM = 1e-6
DRAWS = 20_000

A3 = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
B3 = np.array([[0.0, 0.5, 0.0], [-0.3, 0.0, 0.2], [0.1, 0.0, 0.0]])

PARAMETERS: dict[str, list[tuple]] = {
    "Normal": [(3.0, 2.0), (-50.0, 0.01)],
    "StudentT": [(0.5, 1.0, 2.0), (5.0, -3.0, 0.1), (100.0, 0.0, 1.0)],
    "Laplace": [(3.0, 2.0)],
    "Logistic": [(3.0, 2.0)],
    "HalfNormal": [(3.0,)],
    "HalfCauchy": [(3.0,)],
    "HalfStudentT": [(1.5, 3.0), (4.0, 0.1)],
    "Cauchy": [(3.0, 2.0)],
    "Exponential": [(0.02,)],
    "Gamma": [(0.05, 3.0), (7.0, 0.2)],
    "InverseGamma": [(0.5, 3.0), (7.0, 0.2)],
    "LogNormal": [(1.0, 2.0)],
    "Weibull": [(0.3, 2.0), (5.0, 0.1)],
    "Beta": [(0.1, 0.2), (5.0, 2.0), (300.0, 700.0)],
    "Uniform": [(-2.0, 5.0)],
    "Bernoulli": [(0.3,), (0.0,), (1.0,)],
    "Binomial": [(10, 0.3), (1000, 0.01), (0, 0.4), (5, 1.0)],
    "BetaBinomial": [(10, 0.5, 2.0), (30, 20.0, 10.0)],
    "Poisson": [(0.3,), (60.0,), (0.0,)],
    "NegativeBinomial": [(3.0, 0.4), (20.0, 50.0)],
    "Geometric": [(0.2,), (1.0,)],
    "Categorical": [([0.2, 0.5, 0.0, 0.3],)],
    "OrderedLogistic": [(0.4, [-1.0, 0.2, 2.0])],
    "OrderedProbit": [(0.4, [-1.0, 0.2, 2.0], 1.5)],
    "OrderedCloglog": [(0.4, [-1.0, 0.2, 1.0])],
    "Wald": [(3.0, 0.5), (0.2, 7.0)],
    "ZeroInflatedPoisson": [(0.7, 2.0), (0.0, 3.0)],
    "ZeroInflatedBinomial": [(0.6, 12, 0.3), (1.0, 5, 0.5)],
    "ZeroInflatedNegativeBinomial": [(0.6, 3.0, 0.8)],
    "HurdlePoisson": [(0.7, 0.3), (1.0, 3.0)],
    "HurdleNegativeBinomial": [(0.4, 3.0, 0.5)],
    "Multinomial": [(4, [0.2, 0.5, 0.3])],
    "Dirichlet": [([0.5, 2.0, 7.0],), ([0.01, 0.02, 0.03],)],
    "MvNormal": [([1.0, -2.0, 0.5], A3)],
    "MvStudentT": [(2.5, [1.0, -2.0, 0.5], A3), (30.0, [1.0, -2.0, 0.5], A3)],
    "Simultaneous": [([1.0, -2.0, 0.5], B3, A3)],
    "Wishart": [(2.5, A3), (30.0, A3)],
    "InverseWishart": [(8.5, A3), (30.0, A3)],
    "LKJCorr": [(0.7,), (4.0,)],
    "VonMises": [(0.5, 2.0), (-2.0, 0.0), (3.0, 40.0)],
    "Pareto": [(0.5, 2.0), (40.0, 0.1)],
    "FisherF": [(3.0, 5.0), (0.7, 1.2)],
    "NoncentralChiSquared": [(3.0, 5.0), (0.7, 0.0)],
    "Hypergeometric": [(12.0, 9.0, 8.0, 2.5), (3.0, 200.0, 20.0, 0.4)],
    "GeneralizedGamma": [(0.4, 2.0, 3.0), (6.0, 0.1, 0.5)],
    "Flat": [],
    "HalfFlat": [],
}
SIZES = {"LKJCorr": (4, 4), "Multinomial": (3,), "Dirichlet": (3,), "MvNormal": (3,), "Simultaneous": (3,)}
SIZES |= {"MvStudentT": (3,), "Wishart": (3, 3), "InverseWishart": (3, 3)}
CASES = [(name, p) for name, sets in PARAMETERS.items() for p in sets]


def test_every_family_is_drawn():
    assert set(PARAMETERS) == set(DENSE)
    assert {n for n, sets in PARAMETERS.items() if not sets} == {"Flat", "HalfFlat"}


@pytest.mark.parametrize("name", ["Flat", "HalfFlat"])
def test_improper_laws_refuse(name: str):
    with pytest.raises(ModelError, match="no draws"):
        family(name).draw(np.random.default_rng(1), size=3)


def sample(name: str, parameters: tuple, n: int = DRAWS):
    rng = np.random.default_rng(sum(map(ord, name)) + len(str(parameters)))
    return family(name).draw(rng, *parameters, size=(n, *SIZES.get(name, ())))


def assert_frequencies(x, probability, support):
    """Chi-square test of counts, cells of expectation below 5 pooled; impossible values must not occur."""
    p = np.exp(probability)
    assert abs(p.sum() - 1) < 1e-9 or p.sum() < 1
    counts = np.array([np.sum(x == s) for s in support], dtype=float)
    assert np.all(counts[p == 0] == 0)
    rest, rest_p = x.size - counts.sum(), max(1 - p.sum(), 0.0)
    big = p * x.size >= 5
    observed = np.append(counts[big], counts[~big].sum() + rest)
    expected = np.append(p[big], p[~big].sum() + rest_p) * x.size
    keep = expected > 1e-9 * x.size
    assert observed[~keep].sum() == 0
    if keep.sum() > 1:
        statistic = np.sum((observed[keep] - expected[keep]) ** 2 / expected[keep])
        assert stats.chi2.sf(statistic, keep.sum() - 1) > FALSE_ALARM


def numeric_cdf(name: str, parameters: tuple, x):
    """The distribution function of families without one: scipy's, or by quadrature of the density."""
    if name == "NoncentralChiSquared":
        return stats.ncx2.cdf(x, *parameters)
    grid = np.linspace(-math.pi, math.pi, 20_001)
    density = np.exp(quietly(family(name).log_density, grid, *parameters))
    steps = np.diff(grid) * (density[1:] + density[:-1]) / 2
    return np.interp(x, grid, np.concatenate([[0.0], np.cumsum(steps)]))


SCALAR = [(n, p) for n, p in CASES if family(n).event == 0]


@pytest.mark.parametrize(("name", "parameters"), [c for c in SCALAR if not family(c[0]).discrete])
def test_continuous_draws(name: str, parameters: tuple):
    member, x = family(name), sample(name, parameters)
    if member.log_cdf is None:
        cdf = partial(numeric_cdf, name, parameters)
    else:

        def cdf(t):
            return np.exp(quietly(member.log_cdf, t, *parameters))

    assert stats.kstest(x, cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("name", "parameters"), [c for c in SCALAR if family(c[0]).discrete])
def test_discrete_draws(name: str, parameters: tuple):
    x = sample(name, parameters)
    assert x.dtype.kind == "i"
    support = np.arange(0.0, max(x.max() + 2, 10))
    values = (np.asarray(p) if np.ndim(p) else p for p in parameters)
    assert_frequencies(x, quietly(family(name).log_density, support, *values), support)


def test_multinomial_draws():
    n, p = PARAMETERS["Multinomial"][0]
    x = sample("Multinomial", (n, p))
    cells = np.array([(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)], dtype=float)
    code = x[:, 0] * 100 + x[:, 1]
    assert_frequencies(
        code, quietly(family("Multinomial").log_density, cells, n, p), cells[:, 0] * 100 + cells[:, 1]
    )


@pytest.mark.parametrize("a", [p[0] for p in PARAMETERS["Dirichlet"]])
def test_dirichlet_margins_are_beta(a: list[float]):
    x = sample("Dirichlet", (a,))
    np.testing.assert_allclose(x.sum(axis=-1), 1, rtol=1e-12)
    for i in range(3):
        beta = stats.beta(a[i], sum(a) - a[i])
        if min(a) > 0.1:
            assert stats.kstest(x[:, i], beta.cdf).pvalue > FALSE_ALARM / 3
        else:  # much of the law lies within a rounding of 1: cells, some of them very near zero
            edges = np.array([0, 1e-100, 1e-30, 1e-10, 1e-3, 0.5, 0.999, 1 - 1e-10, 1])
            expected = np.diff(beta.cdf(edges)) * x.shape[0]
            observed = np.histogram(x[:, i], edges)[0]
            statistic = np.sum((observed - expected) ** 2 / expected)
            assert np.min(expected) > 5
            assert stats.chi2.sf(statistic, len(expected) - 1) > FALSE_ALARM / 3


def test_lkj_margins_are_beta():
    for (eta,) in PARAMETERS["LKJCorr"]:
        R = sample("LKJCorr", (eta,))
        b = eta + (4 - 2) / 2
        for i, j in zip(*np.tril_indices(4, -1), strict=True):
            assert stats.kstest((R[:, i, j] + 1) / 2, stats.beta(b, b).cdf).pvalue > FALSE_ALARM / 12


def test_lkj_determinant():
    # E det R under the density det(R)^(eta - 1) is the ratio of its normalisers at eta + 1 and eta
    from dagmodels.distributions.lkj_corr import log_normaliser

    for (eta,) in PARAMETERS["LKJCorr"]:
        det = np.linalg.det(sample("LKJCorr", (eta,)))
        want = math.exp(quietly(log_normaliser, eta + 1, 4) - quietly(log_normaliser, eta, 4))
        assert_mean(det, want, 2)


def assert_mean(x, want, comparisons: int = 1):
    """Means along the first axis, each within its own Monte Carlo error."""
    z = (x.mean(axis=0) - want) / (x.std(axis=0, ddof=1) / math.sqrt(x.shape[0]))
    assert np.max(np.abs(z)) < stats.norm.isf(FALSE_ALARM / (2 * np.size(want) * comparisons))


@pytest.mark.parametrize(("name", "parameters"), [c for c in CASES if family(c[0]).event > 0])
def test_moments_of_vectors_and_matrices(name: str, parameters: tuple):
    member, x = family(name), sample(name, parameters)
    if member.mean is None:
        assert name == "LKJCorr"  # by symmetry its mean is the identity
        off = x[:, *np.tril_indices(4, -1)]
        assert_mean(off, np.zeros(6))
        return
    mean = quietly(member.mean, *parameters)
    # vectors that are nearly indicators have no normal limit at this size: their margins are tested above
    if name == "Dirichlet" and max(parameters[0]) < 0.1:
        return
    lower = np.tril_indices(3) if member.event == 2 else (slice(None),)
    assert_mean(x[:, *lower], mean[lower], 2)
    variance = quietly(member.variance, *parameters)
    assert_mean(((x - mean) ** 2)[:, *lower], variance[lower], 2)


@pytest.mark.parametrize("name", ["MvNormal", "Simultaneous"])
def test_covariances_and_margins(name: str):
    for parameters in PARAMETERS[name]:
        x = sample(name, parameters)
        mean = quietly(family(name).mean, *parameters)
        if name == "MvNormal":
            cov = parameters[1]
        else:
            inverse = np.linalg.inv(np.eye(3) - B3)
            cov = inverse @ A3 @ inverse.T
        i, j = np.tril_indices(3, -1)
        assert_mean((x - mean)[:, i] * (x - mean)[:, j], cov[i, j])
        distance = np.einsum("ni,ij,nj->n", x - mean, np.linalg.inv(cov), x - mean)
        assert stats.kstest(distance, stats.chi2(3).cdf).pvalue > FALSE_ALARM


def test_wishart_log_determinant_and_margin():
    for nu, V in [(5.5, A3), (30.0, A3)]:
        x = sample("Wishart", (nu, V))
        assert stats.kstest(x[:, 1, 1] / V[1, 1], stats.chi2(nu).cdf).pvalue > FALSE_ALARM / 2
        # the determinant is det V times a product of chi-squares with nu, nu - 1, nu - 2 degrees of freedom
        logs = special.psi((nu - np.arange(3)) / 2) + math.log(2)
        want = logs.sum() + np.linalg.slogdet(V)[1]
        assert_mean(np.linalg.slogdet(x)[1], want, 2)


def test_singular_covariance_is_drawn():
    cov = np.array([[1.0, 1.0], [1.0, 1.0]])
    x = family("MvNormal").draw(np.random.default_rng(1), np.zeros(2), cov, size=(100, 2))
    np.testing.assert_allclose(x[:, 0], x[:, 1], atol=1e-7)


BROADCAST = [(n, p) for n, sets in PARAMETERS.items() for p in sets[:1]]


@pytest.mark.parametrize(("name", "parameters"), BROADCAST)
def test_sizes_and_broadcasting(name: str, parameters: tuple):
    member, event = family(name), SIZES.get(name, ())
    rng = np.random.default_rng(5)
    assert member.draw(rng, *parameters, size=(2, 5, *event)).shape == (2, 5, *event)
    stacked = [np.broadcast_to(p, (7, *np.shape(p))) for p in parameters]
    if name != "LKJCorr":
        assert np.shape(member.draw(rng, *parameters)) == event
        assert member.draw(rng, *stacked).shape == (7, *event)
    assert member.draw(rng, *stacked, size=(7, *event)).shape == (7, *event)
    assert member.draw(rng, *stacked, size=(3, 7, *event)).shape == (3, 7, *event)


def test_broadcast_parameters_meet_their_elements():
    rng = np.random.default_rng(6)
    mu = np.array([-1e6, 0.0, 1e6])
    assert np.array_equal(np.round(rng.normal(size=3) * 0 + family("Normal").draw(rng, mu, 1e-3)), mu)
    x = family("Gamma").draw(rng, np.array([1.0, 1e8]), np.array([[1.0], [1e8]]), size=(2, 2))
    np.testing.assert_allclose(x[:, 1], [1e8, 1.0], rtol=1e-2)
    counts = family("Multinomial").draw(rng, np.array([0, 5]), np.array([[0.5, 0.5], [0.0, 1.0]]))
    np.testing.assert_array_equal(counts, [[0, 0], [0, 5]])
    z = family("Categorical").draw(rng, np.eye(3))
    np.testing.assert_array_equal(z, [0, 1, 2])
    scales = np.array([1.0, 1e6])[:, None, None] * np.eye(2)
    W = family("Wishart").draw(rng, np.array([50.0, 5000.0]), scales)
    np.testing.assert_allclose(np.trace(W, axis1=1, axis2=2), [100.0, 1e10], rtol=1)


def test_a_lkj_matrix_needs_its_size():
    with pytest.raises(ModelError, match="size"):
        family("LKJCorr").draw(np.random.default_rng(1), 2.0)


def test_same_seed_same_draws():
    for name, parameters in CASES:
        first, second = sample(name, parameters, 5), sample(name, parameters, 5)
        np.testing.assert_array_equal(first, second)
