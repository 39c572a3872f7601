"""Where candidates for integration do not enter the graph linearly: in scales, in functions, in products."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dagmodels.analysis.general import IDENTITY, WORDS
from dagmodels.analysis.laws import GAUSSIAN, families_of, location_argument
from dagmodels.graph import expression as ex
from dagmodels.graph.circles import circle, defined
from dagmodels.graph.dag import Dag, distribution_expressions
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Joint, Stochastic

Monomials = frozenset[frozenset[str]]
_ONE: Monomials = frozenset((frozenset(),))


@dataclass(slots=True)
class Nonlinearity:
    """Where candidates do not enter linearly.

    nonlinear : those that no integral here can take, with a reason. curved : those that are nonlinear in
        observed nodes only, with these nodes and a reason. products : pairs multiplied in a Normal mean.
    general : candidates that are not Gaussian, with their scales; their own laws count as observed nodes' do.
    must : those that have to be integrated.
    """

    nonlinear: dict[str, str] = field(default_factory=dict)
    curved: dict[str, dict[str, str]] = field(default_factory=dict)
    products: set[frozenset[str]] = field(default_factory=set)
    general: dict[str, str] = field(default_factory=dict)
    must: set[str] = field(default_factory=set)


def nonlinearity(dag: Dag, names: set[str], general: dict[str, str], must: set[str]) -> Nonlinearity:
    """Of the candidates `names`; general, must : see `Nonlinearity`."""
    use = Nonlinearity(general=general, must=must)
    for name in general:
        law = min(families_of(dag.nodes[name]))
        if law != "LogNormal":  # its logarithm is Gaussian
            use.curved[name] = {name: f"its law is {law}"}
    caches: dict[str | None, dict[str, Monomials]] = {}
    for statement in dag.statements:
        match statement:
            case Stochastic(distribution=d, head=head, observed=observed):
                own = observed or (head.name in general and d.family != "LogNormal")
                leaf = head.name if own and d.family not in GAUSSIAN[1:] else None
                _distribution_use(dag, d, names, use, caches.setdefault(leaf, {}), leaf)
            case Deterministic(head=head, expression=tree) if head.name in names:  # beside its law
                _products(_monomials(dag, tree, names, use, caches.setdefault(None, {}), None), use, None)
            case Joint(distribution=d):
                _distribution_use(dag, d, names, use, caches.setdefault(None, {}), None)
            case Covariance(expression=tree):
                _mark(dag, (tree,), names, use, "it stands in a covariance")
            case _:
                continue
    return use


def _distribution_use(
    dag: Dag,
    d: Distribution,
    names: set[str],
    use: Nonlinearity,
    cache: dict[str, Monomials],
    leaf: str | None,
) -> None:
    for key, value in d.arguments:
        trees: Iterable[ex.Expression]
        if (
            (d.family in GAUSSIAN or (d.family == "LogNormal" and leaf is None))
            and key == "mu"
            and isinstance(value, ex.Expression)
        ):
            for tree in value.items if isinstance(value, ex.Vector) else (value,):
                _products(_monomials(dag, tree, names, use, cache, leaf), use, leaf)
            continue
        if isinstance(value, ex.Expression):
            trees = (value,)
        else:
            trees = tuple(distribution_expressions(Distribution(d.family, ((key, value),))))
        _mark(dag, trees, names, use, f"it stands in {key} of {d.family}", leaf)
        if leaf is not None and key == location_argument(d) and isinstance(value, ex.Expression):
            _products_inside(dag, value, names, use, leaf)


def _products(monomials: Monomials, use: Nonlinearity, leaf: str | None) -> None:
    """Pairs that are multiplied in a mean."""
    for monomial in monomials:
        if leaf is not None and len(monomial & use.must) > 1:
            for name in monomial & use.must:
                why = f"it multiplies {_quoted(monomial & use.must - {name})}"
                use.curved.setdefault(name, {}).setdefault(leaf, why)
            continue
        use.products.update(frozenset((a, b)) for a in monomial for b in monomial if a != b)


def _products_inside(dag: Dag, tree: ex.Expression, names: set[str], use: Nonlinearity, leaf: str) -> None:
    """Products of a candidate and a latent in a predictor: were both integrated by Laplace's method, their
    joint mode would count, which is not where the candidate's own is. Latents may multiply one another."""
    aside = Nonlinearity(general=use.general, must=use.must)
    for monomial in _monomials(dag, _inside(dag, tree), names, aside, {}, leaf):
        if len(monomial & use.must) < 2:
            use.products.update(frozenset((a, b)) for a in monomial for b in monomial if a != b)


def _inside(dag: Dag, tree: ex.Expression) -> ex.Expression:
    """What stands inside the link, deterministic nodes of one statement looked through."""
    match tree:
        case ex.Call(_, (argument,)):
            return _inside(dag, argument)
        case ex.Reference(name, _) if name in dag.nodes and dag.nodes[name].kind == "deterministic":
            (first, *others) = dag.nodes[name].statements
            return _inside(dag, first.expression) if isinstance(first, Deterministic) and not others else tree
        case _:
            return tree


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{n}'" for n in sorted(names))


def _mark(
    dag: Dag,
    trees: Iterable[ex.Expression],
    names: set[str],
    use: Nonlinearity,
    why: str,
    leaf: str | None = None,
) -> None:
    """Everything that these trees depend on, through deterministic nodes too, is nonlinear.

    leaf : the observed node whose law the trees belong to; None for what no integral here can take.
    """
    queue = [r for tree in trees for r in ex.references(tree)]
    seen: set[str] = set()
    while queue:
        reference = queue.pop()
        name = reference.name
        inside = tuple(i.reference for i in reference.indices or () if isinstance(i, ex.NodeIndex))
        if inside and leaf is not None:
            _mark(dag, inside, names, use, "it is used as an index")
        if name in seen or name not in dag.nodes:
            continue
        seen.add(name)
        if name in names:
            if leaf is None:
                use.nonlinear.setdefault(name, why)
            else:
                use.curved.setdefault(name, {}).setdefault(leaf, why)
        for tree in defined(dag, name):
            queue.extend(ex.references(tree))


def _define(
    dag: Dag, name: str, down: Callable[[ex.Expression], Monomials], cache: dict[str, Monomials]
) -> None:
    """Put the products in a definition into `cache`.

    One that looks back at itself is expanded until nothing is added: `n[t] = n[t-1]*r[t]` has r times r.
    """
    trees = defined(dag, name)
    known, cache[name] = set(cache), _ONE
    while True:
        found = frozenset[frozenset[str]]().union(*map(down, trees))
        if found == cache[name] or not circle(dag, name):
            cache[name] = found
            return
        for other in set(cache) - known:  # what was found by way of this one
            del cache[other]
        cache[name] = found


def _monomials(
    dag: Dag,
    tree: ex.Expression,
    names: set[str],
    use: Nonlinearity,
    cache: dict[str, Monomials],
    leaf: str | None,
) -> Monomials:
    """Products of candidates that occur in a mean, deterministic nodes expanded."""

    def down(t: ex.Expression) -> Monomials:
        return _monomials(dag, t, names, use, cache, leaf)

    match tree:
        case ex.Reference(name, indices):
            inside = tuple(i.reference for i in indices or () if isinstance(i, ex.NodeIndex))
            _mark(dag, inside, names, use, "it is used as an index")
            if use.general.get(name, IDENTITY) != IDENTITY:
                why = f"it is integrated{WORDS[use.general[name]]}"
                _mark(dag, (ex.Reference(name, ()),), names, use, why, leaf)
                return _ONE
            if name in names:
                return frozenset((frozenset((name,)),))
            if name in dag.nodes and defined(dag, name):
                if name not in cache:
                    _define(dag, name, down, cache)
                return cache[name]
            return _ONE
        case ex.Unary(_, operand):
            return down(operand)
        case ex.Binary("+" | "-", left, right):
            return down(left) | down(right)
        case ex.Binary("*", left, right):
            a, b = down(left), down(right)
            for x in a:
                for y in b:
                    for name in x & y:
                        _mark(
                            dag, (ex.Reference(name, ()),), names, use, "it is multiplied with itself", leaf
                        )
            return frozenset(x | y for x in a for y in b)
        case ex.Binary("/", left, right):
            _mark(dag, (right,), names, use, "it stands in a denominator", leaf)
            return down(left)
        case ex.Reduction("sum" | "mean", body, _):
            return down(body)
        case ex.Call("if_else", (test, yes, no)):
            _mark(dag, (test,), names, use, "it stands in a condition", leaf)
            return down(yes) | down(no)
        case _:
            _mark(dag, (tree,), names, use, "it is inside a function", leaf)
            return _ONE
