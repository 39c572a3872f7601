"""Going on with the chains of a fit."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dagmodels.backends.gibbs.engine import Chain
from dagmodels.backends.gibbs.recipe import Recipe
from dagmodels.errors import FitError
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.fit import DrawsFit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

RUNS = ("executor", "progress", "until", "most")


@dataclass(frozen=True, eq=False, slots=True)
class Further:
    """What later draws hang on. It pickles: the route is made again.

    chains : where they are; their parts are what was drawn beyond the fit's draws. seconds : spent so far.
    store : where their draws are kept.
    """

    recipe: Recipe
    chains: tuple[Chain, ...]
    plan: Plan
    seconds: float
    store: str | os.PathLike[str] | None = None

    def extended(self, before: Draws, draws: int, options: dict[str, Any]) -> DrawsFit:
        """A fit of these draws and so many more of each chain; options: those of `RUNS`."""
        from dagmodels.backends.gibbs.fit import carried_on
        from dagmodels.backends.gibbs.options import read_options

        for name in options:
            if name not in RUNS:
                raise FitError(
                    f"extend has no option {name!r}; it has {', '.join(RUNS)}, and goes on with the rest"
                )
        asked = read_options(self.recipe.problem, {"draws": draws, "thin": self.recipe.thin, **options})
        asked = replace(asked, store=self.store)
        return carried_on(self.recipe, self.chains, asked, self.plan, before, self.seconds)
