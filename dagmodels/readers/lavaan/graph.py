"""A parameter table -> a graph of the language.

One plate of units; each variable is a node whose law is Normal with a linear mean; variances are
parameters without bounds under a root, so that they may go below zero as lavaan's may.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate
from dagmodels.readers.lavaan.levels import Parts, one_level, two_levels
from dagmodels.readers.lavaan.parameters import Parameters
from dagmodels.readers.lavaan.provenance import Held, Provenance
from dagmodels.readers.lavaan.rows import Row, Table
from dagmodels.readers.lavaan.tokens import WHERE

UNIT = "row"
GROUP = "group"
CLUSTER = "cluster"


def graph(
    table: Table,
    unit: str = UNIT,
    group: str = GROUP,
    name: str = "sem",
    source: str | None = None,
    cluster: str = CLUSTER,
) -> tuple[Dag, Provenance]:
    """The graph of a table and where each row is in it.

    Parameters
    ----------
    table : of `table.table`.
    unit, group, cluster : wanted names of the plates; an underscore is added where a variable is called so.
    name : of the model.
    source : the text's file, for messages.

    Raises
    ------
    ModelErrors : what a graph cannot say, naming the variable.
    """
    faults: list[ModelError] = []
    _products(table, faults)
    raise_all(faults, source or WHERE)
    taken = {*table.observed, *table.latent}
    unit = _free(unit, taken)
    groups = _free(group, {*taken, unit}) if len(table.groups) > 1 else ""
    clusters = _free(cluster, {*taken, unit, groups}) if table.levels else ""
    parameters = Parameters(table, groups, {*taken, unit, groups, clusters, ""}, faults)
    raise_all(faults, source or WHERE)
    made = two_levels if table.levels else one_level
    parts = made(table, parameters, (unit, clusters), faults)
    raise_all(faults, source or WHERE)
    definitions, names = _definitions(table, parameters)
    outer = (groups,) if groups else ()
    plates = [Plate(groups, levels=table.groups)] if groups else []
    if clusters:
        plates.append(Plate(clusters, outer))
    plates += [Plate(unit, (clusters,) if clusters else outer), *parts.plates]
    intercepts = [st.Parameter(n, outer) for n in parts.saturated.values()]
    own = (*parameters.statements(), *parts.parameters, *intercepts)
    statements = (*parts.covariates, *own, *parts.laws, *definitions)
    places = (unit, groups or None, clusters or None)
    return Dag(name, tuple(plates), statements), _provenance(table, parameters, parts, names, places)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _products(table: Table, faults: list[ModelError]) -> None:
    for name in table.variables.products:
        message = f"'{name}' is a product with a latent variable."
        hint = "write the graph in the model language, where products of nodes are allowed"
        faults.append(ModelError(message, hint=hint, node=name))


def _definitions(table: Table, parameters: Parameters) -> tuple[list[st.Statement], dict[str, str]]:
    """`:=` rows as deterministic nodes, and their names."""
    names = {r.lhs: parameters.free_name(r.lhs) for r in table.definitions}
    found: list[st.Statement] = []
    for row in table.definitions:
        assert row.right is not None
        tree = parameters.renamed(row.right, names)
        found.append(st.Deterministic(st.Head(names[row.lhs]), tree))
    return found, names


def _provenance(
    table: Table,
    parameters: Parameters,
    parts: Parts,
    names: Mapping[str, str],
    places: tuple[str, str | None, str | None],
) -> Provenance:
    rows: list[Held] = []
    for row in table.rows:
        if row.op == ":=":
            rows.append(Held(names[row.lhs]))
        elif row.free:
            rows.append(parameters.held[row.free])
        elif row.op == "~~" and row.lhs == row.rhs and row.lhs in parts.residuals:
            rows.append(_residual(row, parts.residuals[row.lhs], table))
        else:
            rows.append(Held(value=row.value) if row.group and not row.exogenous else Held())
    solved = parameters.solved
    said = solved.rows | parameters.bounded
    kept = tuple(r for r in table.constraints if r.id not in said and r.id not in solved.redundant)
    products = {n: (n.split(":")[0], n.split(":")[1]) for n in table.observed if n.count(":") == 1}
    nodes = {
        label: parameters.held[r.free] if r.free else Held(value=r.value)
        for label, r in parameters.named.items()
    }
    nodes.update((label, Held(node)) for label, node in names.items())
    return Provenance(
        *places,
        tuple(rows),
        parts.saturated,
        frozenset(said),
        kept,
        solved.redundant,
        nodes,
        parts.swapped,
        products,
        parts.responses,
        parts.between,
    )


def _residual(row: Row, tree: ex.Expression | None, table: Table) -> Held:
    """The residual variance of a latent response: fixed, or what the model leaves of its whole variance."""
    if not isinstance(tree, ex.Reference):
        value = None if tree is None else ex.literal(tree)
        return Held(value=value)
    return Held(tree.name, table.groups[row.group - 1] if tree.indices else None)
