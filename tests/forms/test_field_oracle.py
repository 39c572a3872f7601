"""The field form against the dense oracle, on generated linear-Gaussian graphs.

The oracle builds the joint normal law element by element from the graph's text, in plain numpy, and
shares no code with the form, the elimination or the tape.
"""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.roles import roles
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_field import build_field
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.outer import coordinates_of
from dagmodels.forms.saturated import entries_of
from tests.oracle.cases import problem_of
from tests.oracle.dense import dense
from tests.oracle.derivatives import gradient
from tests.oracle.generate import EXTRA, KINDS, linear_gaussian_case

SEEDS = range(24)
ALL = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in SEEDS]
DIFFERENTIATED = [(kind, seed) for kind in (*KINDS, *EXTRA) for seed in range(8)]


def prepared(kind: str, seed: int):
    case = linear_gaussian_case(seed, kind)
    problem = problem_of(case.text, case.data)
    field = build_field(problem, roles(problem.graph, problem))
    return case, problem, field


def point(problem: Problem, field: Field, theta: dict[str, np.ndarray]) -> np.ndarray:
    """Coordinates of the outer unknowns' values."""
    parts = []
    for c in field.coordinates:
        if c.group is not None:
            parts.append(entries_of(c.group, {n: np.asarray(theta[n]) for n in c.group.names})[c.node])
            continue
        value = np.asarray(theta[c.node], dtype=float).reshape(-1)
        if c.order == 0:
            value = value[free_places(problem, c.node)]
        parts.append(coordinates_of(c, value))
    return np.concatenate(parts) if parts else np.zeros(0)


@pytest.mark.parametrize(("kind", "seed"), ALL)
def test_roles_are_those_the_case_was_made_with(kind: str, seed: int) -> None:
    case, _, field = prepared(kind, seed)
    found = dict.fromkeys(field.roles.outer, "outer") | dict.fromkeys(field.roles.profiled, "profiled")
    for name, role in case.roles.items():
        if role in ("outer", "profiled"):
            assert found.get(name) == role, name
        else:
            assert name in field.roles.integrated


@pytest.mark.parametrize(("kind", "seed"), ALL)
def test_likelihood_and_moments(kind: str, seed: int) -> None:
    """Log likelihood, conditional means and standard deviations to 1e-8 of the dense law."""
    case, problem, field = prepared(kind, seed)
    evaluator = Evaluator(field)
    deviance = evaluator.criterion(point(problem, field, case.theta)).deviance
    law = dense(problem, case.theta)
    np.testing.assert_allclose(-0.5 * deviance, float(law.loglik("declared")), rtol=1e-8, atol=1e-8)
    means = evaluator.means()
    free_sd = np.sqrt(diagonal(field, evaluator.elimination.selected_inverse()))
    given_sd = np.sqrt(diagonal(field, evaluator.elimination.selected_inverse(given_free=True)))
    every, none = law.conditional("all"), law.conditional("none")
    compared = set()
    for name, want in every.means.items():
        if name in field.roles.predicted:  # cells of vector leaves: their patterns leave them out
            continue
        want = np.asarray(want, dtype=float).reshape(-1)
        known = np.flatnonzero(np.isfinite(want) & (field.rows[name] >= 0))
        rows = field.rows[name][known]
        scale = 1.0 + np.abs(want[known])
        np.testing.assert_allclose(means[rows] / scale, want[known] / scale, atol=1e-8)
        np.testing.assert_allclose(free_sd[rows], sds(every, name)[known], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(given_sd[rows], sds(none, name)[known], rtol=1e-8, atol=1e-8)
        compared.update(rows.tolist())
    coefficients = law.coefficients()
    for (name, codes), mean, sd in zip(
        coefficients.elements, coefficients.mean, coefficients.sd, strict=True
    ):
        place = int(np.ravel_multi_index(codes, problem.shape(name))) if codes else 0
        row = field.rows[name][place]
        assert means[row] == pytest.approx(float(mean), rel=1e-8, abs=1e-8)
        assert free_sd[row] == pytest.approx(float(sd), rel=1e-8)
        compared.add(int(row))
    assert compared == {int(r) for name, rows in field.rows.items() for r in rows[unknown(problem, name)]}


def unknown(problem: Problem, name: str) -> np.ndarray:
    """Places of a block node that neither data nor an `=` statement give."""
    free = free_places(problem, name)
    data = problem.observed.get(name)
    return free if data is None else free[~data.reshape(-1)[free]]


def sds(law, name: str) -> np.ndarray:
    return np.asarray(law.sds[name], dtype=float).reshape(-1)


def diagonal(field: Field, covariance: np.ndarray) -> np.ndarray:
    rows = np.arange(field.pattern.n - 1)
    return np.maximum(covariance[field.pattern.place(rows, rows)], 0.0)


@pytest.mark.parametrize(("kind", "seed"), DIFFERENTIATED)
def test_gradient(kind: str, seed: int) -> None:
    """The exact gradient against complex steps (or Richardson differences) through the dense law, 1e-8."""
    case, problem, field = prepared(kind, seed)
    evaluator = Evaluator(field)
    x = point(problem, field, case.theta)
    evaluator.criterion(x)
    evaluator.field.prior_counts[:] = 0.0  # the oracle's criterion is the likelihood alone
    ours = evaluator.gradient()
    theirs = gradient(problem, case.theta, free="declared")
    total = np.zeros(x.size)
    for c in field.coordinates:
        at = field.tape.place(field.outer_registers[c.node])
        by_value = np.nan_to_num(np.asarray(theirs.value[c.node], dtype=float).reshape(-1))  # fixed levels
        if c.order:
            blocks = by_value.reshape(-1, c.order, c.order) * (0.5 + 0.5 * np.eye(c.order))
            by_value = blocks.reshape(-1)
        for place in range(at.stop - at.start):
            bar = np.zeros(evaluator.w.size)
            bar[at.start + place] = 1.0
            field.tape.reverse(evaluator.w, bar)
            total += by_value[place] * bar[field.x_places]
    scale = 1.0 + np.abs(ours)
    np.testing.assert_allclose(-0.5 * ours / scale, total / scale, atol=1e-8)
