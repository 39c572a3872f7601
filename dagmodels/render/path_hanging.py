"""Loops of variances and triangles of means: what hangs on a shape, with its label beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dagmodels.render.path_diagram import Line, PathDiagram
from dagmodels.render.path_geometry import (
    Box,
    Curve,
    Point,
    Route,
    around,
    box_of,
    edge,
    inside,
    label_size,
    near,
    overlap,
    point_at,
    samples,
)
from dagmodels.render.path_layout import Place

LOOP = 24.0
SPOKE = 36.0
FAR = 260.0  # beyond which nothing is in the way
ANGLES = 24
BLOCKED = 60.0  # cost of a box that a label covers, in units of a radian's freedom


def hang(
    d: PathDiagram, places: dict[str, Place], used: dict[str, list[float]], lines: list[Curve]
) -> list[Route]:
    """What hangs on every shape, where it is least in the way.

    used : directions of the lines at each shape; those found here are added. lines : drawn already.
    """
    points = [p for c in lines for p in samples(c)]
    taken: list[Box] = []
    found: list[Route] = []
    for name, place in places.items():
        whole = near((place.x, place.y), FAR)
        shapes = [b for n, q in places.items() if n != name and whole(b := box_of(q, 4.0))]
        here = [p for p in points if whole((*p, *p))]
        both = name in d.own and name in d.means
        for kind, line in (("own", d.own.get(name)), ("mean", d.means.get(name))):
            if line is None:
                continue
            side = 0 if not both else -1 if kind == "own" else 1
            blocks = [*shapes, box_of(place, 1.0), *(b for b in taken if whole(b))]
            angle, curve, at = _aim(place, kind, line, side, used[name], shapes, blocks, here)
            used[name].append(angle)
            here += samples(curve)
            if line.label:
                taken.append(around(at, label_size(line.label)))
            heads = "b" if kind == "own" else "f"
            found.append(Route(curve, heads, line.label, at, line.fixed, (line.start, line.end), kind))
    return found


def _aim(
    p: Place, kind: str, line: Line, side: int, used: list[float], shapes: list[Box], blocks: list[Box],
    lines: list[Point],
) -> tuple[float, Curve, Point]:  # fmt: skip
    """The direction with its curve and the label's centre that cost least.

    side : -1 and 1 for a loop and a mean that share the shape's free side, 0 for what is alone there.
    """
    size = label_size(line.label)
    best, least = None, math.inf
    for k in range(ANGLES):
        angle = k * 2 * math.pi / ANGLES
        curve = _loop(p, angle) if kind == "own" else _spoke(p, angle)
        dear = -_freedom(p, angle, used, shapes) + BLOCKED / 2 * sum(
            inside(q, b) for q in samples(curve) for b in blocks
        )
        if dear >= least:
            continue
        for at, cost in _spots(p, curve, kind, angle, size, side):
            box = around(at, size)
            cost += dear + BLOCKED * sum(overlap(box, b) for b in blocks) * bool(line.label)
            cost += sum(inside(q, box) for q in lines) * bool(line.label)
            if cost < least:
                best, least = (angle, curve, at), cost
    assert best is not None
    return best


def _spots(
    p: Place, curve: Curve, kind: str, angle: float, size: tuple[float, float], side: int
) -> Iterator[tuple[Point, float]]:
    """Centres of a label at the end of what hangs: beyond it, or turned to one side; and what that costs."""
    wide, high = size
    if kind == "own":
        tip, root = point_at(curve, 0.5), point_at((curve[0], curve[0], curve[3], curve[3]), 0.5)
    else:
        tip, root = _beyond(curve), curve[3]
    long = math.dist(tip, root) or 1.0
    dx, dy = (tip[0] - root[0]) / long, (tip[1] - root[1]) / long
    push = (wide if abs(dx) > abs(dy) else high) / 2
    yield (tip[0] + push * dx, tip[1] + push * dy), 0.3 * abs(side)
    ny = p.normal[1]
    if side and ny and not p.latent and dy * ny > 0.5:
        ahead = 0.0 if side * dx >= 0 else 0.5
        inner = p.x + 3.0 * side  # where the labels of the two meet
        yield (inner + side * wide / 2, tip[1] + ny * high / 2), ahead


def _freedom(p: Place, angle: float, used: list[float], shapes: list[Box]) -> float:
    """How far a direction is from all lines of a shape, and from other shapes."""
    gap = min((abs(_turn(angle - u)) for u in used), default=math.pi)
    tip = edge(p, (p.x + 400 * math.cos(angle), p.y + 400 * math.sin(angle)))
    hits = sum(
        inside((tip[0] + s * math.cos(angle), tip[1] + s * math.sin(angle)), b)
        for b in shapes
        for s in (16.0, 32.0, 44.0)
    )
    nx, ny = p.normal
    straight = 0.06 * (math.cos(angle) * nx + math.sin(angle) * ny)
    return min(gap, 1.0) - 2.0 * hits + straight + 0.05 * (abs(math.sin(2 * angle)) < 1e-9)


def _loop(p: Place, angle: float) -> Curve:
    a, b = angle - 0.32, angle + 0.32
    start, end = (edge(p, (p.x + 400 * math.cos(t), p.y + 400 * math.sin(t))) for t in (a, b))
    far = LOOP * 4 / 3
    spread = 0.22
    c1 = (start[0] + far * math.cos(angle - spread), start[1] + far * math.sin(angle - spread))
    c2 = (end[0] + far * math.cos(angle + spread), end[1] + far * math.sin(angle + spread))
    return start, c1, c2, end


def _spoke(p: Place, angle: float) -> Curve:
    """From a triangle beside a shape to it."""
    end = edge(p, (p.x + 400 * math.cos(angle), p.y + 400 * math.sin(angle)))
    start = (end[0] + SPOKE * math.cos(angle), end[1] + SPOKE * math.sin(angle))
    c1 = tuple(s + (e - s) / 3 for s, e in zip(start, end, strict=True))
    c2 = tuple(s + 2 * (e - s) / 3 for s, e in zip(start, end, strict=True))
    return start, c1, c2, end  # type: ignore[return-value]


def _turn(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _beyond(spoke: Curve) -> Point:
    """Where the triangle of a mean ends, seen from its variable."""
    (x0, y0), (x1, y1) = spoke[3], spoke[0]
    far = 1.0 + 11.0 / (math.dist(spoke[3], spoke[0]) or 1.0)
    return x0 + far * (x1 - x0), y0 + far * (y1 - y0)
