"""Units of plates under trajectories: which are chosen, and posteriors that do not depend on them.

Against exact routes, quadrature and draws element by element: means within Z standard errors of both.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

import dagmodels as dm
from dagmodels.backends.gibbs.flat_route import flat_route
from dagmodels.backends.gibbs.plate_units import Distances, Forms, Units, told
from dagmodels.bind.bind import bind
from dagmodels.forms.build_flat import build_flat
from dagmodels.numerics.sampling.streams import stream
from dagmodels.readers import read
from tests.backends.gibbs.runs import TRAJECTORIES, run

Z = 5.0  # standard errors: two-sided false alarm of 6e-7 a quantity
COUNTS = """model counts
plate g
plate i in g
u[g] ~ Normal(0, s)
observed y[i] ~ Poisson(exp(a + u))
a ~ Normal(0, 2)
s ~ HalfNormal(1)
"""
CROSSED = """model crossed
plate p
plate q
plate i in p, q
u[p] ~ Normal(0, su)
v[q] ~ Normal(0, sv)
observed y[i] ~ Bernoulli(expit(a + u[p] + v[q]))
a ~ Normal(0, 2)
su, sv ~ HalfNormal(1)
"""
GROUPS = """model groups
plate g
plate i in g
u[g] ~ Normal(m, s)
observed y[i] ~ Normal(u, 2)
m ~ Normal(0, 5)
s ~ {prior}
"""
FUNNEL = """model funnel
plate k = 1..9
v ~ Normal(0, 3)
x[k] ~ Normal(0, exp(v/2))
observed w[k] ~ Normal(x, 100)
"""


def counts(mean: float, sd: float) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(40), 3)
    return {"g": g, "y": rng.poisson(np.exp(mean + sd * rng.normal(size=40)[g]))}


def groups(sizes: list[int]) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(len(sizes)), sizes)
    return {"g": g, "y": 1 + rng.normal(size=len(sizes))[g] + 2 * rng.normal(size=g.size)}


def assert_alike(a: Any, b: Any) -> None:
    a, b = a.estimates.set_index("name"), b.estimates.set_index("name")
    b = b.loc[a.index]
    apart = (a["mean"] - b["mean"]).abs() / np.hypot(a["mcse"], b["mcse"])
    assert apart.max() < Z, apart.idxmax()
    # sds by about four times their own error at 400 effective draws
    np.testing.assert_allclose(b["sd"], a["sd"], rtol=0.15)


# -- the choice -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 8, 30])
def test_the_rule_for_known_scales(size: int) -> None:
    """With s = 1 all but known the posterior is normal; exact draws give the closed form of correlations, and
    the rule of Papaspiliopoulos, Roberts and Skoeld: standard units where the data's share of each element,
    i/(1 + i) with i = size/4, is below one half.
    """
    levels = 12
    problem = bind(read(GROUPS.format(prior="LogNormal(0, 0.0001)")), groups([size] * levels))
    forms = Forms(lambda masks: build_flat(problem, standard=masks), ())
    information = np.zeros((levels + 1, levels + 1))  # of m and u
    information[0, 0] = 1 / 25 + levels
    information[0, 1:] = information[1:, 0] = -1.0
    information[1:, 1:] = np.eye(levels) * (1 + size / 4)
    covariance = np.linalg.inv(information)
    shape = np.eye(levels + 1)  # from m and z
    shape[1:, 0] = 1.0
    expected = [
        2 * (np.sqrt(np.diag(c) * np.diag(np.linalg.inv(c))) - 1).sum()
        for c in (covariance, np.linalg.solve(shape, np.linalg.solve(shape, covariance).T))
    ]
    n = 50
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, levels + 1))
    x -= x.mean(axis=0)
    x = (np.linalg.cholesky(covariance) @ np.linalg.solve(np.linalg.cholesky(x.T @ x / n), x.T)).T
    values = {"m": x[:, 0], "u": x[:, 1:], "s": np.exp(1e-4 * rng.normal(size=n))}
    units, _ = forms.chosen(Units(), forms.written.unconstrain(values))
    assert units.found["u"][1:] == pytest.approx(expected, rel=0.01, abs=0.01)
    assert ("u" in units.masks) == (size / 4 / (1 + size / 4) < 0.5)


def warmed(text: str, data: dict[str, Any], seed: int = 1) -> Units:
    route: Any = flat_route(bind(read(text), data), 500, None, 0.8, ())
    return route.begin(stream(seed, 0), 0).units


@pytest.mark.parametrize("seed", [1, 2])
def test_elements_of_which_data_say_much_and_little(seed: int) -> None:
    sizes = [400] * 8 + [1] * 16
    units = warmed(GROUPS.format(prior="HalfNormal(2)"), groups(sizes), seed)
    np.testing.assert_array_equal(units.masks["u"], np.array(sizes) == 1)
    assert units.found["u"].chosen < 0.5 * min(units.found["u"][1:])


def test_chains_come_back_to_the_units_as_written() -> None:
    """Far from the posterior's mass, where chains begin, either may be nearer."""
    data = groups([40] * 15)
    problem = bind(read(GROUPS.format(prior="HalfNormal(2)")), {**data, "y": data["y"] + 300})
    route: Any = flat_route(problem, 1000, None, 0.8, ())
    state = route.begin(stream(1, 0), 0)
    assert not state.units.masks
    assert state.units.found["u"].written < state.units.found["u"].standard


def test_units_are_one_density() -> None:
    """Draws in standard units from a chosen point on have the log density as written."""
    problem = bind(read(COUNTS), counts(0.2, 0.05))
    route: Any = flat_route(problem, 200, None, 0.8, ())
    state = route.begin(stream(1, 0), 0)
    assert state.units.masks["u"].all()
    state = pickle.loads(pickle.dumps(state))
    _, part = route.draw(state, stream(1, 0, 1), 20)
    written = build_flat(problem)
    y = written.unconstrain(part.values)
    np.testing.assert_allclose([written.log_density(p) for p in y], part.statistics["lp"], rtol=1e-9)


def test_runs_that_tests_compare_choose() -> None:
    """Threads, processes, pickles, extensions and checkpoints are tested on them."""
    assert "'theta' in units of 'tau'" in str(run(draws=20, **TRAJECTORIES).plan)


# -- what is told -----------------------------------------------------------------------------------


def test_sentences() -> None:
    route: Any = flat_route(bind(read(COUNTS), counts(0.2, 0.05)), 200, None, 0.8, ())
    some, every = np.arange(40) < 9, np.ones(40, dtype=bool)
    far = Distances(1.5, 37.0, 20.0)
    assert told(route.flat, [Units({}, {"u": far})] * 4) == (
        "'u' as written: the density is 1.5 from a normal law, 20 in units of 's'",
    )
    assert told(route.flat, [Units({"u": every}, {"u": far})] * 4) == (
        "'u' in units of 's': the density is 1.5 from a normal law, 37 as written",
    )
    assert told(route.flat, [Units({"u": some}, {"u": far})] * 3 + [Units({}, {"u": far})]) == (
        "9 of 40 elements of 'u' in units of 's', in 3 of 4 chains: "
        "the density is 1.5 from a normal law, 37 as written, 20 with all in these units",
    )
    assert told(route.flat, [Units()] * 4) == ()


def test_the_plan_says_what_may_be_chosen() -> None:
    plan = dm.read(COUNTS).plan(counts(0.2, 0.05), method="gibbs", route="flat")
    assert "as written or in units of 's', whichever warm-up finds nearer to a normal law" in str(plan)


# -- posteriors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "sd", "standard"), [(0.2, 0.05, True), (4.0, 0.8, False)])
def test_weak_and_strong_groups_against_quadrature(mean: float, sd: float, standard: bool) -> None:
    model, data = dm.read(COUNTS), counts(mean, sd)
    exact, fit = model.fit(data, method="gibbs"), model.fit(data, method="gibbs", route="flat")
    assert "grid" in exact.method
    assert ("'u' in units of 's'" in str(fit.plan)) is standard
    assert fit.converged, fit.message
    assert_alike(exact, fit)


def test_crossed_effects_of_which_one_plate_hardly_differs() -> None:
    rng = np.random.default_rng(1)
    p, q = rng.integers(0, 30, 600), rng.integers(0, 12, 600)
    y = rng.random(600) < 1 / (1 + np.exp(0.5 - 0.8 * rng.normal(size=30)[p]))
    data, model = {"p": p, "q": q, "y": y.astype(int)}, dm.read(CROSSED)
    fit = model.fit(data, method="gibbs")
    assert "'u' as written" in str(fit.plan)
    assert "'v' in units of 'sv'" in str(fit.plan)
    assert fit.converged, fit.message
    assert_alike(model.fit(data, method="gibbs", route="conditionals"), fit)


def test_some_elements_of_a_plate_against_the_grid() -> None:
    model, data = dm.read(GROUPS.format(prior="HalfNormal(2)")), groups([60] * 8 + [1] * 16)
    fit = model.fit(data, method="gibbs", route="flat")
    assert "16 of 24 elements of 'u' in units of 's'" in str(fit.plan)
    assert fit.converged, fit.message
    assert_alike(model.fit(data, method="gibbs"), fit)


def test_eight_schools_by_trajectories() -> None:
    exact, fit = run(draws=2000), run(draws=2000, collapse=False)
    assert fit.converged, fit.message
    assert_alike(exact, fit)


def test_neals_funnel() -> None:
    """Against the integral over v, x being integrated in closed form."""
    fit = dm.read(FUNNEL).fit({"w": np.zeros(9)}, method="gibbs", route="flat", draws=2000)
    assert fit.diagnostics["rhat"] < 1.01, fit.message

    def density(v: float) -> float:
        return float(np.exp(-(v**2) / 18 - 4.5 * np.log1p(np.exp(v) / 1e4)))

    total = integrate.quad(density, -30, 30)[0]
    mean = integrate.quad(lambda v: v * density(v), -30, 30)[0] / total
    square = integrate.quad(lambda v: v * v * density(v), -30, 30)[0] / total
    v = fit.estimates.set_index("name").loc["v"]
    assert abs(v["mean"] - mean) < Z * v["mcse"]
    assert v["sd"] == pytest.approx(np.sqrt(square - mean**2), rel=0.1)
