"""The information of the working response against dense matrices; searches with it end where others do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.fits.field import objective
from dagmodels.forms.build_field import build_field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.working_information import working_information
from tests.backends.laplace import models as m

TEXT = """model one
plate grp
plate item
plate row in grp, item
covariate x[row]
parameter b0, b1
parameter tau, om > 0
u[grp] ~ Normal(0, tau)
v[item] ~ Normal(0, om)
observed y[row] ~ LAW
"""


def frame(seed: int = 1, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    grp, item, x = np.arange(n) % 12, np.arange(n) // 12 % 5, rng.normal(size=n)
    eta = 0.3 + 0.5 * x + 0.9 * rng.normal(size=12)[grp] + 0.5 * rng.normal(size=5)[item]
    return pd.DataFrame({"grp": grp, "item": item, "x": x, "y": (rng.random(n) < special.expit(eta)) * 1})


def evaluator(law: str, data: pd.DataFrame) -> ModeEvaluator:
    dag = dm.read(TEXT.replace("LAW", law)).dag
    problem = bind(dag, data)
    return ModeEvaluator(build_field(problem, roles(dag, problem)))


def test_against_dense_matrices() -> None:
    data = frame()
    e = evaluator("Bernoulli(expit(b0 + b1*x + u + v))", data)
    assert [c.node for c in e.field.coordinates] == ["b0", "b1", "tau", "om"]
    x = np.array([0.2, 0.4, 0.8, 0.6])
    _, gradient = e.value_and_gradient(x)
    found = working_information(e, x, gradient)
    p = special.expit(e.eta)
    Z = [np.eye(12)[data.grp], np.eye(5)[data.item]]
    V = np.diag(1 / (p * (1 - p))) + sum(s**2 * z @ z.T for s, z in zip(x[2:], Z, strict=True))
    columns = [np.sqrt(2) * np.ones(len(data)), np.sqrt(2) * data.x.to_numpy()]
    columns += [2 * s * z @ (z.T @ (data.y - p)) for s, z in zip(x[2:], Z, strict=True)]
    R = np.column_stack(columns)
    expected = R.T @ np.linalg.solve(V, R)
    expected += np.diag(np.append([0.0, 0.0], np.maximum(gradient[2:] / x[2:], 0.0)))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_shapes_of_the_law_have_none() -> None:
    data = frame()
    e = evaluator("NegativeBinomial(mu=exp(b0 + b1*x + u), alpha=2 + 0*v + om)".replace(" + 0*v", ""), data)
    x = np.full(e.field.x_places.size, 0.5)
    _, gradient = e.value_and_gradient(x)
    assert working_information(e, x, gradient) is None


@pytest.mark.parametrize("name", ["cbpp", "crossed"])
def test_the_same_optimum_without_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, data = (m.CBPP, m.cbpp()) if name == "cbpp" else (TEXT, frame())
    g = dm.read(text.replace("LAW", "Bernoulli(expit(b0 + b1*x + u + v))"))
    first = g.fit(data)
    monkeypatch.setattr(objective, "has_working_information", lambda field: False)
    second = g.fit(data)
    assert first.converged
    assert second.converged
    assert abs(first.log_likelihood - second.log_likelihood) < 1e-9
    for column, tolerance in (("estimate", 1e-7), ("se", 1e-6)):
        np.testing.assert_allclose(first.estimates[column], second.estimates[column], rtol=tolerance)
