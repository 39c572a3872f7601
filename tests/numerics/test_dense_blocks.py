"""Blocks of the dense tail against the plain loops, products against numpy, wide rows against pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dagmodels.numerics import dense_blocks, dense_products, fill, symbolic_kernels, tail_kernels
from dagmodels.numerics.dense_products import PANEL, STRIP, accumulate
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, Elimination, pattern
from dagmodels.numerics.tail_kernels import LONG, SPARE
from tests.numerics.systems import System, dense, filled, of, pattern_of

STEP = 1e-30
SIZES = (2, STRIP, STRIP + 1, PANEL, PANEL + 1, PANEL + 2, 2 * PANEL, 3 * PANEL + STRIP + 3, 150)
PARENTS = ("none", "one", "some", "all")


def same(got, want, tolerance: float = 1e-12) -> None:
    """Within the tolerance of the largest number compared."""
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.max(np.abs(want), initial=1e-300))


# -- products -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("upper", [False, True])
def test_products(seed: int, upper: bool) -> None:
    """Any numbers of rows, terms and columns, A by rows or by columns, blocks of zeros."""
    rng = np.random.default_rng(seed)
    rows, inner = (int(x) for x in rng.integers(1, 23, 2))
    cols = int(rng.choice([rows, rows + 3, 40, SPARE - 1, SPARE, SPARE + 5]))
    cols = max(cols, rows)
    A = rng.normal(size=(rows, inner)) * (rng.random((rows, inner)) < rng.choice([0.1, 1.0]))
    B, C = rng.normal(size=(inner, cols)), rng.normal(size=(rows, cols))
    want = C + A @ B
    stride = cols + int(rng.integers(0, 4))
    flat = np.full(7 + rows * stride, np.nan)
    at = 7 + np.arange(rows)[:, None] * stride + np.arange(cols)
    flat[at] = C
    if seed % 2:
        left = (A.ravel(), 0, inner, 1)
    else:
        left = (np.append(0.0, A.T.ravel()), 1, 1, rows)
    accumulate(flat, 7, stride, *left, B.ravel(), 0, cols, rows, inner, cols, upper, np.zeros(SPARE))
    got = flat[at]
    keep = np.triu(np.ones((rows, cols), bool)) if upper else np.ones((rows, cols), bool)
    same(got[keep], want[keep], 1e-14)
    assert np.isnan(np.delete(flat, at.ravel())).all()  # nothing else was touched


def test_products_keep_what_is_not_finite() -> None:
    """An infinity or nan in either factor stays visible (only terms that are exactly zero are left out)."""
    A, B, C = np.ones((4, 4)), np.ones((4, 8)), np.zeros(32)
    B[2, 5] = np.inf
    A[1, 3] = np.nan
    accumulate(C, 0, 8, A.ravel(), 0, 4, 1, B.ravel(), 0, 8, 4, 4, 8, False, np.zeros(SPARE))
    C = C.reshape(4, 8)
    assert np.isposinf(C[[0, 2, 3], 5]).all()
    assert np.isnan(C[1]).all()
    assert np.isfinite(C[0, :5]).all()


# -- the tail -------------------------------------------------------------------------------------


def tail(nt: int, parents: str, seed: int):
    """Random numbers of a tail: kinds (free and profiled ones between the scaled), zero scales, T, H."""
    rng = np.random.default_rng([nt, PARENTS.index(parents), seed])
    kind = rng.choice([SCALED, FREE, PROFILED], nt, p=[0.8, 0.1, 0.1]).astype(np.uint8)
    kind[-1] = PROFILED
    s = np.exp(rng.uniform(-5, 5, nt)) * (rng.random(nt) < 0.75) * (kind == SCALED)
    share = {"none": 0.0, "one": 0.0, "some": 0.1, "all": 1.0}[parents]
    given = np.triu(rng.random((nt, nt)) < share, 1)
    if parents == "one":
        given[: max(nt - 2, 0), -2 if nt > 2 else -1] = True
    given &= ((kind == SCALED) & (rng.random(nt) < 0.9))[:, None]
    T = np.where(given, rng.normal(0, 0.5, (nt, nt)) / np.sqrt(1 + given.sum(axis=1))[:, None], 0.0)
    A = rng.normal(size=(2 * nt + 5, nt)) * (rng.random((2 * nt + 5, nt)) < rng.choice([0.2, 1.0]))
    H = np.triu(A.T @ A / nt + 0.1 * np.eye(nt))
    return kind, given.any(axis=1).astype(np.uint8), s, T, H, given


def run(module, kind, haspar, s, T, H, seed, quad: float):
    """(log determinant, pivots, what is left of H, gross) and the adjoints, all above the diagonal."""
    nt = kind.size
    ts, base = 3, 5  # as if rows stood before
    pad = lambda x: np.concatenate([np.zeros(ts, x.dtype), x])  # noqa: E731
    flat = lambda x: np.concatenate([np.zeros(base), x.ravel()])  # noqa: E731
    h, t, p = flat(H), flat(T), np.ones(ts + nt)
    gross = pad(np.abs(np.diag(H)) * (kind != SCALED))
    spare = np.zeros(max(SPARE, 2 * nt))
    fixed = (ts, nt, base, pad(kind), pad(haspar), pad(s), t, h, p)
    logdet = module.eliminate_tail(*fixed, gross, spare)
    hb, tb, sb = np.zeros(h.size), np.zeros(t.size), np.zeros(ts + nt)
    hb[-1] = quad
    module.adjoint_tail(*fixed, pad(seed), hb, tb, sb, spare)
    square = lambda x: np.triu(x[base:].reshape(nt, nt))  # noqa: E731
    return logdet, p, gross, square(h), square(hb), square(tb), sb


@pytest.mark.parametrize("nt", SIZES)
@pytest.mark.parametrize("parents", PARENTS)
@pytest.mark.parametrize("seed", range(3))
def test_blocks_say_what_the_loops_say(nt: int, parents: str, seed: int) -> None:
    """Every number within 1e-12 of the largest of its kind, pivots within 1e-11 of themselves."""
    kind, haspar, s, T, H, given = tail(nt, parents, seed)
    rng = np.random.default_rng(nt)
    arguments = (kind, haspar, s, T, H, rng.normal(size=nt), float(rng.normal()))
    got, want = run(dense_blocks, *arguments), run(tail_kernels, *arguments)
    assert np.isfinite(want[0])
    same(got[0], want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-11)
    same(got[2][:-1], want[2][:-1])  # the constant's pivot is not tested
    for a, b in zip(got[3:5], want[3:5], strict=True):
        same(a, b)
    same(got[5][given], want[5][given])
    same(got[6], want[6])


@pytest.mark.parametrize("position", [1, STRIP, PANEL, 2 * PANEL + 5, 3 * PANEL - 1])
def test_a_column_that_others_make_up_is_no_information(position: int) -> None:
    """A free column that is a sum of two others: nan wherever it stands in the tail."""
    found = []
    for seed in range(10):
        rng = np.random.default_rng([position, seed])
        n = 3 * PANEL
        X = rng.normal(size=(3 * n, n + 1))
        X[:, position] = X[:, 0] + (X[:, position - 1] if position > 1 else 0.0)
        kind = np.full(n + 1, FREE, np.uint8)
        kind[-1] = PROFILED
        H = np.triu(X.T @ X)
        zero = np.zeros(n + 1)
        arguments = (kind, zero.astype(np.uint8), zero, np.zeros((n + 1, n + 1)), H, zero, 1.0)
        found.append(run(dense_blocks, *arguments)[0])
        well = X.copy()
        well[:, position] += rng.normal(size=3 * n)
        sound = (*arguments[:4], np.triu(well.T @ well), *arguments[5:])
        assert np.isfinite(run(dense_blocks, *sound)[0])
    assert np.isnan(found).all()


def test_rows_of_zero_scale_leave_the_rest_as_it_is() -> None:
    kind, haspar, _, T, H, _ = tail(120, "none", 0)
    kind[:] = SCALED
    logdet, p, _, left, *_ = run(dense_blocks, kind, haspar, np.zeros(120), T, H, np.zeros(120), 1.0)
    assert logdet == 0.0
    assert (p == 1.0).all()
    np.testing.assert_array_equal(left, H)


# -- whole systems with long tails and wide rows ---------------------------------------------------


def crossed(seed: int, first: int, second: int, share: float = 1.0, fixed: int = 3) -> System:
    """Two crossed plates of shocks on `fixed` elements: the first plate's rows are wide if the share is."""
    rng = np.random.default_rng(seed)
    q = first + second + fixed
    kind = np.full(q, SCALED, np.uint8)
    kind[-fixed:] = [FREE] * (fixed - 1) + [PROFILED]
    s = rng.exponential(1.0, q) * (rng.random(q) < 0.8) * (kind == SCALED)
    parents = np.zeros((q, q + 1), bool)
    parents[: first // 2, first + second] = True
    parents[first : first + second // 2, first + second + 1] = True
    parents[first // 3 : first // 2, first : first + 5] = True
    parents[: first // 4, q] = True
    touched = []
    for a in range(first):
        for b in np.flatnonzero(rng.random(second) < share):
            row = np.zeros(q + 1, bool)
            row[[a, first + b, q]] = True
            row[first + second + rng.integers(0, fixed)] = True
            touched.append(row)
    touched = np.array(touched)
    T = np.where(parents, rng.normal(0, 0.5, parents.shape), 0.0)
    return System(kind, s, T, np.where(touched, rng.normal(size=touched.shape), 0.0), touched, parents)


def coupled(system: System):
    """Pairs of elements, the constant included, that some row of the data touches."""
    touched = system.touched.astype(float)
    return np.nonzero(np.triu(touched.T @ touched > 0))


def wides(shape) -> int:
    """Rows before the tail with neighbours but no pairs."""
    _, _, ptr, _, _, start, *_ = shape.arguments
    return int(np.sum((np.diff(ptr) > 0) & (np.diff(start) == 0)))


CASES = [(0, 70, 52, 1.0), (1, 40, 55, 0.5), (2, 90, 50, 0.9), (3, 30, 60, 0.3)]


@pytest.fixture
def least_work(monkeypatch):
    """The tail is sought for least work at all sizes, not only at large ones."""
    monkeypatch.setattr(fill, "_MUCH_WORK", 0.0)


@pytest.mark.parametrize("case", CASES)
def test_wide_rows_and_long_tails_against_dense_algebra(case, least_work) -> None:
    system = crossed(*case)
    work = filled(system)
    assert work.pattern.n - work.pattern.ts > LONG
    assert wides(work.pattern) > PANEL or case[3] < 0.9
    want = of(system)
    logdet, residual = work.eliminate()
    same(logdet, want.logdet, 1e-11)
    same(residual, want.residual, 1e-11)
    same(work.mean(), want.mean, 1e-10)
    i, j = coupled(system)
    inner = j < system.q
    i, j = i[inner], j[inner]
    places = work.pattern.place(i, j)
    same(work.selected_inverse()[places], want.covariance[i, j], 1e-10)
    same(work.selected_inverse(given_free=True)[places], want.given_free[i, j], 1e-10)


@pytest.mark.parametrize("case", CASES)
def test_wide_rows_by_blocks_and_by_pairs(case, least_work, monkeypatch) -> None:
    """The same pattern with all pairs listed gives the same numbers, also those of the adjoint."""
    system = crossed(*case)
    shape = pattern_of(system)
    n, ts, ptr, nbr, base, _, where, *rest = shape.arguments
    every = symbolic_kernels.targets(n, ts, ptr, nbr, base, False)
    pairs = replace(shape, arguments=(n, ts, ptr, nbr, base, *every, *rest))
    assert wides(pairs) == 0
    assert every[1].size > where.size or case[3] < 0.5
    blocks, plain = filled(system, shape), filled(system, pairs)
    same(blocks.eliminate(), plain.eliminate())
    np.testing.assert_allclose(blocks.p, plain.p, rtol=1e-11)
    (got, want) = (work.adjoint(quad=0.7) for work in (blocks, plain))
    i, j = coupled(system)
    child, parent = np.nonzero(system.parents)
    same(got[0][shape.place(i, j)], want[0][shape.place(i, j)])
    same(got[1][shape.place(child, parent)], want[1][shape.place(child, parent)])
    same(got[2], want[2])


@pytest.mark.parametrize("case", CASES)
def test_gradients_against_complex_steps(case, least_work) -> None:
    """Along random directions in H, T and s: of dense algebra, and of the complex kernels."""
    system = crossed(*case)
    rng = np.random.default_rng(case[0])
    i, j = coupled(system)
    child, parent = np.nonzero(system.parents)
    dH, dT = np.zeros(system.H.shape), np.zeros(system.T.shape)
    dH[i, j] = dH[j, i] = rng.normal(size=i.size)
    dT[child, parent] = rng.normal(size=child.size)
    ds = np.where(system.kind == SCALED, rng.normal(size=system.q), 0.0)
    work = filled(system)
    work.eliminate()
    Hb, Tb, sb = work.adjoint(quad=0.7)
    shape = work.pattern
    terms = np.concatenate(
        [
            Hb[shape.place(i, j)] * dH[i, j],
            Tb[shape.place(child, parent)] * dT[child, parent],
            sb[:-1] * ds,
        ]
    )
    answers = dense(
        system.kind, system.s + 1j * STEP * ds, system.T + 1j * STEP * dT, system.H + 1j * STEP * dH
    )
    scale = 1.0 + np.abs(terms).sum()
    assert abs(terms.sum() - np.imag(answers.logdet + 0.7 * answers.residual) / STEP) <= 1e-11 * scale
    steps = Elimination(shape, complex_steps=True)
    start = filled(system, shape)
    steps.H[:], steps.T[:], steps.s[:] = start.H, start.T, start.s
    steps.H[shape.place(i, j)] += 1j * STEP * dH[i, j]
    steps.T[shape.place(child, parent)] += 1j * STEP * dT[child, parent]
    steps.s[:-1] += 1j * STEP * ds
    logdet, residual = steps.eliminate()
    assert abs(terms.sum() - np.imag(logdet + 0.7 * residual) / STEP) <= 1e-11 * scale
    same(np.imag(steps.mean()), np.imag(answers.mean), 1e-9)


@pytest.mark.parametrize("case", CASES)
def test_draws_have_the_covariance(case, least_work) -> None:
    """mean + M z with MM' the covariance, by unit normals."""
    system = crossed(*case)
    work = filled(system)
    work.eliminate()
    mean = work.mean()
    M = np.stack([work.sample(z) - mean for z in np.eye(system.q)], axis=1)
    same(M @ M.T, of(system).covariance, 1e-10)


def test_a_wide_free_row_without_information_is_found(least_work) -> None:
    """Free rows before the tail: one that touches nothing but zeros, and one that is sound."""
    system = crossed(5, 60, 52)
    kind = system.kind.copy()
    kind[3] = FREE
    system = replace(system, kind=kind, s=np.where(kind == SCALED, system.s, 0.0))
    system = replace(system, parents=system.parents & (kind == SCALED)[:, None])
    work = filled(system)
    assert wides(work.pattern) == 60
    same(work.eliminate()[0], of(system).logdet, 1e-11)
    rows = system.rows.copy()
    rows[:, 3] = 0.0
    empty = filled(replace(system, rows=rows), work.pattern)
    assert np.isnan(empty.eliminate()[0])


# -- where the tail begins --------------------------------------------------------------------------


def test_the_tail_of_a_large_crossed_design_is_its_second_plate() -> None:
    """Without being told: 900 x 300 with every cell, and with one cell in seven."""
    for share, least, most in ((1.0, 900, 900), (1 / 7, 0, 5)):
        rng = np.random.default_rng(0)
        a, b = np.nonzero(rng.random((900, 300)) < share)
        i = np.concatenate([a, a, 900 + b])
        j = np.concatenate([900 + b, np.full(a.size, 1200), np.full(b.size, 1200)])
        none = np.zeros(0, np.int64)
        shape = pattern(np.full(1200, SCALED, np.uint8), i, j, none, none)
        assert 900 <= shape.ts <= (900 if least else 902)  # one row more or less costs the same
        assert least <= wides(shape) <= most


def test_no_other_beginning_means_less_work() -> None:
    """Against all beginnings, for a design whose cost has no minimum inside a plate."""
    rng = np.random.default_rng(3)
    degree, first = [], []
    for size, width in ((700, 20), (300, 150), (200, 199)):
        degree += [min(width, d) for d in range(size + 400, 400, -1)]
    n = len(degree)
    degree = np.minimum(np.array(degree), np.arange(n)[::-1])
    first = np.minimum(np.arange(n) + 1 + rng.integers(0, 3, n), n)
    first[degree == 0] = n
    assert fill.least_work(degree, first, n - 1) > fill._MUCH_WORK
    best = min(fill.least_work(degree, first, ts) for ts in range(n))
    assert fill.least_work(degree, first, fill.tail(degree, first)) <= 1.02 * best


def test_small_problems_keep_the_share_as_their_rule() -> None:
    degree = np.array([2, 2, 2, 2, 4, 3, 2, 1, 0])
    first = np.array([4, 4, 5, 5, 5, 6, 7, 8, 9])
    sizes = np.arange(9, 0, -1)
    filled_pairs = np.cumsum(degree[::-1])[::-1]
    want = int(np.argmax(filled_pairs >= 0.5 * sizes * (sizes - 1) / 2))
    assert fill.tail(degree, first) == want


@pytest.mark.parametrize("seed", range(5))
def test_distinct_is_unique(seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 50, seed * 30)
    np.testing.assert_array_equal(fill.distinct(keys), np.unique(keys))


@pytest.mark.parametrize("seed", range(20))
def test_symbolic_rows_are_sorted_and_complete(seed: int) -> None:
    """Against elimination on sets."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    pairs = np.triu(rng.random((n, n)) < 0.12, 1)
    ptr = np.concatenate([[0], np.cumsum(pairs.sum(axis=1))])
    adjacent = np.nonzero(pairs)[1].astype(np.int32)
    degree, first = symbolic_kernels.fill_counts(n, ptr.astype(np.int64), adjacent)
    ts = int(rng.integers(0, n + 1))
    got_ptr = np.concatenate([[0], np.cumsum(degree)]).astype(np.int64)
    got = symbolic_kernels.symbolic(n, ptr.astype(np.int64), adjacent, ts, got_ptr[: ts + 1])
    later = [set(np.flatnonzero(row)) for row in pairs]
    for i in range(n):
        for a in later[i]:
            later[a] |= {b for b in later[i] if b > a}
        assert degree[i] == len(later[i])
        assert first[i] == min(later[i], default=n)
        if i < ts:
            assert got[got_ptr[i] : got_ptr[i + 1]].tolist() == sorted(later[i])
    assert got_ptr[ts] == got.size


def test_products_are_what_the_module_says() -> None:
    """`pull` counts the diagonal twice, on any part of the square."""
    rng = np.random.default_rng(1)
    nt, count = 37, 5
    V = rng.normal(size=(nt, nt))
    V = V + V.T
    P = rng.normal(size=(count, nt))
    twice = V + np.diag(np.diag(V))
    for a0, a1, b0, b1 in ((0, nt, 0, nt), (5, nt, 5, 9), (5, 9, 9, nt), (20, nt, 20, nt)):
        W = np.zeros(count * nt)
        dense_products.pull(W, P.ravel(), 0, count, V.ravel(), 0, nt, a0, a1, b0, b1, np.zeros(SPARE))
        want = np.zeros((count, nt))
        want[:, b0:b1] = P[:, a0:a1] @ twice[a0:a1, b0:b1]
        same(W.reshape(count, nt), want, 1e-13)
