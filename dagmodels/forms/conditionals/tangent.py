"""Derivatives along the tape of what is linear in some slots, as registers.

The slots are conditionally independent given everything else: each row that is asked about depends on at most
one of them, so that one number a row is the whole derivative. Its being free of the slots is the proof
that the row is linear in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.influence import Influence
from dagmodels.numerics.tape import NAMES, Recorder, operands

Ints = NDArray[np.int64]
Operation = tuple[int, int, int, int, int, int]


class NotLinear(Exception):
    """A register that is not linear in the slots; its argument is the function that is in the way."""


class Tangents:
    """Derivatives with respect to the slots, one number an entry; a register of one entry serves all.

    Parameters
    ----------
    influence : of the recorder's registers on the state.
    slots : the class of slots.
    """

    def __init__(self, influence: Influence, slots: Ints) -> None:
        self.influence = influence
        self.recorder: Recorder = influence.recorder
        self.slots = slots
        self._found: dict[int, int | None] = {}
        self._rest: dict[int, int] = {}

    def of(self, register: int) -> int | None:
        """The derivative's register; None where nothing depends on the slots. Raises `NotLinear`."""
        if register not in self._found:
            self._found[register] = self._derived(register)
        return self._found[register]

    def _derived(self, register: int) -> int | None:
        if not self.influence.depends(register, self.slots):
            return None
        start = self.influence.inputs.get(register)
        if start is not None:
            mine = np.isin(start + np.arange(self.recorder.length(register)), self.slots)
            return self.recorder.constant(1.0 if mine.all() else mine.astype(float))
        operations = self.influence.operations(register)
        if NAMES[operations[0][0]] == "put":
            return self._assembled(register, operations)
        return self._through(operations[0], self.recorder.length(register))

    def _through(self, op: Operation, n: int) -> int:
        code, _, a, b, c, aux = op
        r, name = self.recorder, NAMES[code]
        parts = [self.of(x) for x in (a, b, c)[: operands(code)]]
        match name, parts:
            case "+", [x, y]:
                return y if x is None else x if y is None else r.apply("+", x, y)  # type: ignore[return-value]
            case "-", [x, None]:
                return x  # type: ignore[return-value]
            case "-", [None, y]:
                return r.apply("neg", y)  # type: ignore[arg-type]
            case "-", [x, y]:
                return r.apply("-", x, y)  # type: ignore[arg-type]
            case "neg", [x]:
                return r.apply("neg", x)  # type: ignore[arg-type]
            case "*", [x, None]:
                return self.times(x, b)  # type: ignore[arg-type]
            case "*", [None, y]:
                return self.times(y, a)  # type: ignore[arg-type]
            case "/", [x, None]:
                return r.apply("/", x, b)  # type: ignore[arg-type]
            case "gather", [x]:
                index = r.index(aux)
                return x if r.length(x) == 1 else r.gather(x, index)  # type: ignore[arg-type, return-value]
            case "segment_sum", [x]:
                return r.segment_sum(self._full(x, r.length(a)), r.index(aux), n)
            case "take", [x, None]:
                return x if r.length(x) == 1 else r.take(x, b)  # type: ignore[arg-type, return-value]
            case "if_else", [None, y, z]:
                zero = r.constant(0.0)
                return r.apply("if_else", a, zero if y is None else y, zero if z is None else z)
        raise NotLinear(name)

    def _assembled(self, register: int, operations: list[Operation]) -> int:
        r = self.recorder
        parts = []
        for _, _, a, _, _, aux in operations:
            places = r.index(aux)
            parts.append((self._full(self.of(a), places.size), places))
        return r.assemble(r.length(register), parts)

    def _full(self, x: int | None, n: int) -> int:
        r = self.recorder
        if x is None:
            return r.constant(np.zeros(n))
        if r.length(x) == n:
            return x
        known = r.constant_value(x)
        return r.constant(np.full(n, known[0])) if known is not None else r.gather(x, np.zeros(n, np.int64))

    def times(self, x: int, y: int) -> int:
        """x y, without needless ones."""
        for one, other in ((x, y), (y, x)):
            known = self.recorder.constant_value(one)
            if known is not None and known.size == 1 and known[0] == 1.0:
                return other
        return self.recorder.apply("*", x, y)

    # -- values where the slots are zero ---------------------------------------------------------------

    def rest(self, register: int) -> int:
        """What a linear register is where all slots are zero."""
        if register not in self._rest:
            self._rest[register] = self._without(register)
        return self._rest[register]

    def _without(self, register: int) -> int:
        r = self.recorder
        if not self.influence.depends(register, self.slots):
            return register
        n = r.length(register)
        start = self.influence.inputs.get(register)
        if start is not None:
            others = ~np.isin(start + np.arange(n), self.slots)
            return r.apply("*", register, r.constant(others)) if others.any() else r.constant(0.0)
        operations = self.influence.operations(register)
        code, _, a, b, c, aux = operations[0]
        name = NAMES[code]
        if name == "put":
            parts = []
            for _, _, part, _, _, index in operations:
                places = r.index(index)
                parts.append((self._full(self.rest(part), places.size), places))
            return r.assemble(n, parts)
        x, *more = (self.rest(q) for q in (a, b, c)[: operands(code)])
        match name:
            case "+":
                return (
                    more[0] if self._is(x, 0.0) else x if self._is(more[0], 0.0) else r.apply("+", x, *more)
                )
            case "-":
                if self._is(x, 0.0):
                    return r.apply("neg", more[0])
                return x if self._is(more[0], 0.0) else r.apply("-", x, *more)
            case "*":
                if self._is(x, 0.0) or self._is(more[0], 0.0):
                    return r.constant(0.0)
                return self.times(x, more[0])
            case "gather":
                return x if r.length(x) == 1 else r.gather(x, r.index(aux))
            case "segment_sum":
                return x if self._is(x, 0.0) else r.segment_sum(self._full(x, r.length(a)), r.index(aux), n)
            case "take":
                return x if r.length(x) == 1 else r.take(x, *more)
        return r.apply(name, x, *more)

    def _is(self, register: int, number: float) -> bool:
        known = self.recorder.constant_value(register)
        return known is not None and known.size == 1 and known[0] == number
