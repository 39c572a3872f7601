"""Figures of matplotlib as files: made from objects, so that no global state of matplotlib is touched."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.writing import write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
COLOURS = ("#1f5f8b", "#b5651d", "#4a7c59", "#8c4a6b", "#6b6b6b", "#c2a01e", "#3f8f8f", "#7a5cc0")
_METADATA: dict[str, Any] = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def picture_path(path: str | os.PathLike[str]) -> Path:
    """Where a picture goes; raises `ModelErrors` for an ending that says no format."""
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        told = f"'{target}' has no ending that says a format"
        raise_all([ModelError(told, hint=f"use {', '.join(ENDINGS)}")], "the picture")
    return target


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, target: Path) -> Path:
    """Written whole or not at all; equal figures give equal files."""
    import matplotlib

    ending = target.suffix.lower()
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "dagmodels", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=ending[1:], dpi=120, metadata=_METADATA[ending])
    write_files({target: buffer.getvalue()})
    return target
