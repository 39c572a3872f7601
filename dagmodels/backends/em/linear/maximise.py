"""Unknowns at their best given expected moments; their gradient; unconstrained numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.linear.expectation import Expectation, Expected, Numbers
from dagmodels.forms.linear_cases import LinearCases

Floats = NDArray[np.float64]
SHRUNK = 1e-6  # of the spread of the data: a scale below ran onto single values
LEAST = 1e-14  # a probability stays above


class Shrunk(ArithmeticError):
    """A scale ran to zero; its name."""


@dataclass(frozen=True, eq=False, slots=True)
class Maximisation:
    """The M-step of a form. spread : standard deviations of all that is seen, a scale's natural size."""

    form: LinearCases
    expectation: Expectation
    spread: float

    @classmethod
    def of(cls, form: LinearCases, expectation: Expectation) -> Maximisation:
        """Of a form."""
        seen = [column[~np.isnan(column)] for column in form.values[:, form.first :].T]
        spreads = [float(np.std(column)) for column in seen if column.size]
        return cls(form, expectation, float(np.mean(spreads)) if any(spreads) else 1.0)

    def __call__(self, found: Expected, old: Numbers) -> Numbers:
        """Locations given the scales, then scales, then probabilities: each at its best.

        Raises
        ------
        Shrunk : a scale that runs to zero.
        """
        locations = self.locations(found, old)
        moved = Numbers(locations, old.scales, old.cells)
        squares, counts = self.squares(found, moved)
        scales = old.scales.copy()
        used = counts > 0
        scales[used] = np.sqrt(np.maximum(squares[used], 0.0) / counts[used])
        for e in np.flatnonzero(scales < SHRUNK * self.spread).tolist():
            raise Shrunk(self.form.scales[e][0])
        return Numbers(locations, scales, self.probabilities(found, old))

    def locations(self, found: Expected, old: Numbers) -> Floats:
        """Normal equations over all nodes and states."""
        k = len(self.form.locations)
        left, right = np.zeros((k, k)), np.zeros(k)
        if not k:
            return right
        for i, (law, sd) in enumerate(zip(self.form.laws, self.expectation.deviations(old), strict=True)):
            used = np.flatnonzero(law.design.any(axis=(0, 1)))
            d = law.design[:, :, used]
            own = found.moments[:, :, self.form.first + i]
            rest = own - np.einsum("sij,sj->si", found.moments, law.base)
            weighted = d / (sd**2)[:, None, None]
            left[np.ix_(used, used)] += np.einsum(
                "sia,sij,sjb->ab", weighted, found.moments, d, optimize=True
            )
            right[used] += np.einsum("sia,si->a", weighted, rest)
        size = np.sqrt(np.maximum(np.diag(left), 1e-300))
        moved, *_ = np.linalg.lstsq(
            left / size[:, None] / size, right / size - (left @ old.locations) / size, 1e-11
        )
        return old.locations + moved / size

    def squares(self, found: Expected, at: Numbers) -> tuple[Floats, Floats]:
        """Expected sums of squared residuals, and how many there are, by unknown scale."""
        squares, counts = np.zeros(len(self.form.scales)), np.zeros(len(self.form.scales))
        for i, (law, b) in enumerate(zip(self.form.laws, self.expectation.coefficients(at), strict=True)):
            free = law.scale >= 0
            np.add.at(squares, law.scale[free], self._residual(found, b, i)[free])
            np.add.at(counts, law.scale[free], found.counts[free])
        return squares, counts

    def _residual(self, found: Expected, b: Floats, node: int) -> Floats:
        at = self.form.first + node
        contrast = -b
        contrast[:, at] += 1.0
        return np.einsum("si,sij,sj->s", contrast, found.moments, contrast, optimize=True)

    def cell_counts(self, found: Expected) -> Floats:
        """Expected numbers of cases by cell."""
        counts = np.zeros(len(self.form.cells))
        for share in self.form.shares:
            free = share.cell >= 0
            np.add.at(counts, share.cell[free], found.counts[free])
        return counts

    def probabilities(self, found: Expected, old: Numbers) -> Floats:
        """Shares of expected counts; rows without any keep their numbers."""
        counts, cells = self.cell_counts(found), old.cells.copy()
        for row in self.form.rows:
            own = counts[list(row)]
            if own.sum() > 0:
                cells[list(row)] = np.maximum(own / own.sum(), LEAST)
        return cells

    def gradient(self, found: Expected, at: Numbers) -> Floats:
        """Of the log likelihood in the unconstrained numbers (Fisher's identity)."""
        slope = np.zeros(len(self.form.locations))
        both = zip(
            self.form.laws, self.expectation.coefficients(at), self.expectation.deviations(at), strict=True
        )
        for i, (law, b, sd) in enumerate(both):
            rest = found.moments[:, :, self.form.first + i] - np.einsum("sij,sj->si", found.moments, b)
            slope += np.einsum("sia,si->a", law.design, rest / (sd**2)[:, None])
        squares, counts = self.squares(found, at)
        cells = self.cell_counts(found)
        logits = [
            cells[list(row[:-1])] - cells[list(row)].sum() * at.cells[list(row[:-1])]
            for row in self.form.rows
        ]
        return np.concatenate([slope, squares / at.scales**2 - counts, *logits])

    def free(self, at: Numbers) -> Floats:
        """Unconstrained numbers: locations, logarithms of scales, logits against each row's last cell."""
        logs = np.log(np.maximum(at.cells, LEAST))
        logits = [logs[list(row[:-1])] - logs[row[-1]] for row in self.form.rows]
        return np.concatenate([at.locations, np.log(at.scales), *logits])

    def numbers(self, y: Floats) -> Numbers:
        """The reverse of `free`."""
        a, b = len(self.form.locations), len(self.form.locations) + len(self.form.scales)
        cells, at = np.ones(len(self.form.cells)), b
        for row in self.form.rows:
            logits = np.append(y[at : at + len(row) - 1], 0.0)
            shifted = np.exp(logits - logits.max())
            cells[list(row)] = shifted / shifted.sum()
            at += len(row) - 1
        return Numbers(y[:a], np.exp(y[a:b]), cells)
