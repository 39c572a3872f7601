"""Student t, Cauchy, Laplace and logistic laws as mixtures of normal ones: numbers, joint laws, reasons."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_bulk
from dagmodels.simulate.check_rules import check_rules

LAWS = {
    "StudentT(3, {}, {})": lambda x, s: stats.t.logpdf(x, 3, scale=s),
    "Cauchy({}, {})": lambda x, s: stats.cauchy.logpdf(x, scale=s),
    "Laplace({}, {})": lambda x, s: stats.laplace.logpdf(x, scale=s),
    "Logistic({}, {})": lambda x, s: stats.logistic.logpdf(x, scale=s),
}
CHILD = """model child
plate i
a ~ Normal(0, 2)
s ~ HalfNormal(2)
observed y[i] ~ {}
"""
PRIOR = """model prior
plate i
a ~ {}
observed y[i] ~ Normal(a, 1.5)
"""
JOINT = """model joint
plate g
plate i in g
covariate x[i]
m, b ~ Normal(0, 1)
s, t ~ Uniform(0.5, 2)
u[g] ~ {}
observed y[i] ~ {}
"""
WALK = """model robust
plate t ordered
s, r ~ HalfNormal(1)
x[t first] ~ Normal(0, 3)
x[t] ~ Normal(x[t-1], s)
observed y[t] ~ StudentT(4, x, r)
"""
Y = np.array([-0.3, 0.4, 0.9, 1.3, 6.0])


def near(draws, mean, sd):
    """|z| < 5 for the mean, and for the sd by the kurtosis of the draws: one in a million fails each."""
    n, centred = ess_bulk(draws), draws - draws.mean()
    assert abs(centred.mean() + draws.mean() - mean) < 5 * sd / np.sqrt(n)
    wobble = np.sqrt(np.mean((centred**2 - sd**2) ** 2) / ess_bulk(centred**2)) / (2 * sd)
    assert abs(draws.std() - sd) < 5 * wobble


@pytest.mark.parametrize("law", LAWS)
def test_children_by_sums_over_a_grid(law):
    """Location and scale of five numbers with an outlier."""
    text = CHILD.format(law.format("a", "s"))
    fit = dm.read(text).fit(
        {"i": range(5), "y": Y}, method="gibbs", route="conditionals", draws=4000, chains=4, seed=1
    )
    assert f"'y' {law.split('(')[0]}, Normal given precisions of the rows of 'y'" in str(fit.plan)
    a, s = np.meshgrid(np.linspace(-9, 9, 1201), np.linspace(0.005, 12, 1201), indexing="ij")
    log = stats.norm.logpdf(a, scale=2) - s**2 / 8 + sum(LAWS[law](y - a, s) for y in Y)
    p = np.exp(log - log.max())
    p /= p.sum()
    for name, x in (("a", a), ("s", s)):
        mean = (p * x).sum()
        near(fit.samples.values[name], mean, np.sqrt((p * (x - mean) ** 2).sum()))


@pytest.mark.parametrize("law", LAWS)
def test_priors_by_sums_over_a_grid(law):
    """Of one number, whose children are normal."""
    fit = dm.read(PRIOR.format(law.format("0.5", "0.8"))).fit(
        {"i": range(5), "y": Y}, method="gibbs", route="conditionals", draws=4000, chains=4, seed=2
    )
    assert f"prior {law.split('(')[0]}, Normal given precisions" in str(fit.plan)
    a = np.linspace(-10, 12, 20_001)
    log = LAWS[law](a - 0.5, 0.8) + stats.norm.logpdf(Y[:, None] - a, scale=1.5).sum(0)
    p = np.exp(log - log.max())
    p /= p.sum()
    mean = (p * a).sum()
    near(fit.samples.values["a"], mean, np.sqrt((p * (a - mean) ** 2).sum()))


@pytest.mark.parametrize("sweeps", [2000, pytest.param(60_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("law", LAWS)
def test_the_joint_law_is_left(law, sweeps):
    """Children and effects of the same family, drawn jointly; one right schedule in 10,000 fails."""
    law = law.replace("StudentT(3", "StudentT(6")
    text = JOINT.format(law.format("m", "t"), law.format("u + b*x", "s"))
    data = {"g": np.repeat(["u", "v", "w"], 2), "x": np.array([-1.2, 0.3, 0.8, 1.1, -0.4, 0.2])}
    found = check_rules(dm.read(text), data, simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps)
    assert "jointly normal" in " ".join(found.updates.values())
    assert found.p_value > 1e-4, found


def test_robust_walks_go_element_by_element():
    """A scale with the walk integrated out, though its observations have heavy tails."""
    rng = np.random.default_rng(0)
    y = np.cumsum(0.2 * rng.normal(size=100)) + 0.5 * rng.standard_t(4, size=100)
    fit = dm.read(WALK).fit({"t": range(100), "y": y}, method="gibbs", seed=3)
    assert "element by element" in fit.method
    assert "'s': drawn with" in str(fit.plan)
    assert fit.diagnostics["rhat"] < 1.01, fit.message


def test_a_residual_of_zero():
    """The inverse Gaussian law of a mean without end is that of one over a chi-square number."""
    fit = dm.read("model zero\nplate i\nb ~ Laplace(0, 1)\nobserved y[i] ~ Normal(b, 1)\n").fit(
        {"i": range(2), "y": [0.0, 0.0]}, method="gibbs", route="conditionals", draws=4000, inits={"b": 0.0}
    )
    b = np.linspace(-12, 12, 40_001)
    p = np.exp(-np.abs(b) - b**2)
    near(fit.samples.values["b"], 0.0, np.sqrt((p * b**2).sum() / p.sum()))
