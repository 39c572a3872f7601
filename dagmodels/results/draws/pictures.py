"""Chains in pictures: traces with densities, and ranks by chain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.draws.draws import Draws
from dagmodels.results.figures import COLOURS, new_figure, picture_path, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
MOST = 12
"""Quantities shown where none are named."""
BINS = 20
POINTS = 2000  # of a line: more cannot be seen


def trace(path: str | os.PathLike[str], draws: Draws, nodes: Iterable[str] | None = None) -> Path:
    """One row a quantity: the density of each chain, and its draws in order; divergences as ticks below.

    nodes : nodes or single elements; None for the first twelve quantities.
    """

    def row(left: Axes, right: Axes, name: str, x: Floats) -> None:
        left.set_title(name, fontsize=10, loc="left")
        left.set_yticks([])
        step = max(1, x.shape[1] // POINTS)
        at = np.arange(0, x.shape[1], step)
        for chain, values in enumerate(x):
            colour = COLOURS[chain % len(COLOURS)]
            _density(left, values[np.isfinite(values)], colour)
            right.plot(at, values[::step], color=colour, linewidth=0.5, alpha=0.8)
        low = float(np.nanmin(x))
        if diverging is not None and diverging.any():
            where = np.flatnonzero(diverging.any(axis=0))
            right.plot(where, np.full(where.size, low), "|", color="black", markersize=6)
        left.set_ylim(bottom=0)
        right.margins(x=0)
        right.tick_params(labelsize=8)
        left.tick_params(labelsize=8)

    diverging = draws.statistics.get("diverging")
    return _picture(path, draws, nodes, row, (2, [1, 2.2]), "draw")


def ranks(path: str | os.PathLike[str], draws: Draws, nodes: Iterable[str] | None = None) -> Path:
    """One row a quantity: histograms of each chain's ranks among all draws. Where chains have mixed they are
    flat (Vehtari et al. 2021, section 4.1); the band holds 95 % of the bars of mixed, independent draws."""

    from scipy.stats import rankdata

    def row(axes: Axes, name: str, x: Floats) -> None:
        chains, count = x.shape
        order = rankdata(x).reshape(x.shape)  # equal draws share their rank, whatever their chain
        edges = np.linspace(0, x.size, BINS + 1)
        expected = count / BINS
        # of count draws a chain has a hypergeometric number in a bin
        half = 1.96 * np.sqrt(expected * (1 - 1 / BINS) * (x.size - count) / max(x.size - 1, 1))
        axes.axhspan(expected - half, expected + half, color="#dddddd", linewidth=0)
        for chain in range(chains):
            bars = np.histogram(order[chain], edges)[0]
            colour = COLOURS[chain % len(COLOURS)]
            axes.stairs(bars, edges, color=colour, linewidth=1.3, label=f"chain {chain + 1}")
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_ylim(bottom=0)
        axes.margins(x=0)
        axes.tick_params(labelsize=8)

    return _picture(path, draws, nodes, row, (1, [1]), "rank among all draws")


def _density(axes: Axes, x: Floats, colour: str) -> None:
    """A kernel density of whole range, or the one value that there is."""
    if x.size < 2 or np.ptp(x) == 0:
        axes.axvline(x[0] if x.size else 0.0, color=colour)
        return
    if np.array_equal(x, np.round(x)) and np.ptp(x) <= 30:
        values, counts = np.unique(x, return_counts=True)
        axes.vlines(values, 0, counts / x.size, color=colour, linewidth=2)
        return
    from scipy.stats import gaussian_kde

    grid = np.linspace(x.min(), x.max(), 200)
    axes.plot(grid, gaussian_kde(x)(grid), color=colour, linewidth=1.2)


def _picture(
    path: str | os.PathLike[str],
    draws: Draws,
    nodes: Iterable[str] | None,
    row: Callable[..., None],
    columns: tuple[int, list[float]],
    label: str,
) -> Path:
    """The figure in a file."""
    target = picture_path(path)
    names, table = draws.table(nodes, indicators=True)
    if nodes is None:
        names = names[:MOST]
    figure = new_figure(4.5 + 3.0 * columns[0], 0.6 + 1.25 * len(names))
    axes = figure.subplots(len(names), columns[0], squeeze=False, width_ratios=columns[1])
    for i, name in enumerate(names):
        row(*axes[i], name, table[:, :, i])
    axes[-1][-1].set_xlabel(label, fontsize=9)
    _legend(figure, draws.chains)
    return save_figure(figure, target)


def _legend(figure: Any, chains: int) -> None:
    """Which colour is which chain, above the axes."""
    from matplotlib.lines import Line2D

    shown = min(chains, len(COLOURS))
    handles = [Line2D([], [], color=COLOURS[i], label=f"chain {i + 1}") for i in range(shown)]
    figure.legend(handles=handles, loc="outside upper right", ncols=shown, frameon=False, fontsize=8)
