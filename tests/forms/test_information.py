"""The average information: by its definition on dense matrices, and where it is the Hessian itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.fits.field.solve import solve
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator
from dagmodels.forms.information import average_information, has_average_information
from dagmodels.forms.start import starting_point

SLOPES = """
model slopes
plate g
plate h
plate w
plate row in g, h
covariate x[row], v[row]
b0, b1 ~ Flat()
parameter s_a, s_b, s_h, sigma > 0
parameter rho in (-1, 1)
a[g] ~ Normal(b0, s_a)
b[g] ~ Normal(b1, s_b)
a ~~ b = rho*s_a*s_b
c[h] ~ Normal(0, s_h)
observed y[row] ~ Normal(a[g] + b[g]*x + c[h], sigma*v)
""".replace("plate w\n", "")


def data() -> pd.DataFrame:
    rng = np.random.default_rng(20260101)
    n = 90
    frame = pd.DataFrame({"g": rng.integers(0, 9, n), "h": rng.integers(0, 6, n), "x": rng.normal(size=n)})
    frame["v"] = rng.uniform(0.5, 2, n)
    pair = rng.multivariate_normal([1.0, 0.5], [[1.0, 0.2], [0.2, 0.5]], size=9)
    frame["y"] = pair[frame.g, 0] + pair[frame.g, 1] * frame.x + rng.normal(size=6)[frame.h]
    frame["y"] += frame.v * rng.normal(size=n)
    return frame


def field(text: str, frame: pd.DataFrame):
    problem = bind(dm.read(text).dag, frame)
    return build_field(problem, roles(problem.graph, problem))


def test_by_its_definition() -> None:
    """y'P V_k P V_l P y, with derivatives of V by differences."""
    frame = data()
    form = field(SLOPES, frame)
    run = Evaluator(form)
    x = starting_point(form)[0]
    x = x + 0.1 * np.arange(1, x.size + 1) * np.where(np.arange(x.size) % 2, 1, -1)
    run.value_and_gradient(x)
    got = average_information(run, x, np.zeros(x.size))

    G, K = np.eye(9)[frame.g], np.eye(6)[frame.h]
    ones, slope = G, G * frame.x.to_numpy()[:, None]

    def V(at: np.ndarray) -> np.ndarray:
        run.criterion(at)
        value = {n: run.w[form.tape.place(r)][0] for n, r in form.outer_registers.items()}
        cov = value["rho"] * value["s_a"] * value["s_b"]
        found = value["s_a"] ** 2 * ones @ ones.T + value["s_b"] ** 2 * slope @ slope.T
        found += cov * (ones @ slope.T + slope @ ones.T) + value["s_h"] ** 2 * K @ K.T
        return found + np.diag((value["sigma"] * frame.v.to_numpy()) ** 2)

    X = np.column_stack([np.ones(len(frame)), frame.x])
    W = np.linalg.inv(V(x))
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    Py = P @ frame.y.to_numpy()
    step = 1e-5 * np.eye(x.size)
    work = np.stack([(V(x + d) - V(x - d)) @ Py / 2e-5 for d in step])
    want = work @ P @ work.T
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7 * np.abs(want).max())


@pytest.mark.parametrize("name", ["sleepstudy", "penicillin"])
def test_in_balanced_designs_it_is_the_hessian_at_the_optimum(name: str) -> None:
    graph = dm.read(f"specs/{name}.dag")
    problem = bind(graph.dag, pd.read_csv(f"examples/{name}.csv"))
    found = solve(build_field(problem, roles(problem.graph, problem)))
    x = found.optimum.x
    found.evaluator.criterion(x)
    got = average_information(found.evaluator, x, np.zeros(x.size))
    d = np.sqrt(np.diag(found.optimum.hessian))
    np.testing.assert_allclose(got / np.outer(d, d), found.optimum.hessian / np.outer(d, d), atol=1e-6)


def test_unknowns_in_means_have_none() -> None:
    text = (
        SLOPES.replace("c[h]*", "").replace("+ c[h]", "+ load*c[h]").replace("s_h, sigma", "s_h, load, sigma")
    )
    text = text.replace("c[h] ~ Normal(0, s_h)", "c[h] ~ Normal(0, 1)").replace("s_h, ", "")
    form = field(text, data())
    run = Evaluator(form)
    x = starting_point(form)[0]
    run.criterion(x)
    assert average_information(run, x, np.zeros(x.size)) is None
    assert not has_average_information(
        field(SLOPES.replace("parameter s_a,", "s_a ~ Exponential(1)\nparameter"), data())
    )
