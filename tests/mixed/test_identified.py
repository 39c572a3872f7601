"""What the data cannot tell is said, and edges of the domain are named, whatever the units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import refused

GROUPS, EACH = 24, 10


@pytest.fixture
def df() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(GROUPS), EACH)
    found = pd.DataFrame({"g": g, "x": rng.normal(size=g.size)})
    u = 0.8 * rng.normal(size=GROUPS)
    found["y"] = 1 + 0.5 * found["x"] + u[g] + rng.normal(size=g.size)
    found["success"] = (rng.random(g.size) < 1 / (1 + np.exp(-found["x"] - u[g]))).astype(int)
    found["same"] = [f"level {i}" for i in g]
    return found


@pytest.mark.parametrize(
    ("terms", "part"),
    [
        ("(1 | g) + (1 | g)", "(Intercept) varies twice by the same groups, in (1 | g) and (1 | g)"),
        ("(x | g) + (1 | g)", "(Intercept) varies twice by the same groups, in (x | g) and (1 | g)"),
        ("(1 | g) + (1 | same)", "('same' and 'g' group the rows alike)"),
        ("(x | g) + (0 + x | same)", "x varies twice by the same groups"),
        ("(x | g) + (x | same)", "(Intercept) and x vary twice by the same groups"),
    ],
)
def test_an_effect_varies_once_by_the_same_groups(df: pd.DataFrame, terms: str, part: str):
    """Of two such variances only the sum is known: any split has the same likelihood."""
    with refused(part):
        dm.lmer(f"y ~ x + {terms}", df)
    with refused(part):
        dm.glmer(f"success ~ x + {terms}", df)


def test_groups_that_are_alike_where_there_are_responses(df: pd.DataFrame):
    df["other"] = df["g"].where(df.index > 0, "apart")
    assert dm.lmer("y ~ x + (1 | g) + (1 | other)", df).converged
    with refused("'other' and 'g' group the rows alike"):
        dm.lmer("y ~ x + (1 | g) + (1 | other)", df.assign(y=df["y"].where(df.index > 0)))


def test_different_effects_of_one_grouping_factor(df: pd.DataFrame):
    one = dm.lmer("y ~ x + (1 | g) + (0 + x | same)", df)
    two = dm.lmer("y ~ x + (x || g)", df)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-8)


def test_a_flat_criterion_is_no_optimum(df: pd.DataFrame):
    """REML integrates the level means out, and with them all that tells the variance between levels."""
    with pytest.warns(dm.FitWarning, match="does not depend on"):
        fit = dm.lmer("y ~ x + factor(g) + (x | g)", df)
    assert not fit.converged
    assert not np.isfinite(fit.estimates.set_index("name").loc["sd_(Intercept)|g", "se"])


def test_scales_of_a_graph_of_which_only_a_sum_is_known(df: pd.DataFrame):
    graph = dm.read(
        """
        model twice
        plate g
        plate same
        plate row in g, same
        u[g] ~ Normal(0, s)
        v[same] ~ Normal(0, t)
        parameter m
        parameter s, t, sigma > 0
        observed y[row] ~ Normal(m + u + v, sigma)
        """
    )
    with pytest.warns(dm.FitWarning, match="the criterion does not depend on '[st]' here"):
        assert not graph.fit(df).converged


@pytest.mark.parametrize("units", [1e-12, 1e-4, 1.0, 1e12])
def test_edges_do_not_depend_on_units(units: float):
    """Intercepts and slopes that follow one another: the correlation is on its edge, no variance is zero."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 8)
    x, u = rng.normal(size=g.size), rng.normal(size=12)
    data = pd.DataFrame({"g": g, "x": x * units, "y": 1 + u[g] * (1 + x) + 0.1 * rng.normal(size=g.size)})
    with pytest.warns(dm.FitWarning, match=r"the correlation of \(Intercept\) and x by g is 1 or -1"):
        fit = dm.lmer("y ~ x + (x | g)", data)
    table = fit.estimates.set_index("name")
    assert fit.boundary == ("cor_x.(Intercept)|g",)
    assert np.isnan(table.loc["cor_x.(Intercept)|g", "se"])
    assert table.loc["sd_x|g", "estimate"] * units == pytest.approx(0.8625, abs=0.2)
