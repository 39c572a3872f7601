"""Solutions with a factor at hand: against dense algebra, and against eliminating anew."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, Elimination, pattern


def problem(seed: int, sparse: int, tail: int, free: int, parents: bool):
    """Children that meet a few of the others, which all meet; some have parents, the last are free."""
    rng = np.random.default_rng([seed, sparse, tail])
    n = sparse + tail
    kind = np.full(n, SCALED, np.uint8)
    kind[n - free :] = [FREE if k % 2 else PROFILED for k in range(free)]
    D = np.zeros((4 * n, n))
    D[:, sparse:] = rng.normal(size=(4 * n, tail)) * (rng.random((4 * n, tail)) < 0.3)
    if sparse:
        D[np.arange(4 * n), rng.integers(0, sparse, 4 * n)] = rng.normal(size=4 * n)
    full = np.column_stack([D, rng.normal(size=4 * n)])
    H = full.T @ full
    T = np.zeros((n, n + 1))
    if parents:
        child = rng.choice(n - free, min(12, n - free - 1), replace=False)
        for c in child:
            T[c, rng.integers(c + 1, n + 1)] = rng.normal()
    s = np.where(kind == SCALED, rng.uniform(0, 2, n) * (rng.random(n) < 0.9), 0.0)
    i, j = np.nonzero(np.triu(H))
    child, parent = np.nonzero(T)
    every = np.arange(n)
    work = Elimination(pattern(kind, np.append(i, every), np.append(j, np.full(n, n)), child, parent))
    np.add.at(work.H, work.pattern.place(i, j), H[i, j])
    np.add.at(work.T, work.pattern.place(child, parent), T[child, parent])
    work.s[:-1] = s
    return rng, work, kind, H[:n, :n], T[:, :n], s


SHAPES = [(0, 6, 2, True), (20, 5, 2, True), (30, 60, 3, False), (30, 60, 3, True), (0, 130, 4, True)]


@pytest.mark.parametrize(("sparse", "tail", "free", "parents"), SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_responses(seed: int, sparse: int, tail: int, free: int, parents: bool) -> None:
    rng, work, kind, H, T, s = problem(seed, sparse, tail, free, parents)
    n = kind.size
    work.eliminate()
    loads = rng.normal(size=(4, n))
    got = work.responses(loads)
    # u = A d e + B b over shocks e and free elements b, so that scales of zero are ordinary
    A = np.linalg.inv(np.eye(n) - T)
    B = A @ np.diag(np.where(kind == SCALED, np.sqrt(s), 1.0))
    inner = B.T @ H @ B + np.diag((kind == SCALED).astype(float))
    want = -(B @ np.linalg.solve(inner, B.T @ loads.T)).T
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9 * np.abs(want).max())


def test_rows_of_places() -> None:
    _, work, *_ = problem(0, 20, 60, 2, True)
    low, high = work.pattern.entries()
    got = work.pattern.rows_of(np.arange(work.pattern.size))
    np.testing.assert_array_equal(got[0], low)
    np.testing.assert_array_equal(got[1], high)
