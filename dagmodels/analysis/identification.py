"""Parameters that no data could tell apart, found from the structure of the graph (and its data).

First rules, one a file, each necessary for identification: together they are not sufficient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.free_location import free_location
from dagmodels.analysis.free_scale import free_scale
from dagmodels.analysis.one_observation import one_observation
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.uses import gaussian_latents, uses_of
from dagmodels.bind.problem import Problem


def identification(reach: Reach) -> tuple[Finding, ...]:
    """What the graph alone leaves unidentified: parameters by name, with what would fix them."""
    dag = reach.dag
    found: list[Finding] = []
    for name, law in gaussian_latents(dag):
        uses = uses_of(reach, name)
        if uses:
            found.extend(free_scale(dag, name, law, uses))
            found.extend(free_location(dag, name, law, uses))
            found.extend(one_observation(dag, None, name, law, uses))
    return tuple(found)


def identification_by_data(
    problem: Problem, reach: Reach, known: Iterable[Finding], told_apart: bool = False
) -> tuple[Finding, ...]:
    """What these data leave unidentified besides what is known of the graph.

    Elements with a single observation, and (unless `told_apart`) coefficients that the design cannot tell
    apart.
    """
    dag = reach.dag
    before = tuple(known)
    found: list[Finding] = []
    for name, law in gaussian_latents(dag):
        uses = uses_of(reach, name)
        if uses:
            found.extend(f for f in one_observation(dag, problem, name, law, uses) if f not in before)
    if told_apart:
        return tuple(found)
    shifted = {n for f in before if f.kind == "location" for n in f.nodes}
    return (*found, *_collinear(problem, reach, shifted))


def _collinear(problem: Problem, reach: Reach, known: set[str]) -> Iterator[Finding]:
    """Coefficients whose columns the data make dependent; those of a rule above are not repeated."""
    from dagmodels.analysis.rank import collinear

    for group in collinear(problem, reach):
        if set(group.nodes) <= known:
            continue
        listed = ", ".join(f"'{e}'" for e in group.elements)
        if len(group.elements) == 1:
            message = f"{listed} is not identified: it moves no mean of the data"
        else:
            message = f"{listed} are collinear: a combination of them moves no mean of the data"
        yield Finding("collinear", group.nodes, message, "drop one, or give one a proper prior")
