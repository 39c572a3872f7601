"""Free names for the nodes and plates of a graph made from a formula."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNFIT = re.compile(r"[^\w.]+")
_BACKQUOTE = re.compile(r"[`\x00-\x1f\x7f\x85\u2028\u2029]")


class Namer:
    """Gives every name once; a name that is taken gets an underscore."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def __call__(self, wanted: str) -> str:
        name = _BACKQUOTE.sub("_", wanted) or "_"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def plain(text: str) -> str:
    """Text as part of a name that needs no backquotes: `cask:batch` gives cask_batch."""
    return _UNFIT.sub("_", text).strip("_") or "x"


def distinct(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels made different: a second `x` becomes `x.1`, as R's `make.unique` writes it."""
    found: dict[str, None] = {}
    for label in labels:
        name, k = label, 0
        while name in found:
            k += 1
            name = f"{label}.{k}"
        found[name] = None
    return tuple(found)
