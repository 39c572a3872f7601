"""Discrete unknowns summed out, against enumeration of all their values by the flat form."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import FlatBuilder
from dagmodels.forms.build_summed import build_summed
from dagmodels.forms.flat import Flat
from tests.numerics.tapes import complex_step

RNG = np.random.default_rng(11)
STEP = 1e-30


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


MIXTURE = (
    "plate obs\nplate comp = 1..3\nz[obs] in comp ~ Categorical(w)\n"
    "observed y[obs] ~ Normal(mu[z], sigma[z])\n"
    "w[comp] ~ Dirichlet(5)\nmu[comp] ~ Ordered(Normal(0, 2))\nsigma[comp] ~ HalfNormal(2)"
)
CHAIN = (
    "plate t ordered\nplate state = 1..2\nplate to as state\nz[t first] in state ~ Categorical([0.3, 0.7])\n"
    "z[t] in state ~ Categorical(p[z[t-1], to])\nobserved y[t] ~ Normal(mu[z], 1)\n"
    "p[state, to] ~ Dirichlet(1)\nmu[state] ~ Normal(0, 3)"
)
CASES: dict[str, tuple[str, pd.DataFrame]] = {
    "mixture": (MIXTURE, frame(y=[-1.0, 2.0, 0.5, 3.0])),
    "mixture of few different rows": (
        "plate i\nz[i] ~ Bernoulli(p)\nobserved y[i] ~ Bernoulli(if_else(z == 1, a, b))\n"
        "p, a, b ~ Beta(2, 3)",
        frame(y=[1, 0, 1, 1, 0]),
    ),
    "chain": (CHAIN, frame(t=[1, 2, 3, 4, 5], y=[2.0, 1.0, -3.0, 0.3, 0.1])),
    "chain in another order": (CHAIN, frame(t=[4, 1, 5, 2, 3], y=[2.0, 1.0, -3.0, 0.3, 0.1])),
    "chain with missing responses": (CHAIN, frame(t=[1, 2, 3, 4], y=[2.0, np.nan, -3.0, 0.3])),
    "chain with known states": (
        CHAIN.replace("\nz[t", "\nobserved z[t"),
        frame(t=[1, 2, 3, 4, 5, 6], y=RNG.normal(size=6), z=[None, None, 2, None, None, None]),
    ),
    "chains of two lengths": (
        "plate s\nplate t in s ordered\nplate state = 1..3\nplate to as state\n"
        "z[t first] in state ~ Categorical(q)\nz[t] in state ~ Categorical(p[z[t-1], to])\n"
        "observed y[t] ~ Normal(mu[z], 1)\np[state, to] ~ Dirichlet(1)\nq[state] ~ Dirichlet(2)\n"
        "mu[state] ~ Normal(0, 3)",
        frame(s=[1, 1, 1, 1, 2, 2, 3], t=[1, 2, 3, 4, 1, 2, 1], y=RNG.normal(size=7)),
    ),
    "second order chain": (
        "plate t ordered\nz[t first 2] ~ Bernoulli(0.4)\nz[t] ~ Bernoulli(expit(a + b*z[t-1] + c*z[t-2]))\n"
        "observed y[t] ~ Normal(d*z, 1)\na, b, c, d ~ Normal(0, 1)",
        frame(t=range(1, 7), y=RNG.normal(size=6)),
    ),
    "two chains": (
        "plate t ordered\nu[t first] ~ Bernoulli(0.4)\nu[t] ~ Bernoulli(if_else(u[t-1] == 1, a, b))\n"
        "v[t first] ~ Bernoulli(0.4)\nv[t] ~ Bernoulli(if_else(v[t-1] == 1, b, a))\n"
        "observed y[t] ~ Normal(m*u + v, 1)\na, b ~ Beta(2, 2)\nm ~ Normal(0, 1)",
        frame(t=range(1, 5), y=RNG.normal(size=4)),
    ),
    "misclassified": (
        "plate row\ncovariate z[row]\nobserved x[row] ~ Bernoulli(expit(g0 + g1*z))\n"
        "observed w[row] ~ Bernoulli(if_else(x == 1, sens, 1 - spec))\n"
        "observed y[row] ~ Bernoulli(expit(b0 + bx*x + bz*z))\nb0, bx, bz, g0, g1 ~ Normal(0, 2)\n"
        "sens, spec ~ Beta(8, 2)",
        frame(
            z=[0.0, 1.0, 1.0, 0.0, -1.0],
            x=[1, 0, np.nan, np.nan, np.nan],
            w=[1, 0, 1, 0, 1],
            y=[0, 1, 1, 0, 1],
        ),
    ),
    "one changepoint": (
        'plate obs ordered\nplate side = "before", "after"\ncovariate x[obs]\nn_obs = sum(1 for obs)\n'
        "any[obs] = 1/n_obs\nk in obs ~ Categorical(any)\n"
        'slope[obs] = if_else(obs > k, beta["after"], beta["before"])\n'
        "observed y[obs] ~ Normal(alpha + slope*(x - x[k]), sigma)\nalpha, beta[side] ~ Normal(0, 10)\n"
        "sigma ~ HalfCauchy(5)",
        frame(obs=range(1, 7), x=[0.0, 1, 2, 3, 4, 5], y=[5.0, 4, 3, 2.5, 2.4, 2.3]),
    ),
    "belief net": (
        "plate image\nplate pixel = 1..2\nplate low = 1..3\nplate top = 1..2\n"
        "g[image, top] ~ Bernoulli(expit(a[top]))\n"
        "h[image, low] ~ Bernoulli(expit(b[low] + sum(v[low, top]*g[image, top] for top)))\n"
        "observed x[image, pixel] ~ Bernoulli(expit(sum(w[pixel, low]*h[image, low] for low)))\n"
        "a[top], b[low], v[low, top], w[pixel, low] ~ Normal(0, 2)",
        frame(image=[1, 1, 2, 2], pixel=[1, 2, 1, 2], x=[1, 0, 1, 1]),
    ),
    "continuous latents below": (
        "plate i\nplate c = 1..2\nz[i] in c ~ Categorical(w)\ntheta[i] ~ Normal(mu[z], 1)\n"
        "observed y[i] ~ Normal(theta, 0.5)\nw[c] ~ Dirichlet(1)\nmu[c] ~ Normal(0, 3)",
        frame(y=[0.3, -0.4, 2.0]),
    ),
    "groups share an unknown": (
        "plate g\nplate i in g\nu[g] ~ Bernoulli(p)\nz[i] ~ Bernoulli(if_else(u[g] == 1, a, b))\n"
        "observed y[i] ~ Normal(m*z + u[g], 1)\np, a, b ~ Beta(2, 2)\nm ~ Normal(0, 1)",
        frame(g=[1, 1, 1, 2, 2], y=RNG.normal(size=5)),
    ),
    "groups that are not empty": (
        "plate i\nplate c = 1..2\nz[i] in c ~ Categorical(w)\nobserved y[i] ~ Normal(mu[z], 1)\n"
        "n[c] = sum(z[i] == c for i)\nobserved some[c] ~ Bernoulli(n > 0)\n"
        "w[c] ~ Dirichlet(1)\nmu[c] ~ Normal(0, 3)",
        frame(y=RNG.normal(size=9)),
    ),
    "a law of a count": (
        "plate i\nz[i] ~ Bernoulli(p)\nobserved y[i] ~ Normal(a*z, 1)\nn = sum(z[i] for i)\n"
        "observed told ~ Poisson(1 + b*n)\np ~ Beta(1, 1)\na ~ Normal(0, 3)\nb ~ Gamma(2, 2)",
        frame(y=RNG.normal(size=9)),
    ),
    "a count with known summands": (
        "plate i\nobserved z[i] ~ Bernoulli(p)\nobserved y[i] ~ Normal(a*z, 1)\nn = sum(z[i] for i)\n"
        "share = n/11\nobserved told ~ Bernoulli(share)\np ~ Beta(1, 1)\na ~ Normal(0, 3)",
        frame(y=RNG.normal(size=11), z=[1, None, 0, *[None] * 8]),
    ),
    "counts up to n": (
        "plate i\ncovariate n[i]\nk[i] ~ Binomial(n, p)\nobserved y[i] ~ Binomial(k, q)\np, q ~ Beta(2, 2)",
        frame(n=[3, 5, 2], y=[1, 2, 0]),
    ),
    "zero inflation by hand": (
        "plate i\non[i] ~ Bernoulli(p)\nobserved y[i] ~ Poisson(on*rate)\np ~ Beta(1, 1)\nrate ~ Gamma(2, 1)",
        frame(y=[0, 0, 3, 1, 0]),
    ),
    "softmax weights": (
        "plate i\nplate c = 1..3\ncovariate x[i]\neta[i, c] = a[c]*x[i]\n"
        "z[i] in c ~ Categorical(softmax(eta))\n"
        "observed y[i] ~ Normal(mu[z], 1)\na[c], mu[c] ~ Normal(0, 3)",
        frame(x=[0.0, 1.0, 2.0], y=[0.3, -0.4, 2.0]),
    ),
}

OTHERS: dict[str, tuple[str, pd.DataFrame]] = {
    "vectors": (
        "plate i\nplate d = 1..2\nplate e as d\nplate c = 1..2\nz[i] in c ~ Categorical(w)\n"
        "observed y[i, d] ~ MvNormal(mu[z, d], S[z, d, e])\nw[c] ~ Dirichlet(1)\nmu[c, d] ~ Normal(0, 3)\n"
        "S[c, d, e] ~ InverseWishart(4, [[1, 0], [0, 1]])",
        frame(i=[1, 1, 2, 2, 3, 3], d=[1, 2, 1, 2, 1, 2], y=RNG.normal(size=6)),
    ),
}


def problem_of(name: str) -> Problem:
    text, df = (CASES | OTHERS)[name]
    more = {k: v for k, v in {"some": [1, 1], "told": 1}.items() if k in text}
    data = more | df.to_dict("list")
    return bind(dm.read(f"model m\n{text}").dag, df if not more else data)


def enumerated(problem: Problem, flat: Flat, y: Any) -> Any:
    """Log joint density summed over all values of the discrete unknowns, which the flat form is given.

    Also the posterior probability of every value: by node, (elements, values).
    """
    assert flat.summed is not None
    latents, names = flat.summed.latents, flat.summed.names
    builder = FlatBuilder(problem, flat.unknown)
    builder.everything = True  # factors that hang on discrete nodes alone too
    whole = builder.build()
    space = whole.workspace()
    every = [(n, p) for n in names for p in np.flatnonzero(np.isnan(latents.known(n)))]
    point = whole.unconstrain(flat.constrain(y))
    logs, states = [], []
    for combination in itertools.product(*(range(latents.count[n]) for n, _ in every)):
        values = {n: latents.known(n).copy() for n in names}
        for (n, p), s in zip(every, combination, strict=True):
            values[n][p] = s
        for n, value in values.items():
            whole.write(space, n, value.reshape(problem.shape(n)))
        logs.append(whole.log_density(point, jacobian=False, at=space))
        states.append(values)
    weight = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    shares = {
        n: np.stack(
            [
                sum(w * (v[n] == s) for w, v in zip(weight, states, strict=True))
                for s in range(latents.count[n])
            ],
            1,
        )
        for n in names
    }
    return np.logaddexp.reduce(logs), shares


@pytest.mark.parametrize("name", CASES)
def test_the_sum_is_that_over_all_values(name: str) -> None:
    problem = problem_of(name)
    flat = build_summed(problem)
    for _ in range(2):
        y = RNG.normal(size=flat.size)
        want, _ = enumerated(problem, flat, y)
        assert abs(flat.log_density(y, jacobian=False) - want) < 1e-10 * (1 + abs(want))


@pytest.mark.parametrize("name", CASES | OTHERS)
def test_gradients_are_those_of_complex_steps(name: str) -> None:
    flat = build_summed(problem_of(name))
    y = RNG.normal(size=flat.size)
    got = flat.gradient(y)
    parts = {n: y[s : s + k] for n, (s, k) in flat.tape.inputs.items() if k}
    register = int(np.flatnonzero(flat.tape.operations[6] == flat.total)[0])
    want = np.concatenate(list(complex_step(flat.tape, parts, register, np.ones(1)).values()))
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


def test_vectors_choose_their_mean_and_matrix() -> None:
    from scipy.stats import dirichlet, invwishart, multivariate_normal, norm

    problem = problem_of("vectors")
    flat = build_summed(problem)
    point = RNG.normal(size=flat.size)
    v = flat.constrain(point)
    rows = problem.values["y"]
    want = dirichlet.logpdf(v["w"], [1, 1]) + norm.logpdf(v["mu"], 0, 3).sum()
    want += sum(invwishart.logpdf(s, 4, np.eye(2)) for s in v["S"])
    laws = [multivariate_normal(m, s) for m, s in zip(v["mu"], v["S"], strict=True)]
    want += sum(np.log(sum(w * law.pdf(r) for w, law in zip(v["w"], laws, strict=True))) for r in rows)
    assert abs(flat.log_density(point, jacobian=False) - want) < 1e-10 * abs(want)


def test_what_has_no_room_is_refused_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagmodels.forms.state_tables.available", lambda: 1000)
    with pytest.raises(FitError, match=r"'y' in 3 states of discrete unknowns on 4 rows needs about .* GB"):
        build_summed(problem_of("mixture"))


DRAWS = 4000
Z = 5.0  # two-sided 6e-7 a comparison, of which there are some 200: 1e-4 in all


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_probabilities_of_enumeration(name: str) -> None:
    problem = problem_of(name)
    flat = build_summed(problem)
    y = RNG.normal(size=flat.size)
    assert flat.summed is not None
    _, shares = enumerated(problem, flat, y)
    got = flat.summed.draw(np.tile(y, (DRAWS, 1)), np.random.default_rng(4))
    assert list(got) == list(shares)
    for node, share in shares.items():
        seen = np.stack([(got[node] == s).mean(axis=0) for s in range(share.shape[1])], axis=1)
        error = np.sqrt(np.clip(share * (1 - share), 0, None) / DRAWS)
        assert (np.abs(seen - share) <= Z * error + 3 / DRAWS * (error > 0) + 1e-12).all(), node
        known = flat.summed.latents.known(node)
        given = ~np.isnan(known)
        assert (got[node][:, given] == known[given]).all()


def test_joint_draws_of_a_chain() -> None:
    """Pairs of neighbours, whose law is not that of two independent draws."""
    problem = problem_of("chain")
    flat = build_summed(problem)
    y = RNG.normal(size=flat.size)
    builder = FlatBuilder(problem, flat.unknown)
    builder.everything = True
    whole = builder.build()
    space, point = whole.workspace(), whole.unconstrain(flat.constrain(y))
    paths = np.array(list(itertools.product(range(2), repeat=5)))
    logs = []
    for path in paths:
        whole.write(space, "z", path)
        logs.append(whole.log_density(point, at=space))
    weight = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    assert flat.summed is not None
    got = flat.summed.draw(np.tile(y, (20_000, 1)), np.random.default_rng(8))["z"]
    seen = np.bincount((got @ 2 ** np.arange(4, -1, -1)).astype(int), minlength=32) / 20_000
    assert (np.abs(seen - weight) <= Z * np.sqrt(weight / 20_000) + 1e-4).all()
