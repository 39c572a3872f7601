"""Continuous nodes beside discrete ones: linear Gaussian laws and densities, by the states of the discrete.

A Normal node whose mean is linear in other Normal nodes, with an intercept, coefficients and a scale for each
combination of discrete states, is conditional linear-Gaussian (Lauritzen 1992, "Propagation of probabilities,
means and variances in mixed graphical association models").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import WRAPPERS
from dagmodels.analysis.linearity import depends, linear_form
from dagmodels.distributions import _numeric, family
from dagmodels.forms.coordinates import canonical
from dagmodels.forms.table_values import NoTable, States, Value
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, distribution_expressions
from dagmodels.graph.statement import Distribution, Stochastic

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """offset + sum of coefficient * parent, and the variance; axes are discrete nodes."""

    offset: Value
    coefficients: Mapping[str, Value]
    variance: Value

    @property
    def axes(self) -> tuple[str, ...]:
        """The discrete nodes on which any number of it depends."""
        every = (self.offset, self.variance, *self.coefficients.values())
        return tuple(dict.fromkeys(a for value in every for a in value.axes))


def is_continuous(dag: Dag, name: str) -> bool:
    """Whether a node with a law has no states of its own."""
    law = law_of(dag, name)
    return dag.nodes[name].values_in is None and law.family != "Bernoulli"


def law_of(dag: Dag, name: str) -> Distribution:
    """The law of a single node."""
    statement = dag.nodes[name].statements[0]
    if not isinstance(statement, Stochastic):
        raise NoTable(f"`{name}` shares its law with other nodes", node=name)
    return statement.distribution


def read_by(dag: Dag, name: str) -> frozenset[str]:
    """The stochastic nodes that a single node's law reads, computed nodes between looked through."""
    known: dict[str, frozenset[str]] = dag.memo.setdefault("read_by", {})  # type: ignore[assignment]
    if name not in known:
        known[name] = _read_by(dag, name)
    return known[name]


def _read_by(dag: Dag, name: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = [r.name for tree in distribution_expressions(law_of(dag, name)) for r in ex.references(tree)]
    while waiting:
        at = waiting.pop()
        node = dag.nodes.get(at)
        if node is None or at in found:
            continue
        if node.kind == "stochastic":
            found.add(at)
        else:
            waiting.extend(dag.parents[at])
    return frozenset(found)


def linear(dag: Dag, states: States, name: str, unknown: Iterable[str]) -> Linear:
    """The law of a Normal node whose mean is linear in the unknown nodes.

    Raises
    ------
    NoTable : another law, a mean that is not linear, a scale that depends on an unknown node.
    """
    law, names = law_of(dag, name), frozenset(unknown)
    if law.family != "Normal":
        told = (
            f"'{name}' is {law.family} and depends on {_quoted(names & read_by(dag, name)) or 'nothing seen'}"
        )
        raise NoTable(
            told, node=name, hint="exact answers need Normal nodes there: give their values as evidence"
        )
    given = dict(law.arguments)
    mean = given["mu"]
    form = linear_form(mean, names) if isinstance(mean, ex.Expression) else None
    if form is None or any(t.plates for t in form.terms):
        told = f"the mean of '{name}' is not linear in {_quoted(names & read_by(dag, name))}"
        raise NoTable(told, node=name, hint="exact answers need linear means: give these values as evidence")
    for key, tree in given.items():
        if key != "mu" and isinstance(tree, ex.Expression) and depends(tree, names):
            told = f"the spread of '{name}' depends on {_quoted(names & read_by(dag, name))}"
            raise NoTable(told, node=name, hint="give these values as evidence")
    coefficients: dict[str, Value] = {}
    for term in form.terms:
        value = states.value(term.coefficient)
        old = coefficients.get(term.reference.name)
        coefficients[term.reference.name] = value if old is None else _sum(old, value)
    _, scale = arguments(states, law)
    with np.errstate(all="ignore"):
        variance = Value(scale.numbers**2, scale.axes)
    if not (np.isfinite(variance.numbers).all() and (scale.numbers > 0).all()):
        raise NoTable(f"the spread of '{name}' is not positive", node=name, hint="state a positive sigma")
    return Linear(states.value(form.offset), coefficients, variance)


def arguments(states: States, law: Distribution) -> list[Value]:
    """The family's canonical parameters over the states of discrete nodes, but for a Normal's mean."""
    trees = [t for k, t in law.arguments if not (law.family == "Normal" and k == "mu")]
    values = {id(t): states.value(t) for t in trees if isinstance(t, ex.Expression)}
    axes = tuple(dict.fromkeys(a for v in values.values() for a in v.axes))
    zero = Value(np.zeros(()))
    found = canonical(law, lambda tree: values.get(id(tree), zero).on(axes), _numeric)  # type: ignore[arg-type]
    return [Value(np.broadcast_to(np.asarray(f, dtype=float), _shape(f, axes)), axes) for f in found]


def _shape(found: object, axes: tuple[str, ...]) -> tuple[int, ...]:
    shape = np.shape(found)
    return shape if len(shape) == len(axes) else (1,) * len(axes)


def log_density(dag: Dag, states: States, name: str, value: float) -> Value:
    """Of a node's value, over the states of the discrete nodes that its law reads."""
    law = law_of(dag, name)
    if law.family in (*WRAPPERS, "Mixture") or family(law.family).event:
        raise NoTable(
            f"'{name}' is {law.family}, whose density is not asked for here",
            node=name,
            hint="leave it out of the evidence",
        )
    trees = [t for _, t in law.arguments]
    values = {id(t): states.value(t) for t in trees if isinstance(t, ex.Expression)}
    axes = tuple(dict.fromkeys(a for v in values.values() for a in v.axes))
    numbers = canonical(law, lambda tree: values[id(tree)].on(axes), _numeric)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        found = np.asarray(family(law.family).log_density(_numeric, value, *numbers), dtype=float)
    if np.isnan(found).any():
        raise NoTable(f"'{name}' has no density at {value:g}", node=name, hint="check its parameters")
    return Value(np.broadcast_to(found, _shape(found, axes)), axes)


def _sum(a: Value, b: Value) -> Value:
    axes = tuple(dict.fromkeys((*a.axes, *b.axes)))
    return Value(a.on(axes) + b.on(axes), axes)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{n}'" for n in sorted(names))
