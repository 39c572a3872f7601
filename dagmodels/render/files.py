"""Pictures as files: the format by the ending, old files whole until the new one is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagmodels.errors import ModelErrors
from dagmodels.graph.dag import Dag
from dagmodels.render.dot import to_dot
from dagmodels.render.draw import FORMATS, RenderError, draw
from dagmodels.render.mermaid import to_mermaid
from dagmodels.render.path_dot import path_dot
from dagmodels.render.path_sources import PathOptions
from dagmodels.results.writing import write_files

ENDINGS = (*(f".{f}" for f in FORMATS), ".dot", ".gv", ".mmd", ".mermaid")


def write(
    dag: Dag,
    path: str | os.PathLike[str],
    *,
    style: str = "bayes",
    sizes: Mapping[str, int] | None = None,
    estimates: Any = None,
    show: str = "names",
    paths: PathOptions | None = None,
    naming: Any = None,
) -> Path:
    """Draw a model into a file: .svg, .png, .pdf, .dot (or .gv), .mmd (or .mermaid).

    The other arguments are those of `to_dot`, or with `paths` those of `path_dot`; Mermaid text has one
    style. Returns the path.

    Raises
    ------
    RenderError
        for another ending, a folder that is missing or cannot be written, or a failed drawing.
    """
    if not isinstance(path, str | os.PathLike):
        raise RenderError(f"{path!r} is no path of a picture (give a file's name such as 'model.svg')")
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise RenderError(f"'{target}' has no ending that says a format (use {', '.join(ENDINGS)})")
    check_folder(target)
    if ending in (".mmd", ".mermaid"):
        content = to_mermaid(dag, sizes, estimates).encode()
    else:
        if paths is not None:
            text = path_dot(dag, estimates, paths, naming)
        else:
            text = to_dot(dag, style, sizes, estimates, show)
        content = text.encode() if ending in (".dot", ".gv") else draw(text, ending[1:])
    write_bytes(target, content)
    return target


def check_folder(target: Path) -> None:
    """Raise unless the folder of a file to be written is there."""
    if not target.parent.is_dir():
        raise RenderError(f"cannot write '{target}': there is no folder '{target.parent}' (create it first)")


def write_bytes(target: Path, content: bytes) -> None:
    """As every output is written: whole or not at all, through symbolic links (`results.writing`)."""
    check_folder(target)
    try:
        write_files({target: content})
    except ModelErrors as error:
        raise RenderError("; ".join(map(str, error.exceptions))) from error
