"""Where draws element by element serve better than trajectories of all unknowns.

Scales of effects whose priors have unknowns, where they are not integrated over: trajectories do not come to
where such a scale and its effects are small, and longer ones can look as if they had. And effects that follow
one another or are crossed, with an unknown scale: jointly normal, perhaps given auxiliary variables, they are
integrated out while their scale moves, and drawn at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.analysis.hyperpriors import narrowing
from dagmodels.analysis.unknown_scales import unknown_scales
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.units import Units

if TYPE_CHECKING:
    from dagmodels.forms.conditionals.schedule import Schedule

FEW = 4  # elements that slices may draw alone


def better_by_elements(problem: Problem) -> str:
    """Why draws element by element serve better than trajectories; "" where they do not.

    They do where all that such scales scale has a normal full conditional, and every unknown has a prior.
    """
    graph = problem.graph
    if any(node.kind == "parameter" for node in graph.nodes.values()):
        return ""
    found = narrowing(graph)
    scaled = any(
        unknown_scales(graph, s)
        for node in graph.nodes.values()
        if not node.observed
        for s in node.statements
    )
    if not found and not scaled:
        return ""
    from dagmodels.forms.conditionals import blocks, normal
    from dagmodels.forms.conditionals.schedule import schedule
    from dagmodels.forms.lower import NotLowered

    try:
        made = schedule(problem)
    except (FitError, NotLowered):
        return ""
    if not found:
        return _with_blocks(made)
    rules = made.rules()
    effects = [n for own in found.values() for n in own]
    if not all({normal.name, blocks.name} & set(rules.get(n, ())) for n in effects):
        return ""
    scales = ", ".join(f"'{n}'" for n in found)
    return f"{scales}: priors have unknowns, and trajectories would miss small values"


def beside_units(found: Units) -> str:
    """Why, where units could be integrated; "" where that serves better.

    It does not where effects beside them make a neck, nor where units have two dimensions and more, whose
    nodes of quadrature are many at every point of the rest.
    """
    from dagmodels.forms.necks import neck

    why = better_by_elements(found.problem)
    if not why:
        return ""
    wide = found.elements.shape[1]
    if wide > 1:
        told = f"units of dimension {wide} would be integrated anew for every draw of the rest"
        return f"{why}; not by quadrature: {told}"
    narrows = neck(found.flat, found.outer_nodes)
    return narrows and f"{why}; not by quadrature: {narrows}"


def _with_blocks(made: Schedule) -> str:
    """Why, where numbers move with jointly normal blocks integrated out, and all else has a closed law."""
    from dagmodels.forms.conditionals import (
        blocks,
        cut_kernels,
        kernels,
        marginal_blocks,
        matrices,
        normal,
        slices,
    )

    moved = {u.node: s.update.every for s in made.steps for u in s.before if u.draw == "marginal slice"}
    alone = [s.update for s in made.steps if s.rule == slices.name and s.update.node not in moved]
    if not moved or sum(u.count for u in alone) > FEW:
        return ""
    own = (normal, blocks, kernels, cut_kernels, matrices, slices, marginal_blocks)
    closed = {rule.name for rule in own}
    if not all(closed & set(rules) for rules in made.rules().values()):
        return ""
    numbers = ", ".join(f"'{n}'" for n in moved)
    told = ", ".join(f"'{n}'" for n in dict.fromkeys(n for every in moved.values() for n in every))
    return f"{numbers}: drawn with {told} integrated out, which trajectories of all unknowns are not"


__all__ = ["beside_units", "better_by_elements"]
