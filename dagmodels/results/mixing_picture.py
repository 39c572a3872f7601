"""Picture of a deconvolution: what was observed, the distribution behind it, each element given it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.figures import COLOURS, new_figure, picture_path, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dagmodels.results.mixing import Mixing
    from dagmodels.results.mixing_fit import Posterior

MOST = 5000  # points drawn; of more elements a regular part is shown


def picture(mixing: Mixing, found: Posterior, path: str | os.PathLike[str], bins: int = 40) -> Path:
    """Draw it into a file; see `MixingFit.picture`."""
    target = picture_path(path)
    figure = new_figure(6.5, 6.0)
    above, below = figure.subplots(2, 1, sharex=True)
    _distribution(above, mixing, found, bins)
    _means(below, mixing.node, found)
    return save_figure(figure, target)


def _distribution(axes: Axes, mixing: Mixing, found: Posterior, bins: int) -> None:
    """Histogram of single maxima; masses as stems, densities as a line."""
    own = found.own[found.unit]
    label = "what each element tells by itself"
    axes.hist(own[np.isfinite(own)], bins=bins, density=True, color="#d5d5d5", label=label)
    axes.set_ylabel("density")
    mass, line = (mixing.width == 0) & (mixing.weights > 1e-6), mixing.width > 0
    if line.any():
        x, y = mixing.grid[line], mixing.weights[line] / mixing.width[line]
        axes.plot(x, y, color=COLOURS[0], label=f"estimated distribution ({mixing.family})")
        if mixing.errors is not None:
            spread = mixing.errors[line] / mixing.width[line]
            axes.fill_between(x, np.maximum(y - spread, 0), y + spread, color=COLOURS[0], alpha=0.2)
    if mass.any():
        right = axes.twinx()
        stems = f"estimated probabilities ({mixing.family}), right"
        right.vlines(mixing.grid[mass], 0.0, mixing.weights[mass], color=COLOURS[1], label=stems)
        right.set_ylim(bottom=0.0)
        right.tick_params(labelsize=8)
        handles, labels = axes.get_legend_handles_labels()
        more, names = right.get_legend_handles_labels()
        axes.legend([*handles, *more], [*labels, *names], fontsize=8, frameon=False)
    else:
        axes.legend(fontsize=8, frameon=False)
    axes.tick_params(labelsize=8)


def _means(axes: Axes, node: str, found: Posterior) -> None:
    own, (mean, _) = found.own[found.unit], found.moments()
    lower, upper = found.quantiles(0.025), found.quantiles(0.975)
    order = np.argsort(own, kind="stable")
    order = order[np.isfinite(own[order])][:: max(order.size // MOST, 1)]
    axes.fill_between(own[order], lower[order], upper[order], color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(own[order], mean[order], ".", color=COLOURS[0], markersize=3)
    ends = [np.nanmin(own), np.nanmax(own)]
    axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.set_xlabel(f"{node}, each element by itself")
    axes.set_ylabel(f"{node} given all: mean, 95 %")
    axes.tick_params(labelsize=8)
