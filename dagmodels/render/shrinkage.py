"""Partial pooling in one picture: every group's own mean, and where the model moved it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.render.draw import RenderError
from dagmodels.render.files import check_folder, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RAW = "#8c8c8c"
_POOLED = "#1f5f8b"
_GRAND = "#b5651d"
_DASHED = (0, (5, 3))
_MOST_LABELS = 100
_ROOMY = 40


def shrinkage(
    path: str | os.PathLike[str],
    levels: Sequence[object],
    raw: Sequence[float],
    pooled: Sequence[float],
    sizes: Sequence[float],
    grand: float | None = None,
    title: str = "",
    label: str = "estimate",
) -> Path:
    """Draw no-pooling means against partially pooled estimates, groups from smallest to largest.

    Parameters
    ----------
    path : where to write; .png, .svg or .pdf.
    levels : the groups' labels.
    raw, pooled : each group's own mean and its estimate in the model, in the same units. A group
        without data has raw NaN and is drawn with its estimate alone.
    sizes : number of observations in each group; ties are ordered by the raw mean.
    grand : the mean over all groups, drawn as a line.
    title, label : text above the picture and below its axis.

    Raises
    ------
    ModelErrors
        when the sequences differ in length or are empty.
    RenderError
        for another ending or a folder that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise RenderError(f"'{target}' has no ending that says a format (use .png, .svg or .pdf)")
    check_folder(target)
    _check_lengths(levels, raw, pooled, sizes)
    order = _order(levels, raw, pooled, sizes)
    write_bytes(
        target, _picture(target.suffix.lower()[1:], order, levels, raw, pooled, sizes, grand, title, label)
    )
    return target


def _check_lengths(levels: Any, raw: Any, pooled: Any, sizes: Any) -> None:
    problems = [
        ModelError(f"'{name}' has {len(given)} entries, but there are {len(levels)} levels", node=name)
        for name, given in (("raw", raw), ("pooled", pooled), ("sizes", sizes))
        if len(given) != len(levels)
    ]
    if len(levels) == 0:
        problems.append(ModelError("there are no groups to draw", hint="give at least one level"))
    raise_all(problems, "the shrinkage picture")


def _order(
    levels: Sequence[object], raw: Sequence[float], pooled: Sequence[float], sizes: Sequence[float]
) -> list[int]:
    """Groups by size, then by own mean (the estimate, where there is none)."""
    return sorted(range(len(levels)), key=lambda i: (sizes[i], raw[i] if raw[i] == raw[i] else pooled[i]))


def _picture(
    format_: str,
    order: list[int],
    levels: Sequence[object],
    raw: Sequence[float],
    pooled: Sequence[float],
    sizes: Sequence[float],
    grand: float | None,
    title: str,
    label: str,
) -> bytes:
    """The figure as bytes; made from objects, so that no global state of matplotlib is touched."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    row = 0.2 if len(order) <= _ROOMY else 0.13 if len(order) <= _MOST_LABELS else 9.0 / len(order)
    figure = Figure(figsize=(7.0, 1.6 + row * len(order)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw(axes, [raw[i] for i in order], [pooled[i] for i in order], grand)
    _name_rows(axes, [str(levels[i]) for i in order], [sizes[i] for i in order])
    axes.set_xlabel(label)
    _legend(figure, grand, title)
    buffer = io.BytesIO()
    # Dates and random identifiers are left out: equal input gives equal files.
    metadata = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format_]
    with matplotlib.rc_context({"svg.hashsalt": "dagmodels", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=format_, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _draw(axes: Axes, raw: list[float], pooled: list[float], grand: float | None) -> None:
    rows = list(range(len(raw)))
    known = [x for x in [*raw, *pooled] if x == x]
    shortest = 0.012 * (max(known, default=0.0) - min(known, default=0.0))  # else the head is all there is
    if grand is not None:
        axes.axvline(grand, color=_GRAND, linewidth=1.2, linestyle=_DASHED, zorder=1)
    for y, (start, end) in enumerate(zip(raw, pooled, strict=True)):
        if abs(end - start) > shortest:  # False where the group has no mean of its own
            arrow = {
                "arrowstyle": "-|>,head_width=0.14,head_length=0.28",
                "color": _POOLED,
                "lw": 0.9,
                "alpha": 0.75,
            }
            axes.annotate(
                "", xy=(end, y), xytext=(start, y), arrowprops={**arrow, "shrinkA": 2, "shrinkB": 1}
            )
    axes.plot(raw, rows, "o", markersize=4, markerfacecolor="white", markeredgecolor=_RAW, zorder=3)
    axes.plot(pooled, rows, "o", markersize=3.4, color=_POOLED, zorder=4)
    axes.margins(x=0.04)
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, grand: float | None, title: str) -> None:
    """Title and key above the axes, where no point can be."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker="o", linestyle="", markerfacecolor="white", markeredgecolor=_RAW, label="own mean"
        ),
        Line2D([], [], marker="o", linestyle="", color=_POOLED, label="partially pooled"),
    ]
    if grand is not None:
        handles.append(Line2D([], [], color=_GRAND, linestyle=_DASHED, label="grand mean"))
    legend = figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=3,
        frameon=False,
        fontsize=9,
        title=title or None,
        title_fontsize=12,
        alignment="left",
    )
    legend.get_title().set_multialignment("left")


def _name_rows(axes: Axes, levels: list[str], sizes: list[float]) -> None:
    """Every group's name when there is room, else the sample sizes along the order."""
    if len(levels) <= _MOST_LABELS:
        axes.set_yticks(range(len(levels)), [f"{x}  ({n:g})" for x, n in zip(levels, sizes, strict=True)])
        axes.tick_params(axis="y", labelsize=8 if len(levels) <= _ROOMY else 6, length=0)
        axes.set_ylabel("group (observations)")
        return
    firsts = [i for i in range(len(sizes)) if i == 0 or sizes[i] != sizes[i - 1]]
    gap = len(sizes) / 25
    shown: list[int] = []
    for i in firsts:
        if not shown or i - shown[-1] >= gap:
            shown.append(i)
    axes.set_yticks(shown, [f"{sizes[i]:g}" for i in shown])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel(f"{len(levels)} groups, by number of observations")
