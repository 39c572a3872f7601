"""Estimates to be shown in a picture, from any of the shapes users have them in."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag
from dagmodels.render.labels import number


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error, None when there is none."""

    value: float
    se: float | None = None

    def __str__(self) -> str:
        return number(self.value) if self.se is None else f"{number(self.value)} ({number(self.se)})"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a picture shows beside names.

    estimates : by node name.
    probabilities : by node name, the probability of each state (the answer to a query).
    """

    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    probabilities: Mapping[str, Mapping[object, float]] = field(default_factory=dict)


def read_estimates(dag: Dag, given: Any) -> Shown:
    """Estimates by node name.

    Parameters
    ----------
    given : None; a mapping from node name to a number, to (estimate, standard error) or to
        {state: probability}; a table with columns `name`, `estimate` and perhaps `se`; or a fit,
        whose `estimates` is such a table.  A table's rows that name no node of the model (elements
        such as `alpha[Aitkin]`) are left out; a mapping must name nodes.

    Raises
    ------
    ModelErrors
        naming every entry that is no node of the model or no number; for a fit of another model.
    """
    if given is None:
        return Shown()
    if not isinstance(given, Mapping) and not hasattr(given, "columns") and hasattr(given, "estimates"):
        _check_model(dag, getattr(given, "graph", None))
        given = given.estimates
    if not isinstance(given, Mapping):
        return Shown({n: e for n, e in _rows(given) if n in dag.nodes and e is not None})
    problems: list[ModelError] = []
    estimates: dict[str, Estimate] = {}
    probabilities: dict[str, Mapping[object, float]] = {}
    for name, value in given.items():
        if name not in dag.nodes:
            near = difflib.get_close_matches(str(name), list(dag.nodes), n=1)
            hint = f"did you mean '{near[0]}'?" if near else "estimates are given by node name"
            problems.append(ModelError(f"no node is named '{name}'", node=str(name), hint=hint))
        elif isinstance(value, Mapping):
            probabilities[name] = value
        elif (estimate := _estimate(value)) is not None:
            estimates[name] = estimate
        else:
            problems.append(
                ModelError(
                    f"the estimate of '{name}' is {value!r}, not a number",
                    node=name,
                    hint="give a number, (estimate, standard error) or {state: probability}",
                )
            )
    raise_all(problems, "the estimates to be drawn")
    return Shown(estimates, probabilities)


def _check_model(dag: Dag, fitted: object) -> None:
    """Refuse the fit of a model with other statements; its name and data file do not matter."""
    if not isinstance(fitted, Dag):
        return
    if (set(dag.plates), set(dag.statements)) != (set(fitted.plates), set(fitted.statements)):
        which = f"'{fitted.name}'" if fitted.name != dag.name else f"'{dag.name}' as it was before a change"
        hint = "draw the fitted model, or give its estimates by node name, as a dict"
        told = ModelError(f"the fit is of another model, {which}", hint=hint)
        raise_all([told], f"the estimates to be drawn for '{dag.name}'")


def _estimate(value: Any) -> Estimate | None:
    if isinstance(value, tuple | list) and len(value) == 2:
        estimate, se = value
        if _is_number(estimate) and (se is None or _is_number(se)):
            return Estimate(float(estimate), None if se is None or se != se else float(se))
        return None
    return Estimate(float(value)) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _rows(table: Any) -> Iterable[tuple[str, Estimate | None]]:
    columns = [str(c) for c in getattr(table, "columns", ())]
    missing = [c for c in ("name", "estimate") if c not in columns]
    if missing:
        raise_all(
            [
                ModelError(f"the table has no column '{c}'", hint="it needs name, estimate and se")
                for c in missing
            ],
            "the estimates to be drawn",
        )
    names, values = list(table["name"]), list(table["estimate"])
    errors = list(table["se"]) if "se" in columns else [None] * len(names)
    return [(n, _estimate((v, s))) for n, v, s in zip(names, values, errors, strict=True)]
