"""How precise an estimate would be under several designs: table, and the size that a precision needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.limits import NORMAL_975
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
FEW = 3  # fits, below which nothing is said of their spread


@dataclass(frozen=True, eq=False, slots=True)
class Outcomes:
    """The fits of one design.

    varied : its sizes, by name. estimates, errors, covered : of the fits that converged, (draws, targets).
    draws : how many there were to be. lost : why others gave nothing, with counts.
    """

    varied: Mapping[str, float]
    estimates: Floats
    errors: Floats
    covered: NDArray[np.bool_]
    draws: int
    lost: Mapping[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class Needed:
    """The size at which an estimate has the standard deviation asked for.

    size : by the law sd^2 = floor^2 + c/size, fitted to all designs; infinite where the floor lies above.
    lower, upper : 95 % limits from the simulation's error. floor : the standard deviation that no size gets
        below. extrapolated : whether the size lies outside of those simulated.
    """

    name: str
    target: str
    precision: float
    size: float
    lower: float
    upper: float
    floor: float
    extrapolated: bool

    def __str__(self) -> str:
        if not np.isfinite(self.size):
            return (
                f"no number of {self.name} gives {self.target} a standard deviation of {self.precision:g}: "
                f"it stays above {self.floor:.4g}; let another size grow"
            )
        beyond = ", outside of what was simulated" if self.extrapolated else ""
        return (
            f"{self.name} = {self.size:.4g} (95 % limits {self.lower:.4g} to {self.upper:.4g}{beyond}) gives "
            f"{self.target} a standard deviation of {self.precision:g}"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Design:
    """What `dm.design` returns; print it.

    model : its name. targets : estimates looked at. truth : their true values. outcomes : one a design.
    """

    model: str
    targets: tuple[str, ...]
    truth: Floats
    outcomes: tuple[Outcomes, ...]

    @property
    def table(self) -> DataFrame:
        """One row a design and target: the sizes, then

        mean, bias : of the estimates. sd, sd_mcse : their standard deviation with its Monte Carlo error.
        se : the mean of the standard errors that fits state. coverage, coverage_mcse : of their 95 % limits.
        power : share of limits that leave zero out. fits : that converged.
        """
        from pandas import DataFrame

        return DataFrame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        rows: dict[str, list[Any]] = {}
        for o in self.outcomes:
            n = len(o.estimates)
            for j, name in enumerate(self.targets):
                x, se = o.estimates[:, j], o.errors[:, j]
                told = n >= FEW
                sd = float(x.std(ddof=1)) if told else np.nan
                share = float(o.covered[:, j].mean()) if told else np.nan
                beyond = np.abs(x) > NORMAL_975 * se
                row: dict[str, Any] = {**o.varied, "target": name}
                row |= {
                    "mean": float(x.mean()) if told else np.nan,
                    "bias": float(x.mean() - self.truth[j]) if told else np.nan,
                    "sd": sd,
                    "sd_mcse": sd / np.sqrt(2 * (n - 1)) if told else np.nan,
                    "se": float(np.nanmean(se)) if told and np.isfinite(se).any() else np.nan,
                    "coverage": share,
                    "coverage_mcse": np.sqrt(share * (1 - share) / n) if told else np.nan,
                    "power": float(beyond.mean()) if told else np.nan,
                    "fits": n,
                }
                for key, value in row.items():
                    rows.setdefault(key, []).append(value)
        return rows

    @property
    def varied(self) -> tuple[str, ...]:
        """Sizes that differ between designs."""
        every = self.outcomes[0].varied
        return tuple(k for k in every if len({o.varied[k] for o in self.outcomes}) > 1)

    def needed(self, precision: float, target: str | None = None) -> Needed:
        """The size at which a target's standard deviation is `precision`.

        Variances follow floor^2 + c/size, which holds for independent units (floor 0) and for readings of
        each unit (the floor is what the units themselves leave); fitted by weights to all designs.

        Raises
        ------
        FitError : none or several sizes vary, or fewer than two designs gave fits.
        """
        name, j = self._one(), self.targets.index(target or self.targets[0])
        good = [o for o in self.outcomes if len(o.estimates) >= FEW]
        if len({o.varied[name] for o in good}) < 2:
            raise FitError(f"fewer than two sizes of {name} gave fits: there is no curve to read off")
        size = np.array([o.varied[name] for o in good])
        variance = np.array([o.estimates[:, j].var(ddof=1) for o in good])
        weight = 1.0 / (variance * np.sqrt(2.0 / (np.array([len(o.estimates) for o in good]) - 1)))
        x = np.stack([np.ones(size.size), 1.0 / size], axis=1)
        line = np.linalg.lstsq(x * weight[:, None], variance * weight, rcond=None)[0]
        cov = np.linalg.inv((x * weight[:, None] ** 2).T @ x)
        if line[0] < 0:  # no floor
            line = np.array([0.0, np.sum(weight**2 * variance / size) / np.sum((weight / size) ** 2)])
            cov = np.diag([0.0, 1.0 / np.sum((weight / size) ** 2)])
        room = precision**2 - line[0]
        floor = float(np.sqrt(line[0]))
        if room <= 0:
            return Needed(name, self.targets[j], precision, np.inf, np.inf, np.inf, floor, extrapolated=True)
        found = line[1] / room
        slope = np.array([line[1] / room**2, 1.0 / room]) / found  # of the log
        spread = float(np.exp(NORMAL_975 * np.sqrt(slope @ cov @ slope)))
        outside = not size.min() <= found <= size.max()
        limits = float(found), float(found / spread), float(found * spread)
        return Needed(name, self.targets[j], precision, *limits, floor, extrapolated=outside)

    def _one(self) -> str:
        varied = self.varied
        if len(varied) != 1:
            told = ", ".join(varied) if varied else "none"
            raise FitError(f"sizes are read off where one of them varies, and here {told} do: vary one")
        return varied[0]

    def summary(self) -> str:
        """The table, and what was lost."""
        columns = self._columns()
        shown = {k: v for k, v in columns.items() if k not in ("sd_mcse", "coverage_mcse")}
        for key, error in (("sd", "sd_mcse"), ("coverage", "coverage_mcse")):
            shown[key] = [
                f"{format_number(a, 4)} ±{format_number(b, 2)}" if np.isfinite(b) else format_number(a, 4)
                for a, b in zip(columns[key], columns[error], strict=True)
            ]
        head = f"{self.model}: {self.outcomes[0].draws} data sets drawn and fitted for each design"
        parts = [head, text_table(shown, indent="  "), "± is one Monte Carlo standard error."]
        for o in self.outcomes:
            sizes = ", ".join(f"{k} {v:g}" for k, v in o.varied.items())
            parts += [
                f"{count} of {o.draws} without a fit ({sizes}): {told}" for told, count in o.lost.items()
            ]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.summary()


__all__ = ["Design", "Needed", "Outcomes"]
