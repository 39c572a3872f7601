"""Moments of the elements given the outer unknowns: exact for Normal leaves, corrected for curved ones.

At the mode, with C the inverse of the negative Hessian and g''' third derivatives of the rows' log densities
in their predictors eta = A u + offset, first-order corrections of the Gaussian at the mode are

    mean shift = C A' b,   b_k = 1/2 sum_mn g'''_kmn Cov(eta_m, eta_n),
    third central moment of u_i = sum over rows of g'''_kmn c_k c_m c_n,   c = Cov(u_i, eta).

These are the terms that the simplified Laplace approximation keeps (Rue, Martino and Chopin 2009, J. R.
Statist. Soc. B 71, section 3.2.3), as moments of a skew normal with the variance of C; there the second is
matched by the third derivative at the mode.  Third derivatives are complex steps of the weights on the tape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.mode import ModeEvaluator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 1e-30
MOST_SKEWED = 0.99  # a skew normal's skewness stays below 0.9953
MANY = 400  # more elements than this: their skewness at one point stands for all


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """Of some elements at one point: mean, covariance matrix and skewness (0 where exact)."""

    mean: Floats
    covariance: Floats
    skewness: Floats


@dataclass(frozen=True, eq=False, slots=True)
class _Pair:
    """Predictors k <= m of one leaf that have a joint second derivative.

    first, second : their numbers among all predictors, by row. weight : places of the weight.
    piece : the places of covariances of pairs of their pieces; with owner (row), source and data of each.
    """

    leaf: int
    k: int
    m: int
    first: Ints
    second: Ints
    weight: Ints
    place: Ints
    owner: Ints
    source: tuple[Ints, Ints]
    data: Floats


class Corrections:
    """Third-order corrections of a field with curved leaves; see the module."""

    def __init__(self, evaluator: ModeEvaluator) -> None:
        self.evaluator = evaluator
        self.field = evaluator.field
        self.pairs = _pairs(self.field)
        self.size = evaluator.eta.size
        self._inputs = {start: name for name, (start, _) in self.field.tape.inputs.items()}

    def thirds(self) -> list[dict[int, Floats]]:
        """For each pair and predictor k of its leaf g'''_k(pair), by row, at the last mode."""
        field, w = self.field, self.evaluator.w
        found: list[dict[int, Floats]] = [{} for _ in self.pairs]
        known = {name: w[s : s + n] for name, (s, n) in field.tape.inputs.items()}
        for k in range(max((len(c.element) for c in field.curved), default=0)):
            raw = dict(known)
            for c in field.curved:
                if k < len(c.element):
                    name = self._inputs[int(c.eta[k, 0])]
                    raw[name] = raw[name] + 1j * STEP
            moved = field.tape.values(raw)
            for pair, thirds in zip(self.pairs, found, strict=True):
                if k < len(field.curved[pair.leaf].element):
                    thirds[k] = -np.imag(moved[pair.weight]) / STEP
        return found

    def loads(self, thirds: list[dict[int, Floats]]) -> Floats:
        """b of the module, by predictor."""
        w = self.evaluator.w
        covariance = self.evaluator.elimination.selected_inverse()
        b = np.zeros(self.size)
        for pair, third in zip(self.pairs, thirds, strict=True):
            n = pair.first.size
            product = pair.data * w[pair.source[0]] * w[pair.source[1]] * covariance[pair.place]
            joint = np.bincount(pair.owner, product, n)[:n]
            times = 0.5 if pair.k == pair.m else 1.0
            for k, values in third.items():
                b[self._number(pair, k)] += times * values * joint
        return b

    def shift(self, b: Floats) -> Floats:
        """C A' b in the kernels' elements: how far their means are from the mode."""
        loads = np.zeros(self.field.pattern.n)
        number, element, source, data = self.evaluator.flat.pieces
        np.add.at(loads, element, data * self.evaluator.w[source] * b[number])
        return self.evaluator.elimination.responses(-loads[None, :-1])[0]

    def third_moments(self, columns: Floats, thirds: list[dict[int, Floats]]) -> Floats:
        """Third central moments of elements whose covariances with all kernels' elements are columns."""
        c = self.predictors(columns)
        found = np.zeros(columns.shape[1])
        for pair, third in zip(self.pairs, thirds, strict=True):
            times = 1.0 if pair.k == pair.m else 2.0
            product = c[pair.first] * c[pair.second]
            for k, values in third.items():
                found += times * (values @ (product * c[self._number(pair, k)]))
        return found

    def predictors(self, columns: Floats) -> Floats:
        """A @ columns: what the predictors make of vectors of elements, one a column."""
        number, element, source, data = self.evaluator.flat.pieces
        kept = element < self.field.pattern.n - 1
        value = data[kept] * self.evaluator.w[source[kept]]
        found = np.zeros((self.size, columns.shape[1]))
        np.add.at(found, number[kept], value[:, None] * columns[element[kept]])
        return found

    def _number(self, pair: _Pair, k: int) -> Ints:
        n = pair.first.size
        return pair.first + (k - pair.k) * n


def _pairs(field: Field) -> list[_Pair]:
    found = []
    begin = 0
    last = field.pattern.n - 1
    for number, c in enumerate(field.curved):
        rows = np.arange(c.n)
        for (k, m), weight in c.weights.items():
            place, owner, left, right, data = [], [], [], [], []
            for a in range(len(c.element[k])):
                for b in range(len(c.element[m])):
                    one, two = c.element[k][a], c.element[m][b]
                    at = np.flatnonzero((one < last) & (two < last))
                    place.append(field.pattern.place(one[at], two[at]))
                    owner.append(rows[at])
                    left.append(c.source[k][a][at])
                    right.append(c.source[m][b][at])
                    data.append(c.data[k][a][at] * c.data[m][b][at])
            whole = [np.concatenate(x) for x in (place, owner, left, right)]
            found.append(
                _Pair(
                    number, k, m, begin + k * c.n + rows, begin + m * c.n + rows, np.asarray(weight),
                    whole[0], whole[1], (whole[2], whole[3]), np.concatenate(data),
                )
            )  # fmt: skip
        begin += len(c.element) * c.n
    return found


class Conditionals:
    """Moments of elements at the point that an evaluator evaluated last."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        curved = isinstance(evaluator, ModeEvaluator) and any(c.element for c in evaluator.field.curved)
        self.corrections = Corrections(evaluator) if curved else None  # type: ignore[arg-type]
        self._places: dict[bytes, tuple[Ints, Floats] | None] = {}

    def loads(self) -> Floats | None:
        """The loads on predictors that shift the mode to the mean; None where the mode is the mean."""
        return None if self.corrections is None else self.corrections.loads(self.corrections.thirds())

    def of(self, rows: Ints) -> Moments:
        """Of some of the graph's elements, jointly."""
        evaluator = self.evaluator
        mean = evaluator.means()[rows]
        covariance = self._covariance(rows)
        skewness = np.zeros(rows.size)
        if self.corrections is not None and rows.size:
            every, back = evaluator.with_moves(rows)
            columns = evaluator.columns(every) @ back.T
            thirds = self.corrections.thirds()
            b = self.corrections.loads(thirds)
            mean = mean + b @ self.corrections.predictors(columns)
            skewness = _skewness(self.corrections.third_moments(columns, thirds), np.diag(covariance))
        return Moments(mean, covariance, skewness)

    def _covariance(self, rows: Ints) -> Floats:
        """As `Evaluator.covariance`, which looks places up each time."""
        key = rows.tobytes()
        if key not in self._places:
            self._places[key] = self._found(rows)
        known = self._places[key]
        if known is None:
            return self.evaluator.covariance(rows) if rows.size else np.zeros((0, 0))
        places, back = known
        return back @ self.evaluator.elimination.selected_inverse()[places] @ back.T

    def _found(self, rows: Ints) -> tuple[Ints, Floats] | None:
        """Places of all pairs of the kernels' elements that some elements are made of, if all exist."""
        if not rows.size:
            return None
        every, back = self.evaluator.with_moves(rows)
        i, j = (a.ravel() for a in np.meshgrid(every, every, indexing="ij"))
        places = self.evaluator.field.pattern.place_or_none(i, j).reshape(every.size, every.size)
        return (places, back) if (places >= 0).all() else None

    def each(self, skewness: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """Means, variances and skewnesses of all of the graph's elements.

        skewness : known from another point; else it is worked out here, which takes one solution with the
            factor for each element.
        """
        evaluator = self.evaluator
        mean, variance = evaluator.means(), evaluator.variances()
        if self.corrections is None:
            return mean, variance, np.zeros(mean.size)
        thirds = self.corrections.thirds()
        shift = evaluator.field.restored(self.corrections.shift(self.corrections.loads(thirds)))
        if skewness is None:
            skewness = self.skewness(np.arange(mean.size), thirds)
        return mean + shift, variance, skewness

    def skewness(self, rows: Ints, thirds: list[dict[int, Floats]] | None = None) -> Floats:
        """Of some of the graph's elements; zero where exact."""
        if self.corrections is None:
            return np.zeros(rows.size)
        every, back = self.evaluator.with_moves(rows)
        columns = self.evaluator.columns(every) @ back.T
        variance = (columns[every] * back.T).sum(axis=0)
        thirds = self.corrections.thirds() if thirds is None else thirds
        return _skewness(self.corrections.third_moments(columns, thirds), variance)


def _skewness(third: Floats, variance: Floats) -> Floats:
    scale = np.maximum(variance, 1e-300) ** 1.5
    return np.clip(np.where(variance > 0, third / scale, 0.0), -MOST_SKEWED, MOST_SKEWED)
