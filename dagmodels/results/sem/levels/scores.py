"""What clusters' data say of latent variables at both levels: conditional means and standard deviations.

Given the part of its cluster a unit is independent of the others, so that the mean of a variable of units is
that of the units' average given the cluster, and what the unit's own distance from the average adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.sem.positions import variable_numbers

if TYPE_CHECKING:
    from dagmodels.results.sem.levels.fit import LevelFit

Floats = NDArray[np.float64]


def level_scores(fit: LevelFit, level: int, se: bool) -> Any:
    """Scores of a level's latent variables, one row a unit (1) or a cluster (2); with `se` a pair."""
    from pandas import DataFrame

    naming, form = fit.naming, fit.solution.form
    if level not in (1, 2):
        raise FitError(f"level={level!r} is neither 1 (units) nor 2 (clusters)")
    own = {r.lhs for r in naming.rows if r.op == "=~" and r.level == level}
    names = [n for n in naming.latent if n in own]
    if not names:
        raise FitError(f"there are no latent variables at level {level}")
    number = variable_numbers(form)
    wanted = np.array([number[naming.node(n, level)] for n in names], dtype=np.int64)
    if fit.rows is None:
        raise FitError("this fit does not know its rows")
    given = form.conditional(fit.solution.at)
    mean, sd = given[form.template.inner_units if level == 1 else form.units]
    labels = form.problem.labels[form.units]
    index = fit.rows(None).index if level == 1 else list(labels)
    found = DataFrame(mean[:, wanted], index=index, columns=names)
    return (found, DataFrame(sd[:, wanted], index=index, columns=names)) if se else found
