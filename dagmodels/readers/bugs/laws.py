"""Distributions of JAGS in the families here, by one table; precisions stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.restrictions import ORDERED
from dagmodels.readers.bugs.scope import Scope, Unsayable
from dagmodels.readers.bugs.trees import translated

X = ex.Expression
Law = tuple[str, dict[str, X]]
Make = (
    Callable[[], Law]
    | Callable[[X], Law]
    | Callable[[X, X], Law]
    | Callable[[X, X, X], Law]
    | Callable[[X, X, X, X], Law]
)


def _root(precision: ex.Expression) -> ex.Expression:
    return ex.Binary("/", ex.Number(1), ex.Call("sqrt", (precision,)))


def _over(top: ex.Expression, bottom: ex.Expression) -> ex.Expression:
    return ex.Binary("/", top, bottom)


def _scale(shape: ex.Expression, rate: ex.Expression) -> ex.Expression:
    """Weibull's scale from the rate of exp(-rate x^shape)."""
    return ex.Binary("**", rate, ex.Unary("-", _over(ex.Number(1), shape)))


SCALAR: Mapping[str, tuple[str, Make]] = {
    "dnorm": ("mu, tau", lambda m, t: ("Normal", {"mu": m, "tau": t})),
    "dlnorm": ("mu, tau", lambda m, t: ("LogNormal", {"mu": m, "tau": t})),
    "dt": ("mu, tau, k", lambda m, t, k: ("StudentT", {"nu": k, "mu": m, "sigma": _root(t)})),
    "dgamma": ("r, lambda", lambda r, b: ("Gamma", {"alpha": r, "beta": b})),
    "dchisqr": ("k", lambda k: ("Gamma", {"alpha": _over(k, ex.Number(2)), "beta": ex.Number(0.5)})),
    "dexp": ("lambda", lambda b: ("Exponential", {"lam": b})),
    "dbeta": ("a, b", lambda a, b: ("Beta", {"alpha": a, "beta": b})),
    "dunif": ("a, b", lambda a, b: ("Uniform", {"lower": a, "upper": b})),
    "dlogis": ("mu, tau", lambda m, t: ("Logistic", {"mu": m, "s": _over(ex.Number(1), t)})),
    "ddexp": ("mu, tau", lambda m, t: ("Laplace", {"mu": m, "b": _over(ex.Number(1), t)})),
    "dpar": ("alpha, c", lambda a, c: ("Pareto", {"alpha": a, "m": c})),
    "dweib": ("v, lambda", lambda v, b: ("Weibull", {"alpha": v, "beta": _scale(v, b)})),
    "df": ("n, m", lambda n, m: ("FisherF", {"nu1": n, "nu2": m})),
    "dgen.gamma": (
        "r, mu, beta",
        lambda r, m, b: ("GeneralizedGamma", {"alpha": r, "beta": m, "power": b}),
    ),
    "dnchisqr": ("k, delta", lambda k, d: ("NoncentralChiSquared", {"nu": k, "lam": d})),
    "dbern": ("p", lambda p: ("Bernoulli", {"p": p})),
    "dbin": ("p, n", lambda p, n: ("Binomial", {"n": n, "p": p})),
    "dbetabin": ("a, b, n", lambda a, b, n: ("BetaBinomial", {"n": n, "alpha": a, "beta": b})),
    "dhyper": (
        "n1, n2, m1, psi",
        lambda a, b, m, o: ("Hypergeometric", {"n1": a, "n2": b, "m": m, "psi": o}),
    ),
    "dpois": ("lambda", lambda m: ("Poisson", {"mu": m})),
    "dnegbin": ("p, r", lambda p, r: ("NegativeBinomial", {"n": r, "p": p})),
    "dinterval": ("t, c", lambda t, c: ("Bernoulli", {"p": ex.Binary(">", t, c)})),
    "dflat": ("", lambda: ("Flat", {})),
}
VECTOR: Mapping[str, str] = {
    "dcat": "pi[]",
    "ddirch": "alpha[]",
    "dmulti": "pi[], n",
    "dmnorm": "mu[], Omega[, ]",
    "dmnorm.vcov": "mu[], V[, ]",
    "dmt": "mu[], Omega[, ], k",
    "dwish": "R[, ], k",
}
SYNONYMS = {
    "dbinom": "dbin",
    "dbetabinom": "dbetabin",
    "dchisq": "dchisqr",
    "ddirich": "ddirch",
    "dggamma": "dgen.gamma",
    "dnchisq": "dnchisqr",
    "dmultinom": "dmulti",
    "dnbinom": "dnegbin",
    "dnegbinom": "dnegbin",
    "dweibull": "dweib",
}
ABSENT = {
    "dsum": "a sum that is observed is no node of its own here; write one of the terms as the rest",
    "dmvt": "write dmt(mu[], Omega[, ], k)",
    "dscaled.gamma": "give 1/sqrt(tau) a dt(0, 1/s^2, k) T(0,) prior",
    "dscaled.wishart": "use dwish",
    "dround": "give the rounded values as data, and the digits too",
    "dnormmix": "write z ~ dcat(p[]) and dnorm(mu[z], tau[z])",
    "dsample": "use dcat",
}


def law(draw: sx.Draw, scope: Scope, event: tuple[str, ...]) -> st.Distribution:
    """The distribution of a `~`.

    Parameters
    ----------
    scope : of the statement; plates that the law takes whole are not bound in it.
    event : these plates.

    Raises Unsayable for what has no family here.
    """
    family = SYNONYMS.get(draw.family, draw.family)
    if family in VECTOR:
        found = _vector(family, draw, scope, event)
    elif family in SCALAR:
        found = _scalar(family, draw, scope)
    else:
        raise Unsayable(f"No distribution is called '{draw.family}' here", draw.at, _hint(draw.family))
    if draw.bounds is None:
        return found
    return _bounded(draw, draw.bounds, found, scope)


def _hint(name: str) -> str:
    import difflib

    if name in ABSENT:
        return ABSENT[name]
    near = difflib.get_close_matches(name, [*SCALAR, *VECTOR, *SYNONYMS], n=1)
    return f"did you mean '{near[0]}'?" if near else "known: " + ", ".join([*SCALAR, *VECTOR])


def _count(draw: sx.Draw, family: str, usage: str) -> None:
    wanted = len([w for w in usage.replace("[, ]", "[]").split(", ") if w])
    if len(draw.arguments) != wanted:
        told = f"{draw.family} takes {wanted} argument{'s' * (wanted != 1)}, not {len(draw.arguments)}"
        raise Unsayable(told, draw.at, f"write {family}({usage})")


def _scalar(family: str, draw: sx.Draw, scope: Scope) -> st.Distribution:
    usage, make = SCALAR[family]
    _count(draw, family, usage)
    if family == "dinterval" and _is_vector(draw.arguments[1], scope):
        told = f"dinterval has several limits, {sx.text(draw.arguments[1])}"
        raise Unsayable(
            told, draw.at, "give the limits and what is observed as data, or one dinterval a limit"
        )
    name, arguments = make(*[translated(scope, a) for a in draw.arguments])
    return st.Distribution(name, tuple(arguments.items()))


def _is_vector(tree: sx.Expr, scope: Scope) -> bool:
    return isinstance(tree, sx.Var) and any(isinstance(i, sx.Whole | sx.Span) for i in tree.indices or ())


def _vector(family: str, draw: sx.Draw, scope: Scope, event: tuple[str, ...]) -> st.Distribution:
    _count(draw, family, VECTOR[family])
    if family == "dcat":
        return st.Distribution("Categorical", (("p", _weights(draw, draw.arguments[0], scope, None)),))
    if not event:
        told = f"{draw.family} is a law of {'matrices' if family == 'dwish' else 'vectors'}"
        at = draw.target.at
        raise Unsayable(
            f"{told}, and {sx.text(draw.target)} is one number",
            at,
            f"write {draw.target.name}[] ~ {family}(...)",
        )
    spaces = scope.parts.spaces
    space = spaces.dims(draw.target.name)[-1]
    vector = replace(scope, whole=(event[-1],))
    square = event if len(event) == 2 else (event[-1], scope.free(space, (event[-1],)))
    matrix = replace(scope, whole=square)
    first, *rest = draw.arguments
    if family == "ddirch":
        return st.Distribution("Dirichlet", (("a", translated(vector, first)),))
    if family == "dmulti":
        weights = _weights(draw, first, vector, event[-1])
        return st.Distribution("Multinomial", (("n", translated(scope, rest[0])), ("p", weights)))
    if family == "dwish":
        inverse = ex.Call("inverse", (translated(matrix, first),))
        return st.Distribution("Wishart", (("nu", translated(scope, rest[0])), ("V", inverse)))
    mean, spread = translated(vector, first), translated(matrix, rest[0])
    if family == "dmt":
        nu = translated(scope, rest[1])
        return st.Distribution("MvStudentT", (("nu", nu), ("mu", mean), ("tau", spread)))
    key = "tau" if family == "dmnorm" else "cov"
    return st.Distribution("MvNormal", (("mu", mean), (key, spread)))


def _weights(draw: sx.Draw, tree: sx.Expr, scope: Scope, plate: str | None) -> ex.Expression:
    """Probabilities; JAGS divides them by their sum, which those with a Dirichlet law need not."""
    if not isinstance(tree, sx.Var) or not _is_vector(tree, scope):
        told = f"{draw.family} takes a vector, and {sx.text(tree)} is none"
        raise Unsayable(told, tree.at, f"give it a node: {draw.family}(p[])")
    axis = max(k for k, i in enumerate(tree.indices or ()) if isinstance(i, sx.Whole | sx.Span))
    space = scope.parts.spaces.dim(tree.name, axis)
    if plate is None:
        plate = scope.free(space)
    own = replace(scope, whole=(plate,))
    found = translated(own, tree)
    names = scope.names
    if names.drawn(tree.name, "ddirch") or names.drawn(tree.name, "ddirich"):
        return found
    if tree.name in names.given and not names.trial:
        sums = names.known[tree.name].sum(axis=-1)
        if axis == names.ndim[tree.name] - 1 and bool((abs(sums - 1) < 1e-9).all()):
            return found
    return _over(found, ex.Reduction("sum", found, (plate,)))


def _bounded(draw: sx.Draw, bounds: sx.Bounds, found: st.Distribution, scope: Scope) -> st.Distribution:
    if bounds.kind == ORDERED:
        return st.Distribution("Ordered", (("distribution", found),))
    if bounds.kind == "I":
        names = scope.names
        fixed = all(names.fixed(a, scope.relation.variables) for a in draw.arguments)
        if not fixed:
            told = f"I(,) behind {draw.family} with unknown arguments may mean truncation or censoring"
            hint = "write T(,) for truncation, or dinterval for censoring"
            raise Unsayable(told, bounds.at, hint)
    half = _half(draw, bounds, found)
    if half is not None:
        return half
    ends = [("lower", bounds.low), ("upper", bounds.high)]
    given = tuple((key, translated(scope, e)) for key, e in ends if e is not None)
    if not given:
        return found
    return st.Distribution("Truncated", (("distribution", found), *given))


def _half(draw: sx.Draw, bounds: sx.Bounds, found: st.Distribution) -> st.Distribution | None:
    """`dt(0, tau, k) T(0,)`: one half of a t law about zero, whatever its scale and shape hang on; `dflat()
    T(0,)`: a flat law of what is positive."""
    if bounds.low != sx.Num(0.0) or bounds.high is not None:
        return None
    if draw.family == "dflat":
        return st.Distribution("HalfFlat", ())
    if draw.family != "dt" or draw.arguments[0] != sx.Num(0.0):
        return None
    given = dict(found.arguments)
    return st.Distribution("HalfStudentT", (("nu", given["nu"]), ("sigma", given["sigma"])))


__all__ = ["ABSENT", "SCALAR", "SYNONYMS", "VECTOR", "law"]
