"""Distribution functions in logarithms, into both tails, and where the regularised functions underflow."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from family_cases import CASES, N, decades
from scipy import special, stats

from dagmodels.distributions import families, family
from dagmodels.distributions._numeric import quietly
from dagmodels.graph.calculus import derivative, value
from dagmodels.graph.expression import Reference
from dagmodels.graph.functions import tree


class NegativeBinomial:
    """By its mean: scipy's takes p, of which 1 - p has few digits where the mean is small against alpha."""

    def __init__(self, mu, alpha):
        self.mu, self.alpha = mu, alpha

    def sf(self, x):
        return special.betainc(x + 1, self.alpha, self.mu / (self.alpha + self.mu))

    def mean(self):
        return self.mu

    def var(self):
        return self.mu + self.mu**2 / self.alpha


class MoreZeros:
    """A law of scipy's times a share (which may exceed one), the rest zero."""

    def __init__(self, base, share):
        self.base, self.share = base, share

    def cdf(self, x):
        return 1 - self.share * self.base.sf(x)

    def sf(self, x):
        return self.share * self.base.sf(x)

    def mean(self):
        return self.share * self.base.mean()

    def var(self):
        return self.share * (self.base.var() + self.base.mean() ** 2) - self.mean() ** 2


FROZEN = {
    "Normal": lambda mu, sigma: stats.norm(mu, sigma),
    "StudentT": lambda nu, mu, sigma: stats.t(nu, mu, sigma),
    "Laplace": lambda mu, b: stats.laplace(mu, b),
    "Logistic": lambda mu, s: stats.logistic(mu, s),
    "HalfNormal": lambda sigma: stats.halfnorm(scale=sigma),
    "HalfCauchy": lambda beta: stats.halfcauchy(scale=beta),
    "HalfStudentT": None,
    "Cauchy": lambda alpha, beta: stats.cauchy(alpha, beta),
    "Exponential": lambda lam: stats.expon(scale=1 / lam),
    "Gamma": lambda a, b: stats.gamma(a, scale=1 / b),
    "InverseGamma": lambda a, b: stats.invgamma(a, scale=b),
    "LogNormal": lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
    "Weibull": lambda a, b: stats.weibull_min(a, scale=b),
    "Beta": lambda a, b: stats.beta(a, b),
    "Uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
    "Bernoulli": lambda p: stats.bernoulli(p),
    "Binomial": lambda n, p: stats.binom(n, p),
    "Poisson": lambda mu: stats.poisson(mu),
    "NegativeBinomial": lambda mu, alpha: stats.nbinom(alpha, alpha / (alpha + mu)),
    "Geometric": lambda p: stats.geom(p),
    "OrderedLogistic": None,
    "OrderedProbit": None,
    "OrderedCloglog": None,
    "Wald": lambda mu, lam: stats.invgauss(mu / lam, scale=lam),
    "ZeroInflatedPoisson": lambda psi, mu: MoreZeros(stats.poisson(mu), psi),
    "ZeroInflatedBinomial": lambda psi, n, p: MoreZeros(stats.binom(n, p), psi),
    "ZeroInflatedNegativeBinomial": lambda psi, mu, alpha: MoreZeros(NegativeBinomial(mu, alpha), psi),
    "HurdlePoisson": lambda psi, mu: MoreZeros(stats.poisson(mu), psi / -np.expm1(-mu)),
    "HurdleNegativeBinomial": lambda psi, mu, alpha: MoreZeros(
        NegativeBinomial(mu, alpha), psi / -np.expm1(-alpha * np.log1p(mu / alpha))
    ),
    "Pareto": lambda a, m: stats.pareto(a, scale=m),
    "FisherF": stats.f,
    "GeneralizedGamma": lambda a, b, c: stats.gengamma(a, c, scale=1 / b),
}
UNIVARIATE = [n for n, m in families().items() if m.log_cdf is not None]


def test_every_family_with_a_distribution_function_is_here():
    assert set(UNIVARIATE) == set(FROZEN)
    assert all(families()[n].log_survival is not None for n in UNIVARIATE)
    without = {n for n, m in families().items() if m.event == 0 and not m.estimated} - set(UNIVARIATE)
    assert without == {"BetaBinomial", "Categorical", "Flat", "HalfFlat", "VonMises"} | {
        "NoncentralChiSquared",
        "Hypergeometric",
    }


def tails(name: str, seed: int):
    case = CASES[name]
    rng = np.random.default_rng(seed)
    parameters = case.parameters(rng)
    x = case.points(rng, *parameters)
    member = family(name)
    return (
        x,
        parameters,
        quietly(member.log_cdf, x, *parameters),
        quietly(member.log_survival, x, *parameters),
    )


def reference(name: str, x, parameters):
    if name == "HalfStudentT":
        nu, sigma = parameters
        t = stats.t(nu)
        return np.where(x < sigma, 1 - 2 * t.sf(x / sigma), 2 * t.cdf(x / sigma) - 1), 2 * t.sf(x / sigma)
    if name.startswith("Ordered"):
        eta, cutpoints, *sigma = parameters
        edges = np.concatenate([cutpoints, np.full((N, 1), np.inf)], axis=1)
        cut = (edges[np.arange(N), x.astype(int)] - eta) / (sigma[0] if sigma else 1)
        match name:
            case "OrderedLogistic":
                return special.expit(cut), special.expit(-cut)
            case "OrderedProbit":
                return special.ndtr(cut), special.ndtr(-cut)
            case _:
                return -np.expm1(-np.exp(cut)), np.exp(-np.exp(cut))
    frozen = FROZEN[name](*parameters)
    return frozen.cdf(x), frozen.sf(x)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_agrees_with_scipy_where_scipy_does_not_underflow(name: str):
    x, parameters, log_cdf, log_survival = tails(name, 21)
    for got, want in zip((log_cdf, log_survival), reference(name, x, parameters), strict=True):
        # relative error of the reference: 1e-11 far out, where Cauchy and t tails lose digits in scipy
        seen = want > 1e-200
        assert seen.mean() > 0.4
        np.testing.assert_allclose(np.exp(got[seen]), want[seen], rtol=2e-11, atol=1e-15)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_the_two_tails_add_up(name: str):
    _, _, log_cdf, log_survival = tails(name, 22)
    np.testing.assert_allclose(np.exp(log_cdf) + np.exp(log_survival), 1, rtol=1e-11)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_beyond_the_support_and_at_infinity(name: str):
    member = family(name)
    parameters = [p[:1] for p in CASES[name].parameters(np.random.default_rng(1))]
    far = np.array([math.inf])
    assert quietly(member.log_cdf, -far, *parameters) == -math.inf
    assert quietly(member.log_survival, -far, *parameters) == 0
    assert quietly(member.log_cdf, far, *parameters) == 0
    assert quietly(member.log_survival, far, *parameters) == -math.inf


@pytest.mark.parametrize("name", [n for n in UNIVARIATE if not families()[n].discrete])
def test_the_slope_is_the_density(name: str):
    member = family(name)
    names = ("x", *(a.name for a in member.parameters))
    x, parameters, log_cdf, log_survival = tails(name, 23)
    point = dict(zip(names, (x, *parameters), strict=True))
    density = quietly(member.log_density, x, *parameters)
    for formula, sign, at in ((member.log_cdf, 1, log_cdf), (member.log_survival, -1, log_survival)):
        slope = value(derivative(formula(tree, *map(Reference, names)), Reference("x")), point)
        with np.errstate(all="ignore"):
            want = sign * np.exp(density - at)
        # below this the other tail is 1 to the last digit and the slope is beneath rounding
        seen = np.isfinite(want) & (np.abs(want) * np.abs(x) > 1e-12)
        assert seen.mean() > 0.3
        np.testing.assert_allclose(slope[seen], want[seen], rtol=1e-7, atol=1e-13)


def log_fraction(q: Fraction) -> float:
    """Logarithm of an exact fraction, however small."""
    shift = q.denominator.bit_length() - q.numerator.bit_length()
    return math.log(float(q * 2**shift)) - shift * math.log(2)


@pytest.mark.parametrize(
    ("n", "k", "p"), [(1000, 900, (1, 10)), (1000, 5, (1, 100)), (2000, 1990, (1, 2)), (300, 299, (1, 50))]
)
def test_deep_binomial_tails_are_exact(n: int, k: int, p: tuple[int, int]):
    share = Fraction(*p)
    tail = sum(Fraction(math.comb(n, i)) * share**i * (1 - share) ** (n - i) for i in range(k + 1, n + 1))
    got = quietly(family("Binomial").log_survival, k, n, float(share))
    assert abs(got - log_fraction(tail)) <= 1e-12 * abs(log_fraction(tail)) + 1e-13


@pytest.mark.parametrize(("n", "x"), [(3, 2000.0), (50, 5000.0), (200, 1500.0)])
def test_deep_gamma_tails_are_sums_of_poisson_terms(n: int, x: float):
    k = np.arange(n)
    terms = k * np.log(x) - special.gammaln(k + 1)
    want = -x + special.logsumexp(terms)
    assert abs(quietly(lambda f, a, b: f.log_gammaincc(a, b), n, x) - want) <= 1e-13 * abs(want)


@pytest.mark.parametrize(("a", "x"), [(400.0, 1.0), (2000.0, 300.0), (1e5, 6e4)])
def test_deep_lower_gamma_tails(a: float, x: float):
    n = np.arange(20_000)
    want = special.logsumexp((a + n) * math.log(x) - x - special.gammaln(a + n + 1))
    assert abs(quietly(lambda f, s, t: f.log_gammainc(s, t), a, x) - want) <= 1e-12 * abs(want)


def test_tails_of_powers():
    a = np.array([1e3, 1e4, 5e4])
    np.testing.assert_allclose(
        quietly(lambda f, s: f.log_betainc(s, 1.0, 0.1), a), a * math.log(0.1), rtol=1e-14
    )
    np.testing.assert_allclose(
        quietly(lambda f, s: f.log_betainc(1.0, s, 1e-3), a),
        np.log(-np.expm1(a * math.log1p(-1e-3))),
        atol=1e-14,
    )


def test_normal_tails_far_out():
    z = np.array([-1e4, -50.0, -20.0])
    # A&S 26.2.12: log phi(z)/|z| (1 - 1/z^2 + 3/z^4 - 15/z^6 + 105/z^8 - ...)
    series = np.log1p(-1 / z**2 + 3 / z**4 - 15 / z**6 + 105 / z**8 - 945 / z**10)
    want = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - np.log(-z) + series
    np.testing.assert_allclose(quietly(family("Normal").log_cdf, z, 0, 1), want, rtol=1e-10)


def test_extreme_quantiles_of_student_t_and_cauchy():
    x = decades(np.random.default_rng(2), 1e3, 1e100)
    np.testing.assert_allclose(
        quietly(family("Cauchy").log_survival, x, 0, 1), np.log(np.arctan(1 / x) / math.pi), rtol=1e-13
    )
    np.testing.assert_allclose(
        quietly(family("StudentT").log_survival, x, 1.0, 0, 1), np.log(np.arctan(1 / x) / math.pi), rtol=1e-13
    )
    small = 1 / x
    np.testing.assert_allclose(
        quietly(family("HalfCauchy").log_cdf, small, 1), np.log(2 / math.pi * np.arctan(small)), rtol=1e-13
    )
