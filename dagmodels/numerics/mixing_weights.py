"""Weights of a mixture of known components: the convex programme of nonparametric maximum likelihood.

max over w in the simplex of sum_i m_i log sum_k w_k p_ik (Kiefer and Wolfowitz 1956, Ann. Math. Statist.
27:887). Steps are those of the constrained Newton method of Wang (2007, JRSS B 69:185): components enter
where the gradient has local maxima, a quadratic model gives the next weights, and a line search keeps the
likelihood rising.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
GAP = 1e-9  # of the log likelihood, at which the search ends
LIMIT = 500
FLOOR = 1e-13  # weights below this are nothing
SHARE = 1e-4  # of the promised gain that a step must bring
BLOCK = 1024  # rows of one step of a triangle
NEEDED = (0.1, 0.01, 1e-3)  # shares of some row's density below which a fading component may go
LEAST = 1e-6  # of a row's density under equal weights: rows with less would rule the first step
SOME = 4000  # rows on which weights begin where there are many more
MOST = 0.9  # share of its density that a row may lose in a step: from nothing it would not come back


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Where the search ended.

    weights : of the components, summing to one. value : the log likelihood (up to what rows were scaled by).
    gap : no weights have a log likelihood above value + gap. density : of each row. steps : taken. values :
    after each of them, rising.
    """

    weights: Floats
    value: float
    gap: float
    density: Floats
    steps: int
    values: tuple[float, ...]


def mixing_weights(
    likelihood: Floats, counts: Floats, start: Floats | None = None, gap: float = GAP, limit: int = LIMIT
) -> Weights:
    """Maximise the log likelihood over the weights.

    Parameters
    ----------
    likelihood : (components, rows), nonnegative, each column with a positive entry; columns may be scaled.
    counts : how often each row occurs. start : weights to begin with; the best single component helped by
        equal weights by default.
    gap : on the duality gap n (max_k D_k - 1), D_k = mean_i p_ik/f_i, which bounds how far the log likelihood
        is below its maximum (Lindsay 1983, Ann. Statist. 11:86).
    """
    total = float(counts.sum())
    gap = max(gap, 4e-15 * total * np.sqrt(likelihood.shape[1]))  # sums of rounded numbers tell no more
    first = start is None
    start = _of_some(likelihood, counts) if start is None else start
    first = first and start is None
    w = np.full(len(likelihood), 1.0 / len(likelihood)) if start is None else start / start.sum()
    support = np.flatnonzero(w > 0)
    density = w[support] @ likelihood[support]
    if not (density > 0).all():
        w = 0.5 * w + 0.5 / len(w)
        density = w @ likelihood
    value = float(counts @ np.log(density))
    values, steps, left = [value], 0, np.inf
    while True:
        gradient = likelihood @ (counts / density)
        left = float(gradient.max() - total)
        if left <= gap or steps >= limit:
            break
        steps += 1
        new = _step(likelihood, counts, w, density, gradient, first=first and steps == 1)
        found = _search(likelihood, counts, w, new, density, gradient)
        if found is None:  # what is left to gain is below the digits of the value
            closer = _polished(likelihood, counts, w, density, gradient, left)
            if closer is None:
                break
            w, density = closer
            continue
        w, density, rise = found
        value += rise
        values.append(value)
    value = float(counts @ np.log(density))
    return Weights(w, value, max(left, 0.0), density, steps, tuple(values))


def _of_some(likelihood: Floats, counts: Floats) -> Floats | None:
    """The best weights of every so many-th row, if they leave each row some of its density at equal weights;
    None for few rows."""
    rows = likelihood.shape[1]
    if rows < 4 * SOME:
        return None
    own = slice(rows % (rows // SOME) // 2, None, rows // SOME)
    found = mixing_weights(np.ascontiguousarray(likelihood[:, own]), counts[own], gap=1.0).weights
    support = np.flatnonzero(found)
    enough = found[support] @ likelihood[support] > LEAST * likelihood.mean(axis=0)
    return found if enough.all() else None


def _polished(
    likelihood: Floats, counts: Floats, w: Floats, density: Floats, gradient: Floats, gap: float
) -> tuple[Floats, Floats] | None:
    """Newton's step among the present components, if it makes the duality gap smaller."""
    support = np.flatnonzero(w > 0)
    columns = likelihood[support] * (np.sqrt(counts) / density)
    size = np.sqrt((columns**2).sum(axis=1))
    scaled = columns / size[:, None]
    inverse = np.linalg.pinv(scaled @ scaled.T, hermitian=True, rcond=1e-14)
    one, slope = 1.0 / size, (gradient[support] - counts.sum()) / size
    along, across = inverse @ slope, inverse @ one
    change = (along - across * (one @ along) / (one @ across)) / size
    new = w.copy()
    new[support] += change
    if new.min() < 0:
        return None
    new /= new.sum()
    changed = new[support] @ likelihood[support]
    after = (likelihood @ (counts / changed)).max() - counts.sum()
    return (new, changed) if after < 0.5 * gap else None


def local_maxima(gradient: Floats) -> Ints:
    """Places not below their neighbours."""
    padded = np.concatenate([[-np.inf], gradient, [-np.inf]])
    return np.flatnonzero((gradient >= padded[:-2]) & (gradient >= padded[2:]))


def _step(
    likelihood: Floats, counts: Floats, w: Floats, density: Floats, gradient: Floats, *, first: bool
) -> Floats:
    """The weights at which the quadratic model of the log likelihood is at its best."""
    total = counts.sum()
    tops = local_maxima(gradient)
    tops = tops[gradient[tops] > total]
    chosen = tops if first and tops.size else np.union1d(np.flatnonzero(w > FLOOR), tops)
    new = np.zeros(w.size)
    new[chosen] = simplex_least_squares(likelihood[chosen] / density, np.sqrt(counts))
    return new


def simplex_least_squares(columns: Floats, root: Floats) -> Floats:
    """x in the simplex with the least sum of squares of root (columns' x - 2).

    By Dax's reduction (1990, SIAM J. Matrix Anal. 11:64) to nonnegative least squares, on a triangle.
    columns : (components, rows). root : square roots of the rows' weights.
    """
    from scipy.optimize import nnls

    triangle = triangle_of((columns - 2.0) * root)
    size = np.sqrt((triangle**2).sum()) or 1.0
    system = np.vstack([triangle / size, np.ones(len(columns))])
    right = np.zeros(len(system))
    right[-1] = 1.0
    try:
        x, _ = nnls(system, right)
    except RuntimeError:  # its active sets went round in a circle
        x = np.zeros(len(columns))
    return x / x.sum() if x.sum() > 0 else np.full(len(columns), 1.0 / len(columns))


def triangle_of(columns: Floats) -> Floats:
    """R with R'R the products of columns (components, rows), by orthogonal steps: of blocks that stay in the
    cache first, of their triangles then (Demmel and others 2012, SIAM J. Sci. Comput. 34:A206)."""
    k, rows = columns.shape
    if rows <= k:
        return columns.T
    block = max(BLOCK, 4 * k)
    whole = rows // block * block
    pieces = columns[:, :whole].reshape(k, -1, block).transpose(1, 2, 0)
    parts = np.linalg.qr(pieces, mode="r").reshape(-1, k) if whole > block else columns[:, :whole].T
    return np.linalg.qr(np.vstack([parts, columns[:, whole:].T]), mode="r")


def _search(
    likelihood: Floats, counts: Floats, w: Floats, new: Floats, density: Floats, gradient: Floats
) -> tuple[Floats, Floats, float] | None:
    """The first point back from `new` to `w` that rises by a share of what the gradient promises, the
    densities there, and the rise (of the ratios, so that small ones keep their digits)."""
    promised = float(gradient @ (new - w))
    if promised <= 0:
        return None
    change = new - w
    support = np.flatnonzero(change)
    ratio = (change[support] @ likelihood[support]) / density
    share = min(1.0, MOST / max(-float(ratio.min()), MOST))
    for _ in range(40):
        rise = float(counts @ np.log1p(share * ratio))
        if rise >= SHARE * share * promised:
            point = w + share * change
            return _thinned(likelihood, counts, point, new, density, rise)
        share *= 0.5
    return None


def _thinned(
    likelihood: Floats, counts: Floats, point: Floats, new: Floats, density: Floats, rise: float
) -> tuple[Floats, Floats, float]:
    """A point without components on their way to nothing that no row needs, if it rises by half as much."""
    kept = np.flatnonzero(point)
    moved = point[kept] @ likelihood[kept]
    fading = kept[(new[kept] <= 0) | (point[kept] < FLOOR)]
    share = np.array([float((likelihood[k] / moved).max()) * point[k] for k in fading])
    for limit in NEEDED:
        gone = fading[share < limit]
        if not gone.size:
            break
        thin = point.copy()
        thin[gone] = 0.0
        thin /= thin.sum()
        kept = np.flatnonzero(thin)
        changed = thin[kept] @ likelihood[kept]
        if (changed > (1 - MOST) * moved).all():
            gained = float(counts @ np.log(changed / density))
            if gained >= 0.5 * rise:
                return thin, changed, gained
    return point, moved, rise
