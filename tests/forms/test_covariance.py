"""Derivatives of covariances from the factor at hand: against complex steps through another elimination."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.forms.covariance import covariance_slopes
from dagmodels.forms.field import Evaluator
from tests.forms.test_field_oracle import point, prepared
from tests.oracle.generate import EXTRA, KINDS

STEP = 1e-30
CASES = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in range(4)]


def by_complex_steps(evaluator: Evaluator, x: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Derivative of the kernels' covariance in coordinate k: means under unit loads, at x + i*STEP."""
    pattern = evaluator.field.pattern
    last = pattern.place(np.arange(pattern.n), np.full(pattern.n, pattern.n - 1))
    found = np.zeros((rows.size, rows.size))
    for b, row in enumerate(rows):
        e, _ = evaluator._stepped(x, STEP * np.eye(x.size)[k])
        e.H[last] = 0.0
        e.T[last] = 0.0
        e.H[last[row]] = -1.0
        e.eliminate()
        found[:, b] = e.mean()[rows].imag / STEP
    return found


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_slopes_of_covariances(kind: str, seed: int) -> None:
    """Some coefficients and latents together, at most six; 1e-9 of the largest entry."""
    case, problem, field = prepared(kind, seed)
    x = point(problem, field, case.theta)
    evaluator = Evaluator(field)
    evaluator.criterion(x)
    every = np.arange(field.pattern.n - 1)
    rows = np.sort(np.random.default_rng(seed).permutation(every)[:5])
    rows = np.unique(np.append(rows, every[-1:]))
    inner, back = evaluator.with_moves(rows)
    found = covariance_slopes(evaluator, x, rows)
    assert found.shape == (x.size, rows.size, rows.size)
    for k in range(x.size):
        want = back @ by_complex_steps(evaluator, x, inner, k) @ back.T
        scale = max(1.0, float(np.abs(want).max(initial=0.0)))
        np.testing.assert_allclose(found[k] / scale, want / scale, atol=1e-9)
