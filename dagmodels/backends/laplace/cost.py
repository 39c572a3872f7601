"""How long a fit will take, roughly: sizes of the block and of what is maximised, in seconds of one core.

The figures are those of one measured machine (NEWS.md has its benchmarks); the order of magnitude is
what a plan needs, to rank backends and to warn before a long wait.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dagmodels.bind.problem import Problem

if TYPE_CHECKING:
    from dagmodels.analysis.roles import Roles

START = 4e-3  # lowering, reporting
ROW = 3e-7  # one row summed into cross-products, once
CALL = 3e-4  # one evaluation of the criterion with its gradient, whatever its size
ELEMENT = 2e-7  # one element of the block eliminated, in one evaluation
DENSE = 6e-11  # the cube of the order of the dense remainder, in one evaluation
CURVED_ROW = 1e-6  # one row of a leaf that is not Normal, in one evaluation with its inner Newton steps


def cost(problem: Problem | None, found: Roles) -> float | None:
    """Seconds that the fit may take; None without data, whose sizes decide.

    Evaluations grow with the number of outer unknowns; what couples the elements of crossed plates is
    eliminated as one dense matrix (all but the largest of the plates).
    """
    if problem is None:
        return None
    sizes = {name: math.prod(problem.shape(name)) for name in problem.graph.nodes}
    observed = {n: sizes[n] for n, node in problem.graph.nodes.items() if node.role == "observed"}
    outer = sum(_coordinates(problem, name) for name in found.outer)
    evaluations = 6 + 3 * outer
    once = CALL + ELEMENT * sum(sizes[n] for n in found.block) + DENSE * _coupled(problem, found, sizes) ** 3
    once += CURVED_ROW * sum(size for n, size in observed.items() if n in found.curved)
    return START + ROW * sum(observed.values()) + evaluations * once


def _coordinates(problem: Problem, name: str) -> int:
    """Numbers to be found for an outer node; of a symmetric matrix one triangle."""
    shape = problem.shape(name)
    plates = problem.graph.nodes[name].plates
    if len(shape) > 1 and problem.graph.base(plates[-1]) == problem.graph.base(plates[-2]):
        return math.prod(shape[:-2]) * shape[-1] * (shape[-1] + 1) // 2
    return math.prod(shape)


def _coupled(problem: Problem, found: Roles, sizes: dict[str, int]) -> int:
    """Elements of the block that lie neither in the plates of its largest node nor around them."""
    dag = problem.graph
    around = {n: {p for plate in dag.nodes[n].plates for p in dag.lies_in(plate)} for n in found.block}
    largest = max(found.block, key=sizes.__getitem__, default="")
    if not largest:
        return 0
    main = around[largest]
    return sum(sizes[n] for n in found.block if not (around[n] <= main or main <= around[n]))
