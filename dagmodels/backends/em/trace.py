"""The one place where every search of EM hands in what it reached, and is held to never losing ground.

Searches whose expectation is drawn (`sampled`) have no such criterion and hand in nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from dagmodels.errors import FitError

ROUNDING = 1e-10  # a fall of the log density below this share of its size is none


def rising(form: str, values: Iterable[float], slack: float = 0.0) -> tuple[float, ...]:
    """The log density (log likelihood, with priors where there are some) along one search, start to end.

    form : what was searched: tables, mixture, moments, linear, mixing or field. values : at the start and
    after each iteration, short starts and Newton's steps included. slack : how far a value may be below its
    own best, as that of a profile whose inner search ends at a gap.

    Raises
    ------
    FitError : it fell, which is a defect and never passed over.
    """
    path = tuple(values)
    for before, after in pairwise(path):
        if not after >= before - ROUNDING * max(abs(before), 1.0) - slack:
            raise FitError(
                f"em: the log density of the {form} fell from {before:.12g} to {after:.12g} in a step that "
                "cannot lower it; this is a defect: please report it"
            )
    return path
