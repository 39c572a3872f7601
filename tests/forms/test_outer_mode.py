"""Modes on the unconstrained scale: found from scratch, others where starts lead to them, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from dagmodels.errors import FitError
from dagmodels.forms.outer_mode import find_modes
from tests.forms.collapses import CASES, collapse


@pytest.mark.parametrize("name", CASES)
def test_the_mode_is_where_a_simplex_search_ends(name: str):
    case = CASES[name]()
    c = case.collapsed()
    found = c.modes()
    best = found.best
    other = optimize.minimize(
        lambda y: -2 * c.log_densities(y[None, :])[0],
        best.x + 0.3,
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000},
    )
    assert other.fun == pytest.approx(best.value, abs=1e-6)
    assert other.x == pytest.approx(best.x, abs=1e-3)
    assert found.others == ()
    step = 1e-4
    for e in np.eye(c.dimension):
        up, down = (c.log_density(best.x + sign * step * e)[1] for sign in (1, -1))
        assert best.hessian @ e == pytest.approx(-2 * (up - down) / (2 * step), rel=1e-4, abs=1e-4)


def test_further_modes_are_kept():
    """Two bumps whose heights are known, one at the first start, one where latents have scales near zero."""
    c = CASES["slopes"]().collapsed()
    starts = []

    def noted(y):  # type: ignore[no-untyped-def]
        starts.append(y.copy())
        return np.inf, y

    with pytest.raises(FitError):
        find_modes(noted, c.field, c.scale, c.names)
    near, far = starts[0], min(starts, key=lambda y: float(y.sum()))
    assert np.abs(near - far).max() > 3.0

    def f(y):  # type: ignore[no-untyped-def]
        a, b = np.exp(-0.5 * ((y - near) ** 2).sum()), 0.4 * np.exp(-2.0 * ((y - far) ** 2).sum())
        slope = -a * (y - near) - 4.0 * b * (y - far)
        return -2.0 * float(np.log(a + b)), -2.0 * slope / (a + b)

    found = find_modes(f, c.field, c.scale, c.names)
    assert found.best.x == pytest.approx(near, abs=2e-2)
    assert [o.x for o in found.others] == [pytest.approx(far, abs=1e-1)]


def test_a_density_that_rises_without_end_is_told():
    """Two groups under a flat scale: the density in log t does not fall to the left."""
    text = """model rise
    plate r
    m ~ Normal(0, 1)
    t ~ HalfNormal(1)
    observed y[r] ~ Normal(m, 1)
    """
    c = collapse(text + "s ~ HalfNormal(1)\nu ~ Normal(0, s)\n", {"y": [0.1, 0.4]})
    assert set(c.names) == {"t", "s"}

    def f(y):  # type: ignore[no-untyped-def]
        return 1e-3 * float(y.sum()), np.full(2, 1e-3)

    with pytest.raises(FitError, match=r"has no maximum that was found: '[ts]' went to"):
        find_modes(f, c.field, c.scale, c.names)
    with pytest.raises(FitError, match="not finite at any starting value"):
        find_modes(lambda y: (np.inf, y), c.field, c.scale, c.names)
