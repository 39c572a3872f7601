"""The two models that every moment structure is compared with: no restriction at all, and independence.

With complete cells both are closed forms. With missing values the unrestricted means and covariances are the
maximum of the observed-data likelihood: EM steps (Little and Rubin 2002, section 11.2.2), then scoring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE, MEAN, Moments, Sample, Structure
from dagmodels.numerics.scoring import score
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
EM_STEPS = 100  # without convergence so far, scoring takes over
MOST = 400  # free moments of a group beyond which EM alone goes on
LIMIT = 5000
LOOK = 10  # EM steps between looks at the smallest eigenvalue
NEARLY = 1e-9  # smallest eigenvalue of a correlation matrix, below which it goes to zero
SMALL = 1e-9  # a step in units of standard deviations that ends EM; the value is then exact to its square


@dataclass(frozen=True, eq=False, slots=True)
class Unrestricted:
    """Means (G, p) and covariances (G, p, p) without restriction, and minus twice their log likelihood."""

    mean: Floats
    cov: Floats
    value: float


class Singular(FloatingPointError):
    """The likelihood of unrestricted moments has no maximum.

    cov : (p, p) a covariance matrix on the way to it, of the group with this number.
    """

    def __init__(self, cov: Floats, group: int) -> None:
        super().__init__("the sample covariance matrix is singular")
        self.cov, self.group = cov, group


def unrestricted(sample: Sample) -> Unrestricted:
    """Maximum likelihood of free means and covariances, group by group.

    Raises
    ------
    Singular : a covariance matrix is singular, so that the likelihood has no maximum.
    """
    groups = int(sample.group.max()) + 1
    p = sample.mask.shape[1]
    mean, cov = np.zeros((groups, p)), np.zeros((groups, p, p))
    value = 0.0
    for g in range(groups):
        cells = np.flatnonzero(sample.group == g)
        part = Sample(
            np.zeros(cells.size, np.int64),
            sample.n[cells],
            sample.mask[cells],
            sample.mean[cells],
            sample.cov[cells],
        )
        if part.complete and cells.size == 1:
            mean[g], cov[g] = part.mean[0], part.cov[0]
            sign, logdet = np.linalg.slogdet(cov[g])
            if not (sign > 0 and math.isfinite(logdet)):
                raise Singular(cov[g], g)
            value += part.constant + part.n[0] * (float(logdet) + p)
        else:
            mean[g], cov[g], each = _with_missing(part, g)
            value += each
    return Unrestricted(mean, cov, value)


def independence(sample: Sample) -> Floats:
    """Minus twice the maximised log likelihood of each variable alone, (G, p)."""
    groups = int(sample.group.max()) + 1
    found = np.zeros((groups, sample.mask.shape[1]))
    for g in range(groups):
        cells = np.flatnonzero(sample.group == g)
        n = sample.n[cells, None] * sample.mask[cells]
        total = n.sum(axis=0)
        mean = (n * sample.mean[cells]).sum(axis=0) / total
        within = np.diagonal(sample.cov[cells], axis1=1, axis2=2)
        variance = (n * (within + (sample.mean[cells] - mean) ** 2)).sum(axis=0) / total
        found[g] = total * (math.log(2 * math.pi) + np.log(variance) + 1.0)
    return found


def _regular(cov: Floats, group: int) -> None:
    """Raise `Singular` where rows that show some variables together tie them to one another: the likelihood
    grows without end as the covariance matrix loses a direction, which EM steps take at a linear rate."""
    sd = np.sqrt(np.diag(cov))
    if not (np.isfinite(cov).all() and (sd > 0).all()):
        raise Singular(cov, group)
    if np.linalg.eigvalsh(cov / np.outer(sd, sd))[0] < NEARLY * sd.size:
        raise Singular(cov, group)


def _with_missing(sample: Sample, group: int) -> tuple[Floats, Floats, float]:
    """EM steps, which converge fast where little is missing; scoring where they do not."""
    mean, cov = _start(sample)
    size = np.sqrt(np.diag(cov))
    for step in range(LIMIT):
        new_mean, new_cov = _em(sample, mean, cov)
        moved = max(
            float(np.abs((new_mean - mean) / size).max()),
            float(np.abs((new_cov - cov) / np.outer(size, size)).max()),
        )
        mean, cov = new_mean, new_cov
        if step % LOOK == LOOK - 1 or moved < SMALL:
            _regular(cov, group)
        if moved < SMALL:
            break
        if step == EM_STEPS and mean.size * (mean.size + 3) // 2 <= MOST:
            mean, cov, value = _scored(sample, mean, cov)
            _regular(cov, group)
            return mean, cov, value
    return mean, cov, _value(sample, mean, cov)


def _scored(sample: Sample, mean: Floats, cov: Floats) -> tuple[Floats, Floats, float]:
    p = mean.size
    i, j = lower_triangle(p)
    structure = Structure(
        np.arange(p),
        np.zeros((1, p, p)),
        np.zeros((1, p, p)),
        np.zeros((1, p)),
        np.concatenate([np.full(i.size, COVARIANCE), np.full(p, MEAN)]),
        np.zeros(i.size + p, np.int64),
        np.concatenate([i, np.arange(p)]),
        np.concatenate([j, np.zeros(p, np.int64)]),
    )
    free = np.full(i.size + p, np.inf)
    found = score(lambda x: Moments(structure, sample, x), np.concatenate([cov[i, j], mean]), -free, free)
    whole = np.zeros((p, p))
    whole[i, j] = whole[j, i] = found.x[: i.size]
    return found.x[i.size :], whole, found.value


def _value(sample: Sample, mean: Floats, cov: Floats) -> float:
    p = mean.size
    none = np.zeros(0, np.int64)
    structure = Structure(np.arange(p), np.zeros((1, p, p)), cov[None], mean[None], none, none, none, none)
    return Moments(structure, sample, np.zeros(0)).value


def _start(sample: Sample) -> tuple[Floats, Floats]:
    n = sample.n[:, None] * sample.mask
    total = n.sum(axis=0)
    mean = (n * sample.mean).sum(axis=0) / total
    within = np.diagonal(sample.cov, axis1=1, axis2=2)
    return mean, np.diag((n * (within + (sample.mean - mean) ** 2)).sum(axis=0) / total)


def _em(sample: Sample, mean: Floats, cov: Floats) -> tuple[Floats, Floats]:
    """One step: expected sums of the completed data given what each cell shows."""
    sigma = cov * sample.both + sample.filler
    w = np.linalg.inv(sigma) * sample.both
    slope = cov @ w  # (C, p, p): identity on what is there, regressions on the rest
    away = ((sample.mean - mean) * sample.mask)[:, :, None]
    full = (slope @ away)[:, :, 0]
    rest = cov - slope @ cov
    second = slope @ sample.cov @ slope.transpose(0, 2, 1) + rest + full[:, :, None] * full[:, None, :]
    share = sample.n / sample.n.sum()
    shift = share @ full
    cov = np.tensordot(share, second, axes=1) - shift[:, None] * shift
    return mean + shift, 0.5 * (cov + cov.T)
