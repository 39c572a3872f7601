"""The `moments` form of units that each add a known error covariance of their own to one common law."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import Criterion, MomentsForm
from dagmodels.numerics.moment_pairs import pairs
from dagmodels.numerics.moments import Moments, Sample
from dagmodels.numerics.row_moments import RowMoments
from dagmodels.numerics.scoring import score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PART = 4000  # rows that starting values are found from, where there are several times as many
BLOCK = 1 << 16  # rows at a time


@dataclass(frozen=True, eq=False, kw_only=True)
class RowErrorsForm(MomentsForm):
    """A moments form each of whose units is a cell of its own.

    errors : (n, p, p) known covariances of the observed variables, of missing values too where known.
    sample : of all rows together, as if there were no errors, for starts and descriptions.
    single : the rows with their errors.
    """

    ERRORS: ClassVar[tuple[str, ...]] = ("conditional", "standard", "robust.huber.white")
    alone: ClassVar[bool] = False

    errors: Floats

    @cached_property
    def single(self) -> Sample:
        """A cell each row; rows without any value add nothing."""
        values = np.ascontiguousarray(self.values)
        there = ~np.isnan(values)
        n, p = values.shape
        mean = np.where(there, values, 0.0)
        return Sample(self.group_of, np.ones(n), there, mean, np.zeros((n, p, p)), self.errors)

    def moments(self, entries: Floats) -> Moments:
        """The likelihood at values of the entries."""
        return RowMoments(self.structure, self.single, entries)

    def at(self, x: Floats) -> RowCriterion:
        return RowCriterion(self, x)

    @property
    def method(self) -> str:
        """What the criterion is, for people."""
        return f"maximum likelihood from the covariance of one {self.units} and its known errors"

    def with_sample(self, sample: Sample) -> MomentsForm:
        """No statistics stand in place of rows with errors of their own."""
        raise FitError("rows with known errors of their own have no common statistics to put in their place")

    def with_values(self, values: Floats) -> MomentsForm:
        """As `with_sample`."""
        return self.with_sample(self.sample)

    def conditional(self, at: Criterion) -> dict[str, tuple[Floats, Floats]]:
        """Means of all variables given the data and standard deviations, (n, t) each."""
        m, s, o = at.moments, self.structure, self.structure.observed
        n = len(self.values)
        mean, sd = np.empty((n, s.order)), np.empty((n, s.order))
        for g in range(s.groups):
            rows = np.flatnonzero(self.group_of == g)
            seen, whole = m.covariance[g][:, s.observed], m.covariance[g].diagonal()
            for begin in range(0, rows.size, BLOCK):
                some = rows[begin : begin + BLOCK]
                w, own = m.w[some], self.errors[some]
                z = np.einsum("nij,nj->ni", w, m.residual[some])
                mean[some] = m.mean[g] + z @ seen.T
                left = whole - np.einsum("ti,nij,tj->nt", seen, w, seen, optimize=True)
                mean[np.ix_(some, o)] += np.einsum("nij,nj->ni", own, z)  # what is missing has its error too
                tied = own @ w
                left[:, o] += np.diagonal(
                    own - 2.0 * tied @ seen[o] - tied @ own.transpose(0, 2, 1), axis1=1, axis2=2
                )
                sd[some] = np.sqrt(np.maximum(left, 0.0))
        return {self.units: (mean, sd)}

    def start(self, x: Floats) -> Floats:
        """Of many rows the optimum of some of them, taken evenly; else as they are."""
        n = len(self.values)
        if n < 3 * PART:
            return x
        some = np.arange(0, n, n // PART)
        part = replace(self, values=self.values[some], group_of=self.group_of[some], errors=self.errors[some])
        if not np.isfinite(part.at(x).value):
            return x
        found = score(part.at, x, self.template.lower, self.template.upper)
        return found.x if np.isfinite(self.at(found.x).value) else x


class RowCriterion(Criterion):
    """Minus twice the log likelihood of rows with known errors."""

    form: RowErrorsForm

    def meat(self, kind: str, clusters: Ints | None = None) -> Floats:
        """Outer products of the rows' scores in the coordinates, summed, (k, k)."""
        from dagmodels.forms.casewise import summed_products

        return summed_products(self.scores(), self.form.group_of, clusters)

    def scores(self) -> Floats:
        """Derivatives of every row's log likelihood in the coordinates, (n, k): with z = W r those in the
        covariance are (z z' - W) / 2, and in the mean z."""
        form, m = self.form, self.moments
        found = np.zeros((len(form.values), self.x.size))
        for g, at in enumerate(form.structure.members):
            e, d = pairs(form.structure, m, g).directions()
            rows = np.flatnonzero(form.group_of == g)
            for begin in range(0, rows.size, BLOCK):
                some = rows[begin : begin + BLOCK]
                w = m.w[some]
                z = np.einsum("nij,nj->ni", w, m.residual[some])
                bend = 0.5 * (z[:, :, None] * z[:, None, :] - w)
                slopes = bend.reshape(some.size, -1) @ e.reshape(at.size, -1).T + z @ d.T
                found[some] = slopes @ self.jacobian[at]
        return found
