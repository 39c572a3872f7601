"""Which statements belong to which group and level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dagmodels.errors import ModelError
from dagmodels.readers.lavaan.options import Options
from dagmodels.readers.lavaan.parse import Block, Element, Statement
from dagmodels.readers.lavaan.variables import Variables

_WITHIN = ("within", "1")


@dataclass(frozen=True, slots=True)
class Part:
    """The elements of one block.

    group : counted from 1; 0 where they are those of every group.
    level : 1 or 2; 0 in models of one level.
    """

    elements: tuple[Element, ...]
    group: int = 0
    level: int = 0


def parts(
    statements: Sequence[Statement], options: Options, names: Variables, faults: list[ModelError]
) -> tuple[list[Part], tuple[str, ...], tuple[str, ...]]:
    """The blocks in order, labels of the groups (one, "", where there are none) and of the levels."""
    groups, levels = options.groups or ("",), ()
    elements = tuple(_ordered(s, names) for s in statements if isinstance(s, Element))
    if not elements:
        hint = "write at least one formula, such as f =~ x1 + x2 + x3"
        faults.append(ModelError("The model has no formulas about variables.", hint=hint, line=1))
    if not elements or not any(isinstance(s, Block) for s in statements):
        return [Part(elements)], groups, levels
    found: dict[tuple[str, str], list[Element]] = {}
    group = level = ""
    heads: list[Block] = []
    for said in statements:
        if isinstance(said, Block):
            heads.append(said)
            if said.kind == "group":
                group, level = said.label, ""
            else:
                level = said.label
        elif isinstance(said, Element):
            if not heads:
                _outside(said, faults)
            found.setdefault((group, level), []).append(_ordered(said, names))
    labels = tuple(dict.fromkeys(b.label for b in heads if b.kind == "group"))
    levels = tuple(dict.fromkeys(b.label for b in heads if b.kind == "level"))
    groups = _groups(labels, groups, heads, faults)
    _levels(levels, found, heads, faults)
    made = [
        Part(tuple(e), labels.index(g) + 1 if g else 0, levels.index(w) + 1 if w else 0)
        for (g, w), e in found.items()
    ]
    return made, groups, levels


def _ordered(element: Element, names: Variables) -> Element:
    """A covariance with its ends in lavaan's order: latent ones first, each set in its own order."""
    if element.op != "~~" or element.lhs == element.rhs:
        return element
    for name in (*names.latent, *names.observed):
        if name == element.lhs:
            return element
        if name == element.rhs:
            break
    return replace(element, lhs=element.rhs, rhs=element.lhs)


def _outside(element: Element, faults: list[ModelError]) -> None:
    if not any("before the first block" in f.message for f in faults):
        message = f"{element.lhs} {element.op} {element.rhs} stands before the first block."
        faults.append(
            ModelError(
                message,
                hint="move it behind group: or level:",
                line=element.line,
                column=element.column,
            )
        )


def _groups(
    labels: tuple[str, ...], given: tuple[str, ...], heads: Sequence[Block], faults: list[ModelError]
) -> tuple[str, ...]:
    """The labels of the groups: those of the text, unless it only counts them."""
    if not labels:
        return given
    first = next(b for b in heads if b.kind == "group")
    if given == ("",):
        return labels
    numbers = tuple(str(i + 1) for i in range(len(given)))
    if len(labels) != len(given) or (labels != given and labels != numbers):
        message = f"The text has the groups {', '.join(labels)}; groups= has {', '.join(given)}."
        hint = "number the blocks in the order of the groups, or give both the same labels"
        faults.append(ModelError(message, hint=hint, line=first.line, column=first.column))
    return given


def _levels(
    levels: tuple[str, ...],
    found: dict[tuple[str, str], list[Element]],
    heads: Sequence[Block],
    faults: list[ModelError],
) -> None:
    if not levels:
        return
    first = next(b for b in heads if b.kind == "level")
    line, column = first.line, first.column
    if len(levels) != 2 or levels[0].lower() not in _WITHIN:
        message = f"The levels are {', '.join(levels)}."
        hint = "two levels are read: level: 1 (or within) first, then level: 2"
        faults.append(ModelError(message, hint=hint, line=line, column=column))
    if any(not w for _, w in found):
        hint = "put level: before them"
        faults.append(ModelError("Some formulas have no level.", hint=hint, line=line, column=column))
