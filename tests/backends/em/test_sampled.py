"""EM with drawn states: the draws' law, the maximisation, and the likelihood that is reached.

Comparisons of draws fail one in 10,000 times where nothing is wrong.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.backends.em.sampled.loop import Chain, objective
from dagmodels.bind.bind import bind
from dagmodels.forms.binary_layers import binary_layers

from .test_layers import MODEL, digits, drawn, expit, log_likelihood


def test_draws_have_the_posterior_of_the_states():
    rng = np.random.default_rng(1)
    v, x = drawn(rng, 1, 5, 3, 2)
    n = 4000
    form = binary_layers(bind(dm.read(MODEL.format(pixels=5, units=3, top=2)).dag, {"x": np.repeat(x, n, 0)}))
    theta = np.array([v[name].reshape(-1)[i] for name, i in form.unknowns])
    a = form.matrix(theta)
    weights = np.zeros((2,) * 5)
    for h2 in itertools.product((0, 1), repeat=2):
        p1 = expit(v["b"] + v["V"] @ h2)
        for h1 in itertools.product((0, 1), repeat=3):
            p = expit(v["c"] + v["W"] @ h1)
            w = np.prod(np.where(h2, expit(v["a"]), 1 - expit(v["a"]))) * np.prod(np.where(h1, p1, 1 - p1))
            weights[(*h2, *h1)] = w * np.prod(np.where(x[0] == 1, p, 1 - p))
    weights /= weights.sum()
    chain = Chain(form, np.random.default_rng(2))
    for _ in range(60):
        chain.sweep(a)
    top = [form.names.index(f"h2[0, {k}]") for k in (1, 2)]
    unit = [form.names.index(f"h1[0, {k}]") for k in (1, 2, 3)]
    for axis, j in enumerate([*top, *unit]):
        p = weights.sum(axis=tuple(k for k in range(5) if k != axis))[1]
        assert abs(chain.h[:, j].mean() - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-3
    both = weights.sum(axis=(1, 3, 4))[1, 1]
    assert (
        abs((chain.h[:, top[0]] * chain.h[:, unit[0]]).mean() - both)
        < 4.5 * np.sqrt(both * (1 - both) / n) + 1e-3
    )


def test_matrix_and_gradient():
    rng = np.random.default_rng(4)
    v, x = drawn(rng, 20, 6, 3, 2)
    form = binary_layers(bind(dm.read(MODEL.format(pixels=6, units=3, top=2)).dag, {"x": x}))
    theta = np.array([v[name].reshape(-1)[i] for name, i in form.unknowns])
    a = form.matrix(theta)
    assert a[form.names.index("x[0, 2]"), 1 + form.names.index("h1[0, 3]")] == v["W"][1, 2]
    assert a[form.names.index("h1[0, 2]"), 1 + form.names.index("h2[0, 1]")] == v["V"][1, 0]
    assert a[form.names.index("h2[0, 2]"), 0] == v["a"][1]
    draws = [(rng.random(form.values.shape) < 0.5).astype(float) for _ in range(2)]
    value, slope = objective(form, draws, theta)
    z = [a[:, 0] + h @ a[:, 1:].T for h in draws]
    direct = -np.mean(
        [np.sum(np.log(np.where(h == 1, expit(q), 1 - expit(q)))) for h, q in zip(draws, z, strict=True)]
    )
    assert value == pytest.approx(direct + 0.1 * theta @ theta, rel=1e-10)
    for i in (0, 3, 7, theta.size - 1):
        e = np.eye(theta.size)[i] * 1e-6
        up, down = objective(form, draws, theta + e)[0], objective(form, draws, theta - e)[0]
        assert slope[i] == pytest.approx((up - down) / 2e-6, abs=1e-4)


def test_it_comes_near_the_exact_optimum():
    """One hidden layer: within a nat in all of the exact fit's posterior density, of a single start each."""
    rng = np.random.default_rng(9)
    _, x = drawn(rng, 250, 6, 2, 2)
    g = dm.read(MODEL.format(pixels=6, units=2, top=2))
    exact = g.fit_quietly({"x": x}, method="em", starts=4)
    near = g.fit_quietly({"x": x}, method="em", estep="draws", steps=150)

    def density(fit) -> float:
        theta = fit.estimates.estimate.to_numpy()
        return fit.log_likelihood_of({"x": x}) - 0.1 * theta @ theta

    assert not near.exact
    assert density(exact) - density(near) < 3
    at = dict(zip(near.estimates["name"], near.estimates["estimate"], strict=True))
    shapes = {"a": (2,), "b": (2,), "c": (6,), "V": (2, 2), "W": (6, 2)}
    v = {}
    for name, shape in shapes.items():
        places = itertools.product(*(range(1, k + 1) for k in shape))
        v[name] = np.array([at[f"{name}[{', '.join(map(str, p))}]"] for p in places]).reshape(shape)
    assert near.log_likelihood_of({"x": x}) == pytest.approx(log_likelihood(v, x), rel=1e-9)


def test_more_states_than_can_be_summed():
    rng = np.random.default_rng(5)
    _, x = drawn(rng, 150, 10, 3, 2)
    g = dm.read(MODEL.format(pixels=10, units=14, top=4))
    with pytest.raises(dm.FitError, match=r"2\^18 joint states.*estep='draws'"):
        g.fit({"x": x}, method="em")
    fit = g.fit_quietly({"x": x}, method="em", estep="draws", steps=30)
    assert np.isfinite(fit.estimates.estimate).all()
    assert len(fit.estimates) == 4 + 14 + 10 + 56 + 140
    with pytest.raises(dm.FitError, match="joint states"):
        fit.states()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (MODEL, {"estep": "variational"}, "estep='variational': it may be 'draws'"),
        (MODEL, {"estep": "draws", "starts": 3}, "em has no option 'starts' where estep='draws'"),
        (MODEL.replace("sum(W*h1 for unit)", "exp(sum(W*h1 for unit))"), {"estep": "draws"},
         "logits that are linear"),
        (MODEL.replace("W[pixel, unit] ~ Normal(0, sqrt(5))", "W[pixel, unit] ~ Laplace(0, 1)"),
         {"estep": "draws"},
         "coefficients with Normal priors, and 'W[1, 1]' is Laplace"),
    ],
)  # fmt: skip
def test_what_it_does_not_take_is_named(text: str, options: dict, message: str):
    rng = np.random.default_rng(5)
    _, x = drawn(rng, 20, 4, 2, 2)
    with pytest.raises(dm.FitError) as caught:
        dm.read(text.format(pixels=4, units=2, top=2)).fit({"x": x}, method="em", **options)
    assert message in str(caught.value)


@pytest.mark.long
def test_digits_by_draws():
    """8 and 4 hidden units by draws alone; the exact likelihood of the test images."""
    train, test = digits()
    g = dm.read(MODEL.format(pixels=64, units=8, top=4))
    fit = g.fit_quietly({"x": train}, method="em", estep="draws", steps=100)
    assert fit.log_likelihood_of({"x": test}) / len(test) > -20.5
