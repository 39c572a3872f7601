"""Random chains of operations: kernel against numpy, reverse against complex steps, folding."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dagmodels.numerics.tape import CODES, NAMES, SPECIAL, Recorder
from tests.numerics.tapes import complex_step, folded, recorded, reverse, run

# operations that keep values moderate: each takes registers and gives one of a stated length
SMOOTH = ("neg", "expit", "softplus", "Phi", "icloglog", "arctan", "tanh")
GUARDED = (
    *("log", "sqrt", "log1p", "lgamma", "digamma", "/", "**", "log_Phi", "abs", "exp", "expm1"),
    *("logit", "cloglog", "probit"),
    *("sin", "cos", "floor", "binet", "binet1", "binet2", "log_i0e", "i1_over_i0"),
)
KINDS = (
    *("unary", "binary", "safe", "if_else", "gather", "sum", "put", "pick", "constant", "softmax", "take"),
    *("matrix", "log_sum_exp", "special"),
)
EVERY: set[str] = set()


@st.composite
def programs(draw: Any) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """A list of steps and the inputs; each step names earlier registers by position."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs = {f"x{k}": rng.uniform(-1.5, 1.5, n) for k, n in enumerate(lengths)}
    sizes, steps = list(lengths), []
    for _ in range(draw(st.integers(1, 50))):
        step, size = _step(draw, rng, sizes)
        steps.append(step)
        sizes.append(size)
    return steps, inputs


def _pair(draw: Any, sizes: list[int]) -> tuple[int, int]:
    a = draw(st.integers(0, len(sizes) - 1))
    fits = [k for k, n in enumerate(sizes) if n == sizes[a] or n == 1 or sizes[a] == 1]
    return a, draw(st.sampled_from(fits))


def _step(draw: Any, rng: Any, sizes: list[int]) -> tuple[tuple[Any, ...], int]:
    kind = draw(st.sampled_from(KINDS))
    a, b = _pair(draw, sizes)
    n = max(sizes[a], sizes[b])
    match kind:
        case "unary":
            return (kind, draw(st.sampled_from(SMOOTH)), a), sizes[a]
        case "binary":
            name = draw(st.sampled_from(("+", "-", "*", "min", "max", "<", "<=", "==", "!=")))
            return (kind, name, a, b), n
        case "safe":  # functions of positive numbers, behind 1 + x^2
            return (kind, draw(st.sampled_from(GUARDED)), a), sizes[a]
        case "special":  # of positive numbers, the last of three between 0 and 1
            return (kind, draw(st.sampled_from(sorted(SPECIAL))), a, b), n
        case "if_else":
            fits = [k for k, m in enumerate(sizes) if m in (n, 1)] or [a]
            return (kind, draw(st.sampled_from(fits)), a, b), n
        case "gather":
            index = rng.integers(0, sizes[a], int(rng.integers(1, 8)))
            return (kind, a, index), index.size
        case "sum":
            length = int(rng.integers(1, 5))
            return (kind, a, rng.integers(0, length, sizes[a]), length), length
        case "put":
            return (kind, a, b, rng.permutation(sizes[a] + sizes[b])), sizes[a] + sizes[b]
        case "pick":
            count = int(rng.integers(1, 6))
            registers = rng.integers(0, len(sizes), count)
            return (kind, [(int(r), int(rng.integers(0, sizes[r]))) for r in registers]), count
        case "constant":
            value = rng.normal(size=int(rng.integers(1, 5)))
            return (kind, value), value.size
        case "softmax":
            return (kind, a), sizes[a]
        case "log_sum_exp":
            return (kind, a), 1
        case "take":  # the first entry or the last, by the sign of another register's
            b = draw(st.integers(0, len(sizes) - 1))
            return (kind, a, b), sizes[b]
        case _:
            index = rng.integers(0, sizes[a], 8)
            return (
                kind,
                draw(st.sampled_from(("cholesky", "root", "inverse", "logdet", "matmul"))),
                a,
                index,
            ), 8


def build(steps: list[tuple[Any, ...]], inputs: dict[str, Any]) -> Any:
    """A function (recorder, registers) -> register of everything summed."""

    def record(r: Recorder, x: dict[str, int]) -> int:
        made = [x[name] for name in inputs]
        for step in steps:
            made.append(_record(r, made, step))
        total = r.constant(0.0)
        for k, register in enumerate(made):
            sums = r.segment_sum(register, np.zeros(r.length(register), np.int64), 1)
            total = r.apply("+", total, r.apply("*", sums, r.constant(0.1 + 0.01 * k)))
        return total

    return record


def _record(r: Recorder, made: list[int], step: tuple[Any, ...]) -> int:
    one = r.constant(1.0)
    match step:
        case ("unary", name, a):
            return r.apply(name, made[a])
        case ("binary", name, a, b):
            return r.apply("expit", r.apply(name, made[a], made[b]))
        case ("safe", name, a):
            x = r.apply("+", one, r.apply("*", made[a], made[a]))
            if name in ("/", "**"):
                return r.apply(name, r.apply("expit", made[a]), x)
            if name in ("logit", "cloglog", "probit"):
                x = r.apply("expit", made[a])
            elif name in ("exp", "expm1", "log_Phi"):
                x = r.apply("neg", x)
            return r.apply("expit", r.apply(name, x))
        case ("special", name, a, b):
            x, y = (r.apply("+", one, r.apply("*", made[k], made[k])) for k in (a, b))
            if SPECIAL[name] == 3:
                return r.apply("expit", r.apply(name, x, y, r.apply("expit", made[a])))
            return r.apply("expit", r.apply(name, x, y))
        case ("if_else", t, a, b):
            return r.apply("if_else", r.apply("<", made[t], r.constant(0.5)), made[a], made[b])
        case ("gather", a, index):
            return r.gather(made[a], index)
        case ("sum", a, index, length):
            return r.apply("expit", r.segment_sum(made[a], index, length))
        case ("put", a, b, order):
            cut = r.length(made[a])
            return r.assemble(order.size, [(made[a], order[:cut]), (made[b], order[cut:])])
        case ("pick", pairs):
            return r.pick(np.array([r.start(made[k]) + j for k, j in pairs]))
        case ("constant", value):
            return r.constant(value)
        case ("take", a, b):
            below = r.apply("<", made[b], r.constant(0.0))
            return r.take(made[a], r.apply("*", below, r.constant(r.length(made[a]) - 1.0)))
        case ("softmax", a):
            return r.softmax(made[a], r.length(made[a]))
        case ("log_sum_exp", a):
            return r.log_sum_exp(made[a], r.length(made[a]))
        case ("matrix", name, a, index):
            half = r.apply("expit", r.gather(made[a], index))
            square = r.matrix("matmul", 2, half, half, transposed=True)
            spd = r.apply("+", square, r.constant(np.tile([1.0, 0, 0, 1.0], 2)))
            if name == "matmul":
                return r.apply("expit", r.matrix("matmul", 2, half, spd))
            if name == "logdet":
                return r.gather(r.matrix("logdet", 2, spd), np.arange(8) % 2)
            return r.matrix(name, 2, spd)
    raise AssertionError(step)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(programs())
def test_random_tapes(program: Any) -> None:
    steps, inputs = program
    record = build(steps, inputs)
    tape, register = recorded(record, inputs)
    EVERY.update(NAMES[int(c)] for c in tape.operations[0])
    want = tape.values(inputs)
    assert np.isfinite(want).all()
    np.testing.assert_allclose(run(tape, inputs), want, rtol=1e-9, atol=1e-10)
    known = folded(record, inputs)
    assert known is not None
    np.testing.assert_allclose(known, want[tape.place(register)], rtol=1e-9, atol=1e-10)
    got = reverse(tape, inputs, register, np.ones(1))
    steps_ = complex_step(tape, inputs, register, np.ones(1))
    for name in inputs:
        np.testing.assert_allclose(got[name], steps_[name], rtol=1e-7, atol=1e-8)


def test_the_random_tapes_met_every_operation() -> None:
    """Runs after the test above in this file (its examples are derandomised)."""
    if not EVERY:
        test_random_tapes()
    assert set(CODES) - EVERY == {"chain"}  # its rows must hang together: `test_summing`
