"""Discrete unknowns in a plan: how each is summed out and drawn, and what that costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod

from dagmodels.analysis.discrete_latents import DiscreteGroup, DiscreteLatents
from dagmodels.bind.problem import Problem
from dagmodels.plugin import Role

HOW = {
    "separate": "each element by itself",
    "chain": "along '{plate}' by a forward recursion",
    "joint": "unknown by unknown, those that laws tie together in one table",
}
DRAWN = {
    "separate": "drawn exactly afterwards, given all else",
    "chain": "drawn exactly afterwards, backwards along '{plate}'",
    "joint": "drawn exactly afterwards, in reverse order",
}


def told(found: DiscreteLatents, problem: Problem | None, forward: Collection[str]) -> Iterator[str]:
    """A sentence for each group: how it is summed out, what reads it, what one evaluation costs.

    forward : nodes that are drawn from their parents instead.
    """
    for group in found.groups:
        if set(group.nodes) <= set(forward):
            continue
        names = ", ".join(f"'{n}'" for n in group.nodes)
        how = HOW[group.kind].format(plate=group.plate)
        read = f", read by {', '.join(map(repr, group.leaves))}" if group.leaves else ""
        yield f"{names} summed out {how}{read}{_cost(found, group, problem)}"


def _cost(found: DiscreteLatents, group: DiscreteGroup, problem: Problem | None) -> str:
    """Log densities by state that one evaluation takes."""
    if problem is None:
        return ""
    sizes = [(prod(problem.shape(n)), found.nodes[n].states or 1) for n in group.nodes]
    rows = sum(prod(problem.shape(leaf)) for leaf in group.leaves)
    states = max(s for _, s in sizes)
    cells = sum(n * s for n, s in sizes) + rows * states
    return f": about {cells:,} log densities an evaluation"


def state_roles(found: DiscreteLatents, problem: Problem | None, forward: Collection[str]) -> Iterator[Role]:
    """How each discrete unknown that is summed out is treated."""
    for group in found.groups:
        for name in group.nodes:
            if name in forward:
                continue
            node = found.nodes[name]
            many = f"{node.states} states" if node.states is not None else "as many states as the data say"
            of = ""
            if problem is not None:
                size = prod(problem.shape(name))
                seen = int(problem.observed[name].sum()) if name in problem.observed else 0
                of = f" for each of {size - seen} elements" if problem.shape(name) else ""
            drawn = DRAWN[group.kind].format(plate=group.plate)
            yield Role(name, "summed out", f"{many}{of}; {drawn}")
