"""Structures with a known covariance a cell: the same numbers as pair by pair, and as differences."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments, Sample, Structure
from dagmodels.numerics.row_moments import FEW, RowMoments

ENTRIES = (
    (PATH, 2, 0), (PATH, 3, 0), (PATH, 3, 2), (COVARIANCE, 0, 0), (COVARIANCE, 1, 1), (COVARIANCE, 2, 2),
    (COVARIANCE, 3, 3), (COVARIANCE, 1, 2), (MEAN, 1, 0), (MEAN, 2, 0), (MEAN, 3, 0), (MEAN, 0, 0),
)  # fmt: skip
VALUES = np.array([0.8, 0.5, 0.3, 1.2, 0.5, 0.6, 0.7, 0.1, 0.1, 0.2, 0.3, 0.4] * 2)


def case(seed: int) -> tuple[Structure, Sample]:
    """Two groups of one latent and three observed variables, rows with gaps and errors."""
    rng, groups, n = np.random.default_rng(seed), 2, FEW + 20
    entries = [(k, g, i, j) for g in range(groups) for k, i, j in ENTRIES]
    kind, group, row, column = np.array(entries).T
    paths = np.zeros((groups, 4, 4))
    paths[:, 1, 0] = 1.0
    structure = Structure(
        np.array([1, 2, 3]), paths, np.zeros((groups, 4, 4)), np.zeros((groups, 4)), kind, group, row, column
    )
    mask = rng.uniform(size=(n, 3)) > 0.2
    mask[:, 0] = True
    root = 0.5 * rng.normal(size=(n, 3, 3))
    mean = np.where(mask, rng.normal(size=(n, 3)), 0.0)
    sample = Sample(
        rng.integers(0, groups, n),
        np.ones(n),
        mask,
        mean,
        np.zeros((n, 3, 3)),
        root @ root.transpose(0, 2, 1),
    )
    return structure, sample


@pytest.mark.parametrize("seed", range(5))
def test_sums_over_cells_give_what_pairs_of_entries_give(seed: int) -> None:
    structure, sample = case(seed)
    rows, pairs = RowMoments(structure, sample, VALUES), Moments(structure, sample, VALUES)
    assert rows.value == pairs.value
    np.testing.assert_allclose(rows.gradient, pairs.gradient, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rows.information(), pairs.information(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(rows.hessian(), pairs.hessian(), rtol=1e-11, atol=1e-11)


def test_value_is_that_of_dense_normals() -> None:
    structure, sample = case(7)
    rows = RowMoments(structure, sample, VALUES)
    total = 0.0
    for i in range(len(sample.n)):
        at = np.flatnonzero(sample.mask[i])
        seen, g = structure.observed[at], sample.group[i]
        cov = rows.covariance[g][np.ix_(seen, seen)] + sample.extra[i][np.ix_(at, at)]
        away = sample.mean[i, at] - rows.mean[g, seen]
        total += at.size * np.log(2 * np.pi) + np.linalg.slogdet(cov)[1] + away @ np.linalg.solve(cov, away)
    assert rows.value == pytest.approx(total, rel=1e-12)


def test_hessian_is_the_slope_of_the_gradient() -> None:
    structure, sample = case(3)

    def slope(at: np.ndarray) -> np.ndarray:
        return RowMoments(structure, sample, at).gradient

    h = 1e-5
    found = np.array([(slope(VALUES + h * e) - slope(VALUES - h * e)) / (2 * h) for e in np.eye(VALUES.size)])
    np.testing.assert_allclose(RowMoments(structure, sample, VALUES).hessian(), found, rtol=1e-6, atol=1e-5)
