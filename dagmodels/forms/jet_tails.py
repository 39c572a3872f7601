"""What formulas ask of jets beyond numbers: vectors of known length, and distribution functions of counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.distributions._shared import log1mexp, log_add_exp, log_choose
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.lower import NotLowered

if TYPE_CHECKING:
    from dagmodels.forms.jets import Jet

MOST_TERMS = 200  # of a finite sum for a distribution function; beyond, the tape has the function itself


@dataclass(frozen=True, eq=False)
class Entries:
    """A vector by row: its entries; `register` holds them row by row (or once for all) where it is known."""

    items: tuple[Jet, ...]
    register: int | None = None

    def __lt__(self, other: Any) -> Entries:
        return Entries(tuple(x < other for x in self.items))


class Tails:
    """Methods of `Jets`; see the module."""

    functions: Functions
    jet: Callable[..., Jet]
    chain: Callable[..., Jet]
    apply: Callable[..., Jet]
    where: Callable[..., Jet]
    _with: Callable[..., Jet]
    _known: Callable[..., Any]
    _plain: Callable[..., Traced]
    _value: Callable[..., Traced]
    lbeta: Callable[..., Jet]

    # -- vectors -----------------------------------------------------------------------------------

    def entries(self, register: int, size: int) -> Entries:
        """A register with vectors of that length, one after the other."""
        recorder = self.functions.recorder
        count = recorder.length(register) // size
        at = (recorder.gather(register, np.arange(count) * size + k) for k in range(size))
        return Entries(tuple(self.jet(self.functions.traced(r)) for r in at), register)

    def size(self, vector: Entries) -> int:
        """Number of entries."""
        return len(vector.items)

    def element(self, vector: Entries, place: Any) -> Jet:
        """The entry at a known place, which may differ by row; one outside takes the nearest entry."""
        last = len(vector.items) - 1
        known = place if isinstance(place, int) else self._known(self.jet(place).value)
        if known is None:
            raise NotLowered("an entry of a vector is chosen by something that is not data")
        at = np.clip(np.atleast_1d(known), 0, last).astype(np.int64)
        if (at == at[0]).all():
            return vector.items[int(at[0])]
        if vector.register is not None:
            count = self.functions.recorder.length(vector.register) // (last + 1)
            index = at if count == 1 else np.arange(at.size) * (last + 1) + at
            return self.jet(self.functions.traced(self.functions.recorder.gather(vector.register, index)))
        found = vector.items[0]
        for k, item in enumerate(vector.items[1:], start=1):
            found = self.where(self.jet(self._plain((at == k).astype(float))), item, found)
        logs = [item.log for item in vector.items]
        if all(log is not None for log in logs):
            parts = Entries(tuple(log() for log in logs if log is not None))
            found = self._with(found, log=lambda: self.element(parts, place))
        return found

    def softmax(self, vector: Entries) -> Entries:
        """exp(x)/total(exp(x)), whose logarithms are known."""
        total = reduce(lambda a, b: log_add_exp(self, a, b), vector.items)
        return Entries(tuple(self.apply("exp", item - total) for item in vector.items))

    def increasing(self, vector: Entries) -> Jet:
        """1 where the entries strictly increase."""
        found = self.jet(1.0)
        for a, b in pairwise(vector.items):
            found = found * (a < b)
        return found

    def total(self, vector: Entries) -> Jet:
        """Sum of the entries."""
        found = vector.items[0]
        for item in vector.items[1:]:
            found = found + item
        return found

    # -- distribution functions ------------------------------------------------------------------------

    def log_gammaincc(self, shape: Any, x: Any) -> Jet:
        """log Q(shape, x); for a known whole shape the terms of P(Poisson(x) < shape)."""
        number = self._number("log_gammaincc", shape, x)
        if number is not None:
            return number
        shapes = self._whole(shape)
        if shapes is None:
            return self._gamma_tail("log_gammaincc", shape, x)
        x = self.jet(x)
        total = self.jet(1.0)
        for k in range(int(shapes.max()), 0, -1):  # Horner's scheme, begun where each row's sum ends
            inner = total * x / float(k) + 1.0 if k < shapes.max() else self.jet(1.0)
            started = self.jet(self._plain((shapes > k).astype(float)))
            total = self.where(started, inner, 1.0)
        return self.apply("log", total) - x

    def log_gammainc(self, shape: Any, x: Any) -> Jet:
        """log P(shape, x); for a known whole shape its series, or what the other tail leaves.

        With P the regularised incomplete gamma function, P(a, x) = x^a exp(-x)/Gamma(a + 1) times the sum of
        x^k/((a + 1)...(a + k)) (DLMF 8.7.1), which needs about 9 sqrt(a) terms while x < a; beyond, the
        other tail is below one half.
        """
        number = self._number("log_gammainc", shape, x)
        if number is not None:
            return number
        shapes = self._whole(shape)
        if shapes is None:
            return self._gamma_tail("log_gammainc", shape, x)
        x = self.jet(x)
        if (shapes == 1).all():
            return log1mexp(self, x)
        a = self._plain(shapes.astype(float))
        v = self.where(x < self.jet(a), x, self.jet(a)).value  # where the series is taken
        total = self._plain(1.0)
        for k in range(int(9 * math.sqrt(shapes.max())) + 20, 0, -1):
            total = total * v / self._plain(shapes + float(k)) + 1.0
        log = self.functions.apply("log", v)
        f = self.functions
        series = a * log - v - self._value("lgamma", a + 1.0) + f.apply("log", total)
        beyond = f.apply("log1p", -f.apply("exp", self.log_gammaincc(shape, self._alone(x)).value))
        value = f.where(x.value < a, series, beyond)
        return self.chain(x, value, lambda g: self._tail_slopes(a, x.value, g))

    def _alone(self, x: Jet) -> Jet:
        """The value, without derivatives."""
        return self.jet(x.value)

    def _tail_slopes(self, a: Traced, x: Traced, g: Traced, sign: float = 1.0) -> tuple[Traced, Traced]:
        """First and second derivative of log P(a, x) (sign 1) or log Q(a, x) (-1) in x, g its value."""
        f = self.functions
        log_density = (a - 1.0) * f.apply("log", x) - x - self._value("lgamma", a)
        one = sign * f.apply("exp", log_density - g)
        return one, one * ((a - 1.0) / x - 1.0 - one)

    def _gamma_tail(self, name: str, shape: Any, x: Any) -> Jet:
        """log P or log Q of any shape that no predictor moves."""
        a, x = self.jet(shape), self.jet(x)
        self._still(a, "its shape")
        sign = 1.0 if name == "log_gammainc" else -1.0
        value = self.functions.apply(name, a.value, x.value)
        return self.chain(x, value, lambda g: self._tail_slopes(a.value, x.value, g, sign))

    def _still(self, shape: Jet, what: str) -> None:
        if shape.first:
            raise NotLowered(f"a distribution function has no second derivative in {what} here")

    def log_0f1(self, b: Any, z: Any) -> Jet:
        """log 0F1(; b; z), b of no predictor; its slope is that of two series with neighbouring b."""
        number = self._number("log_0f1", b, z)
        if number is not None:
            return number
        b, z = self.jet(b), self.jet(z)
        self._still(b, "its degrees of freedom")
        f = self.functions

        def slopes(g: Traced) -> tuple[Traced, Traced]:
            next_, second = (f.apply("log_0f1", b.value + k, z.value) for k in (1.0, 2.0))
            one = f.apply("exp", next_ - g) / b.value
            return one, f.apply("exp", second - g) / (b.value * (b.value + 1.0)) - one * one

        return self.chain(z, f.apply("log_0f1", b.value, z.value), slopes)

    def fisher_cumulant(self, order: Any, n1: Any, n2: Any, m: Any, log_odds: Any) -> Jet:
        """log sum_j C(n1, j) C(n2, m - j) exp(j log_odds) of known counts; without odds, of any.

        Raises `NotLowered` for unknown counts beside odds: how many terms there are is then unknown too.
        """
        number = self._number("fisher_cumulant", order, n1, n2, m, log_odds)
        if number is not None:
            return number
        if order != 0:
            raise NotLowered("moments of hypergeometric counts have no tape form")
        odds = self.jet(log_odds)
        counts = [self._known(self.jet(n).value) for n in (n1, n2, m)]
        if any(n is None for n in counts):
            if not self._is(odds.value, 0.0):
                told = "unknown counts of a Hypergeometric law need odds of 1: give the counts as data"
                raise NotLowered(told)
            return log_choose(self, self.jet(n1) + n2, self.jet(m))
        return self._fisher_sum(np.stack(np.broadcast_arrays(*counts), axis=-1), odds)

    def _fisher_sum(self, counts: Any, odds: Jet) -> Jet:
        """A row of terms for each distinct triple of counts, or for each row where the odds differ by row."""
        from dagmodels.distributions._hypergeometric import log_terms

        recorder, f = self.functions.recorder, self.functions
        rows = recorder.length(odds.value.register)
        if rows == 1:
            counts, back = np.unique(counts, axis=0, return_inverse=True)
        else:
            counts, back = np.broadcast_to(counts, (rows, 3)), np.arange(rows)
        j, terms = log_terms(*np.moveaxis(counts[:, :, None], 1, 0))
        size = j.shape[1]
        every = f.traced(recorder.gather(odds.value.register, np.repeat(np.arange(len(j)) % rows, size)))
        places, of_row = self._plain(j), np.repeat(np.arange(len(j)), size)
        every = places * every + self._plain(terms)
        sums = recorder.log_sum_exp(every.register, size)

        def by_row(register: int) -> Traced:
            return f.traced(recorder.gather(register, np.ravel(back)))

        def slopes(_: Traced) -> tuple[Traced, Traced]:
            share = f.apply("exp", every - f.traced(recorder.gather(sums, of_row)))
            mean = recorder.segment_sum((share * places).register, of_row, len(j))
            gap = places - f.traced(recorder.gather(mean, of_row))
            return by_row(mean), by_row(recorder.segment_sum((share * gap * gap).register, of_row, len(j)))

        return self.chain(odds, by_row(sums), slopes)

    def log_betainc(self, a: Any, b: Any, x: Any) -> Jet:
        """log I_x(a, b); for a known whole shape a finite sum (DLMF 8.17.5), or what it leaves of one.

        I_x(a, b) = x^a (1 + a q (1 + (a + 1) q/2 (1 + ...))) with q = 1 - x and b terms, b whole.
        """
        number = self._number("log_betainc", a, b, x)
        if number is not None:
            return number
        a, b, x = self.jet(a), self.jet(b), self.jet(x)
        shapes = self._whole(b)
        if shapes is None and self._whole(a) is not None:
            return log1mexp(self, -self.log_betainc(b, a, 1.0 - x))
        if shapes is None:
            return self._beta_share(a, b, x)
        total, q = self.jet(1.0), 1.0 - x
        for k in range(int(shapes.max()) - 1, 0, -1):
            inner = total * q * (a + float(k - 1)) / float(k) + 1.0
            total = self.where(self.jet(self._plain((shapes > k).astype(float))), inner, 1.0)
        return a * self.apply("log", x) + self.apply("log", total)

    def _number(self, name: str, *arguments: Any) -> Jet | None:
        """The function where nothing in it is unknown, of whatever shapes; None else."""
        known = [self._known(self.jet(a).value) for a in arguments]
        if any(k is None for k in known):
            return None
        from dagmodels.distributions import _numeric

        return self.jet(self._plain(_numeric.quietly(lambda f, *a: getattr(f, name)(*a), *known)))

    def _beta_share(self, a: Jet, b: Jet, x: Jet) -> Jet:
        """log I_x(a, b) of any shapes that no predictor moves."""
        for shape in (a, b):
            self._still(shape, "its shapes")
        f = self.functions

        def slopes(g: Traced) -> tuple[Traced, Traced]:
            rest = (a.value - 1.0) * f.apply("log", x.value) + (b.value - 1.0) * f.apply("log1p", -x.value)
            one = f.apply("exp", rest - self.lbeta(self._alone(a), self._alone(b)).value - g)
            turn = (a.value - 1.0) / x.value - (b.value - 1.0) / (1.0 - x.value)
            return one, one * (turn - one)

        return self.chain(x, f.apply("log_betainc", a.value, b.value, x.value), slopes)

    def _whole(self, shape: Any) -> Any:
        """Known whole numbers up to `MOST_TERMS`, ones in rows that no formula uses; None of other shapes."""
        known = self._known(self.jet(shape).value)
        if known is None:
            return None
        used = np.isfinite(known) & (known > 0)
        known = np.where(used, known, 1.0)
        if not used.any() or (known != np.floor(known)).any() or known.max() > MOST_TERMS:
            return None
        return known
