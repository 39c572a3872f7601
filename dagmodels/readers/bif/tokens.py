"""BIF as a list of words and marks. Places are found when an error needs one, as most texts have none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from dagmodels.errors import ModelError, raise_all

_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r'|"[^"\n]*"'
    r"|[{}()\[\],;|]"
    r'|(?:(?!/\*)[^\s{}()\[\],;|"])+'  # names, states such as `<5` and `1-3_Days`, numbers
    r"|\S",  # a lone quotation mark, or a comment without end
    re.DOTALL,
)


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a text, comments left out.

    source : the file's name, for messages.
    """

    text: str
    source: str | None = None

    @cached_property
    def words(self) -> list[str]:
        """Names (without their quotation marks), numbers and marks."""
        found = _TOKEN.findall(self.text)
        if "/" in self.text:
            found = [t for t in found if not t.startswith(("//", "/*"))]
        return found

    @cached_property
    def _starts(self) -> list[int]:
        if "/" not in self.text:
            return [m.start() for m in _TOKEN.finditer(self.text)]
        return [m.start() for m in _TOKEN.finditer(self.text) if not m[0].startswith(("//", "/*"))]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a token, counted from 1; past the last one, the text's end."""
        starts = self._starts
        start = starts[at] if at < len(starts) else len(self.text.rstrip())
        return self.text.count("\n", 0, start) + 1, start - self.text.rfind("\n", 0, start)

    def lines(self, tokens: list[int]) -> list[tuple[int, int]]:
        """Places of many tokens, which stand in any order."""
        found: dict[int, tuple[int, int]] = {}
        line = last = 0
        for at in sorted(tokens):
            start = self._starts[at]
            line += self.text.count("\n", last, start)
            found[at] = (line + 1, start - self.text.rfind("\n", 0, start))
            last = start
        return [found[at] for at in tokens]

    def fault(self, at: int, message: str, hint: str | None = None, node: str | None = None) -> ModelError:
        """A problem at a token."""
        line, column = self.place(at)
        return ModelError(message, node=node, line=line, column=column, hint=hint, source=self.source)

    def stop(self, at: int, message: str, hint: str | None = None) -> NoReturn:
        """A text that cannot be read any further."""
        raise_all([self.fault(at, message, hint)], self.source or "the network")
        raise AssertionError("unreachable")

    def shown(self, at: int) -> str:
        """A token for messages."""
        return f"`{self.words[at]}`" if at < len(self.words) else "the end of the text"


def name_of(token: str) -> str:
    """A word without its quotation marks."""
    return token[1:-1] if len(token) > 1 and token[0] == '"' and token[-1] == '"' else token
