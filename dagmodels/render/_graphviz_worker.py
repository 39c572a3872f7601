"""Run as a script in a process of its own: DOT text on standard input, the picture on standard output.

Arguments: the folder that holds pygraphviz, and the format. Imports nothing of this package.

Graphviz draws arrows over the titles of plates as if those were not there. Before drawing, the titles
that an arrow would cross are moved: to another corner of their box, or beside what is in it.

It also places the nodes outside of plates without regard to what their arrows cross inside. Where they
do, the other orders of these nodes are tried, and the one with the fewest crossings is drawn.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

# Where a title may stand: above or below, left, centred or right, and how many points its box is made
# wider to make room beside what is in it. The order is the preference.
Place = tuple[str, str, int]
_PLACES: tuple[Place, ...] = tuple(
    (loc, just, wider)
    for wider, justified in ((0, "rlc"), (24, "rl"), (48, "rl"), (96, "rl"))
    for loc in "bt"
    for just in justified
)
_LAYOUTS = 40
_WORK = 4000  # nodes and arrows laid out in all, so that a large picture does not wait for its titles
_CLEAR = 1.5
_BLANK = "\u00a0"
_SPACE = 3.8  # points of a no-break space in the titles' size

PLACED = 'layout="nop2"'
NO_PYGRAPHVIZ = 3
"""Exit status when pygraphviz is there but cannot be imported."""

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]


def main(folder: str, format_: str) -> None:
    """Lay out and draw with the Graphviz that pygraphviz carries."""
    sys.path.insert(0, folder)
    try:
        import pygraphviz
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(NO_PYGRAPHVIZ)

    text = sys.stdin.buffer.read().decode("utf-8")
    if PLACED in text:  # every place is given: nothing to lay out
        graph = pygraphviz.AGraph(string=text)
        if format_ == "png":
            graph.graph_attr["dpi"] = "144"
        sys.stdout.buffer.write(graph.draw(format=format_, prog="nop2"))
        sys.stdout.flush()
        os._exit(0)

    def laid_out(text: str) -> Any:
        return json.loads(pygraphviz.AGraph(string=text).draw(format="json0", prog="dot"))

    text = untangled(text, laid_out)

    def drawn(places: Mapping[str, Place], format_: str, dpi: str = "") -> bytes:
        graph = pygraphviz.AGraph(string=text)
        for box in _boxes(graph):
            if box.name in places:
                _move(box, places[box.name])
        if dpi:
            graph.graph_attr["dpi"] = dpi
        return graph.draw(format=format_, prog="dot")

    places = clear_places(lambda chosen: json.loads(drawn(chosen, "json0")))
    sys.stdout.buffer.write(drawn(places, format_, "144" if format_ == "png" else ""))
    sys.stdout.flush()
    os._exit(0)  # the libraries' own clean-up is slow and has crashed after the work was done


def _boxes(graph: Any) -> Iterator[Any]:
    for box in graph.subgraphs():
        yield box
        yield from _boxes(box)


def _move(box: Any, place: Place) -> None:
    loc, just, wider = place
    box.graph_attr["labelloc"], box.graph_attr["labeljust"] = loc, just
    if wider:
        label = box.graph_attr["label"]
        space = _BLANK * round(wider / _SPACE)
        label = space + label if just == "r" else label + space
        # pygraphviz hands out HTML-like labels without their angle brackets
        box.graph_attr["label"] = f"<{label}>" if "<BR ALIGN" in label else label


_NODE = re.compile(r'  "(?:[^"\\]|\\.)*" \[.*\];')
_ARROW = re.compile(r'  "(?:[^"\\]|\\.)*" -> .*;')
_MOST_ARROWS = 80  # more cross in any order


def untangled(text: str, layout: Callable[[str], Any]) -> str:
    """The text with its outermost nodes in that order which lets the fewest arrows cross.

    layout : of a text, as Graphviz's JSON. The order as written is kept unless another is better and
        makes the picture no more than a quarter wider.
    """
    trials = orders(text)
    if len(trials) == 1:
        return text
    first = layout(text)
    best, fewest = text, tangles(first)
    for trial in trials[1:]:
        if not fewest:
            break
        found = layout(trial)
        count = tangles(found)
        if count < fewest and _width(found) <= 1.25 * _width(first):
            best, fewest = trial, count
    return best


def _width(layout: Any) -> float:
    return float(layout["bb"].split(",")[2])


def orders(text: str) -> list[str]:
    """The same graph with its outermost nodes as written, behind the boxes, and both backwards.

    Only of texts as the package writes them, one statement a line; any other text as it is.
    """
    lines = text.splitlines()
    nodes = [line for line in lines if _NODE.fullmatch(line)]
    arrows = [line for line in lines if _ARROW.fullmatch(line)]
    first = min((i for i, line in enumerate(lines) if line in nodes), default=len(lines))
    head, rest = lines[:first], lines[first:-1]
    boxes = [line for line in rest if not (_NODE.fullmatch(line) or _ARROW.fullmatch(line))]
    plain = boxes[:1] == [] or (boxes[0].startswith("  subgraph ") and boxes[-1] == "  }")
    if not nodes or not boxes or not plain or not 1 < len(arrows) <= _MOST_ARROWS or lines[-1] != "}":
        return [text]
    back = nodes[::-1]
    parts = ([*nodes, *boxes], [*boxes, *nodes], [*back, *boxes], [*boxes, *back])
    found = ("\n".join([*head, *part, *arrows, "}"]) + "\n" for part in parts)
    return list(dict.fromkeys([text, *found]))


def tangles(layout: Any) -> int:
    """How many pairs of arrows cross in a layout as Graphviz's JSON."""
    lines = [list(polyline(edge["pos"])) for edge in layout.get("edges", ()) if "pos" in edge]
    return sum(_meet(a, b) for a, b in combinations(lines, 2))


def _meet(one: list[Point], other: list[Point]) -> bool:
    if not _near(_around(one), _around(other)):
        return False
    left = [(a, b, _around([a, b])) for a, b in pairwise(one)]
    right = [(c, d, _around([c, d])) for c, d in pairwise(other)]
    return any(_near(r, s) and _cross(a, b, c, d) for a, b, r in left for c, d, s in right)


def _around(points: list[Point]) -> Rectangle:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def _near(r: Rectangle, s: Rectangle) -> bool:
    return r[0] <= s[2] and s[0] <= r[2] and r[1] <= s[3] and s[1] <= r[3]


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments a-b and c-d cross properly: each has its ends on both sides of the other."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def clear_places(layout: Callable[[Mapping[str, Place]], Any]) -> dict[str, Place]:
    """Places for those titles that arrows would cross where they stand.

    One title after the other is tried in every place until nothing crosses it; the best is kept when
    none is free. The number of layouts is limited by the size of the picture, not by a clock: equal
    text gives equal pictures.
    """
    chosen: dict[str, Place] = {}
    first = layout(chosen)
    best = crossings(first)
    left = min(_LAYOUTS, _WORK // max(1, len(first.get("objects", ())) + len(first.get("edges", ()))))
    for title in [name for name, count in best.items() if count]:
        for place in _PLACES[: left if best[title] else 0]:
            trial = {**chosen, title: place}
            found = crossings(layout(trial))
            left -= 1
            if sum(found.values()) < sum(best.values()):
                chosen, best = trial, found
            if not best[title]:
                break
    return chosen


def crossings(layout: Any) -> dict[str, int]:
    """How many arrows cross the title of each box, by the box's name, in a layout as Graphviz's JSON."""
    lines = [list(polyline(edge["pos"])) for edge in layout.get("edges", ()) if "pos" in edge]
    found = {}
    for box in layout.get("objects", ()):
        if "lp" in box and "bb" in box:
            x, y = (float(part) for part in box["lp"].split(","))
            half, tall = 36 * float(box["lwidth"]) + _CLEAR, 36 * float(box["lheight"]) + _CLEAR
            title = _text_part(box, (x - half, y - tall, x + half, y + tall))
            found[box["name"]] = sum(any(_cuts(a, b, title) for a, b in pairwise(line)) for line in lines)
    return found


def _text_part(box: Any, whole: Rectangle) -> Rectangle:
    """The title's rectangle without the spaces that widen its box."""
    left, bottom, right, top = whole
    space = _SPACE * box.get("label", "").count(_BLANK)
    if box.get("labeljust") == "r":
        return (min(left + space, right), bottom, right, top)
    return (left, bottom, max(right - space, left), top)


def polyline(pos: str) -> Iterator[Point]:
    """Points along an edge's Bezier curves, arrow heads included."""
    head, tail, points = None, None, []
    for part in pos.split():
        kind, _, rest = part.rpartition(",") if part[0] not in "se" else (part[0], "", part[2:])
        if kind in ("s", "e"):
            point = _point(rest)
            tail, head = (point, head) if kind == "s" else (tail, point)
        else:
            points.append(_point(part))
    if tail is not None:
        yield tail
    for i in range(0, len(points) - 3, 3):
        a, b, c, d = points[i : i + 4]
        for step in range(13):
            t = step / 12
            u = 1 - t
            weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
            yield tuple(sum(w * p[k] for w, p in zip(weights, (a, b, c, d), strict=True)) for k in (0, 1))  # type: ignore[misc]
    if head is not None:
        yield head


def _point(text: str) -> Point:
    x, y = text.split(",")[:2]
    return float(x), float(y)


def _cuts(a: Point, b: Point, r: Rectangle) -> bool:
    """Whether the segment a-b meets the rectangle (Liang and Barsky's clipping)."""
    start, end = 0.0, 1.0
    for k in (0, 1):
        move = b[k] - a[k]
        low, high = r[k] - a[k], r[k + 2] - a[k]
        if move == 0:
            if low > 0 or high < 0:
                return False
            continue
        t1, t2 = sorted((low / move, high / move))
        start, end = max(start, t1), min(end, t2)
        if start > end:
            return False
    return True


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
