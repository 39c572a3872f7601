"""Gradients of single rows: what each unit adds to the gradient of the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.moments import MomentsSolution
from dagmodels.numerics.moments import COVARIANCE, PATH

Floats = NDArray[np.float64]


def row_gradients(solution: MomentsSolution) -> Floats:
    """Derivatives of minus twice each row's log density in the coordinates, (units, k); priors are left out.

    The derivative in an entry is a pair of columns u, v of K = [B_o | S_o] (`numerics.moments`): u'Wv less
    (u'Wr)(v'Wr), with r the row's distance from its mean and W the inverse covariance of what it shows.
    """
    form, moments = solution.form, solution.at.moments
    s, t = form.structure, form.structure.order
    first = s.row
    second = np.where(s.kind == PATH, t + s.column, np.where(s.kind == COVARIANCE, s.column, s.row))
    found = np.zeros((len(form.values), s.kind.size))
    there = ~np.isnan(form.values)
    keys, of = np.unique(np.concatenate([form.group_of[:, None], there], axis=1), axis=0, return_inverse=True)
    for c in range(len(keys)):
        rows = np.flatnonzero(of.reshape(-1) == c)
        g, mask = int(keys[c, 0]), keys[c, 1:].astype(bool)
        members, o = s.members[g], s.observed[mask]
        if not (mask.any() and members.size):
            continue
        k = np.concatenate([moments.b[g][o], moments.covariance[g][o]], axis=1)
        w = np.linalg.inv(moments.covariance[g][np.ix_(o, o)])
        z = (form.values[np.ix_(rows, np.flatnonzero(mask))] - moments.mean[g][o]) @ w @ k
        table = k.T @ w @ k
        i, j = first[members], second[members]
        lift = np.where(
            s.kind[members] == PATH, moments.mean[g][s.column[members]], s.kind[members] != COVARIANCE
        )
        part = s.factor[members] * (table[i, j] - z[:, i] * z[:, j]) - lift * z[:, i]
        found[np.ix_(rows, members)] = 2.0 * part
    return found @ solution.at.jacobian
