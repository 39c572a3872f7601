"""Formulas with stable logarithms over numbers, vectors and matrices by row: what `flat` records with.

`Jets` without predictors are plain registers that remember bounds and logarithms; here they may be vectors
and matrices too, and what a transform guarantees (a sum of one, an order, a determinant) is known by
register.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dagmodels.forms.batches import Batch, Batches, Event
from dagmodels.forms.formulas import Traced, log_beta
from dagmodels.forms.jets import BELOW_ZERO, Jet, Jets


class BatchJets(Jets):
    """The namespace `f` that formulas are written over.

    Attributes
    ----------
    simplex, increasing_ : registers of vectors that sum to one, or increase, by construction.
    logdets : log determinants that are known, by the matrices' register.
    whole : registers that hold whole numbers.
    """

    functions: Batches

    def __init__(self, functions: Batches) -> None:
        super().__init__(functions)
        self.simplex: set[int] = set()
        self.increasing_: set[int] = set()
        self.logdets: dict[int, Jet] = {}
        self.whole: set[int] = set()
        self._general: set[int] = set()

    # -- shapes ------------------------------------------------------------------------------------

    def of(self, register: int, event: Event = (), **about: Any) -> Jet:
        """A register as numbers, vectors or matrices; `about` as in `Jet`."""
        return self._with(self.jet(self.functions.batch(register, event)), **about)

    def viewed(self, x: Jet, event: Event) -> Jet:
        """The same entries as values of another shape."""
        batch = self.functions.batch(x.value.register, event)
        log, other = x.log, x.log_complement
        return self._with(
            x,
            value=batch,
            log=None if log is None else lambda: self.viewed(log(), event),
            log_complement=None if other is None else lambda: self.viewed(other(), event),
            negated=None,
        )

    def picked(self, x: Jet, index: Any) -> Jet:
        """Numbers by row: those at places of a register of numbers."""
        recorder = self.functions.recorder
        if recorder.length(x.value.register) == 1:
            return x
        register = recorder.gather(x.value.register, index)
        if x.value.register in self.whole:
            self.whole.add(register)
        log, other = x.log, x.log_complement
        return self._with(
            x,
            value=self.functions.batch(register),
            log=None if log is None else lambda: self.picked(log(), index),
            log_complement=None if other is None else lambda: self.picked(other(), index),
            negated=None,
        )

    def taken(self, x: Jet, places: int) -> Jet:
        """Numbers by row: those at places of a register of numbers, which change between runs."""
        register = self.functions.recorder.take(x.value.register, places)
        if x.value.register in self.whole:
            self.whole.add(register)
        log, other = x.log, x.log_complement
        return self._with(
            x,
            value=self.functions.batch(register),
            log=None if log is None else lambda: self.taken(log(), places),
            log_complement=None if other is None else lambda: self.taken(other(), places),
            negated=None,
        )

    def _like(self, found: Jet, *others: Jet) -> Jet:
        """What folding made a single number, in the shape of the operands."""
        event = np.broadcast_shapes(*(self.functions.event(o.value) for o in (found, *others)))
        if self.functions.event(found.value) == event:
            return found
        rows = self.functions.rows(found.value)
        return self._with(
            found,
            value=self.functions.batch(self.functions.spread(found.value, event, rows), event),
            log=None,
            log_complement=None,
            negated=None,
        )

    def times(self, a: Jet, b: Jet) -> Jet:
        """a b"""
        return self._like(super().times(a, b), a, b)

    def add(self, a: Jet, b: Jet) -> Jet:
        """a + b; what was negated is subtracted, so that its negative is never computed."""
        ones = self._is(a.value, 1.0) or self._is(b.value, 1.0)
        zeros = self._is(a.value, 0.0) or self._is(b.value, 0.0)
        for x, y in ((a, b), (b, a)):
            if y.negated is not None and x.negated is None and not ones and not zeros:
                value = x.value - y.negated.value
                return Jet(self, value, lower=a.lower + b.lower, upper=a.upper + b.upper)
        return self._like(super().add(a, b), a, b)

    def power(self, a: Jet, b: Jet) -> Jet:
        """a ** b; a square is a product."""
        if self._is(b.value, 2.0):
            return self._with(self.jet(a.value * a.value), lower=BELOW_ZERO)
        return super().power(a, b)

    def compare(self, name: str, a: Jet, b: Any) -> Jet:
        """1 where a < b (or a <= b), else 0."""
        b = self.jet(b)
        return self._like(super().compare(name, a, b), a, b)

    def equal(self, a: Any, b: Any) -> Jet:
        """1 where equal, else 0."""
        a, b = self.jet(a), self.jet(b)
        return self._like(super().equal(a, b), a, b)

    def where(self, test: Any, yes: Any, no: Any) -> Jet:
        """yes where test is not 0, else no."""
        test, yes, no = self.jet(test), self.jet(yes), self.jet(no)
        known = self._known(test.value)
        if known is not None and (no.negated is yes or yes.negated is no) and known.size > 1:
            sign = np.where(known != 0, 1.0, -1.0) * (1.0 if no.negated is yes else -1.0)
            one = yes if no.negated is yes else no
            return one * self.jet(self.functions.constant(sign, self.functions.event(test.value)))
        return self._like(super().where(test, yes, no), test, yes, no)

    def _value(self, name: str, x: Traced) -> Traced:
        """The function on the tape, or in numbers, in the operand's shape."""
        return self.functions.batch(super()._value(name, x).register, self.functions.event(x))

    # -- functions that Jets know for data only ------------------------------------------------------

    def lbeta(self, a: Any, b: Any) -> Jet:
        """log beta function."""
        a, b = self.jet(a), self.jet(b)
        if self.functions.event(a.value) or self.functions.event(b.value):
            return log_beta(self, a, b)
        return super().lbeta(a, b)

    def floor(self, x: Any) -> Jet:
        """Largest whole number not above; of unknowns only for those that are whole."""
        x = self.jet(x)
        if x.value.register in self.whole:
            return x
        return self.apply("floor", x)

    def mvlgamma(self, a: Any, d: Any) -> Jet:
        """Log of the multivariate gamma function of order d."""
        found = self.jet(0.25 * d * (d - 1) * math.log(math.pi))
        for j in range(int(d)):
            found = found + self.apply("lgamma", a - 0.5 * j)
        return found

    # -- vectors -----------------------------------------------------------------------------------

    def size(self, vector: Jet) -> float:  # type: ignore[override]
        """Length of the last axis."""
        return float(self.functions.event(vector.value)[-1])

    def total(self, vector: Jet) -> Jet:  # type: ignore[override]
        """Sum over the last axis."""
        if vector.value.register in self.simplex:
            return self.jet(1.0)
        return self.jet(self.functions.total(vector.value))

    def element(self, vector: Jet, place: Any) -> Jet:  # type: ignore[override]
        """The entry at a place, which may differ by row; one outside takes the nearest entry."""
        size = self.functions.event(vector.value)[-1]
        known = self._known(self.jet(place).value)
        if known is None:
            return self._moving_element(vector, self.min(self.max(place, 0.0), size - 1.0), size)
        at = np.clip(np.nan_to_num(known), 0, size - 1).astype(np.int64)
        rows = self.functions.rows(vector.value)
        index = at if rows == 1 else np.arange(rows) * size + at
        return self.picked(self._flat(vector), index)

    def _moving_element(self, vector: Jet, place: Jet, size: int) -> Jet:
        rows = self.functions.rows(vector.value)
        if rows > 1:
            place = place + self.jet(self.functions.constant(np.arange(rows) * float(size)))
        elif self.functions.rows(place.value) == 1:
            place = self.viewed(place, ())
        return self.taken(self._flat(vector), place.value.register)

    def _flat(self, x: Jet) -> Jet:
        return self.viewed(x, ())

    def expand(self, x: Any) -> Jet:
        """A number made to multiply a vector."""
        x = self.jet(x)
        return self.viewed(x, (*self.functions.event(x.value), 1))

    def increasing(self, vector: Jet) -> Jet:  # type: ignore[override]
        """1 where the entries strictly increase."""
        size = self.functions.event(vector.value)[-1]
        if vector.value.register in self.increasing_ or size == 1:
            return self.jet(1.0)
        places = np.arange(size - 1)
        f = self.functions
        up = f.apply("<", f.pick(vector.value, places), f.pick(vector.value, places + 1))
        return self.equal(f.total(up), float(size - 1))

    def softmax(self, vector: Jet) -> Jet:  # type: ignore[override]
        """exp(x)/total(exp(x)), whose logarithm is known."""
        f = self.functions
        x = vector.value
        event = f.event(x)
        found = f.batch(f.recorder.softmax(x.register, event[-1]), event)
        self.simplex.add(found.register)
        return self._with(
            self.jet(found), lower=0.0, upper=math.nextafter(1, 2), log=lambda: self._log_softmax(x)
        )

    def _log_softmax(self, x: Traced) -> Jet:
        """x less the logarithm of the sum of exponentials, shifted by the largest."""
        f = self.functions
        top = f.batch(f.largest(x).register, (1,))
        shifted = x - top
        sums = f.apply("log", f.total(f.apply("exp", shifted)))
        return self.jet(shifted - f.batch(sums.register, (1,)))

    # -- matrices ----------------------------------------------------------------------------------

    def logdet(self, matrix: Jet) -> Jet:
        """log |det A|; nan where a matrix that should be positive definite is not."""
        f = self.functions
        known = self.logdets.get(matrix.value.register)
        if known is not None:
            block = matrix.value.block if isinstance(matrix.value, Batch) else None
            return known if block is None else self.picked(known, block)
        if matrix.value.register in self._general:
            return 0.5 * self.jet(f.logdet(f.matrices("matmul", matrix.value, matrix.value, transposed=True)))
        return self.jet(f.logdet(matrix.value))

    def posdef(self, matrix: Jet) -> Jet:
        """Stands for true: `logdet` of the same formula is nan where it is false."""
        del matrix
        return self.jet(1.0)

    def inverse(self, matrix: Jet) -> Jet:
        """A^-1."""
        return self.jet(self.functions.matrices("inverse", matrix.value))

    def solve(self, matrix: Jet, vector: Jet) -> Jet:
        """A^-1 b."""
        return self.jet(self.functions.matvec(self.functions.matrices("inverse", matrix.value), vector.value))

    def matvec(self, matrix: Jet, vector: Jet) -> Jet:
        """A b."""
        return self.jet(self.functions.matvec(matrix.value, vector.value))

    def matmul(self, left: Jet, right: Jet) -> Jet:
        """A B."""
        return self.jet(self.functions.matrices("matmul", left.value, right.value))

    def transpose(self, matrix: Jet) -> Jet:
        """A'."""
        return self.jet(self.functions.transpose(matrix.value))

    def diagonal(self, matrix: Jet) -> Jet:
        """The diagonal as a vector."""
        return self.jet(self.functions.diagonal(matrix.value))

    def trace_solve(self, left: Jet, right: Jet) -> Jet:
        """tr(A^-1 B), B symmetric."""
        f = self.functions
        product = f.apply("*", f.by_row(f.matrices("inverse", left.value)), f.by_row(right.value))
        return self.jet(f.total(f.total(product)))

    def identity_minus(self, matrix: Jet) -> Jet:
        """I - B."""
        f = self.functions
        d = f.event(matrix.value)[-1]
        found = f.apply("-", f.constant(np.eye(d), (d, d)), matrix.value)
        self._general.add(found.register)
        return self.jet(found)
