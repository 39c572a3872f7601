"""Derivatives of every answer about the elements: complex steps against central differences (1e-7)."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.forms.field import Evaluator
from tests.forms.test_field_oracle import point, prepared
from tests.oracle.generate import EXTRA, KINDS

CASES = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in range(3)]


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_every_answer_has_its_derivative(kind: str, seed: int) -> None:
    case, problem, field = prepared(kind, seed)
    x = point(problem, field, case.theta)
    if not x.size:
        pytest.fail("the generator made a case without outer unknowns")
    rng = np.random.default_rng(seed)
    direction, normals = rng.normal(size=x.size), rng.normal(size=field.pattern.n - 1)
    evaluator = Evaluator(field)
    every = np.arange(field.pattern.n - 1)

    def answers(t: float) -> list[np.ndarray]:
        deviance = evaluator.criterion(x + t * direction).deviance
        e = evaluator.elimination
        draw = field.restored(e.sample(normals))
        variances = e.selected_inverse()[field.pattern.place(every, every)]
        return [np.array([deviance]), evaluator.means(), draw, variances]

    found = evaluator.sensitivity(x, direction, normals)
    exact = [np.array([found.deviance]), found.means, found.draw, found.variances]
    h = 1e-4
    rows = [[(u - d) / (2 * k) for u, d in zip(answers(k), answers(-k), strict=True)] for k in (h, h / 2)]
    for want, wide, narrow in zip(exact, *rows, strict=True):
        richardson = (4 * narrow - wide) / 3
        scale = 1.0 + np.abs(richardson).max()
        np.testing.assert_allclose(want / scale, richardson / scale, atol=1e-7)
