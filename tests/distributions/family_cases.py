"""One case a family: random parameters over four decades, points into the tails, an independent formula
(over 500 lines: one list of all families).

The references are scipy.stats (version as installed) where it has the family, else a formula written
from a source that the package does not use.  A family without an entry here fails every test that
runs over `families()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from scipy import special, stats

from dagmodels.distributions import families

N = 300
DENSE = {n: m for n, m in families().items() if not m.estimated}  # families that have a density


def decades(rng: Any, low: float = 1e-2, high: float = 1e2, n: int = N) -> Any:
    """Log-uniform over [low, high]: four decades unless said otherwise."""
    return np.exp(rng.uniform(math.log(low), math.log(high), n))


def spread(rng: Any, n: int = N) -> Any:
    """Standardised values from the centre to far tails, of either sign."""
    return rng.choice([-1.0, 1.0], n) * decades(rng, 1e-3, 1e3, n)


def probabilities(rng: Any, n: int = N) -> Any:
    """Probabilities near 0, in the middle and near 1."""
    p = np.where(rng.random(n) < 0.5, decades(rng, 1e-4, 1.0, n), 1 - decades(rng, 1e-4, 1.0, n))
    return np.clip(p, 1e-4, 1 - 1e-4)


def covariances(rng: Any, d: int = 3, n: int = N) -> Any:
    """Random covariance matrices with scales over four decades."""
    A = rng.standard_normal((n, d, d + 2))
    scale = decades(rng, 1e-2, 1e2, n * d).reshape(n, d)
    return np.einsum("nik,njk,ni,nj->nij", A, A, scale, scale) / d


def correlations(rng: Any, d: int = 4, n: int = N) -> Any:
    """Random correlation matrices."""
    A = rng.standard_normal((n, d, d + 1))
    C = A @ np.swapaxes(A, -1, -2)
    s = 1 / np.sqrt(np.diagonal(C, axis1=-2, axis2=-1))
    R = C * s[:, :, None] * s[:, None, :]
    R[:, np.arange(d), np.arange(d)] = 1.0
    return R


@dataclass(frozen=True)
class Case:
    """parameters(rng) -> arrays of N; points(rng, *parameters) -> N points of the support.

    reference : log density. rtol : of 1 + |log density|, with its reason in `reason`.
    outside : points outside the support or with invalid parameters: (x, *parameters).
    discrete : positions of parameters that are counts, in which nothing is differentiated.
    smooth_from : smallest distance from a kink of the density at which derivatives are checked.
    """

    parameters: Callable[[Any], tuple[Any, ...]]
    points: Callable[..., Any]
    reference: Callable[..., Any]
    outside: tuple[tuple[Any, ...], ...]
    rtol: float = 2e-13
    reason: str = "sums of a few elementary functions, each rounded once"
    counts: tuple[int, ...] = ()


def each(f: Callable[..., float]) -> Callable[..., Any]:
    """A formula for one point, applied to all."""
    return lambda *arrays: np.array([f(*row) for row in zip(*arrays, strict=True)])


def two(low: float = 1e-2, high: float = 1e2) -> Callable[[Any], tuple[Any, Any]]:
    return lambda rng: (decades(rng, low, high), decades(rng, low, high))


def location_scale(rng: Any) -> tuple[Any, Any]:
    return spread(rng), decades(rng)


def around(rng: Any, mu: Any, sigma: Any) -> Any:
    return mu + sigma * spread(rng)


def one(rng: Any) -> tuple[Any]:
    return (decades(rng),)


def positive(rng: Any, *parameters: Any) -> Any:
    return decades(rng, 1e-3, 1e3)


def near_mean(rng: Any, alpha: Any, beta: Any) -> Any:
    return alpha / beta * decades(rng, 1e-3, 30.0)


def up_to(rng: Any, n: Any, *parameters: Any) -> Any:
    edge = rng.choice([0, 1, 2], N, p=[0.8, 0.1, 0.1])
    return np.where(edge == 1, 0.0, np.where(edge == 2, n, np.floor(rng.random(N) * (n + 1))))


def trials(rng: Any) -> Any:
    return np.floor(decades(rng, 1, 1e4))


def counts_around(rng: Any, mu: Any, *parameters: Any) -> Any:
    return np.where(rng.random(N) < 0.2, 0.0, np.floor(mu * decades(rng, 0.1, 10.0)))


def simplexes(rng: Any, d: int = 4, concentration: float = 0.7) -> Any:
    return rng.dirichlet(np.full(d, concentration), N) * (1 - 1e-6) + 1e-6 / d


def ordered_probability(x: float, eta: float, cutpoints: Any) -> float:
    """Difference of two logistic distribution functions in 60 decimal digits."""
    with localcontext() as context:
        context.prec = 60

        def expit(z: Decimal) -> Decimal:
            return 1 / (1 + (-z).exp())

        k, last = int(x), len(cutpoints)
        high = Decimal(1) if k == last else expit(Decimal(float(cutpoints[k])) - Decimal(float(eta)))
        low = Decimal(0) if k == 0 else expit(Decimal(float(cutpoints[k - 1])) - Decimal(float(eta)))
        return float((high - low).ln())


def probit_probability(x: float, eta: float, cutpoints: Any, sigma: float) -> float:
    """Log of an integral of the normal density by Gauss and Legendre's rule, the largest value taken out."""
    k, last = int(x), len(cutpoints)
    high = math.inf if k == last else (cutpoints[k] - eta) / sigma
    low = -math.inf if k == 0 else (cutpoints[k - 1] - eta) / sigma
    if k in (0, last):
        return float(special.log_ndtr(high if k == 0 else -low))
    peak = min(max(0.0, low), high)
    width = 1 / (1 + abs(peak))  # of the density's decay
    edges = np.unique(np.clip(peak + width * np.linspace(-45, 45, 91), low, high))
    t, w = np.polynomial.legendre.leggauss(12)
    a, b = edges[:-1, None], edges[1:, None]
    z = 0.5 * (b - a) * t + 0.5 * (a + b)
    total = np.sum(0.5 * (b - a) * w * np.exp(0.5 * (peak - z) * (peak + z)))
    return float(np.log(total) - 0.5 * peak**2 - 0.5 * math.log(2 * math.pi))


def cloglog_probability(x: float, eta: float, cutpoints: Any) -> float:
    """Difference of two distribution functions of a Gumbel minimum in 60 decimal digits."""
    with localcontext() as context:
        context.prec = 60
        k, last = int(x), len(cutpoints)
        at = [(Decimal(float(c)) - Decimal(float(eta))).exp() for c in cutpoints]
        high = Decimal(0) if k == last else (-at[k]).exp()
        low = Decimal(1) if k == 0 else (-at[k - 1]).exp()
        return float((low - high).ln())


def inflated(base: Callable[..., Any]) -> Callable[..., Any]:
    """More zeros added to a law of scipy's."""

    def reference(x: Any, psi: Any, *parameters: Any) -> Any:
        own = np.log(psi) + base(x, *parameters)
        return np.where(x == 0, np.logaddexp(np.log1p(-psi), own), own)

    return reference


def over_a_hurdle(base: Callable[..., Any]) -> Callable[..., Any]:
    """Zeros of their own beside a law of scipy's without its zeros."""

    def reference(x: Any, psi: Any, *parameters: Any) -> Any:
        some = np.log(psi) + base(x, *parameters) - np.log(-np.expm1(base(0 * x, *parameters)))
        return np.where(x == 0, np.log1p(-psi), some)

    return reference


def negative_binomial(x: Any, mu: Any, alpha: Any) -> Any:
    return stats.nbinom.logpmf(x, alpha, alpha / (alpha + mu))


def laplace(x: Any, mu: Any, b: Any) -> Any:
    """The definition; scipy's logpdf underflows beyond 745 scales."""
    return -(np.abs(x - mu) / b + np.log(2 * b))


def lkj(R: Any, eta: float) -> float:
    """Lewandowski, Kurowicka and Joe (2009), equation 16 with 17, in beta functions."""
    d = R.shape[0]
    k = np.arange(1, d)
    power = np.sum((2 * eta - 2 + d - k) * (d - k)) * math.log(2)
    b = eta + (d - k - 1) / 2
    return (eta - 1) * np.linalg.slogdet(R)[1] - power - np.sum((d - k) * special.betaln(b, b))


def mv_normal(x: Any, mu: Any, cov: Any) -> float:
    """scipy's value on standardised variables, where its eigenvalues are of one size."""
    s = np.sqrt(np.diag(cov))
    return stats.multivariate_normal.logpdf((x - mu) / s, None, cov / np.outer(s, s)) - np.log(s).sum()


def mv_student_t(x: Any, nu: float, mu: Any, scale: Any) -> float:
    """scipy's value on standardised variables, as of `mv_normal`."""
    s = np.sqrt(np.diag(scale))
    return stats.multivariate_t.logpdf((x - mu) / s, None, scale / np.outer(s, s), nu) - np.log(s).sum()


def simultaneous(x: Any, mu: Any, B: Any, cov: Any) -> float:
    A = np.linalg.inv(np.eye(len(mu)) - B)
    return stats.multivariate_normal.logpdf(x, A @ mu, A @ cov @ A.T)


NAN = math.nan
INF = math.inf
EYE = np.eye(2)
BAD = np.array([[1.0, 2.0], [2.0, 1.0]])
LGAMMA = "log gamma functions of up to 1e4 and their cancellation in the reference"
MATRIX = "factorisation of matrices with condition numbers up to 1e9"


def drawn_from_two(rng: Any) -> tuple[Any, ...]:
    """Sizes of two groups, how many are drawn of them, and an odds ratio."""
    n1, n2 = rng.integers(0, 40, N) * 1.0, rng.integers(0, 40, N) * 1.0
    return n1, n2, np.floor(rng.random(N) * (n1 + n2 + 1)), decades(rng, 0.1, 10.0)


def noncentral(x: Any, nu: Any, lam: Any) -> Any:
    """Central laws with nu + 2 k degrees of freedom, k Poisson with mean lam/2."""
    k = np.arange(1200)[:, None]
    return special.logsumexp(stats.poisson.logpmf(k, lam / 2) + stats.chi2.logpdf(x, nu + 2 * k), axis=0)


CASES: dict[str, Case] = {
    "Normal": Case(location_scale, around, stats.norm.logpdf, ((0.0, 0, -1), (0.0, 0, 0), (INF, 0, 1))),
    "StudentT": Case(
        lambda rng: (decades(rng), *location_scale(rng)),
        lambda rng, nu, mu, sigma: around(rng, mu, sigma),
        stats.t.logpdf,
        ((0.0, -1, 0, 1), (0.0, 1, 0, -1), (0.0, 1, 0, 0), (INF, 3, 0, 1)),
    ),
    "Laplace": Case(location_scale, around, laplace, ((0.0, 0, -1), (0.0, 0, 0), (-INF, 0, 1))),
    "Logistic": Case(
        location_scale, around, stats.logistic.logpdf, ((0.0, 0, -1), (-INF, 0, 1), (INF, 0, 1))
    ),
    "HalfNormal": Case(
        one,
        lambda rng, sigma: sigma * abs(spread(rng)),
        lambda x, sigma: stats.halfnorm.logpdf(x, scale=sigma),
        ((-1.0, 1), (1.0, -1), (1.0, 0), (INF, 1)),
    ),
    "HalfCauchy": Case(
        one,
        lambda rng, beta: beta * abs(spread(rng)),
        lambda x, beta: stats.halfcauchy.logpdf(x, scale=beta),
        ((-1.0, 1), (1.0, -1), (1.0, 0), (INF, 1)),
    ),
    "HalfStudentT": Case(
        two(),
        lambda rng, nu, sigma: sigma * abs(spread(rng)),
        lambda x, nu, sigma: math.log(2) + stats.t.logpdf(x, nu, scale=sigma),
        ((-1.0, 1, 1), (1.0, -1, 1), (1.0, 1, 0), (INF, 2, 1)),
    ),
    "Cauchy": Case(location_scale, around, stats.cauchy.logpdf, ((0.0, 0, -1), (0.0, 0, 0), (INF, 0, 1))),
    "Exponential": Case(
        one,
        lambda rng, lam: decades(rng, 1e-3, 1e3) / lam,
        lambda x, lam: stats.expon.logpdf(x, scale=1 / lam),
        ((-1.0, 1), (1.0, 0), (1.0, -1), (INF, 1)),
    ),
    "Gamma": Case(
        two(),
        near_mean,
        lambda x, a, b: stats.gamma.logpdf(x, a, scale=1 / b),
        ((-1.0, 2, 1), (1.0, 0, 1), (1.0, 1, 0), (INF, 2, 1), (0.0, 2, 1)),
    ),
    "InverseGamma": Case(
        two(),
        positive,
        lambda x, a, b: stats.invgamma.logpdf(x, a, scale=b),
        ((-1.0, 2, 1), (0.0, 2, 1), (1.0, 0, 1), (1.0, 1, 0), (INF, 2, 1)),
        rtol=1e-11,
        reason="the reference divides x by the scale before it takes the reciprocal",
    ),
    "LogNormal": Case(
        lambda rng: (rng.normal(0, 3, N), decades(rng)),
        lambda rng, mu, sigma: np.exp(np.clip(mu + sigma * rng.uniform(-8, 8, N), -300, 300)),
        lambda x, mu, sigma: stats.norm.logpdf(np.log(x), mu, sigma) - np.log(x),
        ((-1.0, 0, 1), (0.0, 0, 1), (1.0, 0, 0), (INF, 0, 1)),
    ),
    "Weibull": Case(
        two(),
        lambda rng, alpha, beta: beta * np.maximum(rng.exponential(3, N), 0.01) ** (1 / alpha),
        lambda x, a, b: stats.weibull_min.logpdf(x, a, scale=b),
        ((-1.0, 2, 1), (1.0, 0, 1), (1.0, 1, 0), (INF, 2, 1), (0.0, 2, 1)),
        rtol=1e-11,
        reason="x to the power alpha turns a rounding of log x into 100 times as much",
    ),
    "Beta": Case(
        two(),
        lambda rng, a, b: probabilities(rng),
        stats.beta.logpdf,
        ((-0.1, 2, 2), (1.1, 2, 2), (0.5, 0, 1), (0.5, 1, 0), (0.0, 2, 1), (1.0, 1, 2)),
    ),
    "Uniform": Case(
        lambda rng: (lambda a: (a, a + decades(rng)))(spread(rng)),
        lambda rng, lower, upper: lower + (upper - lower) * rng.random(N),
        lambda x, lower, upper: stats.uniform.logpdf(x, lower, upper - lower),
        ((-1.0, 0, 1), (2.0, 0, 1), (0.5, 1, 0), (1.0, 1, 1)),
    ),
    "Bernoulli": Case(
        lambda rng: (probabilities(rng),),
        lambda rng, p: rng.integers(0, 2, N) * 1.0,
        stats.bernoulli.logpmf,
        ((0.5, 0.5), (2.0, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, 1.5), (0.0, -0.5)),
    ),
    "Binomial": Case(
        lambda rng: (trials(rng), probabilities(rng)),
        up_to,
        stats.binom.logpmf,
        ((-1.0, 3, 0.5), (4.0, 3, 0.5), (1.5, 3, 0.5), (1.0, 3, 0.0), (1.0, 3, 1.1), (1.0, 2.5, 0.5)),
        rtol=1e-11,
        reason=LGAMMA,
        counts=(0,),
    ),
    "BetaBinomial": Case(
        lambda rng: (trials(rng), decades(rng), decades(rng)),
        up_to,
        stats.betabinom.logpmf,
        ((-1.0, 3, 1, 1), (4.0, 3, 1, 1), (1.5, 3, 1, 1), (1.0, 3, 0, 1), (1.0, 3, 1, -1)),
        rtol=1e-10,
        reason=LGAMMA,
        counts=(0,),
    ),
    "Poisson": Case(
        lambda rng: (decades(rng, 1e-2, 1e4),),
        counts_around,
        stats.poisson.logpmf,
        ((-1.0, 1), (0.5, 1), (1.0, -1), (1.0, 0), (INF, 1)),
        rtol=1e-11,
        reason=LGAMMA,
    ),
    "NegativeBinomial": Case(
        lambda rng: (decades(rng), decades(rng, 1e-1, 1e3)),
        counts_around,
        lambda x, mu, alpha: stats.nbinom.logpmf(x, alpha, alpha / (alpha + mu)),
        ((-1.0, 1, 1), (0.5, 1, 1), (1.0, -1, 1), (1.0, 1, 0), (1.0, 0, 1), (INF, 1, 1)),
        rtol=1e-10,
        reason="1 - p loses digits in the reference when the mean is small against alpha",
    ),
    "Geometric": Case(
        lambda rng: (probabilities(rng),),
        lambda rng, p: np.ceil(decades(rng, 0.1, 1e3)),
        stats.geom.logpmf,
        ((0.0, 0.5), (1.5, 0.5), (1.0, 0.0), (2.0, 1.0), (1.0, 1.5), (INF, 0.5)),
    ),
    "Categorical": Case(
        lambda rng: (simplexes(rng),),
        lambda rng, p: rng.integers(0, 4, N) * 1.0,
        each(lambda x, p: math.log(p[int(x)])),
        (
            (-1.0, [0.5, 0.5]),
            (2.0, [0.5, 0.5]),
            (0.5, [0.5, 0.5]),
            (0.0, [0.5, 0.6]),
            (0.0, [1.5, -0.5]),
            (1.0, [1.0, 0.0]),
        ),
    ),
    "OrderedLogistic": Case(
        lambda rng: (spread(rng) / 30, np.cumsum(decades(rng, 1e-3, 10.0, 4 * N).reshape(N, 4), axis=1) - 2),
        lambda rng, eta, cutpoints: rng.integers(0, 5, N) * 1.0,
        each(ordered_probability),
        ((-1.0, 0, [0.0, 1.0]), (3.0, 0, [0.0, 1.0]), (0.5, 0, [0.0, 1.0]), (1.0, 0, [1.0, 0.0])),
        rtol=1e-11,
        reason="differences of cutpoints 1e-3 apart, offset by up to 40, lose their last digits",
    ),
    "OrderedProbit": Case(
        lambda rng: (
            spread(rng) / 100,
            np.cumsum(decades(rng, 1e-3, 10.0, 4 * N).reshape(N, 4), axis=1) - 2,
            decades(rng, 0.3, 30.0),
        ),
        lambda rng, eta, cutpoints, sigma: rng.integers(0, 5, N) * 1.0,
        each(probit_probability),
        (
            (-1.0, 0, [0.0, 1.0], 1),
            (3.0, 0, [0.0, 1.0], 1),
            (0.5, 0, [0.0, 1.0], 1),
            (1.0, 0, [1.0, 0.0], 1),
            (1.0, 0, [0.0, 1.0], 0),
        ),
        rtol=1e-11,
        reason="differences of tails at cutpoints 1e-3 apart lose their last digits",
    ),
    "OrderedCloglog": Case(
        lambda rng: (
            rng.uniform(-5, 5, N),
            np.cumsum(decades(rng, 1e-3, 1.0, 4 * N).reshape(N, 4), axis=1) - 2,
        ),
        lambda rng, eta, cutpoints: rng.integers(0, 5, N) * 1.0,
        each(cloglog_probability),
        ((-1.0, 0, [0.0, 1.0]), (3.0, 0, [0.0, 1.0]), (0.5, 0, [0.0, 1.0]), (1.0, 0, [1.0, 0.0])),
        rtol=1e-11,
        reason="differences of cutpoints 1e-3 apart, offset by up to 5, lose their last digits",
    ),
    "Wald": Case(
        two(),
        lambda rng, mu, lam: mu * decades(rng, 0.03, 30.0),
        lambda x, mu, lam: stats.invgauss.logpdf(x, mu / lam, scale=lam),
        ((-1.0, 1, 1), (0.0, 1, 1), (1.0, 0, 1), (1.0, 1, 0), (INF, 1, 1)),
    ),
    "ZeroInflatedPoisson": Case(
        lambda rng: (probabilities(rng), decades(rng)),
        lambda rng, psi, mu: counts_around(rng, mu),
        inflated(stats.poisson.logpmf),
        ((-1.0, 0.5, 1), (0.5, 0.5, 1), (1.0, 1.1, 1), (1.0, -0.1, 1), (1.0, 0.0, 1), (1.0, 0.5, 0)),
        rtol=1e-11,
        reason=LGAMMA,
    ),
    "ZeroInflatedBinomial": Case(
        lambda rng: (probabilities(rng), trials(rng), probabilities(rng)),
        lambda rng, psi, n, p: up_to(rng, n),
        inflated(stats.binom.logpmf),
        ((-1.0, 0.5, 3, 0.5), (4.0, 0.5, 3, 0.5), (1.0, 1.1, 3, 0.5), (1.0, 0.0, 3, 0.5)),
        rtol=1e-11,
        reason=LGAMMA,
        counts=(1,),
    ),
    "ZeroInflatedNegativeBinomial": Case(
        lambda rng: (probabilities(rng), decades(rng), decades(rng, 1e-1, 1e3)),
        lambda rng, psi, mu, alpha: counts_around(rng, mu),
        inflated(negative_binomial),
        ((-1.0, 0.5, 1, 1), (0.5, 0.5, 1, 1), (1.0, 1.1, 1, 1), (1.0, 0.0, 1, 1), (1.0, 0.5, 1, 0)),
        rtol=1e-10,
        reason="1 - p loses digits in the reference when the mean is small against alpha",
    ),
    "HurdlePoisson": Case(
        lambda rng: (probabilities(rng), decades(rng)),
        lambda rng, psi, mu: counts_around(rng, mu),
        over_a_hurdle(stats.poisson.logpmf),
        ((-1.0, 0.5, 1), (0.5, 0.5, 1), (1.0, 1.1, 1), (1.0, 0.0, 1), (0.0, 1.0, 1)),
        rtol=1e-11,
        reason=LGAMMA,
    ),
    "HurdleNegativeBinomial": Case(
        lambda rng: (probabilities(rng), decades(rng), decades(rng, 1e-1, 1e3)),
        lambda rng, psi, mu, alpha: counts_around(rng, mu),
        over_a_hurdle(negative_binomial),
        ((-1.0, 0.5, 1, 1), (0.5, 0.5, 1, 1), (1.0, 1.1, 1, 1), (1.0, 0.0, 1, 1), (0.0, 1.0, 1, 1)),
        rtol=1e-10,
        reason="1 - p loses digits in the reference when the mean is small against alpha",
    ),
    "Multinomial": Case(
        lambda rng: (trials(rng), simplexes(rng)),
        lambda rng, n, p: rng.multinomial(n.astype(int), simplexes(rng)) * 1.0,
        each(lambda x, n, p: stats.multinomial.logpmf(x, int(n), p / p.sum())),
        (
            ([1.0, 1.0], 3, [0.5, 0.5]),
            ([-1.0, 4.0], 3, [0.5, 0.5]),
            ([1.5, 1.5], 3, [0.5, 0.5]),
            ([1.0, 2.0], 3, [0.5, 0.6]),
            ([1.0, 2.0], 3, [1.0, 0.0]),
        ),
        rtol=1e-10,
        reason=LGAMMA,
        counts=(0,),
    ),
    "Dirichlet": Case(
        lambda rng: (decades(rng, n=4 * N).reshape(N, 4),),
        lambda rng, a: simplexes(rng),
        each(lambda x, a: stats.dirichlet.logpdf(x / x.sum(), a)),
        (([0.5, 0.6], [1, 1]), ([-0.5, 1.5], [1, 1]), ([0.5, 0.5], [0, 1]), ([0.0, 1.0], [2, 1])),
        rtol=1e-11,
        reason=LGAMMA,
    ),
    "MvNormal": Case(
        lambda rng: (spread(rng, 3 * N).reshape(N, 3), covariances(rng)),
        lambda rng, mu, cov: mu + np.einsum("nij,nj->ni", np.linalg.cholesky(cov), rng.normal(0, 5, (N, 3))),
        each(mv_normal),
        (([0.0, 0.0], [0, 0], BAD), ([0.0, 0.0], [0, 0], -EYE), ([0.0, 0.0], [0, 0], 0 * EYE)),
        rtol=1e-10,
        reason=MATRIX,
    ),
    "MvStudentT": Case(
        lambda rng: (decades(rng), spread(rng, 3 * N).reshape(N, 3), covariances(rng)),
        lambda rng, nu, mu, scale: (
            mu + np.einsum("nij,nj->ni", np.linalg.cholesky(scale), rng.normal(0, 5, (N, 3)))
        ),
        each(mv_student_t),
        (
            ([0.0, 0.0], 3, [0, 0], BAD),
            ([0.0, 0.0], 3, [0, 0], -EYE),
            ([0.0, 0.0], 3, [0, 0], 0 * EYE),
            ([0.0, 0.0], 0, [0, 0], EYE),
            ([0.0, 0.0], -1, [0, 0], EYE),
        ),
        rtol=1e-10,
        reason=MATRIX,
    ),
    "Simultaneous": Case(
        lambda rng: (
            spread(rng, 3 * N).reshape(N, 3),
            rng.normal(0, 0.5, (N, 3, 3)) * (1 - np.eye(3)),
            correlations(rng, 3),
        ),
        lambda rng, mu, B, cov: rng.normal(0, 10, (N, 3)),
        each(simultaneous),
        (([0.0, 0.0], [0, 0], 0 * EYE, BAD), ([0.0, 0.0], [0, 0], EYE, EYE)),
        rtol=1e-8,
        reason="the reference inverts I - B, which may be nearly singular",
    ),
    "Wishart": Case(
        lambda rng: (2 + decades(rng), covariances(rng)),
        lambda rng, nu, V: covariances(rng),
        each(lambda X, nu, V: stats.wishart.logpdf(X, nu, V)),
        ((EYE, 0.5, EYE), (BAD, 3, EYE), (EYE, 3, BAD), (-EYE, 3, EYE)),
        rtol=1e-10,
        reason=MATRIX,
    ),
    "InverseWishart": Case(
        lambda rng: (2 + decades(rng), covariances(rng)),
        lambda rng, nu, Psi: covariances(rng),
        each(lambda X, nu, Psi: stats.invwishart.logpdf(X, nu, Psi)),
        ((EYE, 0.5, EYE), (BAD, 3, EYE), (EYE, 3, BAD), (-EYE, 3, EYE)),
        rtol=1e-10,
        reason=MATRIX,
    ),
    "LKJCorr": Case(
        one,
        lambda rng, eta: correlations(rng),
        each(lkj),
        ((BAD, 1), (2 * EYE, 1), (EYE, 0), (EYE, -1)),
        rtol=1e-11,
        reason="products of beta functions on one side, of gamma functions on the other",
    ),
    "VonMises": Case(
        lambda rng: (rng.uniform(-math.pi, math.pi, N), decades(rng)),
        lambda rng, mu, kappa: rng.uniform(-math.pi, math.pi, N),
        lambda x, mu, kappa: stats.vonmises.logpdf(x, kappa, mu),
        ((4.0, 0, 1), (-4.0, 0, 1), (0.0, 0, -1)),
    ),
    "Pareto": Case(
        two(),
        lambda rng, alpha, m: m * (1 + decades(rng, 1e-3, 1e3)),
        lambda x, a, m: stats.pareto.logpdf(x, a, scale=m),
        ((0.5, 1, 1), (1.0, 0, 1), (1.0, 1, 0), (-1.0, 1, -2), (INF, 1, 1)),
    ),
    "FisherF": Case(
        two(),
        positive,
        stats.f.logpdf,
        ((-1.0, 2, 2), (1.0, 0, 1), (1.0, 1, 0), (INF, 2, 1), (0.0, 3, 1)),
        rtol=1e-11,
        reason="the reference subtracts powers of x that nearly cancel",
    ),
    "NoncentralChiSquared": Case(
        lambda rng: (decades(rng), decades(rng)),
        lambda rng, nu, lam: (nu + lam) * decades(rng, 1e-3, 10.0),
        noncentral,
        ((-1.0, 2, 2), (1.0, 0, 1), (1.0, 1, -1), (INF, 2, 1), (0.0, 3, 1)),
        rtol=1e-12,
        reason=LGAMMA,
    ),
    "Hypergeometric": Case(
        drawn_from_two,
        lambda rng, n1, n2, m, psi: np.minimum(
            np.maximum(m - n2, 0) + rng.integers(0, 5, N), np.minimum(n1, m)
        ),
        lambda x, n1, n2, m, psi: stats.nchypergeom_fisher.logpmf(x, n1 + n2, n1, m, psi),
        ((-1.0, 3, 2, 2, 1), (3.0, 3, 2, 2, 1), (0.0, 3, 1, 2, 1), (0.5, 3, 2, 2, 1), (1.0, 3, 2, 2, 0))
        + ((1.0, 3, 2, 6, 1), (1.0, 2.5, 2, 2, 1)),
        rtol=1e-8,
        reason="the reference sums probabilities to 1e-10, and its terms until they are as small",
        counts=(0, 1, 2),
    ),
    "GeneralizedGamma": Case(
        lambda rng: (decades(rng), decades(rng), decades(rng, 0.1, 10.0)),
        lambda rng, alpha, beta, power: (alpha * decades(rng, 1e-3, 30.0)) ** (1 / power) / beta,
        lambda x, a, b, c: stats.gengamma.logpdf(x, a, c, scale=1 / b),
        ((-1.0, 2, 1, 1), (1.0, 0, 1, 1), (1.0, 1, 0, 1), (1.0, 1, 1, 0), (INF, 2, 1, 1), (0.0, 2, 1, 1)),
        rtol=1e-11,
        reason="x to a power of up to 10 turns a rounding of x into as much as 3000 times 10 times as much",
    ),
    "Flat": Case(lambda rng: (), lambda rng: spread(rng), lambda x: 0 * x, ()),
    "HalfFlat": Case(lambda rng: (), positive, lambda x: 0 * x, ((-1.0,),)),
}
