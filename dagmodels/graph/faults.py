"""Collects the problems of a model, each with its place in the text, and raises them together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.plate import Place, Plate
from dagmodels.graph.statement import Statement

_TOKENS = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|`([^`\n]*)`|([^\W\d]\w*(?:\.\w+)*)')
_SUGGESTIONS = 25  # searches for a similar name; more would make a text of only slips slow


@dataclass(slots=True)
class Faults:
    """The problems found so far.

    text : the model's text, when it was read from one: places of single names are found in it.
    """

    text: str | None = None
    source: str | None = None
    found: list[ModelError] = field(default_factory=list[ModelError])
    _searches: int = 0
    _starts: list[int] = field(default_factory=list[int])

    def add(
        self,
        message: str,
        at: Statement | Plate | None = None,
        *,
        node: str | None = None,
        hint: str | None = None,
        word: str | None = None,
    ) -> None:
        """One more problem.

        at : the statement or plate it is in.
        word : a name on the right-hand side at which to point; the statement's head otherwise.
        """
        place = at.place if at is not None else None
        if place is not None and word is not None:
            place = self._find(word, place) or place
        line, column = (place.line, place.column) if place is not None else (None, None)
        error = ModelError(message, node=node, line=line, column=column, hint=hint, source=self.source)
        self.found.append(error)

    def similar(self, name: str, known: Iterable[str]) -> str | None:
        """The most similar known name, if one is near."""
        self._searches += 1
        if self._searches > _SUGGESTIONS:
            return None
        lowered = {k.lower(): k for k in known}
        if name.lower() in lowered:
            return lowered[name.lower()]
        near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
        return lowered[near[0]] if near else None

    def raise_all(self, where: str) -> None:
        raise_all(self.found, where)

    def _find(self, word: str, start: Place) -> Place | None:
        """Where the word stands as a name after the head that begins at `start`."""
        if self.text is None:
            return None
        if not self._starts:
            self._starts = [0, *(m.end() for m in re.finditer("\n", self.text))]
        if start.line > len(self._starts):
            return None
        begin = self._starts[start.line - 1] + start.column - 1
        first = True
        for match in _TOKENS.finditer(self.text, begin):
            name = match[1] or match[2]
            if name is None:
                continue
            if name == word and not first:
                line = start.line + self.text.count("\n", begin, match.start())
                return Place(line, match.start() - self._starts[line - 1] + 1)
            first = False
        return None
