"""Is the graph a model of exchangeable clusters: units in clusters, both draws of linear Gaussian laws?"""

from __future__ import annotations

from dagmodels.analysis.linearity import depends
from dagmodels.analysis.unit import NoUnit, Unit, node_faults, unit, used
from dagmodels.graph.dag import Dag, Node, remembered
from dagmodels.graph.statement import Covariance


def exchangeable(dag: Dag) -> Unit | NoUnit:
    """The graph's exchangeable unit: the element of one plate, or else a cluster with what lies in it."""
    found = unit(dag)
    if isinstance(found, Unit):
        return found
    other = clusters(dag)
    return other if isinstance(other, Unit) or _nested(dag) else found


@remembered
def clusters(dag: Dag) -> Unit | NoUnit:
    """The cluster that is the graph's exchangeable unit, or why there is none."""
    pairs = _nested(dag)
    if not pairs:
        return NoUnit(("no plate with observed nodes lies in a plate of clusters",))
    tried = [_as_clusters(dag, inner, outer) for inner, outer in pairs]
    return next((u for u in tried if isinstance(u, Unit)), tried[0])


def _nested(dag: Dag) -> list[tuple[str, str]]:
    """Plates with observed nodes, and the plates with random nodes that they lie in."""
    found = []
    for p in dag.plates:
        if p.alias_of is not None or len(p.parents) != 1:
            continue
        outer = p.parents[0]
        seen = any(n.observed and p.name in n.plates for n in dag.nodes.values())
        if seen and dag.plate[outer].alias_of is None and any(_random(n, outer) for n in dag.nodes.values()):
            found.append((p.name, outer))
    return found


def _random(node: Node, plate: str) -> bool:
    return node.kind == "stochastic" and plate in node.plates


def _as_clusters(dag: Dag, inner: str, outer: str) -> Unit | NoUnit:
    members = [n for n in dag.nodes.values() if inner in n.plates or outer in n.plates]
    names = {n.name for n in members}
    nodes = tuple(n.name for n in members if n.kind == "stochastic")
    covariates = tuple(n.name for n in members if n.kind == "covariate")
    derived = tuple(n for n in dag.order if n in names and dag.nodes[n].kind == "deterministic")
    faults = [*_plates(dag, inner, outer), *_laws(dag, members, names, inner), *_ties(dag, names, inner)]
    faults += [
        f"'{n.name}' is observed on neither '{inner}' nor '{outer}'"
        for n in dag.nodes.values()
        if n.observed and n.name not in names
    ]
    if faults:
        return NoUnit(tuple(dict.fromkeys(faults)))
    referred = used(dag, nodes)
    above = dag.lies_in(outer)[1:]
    groups = tuple(p for p in above if any(p in dag.nodes[u].plates for u in referred))
    return Unit(outer, groups, nodes, derived, tuple(c for c in covariates if c in referred), (), inner=inner)


def _plates(dag: Dag, inner: str, outer: str) -> list[str]:
    found = [
        f"the elements of plate '{p}' follow one another" for p in (inner, outer) if dag.plate[p].ordered
    ]
    found += [f"'{p}' has levels that the model states" for p in (inner, outer) if dag.plate[p].levels]
    found += [
        f"plate '{p.name}' lies in '{p.parents[0]}' too"
        for p in dag.plates
        if p.name != inner and {inner, outer} & set(p.parents)
    ]
    return found


def _laws(dag: Dag, members: list[Node], names: set[str], inner: str) -> list[str]:
    found: list[str] = []
    for node in members:
        own = {n for n in names if inner in node.plates or inner not in dag.nodes[n].plates}
        found += node_faults(dag, node, own, "its plate")
    return found


def _ties(dag: Dag, names: set[str], inner: str) -> list[str]:
    """Covariances that vary or join the levels, and random nodes that clusters share."""
    found: list[str] = []
    for s in dag.statements:
        if isinstance(s, Covariance):
            if depends(s.expression, names):
                found.append(f"the covariance of '{s.left.name}' depends on nodes of its plate")
            if len({inner in dag.nodes[h.name].plates for h in (s.left, s.right)}) > 1:
                found.append(f"'{s.left.name} ~~ {s.right.name}' ties nodes of different plates")
    for node in dag.nodes.values():
        if node.kind == "stochastic" and node.role == "latent" and node.plates and node.name not in names:
            found.append(f"'{node.name}' is random and shared by clusters")
    return found
