"""The parser of the grammar; its LALR table is kept as JSON in the user's cache folder.

Making the table takes 0.1 s of every process, reading it a tenth of that. The file is data, never
code; it carries its digest, and one that is damaged or of other sources is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from dagmodels.graph.actions import actions

GRAMMAR = Path(__file__).with_name("grammar.lark")
OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "start": ["statement", "expr"],
    "maybe_placeholders": False,
}


@cache
def parser() -> Any:
    """The LALR parser, one a process."""
    grammar = GRAMMAR.read_text(encoding="utf-8")
    path = table_file(grammar)
    table = _read(path)
    if table is not None:
        return _restored(table)
    made = build(grammar)
    _write(path, serialised(made))
    return made


def build(grammar: str) -> Any:
    """The parser, made from the grammar."""
    from lark import Lark

    return Lark(grammar, transformer=actions(), **OPTIONS)


def folder() -> Path:
    """Where it is kept: DAGMODELS_CACHE, else the user's cache folder, as for compiled kernels."""
    stated = os.environ.get("DAGMODELS_CACHE")
    if stated:
        return Path(stated)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dagmodels"
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "dagmodels"


def table_file(grammar: str) -> Path:
    """The file of this grammar's table, for this version of lark."""
    import lark

    sources = f"{grammar}\0{sorted(OPTIONS.items())}\0{lark.__version__}"
    return folder() / f"grammar-{hashlib.sha256(sources.encode()).hexdigest()[:16]}.json"


def serialised(made: Any) -> str:
    """The table as JSON; actions are no part of it."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = made.memo_serialize([TerminalDef, Rule])
    data["options"] = {k: v for k, v in data["options"].items() if k in OPTIONS}
    return json.dumps({"data": data, "memo": memo})


def _restored(text: str) -> Any:
    from lark import Lark

    table = json.loads(text)
    data, memo = table["data"], {int(k): v for k, v in table["memo"].items()}
    states = data["parser"]["parser"]["states"]  # JSON has no numbers for keys
    data["parser"]["parser"]["states"] = {int(k): v for k, v in states.items()}
    return Lark._load_from_dict(data, memo, transformer=actions())  # pyright: ignore[reportPrivateUsage]


def _read(path: Path) -> str | None:
    """The table in a file whose first line is its digest; None where there is none or it is damaged."""
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if digest == _digest(text) else None


def _write(path: Path, text: str) -> None:
    """Keep the table, whole or not at all; without a writable folder the next process makes it again."""
    part = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=".grammar.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{_digest(text)}\n{text}")
        os.replace(part, path)
    except OSError:
        if part and os.path.exists(part):
            os.unlink(part)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
