"""Registers that are a number times a power of a slot, found along the tape: what conjugate pairs ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions._family import Conjugacy, Family
from dagmodels.forms.conditionals.influence import Influence
from dagmodels.numerics.tape import NAMES, operands

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Power:
    """coefficient * slot**power by entry, or the logarithm of that (`log`); coefficients of one entry serve
    all.

    complement : it is one minus that.
    """

    coefficient: int
    power: float
    log: bool = False
    complement: bool = False


class Powers:
    """Powers of the slots of one class; see `Tangents` for what the class means."""

    def __init__(self, influence: Influence, slots: Ints) -> None:
        self.influence = influence
        self.recorder = influence.recorder
        self.slots = slots
        self._found: dict[int, Power | None] = {}

    def of(self, register: int) -> Power | None:
        """None where the register is no such thing, or does not depend on the slots."""
        if register not in self._found:
            self._found[register] = self._derived(register)
        return self._found[register]

    def _derived(self, register: int) -> Power | None:
        r = self.recorder
        if not self.influence.depends(register, self.slots):
            return None
        start = self.influence.inputs.get(register)
        if start is not None:
            mine = np.isin(start + np.arange(r.length(register)), self.slots)
            return Power(r.constant(1.0), 1.0) if mine.all() else None
        operations = self.influence.operations(register)
        if len(operations) != 1 or NAMES[operations[0][0]] == "put":
            return None
        code, _, a, b, _, aux = operations[0]
        name = NAMES[code]
        if name == "gather":
            return self._gathered(a, r.index(aux))
        if name == "take":
            inner = self.of(a)
            if inner is None or self.influence.depends(b, self.slots) or r.length(inner.coefficient) > 1:
                return None
            return inner
        parts = (a, b)[: operands(code)]
        return self._through(name, [self.of(x) for x in parts], list(parts))

    def _gathered(self, a: int, index: Ints) -> Power | None:
        """Of entries that depend on slots outside of the class too, those that are taken must not."""
        r = self.recorder
        start = self.influence.inputs.get(a)
        if start is not None:
            return Power(r.constant(1.0), 1.0) if np.isin(start + index, self.slots).all() else None
        inner = self.of(a)
        if inner is None or r.length(inner.coefficient) == 1:
            return inner
        return Power(r.gather(inner.coefficient, index), inner.power, inner.log, inner.complement)

    def _through(self, name: str, parts: list[Power | None], registers: list[int]) -> Power | None:
        r = self.recorder
        free = [not self.influence.depends(x, self.slots) for x in registers]
        if any(p is None and not f for p, f in zip(parts, free, strict=True)):
            return None
        match name, parts:
            case "*", [Power(k, p, False, False), Power(h, q, False, False)]:
                return Power(r.apply("*", k, h), p + q) if p + q else None
            case "*", [Power(k, p, False, False), None]:
                return Power(self._times(k, registers[1]), p)
            case "*", [None, Power(k, p, False, False)]:
                return Power(self._times(k, registers[0]), p)
            case "/", [Power(k, p, False, False), None]:
                return Power(r.apply("/", k, registers[1]), p)
            case "/", [None, Power(k, p, False, False)]:
                return Power(r.apply("/", registers[0], k), -p)
            case "**", [Power(k, p, False, False), None] if (q := self._number(registers[1])) is not None:
                return Power(r.apply("**", k, registers[1]), p * q) if q else None
            case "sqrt", [Power(k, p, False, False)]:
                return Power(r.apply("sqrt", k), 0.5 * p)
            case "log", [Power(k, p, False, False)]:
                return Power(k, p, log=True)
            case "exp", [Power(k, p, True, _)]:
                return Power(k, p)
            case "neg", [Power(k, p, True, _)]:
                return Power(r.apply("/", r.constant(1.0), k), -p, log=True)
            case "-", [None, Power(k, 1.0, False, False)] if self._number(registers[0]) == 1.0:
                return Power(k, 1.0, complement=True)
            case "+" | "-", [Power(k, p, True, _), None]:
                shift = r.apply("exp", registers[1])
                return Power(r.apply("*" if name == "+" else "/", k, shift), p, log=True)
            case "+", [None, Power(k, p, True, _)]:
                return Power(r.apply("*", k, r.apply("exp", registers[0])), p, log=True)
        return None

    def _times(self, k: int, other: int) -> int:
        known = self.recorder.constant_value(k)
        one = known is not None and known.size == 1 and known[0] == 1.0
        return other if one else self.recorder.apply("*", k, other)

    def _number(self, register: int) -> float | None:
        known = self.recorder.constant_value(register)
        return float(known[0]) if known is not None and known.size == 1 else None


def exponent(board: Any, rule: Conjugacy, known: Family, rest: Sequence[Any]) -> float | None:
    """The power of a family's parameter in a conjugate kernel; None where it is not known.

    rest : the other parameters as jets.
    """
    if not rule.times:
        return rule.power
    names = [n for n in rule.signature or (p.name for p in known.parameters) if n != rule.argument]
    value = board.recorder.constant_value(rest[names.index(rule.times)].value.register)
    return rule.power * float(value[0]) if value is not None and (value == value[0]).all() else None
