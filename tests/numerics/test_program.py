"""Steps with places beside the operations of the tape they come from, and what becomes one step."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics import program as steps
from dagmodels.numerics.program import program
from dagmodels.numerics.tape import CODES, Recorder
from tests.numerics.test_tape import ALL, Case, close

SIZES = (1, 3, 4, 30, 31)


def ran(tape, kept, inputs):
    made = program(tape, kept)
    w = tape.initial.copy()
    for name, value in inputs.items():
        start, length = tape.inputs[name]
        w[start : start + length] = value
    made.run(w)
    return made, w


@pytest.mark.parametrize("case", ALL)
def test_every_operation(case: Case) -> None:
    """The last register of each case; single functions of numbers as the last but few digits allow."""
    inputs = case.draw(np.random.default_rng(3))
    recorder = Recorder()
    register = case.build(recorder, {n: recorder.input(n, np.size(v)) for n, v in inputs.items()})
    recorder.start(register)
    tape = recorder.finish()
    _, w = ran(tape, [register], inputs)
    close(w[tape.place(register)], tape.values(inputs)[tape.place(register)], case.rtol)


def fused(build, m, n, k):
    """Kinds of steps, and the values that a function of three inputs of these lengths gives with and without
    them."""
    recorder = Recorder()
    x, y, z = (recorder.input(name, size) for name, size in zip("xyz", (m, n, k), strict=True))
    register = build(recorder, x, y, z)
    tape = recorder.finish()
    rng = np.random.default_rng(m + 10 * n + 100 * k)
    inputs = {name: rng.normal(size=tape.inputs[name][1]) for name in "xyz"}
    made, w = ran(tape, [register], inputs)
    want = tape.values(inputs)[tape.place(register)]
    np.testing.assert_allclose(w[tape.place(register)], want, rtol=1e-13, atol=1e-13)
    return [line.kind for line in made.lines]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("one", [(), (0,), (1,)])
def test_sums(n, one):
    """Of numbers, products and squares, single operands among them."""
    a, b = (1 if k in one else n for k in range(2))
    assert fused(lambda r, x, y, z: r.total(x), n, 1, 1) == [steps.SUM]
    many = fused(lambda r, x, y, z: r.total(r.apply("*", x, y)), a, b, 1)
    assert many == [steps.PRODUCT_SUM]

    def squares(r, x, y, z):
        gap = r.apply("-", x, y)
        return r.total(r.apply("*", gap, gap))

    assert fused(squares, a, b, 1) == [steps.SQUARE_SUM]


@pytest.mark.parametrize(
    "lengths", [(1, 1, 1), (5, 5, 5), (5, 1, 5), (1, 5, 5), (5, 5, 1), (1, 1, 5), (5, 1, 1)]
)
def test_products_that_are_added(lengths):
    for build, kind in (
        (lambda r, x, y, z: r.apply("+", r.apply("*", x, y), z), steps.TIMES_PLUS),
        (lambda r, x, y, z: r.apply("+", z, r.apply("*", x, y)), steps.TIMES_PLUS),
        (lambda r, x, y, z: r.apply("-", r.apply("*", x, y), z), steps.TIMES_LESS),
        (lambda r, x, y, z: r.apply("-", z, r.apply("*", x, y)), steps.LESS_TIMES),
    ):
        assert fused(build, *lengths) == [kind]


def test_what_others_read_stays():
    """A product with two readers, one that someone asks for, and twice the same product."""
    recorder = Recorder()
    x, y = recorder.input("x", 3), recorder.input("y", 3)
    product = recorder.apply("*", x, y)
    first, second = recorder.total(product), recorder.apply("+", product, x)
    double = recorder.apply("+", recorder.apply("*", x, x), recorder.apply("*", x, x))
    asked = recorder.apply("*", y, y)
    last = recorder.total(asked)
    tape = recorder.finish()
    inputs = {"x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]}
    kept = [first, second, double, asked, last]
    made, w = ran(tape, kept, inputs)
    times, plus = CODES["*"], CODES["+"]
    assert [x.kind for x in made.lines] == [times, steps.SUM, plus, times, plus, times, steps.SUM]
    want = tape.values(inputs)
    for register in kept:
        np.testing.assert_array_equal(w[tape.place(register)], want[tape.place(register)])


def test_sums_of_nothing():
    recorder = Recorder()
    x, y = recorder.input("x", 0), recorder.input("y", 1)
    found = recorder.total(recorder.apply("*", x, y))
    tape = recorder.finish()
    _, w = ran(tape, [found], {"x": [], "y": [np.nan]})
    assert w[tape.place(found)] == [0.0]
