"""Fonts for a machine that may have none: a fontconfig file that knows those of matplotlib.

Without any font Graphviz draws every letter as an empty box, and says nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from functools import cache
from html import escape
from pathlib import Path

_TEMPLATE = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <include ignore_missing="yes">{machine}</include>
  <cachedir>{cache}</cachedir>
  <selectfont>
    <rejectfont><glob>{fonts}/cm*</glob></rejectfont>
    <rejectfont><glob>{fonts}/STIX*</glob></rejectfont>
    <rejectfont><glob>{fonts}/LastResort*</glob></rejectfont>
  </selectfont>
</fontconfig>
"""


def environment() -> dict[str, str]:
    """Environment for a process that draws: the caller's, with fonts that are sure to exist.

    fontconfig reads `FONTCONFIG_FILE` when it first looks for a font, so that a process which has
    drawn before would not notice a change; the drawing process therefore starts with it.
    """
    variables = dict(os.environ)
    path = font_file(os.environ.get("FONTCONFIG_FILE") or "/etc/fonts/fonts.conf")
    if path is not None:
        variables["FONTCONFIG_FILE"] = str(path)
        variables.pop("FONTCONFIG_SYSROOT", None)  # would be put before the paths in the file
    return variables


def font_file(machine: str) -> Path | None:
    """A fontconfig file with matplotlib's fonts and, after them, what the machine's own file says.

    None when matplotlib is not there: then only the machine's fonts are known.
    """
    fonts = _matplotlib_fonts()
    if fonts is None:
        return None
    folder = _cache_folder()
    text = _TEMPLATE.format(
        fonts=escape(str(fonts)), machine=escape(machine), cache=escape(str(folder / "fontconfig"))
    )
    path = folder / f"fonts-{hashlib.sha256(text.encode()).hexdigest()[:12]}.conf"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".conf")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    return path


def _matplotlib_fonts() -> Path | None:
    """The folder of matplotlib's TrueType fonts, found without importing matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return folder if (folder / "DejaVuSerif.ttf").exists() else None


def _cache_folder() -> Path:
    """A folder of ours that can be written: the user's cache, else a temporary one."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(home) / "dagmodels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(_temporary_folder().name)


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """One folder a process, removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="dagmodels-")
