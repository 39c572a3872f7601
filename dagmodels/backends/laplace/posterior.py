"""Posterior means, deviations and quantiles: the outer unknowns integrated, the latents mixed over them.

The idea is that of integrated nested Laplace approximations (Rue, Martino and Chopin 2009, J. R. Statist.
Soc. B 71, 319-392); where every leaf is Normal and linear the only error is that of the quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.priors import example_prior
from dagmodels.analysis.roles import Roles
from dagmodels.backends.laplace.posterior_design import MOST_DIMENSIONS as MOST_IN_DESIGN
from dagmodels.backends.laplace.posterior_design import central_composite
from dagmodels.errors import FitError
from dagmodels.fits.field.solve import Solution
from dagmodels.forms.outer_mode import NoMode, find_modes, is_mode
from dagmodels.forms.outer_scale import LogPosterior
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Joint, Parameter, Stochastic
from dagmodels.numerics.optimise import Optimum, minimise
from dagmodels.numerics.quadrature_lattice import (
    MOST_DIMENSIONS,
    Frame,
    QuadratureLattice,
    explored,
    frame_of,
)

Floats = NDArray[np.float64]
DRAWS, DRAWS_OF_CURVED = 400, 1000  # that check the outer unknowns alone, and latents too


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: "grid", "ccd" or "auto", how many draws check it (None: as many as are needed),
    and their seed."""

    kind: str
    draws: int | None
    seed: int


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """The outer unknowns' posterior as weighted points.

    mode : of the density in y, with its certificate. lattice : None for a design.
    y, x : one point a row, unconstrained and in the field's coordinates. weight : summing to one.
    log_evidence : the log marginal likelihood. error : the quadrature's own, None for a design.
    """

    mode: Optimum
    frame: Frame
    lattice: QuadratureLattice | None
    y: Floats
    x: Floats
    weight: Floats
    log_evidence: float
    error: float | None


def requested(options: Mapping[str, Any]) -> Request | None:
    """`posterior`, `posterior_draws` and `seed`; None where no posterior is asked for."""
    asked = options.get("posterior", False)
    draws = options.get("posterior_draws")
    if asked is False:
        if "posterior_draws" in options:
            raise FitError("posterior_draws= checks a posterior: say posterior=True too")
        return None
    if asked is not True and asked not in ("grid", "ccd"):
        raise FitError(f"posterior={asked!r} is none of False, True, 'grid' and 'ccd'")
    if draws is not None and not _is_a_number_of_draws(draws):
        raise FitError(f"posterior_draws={draws!r} is neither 0 (no check) nor a number from 100 to 1000000")
    if options.get("quadrature", 1) != 1:
        raise FitError("quadrature= and posterior= do not go together: leave one of them out")
    return Request("auto" if asked is True else asked, draws, int(options.get("seed", 1)))


def _is_a_number_of_draws(draws: object) -> bool:
    return isinstance(draws, int) and not isinstance(draws, bool) and (draws == 0 or 100 <= draws <= 10**6)


def refuse_improper(dag: Dag, roles: Roles) -> None:
    """A posterior needs a proper prior of everything unknown."""
    unknown = (*roles.integrated, *roles.profiled, *roles.outer)
    without = [name for name in dag.nodes if name in unknown and _has_no_prior(dag, name)]
    if without:
        told = ", ".join(f"'{n}'" for n in without)
        raise FitError(
            f"a posterior needs a proper prior of every unknown, and {told} "
            f"{'has' if len(without) == 1 else 'have'} none; write for instance "
            f"{_examples(dag, without)}, or leave posterior= out"
        )


def _examples(dag: Dag, names: list[str]) -> str:
    """One prior for each kind of domain among them."""
    each = {example_prior(dag, n).partition(" ~ ")[2]: example_prior(dag, n) for n in reversed(names)}
    return ", ".join(f"'{told}'" for told in reversed(each.values()))


def _has_no_prior(dag: Dag, name: str) -> bool:
    for s in dag.nodes[name].statements:
        if isinstance(s, Parameter):
            return True
        if isinstance(s, Stochastic | Joint) and s.distribution.family in ("Flat", "HalfFlat"):
            return True
    return False


def integrate(solution: Solution, kind: str) -> tuple[LogPosterior, Points]:
    """The points of a lattice or of a design, and their weights."""
    field, evaluator = solution.field, solution.evaluator
    f = LogPosterior(field, evaluator)
    d = field.x_places.size
    names = [c.node for c in field.coordinates]
    mode = _mode(f, solution)
    frame = frame_of(mode, f.log_density)
    if (kind == "ccd" and d > 0) or (kind == "auto" and d > MOST_DIMENSIONS):
        return f, _design(f, mode, frame, names)
    lattice = explored(frame, f.log_densities, list(dict.fromkeys(names)))
    y = lattice.y
    return f, Points(
        mode, frame, lattice, y, f.scale.points(y)[0], lattice.weight, lattice.log_evidence, lattice.error
    )


def _mode(f: LogPosterior, solution: Solution) -> Optimum:
    """The mode of the density in y, from the mode on the declared scale, or from further starts.

    With little data a precision has its declared mode at zero (a Gamma law of shape below one rises there
    without end). In y the density falls so slowly from there that a search ends where it began.
    """
    x, d = solution.optimum.x, solution.optimum.x.size
    start = f.scale.unconstrained(x, solution.scale)
    size = np.where(f.scale.kind == 0, solution.scale, 0.5)
    free = np.full(d, np.inf)
    for moved in (start, start + 0.5 * (f.scale.kind == 1), start + 2.0 * (f.scale.kind == 1)):
        if math.isfinite(f(moved)[0]):
            found = minimise(f, moved, size, -free, free)
            return found if is_mode(found) else _mode_from_starts(f, solution, found)
    raise FitError("the posterior density is not finite near its mode; give tighter priors")


def _mode_from_starts(f: LogPosterior, solution: Solution, known: Optimum) -> Optimum:
    """A mode that a start of the field leads to; what is known where none does and it curves downward there,
    as beside a kink: a lattice proves itself, wherever it was begun."""
    nodes = tuple(c.node for c in solution.field.coordinates for _ in range(c.length))
    try:
        return find_modes(f, solution.field, f.scale, nodes).best
    except NoMode as error:
        if known.smallest > 0.0 and not error.went:
            return known
        raise


def _design(f: LogPosterior, mode: Optimum, frame: Frame, names: list[str]) -> Points:
    """A central composite design, each half axis as long as the density is wide there."""
    d = frame.centre.size
    if d > MOST_IN_DESIGN:
        raise FitError(
            f"the posterior has {d} outer unknowns ({', '.join(dict.fromkeys(names))}); a design takes up to "
            f"{MOST_IN_DESIGN}: a backend that draws is the one for it"
        )
    z, weight = central_composite(d)
    stretched = np.where(z > 0, frame.up, frame.down) * z
    y = frame.y(stretched)
    # weights for the density at hand: those for a standard normal, times its ratio to it
    ratio = f.log_densities(y) - frame.log_peak + 0.5 * (z**2).sum(axis=1)
    kept = np.isfinite(ratio)
    weight = np.where(kept, weight * np.exp(np.where(kept, ratio, 0.0)), 0.0)
    halves = np.log(0.5 * (frame.up + frame.down)).sum() + 0.5 * d * math.log(2.0 * math.pi)
    volume = float(halves) + float(np.linalg.slogdet(frame.axes)[1])
    log_evidence = float(frame.log_peak) + volume + math.log(float(weight.sum()))
    weight = weight[kept] / weight.sum()
    return Points(mode, frame, None, y[kept], f.scale.points(y[kept])[0], weight, log_evidence, None)
