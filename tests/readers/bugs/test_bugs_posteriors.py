"""Posterior means of BUGS files, integrated by the laplace backend, beside those that JAGS drew.

JAGS 4.3.1, 4 chains; tests/references/bugs/*/reference.json has means, sds and Monte Carlo errors. One of
the 92 means is off by more than 5 of these once in 19,000; heavy tails (sigma2.between) make JAGS' own sds
uncertain to a few per cent, so these are compared to a tenth.
"""

from __future__ import annotations

import json

import pytest

import dagmodels as dm
from tests.readers.bugs.references import FOLDER

COUNTS = {"pump": 12, "line": 4, "dyes": 10, "rats": 66}


@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
@pytest.mark.parametrize("name", COUNTS)
def test_posterior_means_are_those_of_jags(name: str) -> None:
    reference = json.loads((FOLDER / name / "reference.json").read_text())["parameters"]
    fit = dm.read(FOLDER / name / "model.bug", data=FOLDER / name / "data.json").fit(posterior=True)
    tables = [(fit.estimates, "se"), (fit.latents, "sd")]
    ours = {
        n: (mean, sd)
        for table, spread in tables
        if table is not None
        for n, mean, sd in zip(table["name"], table["estimate"], table[spread], strict=True)
    }
    assert len(set(ours) & set(reference)) == COUNTS[name]
    for n in set(ours) & set(reference):
        mean, sd = ours[n]
        assert abs(mean - reference[n]["mean"]) < 5 * reference[n]["mcse"], n
        assert sd == pytest.approx(reference[n]["sd"], rel=0.1), n
