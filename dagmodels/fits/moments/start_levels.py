"""Starting values at two levels: each level by itself, from its own share of the sample's moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.moments.start import Guess, fill
from dagmodels.forms.levels import LevelsForm, starting_moments
from dagmodels.numerics.moments import PATH, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def level_entries(form: LevelsForm) -> Floats:
    """The value wanted of every entry."""
    own = form.levels.own
    inner, found = form.template.inner, np.zeros(own.kind.size)
    columns = np.flatnonzero(form.inner)
    upper, above = _between(form)
    for g, (within, between, mean) in enumerate(starting_moments(form)):
        at = own.members[g]
        lower = replace(own, observed=form.structure.observed[columns])
        level = np.where(form.split, 0.0, mean)[columns]
        side = inner[own.row]
        across = (own.kind == PATH) & side & ~inner[own.column]
        here = at[side[at] & ~across[at]]
        fill(found, lower, here, Guess(lower, g, here, level, within[np.ix_(columns, columns)]))
        here = at[~side[at]]
        fill(found, upper, here, Guess(upper, g, here, mean[above], between[np.ix_(above, above)]))
        loose = at[across[at]]
        found[loose] = ~np.isin(own.column[loose], upper.observed)  # from a latent variable of clusters
    return found


def _between(form: LevelsForm) -> tuple[Structure, Ints]:
    """The structure of clusters with the between parts of units' variables as if they were observed, and the
    columns of these variables."""
    part = np.where(form.above, form.levels.between, -1)
    columns = np.flatnonzero(part >= 0)
    return replace(form.levels.own, observed=part[columns]), columns
