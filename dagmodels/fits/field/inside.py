"""Moves of the search that slopes do not suggest: onto zero, off bounds and saddles, and fresh starts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.objective import Objective
from dagmodels.forms.field import Field
from dagmodels.numerics.optimise import SADDLE, Optimum, certify, descend, minimise

Floats = NDArray[np.float64]
SHARES = (0.5, 1e-1, 1e-2, 1e-3)  # of a coordinate's typical size: how far from its bound to look
NEAR = 1e-2  # so near to one of two bounds, in typical sizes, a coordinate is looked at as if it were there
ZERO = 1e-4  # a scale below this share of its typical size is looked at as if it were zero
MOST_IDLE = 3  # more coordinates without meaning than this are turned all together
MOST_STARTS = 6
RIDGE = 1e-7  # eigenvalue of the Hessian, its diagonal made one, that differences do not tell from zero
FLAT = 1e-7  # change of the criterion along a ridge, as a share of it, that is none
SHARE = 0.05  # of the largest move along a ridge, for a coordinate to be named
LOWER = 1e-9  # by this share (of one at least) a value must be lower to count as such


def settled(f: Objective, optimum: Optimum) -> Optimum:
    """The optimum, once no scale is better off at zero, no bound is false and no saddle is left."""
    s = f.space
    for _ in range(6):
        optimum = _at_zero(f, optimum)
        if optimum.smallest < SADDLE:
            start = _moved_inside(f, optimum)
        elif (off := _off_the_bound(f, optimum)) is not None:
            start = off
        elif (beyond := _past_the_ridge(f, optimum)) is not None:
            start = beyond
        else:
            break
        optimum = minimise(f, start, s.scale, s.lower, s.upper, curvature=f.curvature)
    return optimum


@dataclass(frozen=True, eq=False, slots=True)
class Ridge:
    """A direction in which the criterion neither rises nor bends.

    direction : unit, in typical sizes of the coordinates. members : coordinates that matter in it.
    """

    direction: Floats
    members: NDArray[np.int64]


def ridge(f: Objective, optimum: Optimum) -> Ridge | None:
    """The flattest direction among coordinates that have a meaning here, if the Hessian has none in it.

    Elements of matrices' factors and coordinates that are idle beside a scale at zero are left out: they may
    be redundant at an optimum.
    """
    s = f.space
    at = np.flatnonzero(~(optimum.active | _idle(f, optimum) | s.symmetric | s.factor))
    inner = optimum.hessian[np.ix_(at, at)] * np.outer(s.scale[at], s.scale[at])
    if at.size < 2 or not np.isfinite(inner).all():
        return None
    sizes = np.sqrt(np.maximum(inner.diagonal(), 1e-300))
    values, vectors = np.linalg.eigh(inner / np.outer(sizes, sizes))
    if values[0] > RIDGE:
        return None
    direction = np.zeros(s.scale.size)
    direction[at] = vectors[:, 0] / sizes
    direction /= np.abs(direction).max()
    return Ridge(direction, np.flatnonzero(np.abs(direction) > SHARE))


def _past_the_ridge(f: Objective, optimum: Optimum) -> Floats | None:
    """A point on a ridge from which the criterion falls, or a bound that holds here does not."""
    found = ridge(f, optimum)
    if found is None:
        return None
    s, x = f.space, optimum.x
    held = optimum.active & (s.lower < s.upper)
    for step in (1.0, -1.0, 4.0, -4.0, 16.0, -16.0):
        y = np.clip(x + step * found.direction * s.scale, s.lower, s.upper)
        value, slope = f(y)
        if not np.isfinite(value):
            continue
        if value < optimum.value - LOWER * max(1.0, abs(optimum.value)):
            return y
        level = value < optimum.value + FLAT * max(1.0, abs(optimum.value))
        inward = np.where(x <= s.lower, -slope, slope)
        if level and (inward[held] * s.scale[held] > FLAT).any():
            return y
    return None


def fresh_starts(field: Field, f: Objective, optimum: Optimum) -> list[Floats]:
    """Points from which a lower optimum may be reached, where one optimum may not be all.

    Scales of latents that ended at zero start from inside; scales with a prior (whose density can make
    a second mode) start small and large.
    """
    x, s = optimum.x, f.space
    scales, prior = latent_scales(field)
    zero = scales & (np.abs(x) <= ZERO * s.scale)
    if not zero.any() and not prior.any():
        return []
    less, more = x + _residual_logs(field, 0.4), x + _residual_logs(field, 1.5)
    found = []
    if zero.any():
        found = [np.where(zero, 2.0 * s.scale, less), np.where(zero, 0.3 * s.scale, x)]
        idle = _idle(f, optimum) & ~zero
        turned = _turned(x, idle, f)[1:]
        found += [np.where(zero, share * s.scale, y) for y in turned for share in (0.3, 0.05)]
    inner = np.flatnonzero(prior & ~zero)
    for i in inner[: MOST_STARTS - 3]:
        start = more.copy()
        start[i] = 0.03 * s.scale[i]
        found.append(start)
    if inner.size:
        found.append(np.where(prior, 3.0 * s.scale, less))
    return [np.clip(start, s.lower, s.upper) for start in found]


def best_of(field: Field, f: Objective, optimum: Optimum) -> Optimum:
    """The lowest of an optimum and those reached from fresh starts, settled."""
    s = f.space
    for _ in range(2):
        best, value = None, optimum.value - 100 * LOWER * max(1.0, abs(optimum.value))
        for start in fresh_starts(field, f, optimum):
            if not np.isfinite(f(start)[0]):
                continue
            end = descend(f, start, s.scale, s.lower, s.upper, limit=60)
            if end.value < value:
                best, value = end, end.value
        if best is None:
            break
        optimum = certify(f, best.x, s.scale, s.lower, s.upper, optimum.iterations, best.message)
        optimum = settled(f, optimum)
    return optimum


def _residual_logs(field: Field, factor: float) -> Floats:
    """The change of the coordinates that multiplies residual scales by a factor."""
    power = {"residual": 1.0, "precision": -2.0}
    parts = [
        np.full(c.length, power.get(c.use, 0.0) * np.log(factor) if c.kind == "log" else 0.0)
        for c in field.coordinates
    ]
    return np.concatenate([np.zeros(0), *parts])


def latent_scales(field: Field) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Coordinates that are zero where latents do not vary, and those of them that have a prior."""
    scales, prior = [], []
    for c in field.coordinates:
        at_zero = (c.lower == 0) & (c.use in ("scale", "variance", "other"))
        scales.append(c.symmetric | at_zero)
        own = field.problem.graph.nodes[c.node].kind == "stochastic"
        prior.append(scales[-1] & (own and c.use in ("scale", "variance", "matrix")))
    none = np.zeros(0, dtype=bool)
    return np.concatenate([none, *scales]), np.concatenate([none, *prior])


def _at_zero(f: Objective, optimum: Optimum) -> Optimum:
    """Scales that ran towards zero are put there, if that is no worse: zero is an ordinary point."""
    s = f.space
    x, value = optimum.x.copy(), optimum.value
    near = np.flatnonzero((s.symmetric | (s.lower == 0)) & (np.abs(x) < 1e-2 * s.scale) & (x != 0))
    if not near.size:
        return optimum
    for i in near:
        trial = x.copy()
        trial[i] = 0.0
        trial_value = f(trial)[0]
        if np.isfinite(trial_value) and trial_value <= value + LOWER * max(1.0, abs(value) * 1e-3):
            x, value = trial, trial_value
    if np.array_equal(x, optimum.x):
        return optimum
    held = np.where((x == 0) & s.symmetric, 0.0, s.lower)
    again = descend(f, x, s.scale, held, s.upper, limit=50)
    return certify(
        f, again.x, s.scale, s.lower, s.upper, optimum.iterations + again.iterations, again.message
    )


def _off_the_bound(f: Objective, optimum: Optimum) -> Floats | None:
    """A lower point off a bound, where other coordinates lost their meaning on it.

    With a scale at zero a correlation beside it has neither gradient nor curvature, and the derivative in
    the scale has its sign: the bound holds only if it does for any sign of such coordinates, and for
    all coordinates on bounds moved at once. Close to a bound where a matrix becomes singular the slope of an
    angle vanishes, and differences of slopes lose its curvature: there values decide too.
    """
    x, s = optimum.x, f.space
    closest = np.minimum(x - s.lower, s.upper - x)
    near = (closest <= NEAR * s.scale) & np.isfinite(s.upper - s.lower) & (s.lower < s.upper)
    on_edge = near | s.on_edge(x) | ((s.lower == 0) & (x <= ZERO * s.scale))
    if not on_edge.any():
        return None
    idle = _idle(f, optimum)
    edge = np.flatnonzero(on_edge & ~(idle & (x != 0)))
    if not edge.size or not (idle.any() or near[edge].any() or f.singular(x)):
        return None
    idle[edge] = False
    moved = [np.isin(np.arange(x.size), [i]) for i in edge]
    moved += [np.isin(np.arange(x.size), edge)] if edge.size > 1 else []
    inward = np.where(x - s.lower <= s.upper - x, 1.0, -1.0) * s.scale
    for turned in _turned(x, idle, f):
        for which in moved:
            for share in SHARES:
                y = np.clip(np.where(which, turned + share * inward, turned), s.lower, s.upper)
                value = f(y)[0]
                if np.isfinite(value) and value < optimum.value - LOWER * max(1.0, abs(optimum.value)):
                    return y
    return None


def _idle(f: Objective, optimum: Optimum) -> NDArray[np.bool_]:
    """Coordinates without slope and curvature at the optimum: they have no meaning there."""
    curvature = np.abs(np.diag(optimum.hessian)) * f.space.scale**2
    top = max(float(curvature.max(initial=0.0)), 1e-300)
    return (curvature <= 1e-7 * top) & (np.abs(optimum.gradient) * f.space.scale <= 1e-7 * np.sqrt(top))


def _turned(x: Floats, idle: NDArray[np.bool_], f: Objective) -> list[Floats]:
    """The point, and the same with idle coordinates well inside their range on either side."""
    s = f.space
    if not idle.any():
        return [x]
    finite = np.isfinite(s.upper - s.lower)
    middle = 0.5 * (np.where(finite, s.lower, 0.0) + np.where(finite, s.upper, 0.0))
    reach = np.where(finite, 0.495 * (s.upper - s.lower), s.scale)
    at = np.flatnonzero(idle)
    signs = product((1.0, -1.0), repeat=at.size) if at.size <= MOST_IDLE else iter([(1.0,), (-1.0,)])
    found = [x]
    for sign in signs:
        y = x.copy()
        y[at] = middle[at] + np.array(sign) * reach[at]
        found.append(y)
    return found


def _moved_inside(f: Objective, optimum: Optimum) -> Floats:
    """Away from a saddle along the direction of most negative curvature, to the lower side within bounds."""
    s = f.space
    free = np.flatnonzero(~optimum.active)
    inner = optimum.hessian[np.ix_(free, free)] * np.outer(s.scale[free], s.scale[free])
    _, vectors = np.linalg.eigh(inner)
    best, best_value = optimum.x, np.inf
    for signed in (0.3, -0.3, 0.03, -0.03):
        x = optimum.x.copy()
        x[free] += signed * vectors[:, 0] * s.scale[free]
        x = np.clip(x, s.lower, s.upper)
        value = f(x)[0] if not np.array_equal(x, optimum.x) else np.inf
        if np.isfinite(value) and value < best_value:
            best, best_value = x, value
    return best
