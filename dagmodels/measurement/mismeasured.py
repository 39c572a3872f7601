"""Which covariates of a bound graph were measured with error, by what, and what depends on them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.measurement import berkson, covariates_with_error
from dagmodels.analysis.reading_values import averages, places
from dagmodels.bind.labels import level_code
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag

Floats = NDArray[np.float64]
Readings = Mapping[str, str | Iterable[str]]


@dataclass(frozen=True, slots=True)
class Mismeasured:
    """A covariate whose true value is latent, in part or whole.

    node : the true value. readings : observed nodes that stand for it, or the column of a Berkson error.
    outcomes : observed nodes that depend on it besides. discrete : whether it is a state.
    berkson : whether it scatters about its reading, not the reading about it.
    """

    node: str
    readings: tuple[str, ...]
    outcomes: tuple[str, ...]
    discrete: bool = False
    berkson: bool = False


def mismeasured(problem: Problem, readings: Readings | None = None) -> tuple[Mismeasured, ...]:
    """Covariates measured with error, in the order of the model.

    readings : by true value its readings, where the graph does not tell: a node whose mean is exactly the
        true value is a reading of it, one whose mean is another function of it may be that or an outcome.

    Raises
    ------
    ModelErrors : names that do not fit; a graph in which nothing is measured with error, or that does not say
        which of the nodes that depend on a true value is its reading.
    """
    dag = problem.graph
    stated = _stated(dag, readings or {})
    found: dict[str, Mismeasured] = {}
    for m in covariates_with_error(dag):
        named = tuple(r.node for r in m.readings)
        found[m.node] = Mismeasured(m.node, named, _without(_observed_below(dag, m.node), named))
    for b in berkson(dag):
        found[b.node] = Mismeasured(b.node, (b.column,), _observed_below(dag, b.node), berkson=True)
    for node, named in stated.items():
        discrete = dag.nodes[node].values_in is not None
        found[node] = Mismeasured(node, named, _without(_observed_below(dag, node), named), discrete)
    if not found:
        raise_all([_nothing(problem)], f"the covariates of model '{dag.name}'")
    return tuple(found[n] for n in dag.nodes if n in found and found[n].outcomes)


def naive_values(problem: Problem, m: Mismeasured) -> Floats:
    """What stands for each true value without any correction, in the node's shape.

    The mean of its readings (of a discrete one the first of them); NaN where there is none.
    """
    shape = problem.shape(m.node)
    if m.berkson:
        return _berkson(problem, m)
    if not m.discrete:
        return averages(problem, m.node, m.readings).mean.reshape(shape)
    name = m.readings[0]
    found = np.full(int(np.prod(shape, dtype=np.int64)), np.nan)
    found[places(problem, m.node, name)] = _as_states(problem, m.node, name, problem.values[name].reshape(-1))
    return found.reshape(shape)


def _berkson(problem: Problem, m: Mismeasured) -> Floats:
    (column,) = m.readings
    codes = problem.rows(problem.graph.nodes[m.node].plates).codes
    plates = problem.graph.nodes[column].plates
    values = problem.values[column]
    picked = (
        values[tuple(codes[p] for p in plates)] if plates else np.broadcast_to(values, codes[plates[0]].shape)
    )
    return np.asarray(picked, dtype=float).reshape(problem.shape(m.node))


def _as_states(problem: Problem, node: str, reading: str, values: Floats) -> Floats:
    """A reading's values as elements of the plate that the true value has its states in."""
    nodes = problem.graph.nodes
    plate = nodes[node].values_in
    assert plate is not None
    if nodes[reading].values_in == plate:
        return values
    found = np.full(values.size, np.nan)
    for value in np.unique(values[np.isfinite(values)]):
        found[values == value] = level_code(
            problem, plate, int(value) if float(value).is_integer() else str(value)
        )
    return found


def _stated(dag: Dag, readings: Readings) -> dict[str, tuple[str, ...]]:
    faults: list[ModelError] = []
    found: dict[str, tuple[str, ...]] = {}
    for node, given in readings.items():
        named = (given,) if isinstance(given, str) else tuple(given)
        if node not in dag.nodes or dag.nodes[node].kind != "stochastic":
            faults.append(_no_node(dag, node, "stands for true values"))
            continue
        for name in named:
            if name not in dag.nodes or dag.nodes[name].role != "observed":
                faults.append(_no_node(dag, name, "is observed"))
            elif name not in _observed_below(dag, node):
                hint = (
                    f"readings of '{node}' depend on it: {', '.join(_observed_below(dag, node)) or 'none do'}"
                )
                faults.append(ModelError(f"'{name}' does not depend on '{node}'", node=name, hint=hint))
        found[node] = named
    raise_all(faults, f"the readings of model '{dag.name}'")
    return found


def _no_node(dag: Dag, name: object, what: str) -> ModelError:
    near = difflib.get_close_matches(str(name), dag.nodes, 1)
    hint = f"did you mean '{near[0]}'?" if near else "give names of nodes, as in readings={'x': 'w'}"
    return ModelError(f"no node named '{name}' {what}", node=str(name), hint=hint)


def _observed_below(dag: Dag, node: str) -> tuple[str, ...]:
    """Observed nodes that depend on a node directly or through deterministic ones."""
    reached, waiting = set[str](), [node]
    while waiting:
        for child in dag.children[waiting.pop()]:
            if child not in reached and child != node:
                reached.add(child)
                if dag.nodes[child].kind == "deterministic":
                    waiting.append(child)
    return tuple(n for n in dag.nodes if n in reached and dag.nodes[n].role == "observed")


def _without(names: Iterable[str], left_out: Iterable[str]) -> tuple[str, ...]:
    out = set(left_out)
    return tuple(n for n in names if n not in out)


def _nothing(problem: Problem) -> ModelError:
    unclear = list(_unclear(problem))
    if unclear:
        node, below = unclear[0]
        told = f"the model does not say which of {', '.join(map(repr, below))} is a reading of '{node}'"
        return ModelError(told, node=node, hint=f"say it: readings={{'{node}': '{below[0]}'}}")
    hint = "a latent that is the mean of an observed node, `observed w[i] ~ Normal(x, s)`, has readings"
    return ModelError("no covariate is measured with error", hint=hint)


def _unclear(problem: Problem) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Nodes that were not seen, or not everywhere, with two observed nodes below them or more."""
    dag = problem.graph
    for name, node in dag.nodes.items():
        if node.kind != "stochastic" or not node.plates:
            continue
        seen = problem.observed.get(name)
        if node.role == "latent" or (seen is not None and not seen.all()):
            below = _observed_below(dag, name)
            if len(below) > 1:
                yield name, below


__all__ = ["Mismeasured", "Readings", "mismeasured", "naive_values"]
