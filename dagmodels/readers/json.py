"""JSON as `writers.json` writes it, to a checked Dag. Every field is checked; nothing is evaluated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag, Remarks
from dagmodels.graph.plate import Plate

VERSION = 1
MAX_TEXT = 32_000_000  # characters: a network of a million table entries
MAX_DEPTH = 450  # brackets open at one time: two for each level of an expression
MAX_ITEMS = 200_000
MAX_NESTED = 50  # literals in literals, indices in indices

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_T = TypeVar("_T")


class _Bad(Exception):
    """A field that is not what it should be: where, and what was expected."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path} must be {expected}.")


def from_json(text: str, source: str | None = None) -> Dag:
    """The model in a JSON text.

    Raises
    ------
    ModelErrors : the text is no JSON, a field is not as it should be, or a static fault of the model.
    """
    where = source or "the JSON text"
    document = _load(text, source, where)
    faults: list[ModelError] = []
    if not isinstance(document, dict) or "dagmodels" not in document:
        hint = 'the first field is "dagmodels": 1'
        raise_all([ModelError("The JSON text holds no model.", hint=hint, source=source)], where)
    if document["dagmodels"] != VERSION or isinstance(document["dagmodels"], bool):
        version = document["dagmodels"]
        message = f"The model is in version {version!r} of the JSON form; this reads version {VERSION}."
        raise_all([ModelError(message, hint="update dagmodels", source=source)], where)

    def all_of(key: str, decode: Callable[[Any, str], _T]) -> list[_T]:
        found: list[_T] = []
        for number, item in enumerate(_optional_list(document, key, faults, source)):
            path = f"{key}[{number}]"
            try:
                found.append(decode(item, path))
            except _Bad as bad:
                faults.append(
                    ModelError(str(bad), node=_name(item), hint="see writers/json.py", source=source)
                )
        return found

    unknown = set(document) - {"dagmodels", "model", "data", "remarks", "plates", "statements"}
    for key in sorted(unknown):
        faults.append(ModelError(f"The field '{key}' is not known.", hint="remove it", source=source))
    name, data = document.get("model"), document.get("data")
    for key, value, needed in (("model", name, True), ("data", data, False)):
        if not isinstance(value, str) and (needed or value is not None):
            faults.append(ModelError(f"{key} must be text.", hint=f'write "{key}": "..."', source=source))
    remarks = Remarks()
    try:
        remarks = _remarks(document.get("remarks", {}))
    except _Bad as bad:
        faults.append(ModelError(str(bad), hint="see writers/json.py", source=source))
    plates = all_of("plates", _plate)
    statements = all_of("statements", _statement)
    raise_all(faults, where)
    return build(name if isinstance(name, str) else "", plates, statements, data, source, remarks=remarks)


def _remarks(value: object) -> Remarks:
    keys = ("before", "model", "data")
    fields = _object(value, "remarks", (), keys)
    return Remarks(*(_optional_text(fields, key, "remarks") or "" for key in keys))


def _load(text: str, source: str | None, where: str) -> Any:
    def refuse(message: str, hint: str, line: int | None = None, column: int | None = None) -> None:
        raise_all([ModelError(message, hint=hint, line=line, column=column, source=source)], where)

    if len(text) > MAX_TEXT:
        refuse(f"The text has {len(text)} characters; at most {MAX_TEXT} are read.", "split the model")
    depth = 0
    for mark in _MARKS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, mark.start()) + 1
            refuse(f"Brackets are nested more than {MAX_DEPTH} deep.", "name parts of the expression", line)
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_double)
    except json.JSONDecodeError as error:
        refuse(f"The text is no JSON: {error.msg}.", "see writers/json.py", error.lineno, error.colno)
    except (_Bad, ValueError) as error:  # numbers with thousands of digits are ValueErrors
        refuse(f"The text is no model's JSON: {error}", "write finite numbers and each field once")
    raise AssertionError("unreachable")


def _no_constant(name: str) -> float:
    raise _Bad(name, "a finite number")


def _no_double(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        double = next(n for n in names if names.count(n) > 1)
        raise _Bad(f"The field '{double}'", "given once")
    return found


def _optional_list(
    document: dict[str, Any], key: str, faults: list[ModelError], source: str | None
) -> list[Any]:
    value = document.get(key, [])
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        faults.append(ModelError(f"{key} must be a list of at most {MAX_ITEMS} objects.", source=source))
        return []
    return value


def _name(item: object) -> str | None:
    if isinstance(item, dict):
        found = item.get("node", item.get("plate"))
        return found if isinstance(found, str) else None
    return None


# -- fields


def _object(
    value: object, path: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Bad(path, "an object")
    for key in needed:
        if key not in value:
            raise _Bad(f"{path}.{key}", "given")
    for key in value:
        if key not in needed and key not in optional:
            raise _Bad(f"{path}.{key}", "left out: the field is not known")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _Bad(path, "text")
    return value


def _optional_text(fields: dict[str, Any], key: str, path: str) -> str | None:
    return _text(fields[key], f"{path}.{key}") if key in fields else None


def _flag(fields: dict[str, Any], key: str, path: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise _Bad(f"{path}.{key}", "true or false")
    return value


def _list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Bad(path, "a list")
    return value


def _texts(fields: dict[str, Any], key: str, path: str) -> tuple[str, ...]:
    return tuple(
        _text(v, f"{path}.{key}[{i}]") for i, v in enumerate(_list(fields.get(key, []), f"{path}.{key}"))
    )


def _label(value: object, path: str) -> ex.Label:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _Bad(path, "a level: text or a whole number")
    return value


def _number(value: object, path: str) -> ex.Scalar:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad(path, "a number")
    return value


def _shallow(path: str, mark: str) -> None:
    """Refuse literals and indices nested deeper than any model needs; trees are bounded when built."""
    if path.count(mark) > MAX_NESTED:
        field = re.sub(r"^([^.]*\.[^.\[]*).*", r"\1", path)
        raise _Bad(field, f"nested at most {MAX_NESTED} deep")


def _whole(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
        raise _Bad(path, "a whole number from 1")
    return value


# -- plates and statements


def _plate(value: object, path: str) -> Plate:
    fields = _object(value, path, ("plate",), ("in", "levels", "ordered", "as", "note"))
    levels = None
    if "levels" in fields:
        given = _list(fields["levels"], f"{path}.levels")
        levels = tuple(_label(v, f"{path}.levels[{i}]") for i, v in enumerate(given))
    return Plate(
        _text(fields["plate"], f"{path}.plate"),
        _texts(fields, "in", path),
        levels,
        _flag(fields, "ordered", path),
        _optional_text(fields, "as", path),
        _optional_text(fields, "note", path) or "",
    )


def _statement(value: object, path: str) -> st.Statement:
    if not isinstance(value, dict):
        raise _Bad(path, "an object")
    decode = _KINDS.get(_text(value.get("kind"), f"{path}.kind"))
    if decode is None:
        raise _Bad(f"{path}.kind", "one of " + ", ".join(_KINDS))
    return decode({k: v for k, v in value.items() if k != "kind"}, path)


def _stochastic(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("node", "distribution"), ("slots", "observed", "in", "note"))
    law = _law(fields["distribution"], f"{path}.distribution")
    values_in = _optional_text(fields, "in", path)
    note = _optional_text(fields, "note", path) or ""
    return st.Stochastic(_head(fields, path), law, _flag(fields, "observed", path), values_in, note)


def _joint(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("nodes", "distribution"), ("plates", "observed", "note"))
    names = _texts(fields, "nodes", path)
    if len(names) < 2:
        raise _Bad(f"{path}.nodes", "a list of two or more names")
    law = _law(fields["distribution"], f"{path}.distribution")
    note = _optional_text(fields, "note", path) or ""
    return st.Joint(names, _texts(fields, "plates", path), law, _flag(fields, "observed", path), note)


def _deterministic(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("node", "expression"), ("slots", "note"))
    tree = _tree(fields["expression"], f"{path}.expression")
    return st.Deterministic(_head(fields, path), tree, _optional_text(fields, "note", path) or "")


def _covariate(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("node",), ("plates", "in", "note"))
    name = _text(fields["node"], f"{path}.node")
    note = _optional_text(fields, "note", path) or ""
    return st.Covariate(name, _texts(fields, "plates", path), _optional_text(fields, "in", path), note)


def _constant(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("node", "value"), ("plates", "note"))
    name = _text(fields["node"], f"{path}.node")
    note = _optional_text(fields, "note", path) or ""
    return st.Constant(name, _texts(fields, "plates", path), _literal(fields["value"], f"{path}.value"), note)


def _literal(value: object, path: str) -> st.Literal:
    if isinstance(value, list):
        _shallow(path, "[")
        return tuple(_literal(v, f"{path}[{i}]") for i, v in enumerate(value))
    return _number(value, path)


def _parameter(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("node",), ("plates", "domain", "start", "note"))
    domain = _domain(fields["domain"], f"{path}.domain") if "domain" in fields else None
    start = _number(fields["start"], f"{path}.start") if "start" in fields else None
    note = _optional_text(fields, "note", path) or ""
    return st.Parameter(
        _text(fields["node"], f"{path}.node"), _texts(fields, "plates", path), domain, start, note
    )


def _domain(value: object, path: str) -> st.Domain:
    fields = _object(value, path, ("kind",), ("lower", "upper"))
    bounds = {k: float(_number(fields[k], f"{path}.{k}")) for k in ("lower", "upper") if k in fields}
    return st.Domain(_text(fields["kind"], f"{path}.kind"), **bounds)


def _covariance(value: dict[str, Any], path: str) -> st.Statement:
    fields = _object(value, path, ("left", "right", "expression"), ("note",))
    ends = [
        _head(_object(fields[k], f"{path}.{k}", ("node",), ("slots",)), f"{path}.{k}")
        for k in ("left", "right")
    ]
    tree = _tree(fields["expression"], f"{path}.expression")
    return st.Covariance(ends[0], ends[1], tree, _optional_text(fields, "note", path) or "")


_KINDS: dict[str, Callable[[dict[str, Any], str], st.Statement]] = {
    "stochastic": _stochastic,
    "joint": _joint,
    "deterministic": _deterministic,
    "covariate": _covariate,
    "constant": _constant,
    "parameter": _parameter,
    "covariance": _covariance,
}


def _head(fields: dict[str, Any], path: str) -> st.Head:
    slots = _list(fields.get("slots", []), f"{path}.slots")
    name = _text(fields["node"], f"{path}.node")
    return st.Head(name, tuple(_slot(s, f"{path}.slots[{i}]") for i, s in enumerate(slots)))


def _slot(value: object, path: str) -> st.Slot:
    fields = _object(value, path, ("plate",), ("level", "first"))
    label = _label(fields["level"], f"{path}.level") if "level" in fields else None
    first = _whole(fields["first"], f"{path}.first") if "first" in fields else 0
    if label is not None and first:
        raise _Bad(path, "a level or first elements, not both")
    return st.Slot(_text(fields["plate"], f"{path}.plate"), label, first)


# -- distributions and trees


def _law(value: object, path: str) -> st.Distribution:
    fields = _object(value, path, ("family",), ("arguments",))
    given = fields.get("arguments", {})
    if not isinstance(given, dict):
        raise _Bad(f"{path}.arguments", "an object")
    arguments = tuple((key, _argument(v, f"{path}.arguments.{key}")) for key, v in given.items())
    return st.Distribution(_text(fields["family"], f"{path}.family"), arguments)


def _argument(value: object, path: str) -> st.Argument:
    if isinstance(value, dict):
        if "family" in value:
            return _law(value, path)
        if "rows" in value:
            rows = _list(_object(value, path, ("rows",))["rows"], f"{path}.rows")
            return st.Rows(tuple(_row(r, f"{path}.rows[{i}]") for i, r in enumerate(rows)))
        if "distributions" in value:
            laws = _list(_object(value, path, ("distributions",))["distributions"], f"{path}.distributions")
            return tuple(_law(v, f"{path}.distributions[{i}]") for i, v in enumerate(laws))
    return _tree(value, path)


def _row(value: object, path: str) -> st.Row:
    parts = _list(value, path)
    if len(parts) != 2:
        raise _Bad(path, "a list of two lists: the parents' levels and the entries")
    labels = tuple(_label(v, f"{path}[0][{i}]") for i, v in enumerate(_list(parts[0], f"{path}[0]")))
    entries = tuple(_tree(v, f"{path}[1][{i}]") for i, v in enumerate(_list(parts[1], f"{path}[1]")))
    return st.Row(labels, entries)


def _tree(value: object, path: str) -> ex.Expression:
    if isinstance(value, list):
        return ex.Vector(tuple(_tree(v, f"{path}[{i}]") for i, v in enumerate(value)))
    if not isinstance(value, dict):
        number = _number(value, path)
        return ex.Unary("-", ex.Number(-number)) if number < 0 else ex.Number(number)
    if "node" in value:
        fields = _object(value, path, ("node",), ("index",))
        return _reference(fields, path)
    if "text" in value:
        return ex.Text(_text(_object(value, path, ("text",))["text"], f"{path}.text"))
    if "function" in value:
        fields = _object(value, path, ("function", "arguments"))
        given = _list(fields["arguments"], f"{path}.arguments")
        arguments = tuple(_tree(v, f"{path}.arguments[{i}]") for i, v in enumerate(given))
        return ex.Call(_text(fields["function"], f"{path}.function"), arguments)
    if "reduction" in value:
        fields = _object(value, path, ("reduction", "of", "for"))
        kind = _text(fields["reduction"], f"{path}.reduction")
        return ex.Reduction(kind, _tree(fields["of"], f"{path}.of"), _texts(fields, "for", path))
    if "operand" in value:
        fields = _object(value, path, ("operator", "operand"))
        return ex.Unary(_operator(fields, path, ("+", "-")), _tree(fields["operand"], f"{path}.operand"))
    fields = _object(value, path, ("operator", "left", "right"))
    operator = _operator(fields, path, _OPERATORS)
    return ex.Binary(operator, _tree(fields["left"], f"{path}.left"), _tree(fields["right"], f"{path}.right"))


_OPERATORS = ("+", "-", "*", "/", "**", "==", "!=", "<", "<=", ">", ">=")


def _operator(fields: dict[str, Any], path: str, known: tuple[str, ...]) -> str:
    operator = _text(fields["operator"], f"{path}.operator")
    if operator not in known:
        raise _Bad(f"{path}.operator", "one of " + " ".join(known))
    return operator


def _reference(fields: dict[str, Any], path: str) -> ex.Reference:
    _shallow(path, ".index[")
    name = _text(fields["node"], f"{path}.node")
    given = _list(fields.get("index", []), f"{path}.index")
    return ex.Reference(name, tuple(_index(v, f"{path}.index[{i}]") for i, v in enumerate(given)))


def _index(value: object, path: str) -> ex.Index:
    if isinstance(value, dict) and "node" in value:
        return ex.NodeIndex(_reference(_object(value, path, ("node",), ("index",)), path))
    if isinstance(value, dict) and "level" in value:
        return ex.LevelIndex(_label(_object(value, path, ("level",))["level"], f"{path}.level"))
    fields = _object(value, path, ("plate",), ("lag",))
    plate = _text(fields["plate"], f"{path}.plate")
    return (
        ex.LagIndex(plate, _whole(fields["lag"], f"{path}.lag")) if "lag" in fields else ex.PlateIndex(plate)
    )


__all__ = ["from_json"]
