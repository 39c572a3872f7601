"""Minimum degree, fill counts and memory: against elimination on sets, and on patterns of known fill."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics import fill, memory
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, pattern_of
from dagmodels.numerics.fill import less_fill, outline
from tests.numerics.systems import SHAPES, filled, of, permuted, random_system

NONE = np.zeros(0, np.int64)
CASES = [(shape, seed) for shape in SHAPES for seed in range(10)]


@pytest.fixture
def forced(monkeypatch):
    """Another order is always looked for, and always taken."""
    monkeypatch.setattr(fill, "DEAR", -1.0)
    monkeypatch.setattr(fill, "DEAR_ROW", -1.0)
    monkeypatch.setattr(fill, "GAIN", np.inf)


def crossed(seed: int, first: int, second: int, rows: int) -> fill.Outline:
    """Rows that each meet one level of either plate, drawn at random, and the constant."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, first, rows), first + rng.integers(0, second, rows)
    last = np.full(rows, first + second)
    i, j = np.concatenate([a, a, b]), np.concatenate([b, last, last])
    return outline(np.full(first + second, SCALED, np.uint8), i, j, NONE, NONE)


def eliminated(n: int, keys: np.ndarray) -> list[set[int]]:
    """Later neighbours of each row after elimination, by sets."""
    later: list[set[int]] = [set() for _ in range(n)]
    for low, high in zip((keys // n).tolist(), (keys % n).tolist(), strict=True):
        later[low].add(high)
    for i in range(n):
        for a in later[i]:
            later[a] |= {b for b in later[i] if b > a}
    return later


def coupled(system) -> fill.Outline:
    touched = (system.touched[:, :, None] & system.touched[:, None, :]).any(axis=0)
    i, j = np.nonzero(np.triu(touched))
    return outline(system.kind, i, j, *np.nonzero(system.parents))


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_places_are_an_order_with_children_first(shape: str, seed: int, forced) -> None:
    given = coupled(random_system(seed, shape))
    found = less_fill(given)
    assert found is not None
    place, after = found
    np.testing.assert_array_equal(np.sort(place), np.arange(given.n))
    assert place[-1] == given.n - 1
    assert np.all(place[given.child] < place[given.parent])
    kinds = after.kind
    np.testing.assert_array_equal(kinds[place[:-1]], given.kind)
    profiled = np.flatnonzero(kinds == PROFILED)
    assert profiled.size == 0 or profiled[0] == kinds.size - profiled.size  # still last


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_counts_are_those_of_elimination(shape: str, seed: int, forced) -> None:
    """Of the order by minimum degree: each row's count, and all lists that are allocated."""
    found = less_fill(coupled(random_system(seed, shape)))
    assert found is not None
    after = found[1]
    want = eliminated(after.n, after.keys)
    np.testing.assert_array_equal(after.degree, [len(x) for x in want])
    np.testing.assert_array_equal(after.first, [min(x, default=after.n) for x in want])
    made = pattern_of(after)
    assert made.keys.size == after.degree[: after.ts].sum()
    assert made.keys.tolist() == [i * after.n + j for i in range(after.ts) for j in sorted(want[i])]
    assert made.arguments[6].size == after.pairs


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_answers_do_not_change(shape: str, seed: int, forced) -> None:
    """Against dense algebra, in the new order."""
    system = random_system(seed, shape)
    found = less_fill(coupled(system))
    assert found is not None
    moved = permuted(system, np.argsort(found[0][:-1]))
    work = filled(moved, pattern_of(found[1]))
    want = of(moved)
    logdet, residual = work.eliminate()
    np.testing.assert_allclose(logdet, want.logdet, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(residual, want.residual, rtol=1e-9, atol=1e-9)
    scale = max(1.0, float(np.abs(want.mean).max()))
    np.testing.assert_allclose(work.mean() / scale, want.mean / scale, atol=1e-9)
    every = np.arange(system.q)
    variances = work.selected_inverse()[work.pattern.place(every, every)]
    scale = max(1.0, float(np.diag(want.covariance).max()))
    np.testing.assert_allclose(variances / scale, np.diag(want.covariance) / scale, atol=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_a_forest_does_not_fill(seed: int, forced) -> None:
    """Labels at random: a tree is eliminated from its leaves, whatever the order given."""
    rng = np.random.default_rng(seed)
    n = 400
    label = rng.permutation(n)
    up = np.array([int(rng.integers(0, i)) for i in range(1, n)])
    given = outline(np.full(n, SCALED, np.uint8), label[1:], label[up], NONE, NONE)
    found = less_fill(given)
    assert found is not None
    assert found[1].degree.sum() == n - 1 < given.degree.sum()


def test_a_square_fills_no_more_than_dissection_may() -> None:
    """40 x 40 areas, labels at random: below the 31/4 n log2 n of nested dissection (George 1973)."""
    side = 40
    n = side * side
    label = np.random.default_rng(0).permutation(n).reshape(side, side)
    i = np.concatenate([label[:-1].ravel(), label[:, :-1].ravel()])
    j = np.concatenate([label[1:].ravel(), label[:, 1:].ravel()])
    given = outline(np.full(n, SCALED, np.uint8), i, j, NONE, NONE)
    place = fill._by_degree(given)
    low, high = place[given.keys // given.n], place[given.keys % given.n]
    after = outline(given.kind, low, high, NONE, NONE)
    assert after.degree.sum() < 31 / 4 * n * np.log2(n) < given.degree.sum()


def test_few_rows_a_level_leave_a_small_remainder() -> None:
    """2,500 x 2,500 levels: without being told, the better order is found, and it is a good deal better."""
    given = crossed(1, 2500, 2500, 10_000)
    found = less_fill(given)
    assert found is not None
    assert found[1].tail < 0.65 * given.tail
    assert found[1].work < 0.25 * given.work


def test_the_order_by_plates_stays_where_it_is_cheap_or_better() -> None:
    assert less_fill(crossed(1, 400, 300, 2_000)) is None
    dense = crossed(1, 3000, 2500, 150_000)
    assert dense.work > fill.DEAR
    assert less_fill(dense) is None


def test_a_hub_and_its_ancestors_come_last(forced) -> None:
    """A mean that every level hangs on, and a mean of that one."""
    n = 900
    child = np.concatenate([np.arange(n), [n]])
    parent = np.concatenate([np.full(n, n), [n + 1]])
    a, b = np.arange(n), (np.arange(n) + 1) % n
    kind = np.append(np.full(n + 1, SCALED), FREE).astype(np.uint8)
    found = less_fill(outline(kind, a, b, child, parent))
    assert found is not None
    assert found[0][[n, n + 1]].tolist() == [n, n + 1]


def test_many_free_rows_are_ordered_too(forced) -> None:
    """600 levels without a distribution, each meeting one that came before: a tree does not fill."""
    rng = np.random.default_rng(2)
    label, up = rng.permutation(600), np.array([int(rng.integers(0, i)) for i in range(1, 600)])
    given = outline(np.full(600, FREE, np.uint8), label[1:], label[up], NONE, NONE)
    found = less_fill(given)
    assert found is not None
    assert found[1].degree.sum() == 599 < given.degree.sum()


def test_memory_covers_what_is_allocated() -> None:
    """The matrix, its adjoint and the lists of the pattern; not ten times as much either."""
    found = crossed(3, 800, 700, 6_000)
    made = pattern_of(found)
    lists = made.keys.nbytes + sum(a.nbytes for a in made.arguments if isinstance(a, np.ndarray))
    least = 2 * 8 * made.size + lists
    assert least <= found.memory <= 3 * least


def test_what_a_machine_has_is_known_or_not(monkeypatch, tmp_path) -> None:
    there = memory.available()
    assert there is None or there > 2**20
    for name, text in (
        ("memory.max", "1000"),
        ("memory.current", "700"),
        ("memory.stat", "inactive_file 50"),
    ):
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available() == (None if there is None else 350)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() is None or memory.available() > 2**20  # type: ignore[operator]
