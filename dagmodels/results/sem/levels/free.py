"""The two models that a model of two levels is compared with: no restriction at either level, and variables
that are independent at both.

Both are fitted by the machinery of any model. Covariances between clusters are free numbers here, as
variances are in the model, so that models stay nested where the best ones are no covariance matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.levels import LevelsForm, free_structure, starting_moments
from dagmodels.numerics.level_moments import LevelMoments, LevelStructure
from dagmodels.numerics.moments import COVARIANCE
from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.scoring import score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CLOSE = 1e-4  # decrement of the optimum beyond which it is none


@dataclass(frozen=True, eq=False, slots=True)
class Free:
    """An optimum of such a model.

    value : minus twice the log likelihood. within : (G, w, w) of the units' observed variables, in the order
    of the form's. between : (G, b, b), of those that vary between clusters. mean : (G, p).
    """

    value: float
    within: Floats
    between: Floats
    mean: Floats
    moments: LevelMoments
    optimum: Optimum

    @property
    def parameters(self) -> int:
        return self.optimum.x.size


def free_levels(form: LevelsForm, together: tuple[Bools, Bools] | None = None) -> Free:
    """Without restriction; or, with `together`, no covariances but of those within and between clusters.
    Covariates keep their moments.

    Raises
    ------
    FitError : the likelihood has no maximum that was found.
    """
    every = np.ones(form.inner.size, dtype=bool)
    structure, above = free_structure(form, together or (every, every))
    start = _start(form, structure, above)
    bound = np.full(start.size, np.inf)
    with np.errstate(all="ignore"):
        optimum = score(lambda x: LevelMoments(structure, x), start, -bound, bound)
    if not optimum.decrement < CLOSE or optimum.smallest < 0:
        what = "without restriction" if together is None else "with independent variables"
        raise FitError(
            f"the model {what} at both levels, to which this one is compared, was not found "
            f"({optimum.message}): there are too few clusters for so many variables between them"
        )
    moments = LevelMoments(structure, optimum.x)
    inner, mean = np.flatnonzero(form.inner), np.array(moments.mean[:, : form.inner.size])
    mean[:, form.above] = moments.mean[:, above]
    own = moments.covariance
    return Free(
        optimum.value, own[:, inner[:, None], inner], own[:, above[:, None], above], mean, moments, optimum
    )


def _start(form: LevelsForm, structure: LevelStructure, above: Ints) -> Floats:
    s, p = structure.base, form.inner.size
    t = s.order
    found = np.zeros(s.kind.size)
    for g, (within, between, mean) in enumerate(starting_moments(form)):
        whole, level = np.zeros((t, t)), np.zeros(t)
        whole[:p, :p] = within
        whole[np.ix_(above, above)] = between[np.ix_(form.above, form.above)]
        level[:p] = mean
        level[above] = mean[form.above]
        at = s.members[g]
        i, j = s.row[at], s.column[at]
        found[at] = np.where(s.kind[at] == COVARIANCE, whole[i, j], level[i])
    return found
