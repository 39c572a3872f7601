"""The ladder of measurement invariance: one model, step by step more of it equal between groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

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
