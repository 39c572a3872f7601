"""Where variables stand in a path diagram: factors above their indicators, causes above effects.

Indicators form rows of their own: those of exogenous factors with effects above, all others below. What has
no latent variable runs from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dagmodels.render.path_diagram import PathDiagram

ROW = 104.0
CROWDED = 16  # indicators in a row beyond which they stand in two
GAP = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A shape: centre, width and height in points. band : rows of equal name align; the normal (nx, ny) is
    the side that is free for covariances within the row."""

    x: float
    y: float
    width: float
    height: float
    latent: bool
    band: str
    normal: tuple[int, int]


def size_of(name: str, latent: bool) -> tuple[float, float]:
    """Width and height of a variable's shape."""
    if latent:
        return max(58.0, 8.2 * len(name) + 24.0), 36.0
    return max(36.0, 7.6 * len(name) + 12.0), 24.0


def label_width(lines: tuple[str, ...]) -> float:
    """Of lines of small text."""
    return 5.7 * max((len(line) for line in lines), default=0) + 4.0


def places(d: PathDiagram, stretch: float = 1.0) -> dict[str, Place]:
    """The place of every variable; the upper left corner is near zero, y grows upwards.

    stretch : of the distances along rows; those between rows grow by a third of it.
    """
    found = _Plan(d).down() if d.latent else _Plan(d).across()
    if stretch == 1.0:
        return found
    wide, tall = (stretch, 1 + (stretch - 1) / 3) if d.latent else (1 + (stretch - 1) / 3, stretch)
    return {n: replace(p, x=p.x * wide, y=p.y * tall) for n, p in found.items()}


class _Plan:
    def __init__(self, d: PathDiagram) -> None:
        self.d = d
        self.parents: dict[str, list[str]] = {n: [] for n in d.variables}
        self.children: dict[str, list[str]] = {n: [] for n in d.variables}
        self.loading: dict[str, float] = {}
        for a in d.arrows:
            self.parents[a.end].append(a.start)
            self.children[a.start].append(a.end)
            self.loading[a.end] = max(self.loading.get(a.end, 0.0), label_width(a.label))
        self.size = {n: size_of(n, n in d.latent) for n in d.variables}

    # -- who stands in which band

    def down(self) -> dict[str, Place]:
        d = self.d
        items = [n for n in d.variables if self._is_item(n)]
        held = {f: [i for i in items if f in self.parents[i]] for f in d.variables if f in d.latent}
        owner = {
            i: min((f for f in self.parents[i] if f in d.latent), key=lambda f: len(held[f])) for i in items
        }
        feeding = [
            n for n in d.variables
            if n not in d.latent and n not in items and not self.parents[n] and self.children[n]
            and all(c in owner for c in self.children[n])
        ]  # fmt: skip
        core = [n for n in d.variables if n not in items and n not in feeding]
        inner = {n for n in core if any(c in core for c in self.children[n])}
        owners = {f: {owner[i] for i in own} for f, own in held.items()}
        general = [f for f in core if f not in inner and f not in owners.get(f, {f}) and len(owners[f]) > 1]
        core = [n for n in core if n not in general]
        level = self._levels(core)
        above = [
            f for f in core
            if level[f] == 0 and f in inner and f in owners.get(f, ())
        ]  # fmt: skip
        upper = [i for f in above for i in items if owner[i] == f]
        lower = [i for f in core if f not in above for i in items if owner[i] == f]
        level = self._flattened(level, core, above, owner)
        x: dict[str, float] = {}
        half = self._row_of_items(lower, x, owner), self._row_of_items(upper, x, owner)
        for row in (lower, upper):
            centre = (x[row[0]] + x[row[-1]]) / 2 if row else 0.0
            for i in row:
                x[i] -= centre
        self._core(core, level, held, x)
        found: dict[str, Place] = {}
        y = 0.0
        if upper:
            self._put_items(upper, half[1], y, x, found, "upper", 1)
            y -= ROW
        for row in range(1 + max((level[n] for n in core), default=0)):
            names = [n for n in core if level[n] == row]
            for n in names:
                found[n] = Place(x[n], y, *self.size[n], n in d.latent, f"core{row}", (0, 1))
            y -= ROW
        if lower:
            self._put_items(lower, half[0], y, x, found, "lower", -1)
            y -= ROW + (34.0 if half[0] else 0.0)
        below = [*feeding, *general]
        self._spread(below, {n: self._middle(self.children[n], x) for n in below}, x)
        for n in below:
            found[n] = Place(x[n], y, *self.size[n], n in d.latent, "below", (0, -1))
        return found

    def _is_item(self, name: str) -> bool:
        d = self.d
        return (
            name not in d.latent
            and not self.children[name]
            and any(p in d.latent for p in self.parents[name])
        )

    def _levels(self, names: list[str]) -> dict[str, int]:
        """Longest way from a variable without causes; a cycle adds nothing."""
        level = dict.fromkeys(names, 0)
        back = self._returning(names)
        for _ in names:
            for n in names:
                before = [level[p] + 1 for p in self.parents[n] if p in level and (p, n) not in back]
                level[n] = max([0, *before])
        return level

    def _returning(self, names: list[str]) -> set[tuple[str, str]]:
        """Arrows that close a cycle, in the order of the variables."""
        kept: dict[str, set[str]] = {n: set() for n in names}
        back = set()

        def reaches(a: str, b: str) -> bool:
            seen, queue = {a}, [a]
            while queue:
                for c in kept[queue.pop()] - seen:
                    seen.add(c)
                    queue.append(c)
            return b in seen

        for n in names:
            for c in self.children[n]:
                if c in kept:
                    if reaches(c, n):
                        back.add((n, c))
                    else:
                        kept[n].add(c)
        return back

    def _flattened(
        self, level: dict[str, int], core: list[str], above: list[str], owner: dict[str, str]
    ) -> dict[str, int]:
        """Effects with indicators share one row where their arrows tie neighbours alone."""
        ends = [n for n in core if level[n] > 0]
        owners = set(owner.values())
        if (
            not ends
            or any(n not in owners for n in ends)
            or any(level[n] == 0 and n not in above for n in core)
        ):
            return level
        number = {n: k for k, n in enumerate(ends)}
        inner = [
            (number[a.start], number[a.end]) for a in self.d.arrows if a.start in number and a.end in number
        ]
        if any(abs(a - b) != 1 for a, b in inner):
            return level
        return {n: min(v, 1) for n, v in level.items()}

    # -- places within rows

    def _row_of_items(self, row: list[str], x: dict[str, float], owner: dict[str, str]) -> bool:
        """Indicators beside one another, in two rows by turns when they are many."""
        half = len(row) > CROWDED and not (self.d.own or self.d.means)
        at = 0.0
        for k, i in enumerate(row):
            if k:
                before = row[k - 1]
                own = (self.size[i][0] + self.size[before][0]) / 2 + GAP
                told = (self.loading[i] + self.loading[before]) / 2 / 0.62 + 8
                step = max(own, told, (self._hanging(i) + self._hanging(before)) / 2)
                at += step * (0.62 if half else 1.0) + (16.0 if owner[i] != owner[before] else 0.0)
            x[i] = at
        return half

    def _hanging(self, name: str) -> float:
        """Room for what hangs on a shape: labels of its loop and its mean side by side."""
        lines = [line for line in (self.d.own.get(name), self.d.means.get(name)) if line is not None]
        return sum(label_width(line.label) + GAP for line in lines)

    def _put_items(
        self,
        row: list[str],
        half: bool,
        y: float,
        x: dict[str, float],
        found: dict[str, Place],
        band: str,
        up: int,
    ) -> None:
        for k, i in enumerate(row):
            away = 34.0 * (k % 2) * up if half else 0.0
            found[i] = Place(x[i], y + away, *self.size[i], False, band, (0, up))

    def _core(
        self, core: list[str], level: dict[str, int], held: dict[str, list[str]], x: dict[str, float]
    ) -> None:
        """Factors over their indicators, siblings side by side, others over their effects."""
        wanted: dict[str, float] = {}
        for f in core:
            if held.get(f):
                wanted[f] = self._middle(held[f], x)
        siblings: dict[float, list[str]] = {}
        for f, at in wanted.items():
            siblings.setdefault(round(at, 3), []).append(f)
        for at, group in siblings.items():
            together = [f for f in group if level[f] == level[group[0]]]
            wide = 70.0 + max(self.size[f][0] for f in together)
            for k, f in enumerate(together):
                wanted[f] = at + (k - (len(together) - 1) / 2) * wide
        for _ in range(4):
            for n in sorted(core, key=lambda n: -level[n]):
                if n not in wanted or not held.get(n):
                    near = [
                        wanted[m] for m in (*self.children[n], *self.parents[n]) if m in wanted and m != n
                    ]
                    if near:
                        wanted[n] = sum(near) / len(near)
        for row in sorted(set(level.values())):
            names = [n for n in core if level[n] == row]
            self._spread(names, {n: wanted.get(n, 0.0) for n in names}, x, 62.0)

    @staticmethod
    def _middle(names: list[str], x: dict[str, float]) -> float:
        at = [x[n] for n in names if n in x]
        return (min(at) + max(at)) / 2 if at else 0.0

    def _spread(
        self, names: list[str], wanted: dict[str, float], x: dict[str, float], apart: float = 34.0
    ) -> None:
        """Near where they are wanted, without overlaps."""
        order = sorted(names, key=lambda n: wanted[n])
        at: list[float] = []
        for k, n in enumerate(order):
            if k:
                least = at[-1] + (self.size[n][0] + self.size[order[k - 1]][0]) / 2 + apart
                at.append(max(wanted[n], least))
            else:
                at.append(wanted[n])
        shift = sum(wanted[n] - a for n, a in zip(order, at, strict=True)) / max(len(order), 1)
        x.update({n: a + shift for n, a in zip(order, at, strict=True)})

    # -- from left to right

    def across(self) -> dict[str, Place]:
        names = list(self.d.variables)
        level = self._levels(names)
        rows = [[n for n in names if level[n] == r] for r in range(1 + max(level.values(), default=0))]
        tall = 66.0
        y: dict[str, float] = {}
        for row in rows:
            if len(row) > 1:  # sorted by where their causes stand
                row.sort(key=lambda n: -_mean([y[p] for p in self.parents[n] if p in y]))
            for k, n in enumerate(row):
                y[n] = ((len(row) - 1) / 2 - k) * tall
        for r, row in enumerate(rows[1:-1], start=1):  # out of the way of arrows that pass
            passing = {
                round((y[a.start] + y[a.end]) / 2, 3)
                for a in self.d.arrows if level[a.start] < r < level[a.end]
            }  # fmt: skip
            if any(abs(y[n] - p) < 20 for n in row for p in passing):
                for n in row:
                    y[n] += tall * 0.5 if len(row) % 2 == 0 else tall
        wide = [max(self.size[n][0] for n in row) for row in rows]
        found, x = {}, 0.0
        for r, row in enumerate(rows):
            if r:
                told = max([label_width(a.label) for a in self.d.arrows], default=0.0)
                x += (wide[r] + wide[r - 1]) / 2 + max(84.0, 2.2 * told)
            for n in row:
                normal = (-1, 0) if r == 0 else (1, 0)
                found[n] = Place(x, y[n], *self.size[n], False, f"core{r}", normal)
        return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
