"""How the places of a tape curve in some of its inputs, told from the operations alone.

The rules of disciplined convex programming (Grant, Boyd and Ye 2006, "Disciplined convex programming", in
Global Optimization: from Theory to Implementation): sums of concave terms, nonnegative multiples, concave
increasing functions of concave terms, and so on, with the signs of what does not vary. They prove what they
say for every value of the other inputs, and are silent where they prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import NAMES, Tape, operands

Ints = NDArray[np.int64]
Codes = NDArray[np.int8]

FIXED, AFFINE, CONVEX, CONCAVE, UNKNOWN = range(5)
FLIPPED = np.array([FIXED, AFFINE, CONCAVE, CONVEX, UNKNOWN], dtype=np.int8)
SUMMED, HIGH = 3, 4  # degrees of what is no polynomial of degree two or less: see `Curvature`
SUMMANDS = ("exp", "softplus", "log_Phi")  # functions whose sums are kept apart from all else
NONNEGATIVE = ("exp", "sqrt", "softplus", "expit", "Phi", "abs", "icloglog", "==", "!=", "<", "<=", "softmax")
UPWARD = ("exp", "softplus")  # convex and increasing
CUPPED = ("log_i0e",)  # convex, and never positive
DOWNWARD = ("log", "sqrt", "log_Phi", "log1p")  # concave and increasing


@dataclass(frozen=True, eq=False, slots=True)
class Curvature:
    """Of each place of the workspace, in the varying inputs jointly.

    shape : FIXED (does not vary), AFFINE, CONVEX, CONCAVE or UNKNOWN. degree : as a polynomial, `SUMMED`
    where it is one of degree two at most and fixed multiples of `SUMMANDS` of affine places, `HIGH` where it
    may be neither. sign : 1 never negative, -1 never positive, 0 unknown.
    """

    shape: Codes
    degree: Codes
    sign: Codes


def curvature(tape: Tape, varying: Ints) -> Curvature:
    """Propagate shapes, degrees and signs from the inputs at the places `varying` through all operations."""
    found = _Walk(tape, varying)
    for op in range(tape.operations[0].size):
        found.step(op)
    return Curvature(found.shape, found.degree, found.sign)


class _Walk:
    """The arrays while the operations are walked."""

    def __init__(self, tape: Tape, varying: Ints) -> None:
        size = tape.initial.size
        self.operations = tape.operations
        self.shape = np.zeros(size, dtype=np.int8)
        self.degree = np.zeros(size, dtype=np.int8)
        self.data = np.ones(size, dtype=bool)  # never written: the value is that of the tape
        for start, length in tape.inputs.values():
            self.data[start : start + length] = False
        _, out, *_, start, length, _, _ = tape.operations
        for r in out.tolist():
            self.data[start[r] : start[r] + length[r]] = False
        self.value = tape.initial
        self.sign = np.where(self.data, np.where(tape.initial >= 0.0, 1, -1), 0).astype(np.int8)
        self.sign[np.isnan(tape.initial)] = 0
        self.shape[varying], self.degree[varying], self.sign[varying] = AFFINE, 1, 0

    def part(self, r: int) -> slice:
        start, length = self.operations[6], self.operations[7]
        return slice(int(start[r]), int(start[r] + length[r]))

    def step(self, op: int) -> None:
        """Fill the places of one operation's result."""
        code, out, a, b, c, aux, _, length, ptr, idx = self.operations
        name, target, n = NAMES[int(code[op])], self.part(int(out[op])), int(length[out[op]])
        if not n:
            return
        read = [int(r) for r in (a[op], b[op], c[op])][: operands(int(code[op]))]
        index = idx[ptr[aux[op]] : ptr[aux[op] + 1]]
        x, *others = [self._of(r) for r in read]
        match name:
            case "gather":
                self._write(target, tuple(v[index] if v.size > 1 else np.full(n, v[0]) for v in x))
            case "put":
                into = np.arange(target.start, target.stop)[index]
                for array, v in zip((self.shape, self.degree, self.sign), x, strict=True):
                    array[into] = v
            case "segment_sum":
                self._write(target, _summed(x, index, n))
            case "+":
                self._write(target, _plus(x, others[0]))
            case "-":
                self._write(target, _plus(x, _negative(others[0])))
            case "neg":
                self._write(target, _negative(x))
            case "*" if read[0] == read[1]:
                self._write(target, _square(x))
            case "*":
                self._write(target, _times(x, others[0]))
            case "/":
                shape, _, sign = others[0]
                fixed = shape == FIXED
                inverse = np.where(fixed, FIXED, UNKNOWN), np.where(fixed, 0, HIGH), sign
                self._write(target, _times(x, inverse))
            case "**" if self._is_two(read[1]):
                self._write(target, _square(x))
            case "if_else":
                self._write(target, self._chosen(read[0], *others))
            case _:
                self._write(target, _function(name, [x, *others], n))

    def _of(self, r: int) -> Known:
        at = self.part(r)
        return self.shape[at], self.degree[at], self.sign[at]

    def _write(self, at: slice, found: Known) -> None:
        self.shape[at], self.degree[at], self.sign[at] = found

    def _is_two(self, r: int) -> bool:
        at = self.part(r)
        return bool(self.data[at].all() and (self.value[at] == 2.0).all())

    def _chosen(self, r: int, yes: Known, no: Known) -> Known:
        """By data where the condition is data; else what holds of both."""
        at = self.part(r)
        known, value = self.data[at], self.value[at] != 0.0
        both = _either(yes, no, self.shape[at])
        return tuple(np.where(known, np.where(value, p, q), f) for p, q, f in zip(yes, no, both, strict=True))  # type: ignore[return-value]


Known = tuple[Codes, Codes, Codes]  # shape, degree, sign


def _plus(x: Known, y: Known) -> Known:
    a, b = x[0], y[0]
    low, high = np.minimum(a, b), np.maximum(a, b)
    shape = np.where((low == high) | (low <= AFFINE), high, UNKNOWN)
    return shape, np.maximum(x[1], y[1]), np.where(x[2] == y[2], x[2], 0)


def _negative(x: Known) -> Known:
    return FLIPPED[x[0]], x[1], -x[2]


def _square(x: Known) -> Known:
    shape, degree, _ = x
    curved = np.select([shape <= FIXED, shape == AFFINE], [FIXED, CONVEX], UNKNOWN)
    return curved, np.where(degree <= 1, 2 * degree, HIGH), np.ones_like(shape)


def _times(x: Known, y: Known) -> Known:
    """A product: curved only where one factor does not vary."""
    (a, p, s), (b, q, t) = x, y
    shape = np.select([b == FIXED, a == FIXED], [_scaled(a, t), _scaled(b, s)], UNKNOWN)
    degree = np.where((p + q <= 2) | (np.minimum(p, q) == 0), np.minimum(p + q, HIGH), HIGH)
    return shape, degree, s * t


def _scaled(shape: Codes, sign: Codes) -> Codes:
    """A multiple: affine stays so, what curves needs the sign of the multiple."""
    shape, sign = np.broadcast_arrays(shape, sign)
    return np.select([shape <= AFFINE, sign > 0, sign < 0], [shape, shape, FLIPPED[shape]], UNKNOWN)


def _summed(x: Known, index: Ints, n: int) -> Known:
    found: Known = np.zeros(n, np.int8), np.zeros(n, np.int8), np.zeros(n, np.int8)
    shape, degree, sign = np.broadcast_arrays(*x)
    kinds = [np.bincount(index, weights=shape == k, minlength=n) > 0 for k in range(UNKNOWN + 1)]
    found[0][:] = np.select(
        [kinds[UNKNOWN] | (kinds[CONVEX] & kinds[CONCAVE]), kinds[CONVEX], kinds[CONCAVE], kinds[AFFINE]],
        [UNKNOWN, CONVEX, CONCAVE, AFFINE],
        FIXED,
    )
    np.maximum.at(found[1], index, degree)
    least, most = np.full(n, 1, np.int8), np.full(n, -1, np.int8)
    np.minimum.at(least, index, sign)
    np.maximum.at(most, index, sign)
    found[2][:] = np.where(least > 0, 1, np.where(most < 0, -1, 0))
    return found


def _either(yes: Known, no: Known, condition: Codes) -> Known:
    """One of the two throughout, whichever: the condition does not vary, else nothing is known.

    Sums of functions become `HIGH`, because their coefficients are none that are read off the tape.
    """
    shape, degree, _ = _plus(yes, no)  # both concave or affine, for instance
    fixed = condition == FIXED
    degree = np.where(fixed & (degree < SUMMED), degree, HIGH)
    return np.where(fixed, shape, UNKNOWN), degree, np.where(yes[2] == no[2], yes[2], 0)


def _function(name: str, read: list[Known], n: int) -> Known:
    """Any other operation: convex and concave increasing functions, else only what does not vary."""
    sign = np.full(n, 1 if name in NONNEGATIVE else -1 if name in CUPPED else 0)
    if name in ("matmul", "cholesky", "inverse", "logdet", "root", "softmax", "take"):
        fixed = all((shape == FIXED).all() for shape, _, _ in read)
        return np.full(n, FIXED if fixed else UNKNOWN), np.full(n, 0 if fixed else HIGH), sign
    shape = read[0][0]
    for other, _, _ in read[1:]:
        shape = np.where(np.maximum(shape, other) == FIXED, FIXED, UNKNOWN)
    shape = np.broadcast_to(shape, n)
    curved = np.where(shape == FIXED, FIXED, UNKNOWN)
    if name in UPWARD:
        curved[(shape == AFFINE) | (shape == CONVEX)] = CONVEX
    if name in CUPPED:
        curved[shape == AFFINE] = CONVEX
    if name in DOWNWARD:
        curved[(shape == AFFINE) | (shape == CONCAVE)] = CONCAVE
    summed = SUMMED if name in SUMMANDS else HIGH
    return curved, np.select([curved == FIXED, shape == AFFINE], [0, summed], HIGH), sign
