"""Tables drawn from their posterior and cases completed given these: data augmentation.

Counts of hidden states are drawn given tables, tables given counts, in turn (Tanner and Wong 1987, "The
calculation of posterior distributions by data augmentation"). Given complete counts a row of a table is
Dirichlet. Its prior is that of the fit, and one case spread as the estimate says: draws have the estimate
for their mean but for O(1/n), cells estimated at zero stay there, and no cell is caught at zero by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.tables.expectation import Expectation
from dagmodels.backends.em.tables.layout import Layout
from dagmodels.backends.em.tables.loop import Ascent, Optimum
from dagmodels.bind.problem import Problem
from dagmodels.fits.network.draw import drawn
from dagmodels.fits.network.engine import Network
from dagmodels.forms.table_counts import TableCounts, case_codes

Floats = NDArray[np.float64]
SHARE = 0.01  # of the variance along the slowest direction that a chain may lack
LEAST, MOST = 2, 500  # steps of a chain


@dataclass(frozen=True, eq=False)
class Completion:
    """Draws what is missing of cases whose tables were estimated.

    cells : the estimates. best : the optimum, for the rate at which chains forget where they began.
    """

    problem: Problem
    form: TableCounts
    layout: Layout
    cells: Floats
    best: Optimum

    def __call__(
        self, streams: Sequence[np.random.SeedSequence], estimates: object = None
    ) -> list[dict[str, Floats]]:
        """By stream the codes of all cases, by node that is seen in some and not in others.

        estimates : not asked; tables are drawn here.
        """
        net = self.form.tables
        codes = case_codes(self.problem, net)
        gaps = (codes < 0).any(axis=0) & np.array([n in self.problem.values for n in net.names])
        lost = (codes[:, gaps] < 0).any(axis=1)
        expectation, steps = Expectation(self.form), self.steps()
        found: list[dict[str, Floats]] = []
        for stream in streams:
            rng = np.random.default_rng(stream)
            cells = self.drawn_cells(expectation, steps, rng)
            whole = codes.copy()
            whole[lost] = drawn(self._network(cells), codes[lost], rng)
            found.append({net.names[i]: whole[:, i].astype(float) for i in np.flatnonzero(gaps)})
        return found

    def steps(self) -> int:
        """How many, by the largest share of the information that is hidden: draws that far apart have a
        correlation of that share to the power of their distance (Liu, Wong and Kong 1994)."""
        if not self.layout.coupled.any():
            return 1
        inside = self.best.information
        if inside is None:
            hidden = Ascent(Expectation(self.form), self.layout).slowness(self.best.cells)
        else:
            hidden = 1.0 - inside.smallest
        if not 0 < hidden < 1:
            return LEAST if hidden <= 0 else MOST
        return int(np.clip(math.ceil(math.log(SHARE) / (2 * math.log(hidden))), LEAST, MOST))

    def drawn_cells(self, expectation: Expectation, steps: int, rng: np.random.Generator) -> Floats:
        """Tables drawn by so many steps from the estimates."""
        layout, cells = self.layout, self.cells
        for _ in range(steps):
            weights = expectation.drawn(cells, rng) + layout.prior + self.cells
            new = rng.standard_gamma(np.where(self.cells > 0, weights, 0.0))
            totals = np.add.reduceat(new, layout.firsts)[layout.rows]
            with np.errstate(invalid="ignore", divide="ignore"):
                cells = np.where(layout.free & (totals > 0), new / totals, self.cells)
        return cells

    def _network(self, cells: Floats) -> Network:
        net, starts = self.form.tables, self.form.starts
        numbers = tuple(
            cells[a:b].reshape([net.sizes[i] for i in family])
            for a, b, family in zip(starts[:-1], starts[1:], net.families, strict=True)
        )
        return Network(replace(net, numbers=numbers))


def completion(
    problem: Problem, form: TableCounts, layout: Layout, cells: Floats, best: Optimum
) -> Completion | None:
    """What draws missing cells; None for cases that are counted and not kept, or that lack nothing."""
    shown: Mapping[str, NDArray[np.bool_]] = problem.observed
    if problem.repeats or all(shown[n].all() for n in form.tables.names if n in problem.values):
        return None
    return Completion(problem, form, layout, cells, best)


__all__ = ["Completion", "completion"]
