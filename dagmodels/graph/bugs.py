"""What the names of BUGS and JAGS are here, with what differs: often the same word, another number."""

from __future__ import annotations

from collections.abc import Mapping

_PRECISION = "BUGS gives the precision 1/sigma**2, and Normal(mu, sigma) takes the standard deviation"

NAMES: Mapping[str, str] = {
    "dnorm": f"write Normal(mu, tau=precision): {_PRECISION}",
    "dlnorm": "write LogNormal(mu, tau=precision): BUGS gives the precision, LogNormal(mu, sigma) takes the "
    "standard deviation",
    "dmnorm": "write MvNormal(mu, tau=precision): BUGS gives the precision matrix, MvNormal(mu, cov) takes "
    "the covariance",
    "dmt": "BUGS' dmt(mu, Omega, k) is MvStudentT(k, mu, tau=Omega): it takes a precision matrix",
    "dt": "BUGS' dt(mu, tau, k) is StudentT(k, mu, 1/sqrt(tau)): it takes the scale, not the precision",
    "dbin": "BUGS' dbin(p, n) is Binomial(n, p): the order is the other one",
    "dbinom": "BUGS' dbinom(p, n) is Binomial(n, p): the order is the other one",
    "dnegbin": "BUGS' dnegbin(p, r) is NegativeBinomial(r*(1 - p)/p, r): it takes the mean",
    "dweib": "BUGS' dweib(v, lambda) is Weibull(v, lambda**(-1/v)): it takes the scale",
    "dlogis": "BUGS' dlogis(mu, tau) is Logistic(mu, 1/tau): it takes the scale",
    "ddexp": "BUGS' ddexp(mu, tau) is Laplace(mu, 1/tau): it takes the scale",
    "dpar": "BUGS' dpar(alpha, c) is Pareto(alpha, c)",
    "df": "write FisherF(n, m)",
    "dgen.gamma": "write GeneralizedGamma(r, mu, beta)",
    "dnchisqr": "write NoncentralChiSquared(k, delta)",
    "dhyper": "write Hypergeometric(n1, n2, m1, psi)",
    "dwish": "BUGS' dwish(R, k) is Wishart(k, inverse(R)): its matrix is the inverse of R",
    "dchisqr": "BUGS' dchisqr(k) is Gamma(k/2, 1/2)",
    "dgamma": "write Gamma(shape, rate), as in BUGS",
    "dexp": "write Exponential(rate), as in BUGS",
    "dbeta": "write Beta(a, b)",
    "dbern": "write Bernoulli(p)",
    "dpois": "write Poisson(mu)",
    "dunif": "write Uniform(lower, upper)",
    "dcat": "write Categorical(p), with the plate of its values: x in plate ~ Categorical(p)",
    "dmulti": "BUGS' dmulti(p, n) is Multinomial(n, p): the order is the other one",
    "ddirch": "write Dirichlet(a)",
    "ddirich": "write Dirichlet(a)",
    "dflat": "write Flat()",
}


def bugs_hint(name: str) -> str | None:
    """What to write for a distribution of BUGS, or None when it is none."""
    return NAMES.get(name)
