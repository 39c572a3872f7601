"""Graphs with discrete unknowns, against grids, closed forms, other samplers and JAGS' long runs.

A right sampler fails one of these tests once in 10,000 runs of it: means lie within five standard errors.
"""

from __future__ import annotations

import itertools
import json
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError, FitWarning
from dagmodels.forms.build_summed import build_summed
from dagmodels.numerics.chains.diagnose import ess_mean
from tests.backends.gibbs.compared import REFERENCES, bugs, by_bugs_name

Z = 5.0


def agrees(draws: Any, mean: Any, sd: Any = None) -> None:
    """(chains, draws, ...) against exact means; sds within a tenth."""
    table = np.asarray(draws, dtype=float).reshape(*draws.shape[:2], -1)
    mean = np.reshape(mean, -1)
    own = table.std(axis=(0, 1))
    error = own / np.sqrt(ess_mean(table))
    # of a probability next to 0 or 1 the draws' own error is none: that of the exact probability counts
    error = np.fmax(np.nan_to_num(error), 1e-3)
    assert (np.abs(table.mean(axis=(0, 1)) - mean) < Z * error).all(), (table.mean(axis=(0, 1)), mean, error)
    if sd is not None:
        np.testing.assert_allclose(own, np.reshape(sd, -1), rtol=0.1)


def on_grid(axes: list[Any], log_density: Any) -> tuple[Any, Any, Any]:
    """Means, sds and weights by brute force; `log_density` of one point."""
    logs = np.array([log_density(*point) for point in itertools.product(*axes)])
    weight = np.exp(logs - logs.max()).reshape([len(a) for a in axes])
    weight /= weight.sum()
    every = np.meshgrid(*axes, indexing="ij")
    means = np.array([(weight * x).sum() for x in every])
    sds = np.sqrt([(weight * (x - m) ** 2).sum() for x, m in zip(every, means, strict=True)])
    return means, sds, weight


def test_mixture_against_a_grid() -> None:
    rng = np.random.default_rng(1)
    z = rng.random(30) < 0.4
    y = np.where(z, 1.5, -0.5) + rng.normal(size=30)
    g = dm.read(
        "model mixture\nplate i\nplate c = 1..2\nconstant low[c] = [-0.5, 0]\n"
        "z[i] in c ~ Categorical([1 - p, p])\n"
        "observed y[i] ~ Normal(if_else(z == 1, -0.5, b), 1)\np ~ Beta(2, 2)\nb ~ Normal(2, 1)"
    )
    fit = g.fit(pd.DataFrame({"y": y}), method="gibbs", draws=1000)
    assert fit.converged, fit.message
    axes = [np.linspace(0.0005, 0.9995, 250), np.linspace(-3, 5, 250)]
    low = stats.norm.pdf(y, -0.5)

    def log_density(p: float, b: float) -> float:
        like = np.log((1 - p) * low + p * np.exp(-0.5 * (y - b) ** 2) / np.sqrt(2 * np.pi)).sum()
        return like + np.log(p * (1 - p)) - 0.5 * (b - 2) ** 2

    means, sds, weight = on_grid(axes, log_density)
    for k, name in enumerate(("p", "b")):
        agrees(fit.samples[name], means[k], sds[k])
    p, b = axes[0][:, None], axes[1][None, :]
    share = [
        (weight * p * stats.norm.pdf(v, b) / ((1 - p) * u + p * stats.norm.pdf(v, b))).sum()
        for v, u in zip(y, low, strict=True)
    ]
    agrees(fit.samples["z"], share)
    assert fit.loo() is not None


HMM = """model hmm
plate t ordered
plate state = 1..2
plate to as state
constant mu[state] = [0, 2]
stay[state] ~ Beta(2, 2)
p[state, to] = if_else(state == to, stay[state], 1 - stay[state])
z[t first] in state ~ Categorical([0.5, 0.5])
z[t] in state ~ Categorical(p[z[t-1], to])
observed y[t] ~ Normal(mu[z], 1)
"""


def chain(n: int, rng: Any) -> Any:
    z = [0]
    for _ in range(n - 1):
        z.append(int(rng.choice(2, p=[[0.9, 0.1], [0.25, 0.75]][z[-1]])))
    return np.array([0, 2])[z] + rng.normal(size=n)


def test_hidden_markov_chain_against_a_grid() -> None:
    y = chain(40, np.random.default_rng(2))
    order = np.random.default_rng(3).permutation(40)  # rows in any order
    fit = dm.read(HMM).fit(pd.DataFrame({"t": order, "y": y[order]}), method="gibbs", draws=1000)
    assert fit.converged, fit.message
    axes = [np.linspace(0.005, 0.995, 60)] * 2
    like = stats.norm.pdf(y[:, None], [0, 2])

    def smoothed(a: float, b: float) -> tuple[float, Any]:
        """Log likelihood and probabilities of the second state, by numpy's forward and backward sums."""
        step = np.array([[a, 1 - a], [1 - b, b]])
        forward = [0.5 * like[0]]
        for e in like[1:]:
            forward.append(forward[-1] @ step * e)
        back = [np.ones(2)]
        for e in like[:0:-1]:
            back.append(step @ (e * back[-1]))
        total = forward[-1].sum()
        return np.log(total), (np.array(forward) * np.array(back[::-1]))[:, 1] / total

    means, sds, weight = on_grid(axes, lambda a, b: smoothed(a, b)[0] + np.log(a * (1 - a) * b * (1 - b)))
    agrees(fit.samples["stay"], means, sds)
    some = [(i, j) for i in range(0, 60, 3) for j in range(0, 60, 3)]
    coarse = np.array([weight[i, j] for i, j in some])
    share = sum(w * smoothed(axes[0][i], axes[1][j])[1] for w, (i, j) in zip(coarse, some, strict=True))
    z = fit.samples["z"].mean(axis=(0, 1))[np.argsort(np.argsort(order))]
    labels = [int(str(v)) for v in fit.samples.labels["t"]]
    z = fit.samples["z"].mean(axis=(0, 1))[np.argsort(labels)]
    np.testing.assert_allclose(z, share / coarse.sum(), atol=0.05)


@pytest.mark.parametrize("collapse", [True, False])
def test_changepoint_against_closed_forms(collapse: bool) -> None:
    """Given the place of the change all else is Gaussian: probabilities of places by their evidence."""
    rng = np.random.default_rng(5)
    x = np.linspace(-1, 1, 12)
    y = 1 + np.where(x > x[6], -1.5, 0.2) * (x - x[6]) + 0.4 * rng.normal(size=12)
    g = dm.read(
        'model change\nplate obs ordered\nplate side = "before", "after"\ncovariate x[obs]\n'
        "n_obs = sum(1 for obs)\nany[obs] = 1/n_obs\nk in obs ~ Categorical(any)\n"
        'slope[obs] = if_else(obs > k, beta["after"], beta["before"])\n'
        "observed y[obs] ~ Normal(alpha + slope*(x - x[k]), 0.4)\nalpha, beta[side] ~ Normal(0, 2)"
    )
    data = pd.DataFrame({"obs": range(12), "x": x, "y": y})
    fit = g.fit(data, draws=1000, collapse=collapse)
    assert fit.converged, fit.message
    assert ("evidence" in fit.method) == collapse
    logs, means = [], []
    for k in range(12):
        after = np.arange(12) > k
        a = np.stack([np.ones(12), np.where(after, 0, x - x[k]), np.where(after, x - x[k], 0)], 1)
        cov = 4 * a @ a.T + 0.16 * np.eye(12)
        logs.append(stats.multivariate_normal(np.zeros(12), cov).logpdf(y))
        means.append(4 * a.T @ np.linalg.solve(cov, y))
    share = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    seen = np.stack([fit.samples["k"] == k for k in range(12)], axis=2)
    agrees(seen, share)
    exact = share @ np.array(means)
    agrees(fit.samples["alpha"], exact[0])
    agrees(fit.samples["beta"], exact[1:])


STAGNANT = """model stagnant
plate obs ordered
plate side = "before", "after"
covariate x[obs]
n_obs = sum(1 for obs)
any[obs] = 1/n_obs
k in obs ~ Categorical(any)
slope[obs] = if_else(obs > k, beta["after"], beta["before"])
observed y[obs] ~ Normal(alpha + slope*(x - x[k]), sigma)
alpha, beta[side] ~ Normal(0, 1000)
sigma ~ HalfCauchy(5)
"""
# BUGS, volume 2, example stagnant (Carlin, Gelfand and Smith 1992, Applied Statistics 41)
FLOW = {
    "x": "-1.39 -1.39 -1.08 -1.08 -0.94 -0.80 -0.63 -0.63 -0.25 -0.25 -0.12 -0.12 0.01 0.11 0.11 0.11 "
    "0.25 0.25 0.34 0.34 0.44 0.59 0.70 0.70 0.85 0.85 0.99 0.99 1.19",
    "y": "1.12 1.12 0.99 1.03 0.92 0.90 0.81 0.83 0.65 0.67 0.60 0.59 0.51 0.44 0.43 0.43 "
    "0.33 0.30 0.25 0.24 0.13 -0.01 -0.13 -0.14 -0.30 -0.33 -0.46 -0.43 -0.65",
}


def test_separate_peaks_by_the_evidence_of_states() -> None:
    """Each place of the change is a peak of its own; by integrals over sigma for each place."""
    x, y = (np.array(FLOW[name].split(), dtype=float) for name in ("x", "y"))
    fit = dm.read(STAGNANT).fit(pd.DataFrame({"obs": range(29), "x": x, "y": y}), draws=2000)
    grid = np.linspace(np.log(0.008), np.log(0.2), 160)
    logs, alpha = np.empty((29, 160)), np.empty((29, 160))
    for k in range(29):
        after = np.arange(29) > k
        a = np.stack([np.ones(29), np.where(after, 0, x - x[k]), np.where(after, x - x[k], 0)], 1)
        values, turn = np.linalg.eigh(a.T @ a)
        for j, s in enumerate(np.exp(grid)):
            scale = s**2 + 1e6 * values  # of the three columns' span; the rest has s^2
            z = a.T @ y
            solved = turn @ (turn.T @ z / scale) * 1e6
            quadratic = (y @ y - z @ solved) / s**2
            determinant = np.log(scale).sum() + 26 * np.log(s**2)
            logs[k, j] = -0.5 * (29 * np.log(2 * np.pi) + determinant + quadratic) + np.log(s)
            logs[k, j] += np.log(2 / (5 * np.pi)) - np.log1p((s / 5) ** 2) - np.log(29)
            alpha[k, j] = solved[0]
    weight = np.exp(logs - logs.max())
    total = weight.sum()
    evidence = logs.max() + np.log(total * (grid[1] - grid[0]))
    told = fit.plan.verdict.because[0] if fit.plan.verdict else ""
    assert f"log evidence {evidence:.3f}"[:-1] in told
    agrees(np.stack([fit.samples["k"] == k for k in range(29)], axis=2), weight.sum(axis=1) / total)
    sigma = (weight * np.exp(grid)).sum() / total
    agrees(fit.samples["sigma"], sigma, np.sqrt((weight * np.exp(2 * grid)).sum() / total - sigma**2))
    agrees(fit.samples["alpha"], (weight * alpha).sum() / total)


MISCLASSIFIED = """model misclassified
plate row
covariate v[row]
observed x[row] ~ Bernoulli(px[v])
observed w[row] ~ Bernoulli(if_else(x == 1, sens, 1 - spec))
observed y[row] ~ Bernoulli(if_else(x == 1, a, b))
plate group = 0, 1
px[group], a, b ~ Beta(1, 1)
sens, spec ~ Beta(8, 2)
"""


def test_misclassified_covariate_against_data_augmentation() -> None:
    """A Gibbs sampler by hand: the missing truths, then beta laws."""
    rng = np.random.default_rng(7)
    n = 120
    x = (rng.random(n) < 0.4).astype(float)
    w = np.where(rng.random(n) < 0.85, x, 1 - x)
    y = (rng.random(n) < np.where(x == 1, 0.8, 0.3)).astype(float)
    seen = np.arange(n) < 30
    text = MISCLASSIFIED.replace("px[v]", "px").replace("px[group], a", "px, a")
    text = text.replace("plate group = 0, 1\n", "").replace("covariate v[row]\n", "")
    data = pd.DataFrame({"x": np.where(seen, x, np.nan), "w": w, "y": y})
    fit = dm.read(text).fit(data, method="gibbs", draws=1000)
    assert fit.converged, fit.message
    names, runs, steps = ("px", "a", "b", "sens", "spec"), 40, 400
    value = np.tile([0.4, 0.6, 0.4, 0.8, 0.8], (runs, 1))
    kept, truths = [], []
    for step in range(steps):
        px, a, b, sens, spec = (v[:, None] for v in value.T)
        one = px * np.where(w == 1, sens, 1 - sens) * np.where(y == 1, a, 1 - a)
        zero = (1 - px) * np.where(w == 1, 1 - spec, spec) * np.where(y == 1, b, 1 - b)
        truth = np.where(seen, x, rng.random((runs, n)) < one / (one + zero))
        pairs = [(truth, 1, 1), (truth * y, 1, 1), ((1 - truth) * y, 1, 1)]
        pairs += [(truth * w, 8, 2), ((1 - truth) * (1 - w), 8, 2)]
        among = [np.ones_like(truth), truth, 1 - truth, truth, 1 - truth]
        value = np.stack(
            [
                rng.beta(s + hits.sum(1), f + (all_ - hits).sum(1))
                for (hits, s, f), all_ in zip(pairs, among, strict=True)
            ],
            axis=1,
        )
        if step >= 50:
            kept.append(value)
            truths.append(truth)
    table = np.swapaxes(np.array(kept), 0, 1)
    ours = np.stack([fit.samples[name] for name in names], axis=2)
    mean, sd = table.mean(axis=(0, 1)), table.std(axis=(0, 1))
    error = np.hypot(sd / np.sqrt(ess_mean(table)), sd / np.sqrt(ess_mean(ours)))
    assert (np.abs(ours.mean(axis=(0, 1)) - mean) < Z * error).all()
    np.testing.assert_allclose(ours.std(axis=(0, 1)), sd, rtol=0.1)
    np.testing.assert_allclose(fit.samples["x"].mean(axis=(0, 1)), np.mean(truths, axis=(0, 1)), atol=0.06)
    assert (fit.samples["x"][:, :, seen] == x[seen]).all()


ASIA = """model asia
plate answer = "yes", "no"
asia in answer ~ Table([0.01, 0.99])
smoke in answer ~ Table([0.5, 0.5])
tub in answer ~ Table(asia, {"yes": [0.05, 0.95], "no": [0.01, 0.99]})
lung in answer ~ Table(smoke, {"yes": [0.1, 0.9], "no": [0.01, 0.99]})
either in answer ~ Table(lung, tub, {("yes", "yes"): [1, 0], ("yes", "no"): [1, 0],
                                     ("no", "yes"): [1, 0], ("no", "no"): [0, 1]})
observed xray in answer ~ Table(either, {"yes": [0.98, 0.02], "no": [0.05, 0.95]})
"""


def test_known_network_by_independent_draws() -> None:
    fit = dm.read(ASIA).fit({"xray": "yes"}, method="gibbs", draws=2000)
    assert "independent" in fit.method
    joint = {}
    for asia, smoke, tub, lung in itertools.product(range(2), repeat=4):
        p = [0.01, 0.99][asia] * 0.5
        p *= (
            np.array([[0.05, 0.95], [0.01, 0.99]])[asia, tub]
            * np.array([[0.1, 0.9], [0.01, 0.99]])[smoke, lung]
        )
        either = 0 if tub == 0 or lung == 0 else 1
        joint[asia, smoke, tub, lung, either] = p * [0.98, 0.05][either]
    total = sum(joint.values())
    for k, name in enumerate(("asia", "smoke", "tub", "lung", "either")):
        share = sum(p for states, p in joint.items() if states[k] == 1) / total
        agrees(fit.samples[name], share)


def test_evidence_that_cannot_be_is_said() -> None:
    text = 'model m\nplate a = "yes", "no"\nu in a ~ Table([1, 0])\n'
    text += 'observed v in a ~ Table(u, {"yes": [1, 0], "no": [0, 1]})'
    with pytest.raises(FitError, match=r"node v .* in every state of u|make all laws possible"):
        dm.read(text).fit({"v": "no"}, method="gibbs")


def test_rows_and_draws_of_runs_that_go_on() -> None:
    y = chain(20, np.random.default_rng(9))
    data = pd.DataFrame({"t": range(20), "y": y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        short = dm.read(HMM).fit(data, method="gibbs", draws=60, warmup=50, chains=2)
        longer = short.extend(40)
        whole = dm.read(HMM).fit(data, method="gibbs", draws=100, warmup=50, chains=2)
    for name, value in whole.samples.values.items():
        assert np.array_equal(value, longer.samples[name]), name


def test_the_plan_says_how_each_is_summed_out() -> None:
    plan = str(dm.read(HMM).plan(pd.DataFrame({"t": range(9), "y": np.zeros(9)}), method="gibbs"))
    assert (
        "summed out: z: 2 states for each of 9 elements; drawn exactly afterwards, backwards along 't'"
        in plan
    )
    assert "'z' summed out along 't' by a forward recursion, read by 'y'" in plan


def test_counts_without_end_are_drawn_element_by_element() -> None:
    g = dm.read("model m\nplate i\nn[i] ~ Poisson(m)\nobserved y[i] ~ Binomial(n, 0.5)\nm ~ Gamma(2, 1)")
    told = str(g.plan({"y": [1, 2]}, method="gibbs"))
    assert re.search(r"'n' is discrete .* without an upper end", told)
    assert "element by element" in told


def test_too_many_in_one_law_are_refused_with_figures() -> None:
    g = dm.read(
        "model m\nplate i\nplate k = 1..20\nz[k] ~ Bernoulli(p)\n"
        "observed y[i] ~ Normal(prod(1 + z[k] for k), 1)\n"
        "p ~ Beta(1, 1)"
    )
    with pytest.raises(FitError, match=r"'y' reads 20 .*z\[1\].*1,048,576 joint states"):
        g.fit({"y": [1.0, 2.0]}, method="gibbs")


def test_exchangeable_labels_are_named_in_the_verdict() -> None:
    g = dm.read(
        "model m\nplate i\nplate c = 1..2\nz[i] in c ~ Categorical(w)\nobserved y[i] ~ Normal(mu[z], 1)\n"
        "w[c] ~ Dirichlet(2)\nmu[c] ~ Normal(0, 3)"
    )
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": np.where(rng.random(60) < 0.5, 3, -3) + rng.normal(size=60)})
    with pytest.warns(FitWarning, match=r"label switching.*write mu\[c\] ~ Ordered\(Normal\(0, 3\)\)"):
        fit = g.fit(data, method="gibbs", draws=200, warmup=200)
    assert not fit.converged
    assert "label switching" in str(g.plan(data))


@pytest.mark.parametrize("draws", [600, pytest.param(20_000, marks=pytest.mark.long)])
def test_eyes_against_four_integrals(draws: int) -> None:
    """A BUGS model whose groups must not be empty: a law of counts of all 48 unknowns."""
    model, _ = bugs("eyes")
    reference = json.loads((REFERENCES / "bugs" / "eyes" / "integrated.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # effective sizes of the short run
        fit = model.fit(method="gibbs", draws=draws, monitor=["P", "lambda", "sigma", "tot"])
    found = by_bugs_name(model, fit)
    for name, told in reference.items():
        agrees(found[name], told["mean"], told["sd"] if draws > 10_000 else None)
    tot = fit.samples["tot"]
    assert (tot > 0).all()
    assert (tot.sum(axis=2) == 48).all()


FORWARD = """model forward
plate i
plate k = 1..3
z[i] ~ Bernoulli(p)
observed y[i] ~ Normal(a*z, 1)
new[k] ~ Bernoulli(p)
ynew[k] ~ Normal(a*new, 0.5)
far ~ Poisson(exp(ynew[1]))
twice[k] = 2*ynew
p ~ Beta(2, 2)
a ~ Normal(0, 3)
"""


def test_nodes_that_nothing_observed_depends_on_are_drawn_from_their_parents() -> None:
    g = dm.read(FORWARD)
    data = {"y": [0.1, 2.0, 3.0, -1.0]}
    plan = str(g.plan(data))
    assert "drawn from its parents: new, ynew, far: nothing observed depends on it" in plan
    assert "drawn: p, a: differentiable" in plan
    fit = g.fit(data, draws=500)
    s = fit.samples
    assert s["ynew"].shape == (4, 500, 3)
    assert (s["twice"] == 2 * s["ynew"]).all()
    residual = (s["ynew"] - s["a"][:, :, None] * s["new"]) / 0.5
    assert abs(residual.mean()) < Z / np.sqrt(6000)
    assert abs((residual**2).mean() - 1) < Z * np.sqrt(2 / 6000)
    assert abs((s["new"] - s["p"][:, :, None]).mean()) < Z * 0.5 / np.sqrt(6000)
    rate = np.exp(s["ynew"][:, :, 0])
    assert abs(((s["far"] - rate) / np.sqrt(rate)).mean()) < Z / np.sqrt(2000)
    other = ("new", "ynew", "far", "twice")
    without = dm.read("\n".join(line for line in FORWARD.splitlines() if not line.startswith(other)))
    assert np.array_equal(without.fit(data, draws=500, collapse=False).samples["a"], s["a"])


def test_rows_and_labels_may_come_in_any_order() -> None:
    text = (
        'model m\nplate i\nplate c = "u", "v", "w"\nz[i] in c ~ Categorical(q)\n'
        "observed y[i] ~ Normal(mu[z], s)\nq[c] ~ Dirichlet(2)\nmu[c] ~ Normal(0, 3)\ns ~ HalfNormal(1)"
    )
    y = np.random.default_rng(4).normal(size=20)
    turn = np.random.default_rng(5).permutation(20)
    flats = [
        build_summed(bind(dm.read(t).dag, pd.DataFrame({"y": v})))
        for t, v in ((text, y), (text, y[turn]), (text.replace('"u", "v", "w"', '"w", "u", "v"'), y))
    ]
    point = np.random.default_rng(6).normal(size=flats[0].size)
    values = flats[0].constrain(point)
    relabelled = {n: np.roll(v, 1) if n in ("q", "mu") else v for n, v in values.items()}
    logs = [
        f.log_density(f.unconstrain(v), jacobian=False)
        for f, v in zip(flats, (values, values, relabelled), strict=True)
    ]
    np.testing.assert_allclose(logs, logs[0], rtol=1e-13)
