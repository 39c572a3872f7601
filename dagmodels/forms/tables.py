"""The `tables` form: a discrete network as arrays, one conditional table a node.

Serves graphs of single discrete nodes (no plates but those of their states): `Table`, `Categorical`,
`Bernoulli`, whose arguments may be any expression of discrete parents. Rows are divided by their sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.table_values import PLAIN, Floats, NoTable, States, Value
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, remembered
from dagmodels.graph.statement import Distribution, Rows, Stochastic

TRUTH: tuple[ex.Label, ...] = (0, 1)  # states of a Bernoulli node
EXACT = 1e-12  # of a row's sum, below which it is one but for rounding
ROUNDING = 1e-6  # of a row's sum, beyond which an expression is no table


@dataclass(frozen=True, eq=False)
class Tables:
    """A network of discrete nodes.

    names : of the nodes, in the order of the model.
    states : labels of each node's states.
    parents : positions of each node's parents.
    numbers : probabilities, an axis for each parent and one for the node itself; None where none are stated.
    """

    names: tuple[str, ...]
    states: tuple[tuple[ex.Label, ...], ...]
    parents: tuple[tuple[int, ...], ...]
    numbers: tuple[Floats | None, ...]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position by name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of states."""
        return tuple(map(len, self.states))

    @cached_property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Each node's parents and the node, in the order of its table's axes."""
        return tuple((*p, i) for i, p in enumerate(self.parents))

    @cached_property
    def codes(self) -> tuple[Mapping[object, int], ...]:
        """For each node the code of a state, by its label and, where that is no other's, by its text."""
        found: list[Mapping[object, int]] = []
        for labels in self.states:
            by_text = {str(label): k for k, label in enumerate(labels)}
            found.append({**by_text, **{label: k for k, label in enumerate(labels)}})
        return tuple(found)

    @cached_property
    def known(self) -> tuple[Floats, ...]:
        """All tables.

        Raises ModelErrors where some node's numbers are not stated.
        """
        raise_all(
            [
                ModelError(
                    f"the Table of '{name}' has no numbers", node=name, hint="state them, or fit them to data"
                )
                for name, numbers in zip(self.names, self.numbers, strict=True)
                if numbers is None
            ],
            "a question to a network",
        )
        return tuple(n for n in self.numbers if n is not None)

    def log_joint(self, states: NDArray[np.int64]) -> Floats:
        """Logarithm of the probability of all states together; states : (nodes, ...)."""
        total = np.zeros(states.shape[1:])
        with np.errstate(divide="ignore"):
            for family, table in zip(self.families, self.known, strict=True):
                total = total + np.log(table[tuple(states[i] for i in family)])
        return total


@remembered
def tables(dag: Dag) -> Tables:
    """The network of a graph.

    Raises
    ------
    ModelErrors : every node that is not discrete, lies in a plate, or has a law that is no table of numbers.
    """
    return tables_of(dag, [n for n, node in dag.nodes.items() if node.kind == "stochastic"])


def tables_of(dag: Dag, names: Sequence[str], known: Mapping[str, Value] | None = None) -> Tables:
    """The network of some nodes, which depend on no others but known values; errors as of `tables`."""
    faults: list[ModelError] = []
    labels: dict[str, tuple[ex.Label, ...]] = {}
    for name in names:
        try:
            labels[name] = node_states(dag, dag.nodes[name])
        except ModelError as error:
            faults.append(error)
    if not names:
        faults.append(ModelError("no node has a distribution", hint="write `x in answer ~ Table(...)`"))
    raise_all(faults, _where(dag))
    states = states_of(dag, labels, known)
    position = {name: i for i, name in enumerate(names)}
    parents: list[tuple[int, ...]] = []
    numbers: list[Floats | None] = []
    for name in names:
        statement = dag.nodes[name].statements[0]
        assert isinstance(statement, Stochastic)
        try:
            found, table = _table(statement, states)
            parents.append(tuple(position[p] for p in found))
            numbers.append(table)
        except ModelError as error:
            told = error.message if error.node else f"`{name}`: {error.message}"
            faults.append(NoTable(told, node=error.node or name, hint=error.hint))
    raise_all(faults, _where(dag))
    return Tables(tuple(names), tuple(labels.values()), tuple(parents), tuple(numbers))


def states_of(
    dag: Dag, labels: Mapping[str, tuple[ex.Label, ...]], known: Mapping[str, Value] | None = None
) -> States:
    """What evaluates trees over the states of these nodes."""
    numeric = frozenset(n for n in labels if dag.nodes[n].values_in is None)
    return States(dag, labels, numeric, dict(known or {}))


def _where(dag: Dag) -> str:
    return f"the network of model '{dag.name}'"


def node_states(dag: Dag, node: Node) -> tuple[ex.Label, ...]:
    """Labels of a node's states; what is no node of a network is refused."""
    name = node.name
    if node.plates:
        raise NoTable(
            f"`{name}` lies in plate '{node.plates[0]}'",
            node=name,
            hint="queries are answered for networks of single nodes",
        )
    if len(node.statements) != 1 or not isinstance(node.statements[0], Stochastic):
        raise NoTable(f"`{name}` has several statements, or shares one", node=name)
    law = node.statements[0].distribution
    if law.family == "Bernoulli":
        return TRUTH
    if node.values_in is None or law.family not in ("Table", "Categorical"):
        raise NoTable(
            f"`{name}` is {law.family}, which is no node of a network",
            node=name,
            hint="queries need Table, Categorical or Bernoulli",
        )
    levels = dag.plate[dag.base(node.values_in)].levels
    if levels is None:
        raise NoTable(
            f"plate '{node.values_in}', in which `{name}` has its values, states no levels",
            node=name,
            hint=f'write `plate {node.values_in} = "yes", "no"`',
        )
    return levels


def _table(statement: Stochastic, states: States) -> tuple[tuple[str, ...], Floats | None]:
    """Parents, and probabilities with an axis for each of them and one for the node."""
    law, name = statement.distribution, statement.head.name
    if law.family == "Table":
        parents = tuple(v.name for k, v in law.arguments if k != "rows" and isinstance(v, ex.Reference))
        return parents, _stated(law, name, parents, states)
    if law.family == "Bernoulli":
        value = _success(law, states)
        numbers = np.stack([1 - value.numbers, value.numbers], axis=-1)
        return value.axes, _checked(numbers, name)
    argument = law.argument("p")
    if not isinstance(argument, ex.Expression):
        raise NoTable(f"the law of `{name}` is not understood", node=name)
    states.refuse_large(argument, len(states.labels[name]))
    value = states.vector(argument)
    own = value.axes[-1]
    width = len(states.labels[name])
    stated = own if own == PLAIN else states.dag.base(own)
    if stated not in (PLAIN, states.dag.base(str(statement.values_in))) or value.numbers.shape[-1] != width:
        raise NoTable(f"`{name}` needs {width} probabilities, one a state", node=name)
    return value.axes[:-1], _checked(value.numbers, name)


def _success(law: Distribution, states: States) -> Value:
    argument = law.argument("p")
    if not isinstance(argument, ex.Expression):
        inner = law.argument("logit_p")
        if not isinstance(inner, ex.Expression):
            raise NoTable("the law is not understood")
        argument = ex.Call("expit", (inner,))
    states.refuse_large(argument, len(TRUTH))
    return states.value(argument)


def _stated(law: Distribution, name: str, parents: tuple[str, ...], states: States) -> Floats | None:
    """The numbers of a `Table`; None where it has none."""
    rows = law.argument("rows")
    width = len(states.labels[name])
    if rows is None:
        return None
    if isinstance(rows, ex.Vector):
        return _checked(np.array(_numbers(rows.items, states, name)), name)
    assert isinstance(rows, Rows)
    places = [{label: k for k, label in enumerate(states.labels[p])} for p in parents]
    found = np.full([len(p) for p in places] + [width], np.nan)
    for row in rows.rows:
        at = tuple(place[label] for place, label in zip(places, row.labels, strict=True))
        found[at] = _numbers(row.entries, states, name)
    return _checked(found, name)


def _numbers(entries: tuple[ex.Expression, ...], states: States, name: str) -> list[float]:
    found: list[float] = []
    for entry in entries:
        number = ex.literal(entry)
        if number is None:
            value = states.value(entry)
            if value.axes:
                told = f"an entry of the Table of `{name}` depends on '{value.axes[0]}'"
                raise NoTable(told, node=name, hint="name it as a parent: Table(parent, {...})")
            number = float(value.numbers)
        found.append(number)
    return found


def _checked(table: Floats, name: str) -> Floats:
    """The table with rows divided by their sums; refuses what is no probability."""
    total = table.sum(axis=-1, keepdims=True)
    if not (np.isfinite(table).all() and (table >= 0).all() and (np.abs(total - 1) <= ROUNDING).all()):
        told = f"the numbers of `{name}` are not probabilities that sum to 1 in each row"
        raise NoTable(told, node=name, hint="a row has one number from 0 to 1 for each state")
    return np.where(np.abs(total - 1) <= EXACT, table, table / total)
