"""Limits of an estimate from its profile, whatever evaluates that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.refitting import Limits, Target

Floats = NDArray[np.float64]
Height = Callable[[Floats], tuple[float, Floats]]  # value and gradient
STIFF = 10.0  # c in units of the profile's own curvature
EDGE = 1e5  # the same where an edge of the domain is looked at
CLOSE = 1e-5  # of zeta, relative to what is wanted
MOST_POINTS = 40


def node_of(name: str) -> str:
    """The node of an estimate."""
    return re.split(r"[\[]", name, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Point:
    """Of a profile: the value reached, and the signed root of the criterion's rise."""

    value: float
    zeta: float


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """One estimate's profile.

    value, se : at the optimum, a first guess of the spread (at an edge too).
    lower, upper : the domain. at : from a value wanted (and whether an edge is looked at) to a point near it;
        points must be asked for outwards from the optimum.
    restart : forgets where the last point was.
    inverse : from the scale that is profiled to that of the estimate.
    """

    value: float
    se: float
    lower: float
    upper: float
    at: Callable[[float, bool], Point]
    restart: Callable[[], None]
    inverse: Callable[[float], float]


def along(
    target: Target, h: Height, x: Floats, se: float,
    minimum: Callable[[Floats, float, float], tuple[Floats, float]], *, logs: bool,
) -> Profile:  # fmt: skip
    """The profile of a function h of the coordinates, each point a minimum under a penalty.

    x : the optimum. se : of h there, a first guess. logs : h is the logarithm of the target.
    minimum : from a place to begin at, t and c, where f + c (h - t)^2 is least, and how much f has risen.
    """
    value, _ = h(x)
    state: dict[str, Floats | float] = {}

    def restart() -> None:
        state.clear()
        state.update(x=x, offset=0.0)

    def at(wanted: float, edge: bool) -> Point:
        c = (EDGE if edge else STIFF) / se**2
        t = wanted if edge else wanted + float(state["offset"])
        try:
            place, rise = minimum(np.asarray(state["x"]), t, c)
        except FloatingPointError:
            return Point(wanted, np.nan)
        reached, _ = h(place)
        if not edge:
            state.update(x=place, offset=t - reached)
        return Point(reached, float(np.sign(reached - value) * np.sqrt(max(rise, 0.0))))

    restart()
    if logs:
        return Profile(value, se, -np.inf, np.inf, at, restart, lambda v: float(np.exp(v)))
    return Profile(value, se, target.lower, target.upper, at, restart, float)


def chained(target: Target, values: list[float], slopes: list[Floats], *, logs: bool) -> tuple[float, Floats]:
    """A target and its gradient from those of its sources (of its logarithm, where `logs`)."""
    value, by = target.function(dict(zip(target.sources, values, strict=True)))
    slope = np.zeros(slopes[0].size if slopes else 0)
    for name, part in zip(target.sources, slopes, strict=True):
        if np.isfinite(by.get(name, 0.0)):
            slope += by.get(name, 0.0) * part
    return (float(np.log(value)), slope / value) if logs else (value, slope)


def limits_of(profile: Profile, z: float) -> Limits:
    """Both limits; an edge of the domain where the criterion has not risen enough there."""
    if not np.isfinite(profile.value):
        return Limits(np.nan, np.nan)
    ends, points = [], [(profile.value, 0.0)]
    for side in (-1.0, 1.0):
        profile.restart()
        end, met = _end(profile, z, side)
        ends.append(profile.inverse(end))
        points.extend((p.value, p.zeta) for p in met)
    points.sort()
    return Limits(*ends, tuple(profile.inverse(v) for v, _ in points), tuple(d for _, d in points))


def _end(profile: Profile, z: float, side: float) -> tuple[float, list[Point]]:
    """Where side * zeta reaches z."""
    edge = profile.lower if side < 0 else profile.upper
    near, far = Point(profile.value, 0.0), None
    if profile.value == edge:
        return edge, []
    guess = profile.value + side * z * profile.se
    at_edge = False
    met: list[Point] = []
    for _ in range(MOST_POINTS):
        if far is None and side * (guess - edge) >= 0:  # the first look beyond an edge is at the edge
            if at_edge:
                return edge, met
            at_edge = True
            point = profile.at(edge, True)
            met.append(point)
            if abs(point.zeta) < z:
                return edge, met
            far = point
            profile.restart()
        else:
            point = profile.at(guess, False)
            met.append(point)
            if abs(abs(point.zeta) - z) < CLOSE * z:
                return point.value, met
            if not np.isfinite(point.zeta):
                guess = 0.5 * (near.value + guess)
                continue
            if abs(point.zeta) > z:
                if far is None or side * (point.value - far.value) < 0:
                    far = point
            elif side * (point.value - near.value) > 0:
                near = point
            elif far is None:
                return np.nan, met  # no further progress: the criterion is flat in this direction
        guess = _next(profile, near, far, z, side, met)
    return np.nan, met


def _next(profile: Profile, near: Point, far: Point | None, z: float, side: float, met: list[Point]) -> float:
    """The next value: along the chord of the last two points, inside the bracket where there is one."""
    if far is None:
        slope = max((abs(near.zeta)) / max(abs(near.value - profile.value), 1e-300), 1e-3 / profile.se)
        step = (z - abs(near.zeta)) / slope
        return near.value + side * min(1.05 * step, 2.0 * max(abs(near.value - profile.value), profile.se))
    share = (z - abs(near.zeta)) / max(abs(far.zeta) - abs(near.zeta), 1e-300)
    if len(met) > 6 and len(met) % 3 == 0:
        share = 0.5  # chords that creep from one side
    return near.value + float(np.clip(share, 0.01, 0.99)) * (far.value - near.value)
