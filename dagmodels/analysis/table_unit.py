"""Is a graph a network of discrete nodes, all in one plate of cases, with tables to be estimated?"""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.graph import expression as ex
from dagmodels.graph.cases import is_single
from dagmodels.graph.dag import Dag, Node, remembered
from dagmodels.graph.statement import Stochastic

FAMILIES = ("Table", "Categorical", "Bernoulli")


@dataclass(frozen=True, slots=True)
class TableUnit:
    """The network of one case.

    plate : of the cases.
    nodes : the discrete nodes, in the order of the model.
    free : those whose law is a `Table`, which data may estimate; the others keep their numbers.
    """

    plate: str
    nodes: tuple[str, ...]
    free: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoTableUnit:
    """Why a graph is none, in sentences that name nodes.

    is_single : it is a network of single nodes, which answers queries and takes rows as cases.
    """

    because: tuple[str, ...]
    is_single: bool = False


@remembered
def table_unit(dag: Dag) -> TableUnit | NoTableUnit:
    """The network, or what stands in the way."""
    nodes = [n for n in dag.nodes.values() if n.kind == "stochastic"]
    unknown = next((n for n in dag.nodes.values() if n.kind in ("parameter", "covariate")), None)
    if unknown is None and is_single(dag):
        return NoTableUnit((f"'{nodes[0].name}' lies in no plate of cases",), is_single=True)
    found = next((told for n in nodes if (told := _against(dag, n))), "")
    if found or not nodes:
        return NoTableUnit((found or "no node has a distribution",))
    plates = {n.plates[0] for n in nodes}
    if len(plates) > 1:
        some = sorted(plates)[:2]
        return NoTableUnit((f"nodes lie in '{some[0]}' and in '{some[1]}', not all in one plate",))
    plate = plates.pop()
    holder = dag.plate[plate]
    if holder.parents or holder.alias_of is not None:
        return NoTableUnit((f"'{plate}' lies in another plate",))
    free = tuple(n.name for n in nodes if _family(n) == "Table")
    if unknown is not None:
        return NoTableUnit((f"'{unknown.name}' is a {unknown.kind}, on which tables do not depend",))
    if not free:
        return NoTableUnit(("no node has a Table, whose numbers could be estimated",))
    return TableUnit(plate, tuple(n.name for n in nodes), free)


def _family(node: Node) -> str:
    statement = node.statements[0]
    return statement.distribution.family if isinstance(statement, Stochastic) else ""


def _against(dag: Dag, node: Node) -> str:
    """What keeps a stochastic node out of a network of cases."""
    if len(node.statements) != 1 or not isinstance(node.statements[0], Stochastic):
        return f"'{node.name}' has several statements, or shares one"
    if _family(node) not in FAMILIES:
        return f"'{node.name}' is {_family(node)}, which is no node of a network"
    if len(node.plates) != 1:
        return f"'{node.name}' lies in {len(node.plates)} plates, not in one of cases"
    head = node.statements[0].head.slots[0]
    if head.label is not None or head.first:
        return f"the law of '{node.name}' is that of some elements alone"
    for _, value in node.statements[0].distribution.arguments:
        if isinstance(value, ex.Expression) and any(
            isinstance(i, ex.LagIndex) for r in ex.references(value) for i in r.indices or ()
        ):
            return f"'{node.name}' depends on an element before it"
    return ""
