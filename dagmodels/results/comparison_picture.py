"""A forest plot: one row a name, one colour an answer, points with their limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.results.answers import Answer, Number
from dagmodels.results.figures import COLOURS, new_figure, picture_path, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ALIKE = 30.0  # ratio of magnitudes from which on nodes get an axis of their own


def forest(
    path: str | os.PathLike[str], answers: Sequence[Answer], names: Sequence[str], title: str = ""
) -> Path:
    """Draw it; nodes whose numbers are of another magnitude get an axis of their own."""
    target = picture_path(path)
    groups = alike([a.numbers for a in answers], names)
    heights = [height(len(g), len(answers)) for g in groups]
    figure = new_figure(7.5, 1.3 + sum(heights) + 0.35 * len(groups))
    rows = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0] if groups else []
    for axes, group in zip(rows, groups, strict=True):
        draw_rows(axes, [a.numbers for a in answers], group)
    legend(figure, [a.label for a in answers], title)
    return save_figure(figure, target)


def draw_rows(axes: Axes, columns: Sequence[Mapping[str, Number]], names: Sequence[str]) -> None:
    """One row a name, in it one point a column with its limits."""
    step = 0.8 / max(len(columns), 1)
    for k, numbers in enumerate(columns):
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        for i, name in enumerate(names):
            number = numbers.get(name)
            if number is None or not np.isfinite(number.estimate):
                continue
            y = i - 0.4 + step * (k + 0.5)
            ends = [e for e in (number.lower, number.upper) if np.isfinite(e)]
            if len(ends) == 2:
                axes.plot(ends, [y, y], color=colour, linewidth=1.2)
            axes.plot([number.estimate], [y], marker, color=colour, markersize=4.5)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="both", labelsize=8, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)


def height(rows: int, columns: int) -> float:
    """Inches that so many rows take."""
    return 0.3 + (0.1 + 0.09 * columns) * rows


def alike(columns: Sequence[Mapping[str, Number]], names: Sequence[str]) -> list[list[str]]:
    """Runs of names whose numbers are of one magnitude; elements of a node stay together."""
    nodes: dict[str, list[str]] = {}
    for name in names:
        nodes.setdefault(name.partition("[")[0], []).append(name)
    groups: list[tuple[float, list[str]]] = []
    for own in nodes.values():
        size = _size(columns, own)
        for i, (other, group) in enumerate(groups):
            if max(size, other) <= ALIKE * min(size, other):
                groups[i] = (max(size, other), [*group, *own])
                break
        else:
            groups.append((size, list(own)))
    return [g for _, g in groups]


def _size(columns: Sequence[Mapping[str, Number]], names: Sequence[str]) -> float:
    """Largest absolute end of an interval."""
    found = [numbers[n] for numbers in columns for n in names if n in numbers]
    ends = np.abs([e for x in found for e in (x.estimate, x.lower, x.upper) if np.isfinite(e)])
    return float(ends.max(initial=0.0)) or 1e-12


def legend(figure: Any, labels: Sequence[str], title: str) -> None:
    """Which colour is which, above the axes."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[k % len(COLOURS)], marker=MARKERS[k % len(MARKERS)], label=label)
        for k, label in enumerate(labels)
    ]
    place = "outside upper left"
    figure.legend(handles=handles, loc=place, ncols=4, frameon=False, fontsize=9, title=title or None)
