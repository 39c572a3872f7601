"""JSON: one object with a version, plates and statements; trees are nested objects.

    {"dagmodels": 1, "model": "radon", "plates": [{"plate": "house", "in": ["county"]}, ...],
     "statements": [{"kind": "stochastic", "node": "alpha", "slots": [{"plate": "county"}],
                     "distribution": {"family": "Normal", "arguments": {"mu": ..., "sigma": ...}}}, ...]}

In a tree a number is a number, a vector is a list, and every other part is an object:
`{"node": "x", "index": [...]}`, `{"text": "yes"}`, `{"operator": "+", "left": ..., "right": ...}`,
`{"operator": "-", "operand": ...}`, `{"function": "exp", "arguments": [...]}`,
`{"reduction": "sum", "of": ..., "for": [...]}`.  An index is `{"plate": "k"}`,
`{"plate": "t", "lag": 1}`, `{"level": "a"}` or a node.
"""

from __future__ import annotations

import json
from typing import Any

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate

VERSION = 1


def to_json(dag: Dag) -> str:
    """The model as JSON, one plate or statement a line; `readers.json.from_json` reads it back."""
    head: dict[str, Any] = {"dagmodels": VERSION, "model": dag.name}
    if dag.data_file is not None:
        head["data"] = dag.data_file
    r = dag.remarks
    if remarks := _given(before=r.before, model=r.model, data=r.data):
        head["remarks"] = remarks
    parts = [f"{_dump(key)}: {_dump(value)}" for key, value in head.items()]
    parts.append(_lines("plates", [_plate(p) for p in dag.plates]))
    parts.append(_lines("statements", [_statement(s) for s in dag.statements]))
    body = ",\n  ".join(parts)
    return f"{{\n  {body}\n}}\n"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _lines(key: str, items: list[dict[str, Any]]) -> str:
    if not items:
        return f'"{key}": []'
    rows = ",\n    ".join(map(_dump, items))
    return f'"{key}": [\n    {rows}\n  ]'


def _given(**fields: object) -> dict[str, Any]:
    """The fields that say something: None, False, "" and () are left out."""
    return {
        key.rstrip("_"): list(value) if isinstance(value, tuple) else value
        for key, value in fields.items()
        if value is not None and value is not False and value != "" and value != ()
    }


def _plate(plate: Plate) -> dict[str, Any]:
    fields = _given(
        plate=plate.name, in_=plate.parents, ordered=plate.ordered, as_=plate.alias_of, note=plate.note
    )
    return fields if plate.levels is None else {**fields, "levels": list(plate.levels)}


def _statement(statement: st.Statement) -> dict[str, Any]:
    match statement:
        case st.Stochastic(head, law, observed, values_in, note):
            fields = _given(observed=observed, in_=values_in, note=note)
            return {"kind": "stochastic", **_head(head), **fields, "distribution": _law(law)}
        case st.Joint(names, plates, law, observed, note):
            fields = _given(plates=plates, observed=observed, note=note)
            return {"kind": "joint", "nodes": list(names), **fields, "distribution": _law(law)}
        case st.Deterministic(head, tree, note):
            return {
                "kind": "deterministic",
                **_head(head),
                **_given(note=note),
                "expression": tree_json(tree),
            }
        case st.Covariate(name, plates, values_in, note):
            return {"kind": "covariate", "node": name, **_given(plates=plates, in_=values_in, note=note)}
        case st.Constant(name, plates, value, note):
            return {
                "kind": "constant",
                "node": name,
                **_given(plates=plates, note=note),
                "value": _literal(value),
            }
        case st.Parameter(name, plates, domain, start, note):
            fields = _given(plates=plates, note=note)
            if domain is not None:
                fields["domain"] = _domain(domain)
            if start is not None:
                fields["start"] = start
            return {"kind": "parameter", "node": name, **fields}
        case st.Covariance(left, right, tree, note):
            ends = {"left": _head(left), "right": _head(right)}
            return {"kind": "covariance", **ends, **_given(note=note), "expression": tree_json(tree)}


def _head(head: st.Head) -> dict[str, Any]:
    slots = [_slot(s) for s in head.slots]
    return {"node": head.name, "slots": slots} if slots else {"node": head.name}


def _slot(slot: st.Slot) -> dict[str, Any]:
    fields: dict[str, Any] = {"plate": slot.plate}
    if slot.label is not None:
        fields["level"] = slot.label
    if slot.first:
        fields["first"] = slot.first
    return fields


def _literal(value: st.Literal) -> Any:
    return [_literal(v) for v in value] if isinstance(value, tuple) else value


def _domain(domain: st.Domain) -> dict[str, Any]:
    fields: dict[str, Any] = {"kind": domain.kind}
    if domain.lower != float("-inf"):
        fields["lower"] = domain.lower
    if domain.upper != float("inf"):
        fields["upper"] = domain.upper
    return fields


def _law(law: st.Distribution) -> dict[str, Any]:
    return {"family": law.family, "arguments": {key: _argument(value) for key, value in law.arguments}}


def _argument(value: st.Argument) -> Any:
    match value:
        case st.Distribution():
            return _law(value)
        case st.Rows(rows):
            return {"rows": [[list(r.labels), [tree_json(e) for e in r.entries]] for r in rows]}
        case tuple():
            return {"distributions": [_law(v) for v in value]}
        case _:
            return tree_json(value)


def tree_json(tree: ex.Expression) -> Any:
    """An expression as numbers, lists and objects."""
    match tree:
        case ex.Number(value):
            return value
        case ex.Text(value):
            return {"text": value}
        case ex.Reference(name, indices):
            return {"node": name, "index": [_index(i) for i in indices]} if indices else {"node": name}
        case ex.Unary(operator, operand):
            return {"operator": operator, "operand": tree_json(operand)}
        case ex.Binary(operator, left, right):
            return {"operator": operator, "left": tree_json(left), "right": tree_json(right)}
        case ex.Call(function, arguments):
            return {"function": function, "arguments": [tree_json(a) for a in arguments]}
        case ex.Reduction(kind, body, plates):
            return {"reduction": kind, "of": tree_json(body), "for": list(plates)}
        case ex.Vector(items):
            return [tree_json(i) for i in items]
        case _:
            raise TypeError(f"{type(tree).__name__} has no JSON form")


def _index(index: ex.Index) -> dict[str, Any]:
    match index:
        case ex.PlateIndex(plate):
            return {"plate": plate}
        case ex.LagIndex(plate, lag):
            return {"plate": plate, "lag": lag}
        case ex.LevelIndex(label):
            return {"level": label}
        case ex.NodeIndex(reference):
            return tree_json(reference)
