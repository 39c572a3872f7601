"""Counts that a prior adds to the cells of tables: Dirichlet, BDeu, K2, or as many as are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.table_unit import TableUnit
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.tables import Tables

Floats = NDArray[np.float64]
WHERE = "the options of the fit"
KINDS = ("bdeu", "k2")
SAMPLE = 10.0  # cases that "bdeu" is worth where nothing is said


def added_counts(unit: TableUnit, net: Tables, options: Mapping[str, Any]) -> dict[str, Floats]:
    """Counts added to each table's cells, by node, in the table's shape.

    Options
    -------
    pseudocount : so many to each cell: the mode under a Dirichlet(1 + pseudocount).
    prior : "bdeu" (equivalent_sample_size cases spread evenly over each table; Heckerman, Geiger and
        Chickering 1995), "k2" (one a cell), or Dirichlet parameters from 1, whose mode is the estimate.
    Both may be a dict by node; a Dirichlet prior's numbers may be rows by the parents' states, as in a Table.

    Raises
    ------
    ModelErrors : nodes without a Table, rows or states that are none, numbers that are none.
    """
    if options.get("prior") is not None and options.get("pseudocount") is not None:
        fault = ModelError("prior and pseudocount are both given", hint="they add up to one prior: give one")
        raise_all([fault], WHERE)
    faults: list[ModelError] = []
    found: dict[str, Floats] = {}
    option = "prior" if options.get("prior") is not None else "pseudocount"
    given = options.get(option)
    named = dict(given) if isinstance(given, Mapping) else dict.fromkeys(unit.free, given)
    for name, value in named.items():
        if value is None:
            continue
        if name not in unit.free:
            hint = f"there are {', '.join(unit.free)}"
            faults.append(
                ModelError(f"{option} names '{name}', which has no Table", node=str(name), hint=hint)
            )
            continue
        try:
            if option == "pseudocount":
                found[name] = np.full(_shape(net, name), _number(name, option, value, 0.0))
            else:
                found[name] = _prior(net, name, value, options.get("equivalent_sample_size", SAMPLE))
        except ModelError as error:
            faults.append(error)
    raise_all(faults if isinstance(given, Mapping) else faults[:1], WHERE)
    return found


def _shape(net: Tables, name: str) -> tuple[int, ...]:
    return tuple(net.sizes[i] for i in net.families[net.index[name]])


def _number(name: str, what: str, value: Any, least: float) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not least <= value < math.inf
    ):
        why = "" if what == "pseudocount" else f" of '{name}'"
        hint = f"give a number from {least:g}"
        if least:
            hint += "; below it a Dirichlet law has no mode"
        raise ModelError(f"{what}{why} is {value!r}", node=name, hint=hint)
    return float(value)


def _prior(net: Tables, name: str, value: Any, sample: Any) -> Floats:
    """Counts of one table's prior."""
    shape = _shape(net, name)
    if isinstance(value, str):
        if value.lower() not in KINDS:
            told = f"prior of '{name}' is {value!r}"
            raise ModelError(told, node=name, hint='give "bdeu", "k2" or Dirichlet parameters')
        cases = _number(name, "equivalent_sample_size", sample, 0.0)
        return np.full(shape, cases / math.prod(shape) if value.lower() == "bdeu" else 1.0)
    if isinstance(value, Mapping):
        return _rows(net, name, value) - 1.0
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0):
        if len(shape) > 1:
            told = f"prior of '{name}' is a list, and its table has a row for each combination of "
            parents = ", ".join(net.names[p] for p in net.parents[net.index[name]])
            raise ModelError(told + parents, node=name, hint="give {parents' states: [...]} as in a Table")
        return _entries(net, name, value) - 1.0
    return np.full(shape, _number(name, "prior", value, 1.0) - 1.0)


def _entries(net: Tables, name: str, row: Any) -> Floats:
    width = net.sizes[net.index[name]]
    if np.ndim(row) == 0:
        row = [row] * width
    if len(row) != width:
        raise ModelError(f"prior of '{name}' has {len(row)} numbers in a row of {width}", node=name)
    return np.array([_number(name, "prior", x, 1.0) for x in row])


def _rows(net: Tables, name: str, given: Mapping[Any, Any]) -> Floats:
    """Rows by the parents' states; all must be there."""
    at = net.index[name]
    parents = net.parents[at]
    found = np.full(_shape(net, name), np.nan)
    for key, row in given.items():
        states = key if isinstance(key, tuple) else (key,)
        codes = [_code(net, p, s) for p, s in zip(parents, states, strict=False)]
        if len(states) != len(parents) or None in codes:
            named = ", ".join(net.names[p] for p in parents) or "no parents"
            raise ModelError(
                f"prior of '{name}' has a row {key!r}", node=name, hint=f"its rows are by {named}"
            )
        found[tuple(codes)] = _entries(net, name, row)  # type: ignore[arg-type]
    lost: Callable[[tuple[int, ...]], bool] = lambda c: bool(np.isnan(found[c]).any())  # noqa: E731
    lacking = next((c for c in product(*(range(net.sizes[p]) for p in parents)) if lost(c)), None)
    if lacking is not None:
        told = ", ".join(str(net.states[p][c]) for p, c in zip(parents, lacking, strict=True))
        raise ModelError(f"prior of '{name}' has no row for {told}", node=name, hint="give all of them")
    return found


def _code(net: Tables, node: int, state: Any) -> int | None:
    return next((k for k, s in enumerate(net.states[node]) if s == state or str(s) == str(state)), None)
