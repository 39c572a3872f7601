"""A tape with places instead of registers, for kernels that run parts of it over and over.

Every operation becomes one row of whole numbers: what to do, how often, and where operands and results lie
in the workspace, so that nothing is looked up when it runs (`program_steps`). Products that only a sum
reads, and differences that only their squares read, become one operation with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import CODES, NAMES, Tape, operands

# columns: what, numbers computed, where they go; place and stride of up to three operands (of operations with
# an index the second place is that of the index, the third a length: of a segment sum, or of what is taken
# from); the operation of the tape, for what `program_steps` leaves to the kernel of tapes
KIND, COUNT, OUT, X, DX, Y, DY, Z, DZ, OPERATION = range(10)
COLUMNS = 10
SUM, PRODUCT_SUM, SQUARE_SUM = 70, 71, 72  # of x, x y, (x - y)**2
TIMES_PLUS, TIMES_LESS, LESS_TIMES = 73, 74, 75  # x y + z, x y - z, z - x y
OTHER = 99  # as the kernel of tapes has it
BINARY = range(12)
ALWAYS = ("neg", "sqrt", "abs")  # of any length here
SCALAR = (  # of many numbers faster there
    *("exp", "log", "log1p", "expm1", "lgamma", "softplus", "expit", "logit", "Phi"),
    *("binet", "binet1", "binet2"),
)
FUSED = {  # (what reads a product, on which side the product is) -> one operation
    ("+", 0): TIMES_PLUS,
    ("+", 1): TIMES_PLUS,
    ("-", 0): TIMES_LESS,
    ("-", 1): LESS_TIMES,
}


@dataclass(frozen=True, slots=True)
class Line:
    """An operation before it has places: its kind, the register that it gives, those that it reads."""

    kind: int
    out: int
    reads: tuple[int, ...]
    operation: int


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """See the module.

    lines : operations in order. steps : a row for each, (operations, COLUMNS).
    """

    tape: Tape
    lines: tuple[Line, ...]
    steps: NDArray[np.uint64]

    def run(self, w: NDArray[np.float64]) -> None:
        """All operations in place; inputs must have been written into w."""
        from dagmodels.numerics.program_steps import run

        run(self.steps, *self.tape.operations, w)


def program(tape: Tape, kept: Collection[int]) -> Program:
    """kept : registers whose values someone reads."""
    lines = _fused(tape, set(kept))
    steps = np.array([_row(tape, x) for x in lines], np.uint64).reshape(-1, COLUMNS)
    return Program(tape, tuple(lines), steps)


def _fused(tape: Tape, kept: set[int]) -> list[Line]:
    """Lines of all operations, some of them become part of those that read them."""
    length, start = tape.operations[7], tape.operations[6]
    inputs = {s for s, n in tape.inputs.values() if n}
    readers: dict[int, int] = {}
    lines: list[Line] = []
    for op, (code, out, *read) in enumerate(np.stack(tape.operations[:5], axis=1).tolist()):
        reads = tuple(read[: operands(code)])
        lines.append(Line(code, out, reads, op))
        for r in set(reads):
            readers[r] = readers.get(r, 0) + 1
    made: dict[int, int] = {}  # by register the line that gives it, if that is its only one
    gone: set[int] = set()

    def inner(register: int, kind: int) -> Line | None:
        """The line that gives a register, where only one line reads it and it is of that kind."""
        k = made.get(register)
        if k is None or readers.get(register) != 1 or register in kept or int(start[register]) in inputs:
            return None
        return lines[k] if lines[k].kind == kind else None

    for k, line in enumerate(lines):
        name = NAMES[line.kind]
        found: tuple[int, tuple[int, ...], Line] | None = None
        if name == "segment_sum" and length[line.out] == 1:
            product = inner(line.reads[0], CODES["*"])
            if product is not None:
                found = PRODUCT_SUM, product.reads, product
            else:
                lines[k] = replace(line, kind=SUM)
        elif name in ("+", "-"):
            for side in (0, 1):
                product = inner(line.reads[side], CODES["*"])
                other = line.reads[1 - side]
                if product is not None and line.reads[side] != other:
                    found = FUSED[name, side], (*product.reads, other), product
                    break
        if found is not None:
            kind, reads, old = found
            gone.add(made[old.out])
            if kind == PRODUCT_SUM and reads[0] == reads[1]:
                gap = inner(reads[0], CODES["-"])
                if gap is not None:
                    gone.add(made[gap.out])
                    kind, reads = SQUARE_SUM, gap.reads
            lines[k] = Line(kind, line.out, reads, line.operation)
        if name != "put":
            made[line.out] = k
    return [x for k, x in enumerate(lines) if k not in gone]


def _row(tape: Tape, line: Line) -> list[int]:
    start, length, ptr = tape.operations[6], tape.operations[7], tape.operations[8]
    aux = int(tape.operations[5][line.operation])
    n = int(length[line.out])
    many = [int(length[r]) for r in line.reads]
    row = [0] * COLUMNS
    row[KIND], row[COUNT], row[OUT], row[OPERATION] = line.kind, n, int(start[line.out]), line.operation
    for j, r in enumerate(line.reads):
        row[X + 2 * j], row[DX + 2 * j] = int(start[r]), int(many[j] > 1)
    name = NAMES.get(line.kind, "")
    if line.kind in (SUM, PRODUCT_SUM, SQUARE_SUM):
        row[COUNT] = 0 if 0 in many else max(many)
    elif name == "gather":
        row[Y] = int(ptr[aux])
    elif name == "segment_sum":
        row[COUNT], row[Y], row[Z] = many[0], int(ptr[aux]), n
    elif name == "put":
        row[COUNT], row[Y] = int(ptr[aux + 1] - ptr[aux]), int(ptr[aux])
    elif name == "take":
        row[Z] = many[0]
    elif not (line.kind in BINARY or name in ALWAYS or (name in SCALAR and n == 1)):
        row[KIND] = OTHER if line.kind < SUM else line.kind
    return row
