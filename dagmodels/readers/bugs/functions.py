"""Functions of JAGS that are formulas of others: arcs and hyperbolas, roundings, densities.

A formula is written in BUGS itself and put in place of the call. What is said here holds for unknowns; of
data alone `numbers` computes the same functions.  Densities, distribution and quantile functions are
those of the JAGS 4.3 user manual, section 9.2, in the parameters of its distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from dagmodels.readers.bugs import syntax as sx

ALIASES: Mapping[str, str] = {
    **{f"a{n}": f"arc{n}" for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "lgamma": "loggam",
    "lfactorial": "logfact",
    "logistic": "ilogit",
}

FORMULAS: Mapping[str, tuple[str, str]] = {
    "tan": ("x", "sin(x)/cos(x)"),
    "sinh": ("x", "(exp(x) - exp(-x))/2"),
    "cosh": ("x", "(exp(x) + exp(-x))/2"),
    "arcsin": ("x", "arctan(x/sqrt(1 - x^2))"),
    "arccos": ("x", "1.5707963267948966 - arctan(x/sqrt(1 - x^2))"),
    "arcsinh": ("x", "ifelse(x < 0, -log(sqrt(1 + x^2) - x), log(sqrt(1 + x^2) + x))"),
    "arccosh": ("x", "log(x + sqrt(x^2 - 1))"),
    "arctanh": ("x", "logit((1 + x)/2)/2"),
    "logfact": ("x", "loggam(x + 1)"),
    "round": ("x", "floor(x + 0.5)"),
    "trunc": ("x", "ifelse(x < 0, -floor(-x), floor(x))"),
}
_INSIDE = 0.5 * 1.8378770664093453  # log(2 pi)/2

# log density, and where it holds (elsewhere the density is zero)
_LOG_DENSITIES: Mapping[str, tuple[str, str, str]] = {
    "bern": ("x, p", "ifelse(x == 1, log(p), log(1 - p))", "(x == 0) + (x == 1)"),
    "beta": (
        "x, a, b",
        "loggam(a + b) - loggam(a) - loggam(b) + (a - 1)*log(x) + (b - 1)*log(1 - x)",
        "(x > 0)*(x < 1)",
    ),
    "bin": (
        "x, p, n",
        "logfact(n) - logfact(x) - logfact(n - x) + x*log(p) + (n - x)*log(1 - p)",
        "(x >= 0)*(x <= n)",
    ),
    "chisqr": ("x, k", "(k/2 - 1)*log(x) - x/2 - k/2*log(2) - loggam(k/2)", "x > 0"),
    "dexp": ("x, m, t", "log(t/2) - t*abs(x - m)", ""),
    "exp": ("x, b", "log(b) - b*x", "x >= 0"),
    "f": (
        "x, n, m",
        "loggam((n + m)/2) - loggam(n/2) - loggam(m/2) + n/2*log(n/m) + (n/2 - 1)*log(x)"
        " - (n + m)/2*log(1 + n*x/m)",
        "x > 0",
    ),
    "gamma": ("x, r, b", "r*log(b) + (r - 1)*log(x) - b*x - loggam(r)", "x > 0"),
    "gen.gamma": ("x, r, l, b", "log(b) + b*r*log(l) + (b*r - 1)*log(x) - (l*x)^b - loggam(r)", "x > 0"),
    "lnorm": ("x, m, t", f"log(t)/2 - {_INSIDE} - log(x) - t*(log(x) - m)^2/2", "x > 0"),
    "logis": ("x, m, t", "log(t) + log(ilogit(t*(x - m))) + log(ilogit(t*(m - x)))", ""),
    "negbin": (
        "x, p, r",
        "loggam(x + r) - loggam(r) - logfact(x) + r*log(p) + x*log(1 - p)",
        "x >= 0",
    ),
    "norm": ("x, m, t", f"log(t)/2 - {_INSIDE} - t*(x - m)^2/2", ""),
    "par": ("x, a, c", "log(a) + a*log(c) - (a + 1)*log(x)", "x >= c"),
    "pois": ("x, l", "x*log(l) - l - logfact(x)", "x >= 0"),
    "t": (
        "x, m, t, k",
        "loggam((k + 1)/2) - loggam(k/2) + log(t/(3.141592653589793*k))/2 - (k + 1)/2*log(1 + t*(x - m)^2/k)",
        "",
    ),
    "unif": ("x, a, b", "-log(b - a)", "(x >= a)*(x <= b)"),
    "weib": ("x, v, l", "log(v) + log(l) + (v - 1)*log(x) - l*x^v", "x > 0"),
}
_BELOW: Mapping[str, tuple[str, str]] = {
    "bern": ("x, p", "(x >= 0)*ifelse(x < 1, 1 - p, 1)"),
    "dexp": ("x, m, t", "ifelse(x < m, exp(t*(x - m))/2, 1 - exp(-t*(x - m))/2)"),
    "exp": ("x, b", "ifelse(x < 0, 0, 1 - exp(-b*x))"),
    "lnorm": ("x, m, t", "ifelse(x > 0, phi((log(x) - m)*sqrt(t)), 0)"),
    "logis": ("x, m, t", "ilogit(t*(x - m))"),
    "norm": ("x, m, t", "phi((x - m)*sqrt(t))"),
    "par": ("x, a, c", "ifelse(x < c, 0, 1 - (c/x)^a)"),
    "unif": ("x, a, b", "min(max((x - a)/(b - a), 0), 1)"),
    "weib": ("x, v, l", "ifelse(x > 0, 1 - exp(-l*x^v), 0)"),
}
_QUANTILES: Mapping[str, tuple[str, str]] = {
    "bern": ("q, p", "q > 1 - p"),
    "dexp": ("q, m, t", "ifelse(q < 0.5, m + log(2*q)/t, m - log(2*(1 - q))/t)"),
    "exp": ("q, b", "-log(1 - q)/b"),
    "lnorm": ("q, m, t", "exp(m + probit(q)/sqrt(t))"),
    "logis": ("q, m, t", "m + logit(q)/t"),
    "norm": ("q, m, t", "m + probit(q)/sqrt(t)"),
    "par": ("q, a, c", "c/(1 - q)^(1/a)"),
    "unif": ("q, a, b", "a + q*(b - a)"),
    "weib": ("q, v, l", "(-log(1 - q)/l)^(1/v)"),
}
NUMERIC = ("beta", "bin", "chisqr", "f", "gamma", "gen.gamma", "negbin", "pois", "t")
"""Laws whose distribution and quantile functions have no formula: of data alone they are computed."""


def _all() -> dict[str, tuple[str, str]]:
    found = dict(FORMULAS)
    for law, (usage, formula, inside) in _LOG_DENSITIES.items():
        found[f"logdensity.{law}"] = (usage, formula)
        found[f"d{law}"] = (usage, f"ifelse({inside}, exp({formula}), 0)" if inside else f"exp({formula})")
    found |= {f"p{law}": told for law, told in _BELOW.items()}
    found |= {f"q{law}": told for law, told in _QUANTILES.items()}
    return found


EVERY = _all()
_LAWS = {"binom": "bin", "chisq": "chisqr", "nbinom": "negbin", "weibull": "weib"}
NAMES = {**ALIASES, **{p + one: p + other for one, other in _LAWS.items() for p in "dpq"}}
"""Other names of functions."""


@lru_cache
def _formula(name: str) -> tuple[tuple[str, ...], sx.Expr]:
    """The names of the arguments and the formula."""
    from dagmodels.readers.bugs.parse import parse
    from dagmodels.readers.bugs.tokens import Source

    usage, formula = EVERY[name]
    (said,) = parse(Source(f"model {{ y <- {formula} }}")).model
    assert isinstance(said, sx.Assign)
    return tuple(usage.split(", ")), said.value


def usage(name: str) -> str | None:
    """How a function is called, as in `pnorm(x, m, t)`; None where there is no formula."""
    known = NAMES.get(name, name)
    return f"{name}({EVERY[known][0]})" if known in EVERY else None


def in_others(call: sx.Fn) -> sx.Expr | None:
    """The call in other functions; None where it has no formula, or another number of arguments."""
    name = NAMES.get(call.name, call.name)
    if name not in EVERY:
        return sx.Fn(name, call.arguments, call.at) if name != call.name else None
    wanted, formula = _formula(name)
    if len(wanted) != len(call.arguments):
        return None
    return _put(formula, dict(zip(wanted, call.arguments, strict=True)), call.at)


def _put(tree: sx.Expr, arguments: Mapping[str, sx.Expr], at: int) -> sx.Expr:
    match tree:
        case sx.Var(name):
            return arguments[name]
        case sx.Op(op, left, right):
            return sx.Op(op, _put(left, arguments, at), _put(right, arguments, at), at)
        case sx.Neg(operand):
            return sx.Neg(_put(operand, arguments, at), at)
        case sx.Fn(name, inner):
            return sx.Fn(name, tuple(_put(a, arguments, at) for a in inner), at)
        case sx.Num(value):
            return sx.Num(value, at)


def interpolated(e: sx.Expr, x: list[float], y: list[float], at: int) -> sx.Expr:
    """`interp.lin(e, x, y)` for known places x, increasing, and values y; constant beyond them."""
    total: sx.Expr = sx.Num(y[0], at)
    for k in range(len(x) - 1):
        slope = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
        if slope:
            cut = sx.Fn("min", (sx.Fn("max", (e, sx.Num(x[k], at)), at), sx.Num(x[k + 1], at)), at)
            step = sx.Op("*", sx.Num(slope, at), sx.Op("-", cut, sx.Num(x[k], at), at), at)
            total = sx.Op("+", total, step, at)
    return total


__all__ = ["EVERY", "NAMES", "NUMERIC", "in_others", "interpolated", "usage"]
