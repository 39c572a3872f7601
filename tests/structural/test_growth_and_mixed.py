"""A growth curve in wide form and a mixed model in long form are one model."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.structural.references import data, text

EQUAL = "\n" + "\n".join(f"t{k} ~~ v*t{k}" for k in range(1, 5))


@pytest.fixture(scope="module")
def both():
    wide = data("sem_demo_growth")
    curve = dm.growth(text("sem_demo_growth", "unconditional") + EQUAL, wide)
    long = wide[["t1", "t2", "t3", "t4"]].assign(person=range(len(wide)))
    long = long.melt("person", var_name="time", value_name="y")
    long["time"] = long["time"].str[1].astype(float) - 1
    return curve, dm.lmer("y ~ time + (time | person)", long, REML=False)


def test_a_growth_curve_is_a_mixed_model(both):
    """Equal likelihood, fixed effects with errors, and (co)variances: two algorithms that share no step."""
    curve, mixed = both
    e = curve.estimates.set_index(["lhs", "op", "rhs"])
    assert curve.log_likelihood == pytest.approx(mixed.log_likelihood, rel=1e-9)
    fixed = mixed.estimates.set_index("name")
    for row, name in ((("i", "~1", ""), "(Intercept)"), (("s", "~1", ""), "time")):
        assert e.loc[row, "estimate"] == pytest.approx(fixed.loc[name, "estimate"], rel=1e-6)
        assert e.loc[row, "se"] == pytest.approx(fixed.loc[name, "se"], rel=1e-4)
    want = mixed.VarCorr()["vcov"].to_numpy()
    rows = (("i", "~~", "i"), ("s", "~~", "s"), ("i", "~~", "s"), ("t1", "~~", "t1"))
    np.testing.assert_allclose([e.loc[r, "estimate"] for r in rows], want, rtol=1e-5)
