"""The complete data's expected criterion, on generated linear Gaussian graphs.

Two facts that hold for any split into data and latents: its slopes at the point where expectations were taken
are those of the observed criterion (Fisher's identity), and from there on it never falls by more than the
observed criterion does (Jensen's inequality, the reason why EM rises).
"""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.forms.complete import complete
from dagmodels.forms.field import Evaluator
from dagmodels.forms.start import starting_points
from tests.forms.test_field_oracle import prepared
from tests.oracle.generate import EXTRA, KINDS

CASES = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in range(6)]


def bounds(field):
    none = np.zeros(0)
    return tuple(
        np.concatenate([none, *(getattr(c, k) for c in field.coordinates)]) for k in ("lower", "upper")
    )


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_slopes_are_fishers_and_falls_are_jensens(kind: str, seed: int):
    _, _, field = prepared(kind, seed)
    if not field.coordinates:
        return
    rng = np.random.default_rng(seed)
    lower, upper = bounds(field)
    start, scale = next(starting_points(field))
    x = np.clip(start + 0.2 * rng.normal(size=start.size) * scale, lower, upper)
    evaluator, parts = Evaluator(field), complete(field)
    value, gradient = evaluator.value_and_gradient(x)
    criterion = parts.expected(evaluator)
    here, slopes = criterion(x)
    assert np.isfinite(value)
    assert not parts.beside.any()
    np.testing.assert_allclose(slopes, gradient, rtol=1e-8, atol=1e-8 * (1 + np.abs(gradient).max()))
    for size in (0.03, 0.3, 1.0):
        other = np.clip(x + size * rng.normal(size=x.size) * scale, lower, upper)
        fall, gain = criterion(other)[0] - here, evaluator.criterion(other).total - value
        assert gain <= fall + 1e-9 * (1 + abs(value)) or not np.isfinite(fall)
