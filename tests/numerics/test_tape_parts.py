"""Parts of tapes: which inputs meet, and the entries that some places need."""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.dependence import components
from dagmodels.numerics.slicing import sliced
from dagmodels.numerics.tape import Recorder, Tape


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
