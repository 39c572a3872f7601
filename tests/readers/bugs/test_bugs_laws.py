"""Distributions of JAGS: which family each becomes; precisions stay precisions."""

from __future__ import annotations

import pytest

from dagmodels.graph.statement import Stochastic
from dagmodels.readers.bugs import read

LAWS = (
    ("dnorm(m, t)", "Normal(m, tau=t)"),
    ("dlnorm(m, t)", "LogNormal(m, tau=t)"),
    ("dt(m, t, 4)", "StudentT(4, m, 1/sqrt(t))"),
    ("dgamma(t, 2)", "Gamma(t, 2)"),
    ("dchisqr(t)", "Gamma(t/2, 0.5)"),
    ("dexp(t)", "Exponential(t)"),
    ("dbeta(t, 1)", "Beta(t, 1)"),
    ("dunif(0, t)", "Uniform(0, t)"),
    ("dlogis(m, t)", "Logistic(m, 1/t)"),
    ("ddexp(m, t)", "Laplace(m, 1/t)"),
    ("dpar(t, 2)", "Pareto(t, 2)"),
    ("dweib(2, t)", "Weibull(2, t**-(1/2))"),
    ("df(t, 4)", "FisherF(t, 4)"),
    ("dnchisqr(3, t)", "NoncentralChiSquared(3, t)"),
    ("dhyper(3, 4, 2, t)", "Hypergeometric(3, 4, 2, t)"),
    ("dgen.gamma(2, t, 3)", "GeneralizedGamma(2, t, 3)"),
    ("dbern(0.5)", "Bernoulli(0.5)"),
    ("dbin(0.5, 3)", "Binomial(3, 0.5)"),
    ("dbinom(0.5, 3)", "Binomial(3, 0.5)"),
    ("dnegbin(0.5, t)", "NegativeBinomial(n=t, p=0.5)"),
    ("dpois(t)", "Poisson(t)"),
    ("dbetabin(1, t, 4)", "BetaBinomial(4, 1, t)"),
    ("dinterval(m, 0)", "Bernoulli(m > 0)"),
    ("dnorm(m, t) T(0, )", "Truncated(Normal(m, tau=t), lower=0)"),
    ("dnorm(m, t) T(, t)", "Truncated(Normal(m, tau=t), upper=t)"),
    ("dnorm(0, 1.0E-2) I(-1, 1)", "Truncated(Normal(0, tau=0.01), lower=-1, upper=1)"),
)


@pytest.mark.parametrize(("bugs", "ours"), LAWS)
def test_scalar_laws(bugs: str, ours: str) -> None:
    dag = read(f"model {{ x ~ {bugs}; m ~ dnorm(0, 1); t ~ dexp(1) }}").dag
    (statement,) = dag.nodes["x"].statements
    assert isinstance(statement, Stochastic)
    assert repr(statement.distribution) == ours


VECTORS = (
    ("P[1:2] ~ ddirch(a[])", "P", "Dirichlet(a[k])"),
    ("z ~ dcat(w[]) ; w[1:2] ~ ddirch(a[])", "z", "Categorical(w[k])"),
    ("z ~ dcat(a[])", "z", "Categorical(a[k]/sum(a[k] for k))"),
    ("b[1:2] ~ dmnorm(a[], S[,])", "b", "MvNormal(a[k], tau=S[k, k2])"),
    ("b[1:2] ~ dmt(a[], S[,], 4)", "b", "MvStudentT(4, a[k], tau=S[k, k2])"),
    ("b[1:2] ~ dmnorm.vcov(a[], S[,])", "b", "MvNormal(a[k], S[k, k2])"),
    ("O[1:2,1:2] ~ dwish(S[,], 3)", "O", "Wishart(3, inverse(S[k, k2]))"),
)


@pytest.mark.parametrize(("bugs", "node", "ours"), VECTORS)
def test_vector_laws(bugs: str, node: str, ours: str) -> None:
    text = f"""model {{
      {bugs}
      for (k in 1:2) {{ a[k] <- k; for (l in 1:2) {{ S[k,l] <- equals(k, l) }} }}
    }}"""
    dag = read(text, {}).dag
    (statement,) = dag.nodes[node].statements
    assert isinstance(statement, Stochastic)
    assert repr(statement.distribution) == ours


LINKS = (("log", "exp"), ("logit", "expit"), ("probit", "Phi"), ("cloglog", "icloglog"))


@pytest.mark.parametrize(("link", "inverse"), LINKS)
def test_links_on_the_left(link: str, inverse: str) -> None:
    text = str(read(f"model {{ {link}(p) <- 1 + b ; b ~ dnorm(0, 1) }}").dag)
    assert f"p = {inverse}(1 + b)" in text
