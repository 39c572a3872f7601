"""One covariance matrix in many spellings: all end at the optimum of the `covariance` spelling, or say not.

The simulated sets are hard: few groups, and true correlations of one, so that most optima are singular.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import dagmodels as dm
from dagmodels.bind.bind import bind
from tests.oracle.dense import dense

BASE = """model m
plate g
plate r in g
covariate x[r]
b0, b1 ~ Flat()
parameter sigma > 0
{}
observed y[r] ~ Normal(b0 + a + (b1 + b)*x, sigma)
"""
MATRIX = "(a, b)[g] ~ MvNormal([0, 0], [[sa**2, rho*sa*sb], [rho*sa*sb, sb**2]])"
TIED = "a[g] ~ Normal(0, sa)\nb[g] ~ Normal(0, sb)\na ~~ b = "
SCALES = "parameter sa, sb > 0\n"
CORRELATION = SCALES + "parameter rho in (-1, 1)\n"
SPELLINGS = {
    "matrix": BASE.format(CORRELATION + MATRIX),
    "tied by a correlation": BASE.format(CORRELATION + TIED + "rho*sa*sb"),
    "tied by a covariance": BASE.format(SCALES + "parameter c\n" + TIED + "c"),
}
ON_A_PLATE = BASE.replace("+ a +", '+ u[g, "a"] +').replace("(b1 + b)", '(b1 + u[g, "b"])')
PLATE = 'plate k = "a", "b"\nplate k2 as k\n'
COVARIANCE = ON_A_PLATE.format(PLATE + "parameter S[k, k2] covariance\nu[g, k] ~ MvNormal(0, S)")
FACTORED = {  # not recognised as saturated: the matrix is factored afresh at every point
    "a flat prior": BASE.format(SCALES + "rho ~ Uniform(-1, 1)\n" + MATRIX),
    "scales and correlations": ON_A_PLATE.format(
        PLATE + "parameter s[k] > 0\nparameter R[k, k2] correlation\n"
        "S[k, k2] = s[k]*s[k2]*R[k, k2]\nu[g, k] ~ MvNormal(0, S)"
    ),
}
TOLERANCE = 1e-8


def opposite(seed: int) -> dict[str, np.ndarray]:
    """Eight groups, 40 rows; slopes are minus intercepts."""
    rng = np.random.default_rng(seed)
    g, x, u = np.arange(40) % 8, rng.normal(size=40) + 1, rng.normal(size=8) * 0.4
    return {"g": g, "x": x, "y": 1 + x + u[g] * (1 - x) + 0.6 * rng.normal(size=40)}


def various(seed: int) -> dict[str, np.ndarray]:
    """Three to nine groups; scales may be zero and correlations one."""
    rng = np.random.default_rng(9000 + seed)
    groups, n = int(rng.integers(3, 10)), int(rng.integers(20, 60))
    sa, sb = rng.choice([0, 0.2, 0.5, 1], 2)
    rho = rng.choice([-1, -0.9, 0, 0.9, 1])
    g = np.r_[np.arange(groups), rng.integers(0, groups, n - groups)]
    x, z = rng.normal(size=n), rng.normal(size=(groups, 2))
    b = sb * (rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1])
    return {"g": g, "x": x, "y": 1 + x + sa * z[g, 0] + b[g] * x + 0.5 * rng.normal(size=n)}


def fitted(text: str, data: dict[str, np.ndarray]):
    import warnings

    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dm.FitWarning)
        return dm.read(text).fit(pd.DataFrame(data), method="laplace")


def agrees(text: str, data: dict[str, np.ndarray]) -> None:
    fit, best = fitted(text, data), fitted(COVARIANCE, data)
    assert best.converged
    assert fit.converged, fit.message
    assert -2 * fit.log_likelihood == pytest.approx(-2 * best.log_likelihood, abs=TOLERANCE)


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@pytest.mark.parametrize("make", [opposite, various])
def test_some_sets(spelling: str, make) -> None:
    for seed in range(15):
        agrees(SPELLINGS[spelling], make(seed))


@pytest.mark.long
@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@pytest.mark.parametrize("make", [opposite, various])
def test_all_sets(spelling: str, make) -> None:
    for seed in range(200):
        agrees(SPELLINGS[spelling], make(seed))


@pytest.mark.parametrize("spelling", sorted(FACTORED))
def test_factored_matrices_never_certify_a_false_optimum(spelling: str) -> None:
    """Sets whose best correlation is one or seems so, or whose scales vanish."""
    for seed in (0, 33, 34, 36, 44, 51, 175):
        data = opposite(seed)
        fit, best = fitted(FACTORED[spelling], data), fitted(COVARIANCE, data)
        gap = -2 * fit.log_likelihood + 2 * best.log_likelihood
        assert not fit.converged or gap < 1e-6, (seed, gap)


@pytest.mark.long
@pytest.mark.parametrize("spelling", sorted(FACTORED))
def test_factored_matrices_on_all_sets(spelling: str) -> None:
    for seed in range(200):
        data = opposite(seed)
        fit, best = fitted(FACTORED[spelling], data), fitted(COVARIANCE, data)
        assert not fit.converged or -2 * fit.log_likelihood + 2 * best.log_likelihood < 1e-6, seed


@pytest.mark.parametrize("seed", [0, 3])
def test_optimum_is_that_of_the_dense_law(seed: int) -> None:
    """The criterion at the estimates is the dense law's; a search without derivatives finds no lower one."""
    import pandas as pd

    data = opposite(seed)
    fit = fitted(SPELLINGS["tied by a covariance"], data)
    problem = bind(dm.read(SPELLINGS["tied by a covariance"]).dag, pd.DataFrame(data))
    theta = {name: fit[name] for name in ("sa", "sb", "c", "sigma")}
    at = -2 * float(dense(problem, theta).loglik("declared"))
    assert -2 * fit.log_likelihood == pytest.approx(at, abs=1e-8)

    def criterion(q: np.ndarray) -> float:
        a, ba, b, sigma = q
        values = {"sa": abs(a), "sb": np.hypot(ba, b), "c": a * ba * np.sign(a), "sigma": abs(sigma)}
        return -2 * float(dense(problem, values).loglik("declared"))

    a = theta["sa"]
    start = np.array(
        [a, theta["c"] / a, np.sqrt(max(theta["sb"] ** 2 - (theta["c"] / a) ** 2, 0)), theta["sigma"]]
    )
    for jump in (0.0, 0.2):
        found = minimize(criterion, start + jump, method="Nelder-Mead", options={"maxfev": 80})
        assert found.fun > at - 1e-7


def test_estimates_and_errors_are_the_same_in_every_spelling() -> None:
    """An inner optimum: scales, correlation and covariance by the delta method from one to the other."""
    rng = np.random.default_rng(5)
    g, x = np.arange(200) % 20, rng.normal(size=200)
    z = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 0.5]], 20)
    data = {"g": g, "x": x, "y": 1 + x + z[g, 0] + z[g, 1] * x + 0.5 * rng.normal(size=200)}
    one, two, matrix = (
        fitted(t, data) for t in (SPELLINGS["matrix"], SPELLINGS["tied by a covariance"], COVARIANCE)
    )
    for fit in (one, two):
        assert not fit.boundary
        assert fit["sa"] ** 2 == pytest.approx(matrix["S[a, a]"], rel=1e-6)
        se = fit.estimates.set_index("name")["se"]
        assert 2 * fit["sa"] * se["sa"] == pytest.approx(
            matrix.estimates.set_index("name").loc["S[a, a]", "se"], rel=1e-4
        )
    assert two["c"] == pytest.approx(matrix["S[a, b]"], rel=1e-6)
    assert one["rho"] * one["sa"] * one["sb"] == pytest.approx(two["c"], rel=1e-6)
    names = ["sa", "sb", "c"]
    gradient = np.array([-one["rho"] / two["sa"], -one["rho"] / two["sb"], 1 / (two["sa"] * two["sb"])])
    variance = gradient @ two.covariance.loc[names, names].to_numpy() @ gradient
    assert one.estimates.set_index("name").loc["rho", "se"] == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_boundaries_are_named_by_the_unknown_that_is_on_them() -> None:
    """A correlation of one is the correlation's; a scale of zero leaves the correlation without a value."""
    fit = fitted(SPELLINGS["matrix"], opposite(0))
    assert fit.boundary == ("rho",)
    assert fit["rho"] == pytest.approx(-1, abs=1e-12)
    errors = fit.estimates.set_index("name")["se"]
    assert np.isnan(errors["rho"])
    assert (errors[["sa", "sb", "sigma"]] > 0).all()
    assert fitted(SPELLINGS["tied by a covariance"], opposite(0)).boundary == ("c",)
    rng = np.random.default_rng(0)
    g, x = np.arange(80) % 8, rng.normal(size=80)
    y = 1 + x + 0.6 * rng.normal(size=80)
    for k in range(8):  # no slopes to be found, and no intercepts
        slope, level = np.polyfit(x[g == k], y[g == k], 1)
        y[g == k] -= slope * x[g == k] + level
    fit = fitted(SPELLINGS["matrix"], {"g": g, "x": x, "y": y})
    assert fit.converged
    assert set(fit.boundary) == {"sa", "sb"}
    assert np.isnan(fit["rho"])
    assert abs(fit["sa"]) < 1e-8 > abs(fit["sb"])


def test_start_values_of_a_set() -> None:
    """Stated values are where the search starts, even those that no covariance matrix has."""
    data, best = various(4), fitted(COVARIANCE, various(4))
    for start in ("0.99", "-0.5", "1"):
        text = SPELLINGS["matrix"].replace("rho in (-1, 1)", f"rho in (-1, 1) start {start}")
        text = text.replace("parameter sa, sb > 0", "parameter sa > 0 start 3\nparameter sb > 0 start 0.01")
        fit = fitted(text, data)
        assert fit.converged
        assert -2 * fit.log_likelihood == pytest.approx(-2 * best.log_likelihood, abs=TOLERANCE)


def test_one_matrix_a_group() -> None:
    """Scales and covariance by group of groups: the criterion is the sum of two fits, each with its own."""
    one, two = opposite(1), opposite(7)
    text = """model m
plate h
plate g in h
plate r in g
covariate x[r]
parameter b0[h], b1[h]
parameter sa[h], sb[h], sigma[h] > 0
parameter c[h]
a[g] ~ Normal(0, sa[h])
b[g] ~ Normal(0, sb[h])
a ~~ b = c[h]
observed y[r] ~ Normal(b0[h] + a + (b1[h] + b)*x, sigma[h])
"""
    both = {
        "h": np.repeat([0, 1], 40),
        "g": np.concatenate([one["g"], two["g"] + 8]),
        **{k: np.concatenate([one[k], two[k]]) for k in ("x", "y")},
    }
    fit = fitted(text, both)
    assert fit.converged, fit.message
    alone = SPELLINGS["tied by a covariance"].replace("b0, b1 ~ Flat()", "parameter b0, b1")
    parts = [fitted(alone, d) for d in (one, two)]
    assert fit.log_likelihood == pytest.approx(sum(p.log_likelihood for p in parts), abs=1e-7)
    assert fit["c[1]"] == pytest.approx(parts[1]["c"], rel=1e-4)


GROWTH = """model growth
plate subject
plate wave = 0..3
constant time[wave] = [0, 1, 2, 3]
covariate c[subject, wave]
parameter i0, s0, gamma[wave]
parameter e[wave] > 0
{}
observed y[subject, wave] ~ Normal({} + {}*time[wave] + gamma[wave]*c, e[wave])
"""


@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
@pytest.mark.parametrize("seed", range(3))
def test_growth_with_a_correlation_of_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, u = 60, rng.normal(size=60)
    y = 1 + 0.5 * u[:, None] + (1 + 0.3 * u)[:, None] * np.arange(4) + 0.8 * rng.normal(size=(n, 4))
    data = {"c": rng.normal(size=(n, 4)), "y": y}
    tied = "parameter psi\nparameter si, ss > 0\n"
    tied += "i[subject] ~ Normal(i0, si)\ns[subject] ~ Normal(s0, ss)\ni ~~ s = psi"
    joint = 'plate k = "i", "s"\nplate k2 as k\nparameter S[k, k2] covariance\n'
    joint += "u[subject, k] ~ MvNormal([i0, s0], S)"
    fit = dm.read(GROWTH.format(tied, "i[subject]", "s[subject]")).fit(data)
    best = dm.read(GROWTH.format(joint, 'u[subject, "i"]', 'u[subject, "s"]')).fit(data)
    assert fit.converged
    assert best.converged
    assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=TOLERANCE)
