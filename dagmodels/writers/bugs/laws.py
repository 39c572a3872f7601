"""Distributions as BUGS writes them: precisions, rates, and bounds by T(,)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.writers.bugs.names import Unwritable
from dagmodels.writers.bugs.trees import Inside, number, written

X = ex.Expression
Parts = Mapping[str, X]
ONE, ZERO = ex.Number(1), ex.Number(0)
POSITIVE = ("HalfNormal", "HalfCauchy", "HalfStudentT")
HINTS = {
    "InverseGamma": "give the precision a Gamma law, and define the variance as 1 over it",
    "LKJCorr": "give the precision matrix a Wishart law",
    "InverseWishart": "give the precision matrix a Wishart law",
    "Censored": "give the values a law of their own, and say by dinterval which limits they pass",
    "Ordered": "give the values laws of their own, and sort() them",
    "Mixture": "give the component a node, z ~ dcat(p[]), and index by it",
    "HalfFlat": "give it a proper prior",
    "Geometric": "write a negative binomial",
}


def precision(sigma: X) -> X:
    """1/sigma**2, in the simplest words: those of 1/sqrt(tau) are tau."""
    match sigma:
        case ex.Binary("/", ex.Number(1), ex.Call("sqrt", (tau,))):
            return tau
        case ex.Call("sqrt", (variance,)):
            return _inverse(variance)
        case ex.Number(value):
            return ex.as_expression(_short(1 / value**2))
        case _:
            return ex.Binary("**", sigma, ex.Unary("-", ex.Number(2)))


def _short(value: float) -> float:
    near = float(f"{value:.12g}")
    return int(near) if near.is_integer() and abs(near) < 1e15 else near if near == value else value


def _inverse(x: X) -> X:
    """1/x; of 1/t it is t."""
    if isinstance(x, ex.Binary) and x.operator == "/" and x.left == ONE:
        return x.right
    if isinstance(x, ex.Number):
        return ex.as_expression(_short(1 / x.value))
    return ex.Binary("/", ONE, x)


def _normal(p: Parts) -> tuple[X, X]:
    return p.get("mu", ZERO), p["tau"] if "tau" in p else precision(p["sigma"])


def _rate(p: Parts) -> X:
    """Of Weibull: lambda, where the scale is lambda**(-1/v)."""
    match p["beta"]:
        case ex.Binary("**", rate, ex.Unary("-", ex.Binary("/", ex.Number(1), shape))) if shape == p["alpha"]:
            return rate
    return ex.Binary("**", p["beta"], ex.Unary("-", p["alpha"]))


def _negative_binomial(p: Parts) -> tuple[X, X]:
    if "p" in p:
        return p["p"], p["n"]
    size = p["alpha"]
    return ex.Binary("/", size, ex.Binary("+", size, p["mu"])), size


SCALAR: Mapping[str, tuple[str, Callable[[Parts], tuple[X, ...]]]] = {
    "Normal": ("dnorm", _normal),
    "LogNormal": ("dlnorm", _normal),
    "StudentT": (
        "dt",
        lambda p: (p.get("mu", ZERO), p["lam"] if "lam" in p else precision(p.get("sigma", ONE)), p["nu"]),
    ),
    "Cauchy": ("dt", lambda p: (p["alpha"], precision(p["beta"]), ONE)),
    "Gamma": ("dgamma", lambda p: (p["alpha"], p["beta"])),
    "Exponential": ("dexp", lambda p: (p["lam"],)),
    "Beta": ("dbeta", lambda p: (p["alpha"], p["beta"])),
    "Uniform": ("dunif", lambda p: (p["lower"], p["upper"])),
    "Logistic": ("dlogis", lambda p: (p["mu"], _inverse(p["s"]))),
    "Laplace": ("ddexp", lambda p: (p["mu"], _inverse(p["b"]))),
    "Pareto": ("dpar", lambda p: (p["alpha"], p["m"])),
    "Weibull": ("dweib", lambda p: (p["alpha"], _rate(p))),
    "FisherF": ("df", lambda p: (p["nu1"], p["nu2"])),
    "GeneralizedGamma": ("dgen.gamma", lambda p: (p["alpha"], p["beta"], p["power"])),
    "NoncentralChiSquared": ("dnchisqr", lambda p: (p["nu"], p["lam"])),
    "Hypergeometric": ("dhyper", lambda p: (p["n1"], p["n2"], p["m"], p.get("psi", ONE))),
    "Bernoulli": ("dbern", lambda p: (p["p"],)),
    "Binomial": ("dbin", lambda p: (p["p"], p["n"])),
    "BetaBinomial": ("dbetabin", lambda p: (p["alpha"], p["beta"], p["n"])),
    "Poisson": ("dpois", lambda p: (p["mu"],)),
    "NegativeBinomial": ("dnegbin", _negative_binomial),
    "Flat": ("dflat", lambda p: ()),
    "HalfNormal": ("dnorm", lambda p: (ZERO, precision(p["sigma"]))),
    "HalfCauchy": ("dt", lambda p: (ZERO, precision(p["beta"]), ONE)),
    "HalfStudentT": ("dt", lambda p: (ZERO, precision(p.get("sigma", ONE)), p["nu"])),
}


@dataclass
class Beside:
    """Vectors that a law needs as nodes of their own: by name, an expression of one element and its plates,
    or the first places and the elements behind them."""

    node: str
    fresh: Callable[[str], str]
    vectors: list[tuple[str, tuple[str, ...], X]] = field(default_factory=list)
    lists: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = field(default_factory=list)


def law(found: st.Distribution, at: Inside, event: tuple[str, ...], beside: Beside) -> str:
    """What stands behind the `~`.

    at : where the statement stands. event : plates that the law takes whole.

    Raises Unwritable for what BUGS has no law for.
    """
    if found.family == "Truncated":
        inner = found.argument("distribution")
        assert isinstance(inner, st.Distribution)
        if inner.family in POSITIVE:
            raise Unwritable(f"{inner.family} is truncated once already", "write the law of the whole line")
        ends = [found.argument(k) for k in ("lower", "upper")]
        low, high = (written(e, at) if isinstance(e, ex.Expression) else "" for e in ends)
        return f"{law(inner, at, event, beside)} T({low},{high})"
    if found.family == "Table":
        return f"dcat({_table(found, at, beside)})"
    parts = {k: v for k, v in found.arguments if isinstance(v, ex.Expression)}
    if found.family in SCALAR:
        return _scalar(found.family, parts, at)
    if found.family == "Wishart":
        scale = parts["V"]
        inverse = scale.arguments[0] if isinstance(scale, ex.Call) and scale.function == "inverse" else None
        matrix = _matrix(inverse, at) if inverse is not None else f"inverse({_matrix(scale, at)})"
        return f"dwish({matrix}, {written(parts['nu'], at)})"
    if found.family in ("Categorical", "Dirichlet", "Multinomial", "MvNormal", "MvStudentT"):
        return _vector(found.family, parts, at, event, beside)
    raise Unwritable(f"BUGS has no law '{found.family}'", HINTS.get(found.family, ""))


def _scalar(family: str, parts: Parts, at: Inside) -> str:
    if family == "Bernoulli" and isinstance(test := parts["p"], ex.Binary) and test.operator == ">":
        return f"dinterval({written(test.left, at)}, {written(test.right, at)})"
    name, make = SCALAR[family]
    try:
        arguments = make(parts)
    except KeyError as missing:
        raise Unwritable(f"{family} without {missing} has no words in BUGS") from None
    told = f"{name}({', '.join(written(a, at) for a in arguments)})"
    return f"{told} T(0,)" if family in POSITIVE else told


def _vector(family: str, parts: Parts, at: Inside, event: tuple[str, ...], beside: Beside) -> str:
    if family == "Categorical":
        return f"dcat({_array(_unscaled(parts['p']), at, (), beside, 'p')})"
    if family == "Dirichlet":
        return f"ddirch({_array(parts['a'], at, event, beside, 'a')})"
    if family == "Multinomial":
        weights = _array(_unscaled(parts["p"]), at, event, beside, "p")
        return f"dmulti({weights}, {written(parts['n'], at)})"
    mean = _array(parts["mu"], at, event[-1:], beside, "mu")
    if family == "MvStudentT" and "chol" not in parts:
        tau = parts["tau"] if "tau" in parts else ex.Call("inverse", (parts["scale"],))
        return f"dmt({mean}, {_matrix(tau, at)}, {written(parts['nu'], at)})"
    if "tau" in parts:
        return f"dmnorm({mean}, {_matrix(parts['tau'], at)})"
    if "cov" in parts:
        return f"dmnorm.vcov({mean}, {_matrix(parts['cov'], at)})"
    raise Unwritable("BUGS takes no Cholesky factors", "give the precision (tau=) or the covariance (cov=)")


def _unscaled(p: X) -> X:
    """BUGS divides probabilities by their sum itself."""
    match p:
        case ex.Binary("/", top, ex.Reduction("sum", body, _)) if body == top:
            return top
        case ex.Call("softmax", (eta,)):
            return ex.Call("exp", (eta,))
    return p


def _table(found: st.Distribution, at: Inside, beside: Beside) -> str:
    """A network's table as an array of numbers, the parents' values its first indices."""
    numbers = found.argument("rows")
    if numbers is None:
        raise Unwritable(
            "its table is unknown, and BUGS needs a prior for it", "give the rows Dirichlet laws"
        )
    name = beside.fresh(f"{beside.node}.p")
    if isinstance(numbers, ex.Vector):
        beside.lists.append((name, (), tuple(written(i, at) for i in numbers.items)))
        return f"{name}[]"
    assert isinstance(numbers, st.Rows)
    parents = [v for k, v in found.arguments if k.isdigit() and isinstance(v, ex.Reference)]
    for row in numbers.rows:
        places = [_place(p, label, at) for p, label in zip(parents, row.labels, strict=True)]
        beside.lists.append((name, tuple(places), tuple(written(i, at) for i in row.entries)))
    return f"{name}[{','.join([*(written(p, at) for p in parents), ''])}]"


def _place(parent: ex.Reference, label: object, at: Inside) -> int:
    values_in = at.names.dag.nodes[parent.name].values_in
    if values_in is None:
        raise Unwritable(f"'{parent.name}' has no plate of values", "give it one: x in plate ~ ...")
    return at.names.place(values_in, label)


def _whole(tree: X, at: Inside) -> tuple[str, ...]:
    """Plates that a tree leaves whole."""
    from dagmodels.graph.scope import bound_by, free

    return free(at.names.plates, tree, bound_by(at.names.plates, at.bound))


def _array(tree: X, at: Inside, event: tuple[str, ...], beside: Beside, what: str) -> str:
    """A vector as a node with an empty index; other expressions get a node of their own."""
    whole = _whole(tree, at) or event
    if isinstance(tree, ex.Reference) and len(_whole(tree, at)) == 1:
        return written(tree, Inside(at.names, at.bound, whole, at.inline))
    name = beside.fresh(f"{beside.node}.{what}")
    loops = tuple(p for p in at.bound if p not in whole)
    indices = ",".join([*(at.bound[p] for p in loops), ""])
    if isinstance(tree, ex.Vector):
        beside.lists.append((name, (), tuple(written(i, at) for i in tree.items)))
        if any(any(True for _ in ex.references(i)) for i in tree.items):
            raise Unwritable("a list of expressions as probabilities", "give them a node of their own")
        return f"{name}[]"
    if len(whole) != 1:
        raise Unwritable(f"BUGS needs a vector for '{what}'", "give it a node over the plate of the vector")
    beside.vectors.append((name, (*loops, *whole), tree))
    return f"{name}[{indices}]"


def _matrix(tree: X, at: Inside) -> str:
    """A matrix as a node with empty indices, or the inverse of one."""
    if isinstance(tree, ex.Call) and tree.function == "inverse":
        return f"inverse({_matrix(tree.arguments[0], at)})"
    whole = _whole(tree, at)
    if isinstance(tree, ex.Reference) and len(whole) == 2:
        return written(tree, Inside(at.names, at.bound, whole, at.inline))
    raise Unwritable("BUGS needs a matrix by name", "give it a node of its own, over two plates")


__all__ = ["Beside", "law", "number", "precision"]
