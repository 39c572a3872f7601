"""What is said to be convex or concave is, on random expressions at random points; and what must be seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dagmodels.numerics.curvature import AFFINE, CONCAVE, CONVEX, FIXED, UNKNOWN, Curvature, curvature
from dagmodels.numerics.tape import Recorder, Tape

Floats = NDArray[np.float64]
UNARY = ("neg", "exp", "log", "sqrt", "log1p", "softplus", "expit", "log_Phi", "Phi", "abs", "expm1", "sin")


def made(seed: int) -> tuple[Tape, slice, slice, NDArray[np.int64]]:
    """Thirty random operations on four varying inputs x and two fixed ones s."""
    rng = np.random.default_rng(seed)
    r = Recorder()
    x, s = r.input("x", 4), r.input("s", 2)
    names = (*UNARY, "+", "+", "-", "*", "*", "/", "**", "square", "sum", "mix", "if_else", "where")
    wide, narrow = [x, r.constant(rng.normal(size=4)), r.gather(s, rng.integers(0, 2, 4))], [r.constant(2.0)]
    for _ in range(30):
        name = str(rng.choice(names))
        a, b = (wide[int(k)] for k in rng.integers(0, len(wide), 2))
        match name:
            case "square":
                new = r.apply("*", a, a)
            case "**":
                new = r.apply("**", a, narrow[0])
            case "sum":
                new = r.gather(r.segment_sum(a, rng.integers(0, 2, 4), 2), rng.integers(0, 2, 4))
            case "mix":
                new = r.gather(a, rng.integers(0, 4, 4))
            case "if_else":
                new = r.apply("if_else", r.constant(rng.integers(0, 2, 4).astype(float)), a, b)
            case "where":  # by what does not vary, or at times by what does
                part = r.gather(s, rng.integers(0, 2, 4)) if rng.random() < 0.8 else a
                new = r.apply("if_else", r.apply("<", part, r.constant(rng.normal(size=4))), a, b)
            case "+" | "-" | "*" | "/":
                new = r.apply(name, a, b)
            case _:
                new = r.apply(name, a)
        if r.constant_value(new) is None:
            wide.append(new)
    for register in wide:
        r.start(register)
    tape = r.finish()
    return tape, tape.place(x), tape.place(s), np.arange(tape.initial.size)


def run(
    tape: Tape, x: slice, s: slice, at: NDArray[np.float64], fixed: NDArray[np.float64]
) -> NDArray[np.float64]:
    w = tape.initial.copy()
    w[x], w[s] = at, fixed
    tape.forward(w)
    return w


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_shapes_degrees_and_signs_hold() -> None:
    seen = {CONVEX: 0, CONCAVE: 0, AFFINE: 0}
    for seed in range(200):
        tape, x, s, _ = made(seed)
        found = curvature(tape, np.arange(x.start, x.stop))
        rng = np.random.default_rng(1000 + seed)
        for _ in range(5):
            fixed = rng.normal(size=2)
            a, b = rng.normal(size=(2, 4))
            low, middle, high = (run(tape, x, s, a + t * (b - a), fixed) for t in (0.0, 0.5, 1.0))
            with np.errstate(all="ignore"):
                bend = low + high - 2.0 * middle
                known = np.isfinite(low) & np.isfinite(middle) & np.isfinite(high)
                slack = 1e-9 * (1.0 + abs(low) + abs(high))
                # functions of several numbers are rounded together: last digits may hang on neighbours
                rounding = 16 * np.finfo(float).eps * abs(low)
            for shape, wrong in (
                (FIXED, np.maximum(abs(low - middle), abs(low - high)) > rounding),
                (AFFINE, abs(bend) > slack),
                (CONVEX, bend < -slack),
                (CONCAVE, bend > slack),
            ):
                assert not (known & (found.shape == shape) & wrong).any(), seed
            quarter = run(tape, x, s, a + 0.25 * (b - a), fixed)
            with np.errstate(all="ignore"):
                cubic = abs(quarter - 0.375 * low - 0.75 * middle + 0.125 * high)  # 0 for degree two
                slack = 1e-8 * (1.0 + abs(low) + abs(high) + abs(quarter) + abs(middle))
            assert not (known & np.isfinite(quarter) & (found.degree <= 2) & (cubic > slack)).any(), seed
            assert not ((found.sign > 0) & (middle < 0.0)).any(), seed
            assert not ((found.sign < 0) & (middle > 0.0)).any(), seed
        for shape in seen:
            seen[shape] += int((found.shape == shape).sum())
    assert min(seen.values()) > 200


def shape_of(name: str) -> tuple[int, int]:
    """Shape and degree of a log density in its linear predictor."""
    r = Recorder()
    x, s = r.input("x", 1), r.input("s", 1)
    scale = r.apply("exp", s)
    z = r.apply("+", r.apply("*", s, x), s)
    match name:
        case "normal":
            found = r.apply("*", r.apply("*", z, z), r.apply("neg", scale))
        case "poisson":
            found = r.apply("-", r.apply("*", r.constant(3.0), z), r.apply("exp", z))
        case "bernoulli":
            found = r.apply("neg", r.apply("softplus", r.apply("neg", z)))
        case "probit":
            found = r.apply("log_Phi", z)
        case _:  # student
            square = r.apply("*", z, z)
            found = r.apply("neg", r.apply("log1p", square))
    r.start(found)
    tape = r.finish()
    at = tape.place(x)
    known: Curvature = curvature(tape, np.arange(at.start, at.stop))
    place = tape.place(found).start
    return int(known.shape[place]), int(known.degree[place])


def test_log_densities_of_the_usual_leaves() -> None:
    assert shape_of("normal") == (CONCAVE, 2)
    assert shape_of("poisson") == (CONCAVE, 3)
    assert shape_of("bernoulli") == (CONCAVE, 3)
    assert shape_of("probit") == (CONCAVE, 3)
    assert shape_of("student")[0] == UNKNOWN
