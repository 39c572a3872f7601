"""Minimise a criterion of moments by scoring and Newton's steps, to a certified optimum."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.fits.moments.certificate import verdict
from dagmodels.fits.moments.start import starting_point
from dagmodels.forms.moments import Criterion, MomentsForm, MomentsSolution
from dagmodels.numerics.constrained import Constrained, constrained
from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.scoring import score

Floats = NDArray[np.float64]


def solve(form: MomentsForm, began: float | None = None, start: Floats | None = None) -> MomentsSolution:
    """Minimise minus twice the log likelihood (and prior), from `start` or from the sample's moments."""
    began = time.process_time() if began is None else began
    lower, upper = form.template.lower, form.template.upper
    count = [0]

    def at(x: Floats) -> Criterion:
        count[0] += 1
        return form.at(x)

    with np.errstate(all="ignore"):  # what is not finite is never accepted
        begin = form.start(starting_point(form)) if start is None else start
        if not np.isfinite(form.at(begin).value):
            begin = np.clip(form.start(starting_point(form, plain=True)), lower, upper)
        if not np.isfinite(form.at(begin).value):
            raise FitError(_no_start(form))
        optimum, kept = minimised(form, at, begin, lower)
        converged, message = verdict(form, optimum, kept)
        least = np.maximum(lower, form.template.least)
        if not converged and (least > lower).any() and np.isfinite(form.at(np.maximum(begin, least)).value):
            inside, held = minimised(form, at, np.maximum(begin, least), least)  # where variances are such
            again = inside, held
            if (inside.active & (least > lower)).any():
                again = minimised(form, at, inside.x, lower)
            second = verdict(form, *again)
            if not second[0] and not form.alone:  # negative variances may fit a few clusters exactly
                again, second = (inside, held), verdict(form, inside, held)
            if second[0]:
                (optimum, kept), (converged, message) = again, second
    seconds = time.process_time() - began
    return MomentsSolution(form, form.at(optimum.x), optimum, count[0], converged, message, seconds, kept)


def minimised(
    form: MomentsForm, at: Callable[[Floats], Criterion], start: Floats, lower: Floats
) -> tuple[Optimum, Constrained | None]:
    """The optimum from a start, under the form's constraints where it has some."""
    upper = form.template.upper
    if form.constraints is None:
        return score(at, start, lower, upper), None
    found = constrained(at, form.constraints, start, lower, upper)
    return found.optimum, found


def _no_start(form: MomentsForm) -> str:
    cov = form.sample.cov
    singular = [
        g for g in range(len(cov)) if form.sample.mask[g].all() and np.linalg.eigvalsh(cov[g])[0] <= 0
    ]
    if singular:
        return (
            "the covariance matrix of the data is not positive definite: a variable is constant, or a "
            "combination of others, or there are fewer rows than variables"
        )
    return "the criterion is not finite at the starting values; state some ('parameter v start 1')"
