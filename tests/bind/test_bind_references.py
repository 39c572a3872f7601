"""The reference data sets bind to what their files hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagmodels.bind.bind import bind
from dagmodels.graph.dag import Dag
from dagmodels.readers import read

REFERENCES = Path(__file__).parent.parent / "references"


def _data(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCES / name / "data.csv", float_precision="round_trip")


def test_radon(radon: Dag) -> None:
    problem = bind(radon, REFERENCES / "radon_minnesota" / "data.csv", require_observed=True)
    frame = _data("radon_minnesota")
    county = problem.plates["county"]
    assert county.levels == tuple(sorted(set(frame.county)))
    assert problem.plates["house"].size == 919
    assert not problem.plates["house"].labelled
    back = np.array(county.levels)[problem.plates["house"].parents["county"]]
    assert (back == frame.county).all()
    np.testing.assert_array_equal(problem.values["log_radon"], frame.log_radon)
    np.testing.assert_array_equal(problem.values["u"], frame.groupby("county").u.first())
    assert problem.shape("u") == (85,)
    assert problem.unused == ()
    assert problem.element("alpha", 1) == "alpha[ANOKA]"
    assert problem.element("tau", 0) == "tau"


def test_pastes_levels_are_written_as_the_reference_writes_them(pastes: Dag) -> None:
    problem = bind(pastes, REFERENCES / "pastes" / "data.csv")
    reference = json.loads((REFERENCES / "pastes" / "reference.json").read_text())
    written = reference["fits"]["REML"]["reference"]["ranef"]["cask:batch"]["level"]
    assert set(written) <= set(problem.labels["cask"])
    assert problem.plates["cask"].size == 30
    assert problem.labels["cask"][:4] == ("a:A", "b:A", "c:A", "a:B")
    assert problem.unused == ("sample",)


def test_penicillin_is_crossed() -> None:
    dag = read(
        "model penicillin\nplate dish\nplate sample\nplate row in dish, sample\n"
        "a[dish] ~ Normal(0, sa)\nb[sample] ~ Normal(0, sb)\n"
        "observed diameter[row] ~ Normal(mu + a[dish] + b[sample], s)\n"
        "parameter mu\nparameter sa, sb, s > 0\n"
    )
    frame = _data("penicillin").rename(columns={"plate": "dish"})
    problem = bind(dag, frame)
    rows = problem.rows(("row",)).codes
    assert (problem.plates["dish"].size, problem.plates["sample"].size) == (24, 6)
    assert len(set(zip(rows["dish"], rows["sample"], strict=True))) == 144 == problem.plates["row"].size


def test_sleepstudy_labels_are_numbers() -> None:
    dag = read(
        "model sleepstudy\nplate Subject\nplate row in Subject\ncovariate Days[row]\n"
        "a[Subject] ~ Normal(0, sa)\n"
        "observed Reaction[row] ~ Normal(m + a[Subject] + b*Days, s)\nparameter m, b\nparameter sa, s > 0\n"
    )
    problem = bind(dag, REFERENCES / "sleepstudy" / "data.csv")
    assert problem.plates["Subject"].levels == tuple(sorted(set(_data("sleepstudy").Subject)))
    assert problem.element("a", 0) == "a[308]"
    as_text = bind(dag, _data("sleepstudy").astype({"Subject": str}))
    assert as_text.plates["Subject"].levels == problem.plates["Subject"].levels


def test_eight_schools() -> None:
    dag = read(Path(__file__).parent.parent / "models" / "eight_schools.dag")
    problem = bind(dag, REFERENCES / "eight_schools" / "data.csv")
    assert problem.plates["school"].levels == tuple("ABCDEFGH")
    assert problem.values["y"].tolist() == [28, 8, -3, 7, -1, 1, 18, 12]


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("nist_*")), ids=lambda p: p.name)
def test_nist(path: Path) -> None:
    dag = read(
        "model nist\nplate treatment\nplate row in treatment\na[treatment] ~ Normal(0, t)\n"
        "observed y[row] ~ Normal(mu + a[treatment], s)\nparameter mu\nparameter t, s > 0\n"
    )
    problem = bind(dag, path / "data.csv")
    frame = pd.read_csv(path / "data.csv", dtype=str)
    np.testing.assert_array_equal(problem.values["y"], [float(y) for y in frame.y])  # to the last bit
    assert problem.plates["treatment"].size == frame.treatment.nunique()
