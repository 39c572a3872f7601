"""The same field in the plates' order and by minimum degree: criterion, gradient, modes, sds (1e-10)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.forms import reordering
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.numerics import fill
from tests.forms.test_field_oracle import point, prepared
from tests.oracle.generate import EXTRA, KINDS

CASES = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in range(4)]
LAWS = {
    "Normal": "Normal(b0 + b1*x + u[w] + v[f], sigma)\nparameter sigma > 0",
    "Poisson": "Poisson(exp(b0 + b1*x + u[w] + v[f]))",
    "Bernoulli": "Bernoulli(expit(b0 + b1*x + u[w] + v[f]))",
}
TEXT = """
model crossed
plate w
plate f
plate row in w, f
covariate x[row]
u[w] ~ Normal(0, s_u)
v[f] ~ Normal(m, s_v)
m ~ Normal(0, 1)
observed y[row] ~ {law}
parameter b0, b1
parameter s_u, s_v > 0
"""


def force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minimum degree, however small the problem, better or not."""
    monkeypatch.setattr(reordering, "DEAR", -1.0)
    monkeypatch.setattr(fill, "DEAR", -1.0)
    monkeypatch.setattr(fill, "DEAR_ROW", -1.0)
    monkeypatch.setattr(fill, "GAIN", np.inf)


def near(got, want, tolerance: float = 1e-10) -> None:
    """Within the tolerance of the largest number compared (at least one)."""
    got, want = np.asarray(got, float), np.asarray(want, float)
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(got / scale, want / scale, rtol=0, atol=tolerance)


def by_node(field: Field, numbers: np.ndarray) -> np.ndarray:
    """Numbers of elements in the graph's order."""
    rows = np.concatenate([r[r >= 0] for r in field.rows.values()])
    return numbers[rows]


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_every_answer_of_generated_graphs(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case, problem, plain = prepared(kind, seed)
    force(monkeypatch)
    _, _, other = prepared(kind, seed)
    assert plain.order.startswith("by plates")
    assert other.order.startswith("by minimum degree")
    x = point(problem, plain, case.theta)
    first, second = Evaluator(plain), Evaluator(other)
    (value, gradient), (value_2, gradient_2) = first.value_and_gradient(x), second.value_and_gradient(x)
    near(value_2, value)
    near(gradient_2, gradient)
    near(by_node(other, second.means()), by_node(plain, first.means()))
    near(np.sqrt(by_node(other, second.variances())), np.sqrt(by_node(plain, first.variances())), 1e-8)
    direction = np.random.default_rng(seed).normal(size=x.size)
    w = other.tape.values(second._complex_inputs(x, 1e-30 * direction))  # complex step
    prior = np.imag(other.prior_counts @ w[other.prior_places]) / 1e-30
    near(second.sensitivity(x, direction).deviance + prior, gradient @ direction)


def crossed(law: str, seed: int, order: np.ndarray | None = None, renamed: bool = False):
    """40 x 30 levels with 90 rows; rows in another order, levels under other names."""
    rng = np.random.default_rng(seed)
    n = 90
    frame = pd.DataFrame({"w": rng.integers(0, 40, n), "f": rng.integers(0, 30, n), "x": rng.normal(size=n)})
    eta = 0.3 + 0.5 * frame.x + rng.normal(size=40)[frame.w] + 0.7 * rng.normal(size=30)[frame.f]
    draws = {
        "Normal": rng.normal(eta),
        "Poisson": rng.poisson(np.exp(eta)),
        "Bernoulli": rng.random(n) < 1 / (1 + np.exp(-eta)),
    }
    frame["y"] = draws[law].astype(float)
    if renamed:
        frame["w"], frame["f"] = rng.permutation(40)[frame.w], rng.permutation(30)[frame.f]
    frame = frame if order is None else frame.iloc[order].reset_index(drop=True)
    problem = bind(dm.read(TEXT.format(law=LAWS[law])).dag, frame)
    field = build_field(problem, roles(problem.graph, problem))
    evaluator = ModeEvaluator(field) if field.curved else Evaluator(field)
    return field, evaluator, np.linspace(0.4, 0.8, field.x_places.size)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_linear_and_curved_leaves(law: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, first, x = crossed(law, seed)
    force(monkeypatch)
    other, second, _ = crossed(law, seed)
    (value, gradient), (value_2, gradient_2) = first.value_and_gradient(x), second.value_and_gradient(x)
    near(value_2, value)
    near(gradient_2, gradient, 1e-9 if plain.curved else 1e-10)
    near(by_node(other, second.means()), by_node(plain, first.means()), 1e-9 if plain.curved else 1e-10)
    near(np.sqrt(by_node(other, second.variances())), np.sqrt(by_node(plain, first.variances())))


@pytest.mark.parametrize("law", LAWS)
def test_the_gradient_is_the_slope(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Central differences, steps of 1e-4 and half of it, extrapolated."""
    force(monkeypatch)
    _, evaluator, x = crossed(law, 7)
    _, gradient = evaluator.value_and_gradient(x)
    for k in range(x.size):
        e = np.eye(x.size)[k]
        slopes = [
            (evaluator.criterion(x + h * e).total - evaluator.criterion(x - h * e).total) / (2 * h)
            for h in (1e-4, 5e-5)
        ]
        assert gradient[k] == pytest.approx((4 * slopes[1] - slopes[0]) / 3, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_order_of_rows_and_names_of_levels_mean_nothing(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch)
    _, first, x = crossed(law, 5)
    value, gradient = first.value_and_gradient(x)
    for seed in range(3):
        _, second, _ = crossed(law, 5, np.random.default_rng(seed).permutation(90), renamed=True)
        value_2, gradient_2 = second.value_and_gradient(x)
        near(value_2, value)
        near(gradient_2, gradient, 1e-9)


def test_fits_say_which_order_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """From formula to table, average information included."""
    from dagmodels.forms import information

    frame = pd.read_csv("examples/penicillin.csv")
    plain = dm.lmer("diameter ~ 1 + (1 | dish) + (1 | sample)", frame)
    force(monkeypatch)
    monkeypatch.setattr(information, "COSTLY", -1.0)
    other = dm.lmer("diameter ~ 1 + (1 | dish) + (1 | sample)", frame)
    assert "by plates the remainder would have" in other.diagnostics["elimination"]
    assert plain.diagnostics["elimination"] == "by plates, the largest first"
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(other.estimates["estimate"], plain.estimates["estimate"], rtol=1e-6)
    np.testing.assert_allclose(other.estimates["se"], plain.estimates["se"], rtol=1e-4)  # by differences
    assert other.latents["name"].tolist() == plain.latents["name"].tolist()
    for column in ("estimate", "sd"):
        np.testing.assert_allclose(other.latents[column], plain.latents[column], rtol=1e-5, atol=1e-8)


def test_what_does_not_fit_is_refused_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reordering, "DEAR", -1.0)
    monkeypatch.setattr(reordering, "available", lambda: 5000)
    with pytest.raises(FitError, match=r"needs .* MiB, and 0\.00477 MiB are there.*27 of 29 of 'v'"):
        crossed("Poisson", 1)
    monkeypatch.setattr(reordering, "available", lambda: None)  # where nobody tells, nothing is refused
    crossed("Poisson", 1)


def test_a_few_columns_far_from_zero_are_centred_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that stand for others (`centre`) move with their rows."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.arange(60) % 12, "h": rng.integers(0, 9, 60), "x": 1e6 + np.arange(60.0)})
    frame["y"] = 2.0 + 3e-2 * (frame.x - 1e6) + rng.normal(size=12)[frame.g] + rng.normal(size=60)
    plain = dm.lmer("y ~ x + (1 | g) + (1 | h)", frame)
    force(monkeypatch)
    other = dm.lmer("y ~ x + (1 | g) + (1 | h)", frame)
    for column, count in (("estimate", 5), ("se", 2)):  # those of scales come from differences
        first, second = (np.asarray(fit.estimates[column])[:count] for fit in (plain, other))
        np.testing.assert_allclose(second, first, rtol=1e-6, atol=1e-7)
