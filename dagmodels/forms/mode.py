"""The Laplace approximation: curved leaves expanded at the mode of the elements, with its exact gradient.

With every curved leaf replaced by its quadratic expansion at predictors eta~, the field is Gaussian and
its criterion F(x, eta~) and both partial gradients are the exact ones of `field`.  Newton's method moves
eta~ to the predictors at the conditional mean until they agree: the mode.  There the criterion is
Laplace's (Tierney and Kadane 1986, J. Amer. Statist. Assoc. 81, eq. 2.2).  Because Newton's map is flat
at its fixed point, the mode moves with x as the conditional mean does with the expansion held still, so

    dF/dx = F_x + F_eta~ . d(A u)/dx,     F_eta~ . d(A u)/dx = -1/2 d F_x(t l)/dt at t = 0,

with F_x(l) the partial gradient under extra loads l = F_eta~ on the predictors, which move the mean alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Criterion, Evaluator, Field
from dagmodels.forms.rough import SIZES, common_predictors, parts_of
from dagmodels.numerics.tape import operands

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEAR = (
    1e-6  # a Newton step shorter than this (in the metric of the weights) is the last: the next is its square
)
LONG = 0.5  # but a step of a predictor longer than this never is: where weights vanish the metric sees none
MOST_STEPS = 100
MOST_ROUGH = 60


@dataclass(frozen=True, eq=False, slots=True)
class _Point:
    """Predictors and minus twice the log density of all else (prior, Normal leaves) at their elements.

    prior : None while the predictors belong to no elements (a start).
    """

    eta: Floats
    prior: float | None


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """From a point to the mode of its quadratic model: share t of the way, `prior` known along it."""

    start: _Point
    step: Floats
    prior_end: float
    slope_end: float

    def at(self, t: float) -> _Point:
        eta = self.start.eta + t * self.step
        if t == 1.0:
            return _Point(eta, self.prior_end)
        if self.start.prior is None:
            return _Point(eta, None)
        bend = self.start.prior - self.prior_end + self.slope_end
        return _Point(eta, self.prior_end + self.slope_end * (t - 1) + bend * (t - 1) ** 2)


@dataclass(frozen=True, eq=False, slots=True)
class _Flat:
    """All curved leaves' predictors in one list, as the kernels of `mode_steps` take them.

    pieces : predictor, element, place of the factor and number of each piece.
    model : pairs of predictors with the place and multiple of their weight, predictors with the places of
        their loads, and the place of what is known of each predictor.
    """

    pieces: tuple[Any, ...]
    model: tuple[Any, ...]

    @classmethod
    def of(cls, field: Field) -> _Flat:
        lists: tuple[list[Any], ...] = ([], [], [], [], [], [], [], [], [], [], [])
        begin = 0
        for c in field.curved:
            number = [begin + k * c.n + np.arange(c.n) for k in range(len(c.element))]
            begin += len(number) * c.n
            for k, own in enumerate(number):
                found = (np.broadcast_to(own, c.element[k].shape), c.element[k], c.source[k], c.data[k])
                for column, values in zip(lists[:4], found, strict=True):
                    column.append(values)
            for (i, j), places in c.weights.items():
                found = (number[i], number[j], places, np.full(c.n, 1.0 if i == j else 2.0))
                for column, values in zip(lists[4:8], found, strict=True):
                    column.append(values)
            for i, places in c.loads.items():
                lists[8].append(number[i])
                lists[9].append(places)
            lists[10].append(c.offset)
        numbers = (3, 7)  # which columns are no places
        joined = tuple(
            np.concatenate([np.ravel(a) for a in column] or [np.zeros(0)]).astype(
                np.float64 if k in numbers else np.int64
            )
            for k, column in enumerate(lists)
        )
        return cls(joined[:4], joined[4:])


class ModeEvaluator(Evaluator):
    """`Evaluator` for a field with curved leaves. Predictors of the last mode start the next search."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.inner_steps = 0
        parts = field.curved
        self._eta_places = np.concatenate([c.eta.reshape(-1) for c in parts] or [np.zeros(0, np.int64)])
        self._load_places = np.concatenate([c.load.reshape(-1) for c in parts] or [np.zeros(0, np.int64)])
        self._density = np.concatenate([c.density for c in parts] or [np.zeros(0, np.int64)])
        size = field.x_places.size + self._eta_places.size
        self._joint_result = np.zeros(2 + size)
        self._joint = (
            np.concatenate([field.x_places, self._eta_places]),
            *self._arguments[1:-1],
            self._joint_result,
        )
        self.eta = np.zeros(self._eta_places.size)
        self._started = False
        self._typical = [0.0] * len(parts)
        self.unit = np.ones(self._eta_places.size)  # of the predictors: see `rough`
        self._at: Floats | None = None
        self.flat = _Flat.of(field)
        self.slope_numbers, self.slope_places = _slopes(field)
        self._out = np.zeros(5)
        self._by_x: tuple[Any, ...] | None = None

    def begin_at(self, other: ModeEvaluator) -> None:
        """Start the search for modes where another evaluator of the same field ended."""
        self.eta, self._started, self._typical = other.eta.copy(), True, other._typical
        self.unit = other.unit

    # -- pieces of one evaluation ------------------------------------------------------------------

    def _expand(self, x: Floats, eta: Floats) -> Criterion:
        """F(x, eta): eliminates with the leaves expanded at eta."""
        self._objective(self._value, np.concatenate([x, eta]), *self._joint)
        deviance, penalty = float(self._joint_result[0]), float(self._joint_result[1])
        finite = math.isfinite(deviance + penalty)
        return Criterion(deviance, penalty) if finite else Criterion(math.inf, 0.0)

    def _ridge(self, value: float) -> None:
        if self.field.ridge >= 0:
            self.w[self.field.ridge] = value

    def _minus_twice_log_density(self) -> float:
        return -2.0 * float(self.w[self._density].sum())

    # -- the mode ----------------------------------------------------------------------------------

    def _mode(self, x: Floats) -> Criterion:
        """Newton's method on the elements; infinite where it finds no mode."""
        if not self._eta_places.size:
            return self._expand(x, self.eta)
        if not self._started:
            self.eta = self._rough_start(x)
            self._started = True
        found = self._newton(x, self.eta)
        for start in (self._rough_start, self._known):
            if found is None:  # a bad start from far away: once more from the data, and from what is known
                self._ridge(0.0)
                found = self._newton(x, start(x))
        self._ridge(0.0)
        return Criterion(math.inf, 0.0) if found is None else found

    def _newton(self, x: Floats, eta: Floats) -> Criterion | None:
        point = _Point(eta, None)
        value = self._expand(x, eta)
        ridge = 0.0
        for _ in range(MOST_STEPS):
            self.inner_steps += 1
            while not math.isfinite(value.total):  # not concave here: hold the predictors back
                ridge = max(8.0 * ridge, self._least_ridge())
                if not ridge < 1e12 * self._stiffest():
                    return None
                self._ridge(ridge)
                value = self._expand(x, point.eta)
            line, length, density = self._line(point)
            if length <= NEAR and ridge == 0.0 and np.abs(line.step / self.unit).max() <= LONG:
                return self._finished(x, point, line, length, value)
            merit = None if point.prior is None else point.prior - 2.0 * density
            found = self._search(x, line, merit)
            if found is None:
                return None
            point, value = found
            if ridge:
                ridge = 0.0 if ridge < 1e-4 / self.unit.max() ** 2 or length <= 1e3 * NEAR else 0.2 * ridge
                self._ridge(ridge)
                value = self._expand(x, point.eta)
        return None

    def _finished(
        self, x: Floats, point: _Point, line: _Line, length: float, value: Criterion
    ) -> Criterion | None:
        """The criterion at the mode: one last step, which squares what is left, unless nothing is."""
        if length > 1e-3 * NEAR:
            point = line.at(1.0)
            value = self._expand(x, point.eta)
            if not math.isfinite(value.total):
                return None
        self.eta = point.eta
        return value

    def _line(self, point: _Point) -> tuple[_Line, float, float]:
        """To the mode of the model that was eliminated last; with its length in units of the predictors'
        uncertainty, and the log density where it begins."""
        from dagmodels.numerics.mode_steps import line

        e, step = self.elimination, np.empty(point.eta.size)
        line(
            *(self.w, *self.field.pattern.arguments, e.s, e.T, e.H, e.p, point.eta),
            *(*self.flat.pieces, *self.flat.model, self._density, step, self._out),
        )
        value, slope, length, density, residual = self._out.tolist()
        return _Line(point, step, residual - value, -slope), length, density

    def _search(self, x: Floats, line: _Line, merit: float | None) -> tuple[_Point, Criterion] | None:
        """The first point on the way back from the line's end that is no worse than its start."""
        t = 1.0
        for _ in range(40):
            point = line.at(t)
            value = self._expand(x, point.eta)
            density = self._minus_twice_log_density()
            if math.isfinite(density) and (
                merit is None
                or point.prior is None
                or point.prior + density <= merit + 1e-9 * max(1.0, abs(merit))
            ):
                return point, value
            t *= 0.5 if math.isfinite(density) else 0.2
        return None

    def _least_ridge(self) -> float:
        """A first weight of the proximal term: what makes every leaf log-concave."""
        worst = 0.0
        for c in self.field.curved:
            for (i, j), places in c.weights.items():
                if i == j:
                    worst = max(worst, -float(np.min(self.w[places], initial=0.0)))
        return max(1e-3 / float(self.unit.max()) ** 2, 1.1 * worst)

    def _stiffest(self) -> float:
        """What a weight of one is in the smallest unit of a predictor."""
        return max(1.0, 1.0 / float(self.unit.min()) ** 2)

    def typical_weights(self) -> list[float]:
        """For each leaf the median weight of a row of its first predictor where predictors suit the data."""
        return self._typical

    def _known(self, x: Floats) -> Floats:
        """Predictors where all elements are zero."""
        self._expand(x, np.zeros(self._eta_places.size))
        return self.w[np.concatenate([c.offset.reshape(-1) for c in self.field.curved])]

    def _rough_start(self, x: Floats) -> Floats:
        """Predictors that suit each row by itself, shrunk to zero: damped Newton steps on the densities.

        Laws of latents take no part: alone they may rise without end as latents and their parents do.
        """
        eta = np.zeros(self._eta_places.size)
        self._expand(x, eta)
        common = not math.isfinite(self._minus_twice_log_density())
        if common:
            found = common_predictors(self.field, x)
            eta, self.unit = found.eta, found.unit
            self._expand(x, eta)
        for _ in range(0 if common else MOST_ROUGH):
            self._expand(x, eta)
            step = np.zeros(eta.size)
            position = 0
            for c in self.field.curved:
                for i in range(len(c.element)):
                    at = slice(position, position + c.n)
                    position += c.n
                    if i in c.slopes and not c.latent:
                        slope = self.w[c.slopes[i]] - 0.1 * eta[at]
                        weight = np.maximum(np.abs(self.w[c.weights[i, i]]), 1e-2) + 0.1
                        step[at] = np.clip(slope / weight, -2.0, 2.0)
            step[~np.isfinite(step)] = 0.0
            eta = eta + step
            if np.abs(step).max(initial=0.0) < 0.1:
                break
        self._typical = [
            float(np.median(np.abs(self.w[c.weights[0, 0]]))) if (0, 0) in c.weights else 0.0
            for c in self.field.curved
        ]
        return eta

    def stands_at(self, x: Floats) -> bool:
        """Whether the factor and the tape are those of the mode at x."""
        return self._at is not None and bool(np.array_equal(self._at, x))

    def _tried(self, x: Floats, eta: Floats, parts: list[slice]) -> Iterator[None]:
        """Expands with common values of one leaf's predictors, set in eta: one varies, others are 0 or 1."""
        if not parts:
            self._expand(x, eta)
            yield
        for others in (0.0, 1.0) if len(parts) > 1 else (0.0,):
            for part in parts:
                for value in (0.0, *(sign * size for size in SIZES for sign in (1.0, -1.0))):
                    for other in parts:
                        eta[other] = others
                    eta[part] = value
                    self._expand(x, eta)
                    yield

    def impossible(self, x: Floats) -> tuple[str, int, int] | None:
        """A leaf's node, its number of rows and the first of them without density at all predictors."""
        eta = np.zeros(self._eta_places.size)
        for c, parts in parts_of(self.field):
            never = np.ones(c.n, dtype=bool)
            for _ in self._tried(x, eta, parts):
                never &= ~np.isfinite(self.w[c.density])
                if not never.any():
                    break
            if never.any() and not never.all():
                return c.node, c.n, int(np.argmax(never))
        return None

    # -- what users of an evaluator ask --------------------------------------------------------------

    def criterion(self, x: Floats) -> Criterion:
        """Laplace's criterion at x; infinite where the point is not admissible or has no mode."""
        self.evaluations += 1
        self._at = None
        value = self._mode(x)
        if math.isfinite(value.total):
            self._at = x.copy()
        return value

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        """The total and its exact gradient at x (nan where the value is infinite)."""
        total = self.criterion(x).total
        if not math.isfinite(total):
            return total, np.full(x.size, np.nan)
        return total, self.gradient()

    def gradient(self) -> Floats:
        """Exact gradient at the last x; see the module."""
        assert self._at is not None
        direct, moving = self._partial()
        if direct.size and moving.any():
            direct -= 0.5 * self._response(moving)
        return direct

    def _partial(self) -> tuple[Floats, Floats]:
        """Derivatives of F at the last x: in x, and in the predictors of the expansion."""
        k = self.field.x_places.size
        self._objective(self._gradient, self._joint_result[2:], *self._joint)
        return self._joint_result[2 : 2 + k].copy(), self._joint_result[2 + k :].copy()

    def _response(self, moving: Floats) -> Floats:
        """Derivative of F_x in the size of loads `moving` on the predictors, at zero.

        Loads move the mean alone, by the solution d with the factor at hand.  With u the mean and
        e the multipliers of the elements' equations, the residual's derivatives are u u' in H, -2 e u' in T
        and -e e' in s; they change as products do.
        """
        from dagmodels.numerics.mode_steps import response

        field, e = self.field, self.elimination
        if self._by_x is None:
            self._by_x = (*_moved_by_x(field, self.flat), field.x_places, np.zeros(self.w.size))
        operations, *others = self._by_x
        n, ts, rows, nbr, base, _, _, kind, haspar = field.pattern.arguments
        gradient = np.empty(field.x_places.size)
        response(
            *(moving, self.w, *operations, n, ts, rows, nbr, base, kind, haspar),
            *(e.s, e.T, e.H, e.p, *others, gradient),
        )
        return gradient


def _slopes(field: Field) -> tuple[Ints, Ints]:
    """Numbers of predictors in the flat list, and places of the log density's slopes in them."""
    numbers, places, begin = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for c in field.curved:
        for k, at in c.slopes.items():
            numbers.append(begin + k * c.n + np.arange(c.n))
            places.append(at)
        begin += len(c.element) * c.n
    return np.concatenate(numbers), np.concatenate(places)


def _moved_by_x(field: Field, flat: _Flat) -> tuple[Any, ...]:
    """What the coordinates move, as `mode_steps.response` takes it: operations and what to clear before them,
    pieces on elements, pieces, places of s, entries of T, and entries of H."""
    code, out, a, b, c, aux, start, length, ptr, idx = field.tape.operations
    starts, lengths = start.tolist(), length.tolist()
    names = {field.tape.inputs[c.node][0] for c in field.coordinates}
    depends = [size > 0 and at in names for at, size in zip(starts, lengths, strict=True)]
    cleared = {r for r, found in enumerate(depends) if found}
    own = []
    for op, (kind, result, *used) in enumerate(zip(*(x.tolist() for x in (code, out, a, b, c)), strict=True)):
        if any(depends[r] for r in used[: operands(kind)]):
            depends[result] = True
            cleared.add(result)
            own.append(op)
    reached = np.zeros(field.tape.initial.size, dtype=bool)
    for r in cleared:
        reached[starts[r] : starts[r] + lengths[r]] = True
    clear = np.array(sorted(cleared), dtype=np.int64)
    at, element, source, data = flat.pieces
    last = field.pattern.n - 1
    inner, moved = np.flatnonzero(element != last), np.flatnonzero(reached[source])
    s_from, _, t_from, t_value, h_place, h_weight, h_left, h_right, h_value = field.fill
    entries = np.flatnonzero(reached[h_weight] | reached[h_left] | reached[h_right])
    h = [x[entries].astype(np.int64) for x in (h_weight, h_left, h_right)]
    low, high = field.pattern.rows_of(h_place[entries])
    operations = (*(x[own] for x in (code, out, a, b, c, aux)), start, length, ptr, idx)
    return (
        (*operations, start[clear], length[clear]),
        *(x[inner] for x in (at, element, source, data)),
        *(x[moved] for x in (at, element, source, data)),
        *(s_from, *field.parents, t_from, t_value, low, high, *h, h_value[entries]),
    )
