"""Response families end to end: brute-force integrals, direct optimisation with scipy, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import dagmodels as dm
from dagmodels.forms.quadrature import QuadratureEvaluator
from tests.backends.laplace.test_curved import CASES, Case, G, N

FAMILIES = (
    *("softmax", "ordered logistic", "ordered probit", "ordered cloglog", "inverse Gaussian"),
    *("zero-inflated negative binomial", "zero-inflated binomial"),
    *("hurdle negative binomial", "mixture", "mixture of counts", "truncated Poisson"),
    *("truncated Normal", "censored Normal", "censored Weibull", "beta", "beta-binomial"),
    *("negative binomial 1", "gamma"),
)


@pytest.mark.parametrize("name", FAMILIES)
def test_marginal_likelihood_by_brute_force(name: str) -> None:
    """60 nodes against the trapezoid rule, which is exact to rounding for smooth functions that vanish."""
    case = Case(name, seed=3)
    assert CASES[name][3] == 1
    p = case.unknowns(case.start)
    grid = np.linspace(-9, 9, 721)
    with np.errstate(all="ignore"):
        rows = np.array([case.density(case.y, case.x, [np.full(N, p["tau"] * v)], p) for v in grid])
    groups = np.array([rows[:, case.group == g].sum(axis=1) for g in range(G)])
    logs = groups - 0.5 * grid**2 - 0.5 * np.log(2 * np.pi) + np.log(grid[1] - grid[0])
    exact = -2 * special.logsumexp(logs, axis=1).sum()
    f = QuadratureEvaluator(case.evaluator.field, 60)
    assert f.criterion(case.start).total == pytest.approx(exact, abs=1e-6)


# -- without random effects: scipy's own densities, maximised by scipy

SIZE = 150
RNG = np.random.default_rng(11)
X = RNG.normal(size=SIZE)
ETA = 0.4 + 0.5 * X
MEAN = np.exp(ETA)
HEAD = "model m\nplate row\ncovariate x[row]\nparameter b0, b1\n"
GRADES = "model m\nplate row\nplate grade = 0..2\nplate step = 1, 2\ncovariate x[row]\nparameter b1\n"
GRADES += "parameter cut[step] ordered\nobserved y[row] in grade ~ {}(b1*x, cut)\n"
ZEROS = RNG.random(SIZE) < 0.7


def of_grades(cdf: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def density(y: Any, p: Any) -> Any:
        cut = np.array([p[1], p[1] + np.exp(p[2])])
        edges = np.column_stack([np.full(SIZE, -np.inf), *(c - p[0] * X for c in cut), np.full(SIZE, np.inf)])
        at = cdf(edges)
        return np.log(at[np.arange(SIZE), y + 1] - at[np.arange(SIZE), y])

    return density


def inflated(y: Any, psi: Any, own: Any) -> Any:
    return np.where(y == 0, np.log1p(-psi + psi * np.exp(own)), np.log(psi) + own)


def over_a_hurdle(y: Any, psi: Any, own: Any, zero: Any) -> Any:
    return np.where(y == 0, np.log1p(-psi), np.log(psi) + own - np.log(-np.expm1(zero)))


def negative_binomial(y: Any, m: Any, alpha: Any) -> Any:
    return stats.nbinom.logpmf(y, alpha, alpha / (alpha + m))


GRADED = np.sum((ETA + RNG.logistic(size=SIZE))[:, None] > [-0.3, 1.2], axis=1)
COUNTS = RNG.poisson(MEAN)
SPREAD = RNG.poisson(MEAN * RNG.gamma(1.5, size=SIZE) / 1.5)
REAL = ETA + 0.7 * RNG.normal(size=SIZE)
POSITIVE = REAL > 0
# text, response, log density at the parameters of an unbounded space, start, names of the first ones
DIRECT: dict[str, tuple[str, Any, Callable[[Any, Any], Any], list[float], list[str]]] = {
    "ordered logistic": (
        GRADES.format("OrderedLogistic"),
        GRADED,
        of_grades(special.expit),
        [0.5, -0.5, 0.5],
        ["b1", "cut[1]"],
    ),
    "ordered probit": (
        GRADES.format("OrderedProbit"),
        GRADED,
        of_grades(special.ndtr),
        [0.5, -0.5, 0.5],
        ["b1", "cut[1]"],
    ),
    "ordered cloglog": (
        GRADES.format("OrderedCloglog"),
        GRADED,
        of_grades(lambda z: -np.expm1(-np.exp(z))),
        [0.5, -0.5, 0.5],
        ["b1", "cut[1]"],
    ),
    "inverse Gaussian": (
        HEAD + "parameter s > 0\nobserved y[row] ~ Wald(exp(b0 + b1*x), s)\n",
        RNG.wald(MEAN, 2.0),
        lambda y, p: stats.invgauss.logpdf(y, np.exp(p[0] + p[1] * X - p[2]), scale=np.exp(p[2])),
        [0.0, 0.0, 0.0],
        ["b0", "b1"],
    ),
    "inverse Gaussian, canonical link": (
        HEAD + "parameter s > 0\nobserved y[row] ~ Wald(1/sqrt(b0 + b1*x), s)\n",
        RNG.wald(1 / np.sqrt(4 + ETA), 2.0),
        lambda y, p: stats.invgauss.logpdf(
            y, 1 / np.sqrt(np.maximum(p[0] + p[1] * X, 1e-3)) / np.exp(p[2]), scale=np.exp(p[2])
        ),
        [4.0, 0.0, 0.0],
        ["b0", "b1"],
    ),
    "zero-inflated Poisson": (
        HEAD + "parameter a0, a1\nobserved y[row] ~ ZeroInflatedPoisson(expit(a0 + a1*x), exp(b0 + b1*x))\n",
        COUNTS * ZEROS,
        lambda y, p: inflated(
            y, special.expit(p[2] + p[3] * X), stats.poisson.logpmf(y, np.exp(p[0] + p[1] * X))
        ),
        [0.0, 0.0, 0.5, 0.0],
        ["b0", "b1", "a0", "a1"],
    ),
    "zero-inflated negative binomial": (
        HEAD + "parameter a0\nparameter s > 0\n"
        "observed y[row] ~ ZeroInflatedNegativeBinomial(expit(a0), exp(b0 + b1*x), s)\n",
        SPREAD * ZEROS,
        lambda y, p: inflated(
            y, special.expit(p[2]), negative_binomial(y, np.exp(p[0] + p[1] * X), np.exp(p[3]))
        ),
        [0.0, 0.0, 0.5, 0.0],
        ["b0", "b1"],
    ),
    "hurdle Poisson": (
        HEAD + "parameter a0\nobserved y[row] ~ HurdlePoisson(expit(a0), exp(b0 + b1*x))\n",
        COUNTS * ZEROS,
        lambda y, p: over_a_hurdle(
            y,
            special.expit(p[2]),
            stats.poisson.logpmf(y, np.exp(p[0] + p[1] * X)),
            -np.exp(p[0] + p[1] * X),
        ),
        [0.0, 0.0, 0.5],
        ["b0", "b1", "a0"],
    ),
    "censored Normal": (
        HEAD + "parameter s > 0\nobserved y[row] ~ Censored(Normal(b0 + b1*x, s), lower=0, upper=1)\n",
        np.clip(REAL, 0, 1),
        lambda y, p: np.select(
            [y <= 0, y >= 1],
            [
                stats.norm.logcdf(0, p[0] + p[1] * X, np.exp(p[2])),
                stats.norm.logsf(1, p[0] + p[1] * X, np.exp(p[2])),
            ],
            stats.norm.logpdf(y, p[0] + p[1] * X, np.exp(p[2])),
        ),
        [0.0, 0.0, 0.0],
        ["b0", "b1"],
    ),
    "truncated Normal": (
        HEAD + "parameter s > 0\nobserved y[row] ~ Truncated(Normal(b0 + b1*x, s), lower=0)\n",
        np.where(POSITIVE, REAL, 0.5),
        lambda y, p: (
            stats.norm.logpdf(y, p[0] + p[1] * X, np.exp(p[2]))
            - stats.norm.logsf(0, p[0] + p[1] * X, np.exp(p[2]))
        ),
        [0.0, 0.0, 0.0],
        ["b0", "b1"],
    ),
    "truncated Poisson": (
        HEAD + "observed y[row] ~ Truncated(Poisson(exp(b0 + b1*x)), lower=1)\n",
        np.maximum(COUNTS, 1),
        lambda y, p: (
            stats.poisson.logpmf(y, np.exp(p[0] + p[1] * X)) - np.log(-np.expm1(-np.exp(p[0] + p[1] * X)))
        ),
        [0.0, 0.0],
        ["b0", "b1"],
    ),
    "mixture of Normals": (
        "model m\nplate row\nplate part = 1, 2\nparameter w[part] simplex\nparameter m[part] ordered\n"
        "parameter s > 0\nobserved y[row] ~ Mixture(w, [Normal(m[1], s), Normal(m[2], s)])\n",
        np.where(ZEROS, REAL, REAL + 4),
        lambda y, p: np.logaddexp(
            np.log(special.expit(p[0])) + stats.norm.logpdf(y, p[1], np.exp(p[3])),
            np.log(special.expit(-p[0])) + stats.norm.logpdf(y, p[1] + np.exp(p[2]), np.exp(p[3])),
        ),
        [0.0, 0.0, 1.0, 0.0],
        [],
    ),
}


@pytest.mark.parametrize("name", DIRECT)
def test_without_random_effects_as_scipy_maximises(name: str) -> None:
    text, y, density, start, names = DIRECT[name]
    fit = dm.read(text).fit({"x": X, "y": y} if "covariate" in text else {"y": y})
    best = optimize.minimize(
        lambda p: -density(y, p).sum(), start, method="BFGS", options={"gtol": 1e-7, "maxiter": 500}
    )
    assert fit.exact
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert [fit[n] for n in names] == pytest.approx(best.x[: len(names)], rel=2e-4, abs=2e-5)


@pytest.mark.parametrize("name", ["ordered logistic", "zero-inflated Poisson", "censored Normal"])
def test_order_of_rows_does_not_matter(name: str) -> None:
    text, y, *_ = DIRECT[name]
    order = np.random.default_rng(1).permutation(SIZE)
    one, other = dm.read(text).fit({"x": X, "y": y}), dm.read(text).fit({"x": X[order], "y": y[order]})
    assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(other.estimates["estimate"], one.estimates["estimate"], rtol=1e-6)


def test_a_category_of_many() -> None:
    """Multinomial logit without random effects, as scipy maximises it; one category is the reference."""
    text = (
        'model m\nplate row\nplate kind = "r", "s", "t"\ncovariate x[row]\nparameter a[kind], b[kind]\n'
        'a["r"] = 0\nb["r"] = 0\nobserved y[row] in kind ~ Categorical(softmax(a[kind] + b[kind]*x))\n'
    )
    fit = dm.read(text).fit({"x": X, "y": np.array(["r", "s", "t"])[GRADED]})

    def minus(p: Any) -> float:
        logits = np.stack([0 * X, p[0] + p[1] * X, p[2] + p[3] * X])
        return float(np.sum(special.logsumexp(logits, axis=0) - logits[GRADED, np.arange(SIZE)]))

    best = optimize.minimize(minus, np.zeros(4), options={"gtol": 1e-8})
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-7)
    assert [fit["a[s]"], fit["b[t]"]] == pytest.approx([best.x[0], best.x[3]], abs=1e-5)


# -- bad input


def test_cut_points_that_meet_at_the_start() -> None:
    """One starting value for all: they begin one apart instead."""
    text = GRADES.format("OrderedLogistic").replace("cut[step] ordered", "cut[step] ordered start 0")
    fit = dm.read(text).fit({"x": X, "y": GRADED})
    plain = dm.read(GRADES.format("OrderedLogistic")).fit({"x": X, "y": GRADED})
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)


def test_a_level_never_seen_has_no_cut_point() -> None:
    text = GRADES.format("OrderedLogistic")
    for lost, other in ((1, 0), (0, 1), (2, 1)):
        with pytest.raises(dm.FitError, match=f"has the level '{lost}'.*'cut' has no finite estimate"):
            dm.read(text).fit({"x": X, "y": np.where(lost == GRADED, other, GRADED)})


@pytest.mark.parametrize(
    ("law", "y", "told"),
    [
        ("Wald(exp(b0 + b1*x), 1)", np.where(X > 0, 1.0, 0.0), "0 in observation"),
        ("ZeroInflatedPoisson(0.5, exp(b0 + b1*x))", COUNTS + 0.5, "y"),
        ("HurdlePoisson(0.5, exp(b0 + b1*x))", -1.0 - COUNTS, "y"),
        ("Truncated(Poisson(exp(b0 + b1*x)), lower=3)", COUNTS, "of 'y' has no density under its law"),
        ("Truncated(StudentT(3, b0 + b1*x, 1), lower=-9)", REAL, "distribution function of StudentT"),
    ],
)
def test_what_a_law_cannot_produce_is_told(law: str, y: Any, told: str) -> None:
    with pytest.raises((dm.ModelErrors, dm.FitError, dm.ModelError)) as caught:
        dm.read(HEAD + f"observed y[row] ~ {law}\n").fit(pd.DataFrame({"x": X, "y": y}))
    assert told in str(caught.value)
