"""The mixture form against sums over all states, and its gradient against differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.direct import Direct
from dagmodels.forms.leaves import VectorLeaf
from dagmodels.forms.mixture import MixtureForm

MODELS = {
    "two latents a unit": (
        """model m
plate unit
plate a = 1..3
covariate x[unit]
parameter w[a] simplex
parameter q, sens in (0, 1)
parameter b[a], c
parameter s > 0
u[unit] in a ~ Categorical(w)
v[unit] ~ Bernoulli(q)
mean[unit] = b[u] + c*x*v
observed y[unit] ~ Normal(mean, s)
observed t[unit] ~ Bernoulli(if_else(v == 1, sens, 1 - sens))
""",
        {"x": [0.3, -1.0, 2.0], "y": [0.1, 1.4, -0.7], "t": [1, 0, 1]},
        {"u": 3, "v": 2},
    ),
    "chain": (
        """model m
plate t ordered
plate state = 1..2
plate to as state
parameter p[state, to] simplex
parameter mu[state]
z[t first] in state ~ Categorical([0.5, 0.5])
z[t] in state ~ Categorical(p[z[t-1], to])
observed y[t] ~ Normal(mu[z], 1)
""",
        {"y": [0.1, 1.4, -0.7, 2.2, 0.3]},
        {"z": 2},
    ),
    "factorial chain": (
        """model m
plate t ordered
covariate x[t]
parameter g, h in (0, 1)
parameter a, b, c
u[t first] ~ Bernoulli(0.4)
u[t] ~ Bernoulli(if_else(u[t-1] == 1, g, 1 - g))
v[t first] ~ Bernoulli(h)
v[t] ~ Bernoulli(expit(c + a*v[t-1] + x))
observed y[t] ~ Normal(a*u + b*u*v, 1)
""",
        {"x": [0.2, -0.4, 0.1, 0.9], "y": [0.1, 1.4, -0.7, 0.4]},
        {"u": 2, "v": 2},
    ),
    "vectors": (
        """model m
plate unit
plate dim
plate dim2 as dim
plate k = 1..2
parameter w[k] simplex
parameter mu[k, dim]
parameter S[k, dim, dim2] covariance
z[unit] in k ~ Categorical(w)
observed y[unit, dim] ~ MvNormal(mu[z, dim], S[z, dim, dim2])
""",
        {"y": np.array([[0.1, -0.4], [1.0, 0.3], [-0.7, 2.0]])},
        {"z": 2},
    ),
    "profiles with a shared scale": (
        """model m
plate unit
plate dim
plate k = 1..2
parameter w[k] simplex
parameter mu[k, dim]
parameter s[dim] > 0
z[unit] in k ~ Categorical(w)
observed y[unit, dim] ~ Normal(mu[z, dim], s[dim])
""",
        {"y": np.array([[0.1, -0.4], [1.0, 0.3], [-0.7, 2.0]])},
        {"z": 2},
    ),
    "sums of hidden units": (
        """model m
plate image
plate pixel
plate low = 1..3
parameter c[pixel], w[pixel, low], b[low]
h[image, low] ~ Bernoulli(expit(b[low]))
observed x[image, pixel] ~ Bernoulli(expit(c[pixel] + sum(w[pixel, low]*h[image, low] for low)))
""",
        {"x": np.array([[1, 0], [0, 1], [1, 1]])},
        {"h": 2},
    ),
}


def brute(text: str, data: dict[str, object], states: dict[str, int], y: np.ndarray) -> float:
    """The log of the sum over all states of the joint density, latents given as data."""
    for name in states:
        text = text.replace(f"\n{name}[", f"\nobserved {name}[")
    dag = dm.read(text).dag
    form = build_mixture(bind(dm.read(MODEL_OF[text]).dag, data), states)
    shapes = {n: form.flat.problem.shape(n) for n in states}
    sizes = [int(np.prod(s)) for s in shapes.values()]
    total = []
    for digits in itertools.product(
        *(range(states[n]) for n, k in zip(states, sizes, strict=True) for _ in range(k))
    ):
        parts = np.split(np.array(digits), np.cumsum(sizes)[:-1])
        given = {}
        for name, part in zip(states, parts, strict=True):
            plate = dag.nodes[name].values_in
            levels = np.arange(states[name]) if plate is None else np.array(dag.plate[plate].levels)
            given[name] = levels[part].reshape(shapes[name])
        total.append(build_flat(bind(dag, {**data, **given})).log_density(y, jacobian=False))
    return float(np.logaddexp.reduce(total))


MODEL_OF: dict[str, str] = {}
for _text, _, _states in MODELS.values():
    _seen = _text
    for _name in _states:
        _seen = _seen.replace(f"\n{_name}[", f"\nobserved {_name}[")
    MODEL_OF[_seen] = _text


@pytest.mark.parametrize("name", MODELS)
def test_density_is_the_sum_over_all_states(name: str) -> None:
    text, data, states = MODELS[name]
    form = build_mixture(bind(dm.read(text).dag, data), states)
    y = np.random.default_rng(3).normal(0, 0.7, form.flat.size)
    assert form.expected(y).log_density == pytest.approx(brute(text, data, states, y), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_gradient(name: str) -> None:
    text, data, states = MODELS[name]
    form = build_mixture(bind(dm.read(text).dag, data), states)
    y = np.random.default_rng(4).normal(0, 0.7, form.flat.size)
    _, gradient = form.value_and_gradient(y)
    assert gradient == pytest.approx(differences(form, y), rel=1e-6, abs=1e-7)


def differences(form: MixtureForm, y: np.ndarray) -> np.ndarray:
    found = np.zeros(y.size)
    for i in range(y.size):
        e = np.zeros(y.size)
        e[i] = 1e-5
        found[i] = (form.expected(y + e).log_density - form.expected(y - e).log_density) / 2e-5
    return found


def chain_by_complex_step(y: np.ndarray, data: np.ndarray, ends: list[int]) -> complex:
    """The log density of the chains of MODELS["chain"], by a plain forward recursion on complex numbers.

    y : logits of stick breaking of two rows of p, then mu.
    """
    p = np.array([[1 / (1 + np.exp(-v)), 1 / (1 + np.exp(v))] for v in y[:2]])
    mu, total, alpha = y[2:], 0j, np.zeros(2, dtype=complex)
    for t, value in enumerate(data):
        density = np.exp(-0.5 * (value - mu) ** 2) / np.sqrt(2 * np.pi)
        alpha = (0.5 if t in ends else alpha @ p) * density
        total, alpha = total + np.log(alpha.sum()), alpha / alpha.sum()
    return total


def test_chains_of_several_lengths_by_complex_step() -> None:
    """Lengths 4, 1 and 3; the gradient of the forward-backward pass against complex steps of a recursion."""
    text = MODELS["chain"][0].replace("plate t ordered", "plate run\nplate t in run ordered")
    data = {
        "run": ["a"] * 4 + ["b"] + ["c"] * 3,
        "t": [1, 2, 3, 4, 1, 1, 2, 3],
        "y": [0.1, 1.4, -0.7, 2.2, 0.3, -0.2, 0.9, 1.1],
    }
    from pandas import DataFrame

    form = build_mixture(bind(dm.read(text).dag, DataFrame(data)), {"z": 2})
    y = np.array([0.3, -0.8, 0.2, 1.5])
    value, gradient = form.value_and_gradient(y)
    values, starts = np.array(data["y"]), [0, 4, 5]
    assert value == pytest.approx(chain_by_complex_step(y, values, starts).real, rel=1e-13)
    exact = [chain_by_complex_step(y + 1e-30j * np.eye(4)[i], values, starts).imag / 1e-30 for i in range(4)]
    assert gradient == pytest.approx(exact, rel=1e-12)


def test_best_paths_of_chains() -> None:
    text, data, states = MODELS["chain"]
    form = build_mixture(bind(dm.read(text).dag, data), states)
    y = np.random.default_rng(5).normal(0, 1, form.flat.size)
    p = form.flat.constrain(y)["p"]
    mu = form.flat.constrain(y)["mu"]
    scores = {}
    for path in itertools.product(range(2), repeat=5):
        moves = sum(np.log(p[a, b]) for a, b in itertools.pairwise(path))
        scores[path] = moves - 0.5 * sum((v - mu[k]) ** 2 for v, k in zip(data["y"], path, strict=True))
    assert tuple(form.paths(y)[0]) == max(scores, key=lambda k: scores[k])


def test_equal_units_are_counted_once() -> None:
    text = """model m
plate unit
plate item
plate k = 1..2
parameter w[k] simplex
parameter p[k, item] in (0, 1)
z[unit] in k ~ Categorical(w)
observed y[unit, item] ~ Bernoulli(p[z, item])
"""
    rng = np.random.default_rng(6)
    data = (rng.random((300, 3)) < 0.4).astype(int)
    form = build_mixture(bind(dm.read(text).dag, {"y": data}), {"z": 2})
    assert form.sums[0].weights.size == len(np.unique(data, axis=0))
    assert form.sums[0].weights.sum() == 300
    order = rng.permutation(300)
    other = build_mixture(bind(dm.read(text).dag, {"y": data[order]}), {"z": 2})
    y = rng.normal(size=form.flat.size)
    assert other.expected(y).log_density == pytest.approx(form.expected(y).log_density, rel=1e-13)


def test_missing_leaves_are_left_out() -> None:
    text, data, states = MODELS["two latents a unit"]
    y = np.random.default_rng(7).normal(size=build_mixture(bind(dm.read(text).dag, data), states).flat.size)
    gap = {**data, "y": [0.1, np.nan, -0.7]}
    assert build_mixture(bind(dm.read(text).dag, gap), states).expected(y).log_density == pytest.approx(
        build_mixture(bind(dm.read(text).dag, {**gap, "y": [0.1, np.nan, -0.7]}), states)
        .expected(y)
        .log_density
    )
    shorter = {k: [v[0], v[2]] for k, v in data.items()}
    alone = build_mixture(bind(dm.read(text).dag, shorter), states).expected(y).log_density
    q = build_mixture(bind(dm.read(text).dag, gap), states)
    values = q.flat.constrain(y)
    one = np.log(values["q"] * (1 - values["sens"]) + (1 - values["q"]) * values["sens"])  # t is 0
    assert q.expected(y).log_density == pytest.approx(alone + float(one), rel=1e-12)


def test_too_many_joint_states_are_refused_by_name() -> None:
    text = MODELS["sums of hidden units"][0].replace("1..3", "1..16")
    with pytest.raises(FitError, match=r"h\[0, 1\].* 2\^16 joint states"):
        build_mixture(bind(dm.read(text).dag, {"x": np.array([[1, 0]])}), {"h": 2})


def test_vector_leaves_by_products_and_one_by_one() -> None:
    """Sums about the centre and about each mean agree, and with plain sums of outer products."""
    rng = np.random.default_rng(8)
    x, weights = rng.normal(size=(50, 3)) + 2, rng.random((50, 2))
    values = {"mu": rng.normal(size=6) + 2, "S": np.stack([np.eye(3), 2 * np.eye(3) + 0.3]).reshape(-1)}
    made = VectorLeaf(x, 2, Direct("mu", None, np.array([0, 3])), Direct("S", None, np.array([0, 9])))
    mean, cov = made.means(values.__getitem__), made.covariances(values.__getitem__)
    one = made.sums(weights, mean, cov)
    tight = made.sums(weights, mean, 1e-12 * cov)  # the products would lose their digits there
    for k in range(2):
        centred = x - mean[k]
        for total, first, second in (one, tight):
            assert total[k] == pytest.approx(weights[:, k].sum())
            assert first[k] == pytest.approx(weights[:, k] @ centred)
            assert second[k] == pytest.approx((centred * weights[:, [k]]).T @ centred)
        expected = stats.multivariate_normal.logpdf(x, mean[k], cov[k])
        assert made.density(values.__getitem__)[:, k] == pytest.approx(expected, rel=1e-12)
    near = {"mu": values["mu"], "S": 1e-6 * values["S"]}
    expected = stats.multivariate_normal.logpdf(x, mean[0], 1e-6 * cov[0])
    assert made.density(near.__getitem__)[:, 0] == pytest.approx(expected, rel=1e-12)
