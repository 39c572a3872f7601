"""What formulas ask of jets beyond numbers: vectors of known length, and distribution functions of counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.distributions._shared import log1mexp, log_add_exp
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.lower import NotLowered

if TYPE_CHECKING:
    from dagmodels.forms.jets import Jet

MOST_TERMS = 200  # of a distribution function of counts


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

    # -- distribution functions of counts --------------------------------------------------------------

    def log_gammaincc(self, shape: Any, x: Any) -> Jet:
        """log P(Poisson(x) < shape): the sum of its terms, shape known and whole."""
        number = self._number("log_gammaincc", shape, x)
        if number is not None:
            return number
        shapes = self._whole(shape)
        if shapes is None:
            return self.jet(math.nan)
        x = self.jet(x)
        total = self.jet(1.0)
        for k in range(int(shapes.max()), 0, -1):  # Horner's scheme, begun where each row's sum ends
            inner = total * x / float(k) + 1.0 if k < shapes.max() else self.jet(1.0)
            started = self.jet(self._plain((shapes > k).astype(float)))
            total = self.where(started, inner, 1.0)
        return self.apply("log", total) - x

    def log_gammainc(self, shape: Any, x: Any) -> Jet:
        """log P(Poisson(x) >= shape), shape known and whole: its series, or what the other tail leaves.

        With P the regularised incomplete gamma function, P(a, x) = x^a exp(-x)/Gamma(a + 1) times the sum of
        x^k/((a + 1)...(a + k)) (DLMF 8.7.1), which needs about 9 sqrt(a) terms while x < a; beyond, the
        other tail is below one half.
        """
        number = self._number("log_gammainc", shape, x)
        if number is not None:
            return number
        shapes = self._whole(shape)
        if shapes is None:
            return self.jet(math.nan)
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

    def _tail_slopes(self, a: Traced, x: Traced, g: Traced) -> tuple[Traced, Traced]:
        """First and second derivative of log P(a, x) in x, g its value."""
        f = self.functions
        log_density = (a - 1.0) * f.apply("log", x) - x - self._value("lgamma", a)
        one = f.apply("exp", log_density - g)
        return one, one * ((a - 1.0) / x - 1.0 - one)

    def log_betainc(self, a: Any, b: Any, x: Any) -> Jet:
        """log I_x(a, b) with one shape known and whole: a finite sum (DLMF 8.17.5), or what it leaves of one.

        I_x(a, b) = x^a (1 + a q (1 + (a + 1) q/2 (1 + ...))) with q = 1 - x and b terms, b whole.
        """
        number = self._number("log_betainc", a, b, x)
        if number is not None:
            return number
        a, b, x = self.jet(a), self.jet(b), self.jet(x)
        if not self._may_be_whole(b) and self._may_be_whole(a):
            return log1mexp(self, -self.log_betainc(b, a, 1.0 - x))
        shapes = self._whole(b)
        if shapes is None:
            return self.jet(math.nan)
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

    def _whole(self, shape: Any) -> Any:
        """Known positive whole numbers, ones in rows that no formula uses; None where it uses no row."""
        known = self._known(self.jet(shape).value)
        if known is None:
            raise NotLowered(
                "a distribution function has no derivative in its shape: state it, or drop the limits"
            )
        used = np.isfinite(known) & (known > 0)
        if not used.any():
            return None
        known = np.where(used, known, 1.0)
        if (known != np.floor(known)).any():
            raise NotLowered(
                "a distribution function has derivatives at whole shapes only: state one, or drop limits"
            )
        if known.max() > MOST_TERMS:
            raise NotLowered(f"counts truncated or censored above {MOST_TERMS} have no derivatives here yet")
        return known

    def _may_be_whole(self, shape: Jet) -> bool:
        """Whether a shape is known, with whole numbers where it is a finite positive one."""
        known = self._known(shape.value)
        return known is not None and not (np.isfinite(known) & (known != np.floor(known))).any()
