"""Designs with known answers: replicates (binary and linear outcomes), a known error variance."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.measurement.references import REFERENCES, answers, data

FRAMINGHAM = """
model framingham
plate subject
plate replicate = "w1", "w2"
covariate z[subject]
parameter b0, b_x, b_z, gamma0, gamma1
parameter s_x, s_u > 0

x[subject] ~ Normal(gamma0 + gamma1*z, s_x)
observed w[subject, replicate] ~ Normal(x[subject], s_u)
observed y[subject] ~ Bernoulli(expit(b0 + b_x*x + b_z*z))
"""


def framingham() -> dict[str, object]:
    d = data("framingham_like")
    return {"subject": np.arange(len(d)), "z": d.z, "y": d.y, "w": d[["w1", "w2"]].to_numpy()}


def test_a_binary_outcome_is_integrated_by_quadrature() -> None:
    """Tolerances of the reference: 1e-4 for estimates and the log likelihood, 1e-3 for standard errors."""
    known = answers("framingham_like")["structural_ml"]
    fit = dm.read(FRAMINGHAM).fit(framingham())
    assert fit.converged
    assert "quadrature with 15 nodes" in fit.method
    assert fit.log_likelihood == pytest.approx(known["loglik"], abs=1e-8)
    rows = fit.estimates.set_index("name")
    for name, value, se in zip(known["names"], known["estimate"], known["se"], strict=True):
        if name.startswith("log_var"):
            own = rows.loc[{"log_var_x": "s_x", "log_var_u": "s_u"}[name]]
            assert 2 * np.log(own.estimate) == pytest.approx(value, abs=1e-6)
            assert 2 * own.se / own.estimate == pytest.approx(se, rel=1e-4)
        else:
            assert rows.loc[name].estimate == pytest.approx(value, abs=1e-6)
            assert rows.loc[name].se == pytest.approx(se, rel=1e-4)


def test_laplaces_approximation_stays_one_option_away() -> None:
    fit = dm.read(FRAMINGHAM).fit(framingham(), quadrature=1)
    assert "Laplace" in fit.method


def test_other_graphs_with_binary_outcomes_keep_laplaces_approximation() -> None:
    text = """
    model plain
    plate group
    plate row in group
    parameter a
    parameter s > 0
    u[group] ~ Normal(0, s)
    observed y[row] ~ Bernoulli(expit(a + u[group]))
    """
    rng = np.random.default_rng(3)
    d = {"group": np.repeat(np.arange(12), 8), "y": rng.integers(0, 2, 96)}
    assert "Laplace" in dm.read(text).fit(d, check=False).method


def test_known_error_variance_of_spleen_counts() -> None:
    known = answers("spleen_known_error_variance")["n_divisor_ml"]
    text = """
    model spleen
    plate row
    parameter a, b, mu
    parameter s, d > 0
    x[row] ~ Normal(mu, s)
    observed sqrtnucl[row] ~ Normal(x, 0.5)
    observed sqrtrose[row] ~ Normal(a + b*x, sqrt(d**2 + 0.25))
    """
    d = data("spleen_known_error_variance")
    rows = dm.read(text).fit(d[["sqrtrose", "sqrtnucl"]]).estimates.set_index("name")["estimate"]
    assert rows["b"] == pytest.approx(known["slope"], abs=1e-8)
    assert rows["a"] == pytest.approx(known["intercept"], abs=1e-7)
    assert rows["s"] ** 2 == pytest.approx(known["var_x_true"], rel=1e-8)
    assert rows["d"] ** 2 == pytest.approx(known["disturbance"], rel=1e-7)


def test_replicates_agree_in_every_route_and_with_lavaan() -> None:
    """A linear case: by moments, by the field, by EM and by lavaan's reference, 1e-6."""
    import json

    import pandas as pd

    folder = REFERENCES / "sem_eiv_regression"
    d = pd.read_csv(folder / "data.csv")
    text = (folder / "model.lav").read_text()
    known = json.loads((folder / "reference.json").read_text())["fits"]["main"]
    sem = dm.sem(text, d, fixed_x=False)
    assert sem.log_likelihood == pytest.approx(known["logLik"], rel=1e-9)
    own = """
    model eiv
    plate row
    parameter k1, k2, kappa, a, b1, b2, c
    parameter s1, s2, s_z, d, e1, e2 > 0
    parameter c12, c1z, c2z
    xi1[row] ~ Normal(k1, s1)
    xi2[row] ~ Normal(k2, s2)
    observed z[row] ~ Normal(kappa, s_z)
    xi1 ~~ xi2 = c12
    xi1 ~~ z = c1z
    xi2 ~~ z = c2z
    observed w1a[row] ~ Normal(xi1, e1)
    observed w1b[row] ~ Normal(xi1, e1)
    observed w2a[row] ~ Normal(xi2, e2)
    observed w2b[row] ~ Normal(xi2, e2)
    observed y[row] ~ Normal(a + b1*xi1 + b2*xi2 + c*z, d)
    """
    g = dm.read(own)
    by = {m: g.fit(d, method=m) for m in ("laplace", "em")}
    for fit in by.values():
        assert fit.log_likelihood == pytest.approx(known["logLik"], rel=1e-9)
    slopes = by["laplace"].estimates.set_index("name")["estimate"]
    table = sem.estimates.query("op == '~' and lhs == 'y'").set_index("rhs")["estimate"]
    for name, rhs in (("b1", "xi1"), ("b2", "xi2"), ("c", "z")):
        assert slopes[name] == pytest.approx(table[rhs], rel=1e-6)
        other = by["em"].estimates.set_index("name")["estimate"][name]
        assert other == pytest.approx(table[rhs], rel=1e-6)
