"""The complete data's expected criterion of a field: minus twice the log density of data and latents.

Given the outer unknowns x0, latents u have means and covariances; the expectation over them of minus twice
the log density of (data, u) at other outer unknowns x is, but for a constant,

    sum_h S_h w_h w_l w_r  +  sum_s (n_s log w_s + sum_k S_sk w_k w_k' / w_s)
    +  sum_L (2 n_L log|L| + tr((L L')^-1 R_L))  +  sum count * w[place],

with w the tape's workspace at x: cross-products of the data, residuals of scalar latents by their variances,
those of vectors by their factors, and what no latent enters (the prior too).  The sums S and R are expected
sufficient statistics, which one pass over the elements adds up (Dempster, Laird and Rubin 1977, J. R. Stat.
Soc. B 39:1, section 2), so that the criterion itself costs nothing an element.  Coefficients that are solved
(`PROFILED`) stand at their best given x0.

Elements without variance of their own (deterministic ones) are what their parents make them; an outer unknown
that is a coefficient there is `beside`: it must stay at x0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator, Field
from dagmodels.numerics.dependence import components
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Terms:
    """Products of three places of the workspace, whose factors are sums over places of H.

    first, left, right : of each product. place, term, value : what is added up, value * E[place of H], and to
    which product.
    """

    first: Ints
    left: Ints
    right: Ints
    place: Ints
    term: Ints
    value: Floats

    @classmethod
    def of(cls, first: Ints, left: Ints, right: Ints, place: Ints, value: Floats) -> Terms:
        """One entry each; equal products are one."""
        keys = np.stack([first, np.minimum(left, right), np.maximum(left, right)], axis=1).astype(np.int64)
        found, term = np.unique(keys.reshape(-1, 3), axis=0, return_inverse=True)
        a, b, c = found.T.copy()
        return cls(a, b, c, np.asarray(place, np.int64), term.reshape(-1), value)

    def sums(self, moments: Floats) -> Floats:
        """The factor of each product."""
        return np.bincount(self.term, self.value * moments[self.place], minlength=self.first.size)


@dataclass(frozen=True, eq=False, slots=True)
class Shocks:
    """Vectors u = mean + L e: the places of L of each distinct matrix, and of the products e e' by element.

    factor : (matrices, k, k) places of the workspace. products : (elements, k, k) places of H.
    matrix : of each element.
    """

    factor: Ints
    products: Ints
    matrix: Ints

    def sums(self, moments: Floats) -> Floats:
        """(matrices, k, k) expected sums of e e'."""
        k = self.factor.shape[1]
        own = moments[self.products] * (0.5 + 0.5 * np.eye(k))
        found = np.zeros(self.factor.shape)
        np.add.at(found, self.matrix, own)
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Complete:
    """A field's complete data before any number; `expected` makes the criterion.

    data : cross-products. latents : residuals of scalar latents, `first` the place of their variance.
    variances, counts : places of variances, and how many elements have each. shocks : vectors.
    beside : coordinates that the criterion must not move, by position.
    """

    field: Field
    data: Terms
    latents: Terms
    variances: Ints
    counts: Floats
    shocks: tuple[Shocks, ...]
    beside: NDArray[np.bool_]

    def expected(self, evaluator: Evaluator) -> Expected:
        """The criterion at the evaluator's last point, whose gradient must have been asked for."""
        moments = evaluator.products()
        w = evaluator.w
        spread = []
        for s in self.shocks:
            factor = w[s.factor]
            spread.append(factor @ s.sums(moments) @ factor.transpose(0, 2, 1))
        return Expected(self, self.data.sums(moments), self.latents.sums(moments), tuple(spread), w.copy())


class Expected:
    """The criterion as a function of the coordinates; see the module."""

    def __init__(
        self, complete: Complete, data: Floats, latents: Floats, spread: tuple[Floats, ...], w: Floats
    ) -> None:
        self.complete, self.data, self.latents, self.spread, self.w = complete, data, latents, spread, w
        self.counts = [np.bincount(s.matrix, minlength=len(s.factor)).astype(float) for s in complete.shocks]

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Value and exact gradient in the coordinates; infinite and nan where x is not admissible."""
        c, w = self.complete, self.w
        field = c.field
        w[field.x_places] = x
        field.tape.forward(w)
        bar = np.zeros(w.size)
        with np.errstate(all="ignore"):
            value = self._linear(bar) + self._data(bar) + self._latents(bar)
            for shocks, spread, counts in zip(c.shocks, self.spread, self.counts, strict=True):
                value += self._shocks(shocks, spread, counts, bar)
            if not np.isfinite(value):
                return np.inf, np.full(x.size, np.nan)
            field.tape.reverse(w, bar)
        return float(value), bar[field.x_places]

    def _linear(self, bar: Floats) -> float:
        field, value = self.complete.field, 0.0
        for places, counts in (
            (field.linear_places, field.linear_counts),
            (field.prior_places, field.prior_counts),
        ):
            np.add.at(bar, places, counts)
            value += float(counts @ self.w[places])
        return value

    def _data(self, bar: Floats) -> float:
        t, w = self.complete.data, self.w
        a, b, c = w[t.first], w[t.left], w[t.right]
        np.add.at(bar, t.first, self.data * b * c)
        np.add.at(bar, t.left, self.data * a * c)
        np.add.at(bar, t.right, self.data * a * b)
        return float(np.sum(self.data * a * b * c))

    def _latents(self, bar: Floats) -> float:
        c, w = self.complete, self.w
        t, s = c.latents, w[c.latents.first]
        left, right = w[t.left], w[t.right]
        own = self.latents / s
        np.add.at(bar, t.left, own * right)
        np.add.at(bar, t.right, own * left)
        np.add.at(bar, t.first, -own * left * right / s)
        v = w[c.variances]
        np.add.at(bar, c.variances, c.counts / v)
        return float(np.sum(own * left * right) + c.counts @ np.log(v))

    def _shocks(self, shocks: Shocks, spread: Floats, counts: Floats, bar: Floats) -> float:
        """n log det(L L') + tr((L L')^-1 R) and its slopes 2 n L^-T - 2 (L L')^-1 R L^-T."""
        factor = self.w[shocks.factor]
        sign, logs = np.linalg.slogdet(factor)
        if not sign.all():
            return np.inf
        inverse = np.linalg.inv(factor)
        back = inverse.transpose(0, 2, 1)
        middle = inverse @ spread @ back
        slope = back @ (2.0 * counts[:, None, None] * np.eye(factor.shape[1]) - 2.0 * middle)
        np.add.at(bar, shocks.factor.reshape(-1), slope.reshape(-1))
        return float(2.0 * counts @ logs + np.trace(middle, axis1=1, axis2=2).sum())


def complete(field: Field) -> Complete:
    """The complete data of a field without curved leaves."""
    s_from, _, source, value, h_place, weight, left, right, h_value = field.fill
    child, parent = field.parents
    shape = field.pattern
    moving = _moving(field)
    one = int(np.flatnonzero((field.tape.initial == 1.0) & ~moving)[0])
    own = (shape.kind == SCALED) & (moving[s_from] | (field.tape.initial[s_from] != 0.0))
    own[-1] = False
    shock = np.append(field.is_shock[: shape.n - 1], False)
    vectors, covered = _shocks(field, moving)
    lawful = own & ~shock
    rows = np.flatnonzero(lawful)
    entries = np.flatnonzero(lawful[child])
    a, b, crossed = _pairs(child[entries])
    p, q = entries[a], entries[b]
    same = parent[p] == parent[q]
    double = np.where(same & crossed, 2.0, 1.0)  # H has products of two elements twice already
    places = shape.place(parent[p], parent[q])
    latents = Terms.of(
        np.concatenate([s_from[rows], s_from[child[entries]], s_from[child[p]]]),
        np.concatenate([np.full(rows.size, one), source[entries], source[p]]),
        np.concatenate([np.full(rows.size + entries.size, one), source[q]]),
        np.concatenate([shape.place(rows, rows), shape.place(child[entries], parent[entries]), places]),
        np.concatenate([np.ones(rows.size), -value[entries], double * value[p] * value[q]]),
    )
    variances, counts = np.unique(s_from[rows], return_counts=True)
    fixed = (shape.kind[child] == SCALED) & ~lawful[child] & ~covered
    return Complete(
        field=field,
        data=Terms.of(weight, left, right, h_place, h_value),
        latents=latents,
        variances=variances.astype(np.int64),
        counts=counts.astype(float),
        shocks=vectors,
        beside=_reaching(field, np.unique(source[fixed]).astype(np.int64)),
    )


def _pairs(child: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """All pairs of entries of the same row, each once, an entry with itself too; whether they are two."""
    order = np.argsort(child, kind="stable")
    sorted_ = child[order]
    end = np.searchsorted(sorted_, sorted_, side="right")
    first, second = [], []
    at = np.arange(sorted_.size)
    for step in range(int((end - at).max(initial=0))):
        ok = at + step < end
        first.append(at[ok])
        second.append(at[ok] + step)
    none = np.zeros(0, np.int64)
    a, b = np.concatenate([none, *first]), np.concatenate([none, *second])
    return order[a], order[b], a != b


def _moving(field: Field) -> NDArray[np.bool_]:
    """Places of the workspace that depend on the coordinates."""
    every = np.arange(field.tape.initial.size)
    return components(field.tape, field.x_places, every)[1] >= 0


def _reaching(field: Field, places: Ints) -> NDArray[np.bool_]:
    """Coordinates that some places may depend on."""
    of, read = components(field.tape, field.x_places, places)
    return np.isin(of, read[read >= 0])


def _shocks(field: Field, moving: NDArray[np.bool_]) -> tuple[tuple[Shocks, ...], NDArray[np.bool_]]:
    """Vector latents with unknown factors, and the entries of T that these account for."""
    _, _, source, _, *_ = field.fill
    child, parent = field.parents
    covered = np.zeros(child.size, dtype=bool)
    found = []
    for rows in _vectors(field):
        k, n = rows.shape
        column = np.full(field.pattern.n, -1)
        column[rows.reshape(-1)] = np.arange(k * n)
        at = np.flatnonzero(column[parent] >= 0)
        if not moving[source[at]].any():
            continue
        covered[at] = True
        element = column[parent[at]] % n
        start = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(start, element, source[at])
        blocks, matrix = np.unique(start, return_inverse=True)
        factor = blocks[:, None, None] + np.arange(k)[:, None] * k + np.arange(k)
        i, j = np.meshgrid(np.arange(k), np.arange(k), indexing="ij")
        places = field.pattern.place(rows[i].reshape(-1), rows[j].reshape(-1)).reshape(k, k, n)
        found.append(Shocks(factor, places.transpose(2, 0, 1), matrix.reshape(-1)))
    return tuple(found), covered


def _vectors(field: Field) -> list[Ints]:
    """Rows of the unit shocks of each vector statement, (k, elements)."""
    found: list[list[Ints]] = []
    for name, rows in zip(field.group_names, field.group_rows, strict=True):
        if "#" not in name:
            continue
        if name.endswith("#0"):
            found.append([])
        found[-1].append(rows)
    return [np.stack(v) for v in found]
