"""Parts of tapes: which inputs meet, the entries that some places need; several copies of a tape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dagmodels.numerics.dependence import components, reached
from dagmodels.numerics.slicing import needed, sliced
from dagmodels.numerics.tape import CODES, Recorder, Tape
from dagmodels.numerics.tape_kernels import forward, reverse
from dagmodels.numerics.tiling import tiled


def recorded() -> tuple[Tape, slice, slice, slice]:
    """Six inputs x and one s; pairs (0, 1), (2, 3), (4, 5) meet in sums of squares and in 2 x 2 matrices."""
    r = Recorder()
    x, s = r.input("x", 6), r.input("s", 1)
    scaled = r.apply("*", r.apply("exp", x), s)
    sums = r.segment_sum(r.apply("*", scaled, x), np.array([0, 0, 1, 1, 2, 2]), 3)
    ones = r.constant(np.full(3, 4.0))
    first, second = r.gather(x, np.array([0, 2, 4])), r.gather(x, np.array([1, 3, 5]))
    at = [np.arange(k, 12, 4) for k in range(4)]
    blocks = r.assemble(
        12,
        [
            (ones, at[0]),
            (first, at[1]),
            (first, at[2]),
            (r.apply("+", ones, r.apply("*", second, second)), at[3]),
        ],
    )
    logdet = r.matrix("logdet", 2, blocks)
    total = r.apply("+", sums, logdet)
    for register in (x, s, total):
        r.start(register)
    tape = r.finish()
    return tape, tape.place(x), tape.place(s), tape.place(total)


def test_inputs_that_meet_belong_together() -> None:
    tape, x, _, total = recorded()
    chosen, read = np.arange(x.start, x.stop), np.arange(total.start, total.stop)
    number, owner = components(tape, chosen, read)
    assert number.tolist() == [0, 0, 1, 1, 2, 2]
    assert owner.tolist() == [0, 1, 2]


def test_places_that_depend_on_nothing_chosen_have_no_owner() -> None:
    tape, x, _, total = recorded()
    number, owner = components(tape, np.array([x.start + 2]), np.arange(total.start, total.stop))
    assert number.tolist() == [0]
    assert owner.tolist() == [-1, 0, -1]


def test_what_depends_on_a_group_of_inputs_changes_with_it() -> None:
    for tape, *_ in (recorded(), choosing()):
        places = [np.arange(s, s + n) for s, n in tape.inputs.values()]
        groups = [np.array([i]) for i in np.concatenate(places)] + places
        rng, every = np.random.default_rng(1), np.arange(tape.initial.size)
        found = reached(tape, groups, every)
        w = tape.initial.copy()
        w[np.concatenate(places)] = 1.0 + rng.random(sum(p.size for p in places))
        tape.forward(w)
        for group, told in zip(groups, found, strict=True):
            other = w.copy()
            other[group] += 0.5
            tape.forward(other)
            assert told[other != w].all()
            for place in np.flatnonzero(other != w)[-5:]:
                assert needed(tape, np.array([place]))[group].any()
        assert not found[0].all()


def test_a_slice_has_the_same_values_and_derivatives() -> None:
    tape, x, s, total = recorded()
    part = sliced(tape, np.array([s.start, total.start + 1]))
    kept = part.places[total.start + 1]
    assert part.tape.initial.size < tape.initial.size / 2
    assert part.tape.inputs["x"][1] == 2
    rng = np.random.default_rng(1)
    values = rng.normal(size=7)
    large, small = tape.initial.copy(), part.tape.initial.copy()
    large[x], large[s] = values[:6], values[6:]
    there = part.places[x]
    small[there[there >= 0]] = values[:6][there >= 0]
    small[part.places[s.start]] = values[6]
    tape.forward(large)
    part.tape.forward(small)
    assert small[kept] == large[total.start + 1]
    bar, less = np.zeros_like(large), np.zeros_like(small)
    bar[total.start + 1] = less[kept] = 1.0
    tape.reverse(large, bar)
    part.tape.reverse(small, less)
    np.testing.assert_array_equal(less[there[there >= 0]], bar[x][there >= 0])
    assert less[part.places[s.start]] == bar[s.start]


def choosing() -> tuple[Tape, slice, slice, slice]:
    """Six inputs x and one s; log densities of truth values, and a number that hangs on s alone."""
    r = Recorder()
    x, s = r.input("x", 6), r.input("s", 1)
    known = r.constant(np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]))
    eta = r.apply("*", r.apply("+", x, s), r.apply("exp", s))
    yes, no = (r.apply("neg", r.apply("softplus", v)) for v in (r.apply("neg", eta), eta))
    chosen = r.apply("if_else", known, yes, no)
    sums = r.segment_sum(r.gather(chosen, np.array([5, 0, 3, 1])), np.array([0, 0, 1, 2]), 3)
    prior = r.matrix("logdet", 1, r.apply("exp", r.gather(s, np.zeros(3, np.int64))))
    total = r.apply("-", sums, prior)
    for register in (x, s, total):
        r.start(register)
    tape = r.finish()
    return tape, tape.place(x), tape.place(s), tape.place(total)


def test_of_choices_by_data_the_chosen_branch_is_kept() -> None:
    tape, x, s, total = choosing()
    part = sliced(tape, np.array([x.start, s.start, *range(total.start, total.stop)]))
    assert CODES["if_else"] not in part.tape.operations[0]
    large, small = tape.initial.copy(), part.tape.initial.copy()
    values = np.random.default_rng(2).normal(size=6)
    large[x], large[s] = values, 0.3
    there = part.places[x]
    small[there[there >= 0]], small[part.places[s.start]] = values[there >= 0], 0.3
    tape.forward(large)
    part.tape.forward(small)
    kept = part.places[total]
    np.testing.assert_allclose(small[kept], large[total], rtol=1e-15)
    bar, less = np.zeros_like(large), np.zeros_like(small)
    bar[total] = less[kept] = [1.0, -2.0, 0.5]
    tape.reverse(large, bar)
    part.tape.reverse(small, less)
    np.testing.assert_allclose(less[there[there >= 0]], bar[x][there >= 0], rtol=1e-14)
    np.testing.assert_allclose(less[part.places[s.start]], bar[s.start], rtol=1e-14)


@pytest.mark.parametrize("make", [recorded, choosing])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_have_the_values_and_derivatives_of_the_tape(
    make: Callable[[], tuple[Tape, slice, slice, slice]], copies: int
) -> None:
    """Also where only what the varying inputs reach is run again."""
    tape, x, s, total = make()
    found = tiled(tape, copies, np.arange(x.start, x.stop))
    assert found is not None
    assert 0 < found.fixed < found.tape.operations[0].size
    rng = np.random.default_rng(3)
    w, bar = found.tape.initial.copy(), np.zeros(found.tape.initial.size)
    shared, seeds = rng.normal(size=copies), rng.normal(size=(copies, 3))
    w[found.places[:, s.start]] = shared
    for turn in range(2):
        values = rng.normal(size=(copies, 6))
        w[found.places[:, x]] = values
        first = found.fixed if turn else 0
        code, out, a, b, c, aux, *rest = found.tape.operations
        forward(*(o[first:] for o in (code, out, a, b, c, aux)), *rest, w)
        bar[found.still :] = 0.0
        bar[found.places[:, total]] = seeds
        reverse(*(o[found.fixed :] for o in (code, out, a, b, c, aux)), *rest, w, bar)
        for k in range(copies):
            one, own = tape.initial.copy(), np.zeros(tape.initial.size)
            one[x], one[s] = values[k], shared[k]
            tape.forward(one)
            own[total] = seeds[k]
            tape.reverse(one, own)
            np.testing.assert_allclose(w[found.places[k, total]], one[total], rtol=1e-14)
            np.testing.assert_allclose(bar[found.places[k, x]], own[x], rtol=1e-14)


def test_places_known_when_run_cannot_be_repeated() -> None:
    r = Recorder()
    x, at = r.input("x", 3), r.input("at", 2)
    r.start(r.take(x, at))
    assert tiled(r.finish(), 2, np.zeros(1, np.int64)) is None
