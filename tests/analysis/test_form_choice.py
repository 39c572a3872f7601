"""By which form a graph of units is fitted, and what the plan says of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

LOADED = """
model loaded
plate row
parameter a, b, l
parameter s, t > 0
f[row] ~ Normal(0, 1)
observed y[row] ~ Normal(a + l*f, s)
observed z[row] ~ Normal(b + f, t)
"""
WIDE = """
model wide
plate person
plate wave = 1..3
parameter m
parameter s, t > 0
u[person] ~ Normal(m, s)
observed y[person, wave] ~ Normal(u[person], t)
"""
LONG = """
model long
plate person
plate visit in person
parameter m
parameter s, t > 0
u[person] ~ Normal(m, s)
observed y[visit] ~ Normal(u[person], t)
"""
PATH = """
model path
plate row
covariate x[row]
parameter a, b
parameter s > 0
observed y[row] ~ Normal(a + b*x, s)
"""


def wide(gaps=0.0, n=60):
    rng = np.random.default_rng(1)
    y = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 3))
    y[rng.random(y.shape) < gaps] = np.nan
    return {"y": y}


def both(n=40):
    rng = np.random.default_rng(2)
    f = rng.normal(size=n)
    return pd.DataFrame({"y": f + rng.normal(size=n), "z": f + rng.normal(size=n)})


@pytest.mark.parametrize(("text", "data", "options", "form", "why"), [
    (LOADED, both(), {}, "moments", "'f' is latent and has a free loading, 'l' of 'y'"),
    (LOADED, both(), {"form": "field"}, "field", "form= asks for it"),
    (LOADED, both(), {"quadrature": 3}, "field", "quadrature= is an option of this form alone"),
    (LOADED, both(), {"se": "robust.huber.white"}, "moments", "se= is an option of this form alone"),
    (LOADED.replace("parameter a, b, l", "parameter b, l\na ~ Normal(0, 10)"), both(), {}, "field",
     "'a' has a prior and is integrated"),
    (LOADED.replace("Normal(0, 1)", "Normal(c*x, 1)").replace("a, b, l", "a, b, l, c\ncovariate x[row]"),
     both().assign(x=1.0), {}, "field", "'x' are constant or combinations"),
    (WIDE, wide(), {}, "moments", "'u' has no free loading, but there is 1 distinct group and missing"),
    (WIDE, wide(0.3), {}, "field", "'u' has no free loading, and there are 8 distinct group"),
    (PATH, both().rename(columns={"z": "x"}), {}, "field", "no 'row' has a latent node"),
], ids=["loading", "asked", "quadrature", "robust", "prior", "covariate", "few", "many", "none"])  # fmt: skip
def test_the_plan_says_which_form_and_why(text, data, options, form, why):
    told = str(dm.read(text).plan(data, **options))
    assert f"form: {form}, because " in told
    assert why in told


def test_mixed_models_have_nothing_to_choose():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"person": np.repeat(range(20), 3), "y": rng.normal(size=60)})
    assert "form:" not in str(dm.read(LONG).plan(data))
    assert dm.read(LONG).fit(data).moments is None


def test_the_fit_takes_the_form_of_its_plan():
    assert dm.read(LOADED).fit(both()).moments is not None
    assert dm.read(WIDE).fit(wide()).moments is not None
    assert dm.read(WIDE).fit(wide(0.3)).moments is None
    assert dm.read(WIDE).fit(wide(), form="field").moments is None


def test_an_optimum_on_an_edge_is_the_fields():
    """A variance of zero: the plan of the fit says that the field served, and the boundary is told."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=(60, 3))
    y -= 0.9 * y.mean(axis=1, keepdims=True)  # negatively correlated, so that persons have no variance
    fit = dm.read(WIDE).fit({"y": y})
    assert fit.moments is None
    assert fit["s"] == 0.0
    assert fit.boundary == ("s",)
    assert "the field form served in the end: from moments" in str(fit.plan)
