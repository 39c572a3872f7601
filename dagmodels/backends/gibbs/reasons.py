"""Why a density has no place to start, in the words of the graph: nodes, and the values of their parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagmodels.analysis.improper import flat_unknowns
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.flat import Flat

TRIES = 20  # points before a density is called impossible everywhere
WIDTH = 2.0


def impossible(problem: Problem) -> str:
    """Which factors are not finite wherever one looks, with their parents' values; "" where some point is.

    Of a problem whose unknowns are all differentiable.
    """
    flat, rng = build_flat(problem), np.random.default_rng(0)
    space = flat.workspace()
    points = [np.zeros(flat.size), *rng.uniform(-WIDTH, WIDTH, (TRIES, flat.size))]
    if any(np.isfinite(flat.log_density(y, at=space)) for y in points):
        return ""
    return "; ".join(flat.why(points[0], at=space))


def flat_priors(problem: Problem) -> str:
    """What to say of flat priors where a density has no integral; "" where there are none."""
    flat = flat_unknowns(problem.graph)
    if not flat:
        return ""
    names = ", ".join(f"'{n}'" for n in flat)
    have = "has a flat prior" if len(flat) == 1 else "have flat priors"
    return (
        f"; {names} {have}, which the data do not make up for (with separated outcomes, for instance): "
        f"give proper ones, such as {flat[0]} ~ Normal(0, 10)"
    )


def check_inits(problem: Problem, inits: Sequence[Mapping[str, Any]]) -> None:
    """Initial values lie inside the domains of their nodes, also where a route does not need them.

    Raises `FitError` naming the chain, the element and its value.
    """
    flat = build_flat(problem)
    for chain, own in enumerate(inits):
        started(flat, flat.constrain(np.zeros(flat.size)), own, chain)


def started(flat: Flat, values: Mapping[str, Any], inits: Mapping[str, Any], chain: int) -> Any:
    """The point with these values, a user's in their place where given."""
    found = dict(values)
    for name in values:
        if name in inits:
            given = np.asarray(inits[name], dtype=np.float64)
            try:
                given = np.broadcast_to(given, values[name].shape)
            except ValueError:
                told = f"inits of chain {chain + 1}: '{name}' has shape {given.shape}"
                raise FitError(f"{told}, its plates need {values[name].shape}") from None
            found[name] = np.where(np.isnan(given), values[name], given)
    try:
        return flat.unconstrain(found)
    except FitError as error:
        raise FitError(f"inits of chain {chain + 1}: {error}") from error


__all__ = ["check_inits", "impossible", "started"]
