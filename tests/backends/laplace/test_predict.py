"""`Fit.predict`: one value a given row, chains continued, contradictions refused, mean responses."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import special

import dagmodels as dm
from tests.backends.laplace import models as m

LINE = """model line
plate id
covariate x[id]
a, b ~ Flat()
parameter s > 0
observed y[id] ~ Normal(a + b*x, s)
"""
WALK = """model walk
plate t ordered
level[t first] ~ Flat()
level[t] ~ Normal(level[t-1], s_level)
observed y[t] ~ Normal(level, s)
parameter s_level, s > 0
"""
Y = [1.0, 2.0, 1.5, 3.0, 2.5, 5.0, 4.0]


@pytest.fixture(scope="module")
def line():
    frame = pd.DataFrame({"id": list("trqp"), "x": [1.0, 2, 4, 3], "y": [1.0, 2.5, 3.9, 3.1]})
    return dm.read(LINE).fit(frame), frame


@pytest.fixture(scope="module")
def walk():
    return dm.read(WALK).fit({"t": range(1, 8), "y": Y})


def by_name(fit: dm.Fit) -> dict[str, float]:
    return dict(zip(fit.latents["name"], fit.latents["estimate"], strict=True))


# -- rows ------------------------------------------------------------------------------------------


def test_one_value_a_given_row_in_the_order_given(line) -> None:
    fit, frame = line

    def expected(x):
        return fit["a"] + fit["b"] * np.array(x, dtype=float)

    np.testing.assert_allclose(fit.predict({"id": ["q", "p"], "x": [4, 3]}), expected([4, 3]))
    np.testing.assert_allclose(fit.predict(frame), expected([1, 2, 4, 3]))
    np.testing.assert_allclose(fit.predict(frame[::-1]), expected([3, 4, 2, 1]))
    np.testing.assert_allclose(
        fit.predict({"id": ["new", "q", "newer"], "x": [7, 4, 8]}), expected([7, 4, 8])
    )
    np.testing.assert_allclose(fit.predict({"id": ["p"]}), expected([3]))  # its x is known
    np.testing.assert_allclose(fit.predict({"x": [2, 1]}), expected([2, 1]))
    np.testing.assert_allclose(fit.predict(), expected([1, 2, 4, 3]))  # as the rows of the data fitted


def test_without_new_data_values_stand_as_the_rows_of_the_data() -> None:
    """Whatever the order of the elements; arrays keep the shape of their node."""
    rng = np.random.default_rng(3)
    text = "model two\nplate a\nplate b\nu[a] ~ Normal(0, t)\nc[b] ~ Flat()\nparameter t, s > 0\n"
    text += "observed y[a, b] ~ Normal(u + c, s)\n"
    wide = rng.normal(size=(6, 3)) + 3 * np.arange(6)[:, None]
    rows = pd.DataFrame(
        [(f"a{i}", b, wide[i, b]) for i in range(6) for b in range(3)], columns=["a", "b", "y"]
    )
    rows = rows.iloc[rng.permutation(18)]
    long = dm.read(text).fit(rows)
    np.testing.assert_allclose(long.predict(), long.predict(rows))
    np.testing.assert_allclose(long.predict(sd=True).sd, long.predict(rows, sd=True).sd)
    assert long.predict().shape == (18,)
    few = rows.iloc[:15]  # three cells have no row, and no prediction here
    part = dm.read(text).fit(few)
    np.testing.assert_allclose(part.predict(), part.predict(few))
    again = part.refitter().fit(part.refitter().problem.values)
    np.testing.assert_allclose(again.predict(), part.predict(), rtol=1e-8)
    matrix = dm.read(text).fit({"a": [f"a{i}" for i in range(6)], "b": [0, 1, 2], "y": wide})
    assert matrix.predict().shape == (6, 3)
    place = matrix.predict()[[int(a[1]) for a in rows["a"]], rows["b"]]
    np.testing.assert_allclose(long.predict(), place, rtol=1e-8)


def test_a_covariate_of_the_outcome_alone_may_take_new_values_anywhere(line) -> None:
    fit, frame = line
    np.testing.assert_allclose(fit.predict(frame.assign(x=10.0)), np.full(4, fit["a"] + 10 * fit["b"]))


def test_rows_of_cells_and_wide_rows() -> None:
    rng = np.random.default_rng(2)
    text = (
        "model cells\nplate rat\nplate week\ncovariate z[week]\na[rat] ~ Normal(m, t)\nm, c ~ Flat()\n"
        "parameter t, s > 0\nobserved y[rat, week] ~ Normal(a + c*z, s)\n"
    )
    long = pd.DataFrame(
        [(r, w, 0.1 * w * w) for r in "cab" for w in (8, 9, 10)], columns=["rat", "week", "z"]
    )
    long["y"] = rng.normal(size=9) + long["z"]
    fit = dm.read(text).fit(long)
    table = {r: fit.latents.set_index("name")["estimate"][f"a[{r}]"] for r in "abc"}
    expected = np.array([table[r] + fit["c"] * z for r, z in zip(long["rat"], long["z"], strict=True)])
    order = rng.permutation(9)
    np.testing.assert_allclose(fit.predict(long.iloc[order]), expected[order])
    wide = {"rat": pd.DataFrame({"rat": ["b", "a"]}), "week": pd.DataFrame({"week": [9, 8]})}
    grid = np.array([[table[r] + fit["c"] * 0.1 * w * w for w in (9, 8)] for r in "ba"])
    np.testing.assert_allclose(fit.predict(wide), grid)


def test_two_outcomes_each_have_a_value_a_row() -> None:
    rng = np.random.default_rng(1)
    text = (
        "model two\nplate g\nplate r in g\nu[g] ~ Normal(m, t)\nparameter m\nparameter t, s, e > 0\n"
        "observed z[g] ~ Normal(u, e)\nobserved y[r] ~ Normal(u, s)\n"
    )
    g = np.repeat(list("abcdefgh"), 3)
    frame = pd.DataFrame({"g": g, "z": np.repeat(rng.normal(size=8), 3), "y": rng.normal(size=24)})
    fit = dm.read(text).fit(frame)
    found = fit.predict({"g": ["c", "a", "c"]} | {"y": [np.nan] * 3})
    u = by_name(fit)
    expected = [u["u[c]"], u["u[a]"], u["u[c]"]]
    np.testing.assert_allclose(found["y"], expected)
    np.testing.assert_allclose(found["z"], expected)


# -- what cannot be -----------------------------------------------------------------------------------


def test_contradicting_covariates_of_fitted_elements_are_refused() -> None:
    fit = dm.read(m.RADON_INTERCEPT).fit(m.data("radon_minnesota"))
    county, u = (m.data("radon_minnesota").iloc[0][k] for k in ("county", "u"))
    plain = fit.predict({"county": [county], "floor": [0]})
    np.testing.assert_allclose(fit.predict({"county": [county], "floor": [0], "u": [u]}), plain)
    with pytest.raises(dm.ModelErrors) as caught:
        fit.predict({"county": [county, "NEW"], "floor": [0, 0], "u": [99.0, 99.0]})
    (error,) = caught.value.exceptions
    assert f"'u[{county}]' is 99, but 'alpha[{county}]' was fitted where it is {u:g}" in error.message
    new = fit.predict({"county": ["NEW"], "floor": [0], "u": [99.0]})
    np.testing.assert_allclose(new, fit["g0"] + 99 * fit["g1"])


@pytest.mark.parametrize("law", ["~ Flat()", "parameter"])
def test_a_new_level_without_a_law_of_its_own_is_an_error(law: str) -> None:
    statement = "parameter a[g]" if law == "parameter" else "a[g] ~ Flat()"
    text = f"model m\nplate g\nplate r in g\n{statement}\nparameter s > 0\nobserved y[r] ~ Normal(a[g], s)\n"
    fit = dm.read(text).fit({"g": list("aabb"), "y": [1.0, 2, 3, 5]})
    np.testing.assert_allclose(fit.predict({"g": ["b", "a"]} | {"y": [np.nan] * 2}), [4, 1.5])
    with pytest.raises(dm.FitError, match=r"'a\[c\]' (has a Flat law|is a parameter of its own)"):
        fit.predict({"g": ["b", "c"], "y": [np.nan] * 2})


# -- chains -------------------------------------------------------------------------------------------


def test_a_random_walk_goes_on_from_its_last_element(walk) -> None:
    level = by_name(walk)
    np.testing.assert_allclose(walk.predict({"t": [5]}), [level["level[5]"]])
    np.testing.assert_allclose(walk.predict({"t": [8]}), [level["level[7]"]])
    np.testing.assert_allclose(
        walk.predict({"t": [9, 2, 8]}), [level["level[7]"], level["level[2]"], level["level[7]"]]
    )


def test_steps_are_taken_one_by_one_through_nodes_that_lean_on_one_another() -> None:
    """A damped trend: the forecast is the recursion, by hand."""
    text = (
        "model trend\nplate t ordered\nlevel[t first] ~ Normal(0, 10)\nslope[t first] ~ Normal(0, 1)\n"
        "level[t] ~ Normal(level[t-1] + slope[t-1], s)\nslope[t] ~ Normal(0.8*slope[t-1], 0.1)\n"
        "observed y[t] ~ Normal(level, 0.3)\nparameter s > 0\n"
    )
    fit = dm.read(text).fit({"t": range(1, 8), "y": Y})
    at = by_name(fit)
    level, slope, expected = at["level[7]"], at["slope[7]"], []
    for _ in range(4):
        level, slope = level + slope, 0.8 * slope
        expected.append(level)
    np.testing.assert_allclose(fit.predict({"t": [8, 9, 10, 11]}), expected, rtol=1e-10)


def test_an_outcome_that_leans_on_its_own_past_goes_on() -> None:
    text = (
        "model ar\nplate t ordered\nparameter c, phi\nparameter s > 0\nobserved y[t first] ~ Normal(0, 5)\n"
        "observed y[t] ~ Normal(c + phi*y[t-1], s)\n"
    )
    fit = dm.read(text).fit({"t": range(1, 8), "y": Y})
    first = fit["c"] + fit["phi"] * Y[-1]
    np.testing.assert_allclose(
        fit.predict({"t": [8, 9, 2]}), [first, fit["c"] + fit["phi"] * first, fit["c"] + fit["phi"] * Y[0]]
    )


def dense(y: np.ndarray, at: np.ndarray, s_level: float, s: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of a random walk with a flat start at times `at`, y observed where it is not nan."""
    steps = np.arange(len(y))
    prior = s_level**2 * np.minimum.outer(steps, steps)
    seen = ~np.isnan(y)
    w = np.linalg.inv(prior[np.ix_(seen, seen)] + s**2 * np.eye(seen.sum()))
    one = np.ones(seen.sum())
    start = one @ w @ y[seen] / (one @ w @ one)
    k = prior[np.ix_(at, seen)] @ w
    mean = start + k @ (y[seen] - start)
    lift = 1 - k @ one
    variance = (
        np.diag(prior)[at] - np.einsum("ij,ij->i", k, prior[np.ix_(at, seen)]) + lift**2 / (one @ w @ one)
    )
    return mean, np.sqrt(variance)


@pytest.mark.parametrize("asked", [[8], [11, 8, 9, 10], [7, 3], [0], [4.5, 2], [-1, 9, 6.5]])
def test_forecasts_and_interpolations_against_dense_algebra(walk, asked: list[float]) -> None:
    times = np.unique([*range(1, 8), *asked])
    y = np.array([Y[int(t) - 1] if t in range(1, 8) else np.nan for t in times])
    mean, sd = dense(y, np.searchsorted(times, asked), walk["s_level"], walk["s"])
    np.testing.assert_allclose(walk.predict({"t": asked}), mean, rtol=1e-9)
    found = walk.predict({"t": asked}, sd=True)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.sd, sd, rtol=1e-7)
    np.testing.assert_allclose(found.sd_new, np.hypot(sd, walk["s"]), rtol=1e-7)


def test_sd_of_a_regression_is_the_textbooks(line) -> None:
    fit, frame = line
    x = np.column_stack([np.ones(4), frame["x"]])
    new = np.column_stack([np.ones(3), [0.0, 5.0, 2.0]])
    sd = fit["s"] * np.sqrt(np.einsum("ij,jk,ik->i", new, np.linalg.inv(x.T @ x), new))
    for data in ({"id": ["u", "v", "w"], "x": [0, 5, 2]}, {"x": [0, 5, 2]}):
        found = fit.predict(data, sd=True)
        np.testing.assert_allclose(found.sd, sd, rtol=1e-9)
        np.testing.assert_allclose(found.sd_new, np.hypot(sd, fit["s"]), rtol=1e-9)
    np.testing.assert_allclose(fit.predict(sd=True).sd[[0, 2]], fit.predict(frame[:3], sd=True).sd[[0, 2]])
    with pytest.raises(dm.FitError, match="'x' of known elements differs"):
        fit.predict({"id": ["p"], "x": [99]}, sd=True)


def test_sd_of_rows_in_known_and_new_groups() -> None:
    """Rows without labels, a known county with its own mean and a new one: variances by hand."""
    fit = dm.read(m.RADON_INTERCEPT).fit(m.data("radon_minnesota"))
    county = m.data("radon_minnesota")["county"].iloc[0]
    found = fit.predict({"county": ["NEW", county], "floor": [0, 0], "u": [0.3, np.nan]}, sd=True)
    c = fit.covariance.loc[["g0", "g1"], ["g0", "g1"]].to_numpy()
    g = np.array([1, 0.3])
    expected = np.sqrt(g @ c @ g + fit["tau"] ** 2)
    known = fit.latents.set_index("name")["sd"][f"alpha[{county}]"]
    np.testing.assert_allclose(found.sd, [expected, known], rtol=1e-8)


def test_only_normal_outcomes_have_an_sd() -> None:
    text = (
        "model p\nplate t ordered\nz[t first] ~ Normal(0, 1)\nz[t] ~ Normal(z[t-1], s)\n"
        "parameter s > 0\nobserved y[t] ~ Poisson(exp(z))\n"
    )
    fit = dm.read(text).fit({"t": range(1, 8), "y": [1, 2, 1, 5, 3, 8, 9]})
    np.testing.assert_allclose(fit.predict({"t": [9, 8]}), np.exp([by_name(fit)["z[7]"]] * 2))
    for new, options in (({"t": [8]}, {"sd": True}), ({"t": [3.5]}, {})):
        with pytest.raises(dm.FitError, match="that is for Normal outcomes"):
            fit.predict(new, **options)


# -- other families -----------------------------------------------------------------------------------


def test_mean_responses_are_as_lme4_makes_them() -> None:
    """Fitted values of cbpp: the inverse link at the conditional mode, times the size of the sample."""
    frame = data = m.data("cbpp")
    for k in (2, 3, 4):
        frame[f"p{k}"] = (data["period"] == k).astype(float)
    text = (
        "model cbpp\nplate herd\nplate row in herd\ncovariate size[row], p2[row], p3[row], p4[row]\n"
        "b[herd] ~ Normal(0, tau)\nparameter tau > 0\nparameter b1, b2, b3, b4\n"
        "eta[row] = b1 + b2*p2 + b3*p3 + b4*p4 + b[herd]\n"
        "observed incidence[row] ~ Binomial(size, expit(eta))\n"
    )
    fit = dm.read(text).fit(frame)
    reference = m.reference("cbpp")["fits"]["laplace"]["reference"]
    start, *shifts = reference["fixed"]["est"]
    beta = dict(zip((1, 2, 3, 4), [start, *(start + s for s in shifts)], strict=True))
    ranef = reference["ranef"]["herd"]
    b = dict(zip(map(int, ranef["level"]), np.ravel(ranef["value"]), strict=True))  # lme4 lists six herds
    told = np.flatnonzero(data["herd"].isin(b))
    known = np.array([beta[p] + b[h] for p, h in data[["period", "herd"]].to_numpy()[told]])
    mine = {int(n[2:-1]): v for n, v in by_name(fit).items()}
    beta = dict(zip((1, 2, 3, 4), [fit["b1"], *(fit["b1"] + fit[f"b{k}"] for k in (2, 3, 4))], strict=True))
    eta = np.array([beta[p] + mine[h] for p, h in data[["period", "herd"]].to_numpy()])
    np.testing.assert_allclose(
        fit.predict()[told], data["size"].to_numpy()[told] * special.expit(known), rtol=1e-4
    )
    np.testing.assert_allclose(fit.predict(), data["size"] * special.expit(eta), rtol=1e-10)
    np.testing.assert_allclose(fit.predict(type="link"), eta, rtol=1e-10)
    some = frame.iloc[[40, 3]].drop(columns="incidence")
    np.testing.assert_allclose(
        fit.predict(some), (data["size"] * special.expit(eta)).iloc[[40, 3]], rtol=1e-10
    )
    new = {"herd": ["a new herd"], "p2": [1], "p3": [0], "p4": [0], "size": [10]}
    np.testing.assert_allclose(fit.predict(new), 10 * special.expit(beta[2]), rtol=1e-10)
    np.testing.assert_allclose(fit.predict(new, type="link"), [beta[2]], rtol=1e-10)


LAWS = {
    "Poisson(exp(eta))": (np.exp, [0, 2, 1, 4, 3, 9, 5, 8]),
    "NegativeBinomial(exp(eta), 3)": (np.exp, [0, 2, 1, 4, 3, 9, 5, 8]),
    "Bernoulli(icloglog(eta))": (lambda e: -np.expm1(-np.exp(e)), [0, 0, 1, 0, 1, 1, 0, 1]),
    "Bernoulli(logit_p=eta)": (special.expit, [0, 0, 1, 0, 1, 1, 0, 1]),
    "Gamma(s, s/exp(eta))": (np.exp, [0.3, 1, 0.8, 2, 1.5, 4, 3, 5]),
    "LogNormal(eta, s)": (None, [0.3, 1, 0.8, 2, 1.5, 4, 3, 5]),
    "Exponential(exp(eta))": (lambda e: np.exp(-e), [0.3, 1, 0.8, 2, 1.5, 4, 3, 5]),
}


@pytest.mark.parametrize("law", sorted(LAWS))
def test_mean_responses_by_family(law: str) -> None:
    response, y = LAWS[law]
    scale = "parameter s > 0\n" if "s)" in law or "(s" in law else ""
    text = (
        f"model m\nplate r\ncovariate x[r]\nparameter b0, b1\n{scale}"
        f"eta[r] = b0 + b1*x\nobserved y[r] ~ {law}\n"
    )
    fit = dm.read(text).fit({"x": np.arange(8) / 4, "y": np.array(y, dtype=float)})
    eta = fit["b0"] + fit["b1"] * np.array([0.5, 3.0])
    mean = np.exp(eta + fit["s"] ** 2 / 2) if response is None else response(eta)
    np.testing.assert_allclose(fit.predict({"x": [0.5, 3.0]}), mean, rtol=1e-12)
    if law.startswith("LogNormal"):
        with pytest.raises(dm.FitError, match="has no one link"):
            fit.predict({"x": [0.5]}, type="link")
    else:
        np.testing.assert_allclose(fit.predict({"x": [0.5, 3.0]}, type="link"), eta, rtol=1e-12)


def test_other_types_are_refused(line) -> None:
    with pytest.raises(dm.FitError, match="neither 'response' nor 'link'"):
        line[0].predict(type="terms")


def test_predictions_travel_to_other_processes(walk) -> None:
    again = pickle.loads(pickle.dumps(walk.predictor))
    np.testing.assert_array_equal(again({"t": [8]}), walk.predict({"t": [8]}))
