"""What a fit holds so that other models can be fitted to its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagmodels.bind.problem import Problem

if TYPE_CHECKING:
    from dagmodels.measurement.mismeasured import Readings
    from dagmodels.results.fit import Fit
    from dagmodels.results.measurement.attenuation import Attenuation
    from dagmodels.results.measurement.opinions import SecondOpinions
    from dagmodels.simulate import Simulated


@dataclass(frozen=True, eq=False, slots=True)
class Beside:
    """The data of a fit, and the verbs that need them. Light: nothing is imported before a verb is used."""

    problem: Problem

    def attenuation(self, fit: Fit, readings: Readings | None = None) -> Attenuation:
        """See `Fit.attenuation`."""
        from dagmodels.measurement.attenuation import attenuation

        return attenuation(fit, self.problem, readings)

    def second_opinions(
        self,
        fit: Fit,
        readings: Readings | None = None,
        draws: int = 200,
        replicates: int = 100,
        seed: int = 1,
    ) -> SecondOpinions:
        """See `Fit.second_opinions`."""
        from dagmodels.measurement.opinions import opinions_of

        return opinions_of(fit, self.problem, readings, draws, replicates, seed)

    def impute(self, fit: Fit, m: int, seed: int) -> list[Simulated]:
        """See `Fit.impute`."""
        from dagmodels.dispatch.imputation import impute

        return impute(fit, self.problem, m, seed)


__all__ = ["Beside"]
