"""The joint log density of a BUGS model, element by element: an interpreter that shares only the parser.

Loops are Python loops, every element is looked up by the relation that defines it, and densities come from
scipy.stats in JAGS' parametrisation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special, stats

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.blocks import with_block
from dagmodels.readers.bugs.dump import arrays
from dagmodels.readers.bugs.parse import parse
from dagmodels.readers.bugs.tokens import Source

Element = tuple[str, tuple[int, ...]]

FUNCTIONS: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "pow": lambda a, b: a**b,
    "sum": lambda *a: sum(np.sum(x) for x in a), "mean": np.mean,
    "sd": lambda x: np.std(x, ddof=1), "prod": np.prod, "length": np.size,
    "max": lambda *a: max(np.max(x) for x in a), "min": lambda *a: min(np.min(x) for x in a),
    "inprod": lambda a, b: float(np.dot(a, b)), "step": lambda x: float(x >= 0),
    "equals": lambda a, b: float(a == b), "ifelse": lambda c, a, b: a if c else b,
    "ilogit": special.expit, "phi": special.ndtr, "inverse": np.linalg.inv,
    "logit": special.logit, "probit": special.ndtri, "cloglog": lambda p: np.log(-np.log(1 - p)),
    "icloglog": lambda x: 1 - np.exp(-np.exp(x)),
    **{n: getattr(np, n) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "trunc")},
    **{f"arc{n}": getattr(np, f"arc{n}") for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{n}": getattr(np, f"arc{n}") for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "loggam": special.gammaln, "lgamma": special.gammaln, "logfact": lambda x: special.gammaln(x + 1),
    "round": lambda x: math.floor(x + 0.5), "interp.lin": np.interp,
    "sort": np.sort, "rank": stats.rankdata, "order": lambda x: np.argsort(x) + 1.0,
    "c": lambda *a: np.hstack(a), "rep": lambda x, n: np.full(int(n), x),
}  # fmt: skip
LINKS: dict[str, Any] = {
    "log": np.exp, "logit": special.expit, "probit": special.ndtr,
    "cloglog": lambda x: 1 - np.exp(-np.exp(x)),
}  # fmt: skip


def normal(m: float, tau: float) -> Any:
    return stats.norm(m, 1 / math.sqrt(tau))


FAMILIES: dict[str, Any] = {
    "dnorm": normal,
    "dlnorm": lambda m, t: stats.lognorm(1 / math.sqrt(t), scale=math.exp(m)),
    "dt": lambda m, t, k: stats.t(k, m, 1 / math.sqrt(t)),
    "dgamma": lambda r, b: stats.gamma(r, scale=1 / b),
    "dchisqr": stats.chi2,
    "dexp": lambda b: stats.expon(scale=1 / b),
    "dbeta": stats.beta,
    "dunif": lambda a, b: stats.uniform(a, b - a),
    "dlogis": lambda m, t: stats.logistic(m, 1 / t),
    "ddexp": lambda m, t: stats.laplace(m, 1 / t),
    "dpar": lambda a, c: stats.pareto(a, scale=c),
    "df": stats.f,
    "dgen.gamma": lambda r, m, b: stats.gengamma(r, b, scale=1 / m),
    "dweib": lambda v, b: stats.weibull_min(v, scale=b ** (-1 / v)),
    "dnchisqr": stats.ncx2,
    "dhyper": lambda n1, n2, m, psi: stats.nchypergeom_fisher(n1 + n2, n1, m, psi),
    "dbern": stats.bernoulli,
    "dbin": lambda p, n: stats.binom(n, p),
    "dbetabin": lambda a, b, n: stats.betabinom(n, a, b),
    "dpois": stats.poisson,
    "dnegbin": lambda p, r: stats.nbinom(r, p),
    "ddirch": stats.dirichlet,
    "dmulti": lambda p, n: stats.multinomial(int(n), np.asarray(p) / np.sum(p)),
    "dmnorm": lambda m, t: stats.multivariate_normal(m, np.linalg.inv(t)),
    "dmnorm.vcov": stats.multivariate_normal,
    "dmt": lambda m, t, k: stats.multivariate_t(m, np.linalg.inv(t), k),
    "dwish": lambda r, k: stats.wishart(k, np.linalg.inv(r)),
    "dcat": lambda p: stats.rv_discrete(values=(range(1, len(p) + 1), np.asarray(p) / np.sum(p))),
}
OTHERS = {"dbinom": "dbin", "dchisq": "dchisqr", "dnbinom": "dnegbin", "dweibull": "dweib"}
COUNTS = frozenset({"dbern", "dbin", "dbetabin", "dpois", "dnegbin", "dcat", "dmulti", "dhyper"})


def of_law(name: str, arguments: list[Any]) -> float:
    """Density, log density, distribution or quantile function by its name, `pnorm`."""
    kind, law = ("logdensity", name[11:]) if name.startswith("logdensity.") else (name[0], name[1:])
    family = OTHERS.get(f"d{law}", f"d{law}")
    found, of = FAMILIES[family](*arguments[1:]), "pmf" if family in COUNTS else "pdf"
    methods = {"d": of, "logdensity": f"log{of}", "p": "cdf", "q": "ppf"}
    return float(getattr(found, methods[kind])(arguments[0]))


class Oracle:
    """A model with data and values of its stochastic nodes, arrays as BUGS has them (NaN: none)."""

    def __init__(self, text: str, data: Any, values: dict[str, Any]) -> None:
        source = Source(text)
        program = parse(source)
        self.data = with_block(program, arrays(data, "data"), source)
        source.done()
        self.values = {k: np.asarray(v, dtype=float) for k, v in values.items()}
        self.shapes: dict[str, list[int]] = {}
        self.owners: dict[Element, tuple[Any, dict[str, int], tuple[int, ...]]] = {}
        self.done: dict[Element, float] = {}
        self.draws: list[tuple[sx.Draw, dict[str, int]]] = []
        self.declared: dict[str, tuple[int, ...]] = {}
        for declared in program.declarations:
            self.declared[declared.name] = tuple(int(self.number(e, {})) for e in declared.dims)
        self.define(program.model, {})

    def define(self, body: Any, loops: dict[str, int]) -> None:
        """Which relation defines which element."""
        for statement in body:
            if isinstance(statement, sx.Loop):
                ends = [self.number(e, loops) for e in sx.parts(statement)]
                values = ends[0] if len(ends) == 1 else range(int(ends[0]), int(ends[1]) + 1)
                for k in map(int, np.atleast_1d(values)):
                    self.define(statement.body, {**loops, statement.variable: k})
                continue
            if isinstance(statement, sx.Draw):
                self.draws.append((statement, loops))
            for place, element in self.elements(statement.target, loops):
                self.owners[statement.target.name, element] = (statement, loops, place)
                own = self.shapes.setdefault(statement.target.name, [0] * len(element))
                self.shapes[statement.target.name] = [max(a, b) for a, b in zip(own, element, strict=True)]

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self.data:
            return self.data[name].shape
        if name in self.declared:
            return self.declared[name]
        if name in self.values:
            return self.values[name].shape
        return tuple(self.shapes.get(name, ()))

    def ranges(self, var: sx.Var, loops: dict[str, int]) -> list[list[int] | int]:
        shape = self.shape(var.name)
        indices = var.indices if var.indices is not None else (sx.Whole(),) * len(shape)
        found: list[list[int] | int] = []
        for axis, index in enumerate(indices):
            match index:
                case sx.Whole():
                    found.append(list(range(1, shape[axis] + 1)))
                case sx.Span(low, high):
                    found.append(list(range(int(self.number(low, loops)), int(self.number(high, loops)) + 1)))
                case _:
                    found.append(int(self.number(index, loops)))
        return found

    def elements(self, var: sx.Var, loops: dict[str, int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """(place within the ranges, element) for every element that a name with indices stands for."""
        ranges = self.ranges(var, loops)
        lists = [r if isinstance(r, list) else [r] for r in ranges]
        found = []
        for place in np.ndindex(*[len(x) for x in lists]):
            element = tuple(x[k] for x, k in zip(lists, place, strict=True))
            found.append(
                (tuple(k for k, r in zip(place, ranges, strict=True) if isinstance(r, list)), element)
            )
        return found

    def defines(self, name: str, element: tuple[int, ...]) -> bool:
        """Whether a relation or the data give one element."""
        at = tuple(k - 1 for k in element)
        given = name in self.data and all(k < n for k, n in zip(at, self.data[name].shape, strict=True))
        return (name, element) in self.owners or (given and not np.isnan(self.data[name][at]))

    def value(self, name: str, element: tuple[int, ...]) -> float:
        """The number of one element."""
        key = (name, element)
        if key not in self.done:
            self.done[key] = self._value(name, element)
        return self.done[key]

    def _value(self, name: str, element: tuple[int, ...]) -> float:
        at = tuple(k - 1 for k in element)
        owner = self.owners.get((name, element))
        if owner is not None and isinstance(owner[0], sx.Assign):
            statement, loops, place = owner
            found = np.asarray(self.number(statement.value, loops))
            found = found[place] if found.ndim else found
            return float(LINKS[statement.link](found) if statement.link else found)
        if name in self.data and not np.isnan(self.data[name][at]):
            return float(self.data[name][at])
        return float(self.values[name][at])

    def number(self, tree: Any, loops: dict[str, int]) -> Any:
        """An expression: a number, a vector or a matrix."""
        match tree:
            case sx.Num(value):
                return value
            case sx.Var(name, None) if name in loops:
                return loops[name]
            case sx.Var(name):
                ranges = self.ranges(tree, loops)
                found = np.array([self.value(name, e) for _, e in self.elements(tree, loops)])
                return found.reshape([len(r) for r in ranges if isinstance(r, list)])[()]
            case sx.Neg(operand):
                return -self.number(operand, loops)
            case sx.Op(op, left, right):
                a, b = self.number(left, loops), self.number(right, loops)
                return {
                    "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b,
                    "^": lambda: a**b, "%*%": lambda: a @ b, "==": lambda: (a == b) * 1.0,
                    "!=": lambda: (a != b) * 1.0, "<": lambda: (a < b) * 1.0, ">": lambda: (a > b) * 1.0,
                    "<=": lambda: (a <= b) * 1.0, ">=": lambda: (a >= b) * 1.0,
                    "&&": lambda: float(bool(a) and bool(b)), "||": lambda: float(bool(a) or bool(b)),
                }[op]()  # fmt: skip
            case sx.Fn(name, arguments) if name not in FUNCTIONS:
                return of_law(name, [self.number(a, loops) for a in arguments])
            case sx.Fn(name, arguments):
                return FUNCTIONS[name](*(self.number(a, loops) for a in arguments))
            case _:
                raise AssertionError(tree)

    def log_density(self) -> float:
        """The sum over all `~`."""
        return sum(self.one(draw, loops) for draw, loops in self.draws)

    def one(self, draw: sx.Draw, loops: dict[str, int]) -> float:
        x = self.number(draw.target, loops)
        arguments = [self.number(a, loops) for a in draw.arguments]
        if draw.family == "dinterval":
            t, c = arguments
            return 0.0 if float(np.sum(t > np.asarray(c))) == x else -math.inf
        if draw.family == "dround":
            t, digits = arguments
            return 0.0 if abs(t - x) <= 0.5 * 10.0**-digits else -math.inf
        family = OTHERS.get(draw.family, draw.family)
        law = FAMILIES[family](*arguments)
        density = law.logpmf if family in COUNTS else law.logpdf
        found = float(density(x))
        if draw.bounds is None:
            return found
        low = -math.inf if draw.bounds.low is None else self.number(draw.bounds.low, loops)
        high = math.inf if draw.bounds.high is None else self.number(draw.bounds.high, loops)
        if not low <= x <= high:
            return -math.inf
        below = law.cdf(low - 1) if draw.family in COUNTS else law.cdf(low)
        return found - math.log(law.cdf(high) - below)
