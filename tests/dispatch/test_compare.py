"""Backends side by side: the same names, what each number is, refusals in their own words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.results.comparison import Comparison
from dagmodels.results.fit import UnknownName

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture(scope="module")
def schools() -> Comparison:
    methods = {
        "laplace": {},
        "exact": {"method": "laplace", "posterior": True},
        "gibbs": {"draws": 5000},
        "em": {},
        "pgmpy": {},
    }
    return dm.compare_backends(dm.read(SPECS / "eight_schools.dag"), methods=methods)


def test_kinds_of_numbers_and_refusals(schools: Comparison):
    table = schools.table
    assert table.loc["tau", ["laplace is", "exact is", "gibbs is"]].tolist() == [
        "marginal mode", "posterior mean", "posterior mean",
    ]  # fmt: skip
    assert table.loc["mu", "laplace is"] == "mean given the estimates"
    assert table.loc["theta[A]", "laplace is"] == "mean given the estimates"
    assert table.loc["tau", "em is"] == "marginal mode"
    np.testing.assert_allclose(table["em"], table["laplace"], rtol=1e-9)
    assert list(schools.refusals) == ["pgmpy"]
    assert "questions to discrete networks" in schools.refusals["pgmpy"]
    assert not table.isna()[["laplace", "exact", "gibbs", "em"]].any(axis=None)  # the same names everywhere


def test_independent_draws_agree_with_quadrature(schools: Comparison):
    """20,000 independent draws: within 5 of their standard errors, 10 numbers: a false alarm in 1e5 runs."""
    table = schools.table
    assert (abs(table["gibbs"] - table["exact"]) < 5 * table["exact se"] / np.sqrt(20_000)).all()


def test_apart_is_in_standard_errors(schools: Comparison):
    row = schools.table.loc["tau"]
    most = max(row["laplace"], row["exact"], row["gibbs"]) - row["laplace"]
    assert schools.apart("tau") == pytest.approx(most / max(row["exact se"], row["gibbs se"]))


def test_the_text_says_what_differs_most(schools: Comparison):
    text = str(schools)
    assert "Most apart is tau, by 1.1 standard errors" in text
    assert "laplace 0 (marginal mode)" in text
    assert "different numbers of one model" in text
    assert "pgmpy    no answer: it answers questions" in text
    assert schools["gibbs"].backend == "gibbs"
    with pytest.raises(UnknownName, match="'pgmpy' gave no fit: it answers"):
        schools["pgmpy"]


def test_equal_optima_of_two_backends_and_flat_priors_of_a_third():
    found = dm.compare_backends(
        dm.read(SPECS / "growth.dag"), methods={"em": {}, "laplace": {}, "gibbs": {"draws": 20, "warmup": 20}}
    )
    table = found.table
    np.testing.assert_allclose(table["em"], table["laplace"], rtol=1e-4, atol=1e-5)
    assert table.loc["sd_i", "em is"] == table.loc["sd_i", "laplace is"] == "ML"
    assert "flat priors assumed for i0, i1" in str(found)
    assert "not all of these fits converged" in str(found)


def test_a_forest_of_all_answers(schools: Comparison, tmp_path):
    path = schools.plot(tmp_path / "forest.svg", ["theta", "tau"])
    again = schools.plot(tmp_path / "again.svg", ["theta", "tau"])
    assert path.read_bytes() == again.read_bytes()
    with pytest.raises(UnknownName, match="named 'nu'"):
        schools.plot(tmp_path / "forest.svg", ["nu"])
    with pytest.raises(dm.ModelErrors, match="in the picture"):
        schools.plot(tmp_path / "forest")


def test_models_of_bugs_texts_are_compared_too():
    model = dm.read(
        """model {
      for (i in 1:N) { y[i] ~ dnorm(mu, tau) }
      mu ~ dnorm(0, 0.001)
      tau ~ dgamma(2, 2)
    }""",
        {"N": 5, "y": [4.1, 5.2, 3.9, 4.8, 5.5]},
        format="bugs",
    )
    table = dm.compare_backends(model, methods=["laplace", "gibbs"]).table
    assert list(table.index) == ["mu", "tau"]
    other = dm.compare_backends(model, {"N": 2, "y": [1.0, 2.0]}, methods=["laplace"]).table
    assert other.loc["mu", "laplace"] < 2 < table.loc["mu", "laplace"]


def test_a_label_of_no_backend_says_what_there_is():
    with pytest.raises(dm.ModelErrors) as caught:
        dm.compare_backends(dm.read(SPECS / "growth.dag"), methods=["laplace", "stan"])
    (only,) = caught.value.exceptions
    assert "no backend named 'stan' is installed (installed are em, gibbs, laplace" in str(only)
