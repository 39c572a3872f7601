"""What Python hands to a builder, checked: names, plates, levels, numbers, flags.

A model's text cannot say `levels=5` or `observed=y`; a call can. Every wrong argument of one call is
told at once, with the call and what to write instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex


@dataclass(slots=True)
class Arguments:
    """The arguments of one call.

    call : what was called, such as "plate('county')".
    """

    call: str
    found: list[ModelError] = field(default_factory=list[ModelError])

    def fault(self, message: str, hint: str, node: str | None = None) -> None:
        self.found.append(ModelError(message, hint=hint, node=node))

    def done(self) -> None:
        """Raise what is wrong.

        Raises
        ------
        ModelErrors : every wrong argument.
        """
        raise_all(self.found, f"the arguments of {self.call}")

    def name(self, value: object, hint: str = "give a text") -> str:
        """A name; whether it can be one in a model is the model's question."""
        if not isinstance(value, str):
            self.fault(f"{shown(value)} is no name", hint)
        return value if isinstance(value, str) else ""

    def note(self, value: object) -> str:
        if not isinstance(value, str):
            self.fault(f"note is {shown(value)}", "a note is a text")
        return value if isinstance(value, str) else ""

    def flag(self, value: object, argument: str, hint: str = "give True or False") -> bool:
        """True or False and nothing that only counts as such."""
        plain = scalar(value)
        if not isinstance(plain, bool):
            self.fault(f"{argument} is {shown(value)}, not True or False", hint)
        return plain is True

    def observed(self, value: object) -> bool:
        """A graph holds no data: PyMC's `observed=y` would be lost."""
        return self.flag(value, "observed", "write observed=True and give the data to fit(...)")

    def number(self, value: object, argument: str, finite: bool = False) -> int | float | None:
        """A number, or None."""
        plain = scalar(value)
        if plain is None:
            return None
        if isinstance(plain, bool) or not isinstance(plain, int | float):
            self.fault(f"{argument} is {shown(value)}, not a number", f"write {argument}=1, or leave it out")
            return None
        if math.isnan(plain) or (finite and math.isinf(plain)):
            self.fault(f"{argument} is {plain}", "give a finite number, or leave it out")
        return plain

    def plates(self, value: object, argument: str = "plate") -> tuple[str, ...]:
        """Names of plates given as one plate, one name, or several."""
        if value is None:
            return ()
        hint = "give a plate or its name, or a list of these"
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
            given: tuple[object, ...] = tuple(value)
        else:
            given = (value,)
        names: list[str] = []
        for one in given:
            name = plate_name(one)
            if name is None:
                node = f" ('{one.name}' is a node)" if isinstance(one, ex.Reference) else ""
                self.fault(f"{argument} is {shown(one)}, which is no plate{node}", hint)
            else:
                names.append(name)
        return tuple(names)

    def plate(self, value: object, argument: str) -> str | None:
        """The name of one plate, or None."""
        names = self.plates(value, argument)
        if len(names) > 1:
            self.fault(f"{argument} names {len(names)} plates ({', '.join(names)})", "give one plate")
        return names[0] if names else None

    def levels(self, value: object, plate: str) -> tuple[Any, ...] | None:
        """Labels in their order, or None."""
        if value is None:
            return None
        if isinstance(value, str | bytes):
            several = ", ".join(f'"{v}"' for v in str(value).replace(",", " ").split())
            self.fault(f"levels of '{plate}' is the text {value!r}, not a list", f"write levels=[{several}]")
        elif isinstance(value, set | frozenset):
            self.fault(f"levels of '{plate}' is a set, which has no order", "give a list")
        elif not isinstance(value, Iterable) or hasattr(value, "columns"):
            count = "; for numbered elements write levels=range(1, 6)" if isinstance(value, int) else ""
            self.fault(
                f"levels of '{plate}' is {shown(value)}, not a list of labels",
                f"give a list, or leave the levels to the data{count}",
            )
        else:
            labels = tuple(label(v) for v in value)
            for odd in (v for v in labels if not isinstance(v, Hashable)):
                self.fault(f"{shown(odd)} is no level of '{plate}'", "levels are texts or whole numbers")
            return labels
        return None

    def tree(self, value: object, what: str) -> ex.Expression:
        """An expression, number or text as a tree."""
        try:
            return ex.as_expression(value)
        except ex.ExpressionError as error:
            self.fault(f"{what}: {error.message}", error.hint or "")
            return ex.Number(0)

    def path(self, value: object, argument: str) -> str | None:
        """A file's name, or None."""
        if value is None or isinstance(value, str):
            return value
        found = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(found, str):
            self.fault(f"{argument} is {shown(value)}, not a path", "name a file here; give data to fit(...)")
            return None
        return found


def plate_name(value: object) -> str | None:
    """The name of a plate given by itself or by its name; None for anything else."""
    if isinstance(value, str):
        return value
    return getattr(value, "name", None) if hasattr(value, "as_index") else None


def scalar(value: object) -> object:
    """A number of numpy as Python's; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value  # type: ignore[attr-defined]


def label(value: object) -> Any:
    """A level as text or a whole number; anything else is refused when the graph is checked."""
    plain = scalar(value)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def shown(value: object) -> str:
    """A value for a message: short ones as written, long ones by their type."""
    if isinstance(value, ex.Expression):
        return f"`{value}`"
    text = repr(value)
    if len(text) <= 40 and "\n" not in text:
        return text
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""  # type: ignore[arg-type]
    return f"a {type(value).__name__}{size}"
