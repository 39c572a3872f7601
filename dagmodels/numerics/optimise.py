"""Minimisation with exact gradients, bounds, and a certificate at the end.

Damped Newton steps on a Hessian taken by differences of the exact gradient (few coordinates), or
BFGS (many).  Bounds are closed; a coordinate on its bound leaves the step while the gradient pushes
outward.  Nothing is random and nothing is global here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import mul

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]
Curvature = Callable[[Floats], Floats | None]

NEWTON_LIMIT = 40  # more coordinates than this: BFGS
SADDLE = -1e-7  # smallest eigenvalue over the largest; redundant coordinates give zeros
FINER = 1e-6  # steps of the second look at a Hessian that seems to be that of a saddle
FACTORED = 12  # from so many coordinates on a Cholesky factor is cheaper than eigenvalues
BY_HAND = 6  # up to so many it is factored in plain numbers: cheaper than any call
LAST_STEPS = 3
DEAR_ENOUGH = 1e-7  # a Newton decrement below which no dear gradient is spent
NEAR = 3e-4  # the Newton decrement at which steps on a model leave the rest to the certificate's Hessian
CONVERGED = "converged"  # what a descent says that ended where its decrement is small
TOLERANCE = 1e-6  # on the Newton decrement sqrt(g' H^-1 g), for a criterion on the deviance scale


@dataclass(frozen=True, eq=False, slots=True)
class Optimum:
    """Where the minimiser stopped.

    hessian : near x, over all coordinates, by differences of the exact gradient.
    decrement : sqrt(g' H^-1 g) over coordinates that are not on a bound.
    active : coordinates on a bound with the gradient pushing outward.
    smallest : smallest eigenvalue of the scaled Hessian of the others, relative to the largest.
    """

    x: Floats
    value: float
    gradient: Floats
    hessian: Floats
    decrement: float
    active: NDArray[np.bool_]
    smallest: float
    iterations: int
    message: str


def difference_hessian(f: Objective, x: Floats, step: Floats, lower: Floats, upper: Floats) -> Floats:
    """Hessian by central differences of the gradient, one-sided next to a bound; symmetrised."""
    k = x.size
    hessian = np.empty((k, k))
    for i in range(k):
        ahead, behind = x.copy(), x.copy()
        ahead[i] = min(x[i] + step[i], upper[i])
        behind[i] = max(x[i] - step[i], lower[i])
        (up, g_up), (down, g_down) = f(ahead), f(behind)
        if ahead[i] == behind[i]:  # held by equal bounds
            hessian[:, i] = 0.0
            continue
        if not (math.isfinite(up) and math.isfinite(down)):
            centre = f(x)[1]
            if math.isfinite(up):
                g_down, behind = centre, x
            elif math.isfinite(down):
                g_up, ahead = centre, x
        hessian[:, i] = (g_up - g_down) / (ahead[i] - behind[i])
    return 0.5 * (hessian + hessian.T)


@dataclass(frozen=True, eq=False, slots=True)
class Descent:
    """The lowest point that steps reached, before any certificate."""

    x: Floats
    value: float
    iterations: int
    message: str
    model: Floats


def minimise(
    f: Objective,
    start: Floats,
    scale: Floats,
    lower: Floats,
    upper: Floats,
    *,
    limit: int = 200,
    model: Floats | None = None,
    curvature: Curvature | None = None,
    watch: Callable[[float], None] | None = None,
) -> Optimum:
    """Minimise f from `start`, and certify where the steps end.

    Parameters
    ----------
    f : value and exact gradient; infinite where not admissible.
    scale : typical size of each coordinate, for difference steps and first steps.
    lower, upper : closed bounds.
    limit : most iterations.
    model : a Hessian to begin with, where one is known.
    curvature : a model of the Hessian at a point, much cheaper than gradients. Where it is given (and
        not None at the start) gradients are taken to be dear: the certificate's Hessian comes from
        one-sided differences, good to five digits instead of eight.
    watch : told the value at the start and after each step.
    """
    tolerance = TOLERANCE if curvature is None else NEAR
    found = descend(
        f, start, scale, lower, upper, limit=limit, tolerance=tolerance, model=model, curvature=curvature,
        watch=watch,
    )  # fmt: skip
    dear = curvature is not None
    end = certify(f, found.x, scale, lower, upper, found.iterations, found.message, dear=dear)
    if watch is not None:
        watch(end.value)
    return end


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # what is not finite is never accepted
def descend(
    f: Objective,
    start: Floats,
    scale: Floats,
    lower: Floats,
    upper: Floats,
    *,
    limit: int = 200,
    tolerance: float = TOLERANCE,
    model: Floats | None = None,
    curvature: Curvature | None = None,
    watch: Callable[[float], None] | None = None,
) -> Descent:
    """Damped Newton or BFGS steps from `start`, as long as they go down; see `minimise`.

    tolerance : on the Newton decrement, at which steps end.
    curvature : see `minimise`; asked whenever the model fails, differences only when it fails at once.
    watch : see there.
    """
    x = _within(start, lower, upper)
    value, gradient = f(x)
    if not math.isfinite(value):
        raise FloatingPointError("the criterion is not finite at the starting point")
    newton = x.size <= NEWTON_LIMIT
    stale, fresh, guessed = newton and model is None, False, False
    if model is None:
        model = np.diag(1.0 / scale**2)
    message = "stopped at the limit of iterations"
    radius = 2.0
    stalls = iterations = 0
    if watch is not None:
        watch(value)
    while iterations < limit:
        iterations += 1
        free = ~_active(x, gradient, lower, upper)
        if not free.any():
            message = "every coordinate is on a bound"
            break
        if newton and stale:
            guess = None if curvature is None or guessed else curvature(x)
            guessed, fresh, stale = guess is not None, guess is None, False
            model = _forward_hessian(f, x, gradient, scale, lower, upper) if guess is None else guess
        step, decrement = _step(model, gradient, free, scale, radius)
        if decrement < tolerance:
            message = CONVERGED
            break
        found = _search(f, x, value, gradient, step, lower, upper)
        if found is None:
            if newton and not fresh:
                stale = True
                continue
            stalls += 1
            radius *= 0.1
            if stalls > 3 or decrement < 1e-5:
                message = "no further descent"
                break
            continue
        stalls = 0
        new, new_value, new_gradient, fraction = found
        radius = min(radius * 2, 1e3) if fraction == 1.0 else max(radius * 0.5, 1e-3)
        stale = fraction < 1.0 or not _agrees(model, step, gradient, value, new_value)
        model = _bfgs(model, new - x, new_gradient - gradient)
        fresh = guessed = False
        x, value, gradient = new, new_value, new_gradient
        if watch is not None:
            watch(value)
    return Descent(x, value, iterations, message, model)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def certify(
    f: Objective,
    x: Floats,
    scale: Floats,
    lower: Floats,
    upper: Floats,
    iterations: int,
    message: str,
    *,
    dear: bool = False,
) -> Optimum:
    """The certificate at x: gradient in the metric of the information, eigenvalues of the Hessian.

    dear : take one-sided differences, and no more last steps than the certificate needs.
    """
    value, gradient = f(x)
    if dear:
        hessian = _forward_hessian(f, x, gradient, scale, lower, upper)
    else:
        step = 1e-4 * np.maximum(np.abs(x), scale)
        hessian = difference_hessian(f, x, step, lower, upper) if x.size else np.zeros((0, 0))
        value, gradient = f(x)
    # strictly: where a bound is a point of symmetry the gradient is zero there, and curvature decides
    active = ((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0))
    active |= lower == upper
    decrement, smallest, step = _tested(hessian, gradient, ~active, scale)
    if smallest < SADDLE:  # beside a wall of the criterion differences reach too far: nearer ones decide
        nearer = difference_hessian(f, x, FINER * np.maximum(np.abs(x), scale), lower, upper)
        if np.isfinite(nearer).all():
            again = _tested(nearer, gradient, ~active, scale)
            if again[1] >= SADDLE:
                hessian, (decrement, smallest, step) = nearer, again
    if smallest < SADDLE:
        message = "stopped at a saddle: the Hessian has a negative eigenvalue"
    for _ in range(LAST_STEPS):  # Newton steps with this better Hessian, below what the value can tell
        new = _within(x + step, lower, upper)
        if not (DEAR_ENOUGH if dear else 1e-11) < decrement < 1e-3 or smallest <= 0 or np.array_equal(new, x):
            break
        new_value, new_gradient = f(new)
        after, _, following = _tested(hessian, new_gradient, ~active, scale)
        if not (after < decrement and new_value <= value + 1e-12 * max(abs(value), 1.0)):
            break
        x, value, gradient, decrement, step = new, new_value, new_gradient, after, following
    return Optimum(x, value, gradient, hessian, decrement, active, smallest, iterations, message)


def _tested(
    hessian: Floats, gradient: Floats, free: NDArray[np.bool_], scale: Floats
) -> tuple[float, float, Floats]:
    """Newton decrement, smallest relative eigenvalue and Newton step over the free coordinates."""
    at = free.nonzero()[0]
    step = np.zeros(gradient.size)
    if not at.size:
        return 0.0, 1.0, step
    d = scale[at]
    scaled = _part(hessian, at) * (d[:, None] * d)
    if not np.isfinite(scaled).all():  # walls on both sides: nothing can be certified
        return np.inf, 1.0, step
    eigenvalues, vectors = np.linalg.eigh(scaled)
    top = max(eigenvalues[-1], 1e-300)
    g = vectors.T @ (gradient[at] * d)
    safe = np.maximum(np.abs(eigenvalues), 1e-10 * top)
    step[at] = -(vectors @ (g / safe)) * d
    return float(np.sqrt(np.sum(g**2 / safe))), float(eigenvalues[0] / top), step


def _within(x: Floats, lower: Floats, upper: Floats) -> Floats:
    """x moved onto the bounds that it lies beyond (the quick form of numpy's `clip`)."""
    return np.minimum(np.maximum(x, lower), upper)


def _active(x: Floats, gradient: Floats, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
    return ((x <= lower) & (gradient >= 0)) | ((x >= upper) & (gradient <= 0)) | (lower == upper)


def _forward_hessian(
    f: Objective, x: Floats, gradient: Floats, scale: Floats, lower: Floats, upper: Floats
) -> Floats:
    """A cheap Hessian for steps: one more gradient a coordinate."""
    k = x.size
    hessian = np.empty((k, k))
    for i in range(k):
        h = 1e-5 * max(abs(x[i]), scale[i])
        for signed in (h, -h):
            near = x.copy()
            near[i] += signed
            if not lower[i] <= near[i] <= upper[i]:
                continue
            value, g = f(near)
            if math.isfinite(value):
                hessian[:, i] = (g - gradient) / signed
                break
        else:
            hessian[:, i] = 0.0
            hessian[i, i] = 1.0 / scale[i] ** 2
    return 0.5 * (hessian + hessian.T)


def _step(
    model: Floats, gradient: Floats, free: NDArray[np.bool_], scale: Floats, radius: float
) -> tuple[Floats, float]:
    """A descent step with eigenvalues made positive, no longer than `radius` in units of scale."""
    at = free.nonzero()[0]
    d = scale[at]
    scaled = _part(model, at) * (d[:, None] * d)
    g = gradient[at] * d
    found = None
    if at.size <= BY_HAND:
        found = _small_step(scaled.tolist(), g.tolist(), radius)
    elif at.size >= FACTORED:
        found = _cholesky_step(scaled, g, radius)
    if found is not None:
        step = np.zeros(gradient.size)
        step[at] = found[0] * d
        return step, found[1]
    eigenvalues, vectors = np.linalg.eigh(scaled)
    g = vectors.T @ g
    top = max(np.abs(eigenvalues).max(), 1e-300)
    positive = np.maximum(np.abs(eigenvalues), 1e-9 * top)
    along = -g / positive
    length = float(np.sqrt(np.sum(along**2)))
    if length > radius:
        along *= radius / length
    step = np.zeros(gradient.size)
    step[at] = (vectors @ along) * d
    concave = bool((eigenvalues < -1e-8 * top).any())
    decrement = float(np.sqrt(np.sum(g**2 / positive)))
    return step, max(decrement, 1e-3) if concave and decrement < 1e-3 and length > 1e-6 else decrement


def _part(matrix: Floats, at: NDArray[np.int64]) -> Floats:
    """The rows and columns `at` (in order) of a square matrix."""
    return matrix if at.size == len(matrix) else matrix[at[:, None], at]


def _small_step(
    model: list[list[float]], gradient: list[float], radius: float
) -> tuple[Floats, float] | None:
    """As `_cholesky_step`, for a few coordinates."""
    solved: list[float] = []  # L^-1 g
    factor: list[list[float]] = []
    pivots: list[float] = []
    for i, (row, g) in enumerate(zip(model, gradient, strict=True)):
        new: list[float] = []
        for j in range(i):
            above = factor[j]
            new.append((row[j] - sum(map(mul, new, above))) / above[j])
        pivot = row[i] - sum(map(mul, new, new))
        if not pivot > 0.0:
            return None
        pivots.append(pivot)
        root = math.sqrt(pivot)
        solved.append((g - sum(map(mul, new, solved))) / root)
        new.append(root)
        factor.append(new)
    if not (min(pivots) > 1e-7 * max(pivots) and math.isfinite(max(pivots))):
        return None
    k = len(solved)
    step = [-z for z in solved]
    for i in range(k - 1, -1, -1):
        step[i] = (step[i] - sum(factor[m][i] * step[m] for m in range(i + 1, k))) / factor[i][i]
    length = math.sqrt(sum(map(mul, step, step)))
    share = min(1.0, radius / max(length, 1e-300))
    return np.array(step) * share, math.sqrt(sum(map(mul, solved, solved)))


def _cholesky_step(model: Floats, gradient: Floats, radius: float) -> tuple[Floats, float] | None:
    """The same step where the model is safely positive definite: a tenth of the work of eigenvalues."""
    try:
        factor = np.linalg.cholesky(model)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diag(factor) ** 2
    if not pivots.min() > 1e-7 * pivots.max():
        return None
    step = -np.linalg.solve(model, gradient)
    decrement = float(np.sqrt(max(-(gradient @ step), 0.0)))
    length = float(np.sqrt(step @ step))
    return step * min(1.0, radius / max(length, 1e-300)), decrement


def _search(
    f: Objective, x: Floats, value: float, gradient: Floats, step: Floats, lower: Floats, upper: Floats
) -> tuple[Floats, float, Floats, float] | None:
    """Backtracking to a point that is lower (by a share of what the gradient promises)."""
    fraction = 1.0
    slack = 1e-13 * max(abs(value), 1.0)
    for _ in range(40):
        new = _within(x + (step if fraction == 1.0 else fraction * step), lower, upper)
        new_value, new_gradient = f(new)
        promised = float(gradient @ (new - x))
        if math.isfinite(new_value) and new_value <= value + 1e-4 * min(promised, 0.0) + slack:
            return new, new_value, new_gradient, fraction
        fraction *= 0.35
        if not np.any(np.abs(fraction * step) > 1e-15 * np.maximum(np.abs(x), 1e-300)):
            return None
    return None


def _agrees(model: Floats, step: Floats, gradient: Floats, value: float, new_value: float) -> bool:
    """Whether a full step went down about as the quadratic model promised.

    A model that is too stiff promises half of what small steps bring: it must not pass.
    """
    promised = -float(gradient @ step) - 0.5 * float(step @ model @ step)
    noise = 1e-11 * max(abs(value), 1.0)
    if promised <= noise:
        return True  # too little for values to tell; gradients and the certificate decide
    return 0.75 * promised < value - new_value + noise < 1.33 * promised


def _bfgs(model: Floats, s: Floats, y: Floats) -> Floats:
    """Damped BFGS update of the Hessian (Nocedal and Wright 2006, procedure 18.2)."""
    ms = model @ s
    sms, sy = float(s @ ms), float(s @ y)
    if sms <= 0:
        return model
    theta = 1.0 if sy >= 0.2 * sms else 0.8 * sms / (sms - sy)
    r = theta * y + (1 - theta) * ms
    return model - ms[:, None] * (ms / sms) + r[:, None] * (r / float(s @ r))
