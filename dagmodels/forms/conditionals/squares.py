"""Sufficient statistics of Gaussian rows whose residuals are linear in the state with known coefficients.

With e = c + A u by row, sums of D e are A'c + (A'A) u, and sums of squares are a quadratic form in u: what is
left of the rows is the pattern of A'A. So an update costs the same for 10^3 and for 10^6 rows. Squares are
taken about a least-squares solution u0, e'e = r'r + 2 r'A(u - u0) + (u - u0)'A'A(u - u0), r = c + A u0, whose
terms do not cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.influence import Influence
from dagmodels.forms.conditionals.target import Touched
from dagmodels.numerics.tape import NAMES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SMALLER = 0.7  # entries for each row, below which statistics are cheaper than rows
ENTRIES = 12  # coefficients of a row, at most
NOTHING = 1e-14  # of a coefficient relative to its row and column
ORTHOGONAL = 1e-11  # of A'r relative to |A|'|r|: it changes the sum of squares by no more than this share


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """By row c + A u: A sparse (rows, slots)."""

    coefficients: Any
    offset: Floats


class Statistics:
    """Statistics of the residuals of one recorder, kept by register."""

    def __init__(self, influence: Influence) -> None:
        self.influence = influence
        self.recorder = influence.recorder
        self._linear: dict[int, Linear | None] = {}
        self._about: dict[int, tuple[Floats, Floats]] = {}
        self._whole: dict[int, int | None] = {}
        self._shifted: dict[tuple[int, int], int] = {}
        self._inputs = sorted((start, register) for register, start in influence.inputs.items())

    # -- what is linear -----------------------------------------------------------------------------

    def linear(self, register: int) -> Linear | None:
        """A register as c + A u, None where it is not."""
        if register not in self._linear:
            self._linear[register] = self._found(register)
        return self._linear[register]

    def _found(self, register: int) -> Linear | None:
        import scipy.sparse as sp

        known, n = self.recorder.constant_value(register), self.recorder.length(register)
        if known is not None:
            return Linear(None, known)
        start = self.influence.inputs.get(register)
        if start is not None:
            at = (np.arange(n), start + np.arange(n))
            return Linear(sp.csr_matrix((np.ones(n), at), shape=(n, self.influence.size)), np.zeros(n))
        operations = self.influence.operations(register)
        if not operations:
            return None  # an auxiliary variable
        code, _, a, b, _, aux = operations[0]
        match NAMES[code]:
            case "+" | "-" as sign:
                x, y = self.linear(a), self.linear(b)
                if x is None or y is None:
                    return None
                return _sum(_long(x, n), _long(y, n), 1.0 if sign == "+" else -1.0)
            case "neg":
                x = self.linear(a)
                return None if x is None else _scaled(x, -np.ones(1))
            case "*":
                return self._product(a, b, n)
            case "/":
                x, divisor = self.linear(a), self.recorder.constant_value(b)
                return None if x is None or divisor is None else _scaled(_long(x, n), 1.0 / divisor)
            case "put":
                return self._assembled(operations, n)
            case "gather":
                x = self.linear(a)
                return None if x is None else _rows(x, self.recorder.index(aux))
            case "segment_sum":
                x = self.linear(a)
                return None if x is None else _gathered(x, self.recorder.index(aux), n)
        return None

    def _product(self, a: int, b: int, n: int) -> Linear | None:
        for one, other in ((a, b), (b, a)):
            factor = self.recorder.constant_value(one)
            if factor is not None:
                x = self.linear(other)
                return None if x is None else _scaled(_long(x, n), factor)
        return None

    def _assembled(self, operations: list[tuple[int, int, int, int, int, int]], n: int) -> Linear | None:
        total = Linear(None, np.zeros(n))
        for _, _, a, _, _, aux in operations:
            x = self.linear(a)
            if x is None:
                return None
            total = _sum(total, _gathered(x, self.recorder.index(aux), n), 1.0)
        return total

    # -- sums of D e ----------------------------------------------------------------------------------

    def gradients(self, residual: int, touched: Touched, slots: Ints) -> tuple[int, Floats] | None:
        """For each slot u the register of sum D r, e = r + D u, and the numbers sum D**2; None where rows are
        cheaper."""
        found = self.system(residual, touched, slots)
        if found is None:
            return None
        total, i, j, v = found
        own = i == j
        return total, np.bincount(i[own], v[own], slots.size)

    def system(
        self, residual: int, touched: Touched, slots: Ints, *, at_rest: bool = True
    ) -> tuple[int, Ints, Ints, Floats] | None:
        """Sums of D r by slot, e = r + D u, u being all of these slots, and the entries (i, j, value) of
        D'D; None where rows are cheaper. at_rest : False for sums of D e instead."""
        found = self._worth(residual, touched)
        if found is None:
            return None
        import scipy.sparse as sp

        matrix = sp.csr_matrix(found.coefficients)
        own = sp.csc_matrix(matrix)[:, slots].T
        products = sp.coo_matrix(own @ matrix)
        scale = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).reshape(-1))
        i, j, v = products.row, products.col, products.data
        keep = np.abs(v) > NOTHING * scale[slots[i]] * scale[j]
        i, j, v = i[keep], j[keep], v[keep]
        if i.size > SMALLER * touched.rows.size:
            return None
        r, count = self.recorder, slots.size
        place = np.full(self.influence.size, -1)
        place[slots] = np.arange(count)
        inside = place[j] >= 0
        squares = i[inside].astype(np.int64), place[j[inside]], v[inside]
        if at_rest:
            i, j, v = i[~inside], j[~inside], v[~inside]
        offset = np.asarray(own @ found.offset).reshape(-1)
        total = r.constant(offset if (offset != offset[0]).any() else offset[0])
        for start, register in self._inputs:
            size = r.length(register)
            mine = (j >= start) & (j < start + size)
            if mine.any():
                total = r.apply("+", total, self._times(register, i[mine], j[mine] - start, v[mine], count))
        return total, *squares

    def _times(self, register: int, i: Ints, j: Ints, v: Floats, count: int) -> int:
        """The product of a sparse block (i, j, v) with an input, one entry for each of `count` rows."""
        r = self.recorder
        size = r.length(register)
        if size == count == i.size and (i == j).all():
            at = np.argsort(i)
            return r.apply("*", register, r.constant(v[at]))
        if size == 1:
            weights = np.bincount(i, v, count)
            same = (weights == weights[0]).all()
            return r.apply("*", register, r.constant(weights[0] if same else weights))
        product = r.apply("*", r.gather(register, j.astype(np.int64)), r.constant(v))
        return r.segment_sum(product, i.astype(np.int64), count)

    def orthogonal(self, residual: int, some: Ints, others: Ints) -> bool:
        """Whether two sets of slots have coefficients that are known and orthogonal by row."""
        import scipy.sparse as sp

        found = self.linear(residual)
        if found is None or found.coefficients is None:
            return False
        matrix = sp.csc_matrix(found.coefficients)
        product = sp.coo_matrix(matrix[:, some].T @ matrix[:, others])
        if not product.nnz:
            return True
        scale = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).reshape(-1))
        return bool(
            (np.abs(product.data) <= ORTHOGONAL * scale[some[product.row]] * scale[others[product.col]]).all()
        )

    # -- sums of squares --------------------------------------------------------------------------------

    def squares(self, residual: int, touched: Touched, count: int) -> int | None:
        """For each of `count` owners the sum of e**2 over its rows; None where rows are cheaper."""
        whole = count == 1 and touched.rows.size == self.recorder.length(residual)
        if not whole:
            return self._squares(residual, touched, count)
        if residual not in self._whole:
            self._whole[residual] = self._squares(residual, touched, count)
        return self._whole[residual]

    def _squares(self, residual: int, touched: Touched, count: int) -> int | None:
        found = self._worth(residual, touched)
        if found is None:
            return None
        import scipy.sparse as sp

        matrix = sp.csr_matrix(found.coefficients)[touched.rows]
        about, rest = self._centre(residual, found)
        rest = rest[touched.rows]
        form = _form(matrix, touched.owner, self.influence.size)
        if form is None or form[0].size > SMALLER * touched.rows.size:
            return None
        r, (owner, i, j, v) = self.recorder, form
        constant = np.bincount(touched.owner, rest * rest, count)
        total = r.constant(constant if count > 1 else constant[0])
        slope = _by_owner(matrix, rest, touched.owner, count)
        for start, register in self._inputs:
            size = r.length(register)
            mine = (i >= start) & (i < start + size)
            across = (slope.col >= start) & (slope.col < start + size)
            if not mine.any() and not across.any():
                continue
            d = self._shift(residual, register, about[start : start + size])
            if across.any():
                part = (slope.row[across], slope.col[across] - start, 2.0 * slope.data[across])
                total = r.apply("+", total, self._times(d, *part, count))
            for other_start, other in self._inputs:
                both = mine & (j >= other_start) & (j < other_start + r.length(other))
                if both.any():
                    e = self._shift(residual, other, about[other_start : other_start + r.length(other)])
                    part = (owner[both], i[both] - start, j[both] - other_start, v[both])
                    total = r.apply("+", total, self._product_form(d, e, *part, count))
        return total

    def _product_form(self, d: int, e: int, owner: Ints, i: Ints, j: Ints, v: Floats, count: int) -> int:
        """Sums of v d_i e_j by owner."""
        r = self.recorder
        n = r.length(d)
        if d == e and i.size == n and (i == np.arange(n)).all() and (j == i).all():
            product = r.apply("*", d, d)
            if count == 1 and (v == v[0]).all():
                return r.apply("*", r.total(product), r.constant(v[0]))
            product = r.apply("*", product, r.constant(v))
        else:
            left = d if r.length(d) == 1 else r.gather(d, i)
            right = e if r.length(e) == 1 else r.gather(e, j)
            product = r.apply("*", r.apply("*", left, right), r.constant(v))
        return r.segment_sum(product, owner, count)

    def _shift(self, residual: int, register: int, about: Floats) -> int:
        """An input less the point about which squares of a residual are taken."""
        key = (residual, register)
        if key not in self._shifted:
            self._shifted[key] = self.recorder.apply("-", register, self.recorder.constant(about))
        return self._shifted[key]

    def _centre(self, residual: int, found: Linear) -> tuple[Floats, Floats]:
        """A least-squares solution, near enough, and what it leaves by row."""
        if residual not in self._about:
            from scipy.sparse.linalg import lsqr

            tries = 200 if found.offset.size < 200_000 else 30
            about = lsqr(found.coefficients, -found.offset, atol=1e-13, btol=1e-13, iter_lim=tries)[0]
            self._about[residual] = (about, found.offset + found.coefficients @ about)
        return self._about[residual]

    def _worth(self, residual: int, touched: Touched) -> Linear | None:
        """The residual as c + A u, where it has more rows than slots."""
        found = self.linear(residual) if touched.rows.size > 8 else None
        return None if found is None or found.coefficients is None else found


def _form(matrix: Any, owner: Ints, size: int) -> tuple[Ints, Ints, Ints, Floats] | None:
    """Owners, pairs of slots and coefficients of the sum of squares; None where rows are long."""
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) > ENTRIES:
        return None
    keys, values = [], []
    for p in range(int(lengths.max(initial=0))):
        for q in range(p, int(lengths.max(initial=0))):
            rows = np.flatnonzero(lengths > q)
            at = matrix.indptr[rows]
            i, j = matrix.indices[at + p].astype(np.int64), matrix.indices[at + q].astype(np.int64)
            product = matrix.data[at + p] * matrix.data[at + q]
            keys.append((owner[rows] * size + i) * size + j)
            values.append(product if p == q else 2.0 * product)
    if not keys:
        return None
    key, flat = np.concatenate(keys), np.concatenate(values)
    owners = int(owner.max(initial=0)) + 1
    if owners * size * size <= key.size:  # few places: counting is faster than sorting
        every = np.flatnonzero(np.bincount(key))
        place = np.zeros(owners * size * size, np.int64)
        place[every] = np.arange(every.size)
        at = place[key]
    else:
        every, at = np.unique(key, return_inverse=True)
    v = np.bincount(at.reshape(-1), flat, every.size)
    most = np.bincount(at.reshape(-1), np.abs(flat), every.size)
    keep = np.abs(v) > NOTHING * most
    rest, j = np.divmod(every[keep], size)
    owners, i = np.divmod(rest, size)
    return owners, i, j, v[keep]


def _by_owner(matrix: Any, rest: Floats, owner: Ints, count: int) -> Any:
    """A'r by owner, without what is rounding alone."""
    import scipy.sparse as sp

    n = owner.size
    adding = sp.csr_matrix((rest, (owner, np.arange(n))), shape=(count, n))
    found = sp.coo_matrix(adding @ matrix)
    scale = sp.csr_matrix((np.abs(rest), (owner, np.arange(n))), shape=(count, n)) @ abs(matrix)
    most = np.asarray(scale[found.row, found.col]).reshape(-1)
    keep = np.abs(found.data) > ORTHOGONAL * most
    return sp.coo_matrix((found.data[keep], (found.row[keep], found.col[keep])), shape=found.shape)


def _long(x: Linear, n: int) -> Linear:
    return x if x.offset.size == n else _rows(x, np.zeros(n, np.int64))


def _rows(x: Linear, index: Ints) -> Linear:
    if x.offset.size == 1:
        index = np.zeros(index.size, np.int64)
    return Linear(None if x.coefficients is None else x.coefficients[index], x.offset[index])


def _scaled(x: Linear, factor: Floats) -> Linear:
    import scipy.sparse as sp

    if x.coefficients is None:
        return Linear(None, x.offset * factor)
    factors = np.broadcast_to(factor, x.offset.shape)
    return Linear(sp.csr_matrix(sp.diags(factors) @ x.coefficients), x.offset * factor)


def _sum(x: Linear, y: Linear, sign: float) -> Linear:
    parts = [
        m if k == 0 else sign * m for k, m in enumerate((x.coefficients, y.coefficients)) if m is not None
    ]
    total = None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return Linear(total, x.offset + sign * y.offset)


def _gathered(x: Linear, index: Ints, n: int) -> Linear:
    import scipy.sparse as sp

    x = _long(x, index.size)
    adding = sp.csr_matrix((np.ones(index.size), (index, np.arange(index.size))), shape=(n, index.size))
    return Linear(None if x.coefficients is None else adding @ x.coefficients, adding @ x.offset)
