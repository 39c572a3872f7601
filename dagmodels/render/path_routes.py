"""How lines of a path diagram run: straight where nothing is in the way, covariances as arcs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.render.path_diagram import Line, PathDiagram
from dagmodels.render.path_layout import Place, label_width

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]
Box = tuple[float, float, float, float]

HEAD = 6.0
LINE = 11.0
ARC = 30.0  # how much higher an arc is than one that it spans
LOOP = 24.0


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


def routes(d: PathDiagram, places: dict[str, Place]) -> list[Route]:
    """All lines, with labels that keep clear of shapes and of one another."""
    drawn: list[tuple[Line, Curve, str, str]] = []
    bands = {p.band for p in places.values()}
    level = [a for a in d.arcs if places[a.start].band == places[a.end].band]
    flat = [a for a in level if not a.given or places[a.start].band != "below"]
    for a in d.arrows:
        drawn.append((a, _straight(places, a.start, a.end), "f", "path"))
    for band in sorted(bands):
        here = [a for a in flat if places[a.start].band == band]
        drawn.extend(
            (a, c, "b", "arc")
            for a, c in _arcs(here, places, LOOP + LINE if d.own else 0.0, {a.end for a in d.arrows})
        )
    for a in d.arcs:
        if a not in flat and not a.given:
            drawn.append((a, _bent(places, a.start, a.end), "b", "arc"))
    used: dict[str, list[float]] = {n: [] for n in places}
    for line, curve, _, _ in drawn:
        for name, end, near in (
            (line.start, curve[0], _at(curve, 0.15)),
            (line.end, curve[3], _at(curve, 0.85)),
        ):
            used[name].append(_angle(places[name], end))
            used[name].append(_angle(places[name], near))
    for name, line in d.own.items():
        drawn.append((line, _loop(places[name], _free(used[name], places, name)), "b", "own"))
    for name, line in d.means.items():
        drawn.append((line, _spoke(places[name], _free(used[name], places, name)), "f", "mean"))
    return _labelled(drawn, places)


# -- lines


def _straight(places: dict[str, Place], start: str, end: str) -> Curve:
    """A straight arrow, or the least bent one that meets no third shape."""
    others = [_box(p, 3.0) for n, p in places.items() if n not in (start, end)]
    best, fewest = None, 10**6
    for bend in (0.0, 26.0, -26.0, 48.0, -48.0, 76.0, -76.0, 110.0, -110.0):
        curve = _curve(places[start], places[end], bend)
        hits = sum(_meets(curve, b) for b in others)
        if hits < fewest:
            best, fewest = curve, hits
        if not hits:
            break
    assert best is not None
    return best


def _bent(places: dict[str, Place], start: str, end: str) -> Curve:
    """A covariance of variables in different rows."""
    others = [_box(p, 3.0) for n, p in places.items() if n not in (start, end)]
    tried = [
        _curve(places[start], places[end], b) for b in (36.0, -36.0, 60.0, -60.0, 90.0, -90.0, 130.0, -130.0)
    ]
    return min(tried, key=lambda c: sum(_meets(c, b) for b in others))


def _curve(a: Place, b: Place, bend: float) -> Curve:
    dx, dy = b.x - a.x, b.y - a.y
    long = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / long * bend, dx / long * bend
    c1 = (a.x + dx / 3 + 1.33 * nx, a.y + dy / 3 + 1.33 * ny)
    c2 = (a.x + 2 * dx / 3 + 1.33 * nx, a.y + 2 * dy / 3 + 1.33 * ny)
    start, end = _edge(a, c1), _edge(b, c2)
    if not bend:
        c1 = (start[0] + (end[0] - start[0]) / 3, start[1] + (end[1] - start[1]) / 3)
        c2 = (start[0] + 2 * (end[0] - start[0]) / 3, start[1] + 2 * (end[1] - start[1]) / 3)
    return start, c1, c2, end


def _arcs(
    lines: list[Line], places: dict[str, Place], more: float, entered: set[str]
) -> Iterator[tuple[Line, Curve]]:
    """Nested arcs over one row; each end has a point of its own on its shape.

    more : room for loops. entered : variables that arrows end at.
    """
    if not lines:
        return
    nx, ny = places[lines[0].start].normal

    def along(n: str) -> float:
        return places[n].x if ny else places[n].y

    spans = {}
    for a in lines:
        low, high = sorted((a.start, a.end), key=along)
        spans[a] = (low, high)
    level: dict[Line, int] = {}
    for a in sorted(lines, key=lambda a: along(spans[a][1]) - along(spans[a][0])):
        low, high = (along(n) for n in spans[a])
        inner = [
            v for b, v in level.items() if along(spans[b][0]) >= low - 1 and along(spans[b][1]) <= high + 1
        ]
        level[a] = 1 + max(inner, default=0)
        while any(v == level[a] and _close(a, b, spans, places) for b, v in level.items() if b is not a):
            level[a] += 1
    ports: dict[tuple[str, int], list[Line]] = {}
    for a, (low, high) in spans.items():
        ports.setdefault((low, 1), []).append(a)
        ports.setdefault((high, -1), []).append(a)
    for ends in ports.values():  # the widest arc leaves nearest to the middle
        ends.sort(key=lambda a: along(spans[a][0]) - along(spans[a][1]))
    band = places[lines[0].start].band
    top = more + max((p.y if ny else p.x) * (ny or nx) for p in places.values() if p.band == band)
    for a, (low, high) in spans.items():
        p0, p3 = (
            _port(places[n], d, ports[n, d].index(a), len(ports[n, d]), n in entered)
            for n, d in ((low, 1), (high, -1))
        )
        side = ny or nx
        away = top + ARC * level[a] - max(p[1] * side if ny else p[0] * side for p in (p0, p3)) + 10.0
        away = max(away, 16.0) * 4 / 3 * side
        if ny:
            yield a, (p0, (p0[0], p0[1] + away), (p3[0], p3[1] + away), p3)
        else:
            yield a, (p0, (p0[0] + away, p0[1]), (p3[0] + away, p3[1]), p3)


def _close(a: Line, b: Line, spans: dict[Line, tuple[str, str]], places: dict[str, Place]) -> bool:
    """Whether the labels of two arcs of equal height would touch."""
    one, two = (sum(places[n].x for n in spans[line]) / 2 for line in (a, b))
    return abs(one - two) < (label_width(a.label) + label_width(b.label)) / 2 + 8


def _port(p: Place, direction: int, k: int, count: int, entered: bool) -> Point:
    """Where the k-th of the arcs that leave towards one side begins, on the shape's free edge.

    entered : arrows end there too, so that arcs keep to the side.
    """
    share = (0.46 if entered and p.latent else 0.30) if count == 1 else 0.12 + 0.33 * k / (count - 1)
    nx, ny = p.normal
    if ny:
        dx = direction * share * p.width
        rise = p.height / 2 * (math.sqrt(max(1 - (2 * dx / p.width) ** 2, 0.0)) if p.latent else 1.0)
        return p.x + dx, p.y + ny * rise
    dy = direction * share * p.height
    return p.x + nx * p.width / 2, p.y + dy


def _loop(p: Place, angle: float) -> Curve:
    a, b = angle - 0.32, angle + 0.32
    start, end = (_edge(p, (p.x + 400 * math.cos(t), p.y + 400 * math.sin(t))) for t in (a, b))
    far = LOOP * 4 / 3
    spread = 0.22
    c1 = (start[0] + far * math.cos(angle - spread), start[1] + far * math.sin(angle - spread))
    c2 = (end[0] + far * math.cos(angle + spread), end[1] + far * math.sin(angle + spread))
    return start, c1, c2, end


def _spoke(p: Place, angle: float) -> Curve:
    """From a triangle beside a shape to it."""
    end = _edge(p, (p.x + 400 * math.cos(angle), p.y + 400 * math.sin(angle)))
    start = (end[0] + 36 * math.cos(angle), end[1] + 36 * math.sin(angle))
    c1 = tuple(s + (e - s) / 3 for s, e in zip(start, end, strict=True))
    c2 = tuple(s + 2 * (e - s) / 3 for s, e in zip(start, end, strict=True))
    return start, c1, c2, end  # type: ignore[return-value]


def _free(used: list[float], places: dict[str, Place], name: str) -> float:
    """The direction farthest from all lines of a shape and from other shapes; it is then used."""
    p = places[name]
    others = [_box(q, 4.0) for n, q in places.items() if n != name]

    def score(angle: float) -> float:
        gap = min((abs(_turn(angle - u)) for u in used), default=math.pi)
        tip = _edge(p, (p.x + 400 * math.cos(angle), p.y + 400 * math.sin(angle)))
        hits = sum(
            _inside((tip[0] + s * math.cos(angle), tip[1] + s * math.sin(angle)), b)
            for b in others
            for s in (16.0, 32.0, 44.0)
        )
        nx, ny = p.normal
        straight = 0.06 * (math.cos(angle) * nx + math.sin(angle) * ny)
        return min(gap, 1.0) - 2.0 * hits + straight + 0.05 * abs(math.sin(2 * angle) < 1e-9)

    best = max((k * math.pi / 12 for k in range(24)), key=score)
    used.append(best)
    return best


def _turn(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


# -- labels


def _labelled(drawn: list[tuple[Line, Curve, str, str]], places: dict[str, Place]) -> list[Route]:
    shapes = [_box(p, 1.0) for p in places.values()]
    lines = [[_at(c, k / 12) for k in range(1, 12)] for _, c, _, _ in drawn]
    taken: list[Box] = []
    found: list[Route] = []
    for number, (line, curve, heads, kind) in enumerate(drawn):
        at = _at(curve, 0.5)
        if line.label:
            wide, high = label_width(line.label), LINE * len(line.label)
            first = 0.62 if kind == "path" else 0.5
            best, least = at, math.inf
            for t in sorted((k / 40 for k in range(6, 35)), key=lambda t: abs(t - first)):
                centre = _at(curve, t)
                if kind in ("own", "mean"):
                    if t != first:
                        continue
                    middle = curve[3]
                    if kind == "own":
                        middle = _at((curve[0], curve[0], curve[3], curve[3]), 0.5)
                    else:
                        centre = _beyond(curve)
                    long = math.hypot(centre[0] - middle[0], centre[1] - middle[1]) or 1.0
                    push = (wide if abs(centre[0] - middle[0]) > abs(centre[1] - middle[1]) else high) / 2
                    centre = (centre[0] + push * (centre[0] - middle[0]) / long,
                              centre[1] + push * (centre[1] - middle[1]) / long)  # fmt: skip
                box = (centre[0] - wide / 2, centre[1] - high / 2, centre[0] + wide / 2, centre[1] + high / 2)
                cost = 60.0 * sum(_overlap(box, b) for b in taken) + 60.0 * sum(
                    _overlap(box, b) for b in shapes
                )
                cost += sum(_inside(p, box) for k, ps in enumerate(lines) if k != number for p in ps)
                cost += abs(t - first)
                if cost < least:
                    best, least = centre, cost
            at = best
            taken.append((at[0] - wide / 2, at[1] - high / 2, at[0] + wide / 2, at[1] + high / 2))
        found.append(Route(curve, heads, line.label, at, line.fixed, (line.start, line.end), kind))
    return found


def _beyond(spoke: Curve) -> Point:
    """Where the triangle of a mean ends, seen from its variable."""
    (x0, y0), (x1, y1) = spoke[3], spoke[0]
    far = 1.0 + 11.0 / (math.dist(spoke[3], spoke[0]) or 1.0)
    return x0 + far * (x1 - x0), y0 + far * (y1 - y0)


# -- geometry


def _edge(p: Place, towards: Point) -> Point:
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


def _angle(p: Place, point: Point) -> float:
    return math.atan2(point[1] - p.y, point[0] - p.x)


def _at(c: Curve, t: float) -> Point:
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
        low = next((t / 200 for t in range(200) if math.dist(_at(c, t / 200), c[0]) >= HEAD), 0.4)
    if end:
        high = next((1 - t / 200 for t in range(200) if math.dist(_at(c, 1 - t / 200), c[3]) >= HEAD), 0.6)
    return _part(c, low, high)


def _part(c: Curve, low: float, high: float) -> Curve:
    def slope(t: float) -> Point:
        u = 1 - t
        w = (-3 * u * u, 3 * u * u - 6 * u * t, 6 * u * t - 3 * t * t, 3 * t * t)
        return (
            sum(a * p[0] for a, p in zip(w, c, strict=True)),
            sum(a * p[1] for a, p in zip(w, c, strict=True)),
        )

    p0, p3, s0, s3 = _at(c, low), _at(c, high), slope(low), slope(high)
    h = (high - low) / 3
    return p0, (p0[0] + h * s0[0], p0[1] + h * s0[1]), (p3[0] - h * s3[0], p3[1] - h * s3[1]), p3


def _box(p: Place, more: float) -> Box:
    half, tall = p.width / 2 + more, p.height / 2 + more
    return p.x - half, p.y - tall, p.x + half, p.y + tall


def _inside(p: Point, b: Box) -> bool:
    return b[0] <= p[0] <= b[2] and b[1] <= p[1] <= b[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _meets(c: Curve, b: Box) -> bool:
    return any(_inside(_at(c, k / 24), b) for k in range(25))
