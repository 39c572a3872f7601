"""The flat form against densities summed statement by statement in numpy; derivatives and Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.analysis.laws import is_discrete
from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.flat import Flat, Workspace
from dagmodels.graph.statement import Stochastic
from dagmodels.readers import read
from tests.gallery.cases import CASES as GALLERY
from tests.gallery.cases import SPECS
from tests.simulate.model_cases import CASES, model

from .flat_oracle import drawn, log_joint

DISCRETE = ("stagnant", "gaussian_mixture", "hmm", "asia", "sigmoid_belief_net")  # unknowns without gradient
WHOLE = [name for name in CASES if name not in DISCRETE]
STATES = ("latent_class", "responders")  # their states are summed out: test_build_summed
WITH_DATA = [n for n in GALLERY if n not in STATES and dm.read(SPECS / f"{n}.dag").dag.data_file]
# sixth-order central differences (Fornberg 1988, table 1)
STEPS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))


def case(name: str) -> tuple[Problem, dict[str, np.ndarray]]:
    c = CASES[name]
    return drawn(model(name), c.data, c.values, c.sizes)


def shaped(problem: Problem, values: dict[str, np.ndarray], names: Any) -> dict[str, np.ndarray]:
    return {n: values[n].reshape(problem.shape(n)) for n in names}


def differences(flat: Flat, y: np.ndarray, along: np.ndarray, at: Workspace | None = None) -> float:
    """The derivative along a direction; a step of 0.003 leaves rounding and truncation below 1e-9."""
    h = 3e-3
    return sum(
        w / h * (flat.log_density(y + k * h * along, at=at) - flat.log_density(y - k * h * along, at=at))
        for k, w in STEPS
    )


def assert_gradient(flat: Flat, y: np.ndarray, at: Workspace | None = None) -> None:
    rng = np.random.default_rng(3)
    gradient = flat.gradient(y, at=at)
    scale = np.maximum(np.abs(gradient), 1.0)
    for _ in range(6):
        along = rng.normal(size=flat.size) / scale
        along /= max(np.linalg.norm(along), 1.0)
        size = max(1.0, float(np.abs(gradient * along).sum()))
        assert abs(differences(flat, y, along, at) - gradient @ along) <= 3e-7 * size


@pytest.mark.parametrize("name", WHOLE)
def test_log_density_is_the_sum_of_the_laws(name: str) -> None:
    problem, values = case(name)
    flat = build_flat(problem)
    y = flat.unconstrain(shaped(problem, values, flat.nodes))
    rng = np.random.default_rng(1)
    for point in (y, *(y + rng.normal(0, 0.02, (3, flat.size)))):
        found, expected = (
            flat.log_density(point, jacobian=False),
            log_joint(problem, {**values, **flat.constrain(point)}),
        )
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-9)
    assert flat.log_density(y) != flat.log_density(y, jacobian=False) or not any(
        s.kind != "real" for s in flat.stretches
    )


@pytest.mark.parametrize("name", WITH_DATA)
def test_models_of_the_gallery_with_their_data(name: str) -> None:
    g = dm.read(SPECS / f"{name}.dag")
    problem = bind(g.dag, g.data_or_file())
    flat = build_flat(problem)
    rng = np.random.default_rng(5)
    for _ in range(3):
        y = rng.normal(0, 0.3, flat.size)
        values = {n: v.reshape(-1) for n, v in flat.constrain(y).items()}
        values |= {n: np.zeros(int(np.prod(problem.shape(n)))) for n in g.dag.order if n not in values and n
                   not in problem.values}  # fmt: skip
        expected = log_joint(problem, values)
        found = flat.log_density(y, jacobian=False)
        assert found == pytest.approx(-np.inf if np.isnan(expected) else expected, rel=1e-10)
        assert (flat.why(y) == ()) == np.isfinite(found)


@pytest.mark.parametrize("name", WHOLE)
def test_gradient_is_that_of_differences(name: str) -> None:
    problem, values = case(name)
    flat = build_flat(problem)
    y = flat.unconstrain(shaped(problem, values, flat.nodes))
    assert_gradient(flat, y + np.random.default_rng(2).normal(0, 0.02, flat.size))


@pytest.mark.parametrize("name", WHOLE)
def test_round_trip_and_many_points_at_once(name: str) -> None:
    problem, values = case(name)
    flat = build_flat(problem)
    truth = shaped(problem, values, flat.nodes)
    y = flat.unconstrain(truth)
    back = flat.constrain(y)
    for n, value in truth.items():
        np.testing.assert_allclose(back[n], value, rtol=1e-12, atol=1e-12)
    points = y + np.random.default_rng(4).normal(0, 0.1, (7, flat.size))
    many = flat.constrain(points)
    for n, value in many.items():
        assert value.shape == (7, *problem.shape(n))
        np.testing.assert_array_equal(value[3], flat.constrain(points[3])[n])
    np.testing.assert_allclose(flat.unconstrain(many), points, rtol=1e-9, atol=1e-9)
    assert len(flat.names) == flat.size


def assert_jacobian(flat: Flat, y: np.ndarray, at: Workspace | None = None) -> None:
    """The log Jacobian against the determinant of differences of elements that numbers are named after."""

    def elements(points: np.ndarray) -> np.ndarray:
        found = {n: v.reshape(len(points), -1) for n, v in flat.constrain(points, at=at).items()}
        return np.concatenate([found[s.node][:, s.entries()] for s in flat.stretches], axis=1)

    h = 1e-3
    steps = np.array([[k * h * row for row in np.eye(flat.size)] for k in (1, -1, 2, -2, 3, -3)])
    f = elements((y + steps).reshape(-1, flat.size)).reshape(6, flat.size, -1)
    slopes = (45 * (f[0] - f[1]) - 9 * (f[2] - f[3]) + (f[4] - f[5])) / (60 * h)
    expected = np.linalg.slogdet(slopes)[1]
    stated = flat.log_density(y, at=at) - flat.log_density(y, jacobian=False, at=at)
    assert stated == pytest.approx(expected, rel=1e-7, abs=1e-7 * flat.size)


@pytest.mark.parametrize("name", WHOLE)
def test_jacobian_is_that_of_differences(name: str) -> None:
    problem, values = case(name)
    flat = build_flat(problem)
    y = flat.unconstrain(shaped(problem, values, flat.nodes))
    assert_jacobian(flat, y + np.random.default_rng(6).normal(0, 0.02, flat.size))


ENDS = {
    "one end for all": "x[row] ~ Uniform(0, u)\nu ~ Uniform(1, 3)",
    "both ends": "x[row] ~ Uniform(v, u)\nu ~ Uniform(1, 3)\nv ~ Uniform(-2, 0)",
    "cut below": "x[row] ~ Truncated(Normal(0, 1), lower=u)\nu ~ Normal(0, 1)",
    "cut on both sides": "x[row] ~ Truncated(Normal(0, u), lower=-u, upper=2*u)\nu ~ HalfNormal(2)",
}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
def test_jacobian_where_ends_are_unknown(ends: str) -> None:
    problem = bind(
        read(f"model m\nplate row\nobserved z[row] ~ Normal(x[row], 1)\n{ends}\n"), {"z": [0.5, 1.0, 2]}
    )
    flat = build_flat(problem)
    assert_jacobian(flat, np.random.default_rng(7).normal(0, 0.5, flat.size))


def refusal(problem: Problem, unknown: list[str] | None = None) -> str:
    with pytest.raises(ModelErrors) as error:
        build_flat(problem, unknown)
    return str(error.value)


HEAD = "model m\nplate k = 1..3\nplate k2 as k\nplate row\nparameter u\nobserved z[row] ~ Normal(u, 1)\n"
ONE = {
    "real": "x ~ Normal(0, 2)",
    "positive": "x ~ Gamma(2, 3)",
    "negative": "parameter x < 0",
    "above": "x ~ Pareto(3, 2)",
    "unit": "x ~ Beta(2, 3)",
    "interval": "x ~ Uniform(-1, 3)",
    "truncated": "x ~ Truncated(Normal(0, 1), lower=0.5, upper=2)",
    "truncated above": "x ~ Truncated(Normal(0, 1), upper=2)",
    "simplex": "x[k] ~ Dirichlet([1, 2, 3])",
    "simplexes": "x[k2, k] ~ Dirichlet(2)",
    "ordered": "x[k] ~ Ordered(Normal(0, 1))",
    "ordered parameter": "parameter x[k] ordered",
    "covariance": "constant v[k, k2] = [[1, 0.2, 0], [0.2, 1, 0], [0, 0, 2]]\nx[k, k2] ~ Wishart(5, v)",
    "correlation": "x[k, k2] ~ LKJCorr(2)",
    "bounds that are unknown": "x ~ Uniform(u, u + 2)",
}


def only(text: str) -> Flat:
    problem = bind(read(HEAD + text), {"row": 2, "z": [0.5, 1.0]})
    return build_flat(problem)


def test_many_unknown_bounds_come_in_order() -> None:
    flat = only("a ~ Uniform(u, u + 2)\nx ~ Truncated(Normal(0, a**2 + 1), lower=a)")
    values = {"u": 0.3, "a": 1.1, "x": 1.7}
    y = flat.unconstrain(values)
    for name, value in flat.constrain(y).items():
        assert float(value) == pytest.approx(values[name], rel=1e-14)
    two = flat.unconstrain({n: np.full(2, v) for n, v in values.items()})
    np.testing.assert_allclose(two, [y, y], rtol=1e-13)
    assert_gradient(flat, y)


@pytest.mark.parametrize("kind", ONE)
def test_jacobian_is_the_determinant(kind: str) -> None:
    """log |det dx/dy|, x reduced to the entries over which its density is stated, by differences."""
    flat = only(ONE[kind])
    rng = np.random.default_rng(7)
    (at,) = [np.arange(s.start, s.start + s.length) for s in flat.stretches if s.node == "x"]
    for _ in range(4):
        y = rng.normal(0, 0.7, flat.size)

        def free(y: np.ndarray) -> np.ndarray:
            x = flat.constrain(y)["x"]
            if kind.startswith("simplex"):
                return x[..., :-1].reshape(-1)
            if kind == "covariance":
                return x[np.tril_indices(3)]
            return x[np.tril_indices(3, -1)] if kind == "correlation" else x.reshape(-1)

        h, d = 3e-3, np.eye(flat.size)[at]
        matrix = np.array(
            [sum(w / h * (free(y + k * h * e) - free(y - k * h * e)) for k, w in STEPS) for e in d]
        )
        found = flat.log_density(y) - flat.log_density(y, jacobian=False)
        assert found == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-7)
        assert_gradient(flat, y)


def test_density_has_the_same_mass_on_every_scale() -> None:
    """Over the unconstrained line, whatever the transform, a proper density integrates to one."""
    flat = build_flat(bind(read("model m\nx ~ Gamma(2.5, 1.3)"), {}))
    other = build_flat(bind(read("model m\nx ~ LogNormal(0.3, 0.8)"), {}))
    points = np.linspace(-30, 8, 4001)
    for f in (flat, other):
        mass = np.sum([np.exp(f.log_density(np.array([p]))) for p in points]) * (points[1] - points[0])
        assert mass == pytest.approx(1.0, abs=1e-9)


def test_operations_do_not_grow_with_rows() -> None:
    text = """model m
plate g
plate row in g
covariate x[row]
a[g] ~ Normal(m, s)
observed y[row] ~ Bernoulli(expit(a + b*x))
m, b ~ Normal(0, 1)
s ~ HalfNormal(1)
"""

    def operations(n: int) -> int:
        rows = np.arange(n)
        data = {"g": rows % 7, "x": rows / n, "y": rows % 2}
        import pandas as pd

        return build_flat(bind(read(text), pd.DataFrame(data))).tape.operations[0].size

    assert operations(100) == operations(3000) < 50


@pytest.mark.parametrize("name", ["rats", "birats", "stochastic_volatility", "cfa3", "seeds"])
def test_a_subset_is_the_whole_up_to_a_constant(name: str) -> None:
    problem, values = case(name)
    flat = build_flat(problem)
    truth = shaped(problem, values, flat.nodes)
    y = flat.unconstrain(truth)
    for chosen in (list(flat.nodes)[::2], list(flat.nodes)[-1:]):
        part = build_flat(problem, chosen)
        assert set(part.given) <= set(flat.nodes) - set(chosen)
        space = part.workspace({n: truth[n] for n in part.given})
        start = part.unconstrain({n: truth[n] for n in chosen}, at=space)
        rng = np.random.default_rng(8)
        gaps = []
        for _ in range(3):
            z = start + rng.normal(0, 0.05, part.size)
            moved = flat.unconstrain({**truth, **part.constrain(z, at=space)})
            gaps.append(
                flat.log_density(moved, jacobian=False) - part.log_density(z, jacobian=False, at=space)
            )
        np.testing.assert_allclose(gaps, gaps[0], atol=1e-7 * max(1, abs(flat.log_density(y))))
        assert_gradient(part, start, space)


@pytest.mark.parametrize("name", [n for n in DISCRETE if n != "asia"])
def test_discrete_nodes_may_be_given_and_change(name: str) -> None:
    """Their values are indices, counts and conditions; the density of the rest follows without recording."""
    problem, values = case(name)
    nodes = problem.graph.nodes
    latent = [n for n, node in nodes.items() if node.role == "latent"]
    counted = [
        n for n in latent
        if any(isinstance(s, Stochastic) and is_discrete(s.distribution) for s in nodes[n].statements)
    ]  # fmt: skip
    chosen = [n for n in latent if n not in counted]
    part = build_flat(problem, chosen)
    assert set(part.given) == set(counted)
    space = part.workspace()
    rng = np.random.default_rng(6)
    start = None
    for _ in range(3):
        given = {}
        for n in part.given:
            states = problem.plates[nodes[n].values_in].size if nodes[n].values_in else 2
            given[n] = rng.integers(0, states, problem.shape(n)).astype(float)
            part.write(space, n, given[n])
        if start is None:
            start = part.unconstrain(shaped(problem, values, chosen), at=space)
        found, expected = [], []
        for z in start + rng.normal(0, 0.05, (2, part.size)):
            found.append(part.log_density(z, jacobian=False, at=space))
            expected.append(log_joint(problem, {**values, **given, **part.constrain(z, at=space)}))
        assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], rel=1e-9, abs=1e-9)
        assert_gradient(part, start, space)


def test_given_values_change_without_recording_again() -> None:
    problem, values = case("rats")
    part = build_flat(problem, ["alpha_c", "alpha_tau"])
    assert tuple(part.given) == ("alpha",)
    space = part.workspace({"alpha": values["alpha"]})
    y = np.array([240.0, -5.0])
    before = part.log_density(y, at=space)
    part.write(space, "alpha", values["alpha"] + 1)
    alpha = values["alpha"] + 1
    tau = np.exp(-5.0)
    change = -0.5 * tau * (np.sum((alpha - 240) ** 2) - np.sum((alpha - 1 - 240) ** 2))
    assert part.log_density(y, at=space) - before == pytest.approx(change, rel=1e-9)
    with pytest.raises(FitError, match="'alpha' is given but has no value yet"):
        part.log_density(y)
    with pytest.raises(FitError, match="'beta' is not given here"):
        part.write(space, "beta", 1.0)
    with pytest.raises(FitError, match="has shape"):
        part.write(space, "alpha", np.zeros(4))


def test_missing_values_are_unknown_or_left_out() -> None:
    text = "model m\nplate row\nobserved x[row] ~ Normal(m, s)\nobserved y[row] ~ Bernoulli(expit(x))\n"
    text += "m ~ Normal(0, 3)\ns ~ HalfNormal(2)"
    data = {"x": [0.3, np.nan, -1.0, np.nan], "y": [1, 0, np.nan, 1]}
    problem = bind(read(text), data)
    flat = build_flat(problem)
    assert flat.size == 4
    assert flat.left_out == ("y",)
    assert [n for n in flat.names if n.startswith("x")] == ["x[1]", "x[3]"]
    rng = np.random.default_rng(1)
    y = rng.normal(size=4)
    found = flat.constrain(y)
    np.testing.assert_array_equal(found["x"][[0, 2]], [0.3, -1.0])
    full = {n: v.reshape(-1) for n, v in found.items()}
    p = 1 / (1 + np.exp(-full["x"]))
    expected = sum(np.log(p[i] if v else 1 - p[i]) for i, v in ((0, 1), (1, 0), (3, 1)))
    expected += np.sum(-0.5 * ((full["x"] - full["m"]) / full["s"]) ** 2 - np.log(full["s"]))
    expected += (
        -0.5 * (full["m"][0] / 3) ** 2 - np.log(3) - 0.5 * (full["s"][0] / 2) ** 2 - np.log(2) + np.log(2)
    )
    expected -= 0.5 * 6 * np.log(2 * np.pi)
    assert flat.log_density(y, jacobian=False) == pytest.approx(expected, rel=1e-12)
    assert_gradient(flat, y)


def test_factors_that_are_not_finite_are_named() -> None:
    text = "model m\nplate row\ncovariate p[row]\nobserved y[row] ~ Bernoulli(p)\na ~ Normal(0, 1)"
    flat = build_flat(bind(read(text), {"p": [0.5, 1.0, 0.2, 0.0], "y": [1, 1, 0, 1]}))
    assert flat.log_density(np.zeros(1)) == -np.inf
    assert flat.why(np.zeros(1)) == ("node y[3] has probability zero under its parents: p = 0 but y = 1",)
    text = "model m\nplate row\nobserved y[row] ~ Normal(0, s)\nparameter s"
    flat = build_flat(bind(read(text), {"y": [1.0, 2.0]}))
    (why,) = flat.why(np.array([-1.0]))
    assert why.startswith("node y[0] has probability zero under its parents: mu = 0, sigma = -1 but y = 1")
    assert flat.log_density(np.array([-1.0])) == -np.inf
    text = "model m\nplate row\nobserved y[row] ~ Exponential(s)\nparameter s > 0"
    flat = build_flat(bind(read(text), {"y": [1.0, 2.0]}))
    assert flat.without_prior == ("s",)
    assert "node y[0]" in flat.why(np.array([800.0]))[0]


STABLE = {
    "a probability given by its logit": "p = expit(x)\nobserved y ~ Bernoulli(p)",
    "its complement": "p = 1 - expit(-x)\nobserved y ~ Bernoulli(p)",
    "a rate": "m = exp(x)\nobserved y ~ Poisson(m*1.0)",
    "probit": "p = Phi(x)\nobserved y ~ Bernoulli(p)",
    "softmax": "plate k = 0, 1\na[k] = if_else(k == 1, x, 0)\nobserved y in k ~ Categorical(softmax(a))",
}


@pytest.mark.parametrize("kind", STABLE)
@pytest.mark.parametrize("x", [-900.0, -40.0, 0.3])
def test_logarithms_are_not_taken_of_what_underflows(kind: str, x: float) -> None:
    """Against closed forms of log p(y = 1): expit and softmax log p = -log(1 + exp(-x)), and so on."""
    from scipy.special import log_ndtr

    flat = build_flat(bind(read(f"model m\nparameter x\n{STABLE[kind]}"), {"y": 1}))
    expected = {"a rate": x - np.exp(x), "probit": log_ndtr(x)}.get(kind, -np.logaddexp(0, -x))
    assert flat.log_density(np.array([x])) == pytest.approx(expected, rel=1e-13)
    slope = flat.gradient(np.array([x]))[0]
    assert slope == pytest.approx(differences(flat, np.array([x]), np.ones(1)), rel=1e-8)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_unknowns_are_refused_by_name(name: str) -> None:
    problem, _ = case(name)
    assert "is discrete: it has no gradient" in refusal(problem)


def test_what_cannot_be_unknown_is_said() -> None:
    problem, _ = case("rats")
    assert "'nobody' is no node of the model" in refusal(problem, ["nobody"])
    assert "'sigma' is a deterministic node" in refusal(problem, ["sigma"])
    assert "'y' has no unknown elements" in refusal(problem, ["y"])
    flat = build_flat(bind(read("model m\nx ~ HalfNormal(1)"), {}))
    with pytest.raises(FitError, match="'x' is -1, which is not inside its bound"):
        flat.unconstrain({"x": -1.0})
    with pytest.raises(FitError, match="has 1 numbers here"):
        flat.log_density(np.zeros(3))
    with pytest.raises(FitError, match="'x' has no value"):
        flat.unconstrain({})
