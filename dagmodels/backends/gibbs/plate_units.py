"""In which units the elements of plates move under trajectories: their own, or those of their law.

Elements x ~ Normal(m, s) with s unknown narrow to a neck where s is small, into which trajectories of x do
not go; those of z = (x - m)/s do.  Where data say much of x, z hangs on m and s instead (Papaspiliopoulos,
Roberts and Skoeld 2007, Statist. Sci. 22:59; Betancourt and Girolami 2015, section 3).  Both show in draws
with their gradients, as distance from a normal law, and the nearer form is taken, element by element where
they differ.  A chain finds out at the end of each window of its warm-up, and goes on in the units chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unknown_scales import unknown_scales, with_unknown_scale
from dagmodels.forms.flat import Flat
from dagmodels.graph.dag import Dag
from dagmodels.numerics.sampling.normality import fisher_divergence

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Masks = Mapping[str, Bools]  # by node, which of its elements stand in standard units
Build = Callable[[Masks], Flat]
POINTS = 50  # draws of a window at which gradients are taken
GAIN = 0.8  # of a distance: what is not lower than this is no reason to change
SAME = 1e-6  # relative difference of what is the same but for rounding
KEPT, NUMBERS = (4, 16), 2e7  # forms at once, of so many numbers together: one a chain, and those tried


class Distances(NamedTuple):
    """From a normal law: as a node moves, all of it as written, and all of it in standard units."""

    chosen: float
    written: float
    standard: float


@dataclass(frozen=True, eq=False, slots=True)
class Units:
    """What a chain moves in. masks : of nodes with elements in standard units. found : what the last window
    said of each node that may be."""

    masks: Masks = field(default_factory=dict)
    found: Mapping[str, Distances] = field(default_factory=dict)


class Forms:
    """One log density in all units of its plates, for any thread.

    written : in the units of the model's text. every : elements of nodes that may stand in standard units.
    """

    def __init__(self, build: Build, discrete: Collection[str]) -> None:
        self.written = build({})
        self._build = build
        kept = int(np.clip(NUMBERS / self.written.tape.initial.size, *KEPT))
        self._kept = lru_cache(maxsize=kept)(self._built)
        nodes = self.written.nodes
        names = with_unknown_scale(self.written.problem.graph, discrete)
        sizes = {n: nodes[n].stop - nodes[n].start for n in names if n in nodes}
        self.every = self.of({n: np.ones(size, dtype=bool) for n, size in sizes.items()}).standard

    def of(self, masks: Masks) -> Flat:
        """The form in these units."""
        return self._kept(_key(masks)) if masks else self.written

    def _built(self, key: tuple[tuple[str, bytes], ...]) -> Flat:
        return self._build({n: np.frombuffer(content, dtype=np.bool_) for n, content in key})

    def chosen(self, units: Units, y: Floats) -> tuple[Units, Floats]:
        """Units to go on in after draws y (n, size) in these, and the draws in the new ones."""
        values = self.of(units.masks).constrain(y)
        few = np.unique(np.linspace(0, len(y) - 1, min(POINTS, len(y))).astype(np.int64))
        trial = _Trial(self, {n: v[few] for n, v in values.items()})
        masks, found = dict(units.masks), dict[str, Distances]()
        for name, every in self.every.items():
            rest = {n: m for n, m in masks.items() if n != name}
            options = [masks, rest, {**rest, name: every}]
            told = [trial.by_element(o, name) for o in options[1:]]
            split = told[1] < told[0]
            if 0 < split.sum() < every.sum() and np.minimum(*told).sum() < GAIN * min(t.sum() for t in told):
                options.append({**rest, name: split})
            far = trial.distances(options)
            best = int(np.argmin(far))
            best = best if far[best] < GAIN * far[0] else 0
            masks, found[name] = options[best], Distances(far[best], far[1], far[2])
        moved = y if _key(masks) == _key(units.masks) else self.of(masks).unconstrain(values, inside=False)
        if not np.isfinite(moved).all():  # a draw on an edge in the new units
            return units, y
        return Units(masks, found), moved


class _Trial:
    """Forms at the same values (n, *plates), each looked at once."""

    def __init__(self, forms: Forms, values: Mapping[str, Floats]) -> None:
        self.forms, self.values = forms, values
        self.known: dict[tuple[tuple[str, bytes], ...], dict[str, Floats]] = {}

    def divergences(self, masks: Masks) -> dict[str, Floats]:
        """By node and flat place (zero where there is no number); not finite where a draw is on an edge, or
        has no gradient."""
        if (key := _key(masks)) not in self.known:
            flat = self.forms.of(masks)
            space, points = flat.workspace(), flat.unconstrain(self.values, inside=False)
            with np.errstate(all="ignore"):
                gradients = np.array([flat.gradient(y, at=space) for y in points])
                every = fisher_divergence(points, gradients)
            found = {n: np.zeros(s.stop - s.start) for n, s in flat.nodes.items()}
            for s in flat.stretches:
                found[s.node][s.entries()] = every[s.start : s.start + s.length]
            self.known[key] = found
        return self.known[key]

    def by_element(self, masks: Masks, name: str) -> Floats:
        """Of a node's own elements, where they may stand in standard units."""
        return np.where(self.forms.every[name], self.divergences(masks)[name], 0.0)

    def distances(self, options: Sequence[Masks]) -> list[float]:
        """From a normal law, over all coordinates that are not the same in all of these."""
        every = np.array([np.concatenate(list(self.divergences(o).values())) for o in options])
        with np.errstate(invalid="ignore"):
            differs = ~(np.ptp(every, axis=0) <= SAME * every.max(axis=0))
        return np.nan_to_num(every[:, differs].sum(axis=1), nan=np.inf).tolist()


def _key(masks: Masks) -> tuple[tuple[str, bytes], ...]:
    return tuple((n, masks[n].tobytes()) for n in sorted(masks) if masks[n].any())


def told(flat: Flat, chains: Sequence[Units]) -> tuple[str, ...]:
    """For each node that could choose a sentence: its units and why, over all chains."""
    sentences = []
    for name in dict.fromkeys(n for c in chains for n in c.found):
        every = [c.found[name] for c in chains if name in c.found]
        low, written, standard = (float(np.median([getattr(d, k) for d in every])) for k in Distances._fields)
        scale = scale_of(flat.problem.graph, name)
        counts = [int(c.masks[name].sum()) if name in c.masks else 0 for c in chains]
        moving = sum(n > 0 for n in counts)
        size = int(np.prod(flat.problem.shape(name), dtype=np.int64))
        if not moving:
            how, against = "as written", f"{standard:.2g} in units of {scale}"
        else:
            some = int(np.median([n for n in counts if n]))
            part = f"{some} of {size} elements of '{name}'" if some < size else f"'{name}'"
            of = "" if moving == len(chains) else f", in {moving} of {len(chains)} chains"
            how = f"{part} in units of {scale}{of}"
            against = f"{written:.2g} as written"
            if some < size:
                against += f", {standard:.2g} with all in these units"
        what = how if moving else f"'{name}' {how}"
        sentences.append(f"{what}: the density is {low:.2g} from a normal law, {against}")
    return tuple(sentences)


def choices(dag: Dag, discrete: Collection[str]) -> dict[str, str]:
    """For each node that may choose in words what, before there are draws."""
    return {
        n: f"as written or in units of {scale_of(dag, n)}, whichever warm-up finds nearer to a normal law"
        for n in with_unknown_scale(dag, discrete)
    }


def scale_of(dag: Dag, name: str) -> str:
    """The unknowns that a node's scale hangs on."""
    names = dict.fromkeys(s for t in dag.nodes[name].statements for s in unknown_scales(dag, t))
    return " and ".join(f"'{s}'" for s in names)
