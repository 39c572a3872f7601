"""Means and variances against scipy.stats, or against sums and integrals of the density."""

from __future__ import annotations

import math

import numpy as np
import pytest
from family_cases import DENSE
from scipy import integrate, special, stats
from test_cumulative import FROZEN

from dagmodels.distributions import family
from dagmodels.distributions._numeric import quietly

# families whose moments are checked against draws (vectors, matrices) in test_draws.py
BY_DRAWS = {"Multinomial", "Dirichlet", "MvNormal", "MvStudentT", "Simultaneous", "Wishart", "InverseWishart"}
WITHOUT = {"Cauchy", "Categorical", "OrderedLogistic", "LKJCorr", "VonMises", "Flat", "HalfFlat"}
WITHOUT |= {"OrderedProbit", "OrderedCloglog"}
BY_INTEGRAL = {"HalfStudentT", "BetaBinomial"}
BY_OWN_SCIPY = {  # families without a distribution function here
    "NoncentralChiSquared": (stats.ncx2, (3.0, 5.0)),
    "Hypergeometric": (lambda n1, n2, m, psi: stats.nchypergeom_fisher(n1 + n2, n1, m, psi), (12, 9, 8, 2.5)),
}
BY_SCIPY = set(FROZEN) - WITHOUT - BY_INTEGRAL

POINTS = {
    "Normal": [(3.0, 2.0)],
    "StudentT": [(1.5, 1.0, 2.0), (5.0, 1.0, 2.0)],
    "Laplace": [(3.0, 2.0)],
    "Logistic": [(3.0, 2.0)],
    "HalfNormal": [(3.0,)],
    "HalfCauchy": [(3.0,)],
    "Exponential": [(0.3,)],
    "Gamma": [(0.3, 4.0)],
    "InverseGamma": [(1.5, 2.0), (5.0, 2.0)],
    "LogNormal": [(0.5, 0.7)],
    "Weibull": [(0.7, 3.0), (4.0, 0.1)],
    "Beta": [(0.4, 3.0)],
    "Uniform": [(-1.0, 4.0)],
    "Bernoulli": [(0.3,)],
    "Binomial": [(20.0, 0.3)],
    "Poisson": [(2.5,)],
    "NegativeBinomial": [(3.0, 0.7)],
    "Geometric": [(0.2,)],
    "Wald": [(1.5, 2.0)],
    "ZeroInflatedPoisson": [(0.3, 2.5)],
    "ZeroInflatedBinomial": [(0.3, 20.0, 0.3)],
    "ZeroInflatedNegativeBinomial": [(0.3, 3.0, 0.7)],
    "HurdlePoisson": [(0.3, 2.5)],
    "HurdleNegativeBinomial": [(0.3, 3.0, 0.7)],
    "Pareto": [(1.5, 2.0), (4.0, 2.0)],
    "FisherF": [(3.0, 5.0), (0.7, 12.0), (2.0, 3.0)],
    "GeneralizedGamma": [(0.4, 2.0, 3.0), (6.0, 0.1, 0.5)],
}


def test_every_family_is_covered():
    assert set(DENSE) == BY_DRAWS | WITHOUT | BY_INTEGRAL | BY_SCIPY | set(BY_OWN_SCIPY)
    assert set(POINTS) == BY_SCIPY
    for name in DENSE:
        assert (DENSE[name].mean is None) == (name in WITHOUT), name


@pytest.mark.parametrize(("name", "parameters"), [(n, p) for n, sets in POINTS.items() for p in sets])
def test_moments_agree_with_scipy(name: str, parameters: tuple):
    member, frozen = family(name), FROZEN[name](*parameters)
    np.testing.assert_allclose(quietly(member.mean, *parameters), frozen.mean(), rtol=1e-12)
    if member.variance is None:
        assert name == "HalfCauchy"
        return
    got, want = quietly(member.variance, *parameters), frozen.var()
    assert got == want or abs(got - want) <= 1e-11 * want


@pytest.mark.parametrize("name", BY_OWN_SCIPY)
def test_moments_of_families_without_a_distribution_function(name: str):
    law, parameters = BY_OWN_SCIPY[name]
    member, frozen = family(name), law(*parameters)
    np.testing.assert_allclose(quietly(member.mean, *parameters), frozen.mean(), rtol=1e-9)
    np.testing.assert_allclose(quietly(member.variance, *parameters), frozen.var(), rtol=1e-8)


def test_moments_that_do_not_exist():
    assert np.isnan(quietly(family("StudentT").mean, 0.5, 1.0, 2.0))
    assert np.isnan(quietly(family("StudentT").variance, 0.5, 1.0, 2.0))
    assert quietly(family("InverseGamma").mean, 0.5, 2.0) == math.inf
    assert quietly(family("InverseGamma").variance, 0.5, 2.0) == math.inf
    assert quietly(family("Pareto").mean, 0.5, 2.0) == math.inf
    assert quietly(family("Pareto").variance, 0.5, 2.0) == math.inf
    assert np.all(np.isnan(quietly(family("InverseWishart").mean, 2.5, np.eye(3))))
    assert np.all(np.isnan(quietly(family("InverseWishart").variance, 5.5, np.eye(3))))


def test_half_student_t_by_integration():
    member = family("HalfStudentT")
    nu, sigma = 5.0, 2.0

    def moment(g):
        def integrand(x):
            return g(x) * math.exp(quietly(member.log_density, x, nu, sigma))

        return integrate.quad(integrand, 0, np.inf, epsabs=1e-13, epsrel=1e-13)[0]

    mean = moment(lambda x: x)
    np.testing.assert_allclose(quietly(member.mean, nu, sigma), mean, rtol=1e-9)
    np.testing.assert_allclose(
        quietly(member.variance, nu, sigma), moment(lambda x: (x - mean) ** 2), rtol=1e-8
    )
    assert quietly(member.mean, 0.8, 1.0) == math.inf
    assert quietly(member.variance, 1.5, 1.0) == math.inf


def test_beta_binomial_by_summation():
    member, parameters = family("BetaBinomial"), (12.0, 0.7, 2.5)
    x = np.arange(13.0)
    p = np.exp(quietly(member.log_density, x, *parameters))
    np.testing.assert_allclose(quietly(member.mean, *parameters), p @ x, rtol=1e-12)
    np.testing.assert_allclose(quietly(member.variance, *parameters), p @ x**2 - (p @ x) ** 2, rtol=1e-11)


@pytest.mark.parametrize(
    "name", ["OrderedLogistic", "OrderedProbit", "OrderedCloglog", "LKJCorr", "VonMises"]
)
def test_densities_integrate_to_one(name: str):
    """Normalisation of what has no like in scipy's tables of univariate laws, by sums and integrals."""
    member = family(name)
    if name.startswith("Ordered"):
        sigma = (1.5,) if name == "OrderedProbit" else ()
        p = quietly(member.log_density, np.arange(4.0), 0.3, np.array([-1.0, 0.5, 2.0]), *sigma)
        assert abs(np.exp(p).sum() - 1) < 1e-14
    elif name == "LKJCorr":
        # dimension 3: integrate det(R)^(eta - 1) over the three correlations by partial correlations
        eta = 1.7
        b = special.beta(eta + 0.5, eta + 0.5) * 2 ** (2 * eta)  # of each of the first two
        c = special.beta(eta, eta) * 2 ** (2 * eta - 1)
        got = quietly(member.log_density, np.eye(3), eta)
        assert abs(got + math.log(b * b * c)) < 1e-13
    else:
        x = np.linspace(-math.pi, math.pi, 2001)[:-1]  # the trapezoid rule is exact for periodic functions
        total = np.exp(quietly(member.log_density, x, 1.0, 5.0)).mean() * 2 * math.pi
        assert abs(total - 1) < 1e-13
