"""Cuts a model's text into statements; bounds its size and the depth of its brackets."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.plate import Place

MAX_TEXT = 2_000_000  # characters
MAX_STATEMENTS = 50_000
MAX_BRACKETS = 100  # brackets open at one time

_MARKS = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|`[^`\n]*`|[()\[\]{}\n"`]')
_PAIRS = {")": "(", "]": "[", "}": "{"}
_LOOKS_NEW = re.compile(
    r"\n[ \t]*(?:(?:plate|covariate|constant|parameter|observed|model)\b|[^\W\d][\w.]*(?:\[[^\]\n]*\])?\s*~)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement's text, where it starts in the whole, and the comment that ends it."""

    text: str
    start: int
    note: str


class Positions:
    """Line and column, counted from 1, of a place in a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def __call__(self, position: int) -> Place:
        line = bisect_right(self._starts, position)
        return Place(line, position - self._starts[line - 1] + 1)


def normalised(text: str, source: str | None = None) -> str:
    """The text with line ends as `\\n`; refuses what is too large to be a model."""
    if len(text) > MAX_TEXT:
        error = ModelError(
            f"The text has {len(text)} characters; a model may have {MAX_TEXT}.",
            hint="keep data in a data file, and large networks in JSON",
            source=source,
        )
        raise_all([error], source or "the text")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def pieces(text: str, fault: Callable[[str, int, str], None]) -> Iterator[Piece]:
    """Every statement of the text in order.

    fault : called with (message, position, hint) for brackets that do not match; the scan goes on
        after the line where it can, and stops where a bracket stays open.
    """
    start, note, end, count, resume = 0, "", None, 0, 0
    stack: list[int] = []
    for mark in _MARKS.finditer(text + "\n"):
        what, at = mark[0], mark.start()
        first = what[0]
        if at < resume:  # the rest of a line with a fault
            continue
        if first == "\n":
            if stack:
                continue
            content = text[start : at if end is None else end]
            if content.strip():
                count += 1
                if count > MAX_STATEMENTS:
                    fault(
                        f"The text has more than {MAX_STATEMENTS} statements.",
                        start,
                        "use plates instead of one node for each element",
                    )
                    return
                skipped = len(content) - len(content.lstrip())
                yield Piece(content.strip(), start + skipped, note)
            start, note, end = at + 1, "", None
        elif first == "#":
            if not stack:
                end, note = at, " ".join(what[1:].split())
        elif first in "([{":
            stack.append(at)
            if len(stack) > MAX_BRACKETS:
                fault(
                    f"Brackets are nested more than {MAX_BRACKETS} deep.",
                    at,
                    "give parts of the expression names of their own",
                )
                return
        elif first in _PAIRS:
            if stack and text[stack[-1]] == _PAIRS[first]:
                stack.pop()
                continue
            if stack:
                fault(
                    f"`{first}` does not close `{text[stack[-1]]}`.", at, "every bracket closes its own kind"
                )
            else:
                fault(f"`{first}` closes no bracket.", at, f"remove it or open a `{_PAIRS[first]}` before it")
            stack.clear()
            start = resume = _line_end(text, at)
        elif len(what) == 1:  # an opening quote without its partner
            kind = "text in double quotes" if first == '"' else "name in backquotes"
            fault(f"The {kind} does not end on its line.", at, f"close it with {first}")
            stack.clear()
            start = resume = _line_end(text, at)
    if stack:
        fault(
            f"`{text[stack[0]]}` is never closed.",
            stack[0],
            _closing_hint(text, stack[0]),
        )


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _closing_hint(text: str, position: int) -> str:
    closing = next(c for c, o in _PAIRS.items() if o == text[position])
    following = _LOOKS_NEW.search(text, position)
    if following:
        line = text.count("\n", 0, following.start()) + 1
        return f"add the missing `{closing}`, perhaps at the end of line {line}"
    return f"add the missing `{closing}`"
