"""What clusters' data say of latent variables at both levels: conditional means and standard deviations.

Given the part of its cluster a unit is independent of the others, so that the mean of a variable of units is
that of the units' average given the cluster, and what the unit's own distance from the average adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.forms.level_latents import conditional_levels
from dagmodels.forms.levels import LevelsForm
from dagmodels.results.sem.positions import variable_numbers

if TYPE_CHECKING:
    from dagmodels.results.sem.levels.fit import LevelFit

Floats = NDArray[np.float64]


WHERE = "the new rows"


def level_scores(fit: LevelFit, new: Any, level: int, se: bool) -> Any:
    """Scores of a level's latent variables, one row a unit (1) or a cluster (2); with `se` a pair.

    new : rows of other clusters, complete; None for those fitted.
    """
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
    if new is None:
        given = form.conditional(fit.solution.at)
        mean, sd = given[form.template.inner_units if level == 1 else form.units]
        labels = list(form.problem.labels[form.units])
        index = fit.rows(None).index if level == 1 else labels
    else:
        rows, other, labels = _new(fit, new)
        both = conditional_levels(other, other.moments(fit.solution.at.entries))
        (mean, sd), index = both[level - 1], rows if level == 1 else labels
    found = DataFrame(mean[:, wanted], index=index, columns=names)
    return (found, DataFrame(sd[:, wanted], index=index, columns=names)) if se else found


def _new(fit: LevelFit, new: Any) -> tuple[Any, LevelsForm, list[object]]:
    """Index of new rows, the form that holds them, and the labels of their clusters."""
    assert fit.rows is not None
    given, form = fit.rows(new), fit.form
    assert given.values is not None
    assert given.group is not None
    assert given.clusters is not None
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    faults = [
        ModelError(f"the variable '{n}' is not in the data", node=n, hint="give it a column")
        for n in names
        if n not in given.values
    ]
    raise_all(faults, WHERE)
    values = np.stack([given.values[n] for n in names], axis=1)
    labels, of = given.clusters
    gaps = np.isnan(values).any(axis=0)
    hint = "leave out the rows with gaps: models of two levels take complete rows"
    faults = [
        ModelError(f"'{n}' has missing values", node=n, hint=hint)
        for n, g in zip(names, gaps.tolist(), strict=True)
        if g
    ]
    first = np.unique(of, return_index=True)[1]
    for column in np.flatnonzero(~form.inner).tolist():
        if (values[:, column] != values[first[of], column]).any():
            told = f"'{names[column]}' stands at level 2 alone, but differs within a cluster"
            faults.append(ModelError(told, node=names[column], hint="give each cluster one value"))
    if (given.group != given.group[first[of]]).any():
        faults.append(ModelError("a cluster lies in two groups", hint="give every cluster one group"))
    raise_all(faults, WHERE)
    return given.index, form.of_new(values, given.group, of), list(labels)
