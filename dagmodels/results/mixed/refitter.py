"""Refits and profiles of a mixed model under lme4's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.results.mixed.components import components
from dagmodels.results.refitting import Refitted, Target

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Naming


class MixedRefitter:
    """The refitter of the graph, with estimates as lme4 lists them."""

    def __init__(self, fit: MixedFit) -> None:
        self._fit = fit
        self.inner = replace(fit.inner, simulator=fit.simulator).refitter()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates, in order."""
        return tuple(r.name for r in self._fit.components)

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses."""
        found = self.inner.refit(y)
        values = dict(zip(self.inner.names, found.estimates.tolist(), strict=True))
        estimates = np.array([r.estimate for r in components(self._fit.naming, values)])
        return replace(found, estimates=estimates)

    def fit(self, y: Any) -> MixedFit:
        """The whole fit for other responses."""
        from dagmodels.results.mixed.fit import mixed_fit

        fit = self._fit
        inner = replace(self.inner.fit(y), simulator=fit.simulator)
        (given,) = y.values() if isinstance(y, Mapping) else (y,)
        response = np.asarray(given, dtype=np.float64).reshape(-1)
        if fit.naming.family == "binomial" and fit.rows.weights is not None:
            response = response / fit.rows.weights
        if fit.rows.response is not None:
            response = np.where(np.isnan(fit.rows.response), np.nan, response)
        return mixed_fit(inner, fit.naming, replace(fit.rows, response=response), fit.design)

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Any]]:
        """Responses drawn from the fit."""
        return self.inner.simulate(streams)


@dataclass(frozen=True, slots=True)
class _Of:
    """One component as a function of the estimates that it depends on, the others being held."""

    naming: Naming
    name: str
    others: Mapping[str, float]

    def __call__(self, values: Mapping[str, float]) -> tuple[float, Mapping[str, float]]:
        found = components(self.naming, {**self.others, **values})
        row = next(r for r in found if r.name == self.name)
        return row.estimate, row.slopes


def component_targets(fit: MixedFit, names: Sequence[str]) -> list[Target]:
    """What `Fit.confint` profiles."""
    columns = fit.inner.estimate_columns
    others = dict(zip(columns["name"], columns["estimate"], strict=True))
    rows = {r.name: r for r in fit.components}
    edges = dict(zip(rows, zip(*fit.domains(), strict=True), strict=True))
    return [
        Target(n, tuple(rows[n].slopes), _Of(fit.naming, n, others), float(edges[n][0]), float(edges[n][1]))
        for n in names
    ]
