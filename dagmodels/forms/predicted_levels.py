"""Missing levels that nothing depends on: Categorical and ordered responses, whose laws take a vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.distributions import WRAPPERS, Family, family
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.batches import Batches
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.sites import sites
from dagmodels.forms.tree_jets import TreeJets
from dagmodels.graph import expression as ex

Ints = NDArray[np.int64]
Levels = tuple[Family, Ints, tuple[int | float, ...], tuple[int, ...]]


def takes_vectors(problem: Problem, name: str) -> bool:
    """Whether a node is a number or a level whose laws take vectors."""
    laws = [getattr(s, "distribution", None) for s in problem.graph.nodes[name].statements]
    known = [family(d.family) for d in laws if d is not None and d.family not in (*WRAPPERS, "Table")]
    return len(known) == len(laws) and all(
        law.event == 0
        and max((p.shape for p in law.parameters), default=0) == 1
        and all(p.domain != "plate" for p in law.parameters)
        for law in known
    )


def levels(lowering: Lowering, name: str, result: Callable[[int], int]) -> Iterator[Levels]:
    """For each statement its family, the places of missing cells, what its parameters are, and how many
    entries each has (0: a number)."""
    problem = lowering.problem
    trees = TreeJets(lowering, BatchJets(Batches(lowering.recorder)))
    for whole in sites(problem, name):
        seen = problem.observed.get(name)
        at = np.arange(whole.rows.n)
        if seen is not None:
            at = np.flatnonzero(~seen.reshape(-1)[whole.places[:, 0]])
        if not at.size:
            continue
        site, law = whole.at(at), family(whole.law.family)
        given = dict(whole.law.arguments)
        if not set(given) <= {p.name for p in law.parameters}:
            raise NotLowered(f"missing values of '{name}' are {law.name} in other parameters")
        arguments: list[int | float] = []
        widths: list[int] = []
        for parameter in law.parameters:
            tree = given.get(parameter.name)
            if tree is None and parameter.default is not None:
                arguments.append(float(parameter.default))
                widths.append(0)
                continue
            assert isinstance(tree, ex.Expression)
            if parameter.shape:
                found = trees.vector(tree, site)
                widths.append(found.value.event[-1])  # type: ignore[attr-defined]
            else:
                found = trees.number(tree, site.rows)
                widths.append(0)
            arguments.append(result(found.value.register))
        yield law, site.places[:, 0], tuple(arguments), tuple(widths)


__all__ = ["levels", "takes_vectors"]
