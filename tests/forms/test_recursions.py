"""Definitions that look back at themselves: values, gradients, and what is multiplied with itself."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.analysis.collapsible import collapsible
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import build_flat
from dagmodels.readers.dag import from_text

GROWTH = """model growth
plate unit
plate t in unit ordered
covariate h[t]
n[t first] ~ LogNormal(b, 1)
n[t] = n[t-1]*r[unit]**h + 0.1*total[t-1]
total[t first] = n
total[t] = total[t-1] + n
r[unit] ~ LogNormal(b, 0.3)
b ~ Normal(0, 1)
observed y[t] ~ Normal(total, 1)
"""
DATA = {
    "t": {
        "unit": ["a", "a", "a", "b", "b"],
        "t": [1, 2, 3, 1, 2],
        "h": [0.0, 1, 2, 0, 1],
        "y": [1.0, 2, 3, 2, 1],
    }
}


def by_hand(b: complex, r: np.ndarray, first: np.ndarray) -> complex:
    """The log density of growth in b, log r and the logs of first elements, without constants."""
    h, y = [[0, 1, 2], [0, 1]], [[1.0, 2, 3], [2.0, 1]]
    total = -0.5 * b**2
    for k in range(2):
        total += -0.5 * ((r[k] - b) / 0.3) ** 2 - 0.5 * (first[k] - b) ** 2
        n = sums = np.exp(first[k])
        total += -0.5 * (y[k][0] - sums) ** 2
        for j in range(1, len(y[k])):
            n = n * np.exp(r[k]) ** h[k][j] + 0.1 * sums
            sums = sums + n
            total += -0.5 * (y[k][j] - sums) ** 2
    return total


def test_density_and_gradient_are_those_of_the_loop_by_hand() -> None:
    flat = build_flat(bind(from_text(GROWTH), DATA))
    assert flat.size == 5

    def parts(x: np.ndarray) -> tuple:
        own = {n: x[[k for k, name in enumerate(flat.names) if name[0] == n]] for n in "brn"}
        return own["b"][0], own["r"], own["n"]

    rng = np.random.default_rng(3)
    points = 0.5 * rng.normal(size=(4, 5))
    ours = [flat.value_and_gradient(x) for x in points]
    theirs = [by_hand(*parts(x.astype(complex))) for x in points]
    for (value, gradient), hand, x in zip(ours, theirs, points, strict=True):
        assert value - ours[0][0] == pytest.approx((hand - theirs[0]).real, abs=1e-10)
        steps = [by_hand(*parts(x + 1e-30j * np.eye(5)[k])).imag / 1e-30 for k in range(5)]
        np.testing.assert_allclose(gradient, steps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("step", "linear"),
    [
        ("n[t-1]*r", False),
        ("n[t-1] + r", True),
        ("n[t-1]*2 + r", True),
        ("a[t-1]", False),
        ("r/n[t-1]", False),
    ],
)
def test_what_is_multiplied_with_itself_is_not_integrated_as_linear(step: str, linear: bool) -> None:
    dag = from_text(f"""model growth
    plate t ordered
    n[t first] = 1
    n[t] = {step}
    a[t first] = 1
    a[t] = n*r
    r ~ Normal(1, 0.1)
    observed y[t] ~ Normal(n, 1)
    """)
    assert (collapsible(dag, bind(dag, {"t": {"y": [1.0, 2, 3]}})).integrated == ("r",)) == linear


def test_a_first_element_with_a_law_is_unknown_whatever_defines_the_rest() -> None:
    """Observations of n, 2n and 4n with unit errors and a standard normal n: precision 22."""
    g = dm.read("""model doubling
    plate t ordered
    n[t first] ~ Normal(0, 1)
    n[t] = 2*n[t-1]
    observed y[t] ~ Normal(n, 1)
    """)
    fit = g.fit({"t": {"y": [1.0, 2, 3]}}, method="gibbs", seed=1, draws=4000)
    rows = fit.estimates.set_index("name")
    mean, sd = 17 / 22, 22**-0.5
    for k, name in enumerate(n for n in rows.index if n.startswith("n[")):
        assert abs(rows["estimate"][name] - 2**k * mean) < 4.5 * rows["mcse"][name]  # once in 147,000
        assert rows["se"][name] == pytest.approx(2**k * sd, rel=0.06)


def test_elements_in_a_circle_are_refused() -> None:
    g = dm.read("""model circle
    plate t ordered
    a[t first] = 1
    a[t] = b[t-1]
    b[t] = b0*a
    b0 ~ LogNormal(0, 1)
    observed y[t] ~ Normal(b, 1)
    """)
    assert g.fit({"t": {"y": [1.0, 2, 3]}}, method="gibbs", seed=1, draws=200).draws is not None
    with pytest.raises((dm.ModelErrors, FitError)):
        dm.read("model circle\nplate t\na[t] = b[t]\nb[t] = a[t]\nobserved y[t] ~ Normal(b, 1)\n")
