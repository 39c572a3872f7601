"""Small units integrated by quadrature, against dense sums, closed forms and the density itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats
from scipy.special import expit

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.quadrature_collapsed import QuadratureCollapsed, quadrature_collapsed
from dagmodels.forms.units import NoUnits, Units, units

Floats = NDArray[np.float64]
BUGS = Path(__file__).parents[1] / "references" / "bugs"

ITEMS = """model items
plate person
plate item
theta[person] ~ Normal(0, 1)
alpha[item] ~ Normal(0, 3)
beta ~ HalfNormal(2)
observed r[person, item] ~ Bernoulli(expit(beta*theta - alpha))
"""
SLOPES = """model slopes
plate group
plate row in group
covariate x[row]
a[group], b[group] ~ Normal(0, sigma)
mu ~ Normal(0, 5)
sigma ~ HalfNormal(1)
observed y[row] ~ Poisson(exp(mu + a + b*x))
"""


def items() -> Any:
    rng = np.random.default_rng(3)
    theta, alpha = rng.normal(size=60), np.array([-1.0, 0.0, 1.0])
    r = (rng.random((60, 3)) < expit(theta[:, None] - alpha)).astype(float)
    return bind(dm.read(ITEMS).dag, {"r": r, "person": 60, "item": 3})


def slopes() -> Any:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(6), 5)
    x = rng.normal(size=30)
    y = rng.poisson(np.exp(0.5 + 0.5 * rng.normal(size=6)[g] + 0.4 * rng.normal(size=6)[g] * x))
    return bind(dm.read(SLOPES).dag, pd.DataFrame({"group": g, "x": x, "y": y}))


def of(name: str) -> QuadratureCollapsed:
    model = dm.read(BUGS / name / "model.bug", BUGS / name / "data.json")
    return quadrature_collapsed(bind(model.dag, model.data_or_file()))


def away(c: QuadratureCollapsed, by: float) -> Floats:
    """A point some standard deviations from the mode."""
    best = c.modes().best
    return best.x + by * np.sqrt(np.diagonal(np.linalg.inv(0.5 * best.hessian)))


def test_seeds_density_is_that_of_scipy() -> None:
    c = of("seeds")
    problem = c.problem
    data = {n: np.asarray(problem.values[n]) for n in ("r", "n", "x1", "x2")}

    def brute(y: Floats) -> float:
        a = dict(zip(c.names, y, strict=True))
        tau = np.exp(a["tau"])
        total = sum(stats.norm.logpdf(a[k], 0, 1e3) for k in ("alpha0", "alpha1", "alpha2", "alpha12"))
        total += stats.gamma.logpdf(tau, 1e-3, scale=1e3) + a["tau"]
        for r, n, x1, x2 in zip(*data.values(), strict=True):
            eta = a["alpha0"] + a["alpha1"] * x1 + a["alpha2"] * x2 + a["alpha12"] * x1 * x2
            z = np.linspace(-12, 12, 4001)
            mass = stats.binom.pmf(r, n, expit(eta + z / np.sqrt(tau))) * stats.norm.pdf(z)
            total += np.log(integrate.simpson(mass, x=z))
        return float(total)

    for by in (0.0, 1.0, -2.0):
        y = away(c, by)
        assert c.log_density(y)[0] == pytest.approx(brute(y), abs=1e-6)


@pytest.mark.parametrize("name", ["seeds", "salm"])
def test_gradient_is_the_slope(name: str) -> None:
    c = of(name)
    y = away(c, 0.5)
    sd = away(c, 1.5) - y
    value, gradient = c.log_density(y)
    assert value == c.log_densities(y[None, :])[0]
    for i, step in enumerate(1e-3 * sd):
        e = np.zeros(y.size)
        e[i] = step
        ends = c.log_densities(np.stack([y - 2 * e, y - e, y + e, y + 2 * e]))
        slope = float(np.dot([1.0, -8.0, 8.0, -1.0], ends) / 12.0)
        assert gradient[i] * step == pytest.approx(slope, abs=1e-7)


def test_students_with_one_pattern_are_one_unit() -> None:
    found = units(items())
    assert isinstance(found, Units)
    assert found.latents == ("theta",)
    assert found.outer_nodes == ("alpha", "beta")
    r = np.asarray(found.problem.values["r"]).reshape(60, 3)
    _, pattern, counts = np.unique(r, axis=0, return_inverse=True, return_counts=True)
    assert sorted(found.distinct.weight) == sorted(counts)
    assert len(set(zip(found.kind.tolist(), pattern.reshape(-1).tolist(), strict=True))) == counts.size
    rng = np.random.default_rng(1)
    y, u = rng.normal(size=(2, 4)), rng.normal(size=(2, *found.distinct.shape))
    whole = found.every.densities(y, u[:, found.kind])
    np.testing.assert_array_equal(whole, found.distinct.densities(y, u)[:, found.kind])


def test_two_dimensions_are_those_of_a_dense_sum_and_draws_follow_it() -> None:
    """64 z scores of means and of products: 4.5 is passed by chance with probability 4e-4."""
    c = quadrature_collapsed(slopes())
    assert c.units.every.shape == (6, 2)
    y = away(c, 0.5)
    z = np.linspace(-8, 8, 101)
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), axis=2).reshape(-1, 2)
    sigma = float(c.constrain(y)["sigma"])
    u = sigma * grid
    log = c.units.every.densities(np.repeat(y[None, :], len(u), 0), np.repeat(u[:, None, :], 6, 1))
    mass = np.exp(log - log.max(axis=0))
    total = np.log(mass.sum(axis=0) * (sigma * (z[1] - z[0])) ** 2) + log.max(axis=0)
    f = c.units.every
    w = f.tape.initial.copy()
    w[f.outer] = y
    f.tape.forward(w)
    rest = float((w[f.entry] * f.times)[f.owner < 0].sum())
    assert c.log_density(y)[0] == pytest.approx(rest + total.sum(), abs=1e-6)
    n = 8000
    drawn = c.elements(np.repeat(y[None, :], n, 0), np.random.default_rng(2))
    mass /= mass.sum(axis=0)
    for power in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1)):
        h = (u**power).prod(axis=1)
        mean = h @ mass
        spread = np.sqrt((h**2) @ mass - mean**2)
        found = (drawn**power).prod(axis=2).mean(axis=0)
        assert np.abs((found - mean) / spread * np.sqrt(n)).max() < 4.5


@pytest.mark.parametrize(("below", "by"), [("tangents", -1.0), ("tangents", 2.5), ("a normal law", -1.0)])
def test_drawn_elements_have_the_conditional_law(below: str, by: float) -> None:
    """21 tests of Kolmogorov and Smirnov: a p value below 2e-6 comes by chance with probability 4e-5."""
    c = of("seeds")
    y = away(c, by)
    n, units_ = 5000, 21
    points, rng = np.repeat(y[None, :], n, 0), np.random.default_rng(5)
    if below == "tangents":
        visit = c.visited(points, rng)
        drawn = visit.elements
        assert np.ptp(visit.density) == 0.0
        assert visit.density[0] == pytest.approx(c.log_density(y)[0], abs=1e-12)
    else:
        drawn = c.elements(points, rng)[:, :, 0]
    z = np.linspace(-12, 12, 6001) / np.exp(0.5 * y[c.names.index("tau")])
    log = c.units.every.densities(np.repeat(y[None, :], z.size, 0), np.repeat(z[:, None, None], units_, 1))
    mass = np.exp(log - log.max(axis=0))
    share = integrate.cumulative_simpson(mass, x=z, axis=0, initial=0.0)
    for g in range(units_):
        u = np.interp(drawn[:, g], z, share[:, g] / share[-1, g])
        assert stats.kstest(u, "uniform").pvalue > 2e-6


def test_densities_do_not_hang_on_how_many_points_are_visited_at_once() -> None:
    """Also beside a point where there is no density."""
    c = of("salm")
    y = np.stack([away(c, by) for by in (0.0, 0.5, 0.5, -1.0, 3.0, -4.0)])
    one_by_one = np.array([c.log_density(row)[0] for row in y])
    np.testing.assert_allclose(c.log_densities(y), one_by_one, rtol=0.0, atol=1e-11)
    visit = c.visited(y, np.random.default_rng(7))
    np.testing.assert_allclose(visit.density, one_by_one, rtol=0.0, atol=1e-11)
    np.testing.assert_array_equal(c.visited(y, np.random.default_rng(7)).elements, visit.elements)
    y[2] = 1e4
    found, gradient = c.log_densities_and_gradients(y)
    assert found[2] == -np.inf
    assert np.isnan(gradient[2]).all()
    others = np.arange(6) != 2
    np.testing.assert_allclose(found[others], one_by_one[others], rtol=0.0, atol=1e-11)
    np.testing.assert_allclose(gradient[0], c.log_density(y[0])[1], rtol=1e-9, atol=1e-9)


def test_draws_are_at_the_points_that_are_chosen() -> None:
    """Means over 4000 draws of 18 elements each at three points, one of them before all others: z scores of
    54 means; 5 is passed by chance with probability 3e-5."""
    c = of("salm")
    y = np.stack([away(c, by) for by in (0.0, 1.0, -1.0)])
    n = 4000
    rows = np.tile([0, -1, 0, 1], n)
    points = np.repeat(y[:2], 2 * n, 0)
    visit = c.through(
        points, y[2], lambda density: np.where(rows == 1, 2 * n, rows), np.random.default_rng(3)
    )
    for chosen, point in ((0, y[0]), (1, y[1]), (-1, y[2])):
        at = rows == chosen
        assert (visit.values[at] == point).all()
        one = c.visited(np.repeat(point[None, :], n, 0), np.random.default_rng(4)).elements
        other = visit.elements[at]
        spread = np.sqrt(one.var(axis=0) / len(one) + other.var(axis=0) / len(other))
        assert np.abs((one.mean(axis=0) - other.mean(axis=0)) / spread).max() < 5.0


def test_why_there_are_no_units() -> None:
    text = "model m\nplate row\nmu ~ Normal(0, 1)\nobserved y[row] ~ Poisson(exp(mu))\n"
    found = units(bind(dm.read(text).dag, {"row": 2, "y": [1, 2]}))
    assert isinstance(found, NoUnits)
    assert "no latent on a plate is Normal" in found.because[0]


def test_what_is_not_log_concave_is_not_integrated() -> None:
    text = """model heavy
plate row
a[row] ~ Normal(0, 1)
b ~ Normal(0, 1)
observed y[row] ~ StudentT(4, a + exp(b), 1)
"""
    found = units(bind(dm.read(text).dag, {"row": 2, "y": [1.0, 2.0]}))
    assert isinstance(found, NoUnits)
    assert found.because == ("'y': not known to be log-concave in 'a', 'b'",)
