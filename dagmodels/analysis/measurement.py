"""Unknowns that are seen with error and stand in another law too: covariates measured with error.

An observed node whose mean is exactly a latent is a *reading* of it (classical error); every other child is
an *outcome*. A latent whose own mean is exactly a column of data, and which is not seen itself, has error the
other way round (Berkson 1950): the data scatter less than the truth, and a linear slope is not attenuated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.analysis.laws import distribution_of, location, spread
from dagmodels.analysis.reach import Reach
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, remembered
from dagmodels.graph.statement import Distribution, Joint, Parameter, Stochastic

FAMILIES = ("Normal", "MvNormal", "StudentT", "Laplace")


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement of a latent: the observed node and whether its error is known.

    unknown : the unknowns in its spread, none where the error is known.
    also_outcome : whether the node is a vector of which another component depends on the latent.
    """

    node: str
    law: Distribution
    unknown: tuple[str, ...]
    also_outcome: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """A latent with readings.

    law : its distribution; None for a `parameter`, which is an unknown of each element.
    outcomes : stochastic children that are no readings.
    """

    node: str
    law: Distribution | None
    readings: tuple[Reading, ...]
    outcomes: tuple[str, ...]

    @property
    def incidental(self) -> bool:
        """Whether each element is an unknown without a distribution: fixed, or flat."""
        return self.law is None or self.law.family == "Flat"


@remembered
def measured(dag: Dag) -> tuple[Measured, ...]:
    """Latents with plates that have a reading, in the order of the model."""
    reach = Reach(dag)
    return tuple(found for node in dag.nodes.values() if (found := _measured(dag, reach, node)) is not None)


def covariates_with_error(dag: Dag) -> tuple[Measured, ...]:
    """Those that have an outcome besides: what the literature calls covariates measured with error."""
    return tuple(found for found in measured(dag) if found.outcomes)


@dataclass(frozen=True, slots=True)
class Berkson:
    """A latent that scatters about a column of data, and the nodes that depend on it."""

    node: str
    column: str
    outcomes: tuple[str, ...]


def berkson(dag: Dag) -> tuple[Berkson, ...]:
    """Latents whose mean is exactly a column of data and which have no reading."""
    seen = {found.node for found in measured(dag)}
    found: list[Berkson] = []
    for node in dag.nodes.values():
        if node.role != "latent" or not node.plates or node.name in seen or len(node.statements) != 1:
            continue
        law = distribution_of(node.statements[0])
        mean = None if law is None else location(law)
        if not isinstance(mean, ex.Reference) or dag.nodes[mean.name].kind != "covariate":
            continue
        if outcomes := _stochastic_children(dag, node.name):
            found.append(Berkson(node.name, mean.name, outcomes))
    return tuple(found)


def true_values(dag: Dag) -> frozenset[str]:
    """Latents that stand for a covariate's true values, with classical or Berkson error."""
    return frozenset(found.node for found in (*covariates_with_error(dag), *berkson(dag)))


def _measured(dag: Dag, reach: Reach, node: Node) -> Measured | None:
    if not node.plates or node.role not in ("latent", "parameter") or node.values_in is not None:
        return None
    readings = tuple(_readings(dag, reach, node.name))
    if not readings:
        return None
    law = distribution_of(node.statements[0])
    if law is None and not isinstance(node.statements[0], Parameter):
        return None
    pure = {reading.node for reading in readings if not reading.also_outcome}
    outcomes = tuple(n for n in _stochastic_children(dag, node.name) if n not in pure)
    return Measured(node.name, law, readings, outcomes)


def _readings(dag: Dag, reach: Reach, name: str) -> Iterator[Reading]:
    for child in dag.children[name]:
        node = dag.nodes[child]
        if node.role != "observed":
            continue
        for statement in node.statements:
            law = distribution_of(statement)
            if not isinstance(statement, Stochastic | Joint) or law is None or law.family not in FAMILIES:
                continue
            position = _position(location(law), name)
            if position is not False:
                unknown = {n: None for tree in spread(law) for n in reach.of(tree)}
                if isinstance(statement, Joint):
                    if statement.names[position or 0] == child:
                        yield Reading(child, law, tuple(unknown))
                else:
                    yield Reading(child, law, tuple(unknown), _elsewhere(reach, law, position, name))


def _position(mean: ex.Expression | None, name: str) -> int | bool | None:
    """Where a mean is exactly the latent: None for the whole, its place in a vector; False for nowhere."""
    if isinstance(mean, ex.Reference):
        return None if mean.name == name else False
    if isinstance(mean, ex.Vector):
        for i, item in enumerate(mean.items):
            if isinstance(item, ex.Reference) and item.name == name:
                return i
    return False


def _elsewhere(reach: Reach, law: Distribution, position: int | None, name: str) -> bool:
    """Whether a vector's mean depends on the latent in another component too."""
    mean = location(law)
    items = mean.items if isinstance(mean, ex.Vector) else ()
    return any(name in reach.of(item) for i, item in enumerate(items) if i != position)


def _stochastic_children(dag: Dag, name: str) -> tuple[str, ...]:
    """Stochastic nodes that depend on a node, through deterministic ones too, in the order of the model."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for child in dag.children[waiting.pop()]:
            if child not in reached and child != name:
                reached.add(child)
                if dag.nodes[child].kind == "deterministic":
                    waiting.append(child)
    return tuple(n for n, node in dag.nodes.items() if n in reached and node.kind == "stochastic")


__all__ = ["Berkson", "Measured", "Reading", "berkson", "covariates_with_error", "measured", "true_values"]
