"""Answers of fits whose units have known errors of their own that only the field has: made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.mean_movers import mean_movers
from dagmodels.backends.laplace.moments.beside import beside_field
from dagmodels.fits.field.report import report
from dagmodels.forms.moments import MomentsSolution
from dagmodels.forms.row_errors import RowErrorsForm

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit
    from dagmodels.results.refitting import Again, Influence, Limits, Refitter, Target


def with_field(fit: Fit, solution: MomentsSolution, plan: Plan | None) -> Fit:
    """The fit; where rows have errors of their own, with predictions, refits and profiles by the field."""
    if not isinstance(solution.form, RowErrorsForm):
        return fit
    beside = FieldBeside(solution, plan)
    return replace(fit, predictor=beside, again=beside)


@dataclass(frozen=True, eq=False)
class FieldBeside:
    """The field's fit of the same graph and data, at the same optimum; see `results.refitting.Again`."""

    solution: MomentsSolution
    plan: Plan | None

    @cached_property
    def fit(self) -> Fit:
        """The field's; raises as `beside_field`."""
        found = beside_field(self.solution)
        joint = bool(mean_movers(found.field.problem.graph, found.field.roles.outer))
        return report(found, self.plan, joint=joint)

    @property
    def _again(self) -> Again:
        assert self.fit.again is not None  # the field's report has it
        return self.fit.again

    def __call__(self, new: Any = None, *, type: str = "response", sd: bool = False) -> Any:
        """See `Fit.predict`; type and sd as the field has them."""
        return self.fit.predict(new, type=type, sd=sd)

    def refitter(self, simulator: Callable[..., Any] | None = None) -> Refitter:
        """A new one."""
        return self._again.refitter(simulator)

    def refuses(self, target: Target) -> str | None:
        """Why an estimate has no profile."""
        return self._again.refuses(target)

    def influence(self) -> Influence:
        """Of the responses."""
        return self._again.influence()

    def profile(self, targets: Sequence[Target], level: float) -> list[Limits]:
        """Profile limits."""
        return self._again.profile(targets, level)
