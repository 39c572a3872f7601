"""A lattice over the outer unknowns: the trapezoid rule on the unconstrained scale, its step halved.

y = centre + axes z, the axes along the eigenvectors of the Hessian at the mode, each as long as the
density is wide there.  From the mode points are taken as long as the log density has not fallen by a
stated amount, whatever the shape of that region (Rue, Martino and Chopin 2009, J. R. Statist. Soc. B 71,
section 3.1, take a box).  For a smooth density the error of the rule is about the square of that of twice
the step (it falls like exp(-2 (pi/h)^2) for a Gaussian), so that the change on halving bounds it.

Its points have weights and fill a region of any shape.  `sampling.lattice` is another thing: a dense table
of one or two dimensions, interpolated to draw from the density between its points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.optimise import Optimum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = tuple[int, ...]
Density = Callable[[Floats], float]  # at one point
Densities = Callable[[Floats], Floats]  # at many, one a row

FIRST_STEP = {1: 1.0, 2: 1.3, 3: 1.4}
FALL = {1: 20.0, 2: 16.5, 3: 15.0}  # of the log density, at which its region ends
TOLERANCE = {1: 1e-4, 2: 1e-3, 3: 3e-3}  # change on halving that ends the search: the error is its square
MOST_DIMENSIONS = 3  # more than these only where a lattice is asked for
MOST_POINTS = 30_000


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """Standardised coordinates z: y = centre + axes @ z; log_peak the log density at the centre.

    up, down : standard deviations, in z, of the two halves along each axis (1 for a Gaussian).
    """

    centre: Floats
    axes: Floats
    log_peak: float
    up: Floats
    down: Floats

    def y(self, z: Floats) -> Floats:
        """One point, or one a row."""
        return self.centre + z @ self.axes.T


@dataclass(frozen=True, eq=False, slots=True)
class QuadratureLattice:
    """Points z = step * index, with their log density in y.

    error : the change, in posterior standard deviations, of the means and deviations of y and of the
        log evidence, when the step was halved last.
    """

    frame: Frame
    step: float
    index: Ints
    log_density: Floats
    error: float

    @property
    def y(self) -> Floats:
        """Unconstrained coordinates, one point a row."""
        return self.frame.y(self.step * self.index)

    @property
    def weight(self) -> Floats:
        """Posterior probability of each point's cell."""
        w = np.exp(self.log_density - self.log_density.max())
        return w / w.sum()

    @property
    def log_evidence(self) -> float:
        """The log of the integral over y."""
        return _log_integral(self.log_density, self.frame, self.step)

    @property
    def coarse(self) -> NDArray[np.bool_]:
        """The points of the lattice with twice the step."""
        return (self.index % 2 == 0).all(axis=1)


def frame_of(optimum: Optimum, density: Density) -> Frame:
    """Axes along the eigenvectors of the Hessian (of minus twice the log density) at the mode.

    The width of either half of an axis comes from the density at z = sqrt(2), where that of a Gaussian
    has fallen by one (Rue et al. 2009, section 6.5, scale the design's axes so).
    """
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(optimum.hessian)), 1e-12))
    values, vectors = np.linalg.eigh(optimum.hessian * np.outer(scale, scale))
    values = np.maximum(values, 1e-4 * max(float(values.max(initial=1.0)), 1e-300))
    axes = scale[:, None] * vectors * np.sqrt(2.0 / values)
    peak = -0.5 * float(optimum.value)
    halves = [[_width(density, optimum.x, sign * axis, peak) for axis in axes.T] for sign in (1.0, -1.0)]
    up, down = np.array(halves[0]), np.array(halves[1])
    width = np.sqrt(up * down)
    return Frame(optimum.x, axes * width, peak, up / width, down / width)


def _width(density: Density, centre: Floats, axis: Floats, peak: float) -> float:
    """Standard deviation, in units of the axis, of the half of a normal density that falls by as much."""
    t = math.sqrt(2.0)
    for _ in range(8):
        fall = peak - density(centre + t * axis)
        if fall > 6.0:  # far in the tail, or outside: look nearer
            t *= 0.5
        elif fall < 0.1:
            t *= 2.0
        else:
            return t / math.sqrt(2.0 * fall)
    return min(max(t / math.sqrt(2.0), 0.05), 20.0)


def explored(
    frame: Frame, density: Densities, names: list[str], tolerance: float | None = None
) -> QuadratureLattice:
    """The lattice whose halving changed nothing beyond the tolerance; see the module.

    names : of the coordinates, for messages.
    """
    d = frame.centre.size
    step = FIRST_STEP.get(d, 1.5)
    fall = FALL.get(d, 12.0)
    tolerance = TOLERANCE.get(d, 1e-2) if tolerance is None else tolerance
    found = _region(frame, density, step, fall, {}, names)
    before = _statistics(frame, step, found)
    error = math.inf
    while True:
        step /= 2.0
        known = {tuple(2 * i for i in key): value for key, value in found.items()}
        size = len(found)
        found = _region(frame, density, step, fall, known, names)
        after = _statistics(frame, step, found)
        error = _change(before, after)
        if error < tolerance or size * 4**d > MOST_POINTS:
            break
        before = after
    keys = sorted(found)
    index = np.array(keys, dtype=np.int64).reshape(len(keys), d)
    values = np.array([found[k] for k in keys])
    kept = values > frame.log_peak - 40.0  # never far more than what the sums need
    return QuadratureLattice(frame, step, index[kept], values[kept], error)


def _region(
    frame: Frame, density: Densities, step: float, fall: float, known: dict[Key, float], names: list[str]
) -> dict[Key, float]:
    """All points connected to the mode whose log density is above the peak less the fall, and their
    neighbours."""
    d = frame.centre.size
    origin: Key = (0,) * d
    found: dict[Key, float] = {}
    queue, seen = [origin], {origin}
    floor = frame.log_peak - fall
    while queue:
        following: list[Key] = []
        new = [key for key in queue if key not in known]
        values = density(frame.y(step * np.array(new, dtype=np.float64))) if new else ()
        fresh = dict(zip(new, map(float, values), strict=True))
        for key in queue:
            value = found[key] = known[key] if key in known else fresh[key]
            if not value > floor:
                continue
            for axis in range(d):
                for move in (-1, 1):
                    near = (*key[:axis], key[axis] + move, *key[axis + 1 :])
                    if near not in seen:
                        seen.add(near)
                        following.append(near)
        if len(seen) > MOST_POINTS:
            raise FitError(
                f"the posterior of {', '.join(names)} fills more than {MOST_POINTS} points of a lattice with "
                f"{d} dimensions; use posterior='ccd', or tighter priors"
            )
        queue = following
    return found


def _statistics(frame: Frame, step: float, found: dict[Key, float]) -> tuple[float, Floats, Floats]:
    """Log evidence, means and standard deviations of z."""
    z = step * np.array(list(found), dtype=np.float64)
    values = np.array(list(found.values()))
    w = np.exp(values - values.max())
    w /= w.sum()
    mean = w @ z
    return _log_integral(values, frame, step), mean, np.sqrt(w @ (z - mean) ** 2)


def _change(before: tuple[float, Floats, Floats], after: tuple[float, Floats, Floats]) -> float:
    changes = [abs(after[0] - before[0])]
    sd = np.maximum(after[2], 1e-300)
    changes.extend(np.abs((after[1] - before[1]) / sd).tolist())
    changes.extend(np.abs((after[2] - before[2]) / sd).tolist())
    return float(max(changes))


def _log_integral(values: Floats, frame: Frame, step: float) -> float:
    top = values.max()
    volume = frame.centre.size * math.log(step) + float(np.linalg.slogdet(frame.axes)[1])
    return float(top + math.log(np.exp(values - top).sum()) + volume)
