"""Every exception and warning that the package raises on purpose: what, where, what to try."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T", bound=Exception)

LONGEST_LINE = 200  # characters of a line of a text that a message shows
_LONG_WORD = re.compile(r"\S{200,}")


def shortened(text: str) -> str:
    """A message in which what the user gave takes one line at most: longer words show their beginning."""
    return _LONG_WORD.sub(lambda m: f"{m[0][:60]}... ({len(m[0])} characters)", text)


class DagmodelsError(Exception):
    """Root of all errors raised on purpose."""


class ModelError(DagmodelsError):
    """One problem in a model or in data bound to it.

    Parameters
    ----------
    message : what is wrong, as a sentence that names the node, plate or column.
    node : the node, plate or column concerned, if one is.
    line, column : place in the model's text, counted from 1.
    hint : what to try next.
    source : the file's name, where the text came from one.

    `excerpt` is the line of the text with a mark at the column, once `show_in` has looked it up.
    """

    excerpt: str = ""

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        source: str | None = None,
    ) -> None:
        message = shortened(message)
        super().__init__(message)
        self.message = message
        self.node = node
        self.line = line
        self.column = column
        self.hint = hint if hint is None else shortened(hint)
        self.source = source

    def __str__(self) -> str:
        place = self.source or ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
            if self.column is not None:
                place += f":{self.column}" if self.source else f", column {self.column}"
        text = f"{place}: {self.message}" if place else self.message
        return (f"{text} ({self.hint})" if self.hint else text) + self.excerpt

    def show_in(self, text: str) -> None:
        """Show the line of `text` below the message, with a mark where the column is known."""
        lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
        if self.line is None or not 0 < self.line <= len(lines):
            return
        shown = lines[self.line - 1].expandtabs(1)
        if shown.strip() and len(shown) <= LONGEST_LINE:
            mark = "" if self.column is None else f"\n      {' ' * (self.column - 1)}^"
            self.excerpt = f"\n      {shown}{mark}"


class ModelErrors(DagmodelsError, ExceptionGroup):  # type: ignore[misc]  # the contract's bases
    """All problems of one model or one binding, raised together, even when there is one."""

    def derive(self, excs: Sequence[Exception]) -> ModelErrors:  # type: ignore[override]
        return ModelErrors(self.message, list(excs))

    def __str__(self) -> str:
        lines = "\n".join(f"  {error}" for error in self.exceptions)
        return f"{self.message}:\n{lines}"


class FitError(DagmodelsError):
    """A fit cannot be done, or went wrong in a way that leaves no answer."""


class FitWarning(UserWarning):
    """A fit ended with something the user must know."""


class PluginWarning(UserWarning):
    """A backend from the entry points could not be loaded, or is named twice."""


def raise_all(errors: Iterable[ModelError], where: str) -> None:
    """Raise every collected problem at once; return when there is none.

    Parameters
    ----------
    errors : the problems found.
    where : what they are problems of, such as "model 'radon'".
    """
    found = sorted(errors, key=lambda e: (e.line or 0, e.column or 0))
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise ModelErrors(f"{count} in {shortened(where)}", found)


@contextmanager
def shown_in(text: str) -> Generator[None, None, None]:
    """Errors that leave this block show the lines of `text` that they name."""
    try:
        yield
    except ModelErrors as found:
        for error in found.exceptions:
            if isinstance(error, ModelError):
                error.show_in(text)
        raise
