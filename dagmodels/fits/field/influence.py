"""Leverage and Cook's distance in closed form: leaves Normal and linear, the outer unknowns held.

With A the rows' design on all elements u (latents and coefficients), W the precisions and C the
conditional covariance of u, expected values are A C A' W y + const, so the leverage of row i is
w_i a_i' C a_i.  Leaving out a set S of rows moves u as a shift of each of them would (Christensen,
Pearson and Johnson 1992, Technometrics 34, eq. 2.5 with P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1):

    P_SS = W_S - W_S A_S C A_S' W_S,   d = P_SS^-1 W_S e_S,   u - u_(S) = C A_S' W_S d,

e being the conditional residuals; Cook's distance is the quadratic form of the coefficients' part in the
inverse of their covariance, divided by their number (Cook 1977, Technometrics 19).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.fits.field.solve import Solution
from dagmodels.forms.field import Evaluator
from dagmodels.forms.responses import response_alone, with_responses
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LOST = 1e-9  # an eigenvalue of P_SS below this share of W means that a coefficient hangs on these rows alone


class FieldInfluence:
    """See the module. Elements are those of the kernels; distances do not depend on their coordinates."""

    def __init__(self, solution: Solution) -> None:
        field = solution.field
        self.problem = field.problem
        if not response_alone(field.problem, field.roles):
            raise FitError(
                "leverage and Cook's distance have closed forms where observed nodes are Normal, linear in "
                "what is integrated, and depend on no other observed node; this model is not such"
            )
        self.responses = with_responses(field.problem, field.roles)
        self.evaluator = e = Evaluator(self.responses.field)
        e.criterion(solution.optimum.x)
        precisions = self.responses.precisions(e.w)
        if any(len(members) > 1 for members, _ in precisions):
            raise FitError(
                "leverage and Cook's distance are for scalar observations, not for observed vectors"
            )
        self.pattern = e.field.pattern
        q = self.pattern.n - 1
        y = np.concatenate([r.y for r in self.responses.predictors])
        self.weight = np.concatenate([p[:, 0, 0] for _, p in precisions])
        self._rows(q)
        u = e.elimination.mean()
        known = (self.value * np.append(u, 1.0)[self.element]).sum(axis=0)
        self.residual = y - known
        self.value = np.where(self.element == q, 0.0, self.value)
        self.element = np.where(self.element == q, 0, self.element)
        self.covariance = e.elimination.selected_inverse()
        self.free = np.flatnonzero(self.pattern.kind[:-1] != SCALED)
        self.columns = e.columns(self.free)

    def _rows(self, q: int) -> None:
        """Elements and values of the pieces by row, (pieces, rows); what lacks is the constant times 0."""
        n = self.responses.n
        most = max(len(r.pieces) for r in self.responses.predictors)
        self.element, self.value = np.full((most, n), q), np.zeros((most, n))
        w = self.evaluator.w
        for r, c in zip(self.responses.predictors, self.responses.cells, strict=True):
            for k, p in enumerate(r.pieces):
                self.element[k, c.part] = p.element
                self.value[k, c.part] = p.data * w[p.source]

    def leverage(self) -> dict[str, Floats]:
        """By observed node in its shape, NaN where nothing was observed."""
        return self._spread(self._leverages())

    def _leverages(self) -> Floats:
        total = np.zeros(self.responses.n)
        for a in range(len(self.element)):
            for b in range(len(self.element)):
                at = self.pattern.place(self.element[a], self.element[b])
                both = (self.value[a] != 0) & (self.value[b] != 0)
                part = self.covariance[np.where(both, at, 0)]
                total += np.where(both, self.value[a] * self.value[b] * part, 0.0)
        return self.weight * total

    def sets(self, plate: str) -> tuple[dict[str, Ints], int]:
        """The element of a plate that each cell of an observed node lies in."""
        plates = self.problem.plates
        if plate not in plates:
            hint = f"there are {', '.join(map(repr, plates))}"
            raise_all([ModelError(f"there is no plate {plate!r}", hint=hint)], "Cook's distance")
        found = {}
        for c in self.responses.cells:
            rows = self.problem.rows(self.problem.graph.nodes[c.node].plates)
            found[c.node] = rows.codes.get(plate, np.full(rows.n, -1))
        return found, plates[plate].size

    def cooks(self, sets: Mapping[str, Ints] | None, count: int) -> Floats | dict[str, Floats]:
        """Of single cells by node, or of sets of them (NaN for a set without cells)."""
        if not self.free.size:
            raise FitError("Cook's distance is about coefficients without prior, and this model has none")
        metric = np.linalg.inv(self.columns[self.free])
        moved = np.einsum("kn,knp->np", self.value, self.columns[self.element]) * self.weight[:, None]
        if sets is None:
            left = 1.0 - self._leverages()
            shift = moved * (self.residual / np.where(left > LOST, left, np.nan))[:, None]
        else:
            shift = np.full((count, self.free.size), np.nan)
            codes = np.concatenate([np.ravel(sets[c.node])[c.places] for c in self.responses.cells])
            order = np.argsort(codes, kind="stable")
            for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
                if rows.size and codes[rows[0]] >= 0:
                    shift[codes[rows[0]]] = self._left_out(rows) @ moved[rows]
        distance = np.einsum("np,pr,nr->n", shift, metric, shift) / self.free.size
        return self._spread(distance) if sets is None else distance

    def _left_out(self, rows: Ints) -> Floats:
        """d of the module; NaN where P_SS is singular."""
        elements, at = np.unique(self.element[:, rows], return_inverse=True)
        at = at.reshape(self.element.shape[0], rows.size)
        design = np.zeros((rows.size, elements.size))
        for k in range(at.shape[0]):
            np.add.at(design, (np.arange(rows.size), at[k]), self.value[k, rows])
        root = np.sqrt(self.weight[rows])
        inner = np.eye(rows.size) - (root[:, None] * design) @ self._among(elements) @ (design.T * root)
        values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
        if values[0] < LOST:
            return np.full(rows.size, np.nan)
        return vectors @ ((vectors.T @ (root * self.residual[rows])) / values) / root

    def _among(self, elements: Ints) -> Floats:
        """Conditional covariances among elements, from the pattern where it has them all."""
        i, j = np.meshgrid(elements, elements, indexing="ij")
        places = self.pattern.place_or_none(i.ravel(), j.ravel())
        if (places >= 0).all():
            return self.covariance[places].reshape(i.shape)
        return self.evaluator.columns(elements)[elements]

    def _spread(self, stacked: Floats) -> dict[str, Floats]:
        found = {c.node: np.full(self.problem.shape(c.node), np.nan) for c in self.responses.cells}
        for c in self.responses.cells:
            found[c.node].reshape(-1)[c.places] = stacked[c.part]
        return found
