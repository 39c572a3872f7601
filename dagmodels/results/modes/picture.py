"""The report in a picture: the joint density along each scale, and three estimates of each unknown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.comparison_picture import alike, draw_rows, height, legend
from dagmodels.results.figures import COLOURS, new_figure, picture_path, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dagmodels.results.modes.report import ModeReport
    from dagmodels.results.modes.walk import Walk

PICTURED = 30
MOST = 3  # walks in a picture
DEEP = 60.0  # below the top, of what is drawn


def picture(path: str | os.PathLike[str], report: ModeReport) -> Path:
    """Walks above, estimates below."""
    target = picture_path(path)
    columns = [report.joint, report.marginal.numbers, report.mean.numbers]
    groups = alike(columns, report.names[:PICTURED])
    shown = report.walks[:MOST]
    heights = [height(len(g), 3) for g in groups]
    tall = 2.2 * bool(shown)
    figure = new_figure(7.5, 1.2 + tall + sum(heights) + 0.35 * len(groups))
    above, below = figure.subfigures(2, 1, height_ratios=[max(tall, 0.01), sum(heights) + 0.35 * len(groups)])
    for axes, walk in zip(above.subplots(1, max(len(shown), 1), squeeze=False)[0], shown, strict=False):
        _walk(axes, walk, report)
    rows = below.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, group in zip(rows, groups, strict=True):
        draw_rows(axes, columns, group)
    legend(figure, ["joint mode (or its limit)", "marginal mode", "posterior mean"], report.model)
    return save_figure(figure, target)


def _walk(axes: Axes, walk: Walk, report: ModeReport) -> None:
    """The log joint density, everything else maximised, over the scale."""
    axes.plot(walk.value, walk.log_density, color=COLOURS[0], marker=".", linewidth=1.2)
    axes.set_xscale("log")
    low, high = walk.value[0], walk.value[-1]
    for k, numbers in ((1, report.marginal.numbers), (2, report.mean.numbers)):
        at = numbers[walk.name].estimate if walk.name in numbers else np.nan
        if low <= at <= high:
            axes.axvline(at, color=COLOURS[k], linewidth=1)
    axes.set_xlabel(walk.name, fontsize=9)
    axes.set_ylabel("log joint density", fontsize=9)
    axes.set_ylim(bottom=max(walk.log_density.min(), np.median(walk.log_density) - DEEP))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
