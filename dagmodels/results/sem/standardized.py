"""Standardised solutions (lavaan's std.lv and std.all) with derivatives, in closed form.

Thresholds are divided by the standard deviation of their latent response, whose scale is one in std.all.

A path is multiplied by the standard deviation of its origin over that of its end; a variance is divided by
the total variance; a covariance of residuals by their own standard deviations. "lv" scales latent variables
only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.moments import MomentsSolution
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH
from dagmodels.results.sem.positions import SCALE, THRESHOLD, Positions

Floats = NDArray[np.float64]


def standardized(
    solution: MomentsSolution, at: Positions, *, latent_only: bool, slopes: bool = False
) -> tuple[Floats, Floats | None]:
    """Standardised values of rows, (r,), and with `slopes` their derivatives in the coordinates, (r, k).

    latent_only : scale by latent variables alone (std.lv), else by all (std.all).
    """
    moments = solution.at.moments
    s = moments.structure
    scaled = np.ones(s.order, dtype=bool)
    if latent_only:
        scaled[s.observed] = False
    total = np.diagonal(moments.covariance, axis1=1, axis2=2)
    _, residual, _ = s.filled(solution.at.entries)
    own = np.diagonal(residual, axis1=1, axis2=2)
    g, i, j, m, n = at.group, at.first, at.second, at.row, at.column
    one = np.ones(len(g))
    j = np.where(at.kind >= THRESHOLD, i, j)  # no second variable
    n = np.where(at.kind >= THRESHOLD, m, n)
    level = (at.kind == MEAN) | (at.kind == THRESHOLD)
    with np.errstate(all="ignore"):
        v_i = np.where(scaled[i], total[g, i], one)
        v_j = np.where(scaled[j], total[g, j], one)
        r_i = np.where(scaled[i], own[g, m], one)
        r_j = np.where(scaled[j], own[g, n], one)
        off = (at.kind == COVARIANCE) & (i != j)
        factor = np.select(
            [at.kind == PATH, off, at.kind == COVARIANCE, level, at.kind == SCALE],
            [np.sqrt(v_j / v_i), 1 / np.sqrt(r_i * r_j), 1 / v_i, 1 / np.sqrt(v_i), np.sqrt(v_i)],
            np.nan,
        )
    value = at.value * factor
    if not slopes:
        return value, None
    change = moments.variance_slopes()  # (m, t) of total variances
    jacobian = solution.at.jacobian
    d_total = np.zeros((s.groups, s.order, jacobian.shape[1]))
    d_own = np.zeros_like(d_total)
    for group, members in enumerate(s.members):
        d_total[group] = change[members].T @ jacobian[members]
    diagonal = np.flatnonzero((s.kind == COVARIANCE) & (s.row == s.column))
    np.add.at(d_own, (s.group[diagonal], s.row[diagonal]), jacobian[diagonal])
    with np.errstate(all="ignore"):
        log_i = np.where(scaled[i, None], d_total[g, i], 0.0) / v_i[:, None]
        log_j = np.where(scaled[j, None], d_total[g, j], 0.0) / v_j[:, None]
        own_i = np.where(scaled[i, None], d_own[g, m], 0.0) / r_i[:, None]
        own_j = np.where(scaled[j, None], d_own[g, n], 0.0) / r_j[:, None]
        kinds = (at.kind == PATH, off, at.kind == COVARIANCE, level, at.kind == SCALE)
        logs = (0.5 * (log_j - log_i), -0.5 * (own_i + own_j), -log_i, -0.5 * log_i, 0.5 * log_i)
        d_factor = np.zeros_like(log_i)
        for k, d in zip(reversed(kinds), reversed(logs), strict=True):
            d_factor = np.where(k[:, None], d, d_factor)
        found = factor[:, None] * at.jacobian + value[:, None] * d_factor
    return value, found
