"""Is the graph a model of exchangeable units: one plate whose elements are draws of one linear law?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagmodels.analysis.laws import GAUSSIAN
from dagmodels.analysis.linearity import Term, depends, linear_form
from dagmodels.analysis.thresholds import Cut, cuts
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, distribution_expressions, remembered
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Joint, Stochastic

if TYPE_CHECKING:
    from dagmodels.analysis.known_errors import KnownError


@dataclass(frozen=True, slots=True)
class Unit:
    """One exchangeable unit of a linear Gaussian graph.

    plate : its elements are the units. groups : plates that they lie in and that their law varies with.
    nodes : stochastic nodes with values in every unit, in the order of the graph.
    derived : deterministic nodes that depend on these linearly.
    covariates : data of every unit that enter means linearly.
    needed : what the field form has no answer for, so that only moments will do; empty where either would.
    cuts : ordered variables, whose latent responses are among the nodes in their place.
    inner : where units are clusters, the plate of what lies in them; nodes of both are part of the law then.
    errors : known errors that each unit adds to the law.
    """

    plate: str
    groups: tuple[str, ...]
    nodes: tuple[str, ...]
    derived: tuple[str, ...]
    covariates: tuple[str, ...]
    needed: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()
    inner: str = ""
    errors: tuple[KnownError, ...] = ()

    def seen(self, dag: Dag) -> dict[str, str]:
        """Nodes of the unit that data are given for, latent responses by their ordered variables, and the
        nodes that hold these data."""
        behind = {c.response: c.name for c in self.cuts}
        return {n: behind.get(n, n) for n in self.nodes if n in behind or dag.nodes[n].observed}


@dataclass(frozen=True, slots=True)
class NoUnit:
    """Why the graph is no such model, in sentences that name nodes."""

    because: tuple[str, ...]


@remembered
def unit(dag: Dag) -> Unit | NoUnit:
    """The graph's exchangeable unit, or why there is none."""
    return _unit(dag, given=False)


@remembered
def unit_given(dag: Dag) -> Unit | NoUnit:
    """The same where random nodes that units share count as given: for draws of these first."""
    return _unit(dag, given=True)


def _unit(dag: Dag, *, given: bool) -> Unit | NoUnit:
    inside = [n for n in dag.nodes.values() if n.kind == "stochastic" and (n.observed or n.plates)]
    if not any(n.observed for n in inside):
        return NoUnit(("no node is observed",))
    seen = [n for n in inside if n.observed]
    shared = [p for p in seen[0].plates if all(p in n.plates for n in seen)]
    shared = [p for p in shared if dag.plate[p].alias_of is None and dag.plate[p].levels is None]
    if not shared:
        return NoUnit(("the observed nodes share no plate whose elements could be the units",))
    tried = [_as_unit(dag, plate, given) for plate in shared]
    return next((u for u in tried if isinstance(u, Unit)), tried[0])


def _as_unit(dag: Dag, plate: str, given: bool) -> Unit | NoUnit:
    """The answer with that plate's elements as units; given : as of `unit_given`."""
    members = [n for n in dag.nodes.values() if plate in n.plates]
    names = {n.name for n in members}
    cut = tuple(c for c in cuts(dag) if c.name in names and c.response in names)
    ordered = {c.name for c in cut}
    nodes = tuple(n.name for n in members if n.kind == "stochastic" and n.name not in ordered)
    covariates = tuple(n.name for n in members if n.kind == "covariate")
    derived = tuple(n for n in dag.order if n in names and n in reached(dag, {*nodes, *covariates}))
    faults = _faults(dag, plate, [m for m in members if m.name not in ordered], names - ordered)
    if not given:
        faults += _shared(dag, plate, members)
    faults += _response_faults(dag, cut, ordered)
    if faults:
        return NoUnit(tuple(dict.fromkeys(faults)))
    referred = used(dag, (*nodes, *ordered))
    outer = dag.lies_in(plate)[1:]
    groups = tuple(p for p in outer if any(p in dag.nodes[u].plates for u in referred))
    needed = _needed(dag, nodes, names)
    if cut:
        needed = (f"'{cut[0].name}' is '{cut[0].response}' cut at thresholds", *needed)
    return Unit(plate, groups, nodes, derived, tuple(c for c in covariates if c in referred), needed, cut)


def _response_faults(dag: Dag, cut: tuple[Cut, ...], ordered: set[str]) -> list[str]:
    """What latent responses and ordered variables must not be."""
    found = [
        f"'{c.response}' is observed itself, beside '{c.name}'" for c in cut if dag.nodes[c.response].observed
    ]
    seen: set[str] = set()
    for c in cut:
        if c.response in seen:
            found.append(f"'{c.response}' is cut twice")
        seen.add(c.response)
        if dag.nodes[c.response].kind != "stochastic":
            found.append(f"'{c.response}' has no law of its own")
    found.extend(f"'{n}' depends on the category of '{c}'" for c in ordered for n in dag.children[c])
    return found


def _faults(dag: Dag, plate: str, members: list[Node], inside: set[str]) -> list[str]:
    found: list[str] = []
    if dag.plate[plate].ordered:
        found.append(f"the elements of plate '{plate}' follow one another")
    if any(plate in p.parents for p in dag.plates):
        found.append(f"other plates lie in '{plate}'")
    for node in members:
        found += node_faults(dag, node, inside, f"plate '{plate}'")
    for statement in dag.statements:
        if isinstance(statement, Covariance) and depends(statement.expression, inside):
            found.append(f"the covariance of '{statement.left.name}' depends on nodes of plate '{plate}'")
    return found


def _shared(dag: Dag, plate: str, members: list[Node]) -> list[str]:
    """Random nodes that units share."""
    latents = [n for n in dag.nodes.values() if n.role == "latent" and n.plates and plate not in n.plates]
    names = {m.name for m in members}
    return [
        f"'{n.name}' is random and shared by units of plate '{plate}'"
        for n in latents
        if n.kind == "stochastic" and _below(dag, n.name) & names
    ]


def node_faults(dag: Dag, node: Node, inside: set[str], plate: str) -> list[str]:
    """Why a node's statements are not Gaussian and linear in the nodes `inside`; plate : as it is told."""
    found: list[str] = []
    for statement in node.statements:
        match statement:
            case Stochastic(distribution=d, head=head):
                if any(s.first for s in head.slots):
                    found.append(f"'{node.name}' has first elements of its own")
                found.extend(law_faults(dag, node.name, d, inside))
            case Joint(distribution=d):
                found.extend(law_faults(dag, node.name, d, inside))
            case Deterministic(expression=tree):
                if linear_form(tree, inside) is None:
                    found.append(f"'{node.name}' is not linear in nodes of {plate}")
            case _:
                continue
    return found


def law_faults(dag: Dag, name: str, d: Distribution, inside: set[str]) -> list[str]:
    """Why a law is not Gaussian and linear in the nodes `inside`, alike for all units."""
    if d.family not in GAUSSIAN:
        return [f"'{name}' is {d.family}, not Normal"]
    found: list[str] = []
    for key, value in d.arguments:
        trees = tuple(distribution_expressions(Distribution(d.family, ((key, value),))))
        if key == "mu":
            items = [i for t in trees for i in (t.items if isinstance(t, ex.Vector) else (t,))]
            if any(linear_form(t, inside) is None for t in items):
                found.append(f"the mean of '{name}' is not linear in the nodes of its plate")
            found.extend(
                f"'{name}' has a coefficient that differs between units"
                for t in items
                for term in _terms(t, inside)
                if depends(term.coefficient, inside)
            )
        elif any(depends(t, inside) for t in trees):
            found.append(f"the {key} of '{name}' differs between units")
    return found


def _terms(tree: ex.Expression, inside: set[str]) -> tuple[Term, ...]:
    form = linear_form(tree, inside)
    return () if form is None else form.terms


def reached(dag: Dag, names: set[str]) -> set[str]:
    """Deterministic nodes that depend on any of the names."""
    found: set[str] = set()
    for name in dag.order:
        if dag.nodes[name].kind == "deterministic" and {*dag.parents[name]} & (names | found):
            found.add(name)
    return found


def _below(dag: Dag, name: str) -> set[str]:
    """Everything that depends on a node."""
    found: set[str] = set()
    queue = list(dag.children[name])
    while queue:
        child = queue.pop()
        if child not in found:
            found.add(child)
            queue.extend(dag.children[child])
    return found


def used(dag: Dag, nodes: tuple[str, ...]) -> set[str]:
    """What the laws of the units refer to, through deterministic nodes too."""
    found: set[str] = set()
    queue = [r.name for s in dag.statements if isinstance(s, Covariance) for r in ex.references(s.expression)]
    queue += [p for n in nodes for p in dag.parents[n]]
    while queue:
        name = queue.pop()
        if name not in found and name in dag.nodes:
            found.add(name)
            if dag.nodes[name].kind == "deterministic":
                queue.extend(dag.parents[name])
    return found


def _needed(dag: Dag, nodes: tuple[str, ...], inside: set[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    latent = {n for n in inside if n in dag.nodes and not dag.nodes[n].observed and n in nodes}
    for statement in dag.statements:
        match statement:
            case Covariance(left=left, right=right):
                if (left.name in latent) != (right.name in latent):
                    found[f"'{left.name} ~~ {right.name}' ties an observed and a latent node"] = None
            case Joint(distribution=d, names=names) if d.family == "Simultaneous":
                found[f"{', '.join(map(repr, names))} depend on one another"] = None
            case Stochastic(distribution=d, head=head) if d.family == "Simultaneous":
                found[f"the components of '{head.name}' depend on one another"] = None
            case _:
                continue
    return tuple(found)
