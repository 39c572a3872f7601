"""DOT text to SVG, PNG or PDF, by the Graphviz inside pygraphviz or by `dot` on the PATH."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dagmodels.errors import DagmodelsError
from dagmodels.render._graphviz_worker import NO_PYGRAPHVIZ
from dagmodels.render.fonts import environment
from dagmodels.render.svg import tidy

FORMATS = ("svg", "png", "pdf")
_SECONDS = 120


class RenderError(DagmodelsError):
    """A picture cannot be drawn or written."""


def draw(dot_text: str, format: str = "svg") -> bytes:
    """The picture as the bytes of an SVG, PNG (144 dots an inch) or PDF file.

    Graphviz runs in a process of its own: its fonts are settled when it starts, it is not safe to
    use from several threads, and a crash in it must not end the caller.

    Raises
    ------
    RenderError
        for an unknown format, when there is no Graphviz, and with its own words when it fails.
    """
    if format not in FORMATS:
        raise RenderError(f"format '{format}' is not known (use {', '.join(FORMATS)})")
    done = None
    for command in _commands(format):
        done = _run(command, dot_text)
        if done.returncode != NO_PYGRAPHVIZ:
            break
    if done is None:
        raise RenderError(
            "there is no Graphviz to draw with (pip install pygraphviz, which carries it; "
            "text pictures, .dot and .mmd, need none)"
        )
    if done.returncode != 0 or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        said = words[-1] if words else f"it ended with status {done.returncode}"
        raise RenderError(f"Graphviz could not draw the {format} picture: {said}")
    return tidy(done.stdout) if format == "svg" else done.stdout


def _commands(format: str) -> Iterator[list[str]]:
    """Drawing processes to try: pygraphviz, where it is installed and there is a Python to run; `dot`."""
    spec = importlib.util.find_spec("pygraphviz")
    if spec is not None and spec.origin is not None and sys.executable:
        folder = Path(spec.origin).parent.parent
        worker = Path(__file__).with_name("_graphviz_worker.py")
        yield [sys.executable, "-I", str(worker), str(folder), format]
    dot = shutil.which("dot")
    if dot is not None:
        yield [dot, f"-T{format}", *(["-Gdpi=144"] if format == "png" else [])]


def _run(command: list[str], dot_text: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            input=dot_text.encode(),
            capture_output=True,
            env=environment(),
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RenderError(
            f"Graphviz has not finished after {_SECONDS} s (write .dot or .mmd and lay it out elsewhere)"
        ) from error
    except OSError as error:
        raise RenderError(f"'{command[0]}' cannot be started: {error.strerror}") from error
