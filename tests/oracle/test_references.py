"""The oracle at published optima: criterion, coefficients, standard errors and conditional modes.

References: tests/references/<name>/reference.json, computed by lme4 1.1-31 with tight tolerances.
Criterion to 1e-6; the rest to 1e-6 relative (the files give 12 decimals of variance components).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagmodels.bind.bind import bind
from dagmodels.readers import read

from .dense import dense

REFERENCES = Path(__file__).parent.parent / "references"

TEXTS = {
    "sleepstudy": """
model sleepstudy
plate Subject
plate row in Subject
plate coef = "(Intercept)", "Days"
plate coef2 as coef
covariate Days[row]
parameter S[coef, coef2] covariance
parameter sigma > 0
b[Subject, coef] ~ MvNormal(0, S)
observed Reaction[row] ~ Normal(b0 + b1*Days + b[Subject, "(Intercept)"] + b[Subject, "Days"]*Days, sigma)
""",
    "pastes": """
model pastes
plate batch
plate sample in batch
plate row in sample
parameter s_sample, s_batch, sigma > 0
v[batch] ~ Normal(0, s_batch)
u[sample] ~ Normal(v, s_sample)
observed strength[row] ~ Normal(b0 + u, sigma)
""",
    "penicillin": """
model penicillin
plate dish
plate sample
plate row in dish, sample
parameter s_dish, s_sample, sigma > 0
u[dish] ~ Normal(0, s_dish)
v[sample] ~ Normal(0, s_sample)
observed diameter[row] ~ Normal(b0 + u + v, sigma)
""",
    "radon_minnesota": """
model radon
plate county
plate house in county
covariate floor[house], u[county]
parameter s_county, sigma > 0
alpha[county] ~ Normal(0, s_county)
observed log_radon[house] ~ Normal(b0 + b1*floor + b2*u + alpha, sigma)
""",
    "radon_slopes": """
model radon_slopes
plate county
plate house in county
covariate floor[house], u[county]
parameter s_a, s_b, sigma > 0
parameter rho in (-1, 1)
a[county] ~ Normal(b0 + b2*u, s_a)
b[county] ~ Normal(b1, s_b)
a ~~ b = rho*s_a*s_b
observed log_radon[house] ~ Normal(a + b*floor, sigma)
""",
}

# data set, fit, text
FITS = [
    ("sleepstudy", "REML", "sleepstudy"),
    ("sleepstudy", "ML", "sleepstudy"),
    ("pastes", "REML", "pastes"),
    ("pastes", "ML", "pastes"),
    ("penicillin", "REML", "penicillin"),
    ("penicillin", "ML", "penicillin"),
    ("radon_minnesota", "REML_intercept", "radon_minnesota"),
    ("radon_minnesota", "REML", "radon_slopes"),
    ("radon_minnesota", "ML", "radon_slopes"),
]


def theta_of(text, components):
    """Outer values of a text from lme4's table of variance components."""
    sd = [c["sdcor"] for c in components]
    match text:
        case "sleepstudy":
            (a, b, ab) = (components[i]["vcov"] for i in range(3))
            return {"S": np.array([[a, ab], [ab, b]]), "sigma": sd[3]}
        case "pastes":
            return dict(zip(("s_sample", "s_batch", "sigma"), sd, strict=True))
        case "penicillin":
            return dict(zip(("s_dish", "s_sample", "sigma"), sd, strict=True))
        case "radon_minnesota":
            return dict(zip(("s_county", "sigma"), sd, strict=True))
        case _:
            return dict(zip(("s_a", "s_b", "rho", "sigma"), sd, strict=True))


def modes_of(text, model):
    """Conditional modes by grouping factor and term, at fixed coefficients: (labels, mean, sd or None)."""
    got = model.conditional("none")
    plates = model.problem.plates

    def one(plate, mean, sd):
        return [str(v) for v in plates[plate].levels], mean, sd

    match text:
        case "sleepstudy":
            return {"Subject": one("Subject", got.means["b"], got.sds["b"])}
        case "pastes":
            return {"batch": one("batch", got.means["v"][:, None], got.sds["v"][:, None])}
        case "penicillin":
            return {
                "plate": one("dish", got.means["u"][:, None], got.sds["u"][:, None]),
                "sample": one("sample", got.means["v"][:, None], got.sds["v"][:, None]),
            }
        case "radon_minnesota":
            return {"county": one("county", got.means["alpha"][:, None], got.sds["alpha"][:, None])}
        case _:  # the modes hold the fixed part here, lme4's do not: only the deviations' spread compares
            sd = np.column_stack([got.sds["a"], got.sds["b"]])
            return {"county": one("county", None, sd)}


@pytest.fixture(scope="module")
def tables():
    read_one = {
        name: pd.read_csv(REFERENCES / name / "data.csv")
        for name in ("sleepstudy", "pastes", "penicillin", "radon_minnesota")
    }
    read_one["penicillin"] = read_one["penicillin"].rename(columns={"plate": "dish"})
    return read_one


@pytest.mark.parametrize(("name", "fit", "text"), FITS)
def test_reference_optimum(tables, name, fit, text):
    reference = json.loads((REFERENCES / name / "reference.json").read_text())["fits"][fit]["reference"]
    fixed = reference["fixed"]
    estimates, errors = np.atleast_1d(fixed["est"]), np.atleast_1d(fixed["se"])
    names = [f"b{i}" for i in range(len(estimates))]
    line = "parameter " + ", ".join(names) if fit == "ML" else ", ".join(names) + " ~ Flat()"
    problem = bind(read(TEXTS[text] + line + "\n"), tables[name])
    model = dense(problem, theta_of(text, reference["varcomp"]))
    assert -2 * float(model.loglik()) == pytest.approx(reference["minus2logLik"], abs=1e-6)
    got = model.coefficients()
    for b, estimate, error in zip(names, estimates, errors, strict=True):
        assert float(got.means[b]) == pytest.approx(estimate, rel=1e-6)
        assert float(got.sds[b]) == pytest.approx(error, rel=1e-6)
    for group, (labels, mean, sd) in modes_of(text, model).items():
        published = reference["ranef"][group]
        rows = [labels.index(level) for level in published["level"]]
        terms = 1 if isinstance(published["terms"], str) else len(published["terms"])
        if mean is not None:
            want = np.array(published["value"]).reshape(len(rows), terms)
            np.testing.assert_allclose(mean[rows], want, rtol=1e-5, atol=1e-6)
        want = np.array(published["cond_sd"]).reshape(len(rows), terms)
        np.testing.assert_allclose(sd[rows], want, rtol=1e-6)
