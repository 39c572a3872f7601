"""The classic examples under tests/references/bugs, and values for what their initial values leave out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "references" / "bugs"


@dataclass(frozen=True)
class Model:
    """One variant of one example.

    sizes : elements of each plate. starts : values beside the initial ones, so that nothing extreme is drawn.
    unused : data that the text does not use.
    """

    name: str
    variant: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    starts: dict[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def path(self, what: str, ending: str) -> Path:
        return FOLDER / self.name / f"{what}{self.variant}.{ending}"

    @cached_property
    def text(self) -> str:
        return self.path("model", "bug").read_text()

    @cached_property
    def data(self) -> dict[str, Any]:
        return json.loads(self.path("data", "json").read_text())

    @cached_property
    def inits(self) -> dict[str, Any]:
        return json.loads(self.path("inits", "json").read_text())

    def __hash__(self) -> int:
        return hash((self.name, self.variant))


_GROWTH = {"N": 30, "T": 5}
_DYES = {"theta": 1500, "tau.within": 0.001, "tau.between": 0.002}
MODELS = (
    Model("rats", "", _GROWTH),
    Model("rats", "_missing", _GROWTH),
    Model("pump", "", {"N": 10}),
    Model("seeds", "", {"N": 21}),
    Model("seeds", "_uni", {"N": 21}, {"sigma": 0.3}),
    Model("salm", "", {"doses": 6, "plates": 3}),
    Model("salm", "_pareto", {"doses": 6, "plates": 3}),
    Model("dyes", "", {"BATCHES": 6, "SAMPLES": 5}, _DYES),
    Model("lsat", "", {"N": 1000, "R": 32, "T": 5}, unused=("m",)),
    Model("eyes", "", {"N": 48, "j": 2}),
    Model("line", "", {"N": 5}, {"alpha": 3, "beta": 1, "tau": 2}),
)
