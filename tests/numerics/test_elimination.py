"""The elimination against dense algebra on random systems, sparse part and dense tail both forced."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dagmodels.numerics import elimination, fill
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, pattern
from tests.numerics.systems import SHAPES, dense, exact, filled, of, pattern_of, permuted, random_system

SEEDS = range(12)
SHARES = (0.0, 0.5, 2.0)  # all dense; as shipped; all sparse but the constant
CASES = [(shape, seed) for shape in SHAPES for seed in SEEDS]
TOLERANCE = 1e-10


def close(got, want, tolerance: float = TOLERANCE) -> None:
    """Within the tolerance of the largest number compared (at least one)."""
    got, want = np.asarray(got), np.asarray(want)
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(got / scale, want / scale, rtol=0, atol=tolerance)


@pytest.fixture(params=SHARES)
def share(request, monkeypatch):
    monkeypatch.setattr(fill, "_DENSE_SHARE", request.param)
    return request.param


def entries(system, shape):
    """All pairs of the pattern with their places."""
    n = system.q + 1
    low, high = np.triu_indices(n)
    known = {int(k) for k in shape.keys} | {i * n + i for i in range(n)}
    keep = np.array([(i >= shape.ts) or (i * n + j in known) for i, j in zip(low, high, strict=True)])
    return low[keep], high[keep], shape.place(low[keep], high[keep])


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_all_answers(shape: str, seed: int, share: float) -> None:
    system = random_system(seed, shape)
    want = of(system)
    work = filled(system)
    logdet, residual = work.eliminate()
    close(logdet, want.logdet)
    close(residual, want.residual)
    close(work.mean(), want.mean)
    i, j, places = entries(system, work.pattern)
    inner = j < system.q
    close(work.selected_inverse()[places[inner]], want.covariance[i[inner], j[inner]])
    close(work.selected_inverse(given_free=True)[places[inner]], want.given_free[i[inner], j[inner]])


def test_sparse_rows_and_dense_tails_both_occur() -> None:
    """Without forcing: some systems have both, and the forced ones are what they are meant to be."""
    both = 0
    for shape, seed in CASES:
        system = random_system(seed, shape)
        both += 0 < pattern_of(system).ts < system.q
    assert both >= 20


def test_forced_shares(share: float) -> None:
    system = random_system(3, "crossed")
    ts = pattern_of(system).ts
    if share == 0.0:
        assert ts == 0
    elif share == 2.0:
        assert ts == system.q


@pytest.mark.parametrize("seed", range(6))
def test_sixty_uncoupled_elements_beside_a_dense_core(seed: int) -> None:
    """The everyday shape: a large plate on a few coupled elements; rows before the tail are sparse."""
    rng = np.random.default_rng(seed)
    plate, core = 200, 5
    q = plate + core
    system = random_system(seed, "lonely", most=1)
    parents = np.zeros((q, q + 1), bool)
    parents[np.arange(plate), plate + rng.integers(0, core, plate)] = True
    touched = np.zeros((4 * q, q + 1), bool)
    touched[:, q] = True
    touched[np.arange(4 * q), rng.integers(0, q, 4 * q)] = True
    touched[:core, plate:] = True
    system = replace(
        system,
        kind=np.full(q, SCALED, np.uint8),
        s=rng.exponential(1.0, q) * (rng.random(q) < 0.8),
        T=np.where(parents, rng.normal(size=parents.shape), 0.0),
        rows=np.where(touched, rng.normal(size=touched.shape), 0.0),
        touched=touched,
        parents=parents,
    )
    work = filled(system)
    assert 0 < work.pattern.ts <= q
    want = of(system)
    logdet, residual = work.eliminate()
    close(logdet, want.logdet)
    close(residual, want.residual)
    close(work.mean(), want.mean)
    diagonal = work.pattern.place(np.arange(q), np.arange(q))
    close(work.selected_inverse()[diagonal], np.diag(want.covariance))


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_draws_are_affine_with_the_right_square_root(shape: str, seed: int, share: float) -> None:
    """A draw is mean + M z exactly, and MM' is the covariance: no Monte Carlo in it."""
    system = random_system(seed, shape, most=25)
    want = of(system)
    work = filled(system)
    work.eliminate()
    mean = work.mean()
    close(work.sample(np.zeros(system.q)), want.mean)
    M = np.stack([work.sample(z) - mean for z in np.eye(system.q)], axis=1)
    close(M @ M.T, want.covariance)
    z = np.random.default_rng(seed).normal(size=system.q)
    close(work.sample(z), mean + M @ z)


def test_draws_by_moments() -> None:
    """Means and covariances of 40,000 draws within 6 Monte Carlo standard errors.

    At most 8 + 36 entries in each of 4 systems are compared: the false-alarm rate is below
    176 * 2e-9 = 4e-7 for normal errors.
    """
    for seed in range(4):
        system = random_system(seed, "mixed", most=8)
        want = of(system)
        work = filled(system)
        work.eliminate()
        rng = np.random.default_rng(seed)
        n = 40_000
        draws = np.array([work.sample(z) for z in rng.normal(size=(n, system.q))])
        d = np.diag(want.covariance)
        tiny = 1e-12 * max(1.0, float(d.max()))
        assert np.all(abs(draws.mean(axis=0) - want.mean) <= 6 * np.sqrt(d / n) + tiny)
        centred = draws - want.mean
        error = np.sqrt((np.outer(d, d) + want.covariance**2) / n)
        assert np.all(abs(centred.T @ centred / n - want.covariance) <= 6 * error + tiny)


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_any_order_with_children_first_gives_the_same(shape: str, seed: int, share: float) -> None:
    """Random topological orders; free elements anywhere, profiled ones after them."""
    system = random_system(seed, shape, most=30)
    rng = np.random.default_rng(seed)
    first = filled(system)
    answers = first.eliminate()
    for _ in range(3):
        order = random_order(rng, system)
        work = filled(permuted(system, order))
        logdet, residual = work.eliminate()
        close(logdet, answers[0])
        close(residual, answers[1])
        close(work.mean(), first.mean()[order])
        at = work.pattern.place(np.arange(system.q), np.arange(system.q))
        back = first.pattern.place(order, order)
        close(work.selected_inverse()[at], first.selected_inverse()[back])


def random_order(rng, system):
    """Children before parents, otherwise at random; profiled elements last."""
    waiting = system.parents[:, : system.q].sum(axis=0)
    left, order = set(range(system.q)), []
    while left:
        ready = [i for i in left if waiting[i] == 0]
        early = [i for i in ready if system.kind[i] != PROFILED]
        i = int(rng.choice(early or ready))
        left.remove(i)
        order.append(i)
        waiting = waiting - system.parents[i, : system.q]
    return np.array(order)


def test_free_before_scaled_elements() -> None:
    """Elements whose order is not tied may have a free one in front; the totals do not change."""
    system = random_system(5, "lonely", most=12)
    kind = np.where(np.arange(system.q) % 3 == 0, FREE, SCALED).astype(np.uint8)
    system = replace(system, kind=kind, s=np.where(kind == SCALED, 0.7, 0.0), parents=system.parents * False)
    touched = np.concatenate([system.touched, np.eye(system.q, system.q + 1, dtype=bool)] * 2)
    rows = np.where(touched, np.random.default_rng(1).normal(size=touched.shape), 0.0)
    system = replace(system, T=system.T * 0, rows=rows, touched=touched)
    want = of(system)
    work = filled(system)
    logdet, residual = work.eliminate()
    close(logdet, want.logdet)
    close(residual, want.residual)
    close(work.mean(), want.mean)


@pytest.mark.parametrize("seed", range(30))
def test_extreme_scales_in_rational_arithmetic(seed: int, share: float) -> None:
    """Scales 1e8, 1e-8, 0 and 1 together, against exact fractions: 1e-10 of the answers' sizes."""
    rng = np.random.default_rng(seed)
    system = random_system(seed, ("random", "chain", "tree", "dense")[seed % 4], most=7)
    scales = [Fraction(0), Fraction(1), Fraction(10) ** 8, Fraction(1, 2**27)]
    s = [
        scales[int(k)] if system.kind[i] == SCALED else Fraction(0)
        for i, k in enumerate(rng.integers(0, 4, system.q))
    ]
    system = replace(system, s=np.array([float(x) for x in s]))
    logdet, residual, mean = exact(system.kind, s, system.T, system.H)
    work = filled(system)
    got = work.eliminate()
    close(got[0], logdet)
    H = abs(system.H).max()
    assert abs(got[1] - residual) <= TOLERANCE * max(H, 1.0)
    close(work.mean(), mean, 1e-9)


def test_all_scales_zero() -> None:
    """Pure substitution: no determinant, means are the deterministic values, no covariance."""
    system = random_system(2, "chain", free=False)
    system = replace(system, s=np.zeros(system.q))
    work = filled(system)
    logdet, residual = work.eliminate()
    u = np.linalg.solve(np.eye(system.q) - system.T[:, :-1], system.T[:, -1])
    assert logdet == 0.0
    close(work.mean(), u)
    full = np.append(u, 1.0)
    close(residual, full @ system.H @ full)
    assert not work.selected_inverse().any()
    close(work.sample(np.ones(system.q)), u)


def test_no_elements_at_all() -> None:
    """Only the constant: the residual is the data's own."""
    none = np.zeros(0, np.int64)
    shape = pattern(np.zeros(0, np.uint8), np.array([0]), np.array([0]), none, none)
    work = elimination.Elimination(shape)
    work.H[shape.place(np.array([0]), np.array([0]))] = 3.5
    assert work.eliminate() == (0.0, 3.5)
    assert work.mean().size == 0


def test_no_data_gives_the_prior() -> None:
    system = random_system(4, "random", free=False)
    system = replace(system, rows=0 * system.rows)
    work = filled(system)
    logdet, residual = work.eliminate()
    assert (logdet, residual) == (0.0, 0.0)
    want = dense(system.kind, system.s, system.T, 0 * system.H)
    close(work.mean(), want.mean)
    diagonal = work.pattern.place(np.arange(system.q), np.arange(system.q))
    close(work.selected_inverse()[diagonal], np.diag(want.covariance))


def test_a_free_element_without_data_has_no_determinant() -> None:
    kind = np.array([SCALED, FREE], np.uint8)
    one = np.array([0, 0, 2])
    shape = pattern(kind, one, np.array([0, 2, 2]), np.zeros(0, np.int64), np.zeros(0, np.int64))
    work = elimination.Elimination(shape)
    work.s[:2] = (1.0, 0.0)
    work.H[shape.place(np.array([0]), np.array([0]))] = 1.0
    assert np.isnan(work.eliminate()[0])


def test_a_design_without_full_rank_is_not_given_a_finite_determinant() -> None:
    """The third column is the sum of two others: what rounding leaves of its pivot is no information."""
    finite = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(30, 2))
        rows = np.column_stack([X, X.sum(axis=1), rng.normal(size=30)])
        i, j = np.triu_indices(4)
        none = np.zeros(0, np.int64)
        work = elimination.Elimination(pattern(np.full(3, FREE, np.uint8), i, j, none, none))
        work.H[work.pattern.place(i, j)] = (rows.T @ rows)[i, j]
        if np.isfinite(work.eliminate()[0]):
            finite.append(seed)
    assert finite == []


def test_parents_before_children_are_refused() -> None:
    kind = np.full(2, SCALED, np.uint8)
    with pytest.raises(ValueError, match="children first"):
        pattern(kind, np.array([0]), np.array([1]), np.array([1]), np.array([0]))


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_places_are_one_to_one(shape: str, seed: int, share: float) -> None:
    """Every pair of the pattern has its own place, in either order of its two elements."""
    system = random_system(seed, shape)
    p = pattern_of(system)
    i, j, places = entries(system, p)
    assert np.unique(places).size == places.size
    assert places.min() >= 0
    assert places.max() < p.size
    np.testing.assert_array_equal(p.place(j, i), places)


@pytest.mark.parametrize(("shape", "seed"), CASES[::3])
def test_place_or_none(shape: str, seed: int, share: float) -> None:
    """As `place` on the pattern; -1 elsewhere."""
    system = random_system(seed, shape)
    p = pattern_of(system)
    i, j, places = entries(system, p)
    every_i, every_j = (x.reshape(-1) for x in np.indices((system.q + 1, system.q + 1)))
    want = np.full((system.q + 1, system.q + 1), -1)
    want[i, j] = want[j, i] = places
    np.testing.assert_array_equal(p.place_or_none(every_i, every_j), want.reshape(-1))


@pytest.mark.parametrize("shape", SHAPES)
def test_diagonal_places(shape: str) -> None:
    p = pattern_of(random_system(5, shape))
    places = np.arange(p.size)
    low, high = p.rows_of(places)
    own, rows = p.diagonal(places)
    assert np.array_equal(own, low == high)
    assert np.array_equal(rows, low[own])
