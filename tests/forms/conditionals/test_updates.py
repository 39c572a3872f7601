"""Single updates on laws that are known, and what a sweep computes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.errors import FitWarning
from dagmodels.forms.conditionals import levels, slices
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.schedule import schedule, targets
from dagmodels.forms.conditionals.segments import walk
from dagmodels.forms.conditionals.start import Starter
from dagmodels.forms.conditionals.state import StateBuilder
from dagmodels.forms.conditionals.sweeper import Sweeper
from dagmodels.numerics.program import COUNT
from dagmodels.numerics.sampling.streams import stream
from tests.backends.gibbs.compared import bugs
from tests.backends.gibbs.test_rules import LIMITS, LOGITS, SLOPES, covariates
from tests.numerics.sampling.monte_carlo import FAR, independent_z

stats: Any = _stats
N = 4000
LAWS = {
    "Normal(3, 0.01)": stats.norm(3, 0.01),
    "StudentT(5, 1, 2)": stats.t(5, 1, 2),
    "Gamma(0.5, 0.1)": stats.gamma(0.5, scale=10),
    "Beta(0.7, 3)": stats.beta(0.7, 3),
    "Uniform(-2, 5)": stats.uniform(-2, 7),
    "Poisson(4.3)": stats.poisson(4.3),
    "Poisson(4000)": stats.poisson(4000),
    "NegativeBinomial(n=3, p=0.2)": stats.nbinom(3, 0.2),
    "Binomial(5, 0.3)": stats.binom(5, 0.3),
}


def expectations(law):
    cuts = law.ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    return cuts, law.cdf(cuts)


def updated(text, rule, x, width, sweeps=3):
    """The state after some sweeps of one rule on independent elements of that law."""
    problem = bind(dm.read(f"model one\nplate i\nx[i] ~ {text}\n").dag, sizes={"i": N})
    board = Board(StateBuilder(problem))
    (target,) = targets(board)
    update = rule.recognise(board, target)
    made = walk(board, [update])
    sweeper = Sweeper(made, np.concatenate([x, np.ones(made.size - N)]))
    if update.numbers is not None:
        sweeper.numbers[:N] = width
    return sweeper.run(stream(4711, 1), sweeps)[-1, :N]


@pytest.mark.parametrize("text", LAWS)
@pytest.mark.parametrize("width", [0.1, 30.0])
def test_a_slice_leaves_exact_draws_exact(text, width):
    """Whatever the widths: three updates of independent elements leave their law."""
    law = LAWS[text]
    x = law.rvs(size=N, random_state=stream(4711, 0)).astype(float)
    after = updated(text, slices, x, max(width * float(law.std()), 1.0 if hasattr(law.dist, "pmf") else 0.0))
    assert (after != x).mean() > 0.1
    cuts, shares = expectations(law)
    assert np.abs(independent_z((after[:, None] <= cuts).astype(float), shares)).max() < FAR


@pytest.mark.parametrize("text", ["Binomial(5, 0.3)", "Bernoulli(0.2)"])
def test_levels_are_drawn_with_their_probabilities(text):
    law = LAWS.get(text, stats.bernoulli(0.2))
    after = updated(text, levels, np.zeros(N), 1.0, sweeps=1)
    values = np.arange(6.0)
    shares = law.pmf(values)
    seen = values[shares > 0]
    assert np.isin(after, seen).all()
    table = (after[:, None] == seen).astype(float)
    assert np.abs(independent_z(table, shares[shares > 0])).max() < FAR


def problems():
    found = {name: bugs(name)[0]._facts(None).problem for name in ("rats", "pump", "seeds", "eyes")}
    data = {**covariates(), "y": [0.3, 1.0, 2.0, 1.0, 0.0, 1.5]}
    counts = {**covariates(), "y": [0, 1, 2, 1, 0, 4], "c": [0, 1, 1, 0, 0, 1]}
    return {
        **found,
        "slopes": bind(dm.read(SLOPES).dag, data),
        "limits": bind(dm.read(LIMITS).dag, data),
        "logits": bind(dm.read(LOGITS).dag, counts),
    }


@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize("name", ["rats", "pump", "seeds", "eyes", "slopes", "limits", "logits"])
def test_nothing_stale_is_read(name, period):
    """Running everything anew before each update gives the same draws, bit for bit."""
    found = schedule(problems()[name])
    state = Starter.of(found).start(stream(7, 0), {}, 0)
    usual, other = Sweeper(found.walk, state), Sweeper(found.walk, state)
    one, two = stream(7, 1), stream(7, 1)
    row = np.empty((1, state.size))
    kept = usual.run(one, 7, period=period)
    for sweep in range(7):
        for k in range(len(found.walk.table)):
            other.place(other.state())
            other._loop(found.walk.table[k : k + 1], two, 0, row, period, sweep)
        np.testing.assert_array_equal(kept[sweep], other.state())


LINE = """model line
plate i
covariate x[i]
observed y[i] ~ Normal(a + b*x, tau=t)
a, b ~ Normal(0, 10)
t ~ Gamma(1, 1)
"""
BLOCK = """model block
plate g
plate i in g
covariate x[i], w[i]
observed y[i] ~ Normal(m + a[g] + b*x + c*w, s)
a[g] ~ Normal(0, sa)
m, b, c ~ Normal(0, 5)
s ~ Uniform(0, 10)
sa ~ HalfNormal(1)
"""
KNOWN = """model known
plate g
plate i in g
covariate x[i], w[i]
observed y[i] ~ Normal(a[g]*w + b[g]*x, 1 + w)
a[g], b[g] ~ Normal(0, s)
s ~ HalfNormal(1)
"""


@pytest.mark.parametrize(("text", "most"), [(LINE, 200), (BLOCK, 3000), (KNOWN, 2500)])
def test_statistics_stand_for_rows(text, most):
    """Sweeps of ten times as many rows run as many operations on as many numbers."""
    work = []
    for n in (1000, 10_000):
        x = np.random.default_rng(1).normal(size=n)
        data = {"x": x, "w": np.arange(n) % 7, "y": 1 + 2 * x, "g": np.arange(n) % 12}
        graph = dm.read(text)
        found = schedule(bind(graph.dag, {k: v for k, v in data.items() if k in text})).walk
        work.append(found.steps[:, COUNT].sum())
    assert work[0] == work[1] < most


def test_the_log_density_of_draws():
    """By sums of squares, beside scipy's by row."""
    rng = np.random.default_rng(2)
    g, x, w = np.arange(60) % 4, rng.normal(size=60), rng.integers(0, 3, 60)
    y = rng.normal(size=60) + x
    table = {"g": [f"g{k}" for k in g], "x": x, "w": w, "y": y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = dm.read(BLOCK).fit(table, method="gibbs", route="conditionals", draws=20, warmup=20, chains=1)
    for k in range(20):
        at = {n: v[0, k] for n, v in fit.samples.values.items()}
        normal = stats.norm.logpdf
        mean = at["m"] + at["a"][g] + at["b"] * x + at["c"] * w
        told = normal(y, mean, at["s"]).sum() + normal(at["a"], 0, at["sa"]).sum()
        told += normal([at["m"], at["b"], at["c"]], 0, 5).sum() + stats.uniform(0, 10).logpdf(at["s"])
        told += stats.halfnorm.logpdf(at["sa"])
        assert fit.samples.statistics["lp"][0, k] == pytest.approx(told, rel=1e-10)
