"""What errors in covariates did to their coefficients: a table and a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.figures import COLOURS, new_figure, picture_path, save_figure
from dagmodels.results.tables import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
MOST_POINTS = 300


@dataclass(frozen=True, eq=False, slots=True)
class Panel:
    """One covariate and one outcome.

    x, y : naive values and outcomes, (rows,). error : standard deviation of each naive value's error.
    latent : the fitted true values, (rows,); None where the fit gives none.
    grid, naive, corrected : the expected outcome along the covariate, (points,); None where it has none.
    """

    covariate: str
    outcome: str
    x: Floats
    y: Floats
    error: Floats
    latent: Floats | None
    grid: Floats
    naive: Floats | None
    corrected: Floats | None


@dataclass(frozen=True, eq=False, slots=True)
class Attenuation:
    """What `Fit.attenuation` returns.

    corrected, naive : the fit, and that of the model in which readings stand for true values.
    columns : of `table`. panels : of `plot`.
    """

    model: str
    corrected: Fit
    naive: Fit
    columns: Mapping[str, Sequence[Any]]
    panels: tuple[Panel, ...] = field(default=(), repr=False)

    @property
    def table(self) -> DataFrame:
        """One row a coefficient; those without a covariate stand beside the mismeasured ones.

        covariate, outcome, name : which. naive, naive_se, corrected, se : estimates and standard errors.
        attenuation : naive/corrected. se_ratio : corrected over naive standard error, the loss of precision.
        reliability : one minus error variance over variance of the naive values, marginally and (`_given`)
        given the other columns in the outcome's mean; the latter is a linear model's attenuation by moments.
        """
        from pandas import DataFrame

        return DataFrame({k: list(v) for k, v in self.columns.items()})

    def plot(self, path: str | os.PathLike[str], points: int = MOST_POINTS) -> Path:
        """Draw observed points with the size of their errors, fitted true points, naive and corrected line.

        points : at most so many are drawn in a panel, evenly chosen.
        """
        target = picture_path(path)
        if not self.panels:
            raise FitError(
                f"no covariate of '{self.model}' shares rows with an outcome: there is nothing to draw"
            )
        figure = new_figure(5.6 * min(len(self.panels), 3), 4.2 * -(-len(self.panels) // 3))
        axes = figure.subplots(-(-len(self.panels) // 3), min(len(self.panels), 3), squeeze=False).reshape(-1)
        for one, panel in zip(axes, self.panels, strict=False):
            _draw(one, panel, points)
        for one in axes[len(self.panels) :]:
            one.set_visible(False)
        return save_figure(figure, target)

    def summary(self) -> str:
        """The table under its heading."""
        head = f"{self.model}: readings taken for true values (naive) and the model (corrected)"
        parts = [head, text_table(self.columns, indent="  ")]
        both = (("naive", self.naive), ("corrected", self.corrected))
        parts += [f"the {name} fit did not converge: {f.message}" for name, f in both if not f.converged]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.summary()


def _draw(axes: Axes, panel: Panel, points: int) -> None:
    seen = np.flatnonzero(np.isfinite(panel.x) & np.isfinite(panel.y))
    at = seen[:: max(-(-seen.size // points), 1)]
    x, y, error = panel.x[at], panel.y[at], panel.error[at]
    axes.hlines(y, x - error, x + error, color="#c9c9c9", linewidth=0.8, zorder=1)
    if panel.latent is not None:
        latent = panel.latent[at]
        axes.plot(np.stack([x, latent]), np.stack([y, y]), color="#e3c9ac", linewidth=0.6, zorder=2)
        axes.plot(latent, y, "o", color=COLOURS[1], markersize=3, zorder=4, label="fitted true value")
    axes.plot(x, y, "o", color=COLOURS[0], markersize=3, zorder=3, label="observed, ± sd of its error")
    lines = (("naive", panel.naive, COLOURS[0], "--"), ("corrected", panel.corrected, COLOURS[1], "-"))
    for label, line, colour, style in lines:
        if line is not None:
            axes.plot(panel.grid, line, style, color=colour, linewidth=1.8, zorder=5, label=label)
    axes.set_xlabel(panel.covariate)
    axes.set_ylabel(panel.outcome)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    if at.size < seen.size:
        axes.set_title(f"{at.size} of {seen.size} points", fontsize=8)


__all__ = ["Attenuation", "Panel"]
