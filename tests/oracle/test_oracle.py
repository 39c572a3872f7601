"""The oracle against closed forms, so that it may be trusted where no closed form exists."""

from __future__ import annotations

import math

import numpy as np
import pytest

from .affine import Affine, NotLinearGaussian
from .cases import problem_of
from .dense import dense
from .derivatives import gradient, hessian, richardson
from .interpret import Interpreter
from .priors import log_prior

LOG_2PI = math.log(2 * math.pi)


# ---- affine numbers --------------------------------------------------------------------------------


def test_affine_arithmetic():
    x, y = Affine(1.0, {"x": 2.0}), Affine(0.5, {"y": -1.0})
    z = 3 * (x - y) / 2 + 1 - 2 * x
    assert z.constant == pytest.approx(3 * 0.5 / 2 + 1 - 2)
    assert dict(z.coefficients) == pytest.approx({"x": 3.0 - 4.0, "y": 1.5})


@pytest.mark.parametrize("f", [lambda x, y: x * y, lambda x, y: x / y, lambda x, y: 1 / y])
def test_products_of_unknowns_are_refused(f):
    with pytest.raises(NotLinearGaussian):
        f(Affine(1.0, {"x": 2.0}), Affine(0.5, {"y": -1.0}))


# ---- one-way balanced analysis of variance ---------------------------------------------------------

ONEWAY = """
model oneway
plate g
plate row in g
parameter s, t > 0
u[g] ~ Normal(mu, t)
observed y[row] ~ Normal(u, s)
"""


def oneway(role):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(5), 4)
    y = 3 + rng.standard_normal(5)[g] + rng.standard_normal(20)
    line = {"flat": "mu ~ Flat()", "parameter": "parameter mu"}[role]
    return problem_of(ONEWAY + line + "\n", {"g": g, "y": y}), y.reshape(5, 4)


@pytest.mark.parametrize(("s", "t"), [(0.7, 1.3), (1.0, 0.0), (2.0, 0.1)])
@pytest.mark.parametrize("role", ["flat", "parameter"])
def test_balanced_oneway_likelihood_and_gradient(role, s, t):
    # Searle, Casella and McCulloch, Variance Components (1992), sections 3.7 and 3.8
    problem, y = oneway(role)
    a, k = y.shape
    lam = s**2 + k * t**2
    within = ((y - y.mean(1, keepdims=True)) ** 2).sum()
    between = k * ((y.mean(1) - y.mean()) ** 2).sum()
    dof = a - 1 if role == "flat" else a  # integrating mu removes one between-group dimension
    n = a * k - (1 if role == "flat" else 0)
    twice = n * LOG_2PI + a * (k - 1) * math.log(s**2) + dof * math.log(lam) + within / s**2 + between / lam
    if role == "flat":
        twice += math.log(a * k)
    theta = {"s": s, "t": t}
    assert float(dense(problem, theta).loglik()) == pytest.approx(-twice / 2, abs=1e-11)
    d_lam = -dof / lam / 2 + between / lam**2 / 2
    d_s = -a * (k - 1) / s + within / s**3 + d_lam * 2 * s
    got = gradient(problem, theta)
    assert got.value["s"] == pytest.approx(d_s, abs=1e-9)
    assert got.value["t"] == pytest.approx(d_lam * 2 * k * t, abs=1e-9)


def test_balanced_oneway_conditionals():
    problem, y = oneway("flat")
    s, t = 0.7, 1.3
    a, k = y.shape
    shrink = k * t**2 / (s**2 + k * t**2)
    model = dense(problem, {"s": s, "t": t})
    fixed = model.conditional("none")
    full = model.conditional()
    np.testing.assert_allclose(fixed.means["u"], y.mean() + shrink * (y.mean(1) - y.mean()), atol=1e-13)
    np.testing.assert_allclose(fixed.sds["u"] ** 2, t**2 * (1 - shrink), atol=1e-13)
    var_mu = (s**2 + k * t**2) / (a * k)
    np.testing.assert_allclose(
        full.sds["u"] ** 2, t**2 * (1 - shrink) + (1 - shrink) ** 2 * var_mu, atol=1e-13
    )
    mu = model.coefficients()
    assert mu.means["mu"] == pytest.approx(y.mean(), abs=1e-13)
    assert mu.sds["mu"] ** 2 == pytest.approx(var_mu, abs=1e-13)


# ---- generalised least squares ---------------------------------------------------------------------

WEIGHTED = """
model weighted
plate row
covariate x[row], z[row], se[row]
observed y[row] ~ Normal(b0 + b1*x + b2*z, se)
"""


def weighted(roles):
    rng = np.random.default_rng(2)
    data = {name: rng.standard_normal(12) for name in ("x", "z", "y")}
    data["se"] = np.exp(rng.normal(0, 0.5, 12))
    say = {"parameter": "parameter {}", "flat": "{} ~ Flat()", "random": "{} ~ Normal(0.5, 2)"}
    lines = [say[role].format(f"b{i}") for i, role in enumerate(roles)]
    return problem_of(WEIGHTED + "\n".join(lines) + "\n", data), data


@pytest.mark.parametrize(
    "roles", [("flat", "parameter", "random"), ("parameter",) * 3, ("flat",) * 3, ("random",) * 3]
)
def test_generalised_least_squares(roles):
    problem, data = weighted(roles)
    model = dense(problem, {})
    x = np.column_stack([np.ones(12), data["x"], data["z"]])
    random = np.array([r == "random" for r in roles])
    flat = np.array([r == "flat" for r in roles])
    v = np.diag(data["se"] ** 2) + 4 * x[:, random] @ x[:, random].T
    inverse = np.linalg.inv(v)
    residual = data["y"] - 0.5 * x[:, random].sum(1)
    free = x[:, ~random]
    info = free.T @ inverse @ free
    b = np.linalg.solve(info, free.T @ inverse @ residual)
    residual = residual - free @ b
    twice = np.linalg.slogdet(v)[1] + residual @ inverse @ residual + (12 - flat.sum()) * LOG_2PI
    z = x[:, flat]
    twice += np.linalg.slogdet(z.T @ inverse @ z)[1]
    assert float(model.loglik()) == pytest.approx(-twice / 2, abs=1e-10)
    if (~random).any():
        estimates = model.coefficients()
        order = [int(name[1]) for name, _ in estimates.elements]
        want = dict(zip(np.flatnonzero(~random), range(len(b)), strict=True))
        np.testing.assert_allclose(estimates.mean, b[[want[i] for i in order]], atol=1e-11)
        np.testing.assert_allclose(
            estimates.sd, np.sqrt(np.diag(np.linalg.inv(info)))[[want[i] for i in order]], atol=1e-11
        )


def test_profiled_and_integrated_choices_differ_by_the_determinant():
    problem, data = weighted(("flat", "parameter", "parameter"))
    model = dense(problem, {})
    x = np.column_stack([np.ones(12), data["x"], data["z"]]) / data["se"][:, None]
    declared, profiled, integrated = (
        float(model.loglik(free)) for free in ("declared", "profiled", "integrated")
    )
    one = np.log(x[:, 0] @ x[:, 0])
    assert declared - profiled == pytest.approx((LOG_2PI - one) / 2, abs=1e-11)
    assert integrated - profiled == pytest.approx(
        (3 * LOG_2PI - np.linalg.slogdet(x.T @ x)[1]) / 2, abs=1e-11
    )


# ---- local level against a Kalman filter -----------------------------------------------------------

LEVEL = """
model local_level
plate t ordered
parameter s, e > 0
level[t] ~ Normal(level[t-1], s)
observed y[t] ~ Normal(level, e)
"""


@pytest.mark.parametrize("start", ["Flat()", "Normal(1, 2)"])
def test_local_level_against_kalman_filter(start):
    rng = np.random.default_rng(3)
    y = np.cumsum(rng.standard_normal(20))
    y[[4, 5, 11]] = np.nan
    problem = problem_of(LEVEL + f"level[t first] ~ {start}\n", {"t": np.arange(20), "y": y})
    s, e = 0.8, 1.1
    loglik = 0.0
    mean, var = (1.0, 4.0) if start != "Flat()" else (None, None)
    for i, value in enumerate(y):
        if i:
            var += s**2
        if mean is None:  # the flat level integrates the first density to one
            mean, var = value, e**2
            continue
        if not math.isnan(value):
            f = var + e**2
            loglik += -0.5 * (LOG_2PI + math.log(f) + (value - mean) ** 2 / f)
            mean, var = mean + var / f * (value - mean), var * e**2 / f
    model = dense(problem, {"s": s, "e": e})
    assert float(model.loglik()) == pytest.approx(loglik, abs=1e-11)
    last = model.conditional()
    assert last.means["level"][-1] == pytest.approx(mean, abs=1e-12)
    assert last.sds["level"][-1] ** 2 == pytest.approx(var, abs=1e-12)
    np.testing.assert_allclose(np.isfinite(last.means["y"]), np.isnan(y))


# ---- conditionals of the bivariate normal ------------------------------------------------------------

PAIR = {
    "residual": "observed x[row] ~ Normal(1, s)\nobserved y[row] ~ Normal(2, t)\nx ~~ y = r*s*t\n",
    "tuple": "observed (x, y)[row] ~ MvNormal([1, 2], [[s**2, r*s*t], [r*s*t, t**2]])\n",
    "regression": (
        "observed x[row] ~ Normal(1, s)\nobserved y[row] ~ Normal(2 + r*t/s*(x - 1), t*sqrt(1 - r**2))\n"
    ),
    "precision": (
        "observed (x, y)[row] ~ MvNormal([1, 2], tau=[[1/(s**2*(1-r**2)), -r/(s*t*(1-r**2))],"
        " [-r/(s*t*(1-r**2)), 1/(t**2*(1-r**2))]])\n"
    ),
    "root": "observed (x, y)[row] ~ MvNormal([1, 2], chol=[[s, 0], [r*t, t*sqrt(1 - r**2)]])\n",
}


@pytest.mark.parametrize("form", PAIR)
def test_bivariate_normal(form):
    text = "model pair\nplate row\nparameter s, t > 0\nparameter r in (-1, 1)\n" + PAIR[form]
    x, y = np.array([0.3, 1.4, np.nan, np.nan]), np.array([2.5, np.nan, 1.0, np.nan])
    s, t, r = 0.7, 1.6, -0.4
    model = dense(problem_of(text, {"x": x, "y": y}), {"s": s, "t": t, "r": r})
    got = model.conditional()
    assert got.means["y"][1] == pytest.approx(2 + r * t / s * (1.4 - 1), abs=1e-13)
    assert got.sds["y"][1] == pytest.approx(t * math.sqrt(1 - r**2), abs=1e-13)
    assert got.means["x"][2] == pytest.approx(1 + r * s / t * (1.0 - 2), abs=1e-13)
    assert got.sds["x"][2] == pytest.approx(s * math.sqrt(1 - r**2), abs=1e-13)
    assert (got.means["x"][3], got.means["y"][3]) == pytest.approx((1, 2), abs=1e-13)
    at = [got.elements.index(("x", (3,))), got.elements.index(("y", (3,)))]
    assert got.covariance[at[0], at[1]] == pytest.approx(r * s * t, abs=1e-13)
    d = np.array([0.3 - 1, 2.5 - 2])
    v = np.array([[s**2, r * s * t], [r * s * t, t**2]])
    want = -0.5 * (2 * LOG_2PI + np.linalg.slogdet(v)[1] + d @ np.linalg.solve(v, d))
    want += -0.5 * (LOG_2PI + 2 * math.log(s) + (0.4 / s) ** 2) - 0.5 * (
        LOG_2PI + 2 * math.log(t) + (1 / t) ** 2
    )
    assert float(model.loglik()) == pytest.approx(want, abs=1e-12)


def test_simultaneous_equations():
    text = """
model supply
plate t
parameter b, c
observed (p, q)[t] ~ Simultaneous([1, 2], [[0, b], [c, 0]], [[1, 0.3], [0.3, 2]])
"""
    data = {"p": np.array([0.2, 1.7]), "q": np.array([1.1, 2.9])}
    b, c = 0.4, -0.7
    model = dense(problem_of(text, data), {"b": b, "c": c})
    a = np.eye(2) - np.array([[0, b], [c, 0]])
    cov = np.array([[1, 0.3], [0.3, 2]])
    want = 0.0
    for row in np.column_stack([data["p"], data["q"]]):
        e = a @ row - [1, 2]
        want += math.log(abs(np.linalg.det(a))) - LOG_2PI - 0.5 * np.linalg.slogdet(cov)[1]
        want -= 0.5 * e @ np.linalg.solve(cov, e)
    assert float(model.loglik()) == pytest.approx(want, abs=1e-12)


# ---- priors ------------------------------------------------------------------------------------------


def test_prior_densities_against_scipy():
    from scipy import stats

    text = """
model priors
plate c = 1..2
plate c2 as c
constant v[c, c2] = [[1, 0.2], [0.2, 2]]
a ~ Normal(1, 2)
b ~ Normal(1, tau=4)
d ~ HalfNormal(2)
e ~ HalfCauchy(3)
f ~ HalfStudentT(4, 2)
g ~ Exponential(0.5)
h ~ Gamma(2, 3)
i ~ InverseGamma(2, 3)
j ~ LogNormal(0.5, 2)
k ~ Uniform(-1, 3)
l ~ Beta(2, 3)
w[c, c2] ~ Wishart(5, v)
"""
    at = np.array([[2.0, 0.3], [0.3, 1.5]])
    theta = dict.fromkeys("abdefghijkl", 0.7) | {"w": at}
    laws = [
        stats.norm(1, 2), stats.norm(1, 0.5), stats.halfnorm(scale=2), stats.halfcauchy(scale=3),
        stats.expon(scale=2), stats.gamma(2, scale=1 / 3), stats.invgamma(2, scale=3),
        stats.lognorm(2, scale=math.exp(0.5)), stats.uniform(-1, 4), stats.beta(2, 3),
    ]  # fmt: skip
    want = sum(law.logpdf(0.7) for law in laws) + math.log(2) + stats.t(4, scale=2).logpdf(0.7)
    want += stats.wishart(5, [[1, 0.2], [0.2, 2]]).logpdf(at)
    of = Interpreter(problem_of(text, {}), theta, given=True)
    assert float(log_prior(of)) == pytest.approx(want, abs=1e-12)


# ---- derivatives -------------------------------------------------------------------------------------


def test_richardson_states_its_error():
    value, error = richardson(lambda h: math.exp(1 + h), 0.3)
    assert abs(value - math.e) <= 10 * error < 1e-9


def test_hessian_of_a_normal_sample():
    text = "model one\nplate row\nparameter s > 0\nobserved y[row] ~ Normal(0, s)\n"
    y = np.array([0.3, -1.2, 0.8, 2.0])
    _, h, error = hessian(problem_of(text, {"y": y}), {"s": 1.3})
    want = 4 / 1.3**2 - 3 * (y @ y) / 1.3**4
    assert abs(h[0, 0] - want) < 1e-8
    assert error[0, 0] < 1e-8


def test_mirrored_entries_of_a_covariance_move_together():
    text = """
model pairs
plate row
plate k = "a", "b"
plate k2 as k
parameter S[k, k2] covariance
observed y[row, k] ~ MvNormal(0, S)
"""
    y = np.array([[0.3, 1.0], [-1.1, 0.4], [0.5, -0.8]])
    data = {"row": np.repeat(np.arange(3), 2), "k": ["a", "b"] * 3, "y": y.ravel()}
    s = np.array([[1.2, 0.3], [0.3, 0.8]])
    problem = problem_of(text, data)
    inverse = np.linalg.inv(s)
    slope = (inverse @ y.T @ y @ inverse - 3 * inverse) / 2  # dl = trace(slope dS), Magnus and Neudecker
    want = slope * np.where(np.eye(2) == 1, 1, 2)
    for method in ("complex", "richardson"):
        np.testing.assert_allclose(gradient(problem, {"S": s}, method=method).value["S"], want, atol=1e-9)
    names, h, _ = hessian(problem, {"S": s})
    assert names == [("S", (0, 0)), ("S", (0, 1)), ("S", (1, 1))]
    moves = [np.array(m) @ inverse for m in ([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]])]
    curve = [
        [np.trace(3 / 2 * u @ v - (u @ v + v @ u) @ y.T @ y @ inverse / 2) for v in moves] for u in moves
    ]
    np.testing.assert_allclose(h, curve, atol=1e-8)
