"""Posterior means of BUGS files, integrated by the laplace backend, beside those that JAGS drew.

JAGS 4.3.1, 4 chains; tests/references/bugs/*/reference.json has means, sds and Monte Carlo errors. A mean is
off by more than 5 of these once in 1.7 million; heavy tails (sigma2.between) make JAGS' own sds uncertain to a
few per cent, so these are compared to a tenth.
"""

from __future__ import annotations

import json

import pytest

import dagmodels as dm
from tests.readers.bugs.references import FOLDER

COUNTS = {"pump": 2, "line": 4, "dyes": 4, "rats": 1}


@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
@pytest.mark.parametrize("name", COUNTS)
def test_posterior_means_are_those_of_jags(name: str) -> None:
    reference = json.loads((FOLDER / name / "reference.json").read_text())["parameters"]
    fit = dm.read(FOLDER / name / "model.bug", data=FOLDER / name / "data.json").fit(posterior=True)
    rows = fit.estimates.set_index("name")
    both = [n for n in reference if n in rows.index]
    assert len(both) >= COUNTS[name]
    for n in both:
        row, jags = rows.loc[n], reference[n]
        assert abs(row["estimate"] - jags["mean"]) < 5 * jags["mcse"], n
        assert row["se"] == pytest.approx(jags["sd"], rel=0.1), n
