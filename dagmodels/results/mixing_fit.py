"""A fit in which the distribution of a latent was estimated: that distribution, and each element given it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.fit import Fit
from dagmodels.results.mixing import Mixing

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLOSE = 1e-9  # relative distance at which a value of the grid is the one asked for


@dataclass(frozen=True, eq=False, slots=True)
class Posterior:
    """Probabilities of a latent's values given the data, for units that differ.

    values : (values,). probabilities : (values, units), of elements without data the last column. own : the
    value that each unit finds best by itself, nan without data. unit : of each element. labels : theirs.
    """

    values: Floats
    probabilities: Floats
    own: Floats
    unit: Ints
    labels: list[str]

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of every element."""
        mean = self.values @ self.probabilities
        second = (self.values**2) @ self.probabilities
        centred = np.maximum(second - mean**2, 0.0)
        rough = centred < 1e-6 * second  # cancelled: squares about the mean instead
        for k in np.flatnonzero(rough):
            centred[k] = self.probabilities[:, k] @ (self.values - mean[k]) ** 2
        return mean[self.unit], np.sqrt(centred)[self.unit]

    def quantiles(self, p: float) -> Floats:
        """The least value of every element that is not exceeded with probability p."""
        reached = np.cumsum(self.probabilities, axis=0) >= p - 1e-12
        return self.values[np.where(reached.any(axis=0), reached.argmax(axis=0), -1)][self.unit]

    def within(self, low: float, high: float) -> Floats:
        """Probability of every element to lie between two values, ends included."""
        inside = (self.values >= low) & (self.values <= high)
        return self.probabilities[inside].sum(axis=0)[self.unit]


@dataclass(frozen=True, eq=False, repr=False)
class MixingFit(Fit):
    """A point fit with a latent of unknown distribution.

    `latents` has a row an element: posterior mean (estimate), standard deviation, and the 2.5 and 97.5 per
    cent points (lower, upper), all given the estimated distribution.

    mixing : the distribution. find_posterior : gives the elements' probabilities, of the data fitted (None)
    or of new data.
    """

    mixing: Mixing = field(default=None, repr=False, kw_only=True)  # type: ignore[assignment]
    find_posterior: Callable[[Any], Posterior] = field(default=None, repr=False, kw_only=True)  # type: ignore[assignment]

    def lfdr(self, at: float | None = None, width: float = 0.0, new: Any = None) -> DataFrame:
        """Local false discovery rates: the probability given the data that an element is null.

        Parameters
        ----------
        at : the null value; None for zero (of `Unimodal` its mode).
        width : elements within this distance of it count as null too. new : data as given to `fit`.

        Returns
        -------
        One row an element: name, estimate, lfdr (null), below, above (probabilities of lying on either side),
        lfsr (of a wrong sign: the smaller of lfdr + below and lfdr + above; Stephens 2017), qvalue (mean lfdr
        of all elements whose lfdr is no larger).

        Raises `FitError` where the distribution can have no mass at the null value and width is zero.
        """
        from pandas import DataFrame

        null = self._null(at, width)
        found = self.find_posterior(new)
        reach = max(width, CLOSE * max(abs(null), float(np.ptp(found.values))))
        lfdr = found.within(null - reach, null + reach)
        below = found.within(-np.inf, np.nextafter(null - reach, -np.inf))
        above = found.within(np.nextafter(null + reach, np.inf), np.inf)
        order = np.argsort(lfdr, kind="stable")
        qvalue = np.empty(lfdr.size)
        means = np.cumsum(lfdr[order]) / np.arange(1, lfdr.size + 1)
        last = np.searchsorted(lfdr[order], lfdr[order], side="right") - 1
        qvalue[order] = means[last]
        wrong = np.minimum(lfdr + np.minimum(below, above), 1.0)
        columns = {"name": found.labels, "estimate": found.moments()[0], "lfdr": lfdr, "below": below}
        return DataFrame({**columns, "above": above, "lfsr": wrong, "qvalue": qvalue})

    def _null(self, at: float | None, width: float) -> float:
        masses = self.mixing.grid[self.mixing.width == 0]
        null = float(masses[0]) if at is None and self.mixing.family == "Unimodal" else float(at or 0.0)
        if (
            width <= 0
            and not np.isclose(masses, null, rtol=CLOSE, atol=CLOSE * np.ptp(self.mixing.grid)).any()
        ):
            raise FitError(
                f"lfdr: the distribution of '{self.mixing.node}' ({self.mixing.family}) has no mass at "
                f"{null:g}; give width=, the distance from it that still counts as null, or fit with "
                f"Unimodal(mode={null:g})"
            )
        return null

    def picture(self, path: str | os.PathLike[str], bins: int = 40) -> Path:
        """Histogram of the values that elements find best by themselves and the estimated distribution;
        below, the posterior means with their limits against these values.

        path : of the file to write: PNG, SVG or PDF.
        """
        from dagmodels.results.mixing_picture import picture

        return picture(self.mixing, self.find_posterior(None), path, bins)
