"""Sums over all rows, taken apart: what is added, subtracted or scaled by one number is summed alone first.

The sum of -z**2/2 - log(sigma) over rows becomes -sum(z**2)/2 - n log(sigma): one pass over the rows less
for each operation, forward and back.
"""

from __future__ import annotations

from dagmodels.numerics.tape import NAMES, Recorder


def sums(recorder: Recorder, terms: list[tuple[int, int]]) -> int:
    """The sum of all entries of registers, each of them repeated until there are that many.

    terms : registers, and how many entries are meant: the register's length, or any number where it is one.
    """
    made = {out: (NAMES[code], a, b) for code, out, a, b, _, _ in recorder.recorded()}
    parts: list[tuple[float, int]] = []  # factor and a register of one entry
    known = 0.0

    def take(register: int, n: int, factor: float) -> None:
        """Add factor times the sum of n entries."""
        nonlocal known
        value = recorder.constant_value(register)
        length = recorder.length(register)
        if value is not None:
            known += factor * float(value.sum()) * (n if length == 1 else 1)
            return
        name, a, b = made.get(register, ("", 0, 0))
        match name:
            case "+" | "-":
                take(a, n, factor)
                take(b, n, factor if name == "+" else -factor)
            case "neg":
                take(a, n, -factor)
            case "*" if length > 1 and recorder.length(a) == 1:
                scaled(b, n, factor, a, "*")
            case "*" | "/" if length > 1 and recorder.length(b) == 1:
                scaled(a, n, factor, b, name)
            case _ if length == 1:
                parts.append((factor * n, register))
            case _:
                parts.append((factor, recorder.total(register)))

    def scaled(rows: int, n: int, factor: float, by: int, name: str) -> None:
        """Add factor times the sum of n entries that are scaled by one number."""
        value = recorder.constant_value(by)
        if value is not None and float(value[0]) != 0.0:
            take(rows, n, factor * float(value[0]) if name == "*" else factor / float(value[0]))
            return
        inner = sums(recorder, [(rows, n)])
        parts.append((factor, recorder.apply(name, inner, by)))

    for register, n in terms:
        if n:
            take(register, n, 1.0)
    total: int | None = None if known == 0.0 else recorder.constant(known)
    for factor, register in parts:
        if abs(factor) != 1.0:
            register = recorder.apply("*", register, recorder.constant(abs(factor)))
        if total is None:
            total = register if factor > 0 else recorder.apply("neg", register)
        else:
            total = recorder.apply("+" if factor > 0 else "-", total, register)
    return recorder.constant(0.0) if total is None else total
