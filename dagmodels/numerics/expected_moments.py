"""Expected moments of all variables of a unit, given what each unit shows: the expectation step of EM.

With K = S_.o W the regression of all variables on what a cell shows, a cell of n units with mean x and
covariance C about it has the expected mean m + K (x - m_o) and the expected covariance S - K S_o. + K C K'
about that (Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39:1, section 4.1.3; Rubin and Thayer 1982,
Psychometrika 47:69). Cells of a group are merged, so that the number of units does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import Moments, Sample

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def expected(moments: Moments, kept: Ints) -> Sample:
    """One complete cell for each group, of the variables `kept` (d,)."""
    sample, structure = moments.sample, moments.structure
    o, of = structure.observed, sample.group
    s, w = moments.covariance[of], moments.w
    weight = s[:, kept][:, :, o] @ w  # zero where nothing is shown
    mean = moments.mean[of][:, kept] + np.einsum("cdp,cp->cd", weight, moments.residual)
    rest = s[:, kept][:, :, kept] - weight @ s[:, o][:, :, kept]
    cov = rest + weight @ sample.cov @ weight.transpose(0, 2, 1)
    groups, found = np.unique(of), []
    for g in groups.tolist():
        cells = np.flatnonzero(of == g)
        n = sample.n[cells]
        share = n / n.sum()
        middle = share @ mean[cells]
        away = mean[cells] - middle
        whole = np.tensordot(share, cov[cells], axes=1) + (away * share[:, None]).T @ away
        found.append((n.sum(), middle, 0.5 * (whole + whole.T)))
    n, middle, whole = (np.array(part) for part in zip(*found, strict=True))
    return Sample(groups, n, np.ones(middle.shape, dtype=bool), middle, whole)


def augmentation(moments: Moments, least: float = 1e-8) -> Ints:
    """Variables whose moments are expected: the observed ones, and others whose residuals have a variance and
    which the observed ones (and one another) do not determine.

    A variable is left out that keeps less than `least` of its variance given those taken before it in some
    group: with it the complete data would have a singular covariance.
    """
    s = moments.structure
    kept = s.observed.tolist()
    for v in np.flatnonzero(s.varying).tolist():
        if v not in kept and all(_left(c, kept, v) > least * c[v, v] > 0 for c in moments.covariance):
            kept.append(v)
    return np.array(kept, dtype=np.int64)


def _left(c: Floats, kept: list[int], v: int) -> float:
    """Variance of a variable given others."""
    among = c[np.ix_(kept, kept)]
    return float(c[v, v] - c[v, kept] @ np.linalg.solve(among, c[kept, v]))
