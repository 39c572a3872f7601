"""Laws of JAGS that are not PyMC's: densities by its manual's formulas, draws against quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.special import gammaln

import dagmodels as dm
from dagmodels.distributions import family
from dagmodels.distributions._numeric import quietly
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.readers.bugs import read

Z = 5.0  # standard errors: two-sided false alarm of 6e-7 a mean
COUNTS = [2, 4, 1, 3, 5, 2]
Y = [0.3, 0.9, 1.4, 2.2, 0.6, 3.1]


def ratio(x, n, m):
    """`df(n, m)` in the user manual of JAGS 4.3."""
    constant = gammaln((n + m) / 2) - gammaln(n / 2) - gammaln(m / 2) + n / 2 * np.log(n / m)
    return constant + (n / 2 - 1) * np.log(x) - (n + m) / 2 * np.log(1 + n * x / m)


def generalized(x, r, mu, b):
    """`dgen.gamma(r, mu, b)` there."""
    return np.log(b) + b * r * np.log(mu) + (b * r - 1) * np.log(x) - (mu * x) ** b - gammaln(r)


def noncentral(x, k, delta):
    """`dnchisqr(k, delta)` there: central laws with k + 2 r degrees of freedom, r Poisson."""
    r = np.arange(300)[:, None]
    return special.logsumexp(stats.poisson.logpmf(r, delta / 2) + stats.chi2.logpdf(x, k + 2 * r), axis=0)


def hypergeometric(x, n1, n2, m1, psi):
    """`dhyper(n1, n2, m1, psi)` there, by all its terms."""

    def terms(j):
        return special.binom(n1, j) * special.binom(n2, m1 - j) * psi**j

    return np.log(terms(x) / sum(terms(j) for j in range(max(0, m1 - n2), min(n1, m1) + 1)))


@pytest.mark.parametrize(
    ("law", "parameters", "formula"),
    [
        ("df(2.5, 7)", (2.5, 7.0), ratio),
        ("dgen.gamma(1.3, 0.4, 2.5)", (1.3, 0.4, 2.5), generalized),
        ("dnchisqr(1.3, 4)", (1.3, 4.0), noncentral),
    ],
)
def test_parameters_are_those_of_jags(law, parameters, formula):
    (statement,) = read(f"model {{ x ~ {law} }}").dag.nodes["x"].statements
    given = tuple(tree.value for _, tree in statement.distribution.arguments)
    assert given == parameters
    x = np.array([0.01, 0.7, 1.0, 2.5, 6.0])
    got = quietly(family(statement.distribution.family).log_density, x, *given)
    np.testing.assert_allclose(got, formula(x, *parameters), rtol=1e-12, atol=1e-12)


def test_hypergeometric_counts_are_those_of_jags():
    (statement,) = read("model { x ~ dhyper(7, 9, 6, 2.5) }").dag.nodes["x"].statements
    given = tuple(tree.value for _, tree in statement.distribution.arguments)
    x = np.arange(7)
    got = quietly(family(statement.distribution.family).log_density, x, *given)
    np.testing.assert_allclose(got, hypergeometric(x, 7, 9, 6, 2.5), rtol=1e-12, atol=1e-12)


# the law of the data or of the unknown, and the log density of the positive unknown and the data
DRAWN = {
    "degrees of freedom above": (
        "y[i] ~ df(u, 6) } u ~ dgamma(3, 1)",
        lambda u: stats.gamma.logpdf(u, 3) + ratio(np.array(Y), u, 6.0).sum(),
    ),
    "degrees of freedom below": (
        "y[i] ~ df(3, u) } u ~ dgamma(3, 0.5)",
        lambda u: stats.gamma.logpdf(u, 3, scale=2) + ratio(np.array(Y), 3.0, u).sum(),
    ),
    "a rate with an F law": (
        "y[i] ~ dexp(u) } u ~ df(4, 9)",
        lambda u: ratio(u, 4.0, 9.0) + stats.expon.logpdf(Y, scale=1 / u).sum(),
    ),
    "shape": (
        "y[i] ~ dgen.gamma(u, 0.8, 1.5) } u ~ dgamma(2, 1)",
        lambda u: stats.gamma.logpdf(u, 2) + generalized(np.array(Y), u, 0.8, 1.5).sum(),
    ),
    "rate": (
        "y[i] ~ dgen.gamma(1.2, u, 1.5) } u ~ dgamma(2, 1)",
        lambda u: stats.gamma.logpdf(u, 2) + generalized(np.array(Y), 1.2, u, 1.5).sum(),
    ),
    "power": (
        "y[i] ~ dgen.gamma(1.2, 0.8, u) } u ~ dgamma(2, 1)",
        lambda u: stats.gamma.logpdf(u, 2) + generalized(np.array(Y), 1.2, 0.8, u).sum(),
    ),
    "degrees of freedom of a noncentral law": (
        "y[i] ~ dnchisqr(u, 2) } u ~ dgamma(2, 1)",
        lambda u: stats.gamma.logpdf(u, 2) + noncentral(np.array(Y), u, 2.0).sum(),
    ),
    "noncentrality": (
        "y[i] ~ dnchisqr(0.7, u) } u ~ dexp(0.4)",
        lambda u: stats.expon.logpdf(u, scale=2.5) + noncentral(np.array(Y), 0.7, u).sum(),
    ),
    "a rate with a noncentral law": (
        "y[i] ~ dexp(u) } u ~ dnchisqr(2.5, 1.5)",
        lambda u: noncentral(u, 2.5, 1.5)[0] + stats.expon.logpdf(Y, scale=1 / u).sum(),
    ),
    "odds of two groups": (
        "c[i] ~ dhyper(7, 9, 6, u) } u ~ dgamma(2, 1)",
        lambda u: stats.gamma.logpdf(u, 2) + hypergeometric(np.array(COUNTS), 7, 9, 6, u).sum(),
    ),
    "a rate with a generalised gamma law": (
        "y[i] ~ dexp(u) } u ~ dgen.gamma(0.8, 0.5, 2)",
        lambda u: generalized(u, 0.8, 0.5, 2.0) + stats.expon.logpdf(Y, scale=1 / u).sum(),
    ),
}


@pytest.mark.parametrize("route", ["", "conditionals"])
@pytest.mark.parametrize("name", DRAWN)
def test_draws_agree_with_quadrature(name, route):
    loop, density = DRAWN[name]
    data = {"c": COUNTS} if loop.startswith("c") else {"y": Y}
    agrees(f"model {{ for (i in 1:6) {{ {loop} }}", data, density, route)


def agrees(text, data, density, route):
    """The mean of the draws of `u`, a positive number, against that of its density."""
    model = dm.read(text, data, format="bugs")
    fit = model.fit(method="gibbs", draws=2000, seed=3, **({"route": route} if route else {}))
    x = fit.samples.values["u"]
    peak = max(density(u) for u in np.linspace(0.05, 8, 200))
    moments = [
        integrate.quad(lambda u, k=k: u**k * math.exp(density(u) - peak), 0, 60, limit=400, points=[1, 5])[0]
        for k in range(3)
    ]
    mean = moments[1] / moments[0]
    sd = math.sqrt(moments[2] / moments[0] - mean**2)
    assert abs(x.mean() - mean) < Z * sd / math.sqrt(ess_mean(x[:, :, None])[0])


PAIRS = [[1.0, 2.5], [0.3, 1.2], [2.5, 0.6], [-0.4, 0.8]]
OMEGA = [[1.0, 0.3], [0.3, 2.0]]
# the location and the degrees of freedom of `dmt`, and the log density of the positive unknown and the data
OF_PAIRS = {
    "location": (
        "m[j] <- u*w[j] } u ~ dgamma(2, 1) k <- 3",
        lambda u: (stats.gamma.logpdf(u, 2), [u, 2 * u], 3.0),
    ),
    "degrees of freedom": (
        "m[j] <- w[j] } u ~ dgamma(2, 0.5) k <- u",
        lambda u: (stats.gamma.logpdf(u, 2, scale=2), [1.0, 2.0], u),
    ),
}


@pytest.mark.parametrize("route", ["", "conditionals"])
@pytest.mark.parametrize("name", OF_PAIRS)
def test_draws_below_a_multivariate_t_agree_with_quadrature(name, route):
    loop, parts = OF_PAIRS[name]

    def density(u):
        prior, mean, k = parts(u)
        return prior + stats.multivariate_t.logpdf(PAIRS, mean, np.linalg.inv(OMEGA), k).sum()

    text = f"model {{ for (i in 1:4) {{ y[i,1:2] ~ dmt(m[], T[,], k) }} for (j in 1:2) {{ {loop} }}"
    agrees(text, {"y": PAIRS, "T": OMEGA, "w": [1.0, 2.0]}, density, route)


@pytest.mark.parametrize("law", ["ddirch(m[])", "dmulti(m[], 6)"])
def test_vectors_below_a_number_are_drawn_by_trajectories(law):
    """They have no quadratic expansion, so that no mode is sought."""
    y = [[0.2, 0.8], [0.3, 0.7], [0.4, 0.6]] if law.startswith("ddirch") else [[2, 4], [3, 3], [1, 5]]
    loops = f"for (i in 1:3) {{ y[i,1:2] ~ {law} }} for (j in 1:2) {{ m[j] <- u^w[j] }}"
    data = {"y": y, "w": [1.0, 2.0]}

    def density(u):
        m = np.array([u, u**2])
        if law.startswith("ddirch"):
            return stats.gamma.logpdf(u, 2) + sum(stats.dirichlet.logpdf(row, m) for row in y)
        return stats.gamma.logpdf(u, 2) + stats.multinomial.logpmf(y, 6, m / m.sum()).sum()

    agrees(f"model {{ {loops} u ~ dgamma(2, 1) }}", data, density, "")
