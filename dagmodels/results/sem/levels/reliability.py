"""Reliability of scales at two levels, each of its own parts of the indicators.

Geldhof, Preacher and Zyphur (2014, Psychol. Methods 19:72): the coefficients of one level, from the
covariances within clusters and between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.sem.positions import variable_numbers
from dagmodels.results.sem.reliability import COEFFICIENTS, coefficients

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.levels.fit import LevelFit


def level_reliability(fit: LevelFit) -> DataFrame:
    """One row a level (and group) and latent variable with several indicators there; columns as of one
    level. Data are the unrestricted covariances within clusters and between them."""
    from pandas import DataFrame

    form, naming, free = fit.form, fit.naming, fit.levels.unrestricted
    moments, number = fit.solution.at.moments, variable_numbers(form)
    a, p, _ = moments.structure.filled(fit.solution.at.entries * form.levels.inside)
    places = (form.structure.observed[form.inner], form.levels.between[form.above])
    found = []
    for g, label in enumerate(naming.groups):
        for level, (o, data) in enumerate(zip(places, (free.within[g], free.between[g]), strict=True), 1):
            own = dict.fromkeys(r.lhs for r in naming.rows if r.op == "=~" and r.level == level)
            latent = np.array([number[naming.node(f, level)] for f in own], dtype=np.int64)
            sigma, loadings = moments.covariance[g], a[g][np.ix_(o, latent)]
            true = np.diag(loadings @ sigma[np.ix_(latent, latent)] @ loadings.T)
            for f, name in enumerate(own):
                at = np.flatnonzero(loadings[:, f])
                if at.size < 2:
                    continue
                k, v, inner = loadings[at, f], sigma[latent[f], latent[f]], np.ix_(o[at], o[at])
                numbers = coefficients(k, v, true[at], data[np.ix_(at, at)], sigma[inner], p[g][inner])
                where = naming.level_titles[level - 1]
                found.append({"group": label, "level": where, "factor": name, **numbers})
    table = DataFrame(found, columns=["group", "level", "factor", *COEFFICIENTS])
    keys = ["level", "factor"] if len(naming.groups) == 1 else ["group", "level", "factor"]
    return table.set_index(keys)[list(COEFFICIENTS)]
