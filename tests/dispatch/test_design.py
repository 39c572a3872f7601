"""Precision by simulation, against closed forms; a right program fails one of these once in 10,000 runs."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.dispatch.design import Task, _designs

READINGS = """
model readings
plate subject
plate reading in subject
parameter mu
parameter s, e > 0
x[subject] ~ Normal(mu, s)
observed w[reading] ~ Normal(x[subject], e)
"""
VALIDATED = """
model validated
plate row
covariate z[row]
parameter a, b
parameter s > 0
observed y[row] ~ Normal(a + b*z, s)
"""
Z = 3.9  # two-sided, 1e-4


def test_standard_deviations_are_those_of_the_closed_form() -> None:
    """The mean of n subjects with k readings has variance (s^2 + e^2/k)/n."""
    n, draws, each = 40, 200, [1.0, 2.0, 5.0]
    found = dm.design(
        dm.read(READINGS), {"mu": 1.0, "s": 0.5, "e": 2.0}, "mu", sizes={"subject": n},
        per={"reading": each[1:]}, draws=draws,
    )  # fmt: skip
    table = found.table
    assert table["reading per subject"].tolist() == each[1:]
    for k, row in zip(each[1:], table.itertuples(), strict=True):
        sd = np.sqrt((0.25 + 4.0 / k) / n)
        assert abs(row.sd - sd) < Z * sd / np.sqrt(2 * (draws - 1))
        assert abs(row.bias) < Z * sd / np.sqrt(draws)
        assert row.sd_mcse == pytest.approx(row.sd / np.sqrt(2 * (draws - 1)))
        assert row.fits == draws


def test_the_number_needed_is_that_of_the_closed_form() -> None:
    found = dm.design(
        dm.read(VALIDATED), {"a": 0.0, "b": 1.0, "s": 2.0}, ["b"], sizes={"row": [50, 100, 200]}, draws=150,
        data=lambda sizes, rng: {"z": np.linspace(-1, 1, sizes["row"])},
    )  # fmt: skip
    exact = 2.0**2 / (0.25**2 * np.mean(np.linspace(-1, 1, 100) ** 2))
    needed = found.needed(0.25)
    assert needed.name == "row"
    spread = (needed.upper / needed.size) ** (Z / 1.96)
    assert needed.size / spread < exact < needed.size * spread
    assert needed.extrapolated is (not 50 <= needed.size <= 200)
    assert "gives b a standard deviation of 0.25" in str(needed)


def test_a_floor_that_readings_do_not_get_below() -> None:
    found = dm.design(
        dm.read(READINGS), {"mu": 1.0, "s": 2.0, "e": 2.0}, "mu", sizes={"subject": 30},
        per={"reading": [2, 4, 16]}, draws=100,
    )  # fmt: skip
    told = found.needed(0.1)
    assert told.size == np.inf
    assert "let another size grow" in str(told)


def test_shares_that_are_seen_and_the_same_answer_anywhere() -> None:
    graph = dm.read("specs/eiv/internal_validation.dag")
    truth = {"a": 0, "b": 1, "mu": 0, "c0": 0.2, "c1": 0.8, "s": 1, "e": 0.7, "d": 1}
    given = {"sizes": {"row": 200}, "seen": {"x": [0.2, 0.6]}, "draws": 20, "seed": 5}
    found = dm.design(graph, truth, ["b", "c1"], **given)
    assert found.varied == ("share of x seen",)
    sd = found.table.pivot(index="target", columns="share of x seen", values="se")
    assert (sd[0.6] < sd[0.2]).all()
    with ThreadPoolExecutor(2) as executor:
        again = dm.design(graph, truth, ["b", "c1"], executor=executor, **given)
    np.testing.assert_array_equal(found.table["mean"], again.table["mean"])


def test_tasks_travel() -> None:
    graph = dm.read(READINGS)
    (sizing,) = _designs(graph.dag, {"subject": 10}, {"reading": 2}, {})
    assert sizing.sizes == {"subject": 10, "reading": 20}
    task = Task(graph, {"mu": 0.0}, ("mu",), sizing, 1, None, "auto", {})
    assert pickle.loads(pickle.dumps(task)).sizing == sizing


def test_elements_and_losses_are_named() -> None:
    text = VALIDATED.replace("parameter a, b\n", "plate arm = 1..2\nparameter a\nparameter b[arm]\n")
    text = text.replace("b*z", "b[1]*z + b[2]*z**2")
    found = dm.design(
        dm.read(text), {"a": 0.0, "b": [1.0, -1.0], "s": 1.0}, "b[2]", sizes={"row": [2, 30]}, draws=10,
        data=lambda sizes, rng: {"z": rng.normal(size=sizes["row"])},
    )  # fmt: skip
    assert found.truth.tolist() == [-1.0]
    assert found.table["fits"].tolist()[1] == 10
    assert "without a fit (row 2)" in str(found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sizes": {"subjct": 10}}, "there is no plate 'subjct'"),
        ({"per": {"subject": 2}}, "lies in 0 plates"),
        ({"sizes": {}, "per": {"reading": 2}}, "the size of 'subject' is not given"),
        ({"seen": {"x": 0.5}}, "'x' is no observed node"),
        ({"seen": {"w": 0}}, "above 0 and up to 1"),
        ({"targets": "nu"}, "there is no estimate 'nu'"),
        ({"draws": 3}, "draws=3 tell no spread"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, object], told: str) -> None:
    given = {"targets": "mu", "sizes": {"subject": 10, "reading": 20}, "draws": 10} | changes
    with pytest.raises(dm.ModelErrors) as caught:
        dm.design(dm.read(READINGS), {"mu": 0.0, "s": 1.0, "e": 1.0}, **given)
    assert told in str(caught.value)


def test_one_size_at_a_time_is_read_off() -> None:
    found = dm.design(
        dm.read(READINGS), {"mu": 1.0, "s": 1.0, "e": 1.0}, "mu", sizes={"subject": [10, 20]},
        per={"reading": [2, 3]}, draws=10,
    )  # fmt: skip
    with pytest.raises(dm.FitError, match="vary one"):
        found.needed(0.1)
