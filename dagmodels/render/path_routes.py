"""How lines of a path diagram run: straight where nothing is in the way, covariances as arcs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dagmodels.render.path_diagram import Line, PathDiagram
from dagmodels.render.path_geometry import (
    LINE,
    Box,
    Curve,
    Point,
    Route,
    angle_of,
    around,
    box_of,
    edge,
    inside,
    label_size,
    meets,
    near,
    overlap,
    point_at,
    samples,
)
from dagmodels.render.path_hanging import LOOP, hang
from dagmodels.render.path_layout import Place, label_width, places

ARC = 30.0  # how much higher an arc is than one that it spans
STRETCH = 1.15  # of distances, while labels cover anything
STRETCHES = 9


def arranged(d: PathDiagram) -> tuple[dict[str, Place], list[Route]]:
    """Places and lines, as far apart as it takes for labels to cover neither shapes nor one another."""
    where, drawn = places(d), list[Route]()
    for step in range(STRETCHES):
        where = places(d, STRETCH**step)
        drawn = routes(d, where)
        if not covered(drawn, where):
            break
    return where, drawn


def covered(drawn: list[Route], places: dict[str, Place]) -> bool:
    """Whether a label covers a shape or another label."""
    taken = [box_of(p, 0.0) for p in places.values()]
    for r in drawn:
        if r.label:
            box = around(r.at, label_size(r.label))
            if any(overlap(box, b) for b in taken):
                return True
            taken.append(box)
    return False


def routes(d: PathDiagram, places: dict[str, Place]) -> list[Route]:
    """All lines, with labels that keep clear of shapes and of one another where there is room."""
    drawn: list[tuple[Line, Curve, str, str]] = []
    bands = {p.band for p in places.values()}
    level = [a for a in d.arcs if places[a.start].band == places[a.end].band]
    flat = [a for a in level if not a.given or places[a.start].band != "below"]
    both = {(a.start, a.end) for a in d.arrows}
    for a in d.arrows:
        drawn.append((a, _straight(places, a.start, a.end, (a.end, a.start) in both), "f", "path"))
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
        for name, end, inner in (
            (line.start, curve[0], point_at(curve, 0.15)),
            (line.end, curve[3], point_at(curve, 0.85)),
        ):
            used[name].append(angle_of(places[name], end))
            used[name].append(angle_of(places[name], inner))
    hung = hang(d, places, used, [c for _, c, _, _ in drawn])
    return _labelled(drawn, hung, places)


# -- lines


def _straight(places: dict[str, Place], start: str, end: str, mutual: bool) -> Curve:
    """A straight arrow, or the least bent one that meets no third shape.

    mutual : there is one the other way, too, and each keeps to its side.
    """
    others = [box_of(p, 3.0) for n, p in places.items() if n not in (start, end)]
    best, fewest = None, 10**6
    for bend in (14.0 if mutual else 0.0, 26.0, -26.0, 48.0, -48.0, 76.0, -76.0, 110.0, -110.0):
        curve = _curve(places[start], places[end], bend)
        hits = sum(meets(curve, b) for b in others)
        if hits < fewest:
            best, fewest = curve, hits
        if not hits:
            break
    assert best is not None
    return best


def _bent(places: dict[str, Place], start: str, end: str) -> Curve:
    """A covariance of variables in different rows."""
    others = [box_of(p, 3.0) for n, p in places.items() if n not in (start, end)]
    tried = [
        _curve(places[start], places[end], b) for b in (36.0, -36.0, 60.0, -60.0, 90.0, -90.0, 130.0, -130.0)
    ]
    return min(tried, key=lambda c: sum(meets(c, b) for b in others))


def _curve(a: Place, b: Place, bend: float) -> Curve:
    dx, dy = b.x - a.x, b.y - a.y
    long = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / long * bend, dx / long * bend
    c1 = (a.x + dx / 3 + 1.33 * nx, a.y + dy / 3 + 1.33 * ny)
    c2 = (a.x + 2 * dx / 3 + 1.33 * nx, a.y + 2 * dy / 3 + 1.33 * ny)
    start, end = edge(a, c1), edge(b, c2)
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


# -- labels


def _labelled(
    drawn: list[tuple[Line, Curve, str, str]], hung: list[Route], places: dict[str, Place]
) -> list[Route]:
    """Labels of arrows and arcs, each where it slides to along its line; those that hang are placed."""
    shapes = [box_of(p, 1.0) for p in places.values()]
    lines = [samples(c) for _, c, _, _ in drawn]
    loops = [samples(r.curve) for r in hung]
    taken: list[Box] = [around(r.at, label_size(r.label)) for r in hung if r.label]
    found: list[Route] = []
    for number, (line, curve, heads, kind) in enumerate(drawn):
        at = point_at(curve, 0.5)
        if line.label:
            size = label_size(line.label)
            first = 0.62 if kind == "path" else 0.5
            others = [*loops, *(ps for k, ps in enumerate(lines) if k != number)]
            close = near(at, math.dist(curve[0], curve[3]) + size[0])
            boxes = [b for b in (*taken, *shapes) if close(b)]
            least = math.inf
            for t in sorted((k / 40 for k in range(6, 35)), key=lambda t: abs(t - first)):
                centre = point_at(curve, t)
                box = around(centre, size)
                cost = 60.0 * sum(overlap(box, b) for b in boxes) + abs(t - first)
                if cost < least:
                    cost += sum(inside(p, box) for ps in others for p in ps)
                if cost < least:
                    at, least = centre, cost
            taken.append(around(at, size))
        found.append(Route(curve, heads, line.label, at, line.fixed, (line.start, line.end), kind))
    return [*found, *hung]
