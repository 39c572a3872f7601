"""Text to unresolved statements and expressions, through the lark grammar; never through `eval`.

Every statement is parsed by itself, so that all slips of a text are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.actions import Raw, Slip
from dagmodels.graph.dag import Remarks
from dagmodels.graph.lalr import parser
from dagmodels.graph.plate import Place, Plate
from dagmodels.graph.scanning import Piece, Positions, normalised, pieces


@dataclass(frozen=True, slots=True)
class Parse:
    """A text's statements, names not yet resolved, and the text for places in messages."""

    name: str
    plates: tuple[Plate, ...]
    statements: tuple[st.Statement, ...]
    data_file: str | None
    text: str
    remarks: Remarks


def statements(text: str, source: str | None = None) -> Parse:
    """Parse a whole model.

    Raises
    ------
    ModelErrors : every slip of the text, with line, column and what to try.
    """
    text = normalised(text, source)
    where = Positions(text)
    faults: list[ModelError] = []

    def fault(message: str, position: int, hint: str) -> None:
        place = where(position)
        faults.append(ModelError(message, line=place.line, column=place.column, hint=hint, source=source))

    names: list[str] = []
    plates: list[Plate] = []
    found: list[st.Statement] = []
    files: list[str] = []
    before, notes = "", {"model": "", "data": ""}
    for piece in pieces(text, fault):
        raw = _statement(piece, fault)
        if raw is None:
            continue
        match raw.kind:
            case "model":
                if names:
                    fault(
                        "A text holds one model; this is a second `model` line.",
                        piece.start,
                        "split the text",
                    )
                names.append(raw.parts["name"])
                before, notes["model"] = _comments(text[: piece.start]), piece.note
            case "data":
                if files:
                    fault("A model has one `data` line; this is a second.", piece.start, "remove one of them")
                files.append(raw.parts["file"])
                notes["data"] = piece.note
            case "plate":
                plates.append(_plate(raw, piece, where))
            case _:
                found.extend(_finish(raw, piece, where))
    if not names and not faults:
        fault("The text does not begin with `model NAME`.", 0, "write `model` and a name as the first line")
    raise_all(faults, source or (f"model '{names[0]}'" if names else "the text"))
    remarks = Remarks(before, notes["model"], notes["data"])
    return Parse(names[0], tuple(plates), tuple(found), files[0] if files else None, text, remarks)


def _comments(text: str) -> str:
    """The lines of comment at the beginning of a text, without their marks."""
    lines = (line.strip() for line in text.lstrip().split("\n"))
    return "\n".join(line[1:].strip() for line in takewhile(lambda s: s.startswith("#"), lines))


def expression(text: str) -> ex.Expression:
    """Parse one expression such as `g0 + g1*uranium`."""
    return _right_side(text, refuse_distributions=True)


def right_side(text: str) -> ex.Expression | st.Distribution:
    """Parse what may stand after `=` or `~`; a call without named arguments is a `Call` in either case."""
    return _right_side(text, refuse_distributions=False)


def _right_side(text: str, refuse_distributions: bool) -> Any:
    text = normalised(text)
    where = Positions(text)
    faults: list[ModelError] = []

    def fault(message: str, position: int, hint: str) -> None:
        place = where(position)
        faults.append(ModelError(message, line=place.line, column=place.column, hint=hint))

    parts = list(pieces(text.replace("\n", " "), fault))
    if not faults and not parts:
        fault("The expression is empty.", 0, "write a number, a name or a formula")
    tree = _parse(parts[0], "expr", fault) if parts and not faults else None
    if refuse_distributions and isinstance(tree, st.Distribution):
        fault(f"{tree.family}(...) is a distribution, not an expression.", parts[0].start, "pass it alone")
    raise_all(faults, f"the expression {_shortened(text)}")
    return tree


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _parse(piece: Piece, start: str, fault: Callable[[str, int, str], None]) -> Any:
    """The value of the start rule, or None after telling what is wrong."""
    from lark import UnexpectedInput

    try:
        result = parser().parse(piece.text, start=start)
    except UnexpectedInput as error:
        from dagmodels.graph.syntax import explain

        message, position, hint = explain(error, piece.text, start)
        fault(message, piece.start + position, hint)
    except Slip as slip:
        fault(slip.message, piece.start + (slip.position or 0), slip.hint)
    else:
        return result
    return None


def _statement(piece: Piece, fault: Callable[[str, int, str], None]) -> Raw | None:
    return _parse(piece, "statement", fault)


def _plate(raw: Raw, piece: Piece, where: Positions) -> Plate:
    target = raw.targets[0]
    return Plate(target.head.name, note=piece.note, place=where(piece.start + target.position), **raw.parts)


def _finish(raw: Raw, piece: Piece, where: Positions) -> Iterator[st.Statement]:
    """One statement for every name on the left-hand side, with note and place."""
    note, parts = piece.note, raw.parts
    places = [where(piece.start + t.position) for t in raw.targets]
    if raw.kind == "joint":
        names = tuple(t.head.name for t in raw.targets)
        yield st.Joint(names, parts["plates"], parts["distribution"], parts["observed"], note, places[0])
        return
    if raw.kind == "covariance":
        left, right = (t.head for t in raw.targets)
        yield st.Covariance(left, right, parts["expression"], note, places[0])
        return
    for number, (target, place) in enumerate(zip(raw.targets, places, strict=True)):
        yield _single(raw.kind, target, number, parts, note, place)


def _single(
    kind: str, target: Any, number: int, parts: dict[str, Any], note: str, place: Place
) -> st.Statement:
    head = target.head
    match kind:
        case "stochastic":
            return st.Stochastic(
                head, parts["distribution"], parts["observed"], target.values_in, note, place
            )
        case "deterministic":
            return st.Deterministic(head, parts["expression"], note, place)
        case "covariate":
            return st.Covariate(head.name, parts["plates"][number], target.values_in, note, place)
        case "constant":
            return st.Constant(head.name, tuple(parts["plates"]), parts["value"], note, place)
        case _:
            plates = parts["plates"][number]
            return st.Parameter(head.name, plates, parts["domain"], parts["start"], note, place)
