"""A structural model fitted once more: to other rows, or other statistics, under lavaan's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.results.refitting import Refitted, Refitter
from dagmodels.results.sem.definitions import Definitions
from dagmodels.results.sem.positions import moved
from dagmodels.results.sem.standardized import standardized

if TYPE_CHECKING:
    from dagmodels.numerics.moments import Sample
    from dagmodels.results.fit import Fit
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
STANDARDIZED = ("std_lv", "std_all")


class Layout(Protocol):
    """Coordinates -> numbers of the inner table."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def values(self, x: Floats) -> Floats: ...


class Inner(Refitter, Protocol):
    """What refits from statistics."""

    @property
    def layout(self) -> Layout: ...

    def solve(self, sample: Sample) -> MomentsSolution: ...

    def solve_form(self, form: MomentsForm) -> MomentsSolution: ...

    def solve_responses(self, y: Any) -> MomentsSolution: ...

    def reported(self, form: MomentsForm) -> Fit: ...


class SemRefitter:
    """See `results.refitting.Refitter`; estimates are the rows of the table."""

    def __init__(self, fit: SemFit) -> None:
        if fit.inner.again is None:
            raise FitError(f"the '{fit.backend}' backend does not refit '{fit.graph.name}'")
        self.of = fit
        self.inner = cast(Inner, fit.inner.again.refitter(fit.simulator))
        rows = fit.naming.rows
        place = {name: i for i, name in enumerate(self.inner.names)}
        defined = [i for i, r in enumerate(rows) if r.op == ":="]
        self._defined = np.array([i for i in defined if rows[i].node in place], dtype=np.int64)
        self._constant = np.array([i for i in defined if rows[i].node not in place], dtype=np.int64)
        self._sources = np.array([place[rows[i].node] for i in self._defined], dtype=np.int64)
        self._definitions = Definitions(fit.naming, fit.graph)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the rows."""
        return tuple(map(str, self.of.estimate_columns["name"]))

    def solve(self, sample: Sample) -> MomentsSolution:
        """The optimum for other statistics of the same variables."""
        return self.inner.solve(sample)

    def solve_form(self, form: MomentsForm) -> MomentsSolution:
        """The optimum of the same form with other data."""
        return self.inner.solve_form(form)

    def rows(self, solution: MomentsSolution, what: str = "estimate") -> Floats:
        """The table's column `what` ("estimate", "std_lv" or "std_all") at a solution of this model."""
        at = moved(self.of.at, solution)
        if what in STANDARDIZED:
            value = standardized(solution, at, latent_only=what == "std_lv")[0]
            if self._definitions.rows:
                value[self._definitions.rows] = self._definitions.at(value)
            return value
        value = at.value.copy()
        if self._constant.size:
            value[self._constant] = np.asarray(self.of.estimate_columns["estimate"])[self._constant]
        if self._defined.size:
            value[self._defined] = self.inner.layout.values(solution.at.x)[self._sources]
        return value

    def named(self, inner: Fit) -> SemFit:
        """A fit of the graph under lavaan's names."""
        from dagmodels.results.sem.fit import sem_fit
        from dagmodels.results.sem.levels.fit import LevelFit, level_fit

        if isinstance(self.of, LevelFit):
            return level_fit(inner, self.of.naming, self.of.rows, self.of.drawing, self.of.cluster)
        return sem_fit(inner, self.of.naming, self.of.rows, self.of.drawing)

    def with_sample(self, sample: Sample) -> SemFit:
        """The whole fit for other statistics."""
        return self.with_form(self.of.solution.form.with_sample(sample))

    def with_form(self, form: MomentsForm) -> SemFit:
        """The whole fit of the same form with other data."""
        return self.named(self.inner.reported(form))

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses in the same rows."""
        found = self.inner.solve_responses(y)
        value = found.optimum.value
        return Refitted(self.rows(found), value, found.converged, found.message, found.evaluations)

    def fit(self, y: Any) -> SemFit:
        """The whole fit for other responses in the same rows."""
        return self.named(self.inner.fit(y))

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, one set a stream."""
        return self.inner.simulate(streams)
