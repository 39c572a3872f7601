"""The tape: everything that depends on the outer unknowns, as an array of operations over plates.

A `Recorder` takes operations one by one and folds those whose operands are all constant; `Tape` is
the frozen result: run it forward for values, backward for exact derivatives.  Nothing is compiled
for a model: one general kernel walks the operations.  `Tape.values` runs the same operations in
plain numpy for any number type; complex numbers give complex-step derivatives, the independent
check of the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape_functions import FUNCTIONS, chain, log_sum_exp
from dagmodels.numerics.tape_incomplete import FUNCTIONS as INCOMPLETE

Array = NDArray[Any]

BINARY = ("+", "-", "*", "/", "**", "min", "max", "==", "!=", "<", "<=")
UNARY = (
    *("neg", "exp", "log", "sqrt", "log1p", "expm1", "softplus", "expit", "logit", "Phi", "log_Phi"),
    *("abs", "lgamma", "digamma", "cloglog", "icloglog", "probit", "sin", "cos"),
    *("binet", "binet1", "binet2"),  # what Stirling's formula leaves of lgamma, and its derivatives
    *("log_i0e", "i1_over_i0"),  # log I0(x) - x and I1(x) / I0(x), for x >= 0
    *("arctan", "tanh", "floor"),
)
SPECIAL = {  # functions of several numbers, and of how many
    "log_gammainc": 2,  # log P(a, x) and log Q(a, x)
    "log_gammaincc": 2,
    "log_0f1": 2,  # log 0F1(; b; z), for z >= 0
    "log_betainc": 3,  # log I_x(a, b), the arguments in the order a, b, x
}
CODES = {
    **{name: i for i, name in enumerate(BINARY)},
    "if_else": 11,
    **{name: 12 + i for i, name in enumerate(SPECIAL)},
    **{name: 20 + i for i, name in enumerate(UNARY)},
    "gather": 50,
    "segment_sum": 51,
    "put": 52,
    "cholesky": 53,
    "inverse": 54,
    "logdet": 55,
    "matmul": 56,
    "softmax": 57,
    "root": 58,
    "take": 59,
    "log_sum_exp": 60,
    "chain": 61,
}
NAMES = {code: name for name, code in CODES.items()}
INDEXED = ("gather", "segment_sum", "put", "chain")


def operands(code: int) -> int:
    """How many registers an operation reads (the others that it names mean nothing)."""
    return _arity(NAMES[code])


def _arity(name: str) -> int:
    if name in SPECIAL:
        return SPECIAL[name]
    return 3 if name == "if_else" else 2 if name in BINARY or name in ("matmul", "take", "chain") else 1


@dataclass(frozen=True, eq=False, slots=True)
class Tape:
    """Operations and the workspace they run on.

    initial : the workspace with its constants filled in.
    inputs : start and length of each input register, by name.
    operations : the arrays the kernels take, in their order (all but the workspace).
    """

    initial: NDArray[np.float64]
    inputs: dict[str, tuple[int, int]]
    operations: tuple[NDArray[np.int64], ...]

    def place(self, register: int) -> slice:
        """Where a register's values lie in the workspace."""
        start, length = self.operations[6], self.operations[7]
        if start[register] < 0:
            raise ValueError("a constant that nothing used has no place; ask for its start before finishing")
        return slice(int(start[register]), int(start[register] + length[register]))

    def forward(self, w: NDArray[np.float64]) -> None:
        """Run forward in place; inputs must have been written into w."""
        from dagmodels.numerics.tape_kernels import forward

        forward(*self.operations, w)

    def reverse(self, w: NDArray[np.float64], bar: NDArray[np.float64]) -> None:
        """Run backward in place: bar holds seeds on entry, adjoints of everything on return."""
        from dagmodels.numerics.tape_kernels import reverse

        reverse(*self.operations, w, bar)

    def values(self, inputs: dict[str, Array]) -> Array:
        """The whole workspace in plain numpy, complex if an input is complex."""
        kind = np.result_type(np.float64, *[np.asarray(v).dtype for v in inputs.values()])
        w = self.initial.astype(kind)
        for name, (start, length) in self.inputs.items():
            if name in inputs:
                w[start : start + length] = inputs[name]
        code, out, a, b, c, aux, start, length, ptr, idx = self.operations
        for op in range(code.size):
            n = int(length[out[op]])
            operands = [w[int(start[r]) : int(start[r] + length[r])] for r in (a[op], b[op], c[op])]
            target = w[int(start[out[op]]) : int(start[out[op]]) + n]
            name = NAMES[int(code[op])]
            index = idx[ptr[aux[op]] : ptr[aux[op] + 1]] if name in INDEXED else None
            _numpy_operation(name, target, operands, int(aux[op]), int(c[op]), index)
        return w


class Recorder:
    """Takes operations; `finish()` gives the frozen tape. Registers are integers."""

    def __init__(self) -> None:
        self._start: list[int] = []  # -1: a constant that nothing has used yet
        self._length: list[int] = []
        self._constant: list[Array | None] = []
        self._inputs: dict[str, int] = {}
        self._ops: list[tuple[int, int, int, int, int, int]] = []
        self._indices: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._index_ids: dict[int, int] = {}
        self._kept: list[NDArray[np.int64]] = []
        self._numbers: dict[float, int] = {}
        self._seen: dict[tuple[Any, ...], int] = {}
        self._size = 0

    def length(self, register: int) -> int:
        """Number of values in a register."""
        return self._length[register]

    def start(self, register: int) -> int:
        """Where the register will lie in the workspace.

        Constants get a place when they are first used: folded columns of data never enter the
        workspace, so that their length costs nothing in an iteration.
        """
        if self._start[register] < 0:
            self._start[register] = self._size
            self._size += self._length[register]
        return self._start[register]

    def constant_value(self, register: int) -> Array | None:
        """The values, when they are known already."""
        return self._constant[register]

    def _new(self, length: int, value: Array | None = None) -> int:
        self._start.append(-1)
        self._length.append(length)
        self._constant.append(value)
        if value is None:
            self.start(len(self._start) - 1)
        return len(self._start) - 1

    def constant(self, value: Any) -> int:
        """A register of known values."""
        array = np.array(value, dtype=np.float64).reshape(-1)
        if array.size == 1:
            key = float(array[0])
            if key not in self._numbers or key != key:
                self._numbers[key] = self._new(1, array)
            return self._numbers[key]
        return self._new(array.size, array)

    def input(self, name: str, length: int) -> int:
        """A register that is written before each run."""
        if name not in self._inputs:
            self._inputs[name] = self._new(length)
        return self._inputs[name]

    def apply(self, name: str, *operands: int) -> int:
        """An elementwise function; lengths must be equal or one."""
        if name in (">", ">="):
            name, operands = {">": "<", ">=": "<="}[name], operands[::-1]
        lengths = [self._length[r] for r in operands]
        return self._record(name, 0 if 0 in lengths else max(lengths), operands, 0, 0, None)

    def gather(self, register: int, index: NDArray[np.int64]) -> int:
        """register[index]"""
        return self._record("gather", index.size, (register,), self._index(index), 0, index)

    def take(self, register: int, places: int) -> int:
        """register[places], the places being values of the tape; nan where there is no such place."""
        return self._record("take", self._length[places], (register, places), 0, 0, None)

    def pick(self, places: NDArray[np.int64]) -> int:
        """A register with the values at places of the workspace, whatever registers they belong to."""
        known = np.array([r for r, s in enumerate(self._start) if s >= 0])
        starts = np.array(self._start)
        known = known[np.argsort(starts[known], kind="stable")]
        owners = known[np.searchsorted(starts[known], places, side="right") - 1]
        parts = []
        for owner in np.unique(owners):
            at = np.flatnonzero(owners == owner)
            parts.append((self.gather(int(owner), places[at] - starts[owner]), at))
        if len(parts) == 1:
            return parts[0][0]
        return self.assemble(places.size, parts)

    def segment_sum(self, register: int, index: NDArray[np.int64], length: int) -> int:
        """out[index[i]] += register[i]"""
        if self._length[register] == 1 and index.size != 1:
            register = self.gather(register, np.zeros(index.size, np.int64))
        return self._record("segment_sum", length, (register,), self._index(index), 0, index)

    def total(self, register: int) -> int:
        """The sum of all values."""
        return self.segment_sum(register, np.zeros(self._length[register], dtype=np.int64), 1)

    def recorded(self) -> list[tuple[int, int, int, int, int, int]]:
        """The operations so far: code, register that it gives, operands, and what it knows beside."""
        return self._ops

    def index(self, aux: int) -> NDArray[np.int64]:
        """The places that a gather, a segment sum or a put was recorded with."""
        return self._indices[aux]

    def assemble(self, length: int, parts: list[tuple[int, NDArray[np.int64]]]) -> int:
        """One register from several: values of each part go to its places (disjoint, covering)."""
        known = [self._constant[r] for r, _ in parts]
        if all(v is not None for v in known):
            value = np.empty(length)
            for v, (_, places) in zip(known, parts, strict=True):
                value[places] = v
            return self.constant(value)
        out = self._new(length)
        for register, places in parts:
            self.start(register)
            self._ops.append((CODES["put"], out, register, register, register, self._index(places)))
        return out

    def matrix(self, name: str, order: int, *operands: int, transposed: bool = False) -> int:
        """A batched function of square matrices stored row by row."""
        count = self._length[operands[0]] // (order * order)
        length = {"logdet": count, "softmax": self._length[operands[0]]}.get(name, count * order * order)
        return self._record(name, length, operands, order, 1 if transposed else 0, None)

    def softmax(self, register: int, order: int) -> int:
        """Softmax over the last axis, of that length."""
        return self._record("softmax", self._length[register], (register,), order, 0, None)

    def log_sum_exp(self, register: int, order: int) -> int:
        """Log of the sum of exponentials over the last axis, of that length."""
        return self._record("log_sum_exp", self._length[register] // order, (register,), order, 0, None)

    def chain(self, evidence: int, transitions: int, index: NDArray[np.int64]) -> int:
        """The forward recursion of Markov chains; see `summing` for its index and what it gives."""
        length = int(index[1]) + self._length[evidence]
        return self._record("chain", length, (evidence, transitions), self._index(index), 0, index)

    def _index(self, index: NDArray[np.int64]) -> int:
        key = id(index)
        if key not in self._index_ids:
            self._indices.append(np.ascontiguousarray(index, dtype=np.int64))
            self._index_ids[key] = len(self._indices) - 1
            self._kept.append(index)  # an object's id is its own only while it lives
        return self._index_ids[key]

    def _record(
        self,
        name: str,
        length: int,
        operands: tuple[int, ...],
        aux: int,
        flag: int,
        index: NDArray[np.int64] | None,
    ) -> int:
        key = (name, length, operands, aux, flag)
        if key in self._seen:
            return self._seen[key]
        known = [self._constant[r] for r in operands]
        if all(v is not None for v in known):
            target = np.empty(length)
            padded = (known + [known[0]] * 3)[:3]
            _numpy_operation(name, target, padded, aux, flag, index)
            result = self.constant(target)
        else:
            result = self._new(length)
            a, b, c = (operands + (operands[0],) * 3)[:3]
            if name == "matmul":
                c = flag
            for r in operands:
                self.start(r)
            self._ops.append((CODES[name], result, a, b, c, aux))
        self._seen[key] = result
        return result

    def finish(self) -> Tape:
        """The frozen tape."""
        initial = np.zeros(self._size)
        for start, length, value in zip(self._start, self._length, self._constant, strict=True):
            if value is not None and start >= 0:
                initial[start : start + length] = value
        ops = np.array(self._ops, dtype=np.int64).reshape(-1, 6)
        ptr = np.concatenate([[0], np.cumsum([i.size for i in self._indices])]).astype(np.int64)
        code, out, a, b, c, aux = (np.ascontiguousarray(column) for column in ops.T)
        return Tape(
            initial=initial,
            inputs={name: (self._start[r], self._length[r]) for name, r in self._inputs.items()},
            operations=(
                code,
                out,
                a,
                b,
                c,
                aux,
                np.array(self._start, dtype=np.int64),
                np.array(self._length, dtype=np.int64),
                ptr,
                np.concatenate(self._indices),
            ),
        )


def _numpy_operation(
    name: str, target: Array, operands: list[Any], aux: int, flag: int, index: NDArray[np.int64] | None
) -> None:
    """One operation in plain numpy, into target."""
    with np.errstate(all="ignore"):
        if name == "gather":
            target[:] = operands[0][index]
        elif name == "segment_sum":
            target[:] = 0
            np.add.at(target, index, operands[0])
        elif name == "put":
            target[index] = operands[0]
        elif name == "take":
            at = np.real(operands[1])
            inside = (at >= 0) & (at < operands[0].size)
            target[:] = np.where(inside, operands[0][np.where(inside, at, 0).astype(np.int64)], np.nan)
        elif name == "cholesky":
            target[:] = factors(operands[0].reshape(-1, aux, aux)).reshape(-1)
        elif name == "root":
            blocks = operands[0].reshape(-1, aux, aux)
            target[:] = np.concatenate([_root(block).reshape(-1) for block in blocks] or [target])
        elif name == "inverse":
            target[:] = _inverse(operands[0].reshape(-1, aux, aux)).reshape(-1)
        elif name == "logdet":
            target[:] = _logdet(operands[0].reshape(-1, aux, aux))
        elif name == "matmul":
            left, right = (x.reshape(-1, aux, aux) for x in operands[:2])
            target[:] = (left @ (right.swapaxes(1, 2) if flag == 1 else right)).reshape(-1)
        elif name == "softmax":
            x = operands[0].reshape(-1, aux)
            e = np.exp(x - np.max(np.real(x), axis=1, keepdims=True))
            target[:] = (e / e.sum(axis=1, keepdims=True)).reshape(-1)
        elif name == "log_sum_exp":
            target[:] = log_sum_exp(operands[0].reshape(-1, aux))
        elif name == "chain":
            assert index is not None
            target[:] = chain(index, operands[0], operands[1])
        else:
            function = INCOMPLETE[name] if name in SPECIAL else FUNCTIONS[name]
            target[:] = function(*operands[: _arity(name)])


def _inverse(blocks: Array) -> Array:
    """Inverses; nan for singular matrices."""
    try:
        return np.linalg.inv(blocks)
    except np.linalg.LinAlgError:
        if len(blocks) > 1:
            return np.concatenate([_inverse(b[None]) for b in blocks])
        return np.full_like(blocks, np.nan)


def _logdet(blocks: Array) -> Array:
    """Log determinants of positive definite matrices; nan for others."""
    pivots = np.diagonal(factors(blocks), axis1=1, axis2=2)
    sign, size = np.linalg.slogdet(blocks)  # of all entries: complex steps may perturb either triangle
    value = size + np.log(sign) if np.iscomplexobj(blocks) else size
    return np.where((pivots.real > 0).all(axis=1), value, np.nan)


ZERO_PIVOT = 1e-13  # a pivot below this share of its diagonal entry is a zero that rounding left


def _root(block: Array) -> Array:
    """A root of one semidefinite matrix by pivoted elimination, as the kernel's; for any number type."""
    order = len(block)
    small = max(ZERO_PIVOT, 8 * order * 2.2e-16)
    lower = np.tril(block) + np.tril(block, -1).T
    diagonal = np.real(np.diagonal(lower))
    rest, root, turn = lower.copy(), np.zeros_like(lower), np.arange(order)
    for r in range(order):
        share = np.full(order, -1.0)
        for q in range(r, order):
            i = turn[q]
            share[q] = np.real(rest[i, i]) / diagonal[i] if diagonal[i] > 0 else -1.0
        best = int(np.argmax(share))
        if not share[best] > small:
            left = turn[r:]
            bound = 10 * small * np.sqrt(np.outer(diagonal[left], diagonal[left]))
            ok = (np.abs(np.real(rest[np.ix_(left, left)])) <= bound).all()
            return root if ok else np.full_like(root, np.nan)
        turn[[r, best]] = turn[[best, r]]
        p, later = turn[r], turn[r + 1 :]
        root[p, r] = np.sqrt(rest[p, p])
        root[later, r] = rest[later, p] / root[p, r]
        rest[np.ix_(later, later)] -= np.outer(root[later, r], root[later, r])
    return root


def factors(blocks: Array) -> Array:
    """Lower factors without conjugation, so that complex steps pass through; zero pivots stay zero."""
    order = blocks.shape[1]
    factor = np.zeros_like(blocks)
    for j in range(order):
        rest = blocks[:, j, j] - (factor[:, j, :j] ** 2).sum(axis=1)
        zero = np.abs(rest) <= ZERO_PIVOT * np.abs(blocks[:, j, j])
        pivot = np.where(zero, 0, np.where(rest.real < 0, np.nan, np.sqrt(rest)))
        factor[:, j, j] = pivot
        safe = np.where(pivot == 0, 1, pivot)
        for i in range(j + 1, order):
            rest = blocks[:, i, j] - (factor[:, i, :j] * factor[:, j, :j]).sum(axis=1)
            bound = np.sqrt(ZERO_PIVOT * np.abs(blocks[:, i, i] * blocks[:, j, j]))
            column = np.where(np.abs(rest) <= bound, 0, np.nan)
            factor[:, i, j] = np.where(pivot == 0, column, rest / safe)
    return factor
