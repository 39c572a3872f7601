"""Estimates at every point of the outer unknowns: coefficients' moments, outer values, defined quantities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.laplace.posterior_moments import Conditionals, Moments
from dagmodels.fits.field.layout import Layout
from dagmodels.forms.field import Evaluator

Floats = NDArray[np.float64]
NEGLIGIBLE = 3e-8  # of the largest weight: points with less have no moments of their own
LINEAR = 1e-9  # gradients that differ by less, relatively, from one point to another are constant


@dataclass(frozen=True, eq=False, slots=True)
class Given:
    """Estimates at every point, in the order (coefficients, outer values, defined).

    value : one point a row. sd, skewness : of their laws given the point (0 for what the point fixes).
    covariance : of the coefficients given the point, averaged over points.
    """

    value: Floats
    sd: Floats
    skewness: Floats
    covariance: Floats


def given_points(layout: Layout, conditionals: Conditionals, x: Floats, weight: Floats) -> Given:
    """See `Given`; x has one point a row."""
    evaluator = conditionals.evaluator
    rows, places = layout.rows, layout.places
    k, outer = rows.size, places.size
    defined = None if layout.tape is None else _Defined(layout)
    width = k + outer + layout.defined.size
    value, sd, skewness = (np.zeros((weight.size, width)) for _ in range(3))
    within = np.zeros((k, k))
    counts = weight > NEGLIGIBLE * weight.max()
    found: Moments | None = None
    for j, point in enumerate(x):
        evaluator.criterion(point)
        covariance = np.zeros((k, k))
        value[j, k : k + outer] = np.where(layout.either, np.abs(evaluator.w[places]), evaluator.w[places])
        if k:
            if counts[j] or found is None:  # else those of the neighbour: they have no weight
                found = conditionals.of(rows)
            covariance = found.covariance
            value[j, :k], skewness[j, :k] = found.mean, found.skewness
            sd[j, :k] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
            within += weight[j] * covariance
        if defined is not None:
            value[j, k + outer :] = defined.values(evaluator, value[j, : k + outer])
            if k:
                g = defined.gradient(k)
                sd[j, k + outer :] = np.sqrt(np.maximum(((g @ covariance) * g).sum(axis=1), 0.0))
    return Given(value, sd, skewness, within)


class _Defined:
    """Defined quantities and their gradients in the coefficients, point after point."""

    def __init__(self, layout: Layout) -> None:
        assert layout.tape is not None
        self.tape, self.places = layout.tape, layout.defined
        self.w = layout.tape.initial.copy()
        self.inputs = [
            (node, slice(start, start + length), layout.unknowns.places[node])
            for node, (start, length) in layout.tape.inputs.items()
        ]
        self._gradients: list[Floats] = []

    def values(self, evaluator: Evaluator, known: Floats) -> Floats:
        """At values of coefficients and outer unknowns."""
        for node, part, at in self.inputs:
            found = np.where(at >= 0, known[np.maximum(at, 0)], 0.0)
            if (at < 0).any():  # levels that a statement fixes: their rows hold the number
                found[at < 0] = evaluator.means()[evaluator.field.rows[node][at < 0]]
            self.w[part] = found
        self.tape.forward(self.w)
        return self.w[self.places]

    def gradient(self, k: int) -> Floats:
        """In the first k estimates, at the values worked out last, one quantity a row.

        Where three points gave the same numbers they are taken to be constant.
        """
        known = self._gradients
        if len(known) == 3 and all(np.allclose(known[0], g, LINEAR, 0.0) for g in known[1:]):
            return known[0]
        found = np.zeros((self.places.size, k))
        for row, place in zip(found, self.places.tolist(), strict=True):
            bar = np.zeros(self.w.size)
            bar[place] = 1.0
            self.tape.reverse(self.w, bar)
            for _, part, at in self.inputs:
                inside = (at >= 0) & (at < k)
                np.add.at(row, at[inside], bar[part][inside])
        if len(known) < 3:
            known.append(found)
        return found
