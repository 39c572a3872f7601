"""One formula, read: response, fixed terms, random terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    zero, spread : fixed terms of structural zeros and of the parameter of spread, or None.
    zero_bars : how many of the random terms, the last ones, are those of structural zeros.
    """

    response: Node | None
    fixed: Terms
    bars: tuple[Bar, ...]
    text: str
    zero: Terms | None = None
    spread: Terms | None = None
    zero_bars: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """For each random term the predictor that it belongs to: "cond", or "zi" for structural zeros."""
        own = len(self.bars) - self.zero_bars
        return ("cond",) * own + ("zi",) * self.zero_bars

    def some(self, bars: Sequence[int]) -> Formula:
        """With some of the random terms only, by their places."""
        zeros = sum(self.parts[i] == "zi" for i in bars)
        return replace(self, bars=tuple(self.bars[i] for i in bars), zero_bars=zeros)


def with_parts(formula: Formula, ziformula: str | None, dispformula: str | None) -> Formula:
    """A formula with those of structural zeros and of the parameter of spread (None: there is none).

    Raises
    ------
    ModelErrors : a formula with a response or an offset; random terms of the spread.
    """
    for what, text in (("ziformula", ziformula), ("dispformula", dispformula)):
        if text is None:
            continue
        given = read_formula(text if "~" in text else f"~ {text}")
        if given.response is not None or given.fixed.offsets:
            refuse(f"{what} has a right-hand side only, without offset.", 'write "~ x"', text)
        if what == "dispformula" and given.bars:
            refuse("dispformula has no random terms here.", 'write "~ x", or write the graph', text)
        if not given.fixed.intercept and not given.fixed.terms:
            if what == "ziformula" and not given.bars:
                continue  # "~ 0", as in R: no structural zeros
            refuse(f"nothing is in the fixed part of {what}.", 'write "~ 1"', text)
        if what == "ziformula":
            bars = (*formula.bars, *given.bars)
            formula = replace(formula, zero=given.fixed, bars=bars, zero_bars=len(given.bars))
        elif given.fixed.terms or not given.fixed.intercept:
            formula = replace(formula, spread=given.fixed)
    return formula


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
