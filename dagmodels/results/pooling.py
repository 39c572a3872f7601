"""Fits of several imputations as one answer, by Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.tables import text_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Pooled:
    """What `dm.pool` returns.

    names : of the estimates. estimate : their means over imputations. within, between : mean sampling
    variance, and variance between imputations. df : degrees of freedom of t limits. m : how many imputations.
    """

    names: tuple[str, ...]
    estimate: Floats
    within: Floats
    between: Floats
    df: Floats
    m: int

    @property
    def total(self) -> Floats:
        """within + (1 + 1/m) between."""
        return self.within + (1.0 + 1.0 / self.m) * self.between

    @property
    def se(self) -> Floats:
        """Standard errors."""
        return np.sqrt(self.total)

    @property
    def table(self) -> DataFrame:
        """name, estimate, se, lower, upper (95 % limits of a t law), df, and

        fmi : the fraction of missing information. riv : the relative increase in variance by what is missing.
        """
        from pandas import DataFrame

        return DataFrame(self._columns())

    def _columns(self) -> dict[str, Any]:
        from scipy.stats import t

        half = t.ppf(0.975, self.df) * self.se
        with np.errstate(divide="ignore", invalid="ignore"):
            riv = (1.0 + 1.0 / self.m) * self.between / self.within
        fmi = (riv + 2.0 / (self.df + 3.0)) / (riv + 1.0)
        return {
            "name": list(self.names), "estimate": self.estimate, "se": self.se, "lower": self.estimate - half,
            "upper": self.estimate + half, "df": self.df, "fmi": fmi, "riv": riv,
        }  # fmt: skip

    def __getitem__(self, name: str) -> float:
        """The pooled estimate of that name."""
        if name not in self.names:
            raise FitError(f"no estimate '{name}' was pooled (there are {', '.join(self.names[:12])})")
        return float(self.estimate[self.names.index(name)])

    def __str__(self) -> str:
        head = f"{self.m} imputations pooled by Rubin's rules; limits by t laws (Barnard and Rubin 1999)"
        return f"{head}\n\n{text_table(self._columns(), indent='  ')}"


def pool(fits: Sequence[Fit], df_complete: float | None = None) -> Pooled:
    """Fits of imputed data sets as one answer (Rubin 1987, section 3.1).

    Parameters
    ----------
    fits : one an imputation, two or more, of one model.
    df_complete : degrees of freedom that the estimates had without anything missing; None for many.

    Raises
    ------
    FitError : fewer than two fits, fits of different models, or fits that did not converge.
    """
    fits = list(fits)
    if len(fits) < 2:
        raise FitError(
            f"the spread between imputations takes two fits or more: pool two or more, not {len(fits)}"
        )
    tables = [f.estimate_columns for f in fits]
    names = tuple(str(n) for n in tables[0]["name"])
    if any(tuple(str(n) for n in t["name"]) != names for t in tables):
        raise FitError("the fits have different estimates: pool fits of one model")
    lost = [i + 1 for i, f in enumerate(fits) if not f.converged]
    if lost:
        told = ", ".join(map(str, lost[:5]))
        raise FitError(f"fit {told} did not converge: look at its message, or leave this imputation out")
    estimates = np.array([np.asarray(t["estimate"], dtype=float) for t in tables])
    errors = np.array([np.asarray(t["se"], dtype=float) for t in tables])
    m = len(fits)
    within, between = (errors**2).mean(axis=0), estimates.var(axis=0, ddof=1)
    return Pooled(names, estimates.mean(axis=0), within, between, _df(within, between, m, df_complete), m)


def _df(within: Floats, between: Floats, m: int, complete: float | None) -> Floats:
    """Degrees of freedom: Rubin's (1987, equation 3.1.6), with Barnard and Rubin's (1999) for few cases."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (1.0 + 1.0 / m) * between
        share = share / (within + share)
        old = np.where(share > 0, (m - 1) / share**2, np.inf)
        if complete is None or not np.isfinite(complete):
            return old
        seen = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
        return np.where(np.isfinite(old), old * seen / (old + seen), seen)


__all__ = ["Pooled", "pool"]
