"""The canonical text of a model: reading it back gives an equal model.

Plates come first, then statements in their order; neighbours with one right-hand side, plates and
role share a line. Brackets are dropped where a node's plates equal the head's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.names import label_text, number_text, quoted
from dagmodels.graph.plate import Plate
from dagmodels.graph.scope import head_plates

WIDTH = 100  # a list of names, or of rows of a table, goes on in a new line beyond it

_COMPARISON, _SUM, _TERM, _FACTOR, _POWER, _ATOM = range(1, 7)
_RANKS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARISON),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/"), _TERM),
    "**": _POWER,
}
_KEYWORD_ONLY = {"lower", "upper"}  # limits are always printed with their names
_WRAPPERS_WITH_LIMITS = {"Truncated", "Censored"}

Bare = Callable[[ex.Reference], bool]


def text(dag: Dag) -> str:
    """The model as text, ending with a newline."""
    remarks = dag.remarks
    lines = [f"# {line}".rstrip() for line in remarks.before.splitlines()]
    lines.append(f"model {quoted(dag.name)}" + _note(remarks.model))
    if dag.data_file is not None:
        lines.append(f"data {json.dumps(dag.data_file, ensure_ascii=False)}" + _note(remarks.data))
    lines.extend(plate_text(p) + _note(p.note) for p in dag.plates)
    plates_of = {name: node.plates for name, node in dag.nodes.items()}
    body = list(_statements(dag.statements, plates_of))
    if body:
        lines += ["", *body]
    return "\n".join(lines) + "\n"


def expression_text(
    tree: ex.Expression,
    head_plates: tuple[str, ...] | None = None,
    plates_of: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """An expression as text, with the least parentheses.

    Parameters
    ----------
    head_plates : plates of the head; references on just these are written without brackets.
    plates_of : the nodes' own plates, so that the text reads back the same where an alias of a plate
        indexes a node. Without it brackets are dropped wherever indices equal the head's plates.
    """
    return _expression(tree, _bare(head_plates, plates_of))


def distribution_text(
    distribution: st.Distribution,
    head_plates: tuple[str, ...] | None = None,
    plates_of: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """A distribution's call as text, such as `Normal(mu, tau=1e-6)`."""
    return _law(distribution, _bare(head_plates, plates_of))


def plate_text(plate: Plate) -> str:
    """A plate's declaration, without its note."""
    line = f"plate {quoted(plate.name)}"
    if plate.alias_of is not None:
        return f"{line} as {quoted(plate.alias_of)}"
    if plate.parents:
        line += " in " + ", ".join(map(quoted, plate.parents))
    if plate.levels is not None:
        line += f" = {_levels(plate.levels)}"
    return line + " ordered" if plate.ordered else line


def statement_text(statement: st.Statement, plates_of: Mapping[str, tuple[str, ...]] | None = None) -> str:
    """One statement, without its note."""
    _, head, right = _parts(statement, plates_of)
    return _joined(_lead(statement), [head], right)


def _levels(levels: tuple[ex.Label, ...]) -> str:
    whole = [v for v in levels if isinstance(v, int)]
    if len(whole) == len(levels) > 1 and whole == list(range(whole[0], whole[0] + len(whole))):
        return f"{whole[0]}..{whole[-1]}"
    return ", ".join(map(label_text, levels))


def _note(note: str) -> str:
    collapsed = " ".join(note.split())
    return f"  # {collapsed}" if collapsed else ""


# -- statements


def _statements(
    statements: Iterable[st.Statement], plates_of: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    parts = [(_parts(s, plates_of), _lead(s), s.note) for s in statements]
    for (_, right, lead, note), group in groupby(parts, key=lambda p: (p[0][0], p[0][2], p[1], p[2])):
        names = [head for (_, head, _), _, _ in group]
        for some in _fitting(names, len(lead) + len(right)):
            yield _joined(lead, some, right) + _note(note)


def _fitting(names: list[str], used: int) -> Iterator[list[str]]:
    """The names in lists that fit on a line; one at least."""
    line: list[str] = []
    length = used
    for name in names:
        if line and length + len(name) + 2 > WIDTH:
            yield line
            line, length = [], used
        line.append(name)
        length += len(name) + 2
    yield line


def _joined(lead: str, names: list[str], right: str) -> str:
    return f"{lead}{', '.join(names)}{right}"


def _lead(statement: st.Statement) -> str:
    match statement:
        case st.Covariate() | st.Constant() | st.Parameter():
            return f"{type(statement).__name__.lower()} "
        case st.Stochastic(observed=True) | st.Joint(observed=True):
            return "observed "
        case _:
            return ""


def _parts(
    statement: st.Statement, plates_of: Mapping[str, tuple[str, ...]] | None
) -> tuple[object, str, str]:
    """What neighbours must share to stand on one line, the head, and the text after the heads."""
    plates = head_plates(statement)
    bare = _bare(plates, plates_of)
    match statement:
        case st.Covariate(name, own, values_in):
            head = _axes(name, own) + (f" in {quoted(values_in)}" if values_in is not None else "")
            return ("covariate", own, values_in), head, ""
        case st.Constant(name, own, value):
            return ("constant", id(statement)), _axes(name, own), f" = {_literal(value)}"
        case st.Parameter(name, own, domain, start):
            right = _domain(domain) + (f" start {number_text(start)}" if start is not None else "")
            return ("parameter", own), _axes(name, own), right
        case st.Stochastic(head, law, _, values_in):
            shown = _head(head) + (f" in {quoted(values_in)}" if values_in is not None else "")
            return ("stochastic", plates, values_in), shown, f" ~ {_law(law, bare)}"
        case st.Deterministic(head, tree):
            return ("deterministic", plates), _head(head), f" = {_expression(tree, bare)}"
        case st.Joint(names, own, law):
            shown = f"({', '.join(map(quoted, names))})" + _brackets(own)
            return ("joint", id(statement)), shown, f" ~ {_law(law, bare)}"
        case st.Covariance(left, right, tree):
            ends = f"{_end(left, plates_of)} ~~ {_end(right, plates_of)}"
            return ("covariance", id(statement)), ends, f" = {_expression(tree, bare)}"


def _end(head: st.Head, plates_of: Mapping[str, tuple[str, ...]] | None) -> str:
    """A head of `~~`: without brackets where it is the whole node."""
    whole = all(s.label is None and not s.first for s in head.slots)
    own = tuple(s.plate for s in head.slots)
    if whole and (plates_of is None or plates_of.get(head.name) == own):
        return quoted(head.name)
    return _head(head)


def _brackets(plates: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, plates))}]" if plates else ""


def _axes(name: str, plates: tuple[str, ...]) -> str:
    return quoted(name) + _brackets(plates)


def _head(head: st.Head) -> str:
    if not head.slots:
        return quoted(head.name)
    return f"{quoted(head.name)}[{', '.join(map(_slot, head.slots))}]"


def _slot(slot: st.Slot) -> str:
    if slot.label is not None:
        return label_text(slot.label)
    first = "" if not slot.first else " first" if slot.first == 1 else f" first {slot.first}"
    return quoted(slot.plate or "?") + first


def _literal(value: st.Literal) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return number_text(value)


def _domain(domain: st.Domain | None) -> str:
    if domain is None:
        return ""
    if domain.kind != "interval":
        return f" {domain.kind}"
    lower, upper = (_bound(b) for b in (domain.lower, domain.upper))
    if lower is None:
        return f" < {upper}" if upper is not None else ""
    return f" > {lower}" if upper is None else f" in ({lower}, {upper})"


def _bound(value: float) -> str | None:
    if value in (float("inf"), float("-inf")):
        return None
    return number_text(int(value)) if value.is_integer() and abs(value) < 1e15 else number_text(value)


# -- distributions


def _law(law: st.Distribution, bare: Bare) -> str:
    from dagmodels.graph.signatures import order

    if law.family == "Table":
        return _table(law, bare)
    positions = order(law.family)
    parts: list[str] = []
    named = False
    for number, (key, value) in enumerate(law.arguments):
        keyword_only = key in _KEYWORD_ONLY and law.family in _WRAPPERS_WITH_LIMITS
        named = named or keyword_only or (key != "" and positions[number : number + 1] != (key,))
        parts.append(f"{quoted(key)}={_argument(value, bare)}" if named else _argument(value, bare))
    return f"{law.family}({', '.join(parts)})"


def _argument(value: st.Argument, bare: Bare) -> str:
    match value:
        case st.Distribution():
            return _law(value, bare)
        case st.Rows():
            return _rows(value, bare, "")
        case tuple():
            return f"[{', '.join(_law(v, bare) for v in value)}]"
        case _:
            return _expression(value, bare)


def _table(law: st.Distribution, bare: Bare) -> str:
    parts = [_argument(v, bare) for _, v in law.arguments]
    line = f"Table({', '.join(parts)})"
    rows = law.arguments[-1][1] if law.arguments else None
    if len(line) <= WIDTH or not isinstance(rows, st.Rows):
        return line
    return f"Table({', '.join([*parts[:-1], _rows(rows, bare, '    ')])})"


def _rows(rows: st.Rows, bare: Bare, indent: str) -> str:
    lines: list[str] = []
    for row in rows.rows:
        labels = ", ".join(map(label_text, row.labels))
        key = labels if len(row.labels) == 1 else f"({labels})"
        lines.append(f"{key}: [{', '.join(_expression(e, bare) for e in row.entries)}]")
    joint = f",\n{indent}" if indent else ", "
    start = f"\n{indent}" if indent else ""
    return f"{{{start}{joint.join(lines)}}}"


# -- expressions


def _bare(head: tuple[str, ...] | None, plates_of: Mapping[str, tuple[str, ...]] | None) -> Bare:
    """Whether a reference may be written without its brackets."""

    def rule(reference: ex.Reference) -> bool:
        indices = reference.indices
        if not indices:
            return True
        own = tuple(i.plate if isinstance(i, ex.PlateIndex) else None for i in indices)
        return own == head and (plates_of is None or plates_of.get(reference.name) == own)

    return rule


def _expression(tree: object, bare: Bare) -> str:
    return _ranked(tree, bare)[0]


def _ranked(tree: object, bare: Bare) -> tuple[str, int]:
    """The text, and how tightly it binds."""
    match tree:
        case ex.Number(value):
            negative = value < 0 or str(value).startswith("-")
            return number_text(value), _FACTOR if negative else _ATOM
        case ex.Text(value):
            return label_text(value), _ATOM
        case ex.Reference():
            return _reference(tree, bare), _ATOM
        case ex.Unary(op, operand):
            return op + _at_least(operand, _FACTOR, bare), _FACTOR
        case ex.Binary(op, left, right):
            return _binary(op, left, right, bare)
        case ex.Call(function, arguments):
            return f"{quoted(function)}({', '.join(_expression(a, bare) for a in arguments)})", _ATOM
        case ex.Reduction(kind, body, plates):
            return f"{kind}({_expression(body, bare)} for {', '.join(map(quoted, plates))})", _ATOM
        case ex.Vector(items):
            return f"[{', '.join(_expression(i, bare) for i in items)}]", _ATOM
        case _:
            return repr(tree), _ATOM


def _binary(op: str, left: ex.Expression, right: ex.Expression, bare: Bare) -> tuple[str, int]:
    rank = _RANKS[op]
    if rank == _POWER:
        return f"{_at_least(left, _ATOM, bare)}**{_at_least(right, _FACTOR, bare)}", rank
    first, second = (_SUM, _SUM) if rank == _COMPARISON else (rank, rank + 1)
    sign = op if rank == _TERM else f" {op} "
    return f"{_at_least(left, first, bare)}{sign}{_at_least(right, second, bare)}", rank


def _at_least(tree: ex.Expression, least: int, bare: Bare) -> str:
    shown, rank = _ranked(tree, bare)
    return shown if rank >= least else f"({shown})"


def _reference(reference: ex.Reference, bare: Bare) -> str:
    if bare(reference):
        return quoted(reference.name)
    return f"{quoted(reference.name)}[{', '.join(_index(i, bare) for i in reference.indices or ())}]"


def _index(index: ex.Index, bare: Bare) -> str:
    match index:
        case ex.PlateIndex(plate):
            return quoted(plate)
        case ex.LagIndex(plate, lag):
            return f"{quoted(plate)}-{lag}"
        case ex.LevelIndex(label):
            return label_text(label)
        case ex.NodeIndex(reference):
            return _reference(reference, bare)
