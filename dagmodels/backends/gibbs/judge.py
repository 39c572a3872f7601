"""Facts -> Verdict: what of the graph is integrated, what is drawn, and by which route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagmodels.analysis.collapsible import Collapsible, collapsible
from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.analysis.forward import drawn_forward, missing_at_ends
from dagmodels.analysis.improper import improper
from dagmodels.backends.gibbs.better_by_elements import beside_units, better_by_elements
from dagmodels.backends.gibbs.few_states import by_state
from dagmodels.backends.gibbs.options import unknown_options
from dagmodels.backends.gibbs.plate_units import choices
from dagmodels.backends.gibbs.states import state_roles, told
from dagmodels.backends.gibbs.units import of_units
from dagmodels.errors import FitError
from dagmodels.forms.quadrature_collapsed import verdict
from dagmodels.forms.units import NoUnits, Units, units
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.analysis.unit import Unit


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    against = tuple(refusals(facts))
    if against:
        return Verdict("gibbs", accepts=False, because=against)
    asked = facts.options.get("route")
    if asked == "conditionals":
        return by_elements(facts, ())
    allowed = asked != "flat" and facts.options.get("collapse", True)
    unit = of_units(facts.graph)
    if unit is not None and allowed:
        return _by_units(facts, unit)
    found = collapsible(facts.graph, facts.problem)
    if found.accepts and allowed:
        return _collapsed(found)
    against = tuple(_without_gradient(facts))
    if against:
        refused = Verdict("gibbs", accepts=False, because=against)
        return refused if asked in ("flat", "collapsed") else by_elements(facts, against)
    made = None
    few = None if facts.problem is None or not allowed else by_state(facts.problem)
    if few is not None:
        return _by_state(facts, *few)
    if facts.problem is not None and allowed:  # units are found on the data's tape
        made = units(facts.problem)
        if isinstance(made, Units):
            if why := beside_units(made):
                return by_elements(facts, (why, *(f"not collapsed: {w}" for w in found.because)))
            return _by_quadrature(verdict(made, None))
    if asked == "collapsed":
        return Verdict("gibbs", accepts=False, because=tuple(f"not collapsed: {w}" for w in found.because))
    if facts.problem is not None and allowed and (why := better_by_elements(facts.problem)):
        return by_elements(facts, (why, *(f"not collapsed: {w}" for w in found.because)))
    return _whole(facts, found, made)


def refusals(facts: Facts) -> Iterator[str]:
    """Why there is nothing to draw, or no way of drawing it."""
    yield from unknown_options(facts.options)
    if facts.unknown_laws:
        told = "of unknown distribution, so no prior to draw from (em estimates it)"
        yield f"{_listed(facts.unknown_laws)}: {told}"
    if not (facts.unknowns or facts.parameters or _gaps(facts)):
        yield "nothing is unknown: there is nothing to draw"
    found = improper(facts.graph, facts.problem, parameters=True) if facts.parameters else facts.improper
    for finding in found:
        yield f"{finding.message} ({finding.hint})"


def _gaps(facts: Facts) -> bool:
    """Whether cells of observed nodes are missing: they are unknown too."""
    p = facts.problem
    return p is not None and any(
        n.role == "observed" and n.name in p.observed and not p.observed[n.name].all()
        for n in p.graph.nodes.values()
    )


def _without_gradient(facts: Facts) -> Iterator[str]:
    """Why all unknowns together have no gradient."""
    for name, why in discrete_latents(facts.graph, facts.problem).refused.items():
        yield f"'{name}' is discrete and unknown, and cannot be summed out: {why}"
    named = ", ".join(f"'{n}'" for n in facts.unknown_tables)
    if named:
        yield f"{named}: tables of unknown numbers"


def by_elements(facts: Facts, because: tuple[str, ...]) -> Verdict:
    """Drawn element by element: for every unknown the update that it gets, where there are data."""
    method = "draws element by element from full conditionals"
    if facts.problem is None:
        later = (*because, "which update each unknown gets is known once there are data")
        return Verdict("gibbs", accepts=True, because=later, method=method)
    from dagmodels.forms.conditionals.schedule import schedule

    try:
        found = schedule(facts.problem)
    except FitError as error:
        return Verdict("gibbs", accepts=False, because=(*because, *str(error).splitlines()))
    roles = tuple(Role(name, "sampled", why) for name, why in found.told().items())
    return Verdict("gibbs", accepts=True, because=because, method=method, roles=roles)


def _collapsed(found: Collapsible) -> Verdict:
    inside = (*found.integrated, *found.closed)
    how = "grid or independence proposals, trajectories (NUTS) where these are not safe"
    return Verdict(
        "gibbs",
        accepts=True,
        because=found.because,
        method="draws from the collapsed posterior" if found.outer else "independent draws in closed form",
        roles=(
            *(Role(n, "integrated", "drawn exactly afterwards") for n in inside),
            *(Role(n, "sampled", how) for n in found.outer),
        ),
        rewrites=(Rewrite("collapse", f"{_listed(inside)} given the rest in closed form"),) if inside else (),
    )


def _by_units(facts: Facts, found: Unit) -> Verdict:
    inside = [n for n in found.nodes if not facts.graph.nodes[n].observed]
    outer = [n for n in dict.fromkeys((*facts.unknowns, *facts.parameters)) if n not in inside]
    flat = list(facts.parameters)
    law = f"every '{found.plate}' is a draw of one linear Gaussian law, whose latents are integrated"
    assumed = (f"{_listed(flat)}: flat, as there is no prior",) if flat else ()
    how = "independence proposals, trajectories (NUTS) where these are not safe"
    return Verdict(
        "gibbs",
        accepts=True,
        because=(law, *assumed),
        method="draws of what units share, then each unit's latents",
        roles=(
            *(Role(n, "integrated", "drawn exactly afterwards") for n in inside),
            *(Role(n, "sampled", how) for n in outer),
        ),
        rewrites=(Rewrite("collapse", f"{_listed(inside)} given the rest in closed form"),) if inside else (),
        by_name=bool(flat),
    )


def _by_quadrature(found: Collapsible) -> Verdict:
    how = "independence proposals, trajectories (NUTS) where these are not safe"
    return Verdict(
        "gibbs",
        accepts=True,
        because=found.because,
        method="draws from the posterior collapsed by quadrature",
        roles=(
            *(Role(n, "integrated", "by adaptive quadrature, drawn afterwards") for n in found.integrated),
            *(Role(n, "sampled", how) for n in found.outer),
        ),
        rewrites=(Rewrite("collapse", f"{_listed(found.integrated)} given the rest, unit by unit"),),
    )


def _by_state(facts: Facts, inside: Collapsible, count: int) -> Verdict:
    states = discrete_latents(facts.graph, facts.problem)
    named, rest = _listed([*states.nodes]), (*inside.integrated, *inside.closed)
    told = f"{named}: {count} joint states, in each of which all else has a collapsed posterior"
    exchanged = (f"{s}; {s.remedy(facts.graph)}" for s in facts.label_symmetries)
    how = "from a grid in each state"
    return Verdict(
        "gibbs",
        accepts=True,
        because=(told, *inside.because, *exchanged),
        method="states of discrete unknowns by their evidence, then the collapsed posterior in each",
        roles=(
            *(Role(n, "enumerated", "drawn by the evidence of its states") for n in states.nodes),
            *(Role(n, "integrated", "drawn exactly afterwards") for n in rest),
            *(Role(n, "sampled", how) for n in inside.outer),
        ),
        rewrites=(Rewrite("collapse", f"{_listed(rest)} given the rest in closed form"),) if rest else (),
        by_name=not (rest or inside.outer),
    )


def _whole(facts: Facts, found: Collapsible, made: NoUnits | None) -> Verdict:
    states = discrete_latents(facts.graph, facts.problem)
    forward = drawn_forward(facts.graph)
    summed = [n for n in states.nodes if n not in forward]
    ends = missing_at_ends(facts.problem) if facts.problem is not None else ()
    apart = {*states.nodes, *forward, *ends}
    unknown = [n for n in dict.fromkeys((*facts.unknowns, *facts.parameters)) if n not in apart]
    flat = list(facts.parameters)
    assumed = (f"{_listed(flat)}: flat, as there is no prior",) if flat else ()
    how = "trajectories (NUTS) of all unknowns together, by the exact gradient"
    if summed:
        exchanged = (f"{s}; {s.remedy(facts.graph)}" for s in facts.label_symmetries)
        because = (*told(states, facts.problem, forward), *exchanged)
        how = "discrete unknowns summed out; trajectories (NUTS) of the rest, by the exact gradient"
        how = how if unknown else "independent draws of discrete unknowns, by exact sums"
    else:
        because = (
            *(f"not collapsed: {why}" for why in found.because),
            *(f"not by quadrature: {why}" for why in (made.because if made else ())),
        )
    units = choices(facts.graph, states.nodes.keys() | states.refused.keys())
    return Verdict(
        "gibbs",
        accepts=True,
        because=(*because, *assumed),
        method=how,
        roles=(
            *state_roles(states, facts.problem, forward),
            *(Role(n, "sampled", units.get(n, "differentiable")) for n in unknown),
            *(Role(n, "drawn from its parents", "nothing observed depends on it") for n in forward),
            *(Role(n, "drawn from its parents", "nothing depends on its missing values") for n in ends),
        ),
        rewrites=(Rewrite("sum", f"{_listed(summed)} over all states"),) if summed else (),
        by_name=bool(flat) or not unknown,  # known networks have exact answers
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)
