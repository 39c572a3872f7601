"""Units as sums of functions of one line: densities, gradients and draws as those from the tape's nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms import unit_copies
from dagmodels.forms.quadrature_collapsed import QuadratureCollapsed, quadrature_collapsed
from dagmodels.forms.quadrature_rule import Rule
from dagmodels.forms.unit_copies import copies
from dagmodels.forms.unit_summands import LineCopies
from dagmodels.numerics.curvature import HIGH, SUMMED, curvature
from dagmodels.numerics.tape import Recorder

BUGS = Path(__file__).parents[1] / "references" / "bugs"
BOTH = """model both
plate group
plate row in group
covariate x[row]
a[group] ~ Normal(0, sigma)
mu, beta ~ Normal(0, 5)
load ~ HalfNormal(1)
sigma ~ HalfNormal(1)
observed y[row] ~ Poisson(exp(mu + load*a + beta*x))
observed z[row] ~ Bernoulli(Phi(mu + a - x))
observed k[row] ~ Binomial(7, expit(beta + a*x))
"""


def both() -> QuadratureCollapsed:
    """Counts, probits and shares with one effect, which has slopes of its own in each."""
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(5), [1, 2, 5, 3, 4]), rng.normal(size=15)
    a = 0.7 * rng.normal(size=5)[g]
    table = {
        "y": rng.poisson(np.exp(0.4 + a)),
        "z": 1.0 * (rng.random(15) < 0.6),
        "k": rng.integers(0, 8, 15),
    }
    return quadrature_collapsed(bind(dm.read(BOTH).dag, pd.DataFrame({"group": g, "x": x, **table})))


def of(name: str) -> QuadratureCollapsed:
    """With so many nodes that it matters to no digit where they lie."""
    if name == "both":
        return fine(both())
    model = dm.read(BUGS / name / "model.bug", BUGS / name / "data.json")
    return fine(quadrature_collapsed(bind(model.dag, model.data_or_file())))


def fine(c: QuadratureCollapsed) -> QuadratureCollapsed:
    return replace(c, rule=Rule.of(49, 1))


def by_tape(c: QuadratureCollapsed) -> QuadratureCollapsed:
    """With the tape run at every node."""
    one = c.units.distinct.one_copy()
    return replace(c, tapes=tuple(copies(one, t.count)[0] for t in c.tapes))


def about(c: QuadratureCollapsed, count: int) -> Any:
    best = c.modes().best
    root = np.linalg.cholesky(np.linalg.inv(0.5 * best.hessian))
    return best.x + 1.5 * np.random.default_rng(3).standard_normal((count, best.x.size)) @ root.T


@pytest.mark.parametrize("name", ["salm", "seeds", "lsat", "both"])
def test_densities_and_gradients_are_those_of_the_tape(name: str) -> None:
    c = of(name)
    assert all(isinstance(t, LineCopies) for t in c.tapes)
    y, tape = about(c, 40), by_tape(c)
    for points in (y, y[:1]):
        value, gradient = c.log_densities_and_gradients(points)
        wanted, slopes = tape.log_densities_and_gradients(points)
        np.testing.assert_allclose(value, wanted, rtol=0.0, atol=1e-8)
        np.testing.assert_array_equal(value, c.log_densities(points))
        np.testing.assert_allclose(gradient, slopes, rtol=1e-8, atol=1e-6)
    assert c.log_densities(y)[0] == pytest.approx(c.log_densities(y[:1])[0], abs=1e-11)


def test_draws_have_the_law_of_the_tapes_draws() -> None:
    """Of 5 units means and mean squares in 20,000 draws either way: 10 z scores; 5.2 is passed by chance with
    probability 2e-6."""
    c = both()
    points = np.repeat(about(c, 2)[1:], 20_000, 0)
    one = c.visited(points, np.random.default_rng(1)).elements
    other = by_tape(c).visited(points, np.random.default_rng(2)).elements
    for x, z in ((one, other), (one**2, other**2)):
        spread = np.sqrt((x.var(axis=0) + z.var(axis=0)) / len(x))
        assert (np.abs(x.mean(axis=0) - z.mean(axis=0)) < 5.2 * spread).all()


@pytest.mark.parametrize("lines", [True, False])
def test_tapes_that_cannot_be_repeated_have_gradients(monkeypatch: pytest.MonkeyPatch, lines: bool) -> None:
    c = of("both")
    y = about(c, 3)
    wanted = c.log_densities_and_gradients(y)
    monkeypatch.setattr(unit_copies, "tiled", lambda *_: None)
    whole = of("both") if lines else by_tape(c)
    assert whole.tapes[-1].count == 1
    found = whole.log_densities_and_gradients(y)
    np.testing.assert_allclose(found[0], wanted[0], rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-8, atol=1e-6)


def test_what_is_a_sum_of_functions_of_a_line() -> None:
    r = Recorder()
    x, s = r.input("x", 1), r.input("s", 1)
    e = r.apply("exp", r.apply("*", s, x))
    cases = {
        r.apply("*", s, e): SUMMED,
        r.apply("+", e, r.apply("*", x, x)): SUMMED,
        r.apply("/", r.apply("softplus", r.apply("-", x, s)), s): SUMMED,
        r.apply("*", x, e): HIGH,
        r.apply("*", x, r.apply("*", x, x)): HIGH,
        r.apply("exp", r.apply("*", x, x)): HIGH,
        r.apply("log", x): HIGH,
        r.apply("*", e, e): HIGH,
        r.apply("exp", s): 0,
    }
    for register in cases:
        r.start(register)
    tape = r.finish()
    degree = curvature(tape, np.arange(tape.inputs["x"][0], tape.inputs["x"][0] + 1)).degree
    assert [int(degree[tape.place(k)][0]) for k in cases] == list(cases.values())
