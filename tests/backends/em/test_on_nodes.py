"""Item response models and other latents of units by quadrature EM: sums by hand, other quadratures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats
from scipy.special import expit

import dagmodels as dm
from dagmodels.backends.em.mixture import loop
from dagmodels.backends.em.mixture.fit import counts_of
from dagmodels.backends.em.mixture.steps import Steps
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.listed import lattice, listed

HEAD = """model irt
plate person
plate item
parameter b[item]
"""
RASCH = (
    HEAD
    + """parameter s > 0
theta[person] ~ Normal(0, s)
observed y[person, item] ~ Bernoulli(expit(theta - b))
"""
)
TWO = (
    HEAD
    + """parameter a[item]
theta[person] ~ Normal(0, 1)
observed y[person, item] ~ Bernoulli(expit(a*theta - b))
"""
)
FOUR = (
    HEAD
    + """a[item] ~ LogNormal(0, 0.5)
c[item] ~ Beta(5, 17)
d[item] ~ Beta(17, 2)
theta[person] ~ Normal(0, 1)
observed y[person, item] ~ Bernoulli(c + (d - c)*expit(a*theta - b))
"""
)
GRADED = """model graded
plate person
plate item
plate grade = 1..4
plate cut = 1..3
parameter a[item] > 0
parameter tau[item, cut] ordered
theta[person] ~ Normal(0, 1)
observed y[person, item] in grade ~ OrderedLogistic(a*theta, tau)
"""
CORRELATED = """model correlated
plate person
plate item
covariate first[item]
parameter a[item] > 0
parameter b[item]
parameter rho in (-0.99, 0.99)
t1[person] ~ Normal(0, 1)
t2[person] ~ Normal(rho*t1, sqrt(1 - rho**2))
observed y[person, item] ~ Bernoulli(expit(a*(first*t1 + (1 - first)*t2) - b))
"""
Z, STEP = np.linspace(-9, 9, 301, retstep=True)  # far finer than what is tested
W = stats.norm.pdf(Z) * STEP


def answers(seed: int, n: int, k: int, law: Any = None) -> tuple[pd.DataFrame, np.ndarray]:
    """n persons, k items of two parameters, as rows; the table persons x items too."""
    rng = np.random.default_rng(seed)
    theta, a, b = rng.normal(size=n), np.exp(0.3 * rng.normal(size=k)), rng.normal(size=k)
    p = expit(a * theta[:, None] - b)
    wide = (rng.random((n, k)) < (p if law is None else law(p))).astype(float)
    return rows(wide), wide


def rows(wide: np.ndarray) -> pd.DataFrame:
    n, k = wide.shape
    return pd.DataFrame(
        {"person": np.repeat(np.arange(n), k), "item": np.tile(np.arange(k), n), "y": wide.reshape(-1)}
    )


def marginal(wide: np.ndarray, p: np.ndarray) -> float:
    """Log likelihood of binary answers from chances by node (weights of `W`) and item."""
    log = wide @ np.log(p).T + (1 - wide) @ np.log1p(-p).T
    return float(special.logsumexp(log, b=W, axis=1).sum())


def level(minus: Any, x: np.ndarray, curvature: float) -> bool:
    """Whether the slope of a criterion is that of an optimum, beside its curvature."""
    return bool(np.abs(optimize.approx_fprime(x, minus, 1e-5)).max() < 1e-4 * curvature)


@pytest.mark.parametrize("text", [RASCH, TWO])
def test_logistic_items_against_adaptive_quadrature(text: str) -> None:
    data, _ = answers(1, 250, 6)
    fit = dm.read(text).fit(data, method="em")
    other = dm.read(text).fit(data, method="laplace", quadrature=41)
    assert fit.converged
    assert not fit.exact
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)
    a = fit.estimates.set_index("name")
    b = other.estimates.set_index("name").loc[a.index]
    sign = 1.0 if text == RASCH else np.where(a.index.str.startswith("a["), np.sign(other["a[0]"]), 1.0)
    assert (a["estimate"] - sign * b["estimate"]).abs().max() < 1e-5 * a["se"].min()
    assert a["se"].to_numpy() == pytest.approx(b["se"].to_numpy(), rel=1e-4)
    assert fit.diagnostics["quadrature_error"] < 1e-8
    if text == RASCH:  # means beside modes
        latents = fit.latents.set_index("name").loc[other.latents["name"]]
        assert np.corrcoef(latents["estimate"], other.latents["estimate"])[0, 1] > 0.995


def test_loadings_are_positive_where_nothing_tells_their_sign() -> None:
    data, _ = answers(2, 300, 8)
    for seed in (1, 2, 3):
        fit = dm.read(TWO).fit(data, method="em", seed=seed)
        assert fit.estimates["estimate"][fit.estimates["name"].str.startswith("a[")].sum() > 0
        assert fit.diagnostics["starts_at_best"] == 2


def test_four_parameters_against_a_sum_by_hand() -> None:
    data, wide = answers(3, 1000, 5, lambda p: 0.15 + 0.8 * p)
    fit = dm.read(FOUR).fit_quietly(data, method="em")
    assert fit.converged
    x = np.concatenate([fit.estimates["estimate"].to_numpy()[5 * j : 5 * j + 5] for j in range(4)])
    order = [n.partition("[")[0] for n in fit.estimates["name"]][::5]
    assert order == ["b", "a", "c", "d"]

    def minus(x: np.ndarray) -> float:
        b, a, c, d = x.reshape(4, 5)
        p = c + (d - c) * expit(a * Z[:, None] - b)
        prior = stats.beta.logpdf(c, 5, 17) + stats.beta.logpdf(d, 17, 2) + stats.lognorm.logpdf(a, 0.5)
        return -marginal(wide, p) - float(prior.sum())

    assert -minus(x) == pytest.approx(fit.measures["log_posterior"], abs=1e-6)
    assert level(minus, x, 1000)


def test_graded_answers_against_a_sum_by_hand() -> None:
    rng = np.random.default_rng(4)
    theta, a = rng.normal(size=400), np.array([0.7, 1.0, 1.5, 2.0])
    cuts = np.array([-1.0, 0.2, 1.3])
    wide = ((rng.logistic(size=(400, 4)) + a * theta[:, None])[:, :, None] > cuts).sum(axis=2)
    data = rows(wide + 1).astype({"y": int})
    fit = dm.read(GRADED).fit(data, method="em")
    assert fit.converged
    x = fit.estimates["estimate"].to_numpy()

    def minus(x: np.ndarray) -> float:
        a, tau = x[:4], x[4:].reshape(4, 3)
        below = expit(tau[None] - (a * Z[:, None])[:, :, None])
        ends = np.concatenate([np.zeros((Z.size, 4, 1)), below, np.ones((Z.size, 4, 1))], axis=2)
        p = np.diff(ends, axis=2)
        log = np.log(p[:, np.arange(4), wide]).sum(axis=2).T
        return -float(special.logsumexp(log, b=W, axis=1).sum())

    assert -minus(x) == pytest.approx(fit.log_likelihood, abs=1e-6)
    assert level(minus, x, 400)


def test_two_correlated_dimensions_against_a_sum_by_hand() -> None:
    rng = np.random.default_rng(5)
    n, first = 150, np.repeat([1.0, 0.0], 4)
    t1 = rng.normal(size=n)
    t2 = 0.6 * t1 + 0.8 * rng.normal(size=n)
    b = rng.normal(size=8)
    eta = 1.3 * np.where(first == 1, t1[:, None], t2[:, None]) - b
    wide = (rng.random((n, 8)) < expit(eta)).astype(float)
    data = rows(wide).assign(first=np.tile(first, n))
    fit = dm.read(CORRELATED).fit(data, method="em", starts=1)
    assert fit.converged
    x = fit.estimates["estimate"].to_numpy()
    coarse = Z[::6]
    u, v = (g.reshape(-1) for g in np.meshgrid(coarse, coarse, indexing="ij"))
    weight = np.outer(W[::6], W[::6]).reshape(-1) * 36

    def minus(x: np.ndarray) -> float:
        a, b, rho = x[:8], x[8:16], x[16]
        other = rho * u + np.sqrt(1 - rho**2) * v
        p = expit(a * np.where(first == 1, u[:, None], other[:, None]) - b)
        log = wide @ np.log(p).T + (1 - wide) @ np.log1p(-p).T
        return -float(special.logsumexp(log, b=weight, axis=1).sum())

    assert -minus(x) == pytest.approx(fit.log_likelihood, abs=1e-4)
    assert level(minus, x, 150)
    assert fit.latents["name"].str.startswith("t2").sum() == n


def test_counts_with_random_intercepts_against_adaptive_quadrature() -> None:
    text = """model visits
plate clinic
plate row in clinic
covariate x[row]
parameter m, b
parameter tau > 0
u[clinic] ~ Normal(m, tau)
observed y[row] ~ Poisson(exp(u + b*x))
"""
    rng = np.random.default_rng(6)
    clinic, x = np.repeat(np.arange(40), 5), rng.normal(size=200)
    y = rng.poisson(np.exp(0.5 + 0.6 * rng.normal(size=40)[clinic] + 0.3 * x))
    data = pd.DataFrame({"clinic": clinic, "x": x, "y": y})
    fit = dm.read(text).fit(data, method="em", quadrature=121)
    other = dm.read(text).fit(data, method="laplace", quadrature=21)
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)
    assert [fit[n] for n in ("m", "b", "tau")] == pytest.approx(
        [other[n] for n in ("m", "b", "tau")], abs=1e-5
    )


def test_classes_of_persons_beside_their_ability() -> None:
    """Mixture Rasch (Rost 1990, Appl. Psychol. Meas. 14:271): sums over both, by hand at the estimate."""
    text = """model mixed_rasch
plate person
plate item
plate class = 1..2
parameter w[class] simplex
parameter b[class, item]
z[person] in class ~ Categorical(w)
theta[person] ~ Normal(0, 1)
observed y[person, item] ~ Bernoulli(expit(theta - b[z, item]))
"""
    rng = np.random.default_rng(7)
    z = rng.random(600) < 0.4
    b = np.where(z[:, None], [-2, 2, -2, 2, -2, 2], [2, -2, 2, -2, 2, -2])
    wide = (rng.random((600, 6)) < expit(rng.normal(size=600)[:, None] - b)).astype(float)
    fit = dm.read(text).fit(rows(wide), method="em", quadrature=41)
    assert fit.converged
    w = fit["w[1]"]
    parts = []
    for c in (1, 2):
        p = expit(Z[:, None] - np.array([fit[f"b[{c}, {i}]"] for i in range(6)]))
        log = wide @ np.log(p).T + (1 - wide) @ np.log1p(-p).T
        parts.append(special.logsumexp(log, b=W, axis=1))
    total = np.logaddexp(np.log(w) + parts[0], np.log1p(-w) + parts[1])
    assert total.sum() == pytest.approx(fit.log_likelihood, abs=1e-5)
    states = fit.states()
    assert list(states["name"][:2]) == ["z[0]", "z[1]"]
    assert len(states) == 600
    exact = np.exp(np.log(w) + parts[0] - total)
    assert fit.probabilities("z")[1].to_numpy() == pytest.approx(exact, abs=1e-6)
    assert fit.latents["name"].str.startswith("theta").sum() == 600


def test_equal_persons_are_one_and_missing_answers_are_left_out() -> None:
    data, wide = answers(8, 500, 5)
    wide[np.random.default_rng(8).random(wide.shape) < 0.2] = np.nan
    data["y"] = wide.reshape(-1)
    problem = bind(dm.read(TWO).dag, data)
    form = build_mixture(small := listed(problem, ["theta"], 61), counts_of(small))
    assert form.sums[0].weights.size < 250
    assert form.sums[0].weights.sum() == 500
    fit = dm.read(TWO).fit(data.dropna(), method="em")
    same = dm.read(TWO).fit(data, method="em")
    assert fit.log_likelihood == pytest.approx(same.log_likelihood, abs=1e-8)


def test_log_density_never_falls() -> None:
    data, _ = answers(9, 200, 5)
    small = listed(bind(dm.read(FOUR).dag, data), ["theta"], 61)
    form = build_mixture(small, counts_of(small))
    ran = loop._run(Steps.of(form), 0, 1, 1e-9, loop.LIMIT)
    assert len(ran.values) > 5
    assert (np.diff(ran.values) <= 1e-10 * abs(ran.values[0])).all()


def test_refits_bootstrap_and_predictions() -> None:
    data, wide = answers(10, 300, 5)
    fit = dm.read(RASCH).fit(data, method="em")
    _, other = answers(11, 300, 5)
    again = fit.refit(other)
    assert again.log_likelihood == pytest.approx(
        dm.read(RASCH).fit(rows(other), method="em").log_likelihood, abs=1e-6
    )
    assert again.latents["name"][0] == "theta[0]"
    drawn = fit.bootstrap(10, seed=1, kind="nonparametric")
    assert not drawn.failures
    assert np.isfinite(fit.bootstrap(5, seed=1).draws).all()
    chance = expit(Z[:, None] * fit["s"] - np.array([fit[f"b[{i}]"] for i in range(5)]))
    log = wide[:1] @ np.log(chance).T + (1 - wide[:1]) @ np.log1p(-chance).T
    given = np.exp(log - log.max()) * W
    assert fit.predict()[:5] == pytest.approx((given / given.sum() @ chance)[0], abs=1e-6)
    mean = (given / given.sum() @ (fit["s"] * Z)).item()
    assert fit.latents["estimate"][0] == pytest.approx(mean, abs=1e-6)


def test_nodes_integrate_normal_laws() -> None:
    for count, sd in ((21, 0.5), (31, 0.4), (61, 0.25)):
        z, w = lattice(count)
        got = float(w @ (stats.norm.pdf(z, 0.3, sd)))
        assert got == pytest.approx(stats.norm.pdf(0.3, 0, np.hypot(1, sd)), rel=1e-5)


def test_what_cannot_be_put_on_nodes_is_named() -> None:
    data, _ = answers(12, 30, 4)
    crossed = RASCH.replace("parameter b[item]", "parameter t > 0\nb[item] ~ Normal(0, t)")
    with pytest.raises(FitError, match="'b' is a latent of other units than those of 'person'"):
        dm.read(crossed).fit(data, method="em")
    student = RASCH.replace("Normal(0, s)", "StudentT(4, 0, s)")
    with pytest.raises(FitError, match="'theta' is StudentT: nodes of quadrature"):
        dm.read(student).fit(data, method="em")
    with pytest.raises(FitError, match="quadrature=2 is not"):
        dm.read(RASCH).fit(data, method="em", quadrature=2)
    with pytest.raises(FitError, match=r"no option 'nodes' .* it has starts="):
        dm.read(RASCH).fit(data, method="em", nodes=2)
    many = """model many
plate person
plate dim = 1..4
theta[person, dim] ~ Normal(0, 1)
parameter b, s
observed y[person] ~ Poisson(exp(b + s*sum(theta for dim)))
"""
    with pytest.raises(FitError, match="4 latents meet in a unit"):
        dm.read(many).fit({"y": np.arange(5)}, method="em")
