"""Conditional linear-Gaussian cases with gaps, against sums over states of dense normal laws."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import dagmodels as dm
from dagmodels.backends.em.linear.expectation import Expectation
from dagmodels.backends.em.linear.loop import solve
from dagmodels.backends.em.linear.maximise import Maximisation
from dagmodels.bind.bind import bind
from dagmodels.forms.linear_cases import linear_cases

MODEL = """model cases
plate row
plate kind = "a", "b"
parameter w[kind] simplex
parameter q[kind] in (0, 1)
parameter a[kind], c, d[kind], e, h
parameter s[kind], t > 0
covariate z[row]
observed k[row] in kind ~ Categorical(w)
observed v[row] ~ Bernoulli(q[k])
observed x[row] ~ Normal(a[k] + h*z, s[k])
middle[row] = d[k]*x + e*v
observed y[row] ~ Normal(c + middle, t)
"""
NAMES = ["w[b]", "q[a]", "q[b]", "a[a]", "a[b]", "c", "d[a]", "d[b]", "e", "h", "s[a]", "s[b]", "t"]


def data(n: int = 160, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    k, z = rng.integers(0, 2, n), rng.normal(size=n)
    v = (rng.random(n) < np.where(k, 0.8, 0.3)).astype(float)
    x = rng.normal(np.where(k, 3, 0) + 0.5 * z, np.where(k, 1.0, 0.5))
    y = rng.normal(1 + np.where(k, -1, 0.5) * x + v, 0.7)
    frame = pd.DataFrame({"k": np.where(k, "b", "a").astype(object), "v": v, "x": x, "y": y, "z": z})
    for name in ("k", "v", "x", "y"):
        frame.loc[rng.random(n) < 0.25, name] = None
    return frame


def log_likelihood(p: dict[str, float], frame: pd.DataFrame) -> float:
    """Row by row and state by state."""
    total = 0.0
    for row in frame.itertuples():
        density = 0.0
        for k, v in itertools.product("ab", (0, 1)):
            if (row.k is not None and row.k == row.k and row.k != k) or (row.v == row.v and row.v != v):
                continue
            weight = (p["w[b]"] if k == "b" else 1 - p["w[b]"]) * (p[f"q[{k}]"] if v else 1 - p[f"q[{k}]"])
            mx, sx, d = p[f"a[{k}]"] + p["h"] * row.z, p[f"s[{k}]"], p[f"d[{k}]"]
            mean = np.array([mx, p["c"] + d * mx + p["e"] * v])
            cov = np.array([[sx**2, d * sx**2], [d * sx**2, d**2 * sx**2 + p["t"] ** 2]])
            seen = [i for i, value in enumerate((row.x, row.y)) if value == value]
            at = np.array([row.x, row.y])[seen]
            if seen:
                weight *= multivariate_normal.pdf(at, mean[seen], cov[np.ix_(seen, seen)])
            density += weight
        total += np.log(density)
    return total


def test_a_fit_against_direct_maximisation():
    frame = data()
    fit = dm.read(MODEL).fit(frame)
    assert fit.converged
    assert fit.backend == "em"
    at = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    assert fit.log_likelihood == pytest.approx(log_likelihood(at, frame), abs=1e-8)
    best = np.array([at[n] for n in NAMES])

    def criterion(x: np.ndarray) -> float:
        return -log_likelihood(dict(zip(NAMES, x, strict=True)), frame)

    se = fit.estimates.set_index("name").se
    size = se[NAMES].to_numpy()
    bounds = list(zip(best - 0.5 * size, best + 0.5 * size, strict=True))
    found = minimize(criterion, best + 0.1 * size, method="L-BFGS-B", bounds=bounds)
    assert found.x == pytest.approx(best, abs=2e-3)
    assert -found.fun <= fit.log_likelihood + 1e-6
    for name in ("d[b]", "t", "q[a]"):  # standard errors: where the profile is half a unit of curvature lower
        i = NAMES.index(name)
        own = fit.covariance.loc[NAMES, NAMES].to_numpy()
        step = own[:, i] / np.sqrt(own[i, i])  # along the profile, one standard error of this number
        drop = fit.log_likelihood + 0.5 * (criterion(best + 0.1 * step) + criterion(best - 0.1 * step))
        assert drop == pytest.approx(0.5 * 0.01, rel=0.02)


def test_gradient_and_monotone_steps():
    problem = bind(dm.read(MODEL).dag, data(seed=2))
    form = linear_cases(problem)
    expectation = Expectation.of(form)
    step = Maximisation.of(form, expectation)
    rng = np.random.default_rng(3)
    for _ in range(3):
        y = 0.4 * rng.normal(size=len(NAMES))
        at = step.numbers(y)
        assert step.free(at) == pytest.approx(y, abs=1e-12)
        slope = step.gradient(expectation(at), at)
        for i, e in enumerate(1e-5 * np.eye(y.size)):
            up, down = (expectation(step.numbers(y + s * e)).log_likelihood for s in (1, -1))
            assert slope[i] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-4)
        after = step(expectation(at), at)
        assert expectation(after).log_likelihood > expectation(at).log_likelihood
    solution = solve(form, 3, 1)
    assert (np.diff(solution.values) <= 1e-9 * abs(solution.values[0])).all()


def test_hidden_states_and_values_are_those_of_queries():
    frame = data(60, seed=5)
    fit = dm.read(MODEL).fit(frame)
    table = fit.latents.set_index("name")
    hidden = [r for r in range(60) if pd.isna(frame.k[r]) and pd.isna(frame.x[r])][:2]
    for r in hidden:
        answer = fit.query(None, [f"k[{r}]", f"x[{r}]"])
        assert answer[f"k[{r}]"]["b"] == pytest.approx(table.estimate[f"k[{r}] == b"], abs=1e-10)
        assert answer[f"x[{r}]"].mean == pytest.approx(table.estimate[f"x[{r}]"], abs=1e-9)
        assert answer[f"x[{r}]"].sd == pytest.approx(table.sd[f"x[{r}]"], abs=1e-9)
    assert set(fit.states()["name"]) >= {f"k[{r}]" for r in hidden}
    at = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    other = data(20, seed=6)
    assert fit.log_likelihood_of(other) == pytest.approx(log_likelihood(at, other), abs=1e-8)
    assert len(fit.states(other)) == other[["k", "v"]].isna().sum().sum()


def test_a_mixture_of_factor_analysers():
    """One factor in each of two kinds: the likelihood of two normal laws with structured covariances."""
    items = range(1, 5)
    g = dm.read(
        """model analysers
plate row
plate item = 1..4
plate kind = 1..2
parameter w[kind] simplex
parameter m[kind, item], l[kind, item]
parameter s[item] > 0
k[row] in kind ~ Categorical(w)
f[row] ~ Normal(0, 1)
"""
        + "\n".join(f"observed y{j}[row] ~ Normal(m[k, {j}] + l[k, {j}]*f, s[{j}])" for j in items)
    )
    rng = np.random.default_rng(4)
    n = 300
    k, f = rng.integers(0, 2, n), rng.normal(size=n)
    columns = [
        np.where(k, 3.0, 0) * (j % 2) + np.where(k, 1, 0.5 * j) * f + rng.normal(0, 0.5, n) for j in items
    ]
    y = np.array(columns).T
    frame = {f"y{j}": y[:, j - 1] for j in items}
    fit = g.fit(frame, starts=4)
    assert fit.converged
    assert fit.diagnostics["labels"][0].startswith("'k' is never seen: its states may change places")
    with ThreadPoolExecutor(2) as pool:
        assert g.fit(frame, starts=4, executor=pool).log_likelihood == fit.log_likelihood
    density = 0.0
    for c in (1, 2):
        load = np.array([fit[f"l[{c}, {j}]"] for j in items])
        noise = np.diag([fit[f"s[{j}]"] ** 2 for j in items])
        mean = np.array([fit[f"m[{c}, {j}]"] for j in items])
        density = density + fit[f"w[{c}]"] * multivariate_normal.pdf(y, mean, np.outer(load, load) + noise)
    assert fit.log_likelihood == pytest.approx(np.log(density).sum(), abs=1e-8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("d[k]*x", "d[k]*x**2", "the mean of 'y' is not linear in the continuous nodes that it reads"),
        ("d[k]*x", "exp(c)*x", "the coefficient of 'x' of 'y' is not linear in the parameters"),
        ("h*z, s[k])", "h*z, 2*s[k])", "the sigma of 'x' is not a parameter by itself"),
        ("Bernoulli(q[k])", "Bernoulli(expit(c))", "the probability of 'v' is not a parameter by itself"),
        ("a[kind], c, d", "c > 0\nparameter a[kind], d", "'c' is a location with a domain"),
    ],
)
def test_what_the_form_does_not_hold_is_named(old: str, new: str, message: str):
    with pytest.raises(dm.FitError) as caught:
        dm.read(MODEL.replace(old, new)).fit(data(40), method="em", check=False)
    assert message in str(caught.value)


def test_a_scale_that_runs_to_zero_and_bad_options():
    g = dm.read(MODEL)
    with pytest.raises(dm.FitError, match="em has no option 'stats' for linear Gaussian cases"):
        g.fit(data(40), method="em", stats=1)
    frame = data(60).assign(x=2.0)
    frame.loc[::3, "x"] = None
    with pytest.raises(dm.FitError, match="every start ended where 's' runs to zero"):
        g.fit(frame, method="em")
