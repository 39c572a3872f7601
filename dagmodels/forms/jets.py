"""Numbers that carry exact first and second derivatives in a leaf's predictors, on the tape (over 500 lines:
one table of functions, each with its derivatives).

A family's formula runs over `Jets` unchanged and leaves registers with its value, gradient and Hessian
by row; the tape's own reverse mode then gives third derivatives and those in the outer unknowns.
Functions that lose digits in composition (log of expit, of exp, of Phi, ...) are recognised: a jet
remembers its logarithm, and that of its complement, where a stable form is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagmodels.forms.formulas import Functions, Traced, log_beta
from dagmodels.forms.jet_tails import Tails
from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.tape import UNARY

Pair = tuple[int, int]
Make = Callable[[], "Jet"]

BELOW_ZERO = math.nextafter(0.0, -1.0)  # the open bound of what may be zero
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Jet:
    """A number by row with its derivatives.

    value : the number. first : derivative by predictor. second : by pair of predictors (i <= j); what is
        absent is zero.
    lower, upper : open bounds that the number is known to keep.
    log, log_complement : makers of the logarithm of the number and of one minus it, where they have a
        stable form. negated : what this is minus one times.
    """

    space: Jets
    value: Traced
    first: dict[int, Traced] = field(default_factory=dict)
    second: dict[Pair, Traced] = field(default_factory=dict)
    lower: float = -math.inf
    upper: float = math.inf
    log: Make | None = None
    log_complement: Make | None = None
    negated: Jet | None = None

    __array_ufunc__ = None  # numpy arrays leave operators to jets

    def __add__(self, other: Any) -> Jet:
        return self.space.add(self, self.space.jet(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Jet:
        return self.space.difference(self, self.space.jet(other))

    def __rsub__(self, other: Any) -> Jet:
        return self.space.difference(self.space.jet(other), self)

    def __mul__(self, other: Any) -> Jet:
        return self.space.times(self, self.space.jet(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return self.space.ratio(self, self.space.jet(other))

    def __rtruediv__(self, other: Any) -> Jet:
        return self.space.ratio(self.space.jet(other), self)

    def __pow__(self, other: Any) -> Jet:
        return self.space.power(self, self.space.jet(other))

    def __rpow__(self, other: Any) -> Jet:
        return self.space.power(self.space.jet(other), self)

    def __neg__(self) -> Jet:
        return self.space.negative(self)

    def __lt__(self, other: Any) -> Jet:
        return self.space.compare("<", self, other)

    def __le__(self, other: Any) -> Jet:
        return self.space.compare("<=", self, other)

    def __gt__(self, other: Any) -> Jet:
        return self.space.compare("<", self.space.jet(other), self)

    def __ge__(self, other: Any) -> Jet:
        return self.space.compare("<=", self.space.jet(other), self)


class Jets(Tails):
    """The namespace `f` that formulas are written over, with derivatives in the predictors of one leaf."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions

    # -- entries ----------------------------------------------------------------------------------

    def predictor(self, register: int, number: int) -> Jet:
        """A register as the predictor of that number."""
        return Jet(self, self.functions.traced(register), {number: self._plain(1.0)})

    def jet(self, x: Any, lower: float = -math.inf, upper: float = math.inf) -> Jet:
        """Anything as a jet; what is not one has no derivatives. Known numbers know their bounds."""
        if isinstance(x, Jet):
            return x
        value = x if isinstance(x, Traced) else self._plain(x)
        known = self._known(value)
        if known is not None and known.size and np.isfinite(known).all():
            lower, upper = float(known.min()), float(known.max())
            below, above = math.nextafter(lower, -math.inf), math.nextafter(upper, math.inf)
            return Jet(self, value, lower=below, upper=above)
        return Jet(self, value, lower=lower, upper=upper)

    def _plain(self, x: Any) -> Traced:
        return self.functions.traced(self.functions.recorder.constant(x))

    def _known(self, x: Traced) -> Any:
        return self.functions.recorder.constant_value(x.register)

    def _is(self, x: Traced, number: float) -> bool:
        known = self._known(x)
        return known is not None and known.size > 0 and known[0] == number and bool((known == number).all())

    # -- sums and products of registers, without needless zeros and ones ----------------------------

    def _plus(self, a: Traced, b: Traced) -> Traced:
        if self._is(a, 0.0):
            return b
        return a if self._is(b, 0.0) else a + b

    def _by(self, a: Traced, b: Traced) -> Traced:
        if self._is(a, 1.0):
            return b
        if self._is(b, 1.0):
            return a
        if self._is(a, 0.0) or self._is(b, 0.0):
            return self._plain(0.0)
        return a * b

    def _sum(self, *parts: dict[Any, Traced]) -> dict[Any, Traced]:
        found: dict[Any, Traced] = {}
        for part in parts:
            for key, x in part.items():
                found[key] = self._plus(found[key], x) if key in found else x
        return {k: x for k, x in found.items() if not self._is(x, 0.0)}

    def _scaled(self, part: dict[Any, Traced], factor: Traced) -> dict[Any, Traced]:
        return {k: self._by(x, factor) for k, x in part.items()}

    def _outer(self, a: dict[int, Traced], b: dict[int, Traced]) -> dict[Pair, Traced]:
        """a b' + b a' on and above the diagonal."""
        left = {(i, j): self._by(x, y) for i, x in a.items() for j, y in b.items() if i <= j}
        right = {(j, i): self._by(x, y) for i, x in a.items() for j, y in b.items() if j <= i}
        return self._sum(left, right)

    def _squares(self, a: dict[int, Traced]) -> dict[Pair, Traced]:
        return {(i, j): self._by(x, y) for i, x in a.items() for j, y in a.items() if i <= j}

    # -- operators --------------------------------------------------------------------------------

    def add(self, a: Jet, b: Jet) -> Jet:
        """a + b"""
        if self._is(b.value, 1.0) and a.negated is not None:
            return self._complement(a.negated)
        if self._is(a.value, 1.0) and b.negated is not None:
            return self._complement(b.negated)
        return Jet(
            self,
            self._plus(a.value, b.value),
            self._sum(a.first, b.first),
            self._sum(a.second, b.second),
            a.lower + b.lower,
            a.upper + b.upper,
        )

    def difference(self, a: Jet, b: Jet) -> Jet:
        """a - b"""
        if a.first or a.second or b.first or b.second or b.negated is not None or self._is(a.value, 1.0):
            return self.add(a, self.negative(b))
        if self._is(b.value, 0.0):
            return a
        return Jet(self, a.value - b.value, {}, {}, a.lower - b.upper, a.upper - b.lower)

    def _complement(self, x: Jet) -> Jet:
        """1 - x, whose logarithm is known where x knows that of its complement."""
        return Jet(
            self,
            1.0 - x.value,
            self._scaled(x.first, self._plain(-1.0)),
            self._scaled(x.second, self._plain(-1.0)),
            1 - x.upper,
            1 - x.lower,
            x.log_complement,
            x.log,
        )

    def negative(self, x: Jet) -> Jet:
        """-x"""
        if x.negated is not None:
            return x.negated
        minus = self._plain(-1.0)
        first, second = self._scaled(x.first, minus), self._scaled(x.second, minus)
        return Jet(self, -x.value, first, second, -x.upper, -x.lower, negated=x)

    def times(self, a: Jet, b: Jet) -> Jet:
        """a b"""
        if not a.first and not b.first and (self._is(a.value, 1.0) or self._is(b.value, 1.0)):
            return b if self._is(a.value, 1.0) else a
        positive = a.lower >= 0 and b.lower >= 0
        log = None
        if positive and (a.log or b.log):
            log = lambda: self.add(self.apply("log", a), self.apply("log", b))  # noqa: E731
        return Jet(
            self,
            self._by(a.value, b.value),
            self._sum(self._scaled(a.first, b.value), self._scaled(b.first, a.value)),
            self._sum(
                self._scaled(a.second, b.value),
                self._scaled(b.second, a.value),
                self._outer(a.first, b.first),
            ),
            *((0.0, math.inf) if positive else (-math.inf, math.inf)),
            log=log,
        )

    def ratio(self, a: Jet, b: Jet) -> Jet:
        """a / b"""
        if not a.first and not b.first:
            positive = a.lower >= 0 and b.lower >= 0
            return Jet(self, a.value / b.value, lower=0.0 if positive else -math.inf)
        inverse = self.chain(b, 1.0 / b.value, lambda g: (-(g * g), 2.0 * (g * g * g)))
        inverse = self._with(inverse, lower=0.0 if b.lower >= 0 else -math.inf)
        if b.log or b.lower >= 0:
            inverse = self._with(inverse, log=lambda: self.negative(self.apply("log", b)))
        return inverse if self._is(a.value, 1.0) and not a.first else self.times(a, inverse)

    def power(self, a: Jet, b: Jet) -> Jet:
        """a ** b"""
        if not a.first and not b.first:
            return Jet(self, a.value**b.value, lower=0.0 if a.lower >= 0 else -math.inf)
        if b.first:
            return self.apply("exp", self.times(b, self.apply("log", a)))
        c, x = b.value, a.value
        if self._is(c, 1.0):
            return a
        if self._is(c, 2.0):
            square = self.chain(a, x * x, lambda _: (2.0 * x, self._plain(2.0)))
            return self._with(square, lower=BELOW_ZERO)
        found = self.chain(a, x**c, lambda _: (c * x ** (c - 1.0), c * (c - 1.0) * x ** (c - 2.0)))
        if a.lower >= 0:
            found = self._with(found, lower=0.0, log=lambda: self.times(b, self.apply("log", a)))
        return found

    def compare(self, name: str, a: Jet, b: Any) -> Jet:
        """1 where a < b (or a <= b), else 0; known at once where bounds tell."""
        b = self.jet(b)
        if self._known(a.value) is None or self._known(b.value) is None:  # then one side's bound is open
            if self._top(a) <= self._bottom(b):
                return self.jet(1.0)
            if self._bottom(a) >= self._top(b):
                return self.jet(0.0)
        return Jet(self, self.functions.apply(name, a.value, b.value))

    def _top(self, x: Jet) -> float:
        known = self._known(x.value)
        return float(known.max()) if known is not None and known.size else x.upper

    def _bottom(self, x: Jet) -> float:
        known = self._known(x.value)
        return float(known.min()) if known is not None and known.size else x.lower

    def equal(self, a: Any, b: Any) -> Jet:
        """1 where equal, else 0; a number inside open bounds never equals one outside."""
        a, b = self.jet(a), self.jet(b)
        if self._known(a.value) is None or self._known(b.value) is None:
            if a.upper <= self._bottom(b) or a.lower >= self._top(b):
                return self.jet(0.0)
            if b.upper <= self._bottom(a) or b.lower >= self._top(a):
                return self.jet(0.0)
        return Jet(self, self.functions.apply("==", a.value, b.value))

    def where(self, test: Any, yes: Any, no: Any) -> Jet:
        """yes where test is not 0, else no."""
        test, yes, no = self.jet(test), self.jet(yes), self.jet(no)
        known = self._known(test.value)
        if known is not None and (known != 0).all():
            return yes
        if known is not None and (known == 0).all():
            return no
        zero = self._plain(0.0)

        def chosen(a: dict[Any, Traced], b: dict[Any, Traced]) -> dict[Any, Traced]:
            keys = (*a, *(k for k in b if k not in a))
            return {
                k: self.functions.apply("if_else", test.value, a.get(k, zero), b.get(k, zero)) for k in keys
            }

        return Jet(
            self,
            self.functions.apply("if_else", test.value, yes.value, no.value),
            chosen(yes.first, no.first),
            chosen(yes.second, no.second),
            min(yes.lower, no.lower),
            max(yes.upper, no.upper),
        )

    # -- functions --------------------------------------------------------------------------------

    def chain(self, x: Jet, value: Traced, slopes: Callable[[Traced], tuple[Traced, Traced]]) -> Jet:
        """g(x) from its value and, given that, g' and g''."""
        if not x.first:
            return Jet(self, value)
        one, two = slopes(value)
        second = self._sum(self._scaled(x.second, one), self._scaled(self._squares(x.first), two))
        return Jet(self, value, self._scaled(x.first, one), second)

    def _with(self, x: Jet, **changes: Any) -> Jet:
        values = {name: getattr(x, name) for name in x.__dataclass_fields__}
        return Jet(**{**values, **changes})

    def apply(self, name: str, x: Any) -> Jet:
        """A function of one number."""
        x = self.jet(x)
        if name == "log" and x.log is not None:
            return x.log()
        if name == "log1p" and x.negated is not None and x.negated.log_complement is not None:
            return x.negated.log_complement()
        if name == "log1p" and x.log is not None and x.first:
            return self.apply("softplus", x.log())
        value = self._value(name, x.value)
        if name in _SLOPES:
            found = self.chain(x, value, lambda g: _SLOPES[name](self.functions, x.value, g))
        elif x.first:
            raise NotLowered(f"'{name}' of a latent has no second derivative on the tape")
        else:
            found = Jet(self, value)
        return self._remember(name, x, found)

    def _value(self, name: str, x: Traced) -> Traced:
        """The function on the tape, or in numbers where its operand is known."""
        known = self._known(x)
        if name in UNARY:
            return self.functions.apply(name, x)
        if known is None:
            raise NotLowered(f"the tape has no function '{name}'")
        from dagmodels.distributions import _numeric

        return self._plain(getattr(_numeric, name)(known))

    def _remember(self, name: str, x: Jet, found: Jet) -> Jet:
        """The bounds and stable logarithms of well-known functions."""
        minus = self.negative
        apply = self.apply
        match name:
            case "exp":
                return self._with(found, lower=0.0, log=lambda: x)
            case "expit":
                return self._with(
                    found,
                    lower=0.0,
                    upper=1.0,
                    log=lambda: minus(apply("softplus", minus(x))),
                    log_complement=lambda: minus(apply("softplus", x)),
                )
            case "Phi":
                return self._with(
                    found,
                    lower=0.0,
                    upper=1.0,
                    log=lambda: apply("log_Phi", x),
                    log_complement=lambda: apply("log_Phi", minus(x)),
                )
            case "icloglog":
                return self._with(
                    found,
                    lower=0.0,
                    upper=1.0,
                    log=lambda: self._log_icloglog(x),
                    log_complement=lambda: minus(apply("exp", x)),
                )
            case "softplus":
                return self._with(found, lower=0.0)
            case "sqrt" | "abs":
                return self._with(found, lower=BELOW_ZERO)
            case _:
                return found

    def _log_icloglog(self, x: Jet) -> Jet:
        """log(1 - exp(-exp(x))), with h' = v/(exp(v) - 1), h'' = h' (1 - v - h') and v = exp(x)."""
        f = self.functions
        v = f.apply("exp", x.value)
        small = f.apply("log", -f.apply("expm1", -v))
        large = f.apply("log1p", -f.apply("exp", -v))
        one = v / f.apply("expm1", v)
        return self.chain(x, f.where(v < math.log(2), small, large), lambda _: (one, one * (1.0 - v - one)))

    def min(self, a: Any, b: Any) -> Jet:
        """The smaller."""
        a, b = self.jet(a), self.jet(b)
        return self.where(a <= b, a, b)

    def max(self, a: Any, b: Any) -> Jet:
        """The larger."""
        a, b = self.jet(a), self.jet(b)
        return self.where(a <= b, b, a)

    def lbeta(self, a: Any, b: Any) -> Jet:
        """log beta function."""
        a, b = self.jet(a), self.jet(b)
        if self._known(a.value) is not None and self._known(b.value) is not None:
            from dagmodels.distributions import _numeric

            return self.jet(_numeric.lbeta(self._known(a.value), self._known(b.value)))
        return log_beta(self, a, b)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda x: self.apply(name, x)


def _log_phi_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    ratio = f.apply("exp", -0.5 * (x * x) - HALF_LOG_2PI - g)  # inverse Mills ratio
    return ratio, -(ratio * (x + ratio))


def _expit_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    other = f.apply("expit", -x)
    slope = g * other
    return slope, slope * (other - g)


def _softplus_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del g
    p = f.apply("expit", x)
    return p, p * f.apply("expit", -x)


def _phi_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del g
    density = f.apply("exp", -0.5 * (x * x) - HALF_LOG_2PI)
    return density, -(x * density)


def _probit_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del x
    one = f.apply("exp", 0.5 * (g * g) + HALF_LOG_2PI)
    return one, g * one * one


def _icloglog_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del g
    v = f.apply("exp", x)
    one = f.apply("exp", x - v)
    return one, one * (1.0 - v)


def _logit_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del f, g
    one = 1.0 / (x * (1.0 - x))
    return one, (2.0 * x - 1.0) * one * one


def _abs_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del g
    return f.where(x < 0.0, -1.0, 1.0), f.traced(f.recorder.constant(0.0))


def _arctan_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del f, g
    one = 1.0 / (1.0 + x * x)
    return one, -2.0 * (x * (one * one))


def _trigamma(f: Functions, x: Traced) -> Traced:
    inverse = 1.0 / x
    return inverse + 0.5 * (inverse * inverse) + f.apply("binet2", x)


def _bessel_slopes(f: Functions, x: Traced, g: Traced) -> tuple[Traced, Traced]:
    del g
    r = f.apply("i1_over_i0", x)
    small = x * x < 1e-8  # where the ratio is x / 2, and its slope 1/2
    return r - 1.0, f.where(small, 0.5, 1.0 - r / f.where(small, 1.0, x) - r * r)


_SLOPES: dict[str, Callable[[Functions, Traced, Traced], tuple[Traced, Traced]]] = {
    "exp": lambda f, x, g: (g, g),
    "log": lambda f, x, g: (1.0 / x, -1.0 / (x * x)),
    "sqrt": lambda f, x, g: (0.5 / g, -0.25 / (g * x)),
    "log1p": lambda f, x, g: (1.0 / (1.0 + x), -1.0 / ((1.0 + x) * (1.0 + x))),
    "expm1": lambda f, x, g: (f.apply("exp", x), f.apply("exp", x)),
    "softplus": _softplus_slopes,
    "expit": _expit_slopes,
    "logit": _logit_slopes,
    "Phi": _phi_slopes,
    "log_Phi": _log_phi_slopes,
    "probit": _probit_slopes,
    "icloglog": _icloglog_slopes,
    "abs": _abs_slopes,
    "sin": lambda f, x, g: (f.apply("cos", x), -g),
    "cos": lambda f, x, g: (-f.apply("sin", x), -g),
    "arctan": _arctan_slopes,
    "tanh": lambda f, x, g: (1.0 - g * g, -2.0 * (g * (1.0 - g * g))),
    "lgamma": lambda f, x, g: (f.apply("digamma", x), _trigamma(f, x)),
    "floor": lambda f, x, g: (f.traced(f.recorder.constant(0.0)),) * 2,
    "log_i0e": _bessel_slopes,
    "binet": lambda f, x, g: (f.apply("binet1", x), f.apply("binet2", x)),
}
