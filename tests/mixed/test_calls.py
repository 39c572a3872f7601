"""Slips in a call are told with the way out; new rows need the columns that their prediction takes; draws."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import refused

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    return pd.read_csv("examples/sleepstudy.csv")


@pytest.fixture(scope="module")
def fit(sleep: pd.DataFrame) -> Any:
    return dm.lmer(FORMULA, sleep)


@pytest.mark.parametrize("re_form", ["NA", "~0", "~ 0", False, float("nan")])
def test_fixed_effects_alone_need_no_groups(fit: Any, re_form: Any):
    beta = fit.fixef()
    new = pd.DataFrame({"Days": [0.0, 3.0]})
    np.testing.assert_allclose(
        fit.predict(new, re_form=re_form), beta["(Intercept)"] + beta["Days"] * new["Days"]
    )


def test_terms_left_out_need_no_columns():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "h": np.tile(np.arange(10), 12)})
    data["x"] = rng.normal(size=120)
    data["y"] = data["x"] + rng.normal(size=12)[data["g"]] + rng.normal(size=10)[data["h"]]
    data["y"] += rng.normal(size=120)
    fit = dm.lmer("y ~ x + (x | g) + (1 | h)", data)
    new = pd.DataFrame({"x": [0.5, 2.0], "h": [3, 99]})
    modes = fit.ranef()["h"]["(Intercept)"]
    fixed = fit.predict(new, re_form="NA")
    found = fit.predict(new, re_form="~ (1 | h)", allow_new_levels=True)
    np.testing.assert_allclose(found - fixed, [modes["3"], 0.0], atol=1e-12)
    with refused("'h' has new level 99"):
        fit.predict(new, re_form="~ (1 | h)")
    with refused("have no column 'g'"):
        fit.predict(new)


def test_columns_of_another_kind_are_refused(fit: Any):
    with refused("'Days' is text here, and was numbers in the data of the fit"):
        fit.predict({"Days": ["two"], "Subject": [308]})


def test_responses_drawn_from_a_fit(fit: Any, sleep: pd.DataFrame):
    """Means and variances are those of the model: false alarms of once in 10^4 runs a row group."""
    drawn = fit.simulate(400, seed=3)
    assert drawn.shape == (180, 400)
    pd.testing.assert_frame_equal(fit.simulate(2, seed=3), drawn[["sim_1", "sim_2"]])
    day = sleep["Days"].to_numpy()
    v = fit.VarCorr()["vcov"]
    spread = np.sqrt(v[0] + 2 * day * v[2] + day**2 * v[1] + v[3])
    z = (drawn.mean(axis=1) - fit.predict(re_form="NA")) / (spread / 20)
    assert np.abs(z).max() < 5.5  # 180 z values: P(any beyond 5.5) < 1e-5
    ratio = drawn.var(axis=1) / spread**2
    assert abs(ratio.mean() - 1) < 0.1  # rows of a subject follow one another: its sd is below 0.02
    assert fit.refit(drawn["sim_1"]).converged
    with refused("draws is 0"):
        fit.simulate(0)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"reml": False}, "lmer has no option 'reml' (did you mean REML=?)"),
        ({"weight": None}, "lmer has no option 'weight' (did you mean weights=?)"),
        ({"control": {}}, "lmer has no option 'control' (there is nothing to tune"),
        ({"family": "poisson"}, "lmer has no option 'family' (glmer has it"),
        ({"REML": "no"}, "REML is 'no' (True or False)"),
        ({"weights": 2}, "weights is 2 (give a column's name, or one number a row)"),
        ({"offset": 1e6}, "offset is 1000000.0 (give a column's name, or one number a row)"),
    ],
)
def test_options_of_lmer(sleep: pd.DataFrame, options: dict[str, Any], part: str):
    with refused(part):
        dm.lmer(FORMULA, sleep, **options)


@pytest.mark.parametrize("points", [0, -1, 1.5, "5", True, None, 101])
def test_numbers_of_points(sleep: pd.DataFrame, points: Any):
    with refused(f"nAGQ is {points!r}"):
        dm.glmer("Days ~ 1 + (1 | Subject)", sleep, family="poisson", nAGQ=points)


@pytest.mark.parametrize(("family", "near"), [("Poisson", "poisson"), ("BINOMIAL", "binomial")])
def test_families_that_are_nearly_right(sleep: pd.DataFrame, family: str, near: str):
    with refused(f"did you mean '{near}'?"):
        dm.glmer("Days ~ 1 + (1 | Subject)", sleep, family=family)


def test_warnings_point_to_the_call(sleep: pd.DataFrame):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        dm.lmer("Reaction ~ Days + (1 | Subject) + (1 | odd)", sleep.assign(odd=sleep["Days"] % 2))
    assert told
    assert told[0].filename == __file__
