"""Every design of specs/eiv fits by default, at the optimum of a likelihood written by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.writers import to_text
from tests.measurement import spec_data, spec_likelihoods
from tests.measurement.spec_data import DESIGNS, SPECS, TRUTH, load

NAMES = [d.__name__ for d in DESIGNS]
QUADRATURE = {"berkson", "logistic", "poisson", "survival", "square"}
LESS_SURE = {"square": 2e-3}  # of the log likelihood: the law of x given y has two modes


@pytest.fixture(scope="module")
def fits() -> dict[str, object]:
    return {name: dm.read(SPECS / f"{name}.dag").fit(load(name)) for name in NAMES}


def test_there_is_a_file_for_every_design():
    assert {p.stem for p in SPECS.glob("*.dag")} == set(NAMES)
    assert {p.name.split(".")[0] for p in SPECS.glob("*.csv")} == set(NAMES)


@pytest.mark.parametrize("number", range(len(DESIGNS)), ids=NAMES)
def test_the_data_are_those_of_the_stated_truth_and_seed(number: int):
    for plate, table in spec_data.simulated(number).items():
        stored = pd.read_csv(spec_data.path_of(NAMES[number], plate))
        for column in table:
            given = pd.to_numeric(table[column])
            assert np.allclose(stored[column], given, atol=2e-6, equal_nan=True), column


@pytest.mark.parametrize("name", NAMES)
def test_the_model_reads_back(name: str):
    dag = dm.read(SPECS / f"{name}.dag").dag
    assert dm.read(to_text(dag)).dag == dag
    assert dag.remarks.before, "a design says in words what it is"


@pytest.mark.parametrize("name", NAMES)
def test_the_optimum_is_that_of_the_likelihood_by_hand(name: str, fits: dict[str, object]):
    """The value there to 1e-7 (by quadrature 1e-5), and no slope: a Newton decrement below 1e-3.

    Central differences of the likelihood by hand over steps of a hundredth of a standard error.
    """
    fit, data = fits[name], load(name)
    law = getattr(spec_likelihoods, name)
    assert fit.converged
    assert ("quadrature" in fit.method) == (name in QUADRATURE)
    at = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    se = dict(zip(fit.estimates["name"], fit.estimates["se"], strict=True))
    within = LESS_SURE.get(name, 1e-5 if name in QUADRATURE else 1e-7)
    assert fit.log_likelihood == pytest.approx(law(at, data), abs=within)
    for k in at:
        h = 0.01 * se[k]
        slope = (law(at | {k: at[k] + h}, data) - law(at | {k: at[k] - h}, data)) / 0.02
        assert abs(slope) < (5e-3 if name == "square" else 1e-3), k


@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_those_of_the_information_by_hand(name: str, fits: dict[str, object]):
    """Inverse Hessian by central differences over a twentieth of a standard error, to one per cent."""
    fit, data = fits[name], load(name)
    law = getattr(spec_likelihoods, name)
    names = list(fit.estimates["name"])
    at = fit.estimates["estimate"].to_numpy()
    step = np.diag(0.05 * fit.estimates["se"].to_numpy())

    def value(x: np.ndarray) -> float:
        return law(dict(zip(names, x, strict=True)), data)

    k = len(names)
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            up, down = step[i] + step[j], step[i] - step[j]
            mixed = value(at + up) - value(at + down) - value(at - down) + value(at - up)
            hessian[i, j] = hessian[j, i] = mixed / (4 * step[i, i] * step[j, j])
    errors = np.sqrt(np.linalg.inv(-hessian).diagonal())
    assert fit.estimates["se"].to_numpy() == pytest.approx(errors, rel=0.03 if name == "square" else 0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_near(name: str, fits: dict[str, object]):
    """Within five standard errors; for one design in 16,000 of new data it would not be."""
    fit = fits[name]
    rows = fit.estimates.set_index("name")
    for key, truth in TRUTH[name].items():
        assert abs(rows.loc[key, "estimate"] - truth) < 5 * rows.loc[key, "se"], key
