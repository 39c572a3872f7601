"""Residual covariances: elements tied by `~~` share one vector of shocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Head, Slot, Stochastic

from .affine import NotLinearGaussian, constant
from .functions import numeric
from .unknowns import Element, Env

if TYPE_CHECKING:
    from .interpret import Interpreter


class ResidualGroup:
    """Normal elements tied by `~~`, directly or through others."""

    def __init__(
        self, members: list[Element], ties: list[tuple[Element, Element, ex.Expression, Env]]
    ) -> None:
        self.members, self.ties, self.number = members, ties, -1

    def draw(self, of: Interpreter, element: Element) -> tuple[int, int]:
        """The number of the group's shocks, and the element's place in them."""
        if self.number < 0:
            k = len(self.members)
            cov = np.zeros((k, k), dtype=object)
            for i, (name, codes) in enumerate(self.members):
                statement = of.statement(name, codes)
                if not isinstance(statement, Stochastic) or statement.distribution.family != "Normal":
                    raise NotLinearGaussian(f"~~ concerns {name}{list(codes)}, which is not Normal")
                cov[i, i] = of.scale(statement.distribution, of.env(name, codes, statement), name) ** 2
            for a, b, tree, env in self.ties:
                i, j = self.members.index(a), self.members.index(b)
                cov[i, j] = cov[j, i] = constant(of.evaluate(tree, env), f"{a[0]} ~~ {b[0]}")
            self.number = of.shocks(numeric(cov))
        return self.number, self.members.index(element)


def residual_groups(of: Interpreter) -> dict[Element, ResidualGroup]:
    """For each element that a `~~` concerns the group of all elements tied to it."""
    ties = []
    for statement in of.graph.covariances:
        left, right = (_slots(of, h) for h in (statement.left, statement.right))
        plates = tuple(dict.fromkeys(str(s.plate) for s in (*left, *right) if s.label is None))
        for at in np.ndindex(*(of.problem.plates[p].size for p in plates)):
            codes = dict(zip(plates, (int(c) for c in at), strict=True))
            ends = [
                (
                    head.name,
                    tuple(
                        codes[str(s.plate)] if s.label is None else of.code_of(str(s.plate), s.label)
                        for s in slots
                    ),
                )
                for head, slots in ((statement.left, left), (statement.right, right))
            ]
            env = Env(of.bind(plates, tuple(codes.values())))
            ties.append((ends[0], ends[1], statement.expression, env))
    component: dict[Element, set[Element]] = {}
    for a, b, _, _ in ties:
        merged = component.get(a, {a}) | component.get(b, {b})
        for e in merged:
            component[e] = merged
    groups: dict[int, ResidualGroup] = {}
    for members in component.values():
        if id(members) not in groups:
            own = [t for t in ties if t[0] in members]
            groups[id(members)] = ResidualGroup(sorted(members), own)
    return {e: groups[id(members)] for e, members in component.items()}


def _slots(of: Interpreter, head: Head) -> tuple[Slot, ...]:
    return head.slots or tuple(Slot(p) for p in of.graph.nodes[head.name].plates)
