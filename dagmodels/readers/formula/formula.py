"""One formula, read: response, fixed terms, random terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from dagmodels.readers.formula.algebra import Terms, expand
from dagmodels.readers.formula.bars import Bar, split
from dagmodels.readers.formula.deparse import deparse
from dagmodels.readers.formula.syntax import Node, parse, refuse


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula of a mixed model.

    response : None in a formula without left-hand side.
    fixed : terms of the fixed part, with its offsets.
    bars : random terms in the order written, `||` and `/` expanded.
    text : as R prints it.
    """

    response: Node | None
    fixed: Terms
    bars: tuple[Bar, ...]
    text: str


@lru_cache(maxsize=256)
def read_formula(text: str) -> Formula:
    """A formula's text -> Formula; texts read before are not read again.

    Raises
    ------
    ModelErrors : what is wrong, and what to write instead.
    """

    def fault(message: str, hint: str) -> NoReturn:
        refuse(f"{message}.", hint, text)

    left, right = parse(text)
    rest, bars = split(right, fault)
    told = f"{deparse(left)} ~ {deparse(right)}" if left is not None else f"~{deparse(right)}"
    return Formula(left, expand(rest, fault), bars, told)
