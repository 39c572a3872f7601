"""Expectation and maximisation on the `moments` form, to a certified optimum."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.errors import FitError
from dagmodels.fits.moments.certificate import verdict
from dagmodels.fits.moments.start import starting_point
from dagmodels.forms.moments import Criterion, MomentsForm, MomentsSolution
from dagmodels.numerics.expected_moments import augmentation, expected
from dagmodels.numerics.scoring import certified, score
from dagmodels.numerics.squarem import Rise, squarem

Floats = NDArray[np.float64]
CLOSE = 1e-7  # gradient at which the search ends, in the metric of the exact Hessian
INNER = 12  # scoring steps of one maximisation: a linear regression takes two, others end by themselves
LIMIT = 5000  # steps of EM
PATIENCE, LITTLE = 50, 1e-2  # cycles, and the share of the promised gain that they must bring
HELD = "the steps of EM hardly go on here, as where a variance runs to zero; method='laplace' goes on"


@dataclass(frozen=True, eq=False)
class Maximiser:
    """The map of EM: the criterion's expectation given the data, maximised from where it stands.

    form : of the data. whole : the same structure where the variables of the complete data are observed.
    """

    form: MomentsForm
    whole: MomentsForm

    @classmethod
    def of(cls, form: MomentsForm, start: Criterion) -> Maximiser:
        """Of a form, with the variables that its starting point leaves undetermined."""
        kept = augmentation(start.moments)
        return cls(form, replace(form, structure=replace(form.structure, observed=kept), given_constant=0.0))

    def __call__(self, x: Floats) -> Floats:
        """One step."""
        complete = self.expectation(self.form.at(x))
        t = self.form.template
        return score(complete.at, x, t.lower, t.upper, limit=INNER).x

    def expectation(self, at: Criterion) -> MomentsForm:
        """The form of the complete data's expected moments."""
        sample = expected(at.moments, self.whole.structure.observed)
        return replace(self.whole, sample=sample)


@dataclass(frozen=True, eq=False, slots=True)
class EmSolution:
    """The optimum, the steps of EM it took and the criterion after each cycle of two."""

    solution: MomentsSolution
    steps: int
    values: tuple[float, ...]


def solve(form: MomentsForm, began: float | None = None, start: Floats | None = None) -> EmSolution:
    """Maximise from `start`, or from the sample's moments.

    Raises
    ------
    FitError : a start without a criterion; a likelihood that fell, which is a defect and never passed over.
    """
    began = time.process_time() if began is None else began
    t = form.template
    count = [0]

    def value(x: Floats) -> float:
        count[0] += 1
        return form.at(x).value

    with np.errstate(all="ignore"):  # what is not finite is never accepted
        begin = _start(form, start)
        step = Maximiser.of(form, form.at(begin))
        try:
            watch = Watch(form)
            found = squarem(step, value, watch, _sizes(form), begin, t.lower, t.upper, LIMIT)
        except Rise as rise:
            before, after = rise.args
            raise FitError(
                f"em: minus twice the log likelihood rose from {before:.12g} to {after:.12g} in a step that "
                "cannot raise it; this is a defect: please report it, and take method='laplace'"
            ) from rise
        except (FloatingPointError, np.linalg.LinAlgError) as error:
            raise FitError(
                "em: the covariance of the complete data became singular, so that a step has no maximum "
                f"({error}); a residual variance runs to zero or below, which method='laplace' can tell"
            ) from error
        at = form.at(found.x)
        trace.rising("moments", [-0.5 * v for v in (*found.values, at.value)])
        optimum = certified(found.x, at, t.lower, t.upper, found.steps, watch.told or HELD)
        converged, message = verdict(form, optimum)
    seconds = time.process_time() - began
    solution = MomentsSolution(form, at, optimum, count[0], converged, message, seconds)
    return EmSolution(solution, found.steps, found.values)


def _start(form: MomentsForm, start: Floats | None) -> Floats:
    t = form.template
    least = np.maximum(t.lower, t.least)
    tried = [start] if start is not None else [starting_point(form), starting_point(form, plain=True)]
    for x in tried:
        x = np.clip(x, t.lower, t.upper)
        for point in (x, np.maximum(x, np.where(least > t.lower, 1e-3, least))):
            if np.isfinite(form.at(point).value):
                return point
    raise FitError(
        "em: the criterion is not finite at the starting values; state some ('parameter v start 1')"
    )


class Watch:
    """Whether to end, asked after each cycle: the gradient is small in the metric of the exact Hessian, or
    the last cycles gained next to nothing of what it promises.

    told : why it ended, "" as long as it goes on.
    """

    def __init__(self, form: MomentsForm) -> None:
        self.form, self.values, self.told = form, [], ""

    def __call__(self, x: Floats) -> bool:
        """At one point."""
        t = self.form.template
        found = certified(x, self.form.at(x), t.lower, t.upper, 0, "")
        self.values.append(found.value)
        if found.smallest > 0 and found.decrement < CLOSE * np.sqrt(2):
            self.told = "converged"
        elif len(self.values) > PATIENCE:
            gained = self.values[-PATIENCE - 1] - found.value
            self.told = HELD if gained < LITTLE * 0.5 * found.decrement**2 else ""
        return bool(self.told)


def _sizes(form: MomentsForm) -> Callable[[Floats], Floats]:
    """Standard errors of the coordinates, others held."""

    def sizes(x: Floats) -> Floats:
        return 1.0 / np.sqrt(np.maximum(np.diag(form.at(x).information()), 1e-12))

    return sizes
