"""Elements and constraints as lavaan's text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, product

from dagmodels.graph import expression as ex
from dagmodels.graph.names import number_text

FUNCTIONS = {name: name for name in ("exp", "log", "sqrt", "abs")} | {
    "expit": "plogis",
    "logit": "qlogis",
    "Phi": "pnorm",
}
_SUM, _TERM, _SIGN, _POWER, _ATOM = range(1, 6)
_RANKS = {"+": _SUM, "-": _SUM, "*": _TERM, "/": _TERM, "**": _POWER}
Handle = Callable[[ex.Reference], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """An element in one group.

    parameter : what the free parameter is known by, the same for equal ones; None where it is fixed.
    value : the fixed value or the start.
    label : the user's, "" for none.
    """

    parameter: object = None
    value: float | None = None
    label: str = ""
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An element in all groups (None where a group does not have it)."""

    lhs: str
    op: str
    rhs: str
    cells: tuple[Cell | None, ...]
    level: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """All that a text says.

    added : how many rows the reader adds behind those of each level (0 without levels), in every group: the
        moments of exogenous variables.
    constraints : operator and sides; a defined quantity is a Reference on the left.
    head : comment lines.
    """

    entries: tuple[Entry, ...]
    groups: tuple[str, ...]
    levels: tuple[str, ...] = ()
    added: Mapping[int, int] = field(default_factory=dict[int, int])
    constraints: tuple[tuple[str, ex.Expression, ex.Expression], ...] = ()
    head: tuple[str, ...] = ()


def written(model: Model, handle: Callable[[Mapping[object, str]], Handle]) -> str:
    """The text.

    handle : given the name of each parameter in constraints, says how a reference is written.
    """
    labelled, names = _labels(model)
    lines = [f"# {line}" for line in model.head]
    complete = all(c is not None for e in labelled for c in e.cells)
    if len(model.groups) > 1 and not complete:
        for number in range(len(model.groups)):
            own = [replace(e, cells=(e.cells[number],)) for e in labelled if e.cells[number] is not None]
            lines += [f"group: {number + 1}", *_levels(own, model.levels)]
    else:
        lines += _levels(labelled, model.levels)
    reference = handle(names)
    for op, left, right in model.constraints:
        sides = (expression(left, reference), expression(right, reference))
        lines.append(f"{sides[0]} {op} {sides[1]}")
    return "\n".join(lines) + "\n"


def _labels(model: Model) -> tuple[list[Entry], dict[object, str]]:
    """The entries with labels where parameters are equal, and each parameter's name in constraints.

    Equal parameters without a label get lavaan's own name of the first row, such as `.p3.`, which counts as
    no label when it is read.
    """
    plabels: dict[object, str] = {}
    own: dict[object, str] = {}
    count: dict[object, int] = {}
    row = 0
    levels = range(1, len(model.levels) + 1) if model.levels else (0,)
    for number, level in product(range(len(model.groups)), levels):
        for entry in model.entries:
            cell = entry.cells[number]
            if cell is None or entry.level != level:
                continue
            row += 1
            if cell.parameter is not None:
                plabels.setdefault(cell.parameter, f".p{row}.")
                count[cell.parameter] = count.get(cell.parameter, 0) + 1
                if cell.label:
                    own.setdefault(cell.parameter, cell.label)
        row += model.added.get(level, 0)
    virtual = _virtual(model)
    for parameter, label in own.items():
        while label in virtual and virtual[label] != parameter:  # would tie it to that element
            label += "_"
        own[parameter] = label
    names = {p: own.get(p, plabel) for p, plabel in plabels.items()}

    def labelled(cell: Cell | None) -> Cell | None:
        if cell is None or cell.parameter is None:
            return cell
        needed = cell.parameter in own or count[cell.parameter] > 1
        return replace(cell, label=names[cell.parameter] if needed else "")

    return [replace(e, cells=tuple(map(labelled, e.cells))) for e in model.entries], names


def _virtual(model: Model) -> dict[str, object]:
    """The parameter (None: a number) behind the name that each element has without a label."""
    found: dict[str, object] = {}
    for entry in model.entries:
        level = f".l{entry.level}" if entry.level > 1 else ""
        for number, cell in enumerate(entry.cells, 1):
            if cell is not None:
                group = f".g{number}" if number > 1 else ""
                found[f"{entry.lhs}{entry.op}{entry.rhs}{level}{group}"] = cell.parameter
    return found


def _levels(entries: Sequence[Entry], levels: Sequence[str]) -> list[str]:
    if not levels:
        return _formulas(entries)
    found: list[str] = []
    for number, label in enumerate(levels, 1):
        found += [f"level: {label}", *_formulas([e for e in entries if e.level == number])]
    return found


def _formulas(entries: Sequence[Entry]) -> list[str]:
    """One line for neighbours with one left side and operator."""
    lines: list[str] = []
    for (lhs, op), group in groupby(entries, key=lambda e: (e.lhs, e.op)):
        terms = [t for entry in group for t in _terms(entry)]
        lines.append(f"{lhs} {'~' if op == '~1' else op} {' + '.join(terms)}")
    return lines


def _terms(entry: Entry) -> list[str]:
    """An element; with several modifiers it stands there several times, which every lavaan reads."""
    cells = [c for c in entry.cells if c is not None]
    right = "1" if entry.op == "~1" else entry.rhs
    if entry.op == "=~" and entry.rhs == entry.lhs:
        return ["0"]
    found: list[str] = []
    if any(c.parameter is None for c in cells):
        values = [None if c.parameter is not None else c.value or 0.0 for c in cells]
        found.append(f"{_numbers(values)}*{right}")
    if any(c.label for c in cells):
        found.append(f"{_texts([c.label for c in cells])}*{right}")
    starts = [c.value if c.parameter is not None else None for c in cells]
    if any(s is not None for s in starts):
        fixed = [c.value if c.parameter is None else s for c, s in zip(cells, starts, strict=True)]
        found.append(f"start({_numbers(fixed)})*{right}")
    for name in ("lower", "upper"):
        bounds = [getattr(c, name) for c in cells]
        if any(b is not None for b in bounds):
            found.append(f"{name}({_numbers(bounds)})*{right}")
    return found or [right]


def _numbers(values: Sequence[float | None]) -> str:
    texts = ["NA" if v is None else number_text(_whole(v)) for v in values]
    return texts[0] if len(set(texts)) == 1 else f"c({', '.join(texts)})"


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _texts(labels: Sequence[str]) -> str:
    texts = [label if _plain(label) else f'"{label}"' if label else "NA" for label in labels]
    if len(set(texts)) == 1:
        return texts[0] if _plain(labels[0]) else f"label({texts[0]})"
    return f"c({', '.join(texts)})"


def _plain(label: str) -> bool:
    return bool(label) and label.replace(".", "_").isidentifier()


def expression(tree: ex.Expression, handle: Handle) -> str:
    """A tree as R writes it, with the least brackets."""
    return _ranked(tree, handle)[0]


def _ranked(tree: ex.Expression, handle: Handle) -> tuple[str, int]:
    match tree:
        case ex.Number(value):
            return number_text(value), _ATOM
        case ex.Reference():
            return handle(tree), _ATOM
        case ex.Unary(op, operand):
            return f"{op}{_at_least(operand, _SIGN, handle)}", _SIGN
        case ex.Binary(op, left, right) if op in _RANKS:
            rank = _RANKS[op]
            if op == "**":
                return f"{_at_least(left, _ATOM, handle)}^{_at_least(right, _SIGN, handle)}", rank
            space = " " if rank == _SUM else ""
            sides = _at_least(left, rank, handle), _at_least(right, rank + 1, handle)
            return f"{sides[0]}{space}{op}{space}{sides[1]}", rank
        case ex.Call(name, (argument,)) if name in FUNCTIONS:
            return f"{FUNCTIONS[name]}({expression(argument, handle)})", _ATOM
        case _:
            raise ValueError(str(tree))


def _at_least(tree: ex.Expression, least: int, handle: Handle) -> str:
    text, rank = _ranked(tree, handle)
    return text if rank >= least else f"({text})"
