"""Estimates of the same coefficients by several estimators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.tables import text_table

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Opinion:
    """What one estimator says of one outcome's coefficients.

    errors : what kind its standard errors are. names, estimate, se : of the coefficients, equal lengths.
    """

    outcome: str
    estimator: str
    errors: str
    names: tuple[str, ...]
    estimate: Floats
    se: Floats


@dataclass(frozen=True, eq=False, slots=True)
class SecondOpinions:
    """What `Fit.second_opinions` returns.

    opinions : one an outcome and estimator, the model's own fit first. refusals : why an estimator gave none.
    told : by true value where its error variance is from: "known", "within replicates", "by its reliability",
    "as fitted" (also with "readings calibrated", brought to the true value's scale); "states" of a
    misclassified covariate.
    """

    model: str
    opinions: tuple[Opinion, ...]
    refusals: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> DataFrame:
        """One row an estimator (and outcome): its coefficients, their standard errors as `NAME_se`, and what
        kind these are in `errors`."""
        from pandas import DataFrame

        return DataFrame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        names = tuple(dict.fromkeys(n for o in self.opinions for n in o.names))
        columns: dict[str, list[Any]] = {"outcome": [], "estimator": []}
        columns |= {k: [] for n in names for k in (n, f"{n}_se")}
        columns["errors"] = []
        for o in self.opinions:
            numbers = {n: (e, s) for n, e, s in zip(o.names, o.estimate, o.se, strict=True)}
            columns["outcome"].append(o.outcome)
            columns["estimator"].append(o.estimator)
            columns["errors"].append(o.errors)
            for n in names:
                estimate, se = numbers.get(n, (np.nan, np.nan))
                columns[n].append(float(estimate))
                columns[f"{n}_se"].append(float(se))
        return columns

    def __getitem__(self, estimator: str) -> dict[str, float]:
        """The coefficients that an estimator gives, by name."""
        found = {
            n: float(e)
            for o in self.opinions
            if o.estimator == estimator
            for n, e in zip(o.names, o.estimate, strict=True)
        }
        if not found:
            known = ", ".join(dict.fromkeys(o.estimator for o in self.opinions))
            raise KeyError(f"no estimator {estimator!r} gave an answer; there are {known}")
        return found

    def summary(self) -> str:
        """The table, where error variances are from, and what refused."""
        parts = [f"{self.model}: second opinions", text_table(self._columns(), indent="  ")]
        if self.told:
            parts.append("error variances: " + ", ".join(f"{n} {how}" for n, how in self.told.items()))
        parts += [f"no {name}: {why}" for name, why in self.refusals.items()]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.summary()


__all__ = ["Opinion", "SecondOpinions"]
