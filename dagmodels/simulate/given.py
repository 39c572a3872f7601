"""Numbers that the user gives for nodes: read by name, label or position, and checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.data.levels import canonical
from dagmodels.errors import ModelError
from dagmodels.forms.cells import Cells, element_label
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.statement import Deterministic, Domain, Parameter, Statement, Stochastic
from dagmodels.simulate.arguments import leaves
from dagmodels.simulate.domains import outside
from dagmodels.simulate.tables import table_keys

Floats = NDArray[np.float64]


def names_faults(dag: Dag, values: Mapping[str, Any]) -> list[ModelError]:
    """Names that stand for no node of the model, or for one that takes no values."""
    tables = table_keys(dag)
    known = [n for n, node in dag.nodes.items() if node.kind not in ("covariate", "constant")]
    found: list[ModelError] = []
    for name in values:
        node = dag.nodes.get(name)
        if node is None and name not in tables:
            near = difflib.get_close_matches(str(name), [*known, *tables], 1)
            hint = f"did you mean '{near[0]}'?" if near else "the names are " + ", ".join(known)
            message = f"values: '{name}' is no node of the model"
            if name in dag.plate:
                message, hint = f"values: '{name}' is a plate", f'give sizes={{"{name}": 10}}'
            found.append(ModelError(message, node=str(name), hint=hint))
        elif node is not None and node.kind == "covariate":
            found.append(_refused(name, "a covariate, which is data", f'give data={{"{name}": ...}}'))
        elif node is not None and node.kind == "constant":
            found.append(_refused(name, "a constant of the model", "change it in the model"))
    return found


def _refused(name: str, what: str, hint: str) -> ModelError:
    return ModelError(f"values: '{name}' is {what}", node=name, hint=hint)


def read_values(
    problem: Problem, shares: Mapping[str, tuple[Cells, ...]], values: Mapping[str, Any]
) -> tuple[dict[str, Floats], list[ModelError]]:
    """Flat arrays by node, NaN where nothing is given, and what is wrong with them.

    Parameters
    ----------
    shares : each node's statements with the elements that they give.
    values : numbers, arrays in the order of the node's plates, or {label: value} (labels in a tuple, or
        one dict inside another, where the node has several plates); labels for a discrete node.
    """
    found: dict[str, Floats] = {}
    errors: list[ModelError] = []
    for name, value in values.items():
        if name not in shares:
            continue
        try:
            found[name] = _flat(problem, problem.graph.nodes[name], shares[name], value)
        except ModelError as error:
            errors.append(error)
    for name, parts in shares.items():
        for share in parts:
            if isinstance(share.statement, Parameter):
                _start(problem, name, share, share.statement, found, errors)
    return found, errors


def _start(
    problem: Problem,
    name: str,
    share: Cells,
    statement: Parameter,
    found: dict[str, Floats],
    errors: list[ModelError],
) -> None:
    """Fill a parameter's stated start in where nothing is given, and check its domain."""
    if statement.start is not None:
        flat = found.setdefault(name, np.full(_size(problem, name), np.nan))
        left = share.places[np.isnan(flat[share.places])]
        flat[left] = float(statement.start)
    if statement.domain is not None and name in found:
        wrong = _outside(problem, name, found[name], share, statement.domain)
        if wrong is not None:
            errors.append(wrong)


def _size(problem: Problem, name: str) -> int:
    return int(np.prod(problem.shape(name), dtype=np.int64))


def _flat(problem: Problem, node: Node, parts: Iterable[Cells], value: Any) -> Floats:
    if hasattr(value, "to_dict") and not isinstance(value, Mapping):
        value = value.to_dict()  # a pandas Series is labels and numbers
    if isinstance(value, Mapping):
        return _by_label(problem, node, value)
    shape = problem.shape(node.name)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty((), dtype=object)
    if array.shape == shape:
        return _numbers(problem, node, array.reshape(-1))
    if array.shape != ():
        sizes = " x ".join(f"{n} ({p})" for n, p in zip(shape, node.plates, strict=True)) or "one number"
        raise ModelError(
            f"values: '{node.name}' has shape {' x '.join(map(str, array.shape))}, its plates need {sizes}",
            node=node.name,
            hint="give one number for all, an array in that order, or {label: value}",
        )
    flat = np.full(_size(problem, node.name), np.nan)
    free = [p.places for p in parts if not isinstance(p.statement, Deterministic)]
    places = np.concatenate(free) if free else np.arange(flat.size)
    flat[places] = _numbers(problem, node, array.reshape(-1))[0]
    return flat


def _numbers(problem: Problem, node: Node, values: NDArray[Any]) -> Floats:
    """Numbers, or a discrete node's labels as codes; None and NaN are not given."""
    if node.values_in is not None:
        return _codes(problem, node, values)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        strange = next((v for v in values.tolist() if v is not None and not _is_number(v)), values)
        hint = "give a number"
        if node.plates:
            hint += " for all, an array in the order of its plates, or {label: number}"
        message = f"values: {strange!r} for '{node.name}' is not a number"
        raise ModelError(message, node=node.name, hint=hint) from None
    if np.isinf(numbers).any():
        raise ModelError(f"values: '{node.name}' is infinite", node=node.name, hint="give finite numbers")
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)


def _codes(problem: Problem, node: Node, values: NDArray[Any]) -> Floats:
    plate = problem.plates[str(node.values_in)]
    place = {canonical(x): i for i, x in enumerate(plate.levels)}
    codes = np.full(values.size, np.nan)
    for i, label in enumerate(values.tolist()):
        if label is None or label != label:
            continue
        if canonical(label) not in place:
            raise _no_level(f"{label!r} for '{node.name}'", label, plate.name, map(str, plate.levels), node)
        codes[i] = place[canonical(label)]
    return codes


def _no_level(what: str, label: object, plate: str, levels: Iterable[str], node: Node) -> ModelError:
    known = list(levels)
    near = difflib.get_close_matches(str(label), known, 1)
    hint = f"did you mean '{near[0]}'?" if near else "the levels are " + ", ".join(known[:6])
    return ModelError(f"values: {what} is no level of plate '{plate}'", node=node.name, hint=hint)


def _by_label(problem: Problem, node: Node, value: Mapping[Any, Any]) -> Floats:
    flat = np.full(_size(problem, node.name), np.nan)
    if not node.plates:
        raise ModelError(
            f"values: '{node.name}' has no plate, so it has no labels", node=node.name, hint="give a number"
        )
    entries = list(_entries(value, len(node.plates)))
    for labels, _ in entries:
        if len(labels) != len(node.plates):
            raise ModelError(
                f"values: {labels!r} does not name an element of '{node.name}'",
                node=node.name,
                hint=f"its labels are those of ({', '.join(node.plates)})",
            )
    places = np.zeros(len(entries), dtype=np.int64)
    for axis, plate in enumerate(node.plates):
        places *= problem.plates[plate].size
        places += [_element(problem, plate, labels[axis], node) for labels, _ in entries]
    given = np.empty(len(entries), dtype=object)
    given[:] = [v for _, v in entries]
    flat[places] = _numbers(problem, node, given)
    return flat


def _entries(value: Any, depth: int) -> Iterable[tuple[tuple[object, ...], Any]]:
    """(labels, number) of a dict by label tuples or of dicts inside dicts."""
    for key, inner in value.items():
        labels = key if isinstance(key, tuple) else (key,)
        if isinstance(inner, Mapping) and len(labels) < depth:
            for rest, number in _entries(inner, depth - len(labels)):
                yield (*labels, *rest), number
        else:
            yield labels, inner


def _element(problem: Problem, plate: str, label: object, node: Node) -> int:
    """The element of that label, as the data have it or as results print it (inner:outer)."""
    bound = problem.plates[plate]
    for spelled in (bound.levels, problem.labels[plate]):
        places = [i for i, x in enumerate(spelled) if canonical(x) == canonical(label)]
        if len(places) == 1:
            return places[0]
    raise _no_level(f"{label!r} for '{node.name}'", label, plate, problem.labels[plate], node)


def _outside(problem: Problem, name: str, flat: Floats, share: Cells, domain: Domain) -> ModelError | None:
    """Values of a parameter outside its domain; entries not given are not judged."""
    values = flat[share.places]
    if domain.kind == "interval":
        with np.errstate(invalid="ignore"):
            wrong = (values < domain.lower) | (values > domain.upper)
        rule = _interval(domain)
        place = share.places[int(np.argmax(wrong))]
        shown = f"is {flat[place]:g}, but "
    else:
        event = 1 if domain.kind in ("ordered", "simplex") else 2
        sizes = problem.shape(name)[-event:]
        if np.isnan(values).any() or not share.whole:
            return None
        wrong, rule = outside(values.reshape(-1, *sizes), domain.kind, event)
        place, shown = int(np.argmax(wrong)) * int(np.prod(sizes)), ""
    if not wrong.any():
        return None
    label = name if domain.kind != "interval" else element_label(problem, name, int(place))
    hint = f'give values={{"{name}": ...}} in the parameter\'s domain'
    return ModelError(f"values: '{label}' {shown}{rule}", node=name, hint=hint)


def _interval(domain: Domain) -> str:
    if domain.upper == np.inf:
        return f"must not be below {domain.lower:g}"
    if domain.lower == -np.inf:
        return f"must not be above {domain.upper:g}"
    return f"must lie between {domain.lower:g} and {domain.upper:g}"


def without_value(
    problem: Problem, shares: Mapping[str, tuple[Cells, ...]], given: Mapping[str, Floats]
) -> list[ModelError]:
    """One problem that names every unknown which has neither a value nor a law to draw it from."""
    parameters: dict[str, str] = {}
    flats: dict[str, str] = {}
    for name, parts in shares.items():
        for share in parts:
            flat = given.get(name)
            missing = share.places if flat is None else share.places[np.isnan(flat[share.places])]
            if missing.size and isinstance(share.statement, Parameter):
                parameters[name] = _told(problem, name, missing)
            elif missing.size and _is_flat(share.statement):
                flats[name] = _told(problem, name, missing)
    if not parameters and not flats:
        return []
    reasons: list[str] = []
    if parameters:
        reasons.append(_sentence(parameters, "is a parameter", "are parameters") + " without a prior")
    if flats:
        reasons.append(_sentence(flats, "has", "have") + " a flat prior, which cannot be drawn from")
    shown = ", ".join(f'"{name}": ...' for name in {**parameters, **flats})
    message, first = "; ".join(reasons), next(iter({**parameters, **flats}))
    return [ModelError(message, node=first, hint=f"give values={{{shown}}}")]


def _sentence(told: Mapping[str, str], one: str, several: str) -> str:
    return f"{', '.join(told.values())} {one if len(told) == 1 else several}"


def _told(problem: Problem, name: str, missing: NDArray[np.int64]) -> str:
    if missing.size == _size(problem, name) or not problem.shape(name):
        return name
    more = f" and {missing.size - 1} more" if missing.size > 1 else ""
    return element_label(problem, name, int(missing[0])) + more


def _is_flat(statement: Statement) -> bool:
    if not isinstance(statement, Stochastic):
        return False
    return any(leaf.family in ("Flat", "HalfFlat") for leaf in leaves(statement.distribution))
