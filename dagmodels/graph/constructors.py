"""Distributions from Python: `Normal("g0 + g1*uranium", tau)`, one function a family or wrapper.

The functions are made from the registry of distributions when they are first asked for, so a new
family needs no line here. Arguments are numbers, texts, expressions, lists or other distributions;
what they mean is checked when the graph is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from dagmodels.graph import expression as ex
from dagmodels.graph import parsing
from dagmodels.graph import statement as st
from dagmodels.graph.arguments import Arguments, shown
from dagmodels.graph.signatures import WRAPPERS, distribution_names, family_or_none, is_distribution, order

Constructor = Callable[..., st.Distribution]


def __getattr__(name: str) -> Constructor:
    if name.startswith("_") or not is_distribution(name):
        raise AttributeError(f"module 'dagmodels.graph.constructors' has no distribution '{name}'")
    return constructor(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *distribution_names()])


@cache
def constructor(name: str) -> Constructor:
    """The function that makes this distribution from Python values."""

    def make(*arguments: object, **named: object) -> st.Distribution:
        faults = Arguments(f"{name}({', '.join([*map(shown, arguments), *named])})")
        found = [("", _checked(_place(name, i), a, faults)) for i, a in enumerate(arguments)]
        stated = ((key, value) for key, value in named.items() if value is not None)
        found += [(key, _checked(key, value, faults)) for key, value in stated]
        faults.done()
        return st.Distribution(name, tuple(found))

    make.__name__ = make.__qualname__ = name
    make.__module__ = __name__
    make.__signature__ = _signature(name)  # type: ignore[attr-defined]  # for help() and completion
    make.__doc__ = _doc(name)
    return make


def _place(name: str, position: int) -> str:
    """What a positional argument is called."""
    names = order(name)
    return names[position] if position < len(names) else f"argument {position + 1}"


def _checked(key: str, value: object, faults: Arguments) -> st.Argument:
    """`argument`, with what is wrong told among the faults of the call."""
    try:
        return argument(value)
    except ex.ExpressionError as error:
        faults.fault(f"{key}: {error.message}", error.hint or "")
        return ex.Number(0)


def argument(value: object) -> st.Argument:
    """A Python value as an argument: texts are parsed, a dict is a table, a list of laws components."""
    match value:
        case st.Distribution() | st.Rows() | ex.Expression():
            return value
        case str():
            return parsing.right_side(value)
        case Mapping():
            return rows(value)
        case list() | tuple() if value and all(isinstance(v, st.Distribution) for v in value):
            return tuple(v for v in value if isinstance(v, st.Distribution))
        case _:
            return ex.as_expression(value)


def rows(table: Mapping[Any, Any]) -> st.Rows:
    """A table's rows: keys are a parent's state or a tuple of states, values lists of probabilities."""
    found: list[st.Row] = []
    for key, entries in table.items():
        labels = key if isinstance(key, tuple) else (key,)
        values = entries.tolist() if hasattr(entries, "tolist") else entries
        if not isinstance(values, list | tuple):
            raise ex.ExpressionError(
                f"the row {shown(key)} is {shown(values)}, not a list",
                hint='write {"state": [0.2, 0.8], ...}',
            )
        if not all(isinstance(v, str | int) and not isinstance(v, bool) for v in labels):
            raise ex.ExpressionError(
                f"{shown(key)} is no state of a parent", hint="states are texts or whole numbers"
            )
        found.append(st.Row(labels, tuple(ex.as_expression(v) for v in values)))
    return st.Rows(tuple(found))


def _signature(name: str) -> inspect.Signature:
    either, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    if name == "Table":
        parents = inspect.Parameter("parents_and_rows", inspect.Parameter.VAR_POSITIONAL)
        return inspect.Signature([parents], return_annotation=st.Distribution)
    if name in WRAPPERS:
        optional = {"lower", "upper"}
        parts = [
            inspect.Parameter(
                p, keyword if p in optional else either, default=None if p in optional else p_empty
            )
            for p in WRAPPERS[name]
        ]
        return inspect.Signature(parts, return_annotation=st.Distribution)
    family = family_or_none(name)
    assert family is not None
    others = dict.fromkeys([*family.alternatives, *(n for s in family.signatures for n in s)])
    own = [p.name for p in family.parameters]
    parts = [inspect.Parameter(p, either, default=None if others else p_empty) for p in own]
    parts += [inspect.Parameter(p, keyword, default=None) for p in others if p not in own]
    return inspect.Signature(parts, return_annotation=st.Distribution)


p_empty = inspect.Parameter.empty


def _doc(name: str) -> str:
    from dagmodels.graph.signatures import usage

    family = family_or_none(name)
    return f"{usage(name)}.\n\n{family.doc}" if family is not None else f"{usage(name)}."
