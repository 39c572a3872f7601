"""Scales drawn with what they scale integrated out: the law is left, and chains mix."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.conditionals.schedule import schedule
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.compared import assert_agrees, bugs, by_bugs_name
from tests.backends.gibbs.test_rules import ALARM, covariates

ONE = """model one
plate g
plate i in g
covariate x[i]
a[g] ~ Normal(mu, tau=t)
mu ~ Normal(0, 1)
t ~ Gamma(2, 1)
s ~ HalfNormal(1)
observed y[i] ~ Normal(a[g]*(1 + x), s)
"""
EACH = """model each
plate g
plate i in g
covariate x[i]
v[g] ~ InverseGamma(4, 3)
a[i] ~ Normal(m + v[g], sqrt(v[g]))
m ~ Normal(0, 1)
observed y[i] ~ Normal(a[i] + x, 0.8)
"""
TWO = """model two
plate g
plate i in g
covariate x[i]
a[g] ~ Normal(0, exp(l))
b[i] ~ Normal(a[g]*x, r)
l ~ Normal(-0.5, 0.5)
r ~ Uniform(0, 2)
observed y[i] ~ Normal(b[i], 0.5*exp(0.5*l))
"""


@pytest.mark.parametrize("sweeps", [8000, pytest.param(60_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("text", [ONE, EACH, TWO], ids=lambda t: t.split()[1])
def test_the_joint_law_is_left(text, sweeps):
    """One right schedule in 10,000 fails."""
    found = check_rules(dm.read(text), covariates(), simulated=sweeps // 20, sweeps=sweeps)
    assert "integrated out" in str(found)
    assert found.p_value > ALARM, str(found)


ALIKE = (
    ONE.replace("plate i in g\n", "")
    .replace("[i]", "[g]")
    .replace("*(1 + x)", "")
    .replace("covariate x[g]\n", "")
)


@pytest.mark.parametrize("text", [ONE, ALIKE], ids=["each its own precision", "all one precision"])
def test_the_density_is_the_integral(text):
    """Of the slice's register, beside the integral over each element by a fine grid."""
    data = {**covariates(), "y": [0.3, 1.0, 2.0, 1.0, 0.0, 1.5]}
    if text == ALIKE:
        data = {"g": list("uvw"), "y": [0.3, 1.0, 2.0]}
    found = schedule(bind(dm.read(text).dag, data))
    (update,) = [u for u in found.drawn if u.draw == "slice" and u.seldom]
    walk = found.walk
    holdings = found.board.builder.holdings
    w = walk.tape.initial.copy()
    a, mu, t, s = (holdings[n].slots for n in ("a", "mu", "t", "s"))
    w[a], w[mu], w[s] = [0.4, -1.0, 2.0][: a.size], 0.2, 0.7
    y = np.asarray(data["y"])
    times = 1 + np.asarray(data["x"]) if "x" in data else np.ones(y.size)
    group = np.unique(data["g"], return_inverse=True)[1]
    grid = np.linspace(-60.0, 60.0, 400_001)
    got, want = [], []
    for line in (-3.0, 0.0, 1.5):
        w[update.slots], w[t] = line, 1.0  # the precision itself is not read
        walk.program.run(w)
        got.append(float(w[walk.tape.place(update.registers[0])][0]))
        precision = np.exp(line)
        total = np.log(precision) - precision + line  # Gamma(2, 1), and the logarithm's slope
        for k in range(a.size):
            log = 0.5 * np.log(precision) - 0.5 * precision * (grid - 0.2) ** 2
            for i in np.flatnonzero(group == k):
                log = log - 0.5 * (y[i] - grid * times[i]) ** 2 / 0.7**2
            total += np.log(np.exp(log - log.max()).sum()) + log.max()
        want.append(total)
    np.testing.assert_allclose(np.diff(got), np.diff(want), rtol=1e-9)


def test_nothing_is_integrated_where_others_stand_between():
    """Normal given auxiliary variables, which are drawn given the old elements."""
    text = "a[g] ~ Normal(0, s)\nobserved y[i] ~ Bernoulli(expit(a[g] + x))\n"
    head = "model between\nplate g\nplate i in g\ncovariate x[i]\ns ~ HalfNormal(1)\n"
    data = {**covariates(), "y": [0, 1, 1, 1, 0, 0]}
    plan = str(dm.read(head + text).plan(data, method="gibbs", route="conditionals"))
    assert "integrated out" not in plan


def test_elements_that_hang_on_two_scales():
    """On one by their variance, on another by their mean: one right schedule in 10,000 fails."""
    text = EACH.replace("Normal(m + v[g], sqrt(v[g]))", "Normal(m + v[h], sqrt(v[g]))")
    text = text.replace("covariate x[i]", "covariate x[i]\ncovariate h[i] in g")
    data = {**covariates(), "h": list("vuvwwu")}
    found = check_rules(dm.read(text), data, simulated=400, sweeps=8000)
    assert found.p_value > ALARM, str(found)


def test_dyes_with_the_default_number_of_draws():
    """R-hat of 1.018 with standard units instead; below 1.01 for each of 48 seeds."""
    model, reference = bugs("dyes")
    fit = model.fit(method="gibbs", route="conditionals")
    assert fit.converged, fit.message
    assert_agrees(by_bugs_name(model, fit), reference)
