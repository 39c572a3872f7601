"""Geometry of path diagrams: curves, boxes, and lines with their labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dagmodels.render.path_layout import Place, label_width

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]
Box = tuple[float, float, float, float]

HEAD = 6.0
LINE = 11.0


@dataclass(frozen=True, slots=True)
class Route:
    """A drawn line: its curve from end to end of shapes, its heads ("f" or "b"oth), its label's centre."""

    curve: Curve
    heads: str
    label: tuple[str, ...]
    at: Point
    fixed: bool
    ends: tuple[str, str]
    kind: str


def edge(p: Place, towards: Point) -> Point:
    """Where the ray from the centre of a shape leaves it."""
    dx, dy = towards[0] - p.x, towards[1] - p.y
    if dx == dy == 0:
        return p.x, p.y
    a, b = p.width / 2, p.height / 2
    t = (
        1 / math.hypot(dx / a, dy / b)
        if p.latent
        else min(a / abs(dx) if dx else math.inf, b / abs(dy) if dy else math.inf)
    )
    return p.x + t * dx, p.y + t * dy


def angle_of(p: Place, point: Point) -> float:
    return math.atan2(point[1] - p.y, point[0] - p.x)


def point_at(c: Curve, t: float) -> Point:
    u = 1 - t
    weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
    return (
        sum(w * p[0] for w, p in zip(weights, c, strict=True)),
        sum(w * p[1] for w, p in zip(weights, c, strict=True)),
    )


def shortened(c: Curve, start: bool, end: bool) -> Curve:
    """The part of a curve that leaves room for its heads."""
    low, high = 0.0, 1.0
    if start:
        low = next((t / 200 for t in range(200) if math.dist(point_at(c, t / 200), c[0]) >= HEAD), 0.4)
    if end:
        far = (1 - t / 200 for t in range(200) if math.dist(point_at(c, 1 - t / 200), c[3]) >= HEAD)
        high = next(far, 0.6)
    return _part(c, low, high)


def _part(c: Curve, low: float, high: float) -> Curve:
    def slope(t: float) -> Point:
        u = 1 - t
        w = (-3 * u * u, 3 * u * u - 6 * u * t, 6 * u * t - 3 * t * t, 3 * t * t)
        return (
            sum(a * p[0] for a, p in zip(w, c, strict=True)),
            sum(a * p[1] for a, p in zip(w, c, strict=True)),
        )

    p0, p3, s0, s3 = point_at(c, low), point_at(c, high), slope(low), slope(high)
    h = (high - low) / 3
    return p0, (p0[0] + h * s0[0], p0[1] + h * s0[1]), (p3[0] - h * s3[0], p3[1] - h * s3[1]), p3


def box_of(p: Place, more: float) -> Box:
    half, tall = p.width / 2 + more, p.height / 2 + more
    return p.x - half, p.y - tall, p.x + half, p.y + tall


def inside(p: Point, b: Box) -> bool:
    return b[0] <= p[0] <= b[2] and b[1] <= p[1] <= b[3]


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def meets(c: Curve, b: Box) -> bool:
    return any(inside(point_at(c, k / 24), b) for k in range(25))


def samples(c: Curve) -> list[Point]:
    """Points along a curve, without its ends."""
    return [point_at(c, k / 12) for k in range(1, 12)]


def label_size(lines: tuple[str, ...]) -> tuple[float, float]:
    """Width and height of a label."""
    return label_width(lines), LINE * len(lines)


def around(centre: Point, size: tuple[float, float]) -> Box:
    """A box with this centre."""
    (x, y), (wide, high) = centre, size
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def near(centre: Point, distance: float) -> Callable[[Box], bool]:
    """Whether a box comes so near to a point, in both directions."""
    whole = around(centre, (2 * distance, 2 * distance))
    return lambda box: overlap(whole, box)
