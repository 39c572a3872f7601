"""The ladder of measurement invariance: one model, step by step more of it equal between groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.sem.likelihood_ratio import comparison
from dagmodels.results.shown import Shown

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

STEPS: dict[str, tuple[str, ...]] = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}
# The curve of a category takes loadings and thresholds together, so that they are held in tandem (Muthen and
# Asparouhov 2002, Mplus Web Notes 4): equal loadings alone say different things in different units.
ORDERED: dict[str, tuple[str, ...]] = {
    "configural": (),
    "scalar": ("loadings", "thresholds", "intercepts"),
    "strict": ("loadings", "thresholds", "intercepts", "residuals"),
}


def ladder(steps: Sequence[str] | None, *, ordered: bool, delta: bool) -> dict[str, tuple[str, ...]]:
    """The steps that are asked for, with what is equal in each.

    ordered : whether variables have thresholds. delta : whether their residual variances are no parameters.

    Raises
    ------
    ModelErrors : steps that there are not.
    """
    known = ORDERED if ordered else STEPS
    chosen = list(known) if steps is None else list(steps)
    faults = []
    for s in chosen:
        if ordered and s == "metric":
            told = "'metric' holds loadings alone, whose units thresholds give where variables are ordered"
            faults.append(ModelError(told, hint="'scalar' holds loadings and thresholds together"))
        elif s not in known:
            faults.append(ModelError(f"there is no step {s!r}", hint=f"there are {', '.join(known)}"))
    if ordered and delta and "strict" in chosen:
        told = "'strict' holds residual variances, which parameterization='delta' has not"
        faults.append(ModelError(told, hint="leave parameterization out, or take steps before"))
    if not chosen:
        faults.append(ModelError("there are no steps", hint="steps=['configural', 'scalar']"))
    raise_all(faults, "the invariance ladder")
    return {s: equal for s, equal in known.items() if s in chosen}


@dataclass(frozen=True, eq=False, repr=False)
class Invariance:
    """What `dm.invariance` gives: the fits by step, and their comparison.

    fits : by step. equal : what is held equal in each.
    """

    fits: Mapping[str, SemFit]
    equal: Mapping[str, tuple[str, ...]]

    def __getitem__(self, step: str) -> SemFit:
        return self.fits[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fits)

    @cached_property
    def table(self) -> DataFrame:
        """One row a step: its fit, and the test against the step before."""
        found = comparison(list(self.fits.values()), list(self.fits))
        order = list(found.index)
        for name in ("cfi", "rmsea", "srmr"):
            values = [self.fits[s].measures[name] for s in order]
            found[name] = values
            found[f"{name} diff"] = [math.nan, *(b - a for a, b in pairwise(values))]
        return found.drop(columns="RMSEA")

    def score_tests(self, step: str) -> DataFrame:
        """Which of a step's constraints cost most."""
        tests = self.fits[step].score_test()
        return tests.sort_values("chisq", ascending=False, kind="stable", ignore_index=True)

    def __str__(self) -> str:
        shown = self.table.to_string(na_rep="", float_format=lambda v: f"{v:.3f}")
        lines = [f"{step}: equal {', '.join(self.equal[step]) or 'form'}" for step in self.fits]
        return Shown("\n".join([*lines, "", shown]))

    def __repr__(self) -> str:
        return str(self)
