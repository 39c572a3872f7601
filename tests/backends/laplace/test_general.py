"""Latents that are neither Gaussian nor conjugate: a dense Laplace oracle, brute force, closed forms.

The oracle knows nothing of the package: minus the log joint density on the unconstrained scale in numpy, its
mode by Newton's method on complex-step gradients, its Hessian by differences of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

import dagmodels as dm
from dagmodels.analysis.general import SMOOTH
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.forms.build_field import build_field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.quadrature import QuadratureEvaluator

N, G = 24, 4
GROUP = np.repeat(np.arange(G), N // G)
RNG = np.random.default_rng(3)
X = RNG.normal(size=N)
COUNTS = RNG.poisson(2.0, N).astype(float)
REAL = 1.0 + RNG.normal(size=G)[GROUP] + 0.5 * RNG.normal(size=N)
DECAY = 3 * np.exp(-0.5 * np.abs(X)) + 0.2 * RNG.normal(size=N)
SUCCESSES = RNG.binomial(12, 0.3, N).astype(float)

HEAD = """model m
plate grp
plate row in grp
covariate x[row]
parameter a, c, s > 0
parameter b
"""


def log_normal(y: Any, mean: Any, sd: Any) -> Any:
    return -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


def log_gamma(x: Any, shape: Any, rate: Any) -> Any:
    return shape * np.log(rate) + (shape - 1) * np.log(x) - rate * x - special.loggamma(shape)


def log_t(x: Any, df: float, mean: Any, sd: Any) -> Any:
    z = (x - mean) / sd
    constant = special.loggamma((df + 1) / 2) - special.loggamma(df / 2) - 0.5 * np.log(df * np.pi)
    return constant - np.log(sd) - (df + 1) / 2 * np.log1p(z * z / df)


def log_beta(x: Any, a: float, b: float) -> Any:
    return (a - 1) * np.log(x) + (b - 1) * np.log(1 - x) - special.betaln(a, b)


def poisson(y: Any, mu: Any) -> Any:
    return y * np.log(mu) - mu - special.gammaln(y + 1)


def binomial(y: Any, n: float, p: Any) -> Any:
    choose = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
    return choose + y * np.log(p) + (n - y) * np.log(1 - p)


def logistic(x: Any, mean: Any, s: Any) -> Any:
    z = (x - mean) / s
    return -z - np.log(s) - 2 * np.log1p(np.exp(-z))


P = {"a": 2.3, "b": 0.4, "c": 1.6, "s": 0.7}

# text, response, log joint density of z (latents by group on the unconstrained scale), latents a group
Joint = Callable[[Any, dict[str, float]], Any]
CASES: dict[str, tuple[str, np.ndarray, Joint, int]] = {
    "gamma rates beside Gaussian effects": (
        "u[grp] ~ Gamma(a, c)\nv[grp] ~ Normal(b, s)\nobserved y[row] ~ Poisson(u*exp(0.3*x + v))\n",
        COUNTS,
        lambda z, p: (
            (log_gamma(np.exp(z[0]), p["a"], p["c"]) + z[0]).sum()
            + log_normal(z[1], p["b"], p["s"]).sum()
            + poisson(COUNTS, np.exp(z[0] + 0.3 * X.reshape(G, -1).T + z[1]).T.reshape(-1)).sum()
        ),
        2,
    ),
    "log-normal rates": (
        "u[grp] ~ LogNormal(b, s)\nobserved y[row] ~ Poisson(a*u*exp(c*x))\n",
        COUNTS,
        lambda z, p: (
            log_normal(z[0], p["b"], p["s"]).sum()
            + poisson(COUNTS, p["a"] * np.exp(z[0][GROUP] + p["c"] * X)).sum()
        ),
        1,
    ),
    "student effects in a Normal mean": (
        "u[grp] ~ StudentT(a, b, c)\nobserved y[row] ~ Normal(u + 0.2*x, s)\n",
        REAL,
        lambda z, p: (
            log_t(z[0], p["a"], p["b"], p["c"]).sum() + log_normal(REAL, z[0][GROUP] + 0.2 * X, p["s"]).sum()
        ),
        1,
    ),
    "logistic effects on a Gaussian mean": (
        "m[grp] ~ Normal(b, s)\nu[grp] ~ Logistic(m, c)\nobserved y[row] ~ Poisson(a*exp(u))\n",
        COUNTS,
        lambda z, p: (
            log_normal(z[0], p["b"], p["s"]).sum()
            + logistic(z[1], z[0], p["c"]).sum()
            + poisson(COUNTS, p["a"] * np.exp(z[1][GROUP])).sum()
        ),
        2,
    ),
    "beta probabilities": (
        "u[grp] ~ Beta(a, c)\nobserved y[row] ~ Binomial(12, expit(logit(u) + b*x))\n",
        SUCCESSES,
        lambda z, p: (
            (log_beta(1 / (1 + np.exp(-z[0])), p["a"], p["c"]) - z[0] - 2 * np.log1p(np.exp(-z[0]))).sum()
            + binomial(SUCCESSES, 12, 1 / (1 + np.exp(-z[0][GROUP] - p["b"] * X))).sum()
        ),
        1,
    ),
    "gamma parameters of decay": (
        "u[grp] ~ Gamma(a, a/3)\nv[grp] ~ Gamma(c, c/exp(b))\n"
        "observed y[row] ~ Normal(u*exp(-v*abs(x)), s)\n",
        DECAY,
        lambda z, p: (
            (log_gamma(np.exp(z[0]), p["a"], p["a"] / 3) + z[0]).sum()
            + (log_gamma(np.exp(z[1]), p["c"], p["c"] / np.exp(p["b"])) + z[1]).sum()
            + log_normal(DECAY, np.exp(z[0][GROUP] - np.exp(z[1][GROUP]) * np.abs(X)), p["s"]).sum()
        ),
        2,
    ),
    "latents whose variance is a latent": (
        "v[grp] ~ Gamma(a, a)\nu[grp] ~ Normal(b, s/sqrt(v))\nobserved y[row] ~ Poisson(c*exp(u))\n",
        COUNTS,
        lambda z, p: (
            (log_gamma(np.exp(z[0]), p["a"], p["a"]) + z[0]).sum()
            + log_normal(z[1], p["b"], p["s"] * np.exp(-z[0] / 2)).sum()
            + poisson(COUNTS, p["c"] * np.exp(z[1][GROUP])).sum()
        ),
        2,
    ),
    "product of Gaussian latents": (
        "u[grp] ~ Normal(1, a)\nv[grp] ~ Normal(b, c)\nobserved y[row] ~ Normal(u*v, s)\n",
        REAL,
        lambda z, p: (
            log_normal(z[0], 1.0, p["a"]).sum()
            + log_normal(z[1], p["b"], p["c"]).sum()
            + log_normal(REAL, (z[0] * z[1])[GROUP], p["s"]).sum()
        ),
        2,
    ),
    "gamma shapes that hang on a Gaussian latent": (
        "v[grp] ~ Normal(b, s)\nu[grp] ~ Gamma(a*exp(v), c)\nobserved y[row] ~ Poisson(u)\n",
        COUNTS,
        lambda z, p: (
            log_normal(z[0], p["b"], p["s"]).sum()
            + (log_gamma(np.exp(z[1]), p["a"] * np.exp(z[0]), p["c"]) + z[1]).sum()
            + poisson(COUNTS, np.exp(z[1][GROUP])).sum()
        ),
        2,
    ),
}


def evaluator(text: str, data: Any) -> ModeEvaluator:
    g = dm.read(text)
    problem = bind(g.dag, data)
    return ModeEvaluator(build_field(problem, roles(problem.graph, problem)))


def frame(y: np.ndarray, order: np.ndarray | None = None) -> pd.DataFrame:
    found = pd.DataFrame({"grp": np.array(["k", "d", "z", "a"])[GROUP], "x": X, "y": y})
    return found if order is None else found.iloc[order].reset_index(drop=True)


def used(text: str) -> str:
    """The head with those unknowns that the text has."""
    names = [
        n for n in "acs" if any(f"{before}{n}{after}" in text for before in "(,*/ " for after in "),*/ ")
    ]
    head = HEAD.replace("a, c, s", ", ".join(names))
    has_b = "(b" in text or " b" in text
    return (head if has_b else head.replace("parameter b\n", "")) + text


def at(e: ModeEvaluator, p: dict[str, float]) -> np.ndarray:
    return np.array([math.log(p[c.node]) if c.kind == "log" else p[c.node] for c in e.field.coordinates])


def laplace(joint: Joint, p: dict[str, float], k: int) -> float:
    """-2 log of Laplace's approximation, dense."""
    size = k * G

    def gradient(v: np.ndarray) -> np.ndarray:
        steps = 1e-30j * np.eye(size)
        return np.array([-joint((v + s).reshape(k, G), p).imag / 1e-30 for s in steps])

    def hessian(v: np.ndarray) -> np.ndarray:
        h = 1e-4
        return np.array(
            [
                (8 * (gradient(v + e) - gradient(v - e)) - (gradient(v + 2 * e) - gradient(v - 2 * e)))
                / (12 * h)
                for e in h * np.eye(size)
            ]
        )

    def value(v: np.ndarray) -> float:
        return -float(np.real(joint(v.reshape(k, G), p)))

    mode = optimize.minimize(value, np.full(size, 0.1), jac=gradient, method="BFGS", options={"gtol": 1e-7}).x
    for _ in range(3):
        mode = mode - np.linalg.solve(hessian(mode), gradient(mode))
    return 2 * value(mode) + np.linalg.slogdet(hessian(mode))[1] - size * np.log(2 * np.pi)


@pytest.mark.parametrize("name", CASES)
def test_criterion_against_the_oracle(name: str) -> None:
    text, y, joint, k = CASES[name]
    e = evaluator(used(text), frame(y))
    assert not e.field.roles.refused
    assert not e.field.roles.collapsed
    for factor in (1.0, 1.15):
        p = {n: v * factor for n, v in P.items()}
        assert e.criterion(at(e, p)).total == pytest.approx(laplace(joint, p, k), abs=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_gradient_against_differences(name: str) -> None:
    """Fourth-order differences of the criterion, step 4e-3: good to about 3e-8."""
    text, y, _, _ = CASES[name]
    f = evaluator(used(text), frame(y))
    x = at(f, P)
    _, gradient = f.value_and_gradient(x)
    for i, expected in enumerate(gradient):
        e = 4e-3 * np.eye(x.size)[i]
        near, far = (f.criterion(x + k * e).total - f.criterion(x - k * e).total for k in (1, 2))
        assert (8 * near - far) / (12 * 4e-3) == pytest.approx(expected, abs=2e-7 * max(1, abs(expected)))


@pytest.mark.parametrize("name", CASES)
def test_order_of_rows_and_start_do_not_matter(name: str) -> None:
    text, y, _, _ = CASES[name]
    order = np.random.default_rng(1).permutation(N)
    e, other = evaluator(used(text), frame(y)), evaluator(used(text), frame(y, order))
    value = e.criterion(at(e, P)).total
    e.criterion(at(e, P) + 0.3)
    assert e.criterion(at(e, P)).total == pytest.approx(value, abs=1e-8)
    assert other.criterion(at(other, P)).total == pytest.approx(value, abs=1e-8)


# -- every family --------------------------------------------------------------------------------------

LAWS = {
    "StudentT": "StudentT(4, a, c)",
    "Logistic": "Logistic(a, c)",
    "Cauchy": "Cauchy(a, c)",
    "Gamma": "Gamma(a, c)",
    "InverseGamma": "InverseGamma(a + 1, c)",
    "Exponential": "Exponential(a)",
    "LogNormal": "LogNormal(a, c)",
    "Weibull": "Weibull(a, c)",
    "HalfNormal": "HalfNormal(a)",
    "HalfCauchy": "HalfCauchy(a)",
    "HalfStudentT": "HalfStudentT(3, a)",
    "Beta": "Beta(a, c)",
}
SCIPY = {
    "StudentT": stats.t(4, 2.3, 1.6),
    "Logistic": stats.logistic(2.3, 1.6),
    "Cauchy": stats.cauchy(2.3, 1.6),
    "Gamma": stats.gamma(2.3, scale=1 / 1.6),
    "InverseGamma": stats.invgamma(3.3, scale=1.6),
    "Exponential": stats.expon(scale=1 / 2.3),
    "LogNormal": stats.lognorm(1.6, scale=math.exp(2.3)),
    "Weibull": stats.weibull_min(2.3, scale=1.6),
    "HalfNormal": stats.halfnorm(scale=2.3),
    "HalfCauchy": stats.halfcauchy(scale=2.3),
    "HalfStudentT": None,
    "Beta": stats.beta(2.3, 1.6),
}


def test_the_table_of_families_is_complete() -> None:
    assert set(LAWS) == set(SMOOTH) == set(SCIPY)


@pytest.mark.parametrize("law", sorted(SMOOTH))
def test_many_nodes_of_quadrature_are_brute_force(law: str) -> None:
    """One latent with Normal rows of it: its integral by scipy."""
    text = HEAD.replace("a, c, s", "a, c" if ", c)" in LAWS[law] else "a").replace("parameter b\n", "")
    text += f"u[grp] ~ {LAWS[law]}\nobserved y[row] ~ Normal(u, 0.1)\n"
    y = np.array([0.6, 0.65, 0.55, 0.62])
    e = evaluator(text, pd.DataFrame({"grp": ["p"] * 4, "x": 0.0, "y": y}))
    value = QuadratureEvaluator(e.field, 40).criterion(at(e, P)).total

    def density(u: float) -> float:
        own = 2 * stats.t(3, scale=2.3).pdf(u) if law == "HalfStudentT" else SCIPY[law].pdf(u)
        return float(own * np.prod(stats.norm.pdf(y, u, 0.1)))

    positive = law not in ("StudentT", "Logistic", "Cauchy")
    ends = (0.0 if positive else -2.0, 1.0 if law == "Beta" else 3.0)
    whole = integrate.quad(density, *ends, points=[0.5, 0.6, 0.7], epsabs=1e-14, limit=400)[0]
    assert value == pytest.approx(-2 * math.log(whole), abs=1e-7)


# -- fits ------------------------------------------------------------------------------------------------

PUMP = """model pump
plate pump_no
covariate t[pump_no]
parameter mu
parameter s > 0
theta[pump_no] ~ LogNormal(mu, s)
observed x[pump_no] ~ Poisson(theta*t)
"""
FORCED = """model sites
plate site
plate visit in site
parameter a, c > 0
p[site] ~ Beta(a, c)
observed y[visit] ~ Binomial(12, p + 0*p*p)
"""
CLOSED = FORCED.replace(" + 0*p*p", "")


def pumps() -> pd.DataFrame:
    return pd.read_csv("examples/pump.csv")


def sites() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    p = rng.beta(2.0, 4.0, 30)
    visits = np.repeat(np.arange(30), 2)
    return pd.DataFrame({"site": visits, "y": rng.binomial(12, p[visits])})


def test_pump_with_log_normal_rates_is_the_model_of_gaussian_log_rates() -> None:
    text = PUMP.replace("theta[pump_no] ~ LogNormal(mu, s)", "u[pump_no] ~ Normal(mu, s)")
    fit, plain = dm.read(PUMP).fit(pumps()), dm.read(text.replace("theta*t", "exp(u)*t")).fit(pumps())
    assert fit.converged
    assert not fit.exact
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)
    assert fit.n_parameters == plain.n_parameters
    np.testing.assert_allclose(fit.estimates.estimate, plain.estimates.estimate, rtol=1e-6)
    np.testing.assert_allclose(fit.latents.estimate, np.exp(plain.latents.estimate), rtol=1e-6)
    np.testing.assert_allclose(fit.latents.sd, plain.latents.sd * fit.latents.estimate, rtol=1e-6)
    np.testing.assert_allclose(fit.predict(), fit.latents.estimate * pumps().t, rtol=1e-12)


def test_quadrature_goes_from_laplace_to_the_closed_form() -> None:
    data = sites()
    exact = dm.read(CLOSED).fit(data)
    assert exact.exact
    errors = []
    for nodes in (1, 5, 35):
        fit = dm.read(FORCED).fit(data, quadrature=nodes)
        assert fit.converged
        errors.append(abs(fit.log_likelihood - exact.log_likelihood))
    assert 0.05 < errors[0] < 1.0  # Laplace's error, of some hundredths a site
    assert errors[1] < 0.05 * errors[0]
    assert errors[2] < 1e-6
    assert [fit["a"], fit["c"]] == pytest.approx([exact["a"], exact["c"]], rel=1e-5)
    assert fit.n_parameters == exact.n_parameters == 2


def test_laplace_of_beta_probabilities_against_the_dense_oracle_at_its_optimum() -> None:
    data = sites()
    fit = dm.read(FORCED).fit(data)
    y = data.y.to_numpy(float)

    def minus_twice(v: np.ndarray) -> float:
        a, c = np.exp(v)
        total = y.reshape(-1, 2).sum(axis=1)
        A, C = a + total, c + 24 - total  # mode and curvature in the log odds are closed forms
        p = A / (A + C)
        joint = A * np.log(p) + C * np.log(1 - p) - special.betaln(a, c)
        choose = -np.log(13) - special.betaln(y + 1, 13 - y)
        laplace = joint + 0.5 * np.log(2 * np.pi / ((A + C) * p * (1 - p)))
        return -2 * float(laplace.sum() + choose.sum())

    best = optimize.minimize(minus_twice, [0.0, 0.0], method="BFGS", options={"gtol": 1e-8})
    assert -2 * fit.log_likelihood == pytest.approx(best.fun, abs=1e-8)
    assert [fit["a"], fit["c"]] == pytest.approx(np.exp(best.x).tolist(), rel=1e-5)


def test_student_effects_resist_an_outlier() -> None:
    """One group lies far out: its effect is shrunk by a Normal law, hardly by a Student's."""
    rng = np.random.default_rng(13)
    grp = np.repeat(np.arange(12), 5)
    u = np.append(rng.normal(size=11) * 0.3, 8.0)
    data = pd.DataFrame({"grp": grp, "y": u[grp] + rng.normal(size=60)})
    text = "model m\nplate grp\nplate row in grp\nparameter mu\nparameter s, e > 0\n"
    text += "u[grp] ~ StudentT(3, mu, s)\nobserved y[row] ~ Normal(u, e)\n"
    fit = dm.read(text).fit(data)
    plain = dm.read(text.replace("StudentT(3, ", "Normal(")).fit(data)
    assert fit.converged
    assert fit.log_likelihood > plain.log_likelihood + 5
    assert fit["s"] < 0.5 * plain["s"]
    mean = data.y[grp == 11].mean()
    assert mean - 0.25 < fit.latents.estimate[11] < mean


def test_a_nonlinear_mixed_model_with_gamma_subjects() -> None:
    rng = np.random.default_rng(14)
    n = 25
    t, subject = np.tile(np.linspace(0.2, 6, 9), n), np.repeat(np.arange(n), 9)
    a, k = rng.gamma(25, 10 / 25, n), rng.gamma(16, 0.5 / 16, n)
    y = a[subject] * np.exp(-k[subject] * t) + 0.2 * rng.normal(size=t.size)
    text = """model decay
plate subject
plate obs in subject
covariate t[obs]
parameter ma, mk, na, nk, sigma > 0
a[subject] ~ Gamma(na, na/ma)
k[subject] ~ Gamma(nk, nk/mk)
observed y[obs] ~ Normal(a*exp(-k*t), sigma)
"""
    fit = dm.read(text).fit(pd.DataFrame({"subject": subject, "t": t, "y": y}))
    assert fit.converged
    for name, true in {"ma": a.mean(), "mk": k.mean(), "sigma": 0.2}.items():
        table = fit.estimates.set_index("name")
        assert abs(fit[name] - true) < 4 * table.se[name]  # false alarm: below 1e-4 for each
    latents = fit.latents.set_index("name")
    assert latents.estimate["a[3]"] == pytest.approx(a[3], abs=5 * latents.sd["a[3]"])
    np.testing.assert_allclose(
        fit.predict()[:9], latents.estimate["a[0]"] * np.exp(-latents.estimate["k[0]"] * t[:9]), rtol=1e-12
    )


# -- edges -------------------------------------------------------------------------------------------------

RATES = """model m
plate grp
plate row in grp
parameter a, c > 0
u[grp] ~ Gamma(a, c)
observed y[row] ~ Poisson(u + 0*u*u)
"""


def test_missing_and_absent_children() -> None:
    """A group without data adds its law alone: the integral is one, and Laplace's of a Gamma law in its
    logarithm is Stirling's formula, which any such group adds as a constant of the shape."""
    data = pd.DataFrame({"grp": list("aabbccdd"), "y": [3.0, 5, 1, 0, 7, 4, np.nan, np.nan]})
    e, less = evaluator(RATES, data), evaluator(RATES, data.iloc[:6])
    x = np.log([2.3, 1.6])
    shape = 2.3
    stirling = shape * math.log(shape) - shape + 0.5 * math.log(2 * math.pi / shape)
    added = -2 * (stirling - special.gammaln(shape))
    assert e.criterion(x).total - less.criterion(x).total == pytest.approx(added, abs=1e-9)


def test_zero_counts_everywhere() -> None:
    e = evaluator(RATES, pd.DataFrame({"grp": list("aabb"), "y": 0.0}))
    value, gradient = e.value_and_gradient(np.log([2.3, 1.6]))
    # Stirling's formula of the shape, and the rate c + 2 instead of c
    stirling = 2.3 * math.log(2.3) - 2.3 + 0.5 * math.log(2 * math.pi / 2.3)
    expected = 2.3 * math.log(1.6 / 3.6) + stirling - special.gammaln(2.3)
    assert value == pytest.approx(-2 * 2 * expected, abs=1e-9)
    assert np.isfinite(gradient).all()


def test_a_shape_that_runs_off_is_told() -> None:
    data = pd.DataFrame({"grp": np.repeat(np.arange(10), 4), "y": np.tile([1.0, 2, 3, 2], 10)})
    with pytest.warns(match="did not converge"):
        fit = dm.read(RATES).fit(data)
    assert "'a'" in fit.message or "'c'" in fit.message


@pytest.mark.parametrize(
    ("law", "why"),
    [
        ("Laplace(b, s)", "its law is Laplace, whose density has no derivative at its centre"),
        (
            "Truncated(Normal(b, s), lower=0)",
            "its law is Truncated, which has no unconstrained scale here yet",
        ),
        ("Uniform(0, s)", "its law is Uniform, whose bounds move with what is unknown"),
    ],
)
def test_laws_that_are_refused_say_why(law: str, why: str) -> None:
    text = HEAD.replace("a, c, s", "s") + f"u[grp] ~ {law}\nobserved y[row] ~ Normal(u, 1)\n"
    told = str(dm.read(text).plan(method="laplace"))
    assert f"'u' cannot be integrated: its prior has unknown parameters, but {why}" in told


def test_the_plan_names_scale_and_law() -> None:
    told = str(dm.read(FORCED).plan(method="laplace"))
    assert "integrated out: p: Beta; integrated by Laplace's method on the scale of its log odds" in told
    assert "'p': its law is Beta" in told
