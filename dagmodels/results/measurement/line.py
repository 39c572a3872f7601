"""A straight line fitted to points with errors in both coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dagmodels.results.limits import wald
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class LineFit:
    """What `york` and `deming` return.

    method, reading : how the line was found, and what it takes the true values for.
    intercept, slope : the line. covariance : of the two, (2, 2); `errors` says what kind its standard errors
        are.
    measures : by the field's names (chisq, df, mswd, ...).
    x, y : the adjusted points, (n,).
    """

    method: str
    reading: str
    intercept: float
    slope: float
    covariance: Floats
    errors: str
    x: Floats = field(repr=False)
    y: Floats = field(repr=False)
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def se(self) -> Floats:
        """Standard errors of intercept and slope."""
        return np.sqrt(self.covariance.diagonal())

    @property
    def estimates(self) -> DataFrame:
        """Columns name, estimate, se, lower, upper (Wald limits, 95 %)."""
        from pandas import DataFrame

        return DataFrame(self._columns())

    def _columns(self) -> dict[str, Any]:
        values = np.array([self.intercept, self.slope])
        lower, upper = wald(values, self.se)
        names = ["intercept", "slope"]
        return {"name": names, "estimate": values, "se": self.se, "lower": lower, "upper": upper}

    def predict(self, x: ArrayLike) -> Floats:
        """The line at true values x."""
        return self.intercept + self.slope * np.asarray(x, dtype=float)

    def summary(self) -> str:
        """Method, reading, table, measures."""
        told = "   ".join(f"{k} {format_number(v, 10)}" for k, v in self.measures.items())
        table = text_table(self._columns(), indent="  ")
        head = f"{self.method}\nreading: {self.reading}\nstandard errors: {self.errors}"
        return "\n\n".join(part for part in (head, told, table) if part)

    def __str__(self) -> str:
        return self.summary()


__all__ = ["LineFit"]
