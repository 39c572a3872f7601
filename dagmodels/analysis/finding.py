"""What an analysis finds fault with: nodes, a sentence and a remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the user must know about identification or about the posterior.

    kind : "scale", "location", "residual", "collinear", "improper" or "unused".
    nodes : whom it concerns, parameters first.
    message : what is wrong, as a sentence without its full stop.
    hint : what fixes it.
    """

    kind: str
    nodes: tuple[str, ...]
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}."
