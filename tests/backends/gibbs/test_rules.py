"""Every rule leaves the joint law of unknowns and data as the graph simulates it (Geweke's test)."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.errors import FitError
from dagmodels.forms.conditionals.registry import unregister_rule
from dagmodels.forms.conditionals.rule import Update
from dagmodels.simulate.check_rules import check_rules

ALARM = 1e-4

SLOPES = """model slopes
plate g
plate i in g
covariate x[i]
a[g] ~ Normal(mu, tau=p)
b[g] ~ Normal(2*nu - 1, sd_b)
observed y[i] ~ Normal(a[g] + (b[g] + x)*x, s)
mu, nu ~ Normal(0, 1)
p ~ Gamma(3, 2)
sd_b ~ Uniform(0.2, 2)
s = sqrt(v)
v ~ InverseGamma(4, 3)
"""
COUNTS = """model counts
plate g
plate i in g
covariate x[i]
rate[g] ~ Gamma(2, r)
wait[g] ~ Exponential(2*h)
h ~ Exponential(1)
share[g] ~ Beta(2, b)
observed y[i] ~ Poisson(0.5*rate[g])
n[g] ~ Binomial(6, 1 - share)
r ~ Gamma(5, 5)
b ~ Gamma(5, 2)
"""
LIMITS = """model limits
plate g
plate i in g
covariate x[i]
base[g] ~ Truncated(Normal(m, 1), lower=0, upper=4)
m ~ Normal(1, 1)
up[g] ~ HalfNormal(1)
slope ~ Uniform(-1, 2)
observed y[i] ~ Normal(base[g] + up[g]*x**2 + slope*x, 0.7)
"""
MIXED = """model mixed
plate g
plate i in g
plate k = 1..3
covariate x[i]
z[i] in k ~ Categorical(w)
w[k] ~ Dirichlet([1, 2, 3])
m[k] ~ Normal(0, 2)
on[g] ~ Bernoulli(q)
q ~ Beta(2, 2)
observed y[i] ~ Normal(m[z] + on[g], 1)
"""
TRIALS = """model trials
plate g
plate i in g
covariate x[i]
n[g] ~ Poisson(mu)
mu ~ Gamma(6, 1)
p ~ Beta(4, 2)
observed y[i] ~ Binomial(n[g], p)
"""
LOGITS = """model logits
plate g
plate i in g
covariate x[i]
a ~ Normal(0, 1)
b ~ Normal(0, 1)
u[g] ~ Normal(0, tau=t)
t ~ Gamma(3, 2)
observed y[i] ~ Binomial(4, expit(a + b*x + u[g]))
observed c[i] ~ Bernoulli(expit(a - x))
"""
FAILURES = """model failures
plate g
plate i in g
covariate x[i]
a ~ Normal(0.5, 0.5)
b ~ Normal(0, 0.5)
observed y[i] ~ NegativeBinomial(n=3, p=expit(a + b*x))
"""
PROBITS = """model probits
plate g
plate i in g
covariate x[i]
a ~ Normal(0, 1)
b[g] ~ Normal(0, s)
s ~ HalfNormal(1)
observed y[i] ~ Bernoulli(Phi(a*x + b[g]))
"""
PRECISION = """model precision
plate g
plate i in g
plate k = 1..2
plate l as k
covariate x[i]
constant v[k, l] = [[0.3, 0.1], [0.1, 0.4]]
b[g, k] ~ MvNormal(mu[k], tau=omega)
mu[k] ~ Normal(0, 1)
omega[k, l] ~ Wishart(4, v)
observed y[i] ~ Normal(b[g, 1] + b[g, 2]*x, 0.8)
"""
COVARIANCE = """model covariance
plate g
plate i in g
plate k = 1..2
plate l as k
covariate x[i]
constant psi[k, l] = [[3, 0.5], [0.5, 2]]
b[g, k] ~ MvNormal(0, cov=sigma[g, k, l])
sigma[g, k, l] ~ InverseWishart(5, psi)
observed y[i] ~ Normal(b[g, 1] + b[g, 2]*x, 0.8)
"""
LOADINGS = """model loadings
plate g
plate i in g
covariate x[i]
f[g] ~ Normal(0, 1)
load ~ Normal(1, 0.5)
cut ~ Normal(0, 1)
observed y[i] ~ Normal(cut + load*f[g], 0.8)
observed z[i] ~ Normal(f[g] - 0.5*cut, 1)
"""
NETWORK = """model network
plate g
plate i in g
plate k = "a", "b", "c"
plate l = "yes", "no"
covariate x[i]
constant m[k] = [-1, 0.5, 2]
u[g] in l ~ Table([0.3, 0.7])
v[g] in k ~ Table(u, {"yes": [0.2, 0.3, 0.5], "no": [0.6, 0.3, 0.1]})
observed y[i] ~ Normal(m[v[g]], 1)
"""
CUTS = """model cuts
plate g
plate i in g
plate k = 1..3
covariate x[i]
c[k] ~ Ordered(Normal(0, 1))
w[k] ~ Dirichlet(3)
s ~ Gamma(5, 5)
observed y[i] ~ Normal(c[2] + 2*w[1]*x, s)
"""
GRADES = """model grades
plate g
plate i in g
plate s = 1..3
plate cut = 1..2
covariate x[i]
b[g] ~ Normal(0, 1)
m ~ Normal(0, 1)
c[cut] ~ Ordered(Normal(0, 1))
observed y[i] in s ~ OrderedProbit(m*x + b[g], c)
"""
CHAIN = """model local
plate t ordered
h[t first] ~ Normal(0, 1)
h[t] ~ Normal(0.8*h[t-1], s)
s ~ HalfNormal(1)
observed y[t] ~ Normal(h, 1)
"""
EVERY = [
    SLOPES,
    COUNTS,
    LIMITS,
    MIXED,
    TRIALS,
    LOGITS,
    FAILURES,
    PROBITS,
    PRECISION,
    COVARIANCE,
    LOADINGS,
    NETWORK,
    CUTS,
    GRADES,
]


def covariates():
    return {
        "g": np.repeat(["u", "v", "w"], 2),
        "x": np.random.default_rng(5).normal(size=6).round(2),
    }


@pytest.mark.parametrize("sweeps", [2500, pytest.param(60_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("text", EVERY, ids=lambda t: t.split()[1])
def test_the_joint_law_is_left(text, sweeps):
    """One right schedule in 10,000 fails."""
    found = check_rules(dm.read(text), covariates(), simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps)
    assert found.p_value > ALARM, str(found)


EXPECTED = {
    "slopes": ("Gamma", "slice", "InverseGamma", "jointly normal", "integrated out, drawn right after"),
    "counts": ("Gamma", "Beta", "discrete"),
    "limits": ("between limits",),
    "mixed": ("Dirichlet", "discrete"),
    "trials": ("slice: counts",),
    "logits": ("jointly normal",),
    "probits": ("jointly normal",),
    "precision": ("Wishart",),
    "covariance": ("InverseWishart",),
    "loadings": ("normal: 'y'",),
    "network": ("discrete",),
    "cuts": ("trajectories",),
    "grades": ("jointly normal: 'b', 'm'", "trajectories"),
}


@pytest.mark.parametrize("text", [t for t in EVERY if t is not FAILURES], ids=lambda t: t.split()[1])
def test_every_rule_has_its_test(text):
    """The graphs above get the updates that they are there for."""
    found = " | ".join(check_rules(dm.read(text), covariates(), simulated=3, sweeps=2).updates.values())
    for words in EXPECTED[text.split()[1]]:
        assert words in found


def test_chains_in_colours():
    found = check_rules(dm.read(CHAIN), sizes={"t": 5}, simulated=800, sweeps=2500)
    assert found.p_value > ALARM, str(found)


class Exact:
    """Someone's own rule: the normal law of `mu`, by hand; `shift` spoils it."""

    name = "exact"

    def __init__(self, shift=0.0):
        self.shift = shift

    def recognise(self, board, target):
        if target.node != "mu":
            return "made for 'mu' alone"
        node = board.builder.lowering.node("a")

        def draw(parameters, values, rng):
            (a,) = parameters
            precision = 1.0 + a.size
            return np.array([a.sum() / precision + self.shift]) + rng.normal() / np.sqrt(precision)

        return Update(target.node, target.slots, "python", 1, (node,), "drawn by hand", function=draw)


OWN = """model own
plate g
plate i in g
a[g] ~ Normal(mu, 1)
observed y[i] ~ Normal(a[g], 1)
mu ~ Normal(0, 1)
"""


@pytest.mark.parametrize(("shift", "right"), [(0.0, True), (0.5, False)])
def test_rules_of_others_are_held_to_the_same(shift, right):
    """A wrong one is found by more than ten standard errors."""
    dm.register_rule(Exact(shift))
    try:
        found = check_rules(dm.read(OWN), covariates(), simulated=1000, sweeps=2500)
    finally:
        unregister_rule("exact")
    assert found.updates["mu"] == "drawn by hand"
    assert (found.p_value > ALARM) == right, str(found)


def test_a_node_without_a_rule_gets_a_template():
    text = """model odd
plate k = 1..3
n[k] ~ Multinomial(4, [0.2, 0.3, 0.5])
observed y ~ Normal(n[2], 1)
"""
    with pytest.raises(FitError, match=r"(?s)no rule draws 'n'.*dirichlet: .*def recognise") as caught:
        dm.read(text).fit({"y": 1.0}, method="gibbs", route="conditionals")
    assert "made for 'n' alone" in str(caught.value)


def test_what_is_no_rule_is_refused():
    with pytest.raises(FitError, match="needs a name and a function"):
        dm.register_rule(object())
