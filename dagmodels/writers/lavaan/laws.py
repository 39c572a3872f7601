"""The laws of a graph's units, taken apart into coefficients."""

from __future__ import annotations

from dataclasses import dataclass, field

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.writers.lavaan.parameters import Faults

Term = tuple[ex.Expression | None, str]  # coefficient (None: one) and parent


@dataclass(slots=True)
class Law:
    """`name = intercept + coefficients*parents + residual`; None stands for zero.

    scale : `variance` holds a standard deviation.
    covariances : with later nodes.
    divisor : what the whole right side is divided by (deterministic nodes only).
    """

    name: str
    observed: bool
    intercept: ex.Expression | None = None
    terms: list[Term] = field(default_factory=list[Term])
    variance: ex.Expression | None = None
    scale: bool = False
    covariances: list[tuple[str, ex.Expression]] = field(default_factory=list[tuple[str, ex.Expression]])
    divisor: ex.Expression | None = None


class Unsaid(Exception):
    """A part that is not linear in single coefficients."""


def laws(dag: Dag, unit: str, faults: Faults) -> dict[str, Law]:
    """The laws by node; what is not linear and Normal is told to `faults`."""
    variables = {n.name for n in dag.nodes.values() if n.plates == (unit,)}
    found: dict[str, Law] = {}
    for statement in dag.statements:
        match statement:
            case st.Joint(names=names):
                found.update((law.name, law) for law in _joint(statement, variables, faults))
                if any(n not in variables for n in names):
                    faults.add(
                        f"`{names[0]}` does not lie on {unit} alone.", "lavaan has one plate", names[0]
                    )
            case st.Stochastic(head=head) | st.Deterministic(head=head) if head.name in variables:
                law = _single(statement, variables, faults)
                if head.name in found:
                    faults.add(f"`{head.name}` has several laws.", "lavaan has one a variable", head.name)
                found[head.name] = law
            case _:
                pass
    for node in dag.nodes.values():
        if unit in node.plates and node.plates != (unit,):
            hint = f"lavaan's variables lie on {unit} alone; write one node for each level"
            faults.add(f"`{node.name}` lies on {', '.join(node.plates)}.", hint, node.name)
    for pair in dag.covariances:
        left, right = pair.left.name, pair.right.name
        if left in found and right in found:
            found[left].covariances.append((right, pair.expression))
    return found


def _single(statement: st.Stochastic | st.Deterministic, variables: set[str], faults: Faults) -> Law:
    name = statement.head.name
    if isinstance(statement, st.Deterministic):
        law = Law(name, False)
        tree = statement.expression
        if isinstance(tree, ex.Binary) and tree.operator == "/":
            tree, law.divisor = tree.left, tree.right
        _mean(law, tree, variables, faults)
        return law
    law = Law(name, statement.observed)
    family, arguments = statement.distribution.family, dict(statement.distribution.arguments)
    mu, sigma = arguments.get("mu"), arguments.get("sigma")
    if family != "Normal" or not isinstance(mu, ex.Expression) or not isinstance(sigma, ex.Expression):
        hint = "lavaan's variables are Normal with a mean and a standard deviation"
        faults.add(f"`{name}` is {statement.distribution!r}.", hint, name)
        return law
    _mean(law, mu, variables, faults)
    if isinstance(sigma, ex.Call) and sigma.function == "sqrt":
        law.variance = sigma.arguments[0]
    else:
        law.variance, law.scale = sigma, True
    return law


def _mean(law: Law, tree: ex.Expression, variables: set[str], faults: Faults) -> None:
    try:
        for sign, part in _summands(tree, "+"):
            coefficient, parent = _product(sign, part, variables)
            if parent is None:
                if law.intercept is not None:
                    raise Unsaid(f"{law.intercept} and {coefficient}")
                law.intercept = ex.Number(1) if coefficient is None else coefficient
            else:
                law.terms.append((coefficient, parent))
    except Unsaid:
        hint = "lavaan's means are sums of coefficient*variable and one intercept"
        faults.add(f"`{law.name}` has the mean `{tree}`, which lavaan cannot say.", hint, law.name)
    if law.intercept is not None and ex.literal(law.intercept) == 0.0:
        law.intercept = None


def _summands(tree: ex.Expression, sign: str) -> list[tuple[str, ex.Expression]]:
    match tree:
        case ex.Binary("+", left, right):
            return _summands(left, sign) + _summands(right, sign)
        case ex.Binary("-", left, right):
            return _summands(left, sign) + _summands(right, "-" if sign == "+" else "+")
        case ex.Unary("-", operand) if not isinstance(operand, ex.Number):
            return _summands(operand, "-" if sign == "+" else "+")
        case _:
            return [(sign, tree)]


def _product(sign: str, tree: ex.Expression, variables: set[str]) -> tuple[ex.Expression | None, str | None]:
    """Coefficient and parent of a summand."""
    factors = _factors(tree)
    parents = [f.name for f in factors if isinstance(f, ex.Reference) and f.name in variables]
    others = [f for f in factors if not (isinstance(f, ex.Reference) and f.name in variables)]
    if len(parents) > 1 or any(r.name in variables for f in others for r in ex.references(f)):
        raise Unsaid(str(tree))
    coefficient: ex.Expression | None = None
    for factor in others:
        coefficient = factor if coefficient is None else ex.Binary("*", coefficient, factor)
    if sign == "-":
        coefficient = _minus(coefficient)
    return coefficient, parents[0] if parents else None


def _minus(tree: ex.Expression | None) -> ex.Expression:
    value = 1.0 if tree is None else ex.literal(tree)
    if value is None:
        assert tree is not None
        return tree.operand if isinstance(tree, ex.Unary) else ex.Unary("-", tree)
    return ex.Number(-value) if value <= 0 else ex.Unary("-", ex.Number(value))


def _factors(tree: ex.Expression) -> list[ex.Expression]:
    match tree:
        case ex.Binary("*", left, right):
            return _factors(left) + _factors(right)
        case _:
            return [tree]


def _joint(statement: st.Joint, variables: set[str], faults: Faults) -> list[Law]:
    names = statement.names
    arguments = dict(statement.distribution.arguments)
    mu, weights, cov = (arguments.get(n) for n in ("mu", "B", "cov"))
    if (
        statement.distribution.family != "Simultaneous"
        or not isinstance(mu, ex.Vector)
        or not isinstance(weights, ex.Vector)
        or not isinstance(cov, ex.Vector)
    ):
        hint = "lavaan can say Simultaneous([...], [[...]], [[...]]) with its matrices written out"
        faults.add(f"`{names[0]}` is {statement.distribution!r}.", hint, names[0])
        return [Law(n, statement.observed) for n in names]
    found: list[Law] = []
    for i, name in enumerate(names):
        law = Law(name, statement.observed)
        _mean(law, mu.items[i], variables, faults)
        row, own = weights.items[i], cov.items[i]
        assert isinstance(row, ex.Vector)
        assert isinstance(own, ex.Vector)
        law.terms += [(b, names[j]) for j, b in enumerate(row.items) if ex.literal(b) != 0.0]
        law.variance = own.items[i]
        law.covariances = [(names[j], c) for j, c in enumerate(own.items) if j > i and ex.literal(c) != 0.0]
        found.append(law)
    return found


def read_back(found: dict[str, Law], faults: Faults) -> None:
    """Latent variables that are functions of an indicator without residual, `f = (x - nu)/l`: f gets the
    law and x = nu + l*f. Afterwards every parent stands in a law once."""
    _functions(found, faults)
    for name, law in found.items():
        parents = [p for _, p in law.terms]
        twice = next((p for p in parents if parents.count(p) > 1), None)
        if twice is not None:
            hint = "give it one coefficient"
            faults.add(f"`{twice}` stands in the mean of `{name}` twice.", hint, name)


def _functions(found: dict[str, Law], faults: Faults) -> None:
    for name, law in list(found.items()):
        if law.observed or law.variance is not None:
            continue
        carriers = [p for _, p in law.terms if p in found and found[p].observed]
        said = law.divisor is None and all(_sayable(c) for c, _ in law.terms) and _sayable(law.intercept)
        if said and not any(_bears(found[c], name) for c in carriers):
            continue
        own = next((c for c, p in law.terms if carriers and p == carriers[0]), ex.Number(0))
        if not carriers or (own is not None and ex.literal(own) != 1.0):
            hint = "lavaan's functions are sums of coefficient*variable and one intercept"
            faults.add(f"`{name}` is a function that lavaan cannot say.", hint, name)
            continue
        try:
            _read_back(found, law, found[carriers[0]])
        except Unsaid as part:
            hint = f"it has to be what `{carriers[0]}` leaves"
            faults.add(f"`{name}` does not fit the law of `{carriers[0]}`: {part}.", hint, name)


def _bears(carrier: Law, name: str) -> bool:
    """Whether an indicator's law is called after the latent variable."""
    wanted = {carrier.intercept: f"{name}~1", carrier.variance: f"{name}~~{name}"}
    return any(isinstance(tree, ex.Reference) and tree.name == called for tree, called in wanted.items())


def _sayable(tree: ex.Expression | None) -> bool:
    return tree is None or ex.literal(tree) is not None or isinstance(tree, ex.Reference)


def _read_back(found: dict[str, Law], latent: Law, carrier: Law) -> None:
    loading = latent.divisor
    others = [(_minus(c), p) for c, p in latent.terms if p != carrier.name]
    intercept = None if latent.intercept is None else _minus(latent.intercept)
    plain = [(None if c is not None and ex.literal(c) == 1.0 else c, p) for c, p in others]
    rest = [t for t in carrier.terms if t not in plain]
    if len(rest) + len(others) != len(carrier.terms):
        raise Unsaid("they differ in their parents")
    moved = carrier.intercept
    if intercept is not None:
        moved = _without(carrier.intercept, intercept)
    law = Law(latent.name, False, None if moved is None else _stripped(moved, loading))
    law.terms = [(_stripped(ex.Number(1) if c is None else c, loading), p) for c, p in rest]
    law.scale = carrier.scale
    square = None if loading is None else ex.Binary("**", loading, ex.Number(2))
    if carrier.variance is not None:
        law.variance = _stripped(carrier.variance, square)
    for owner in found.values():
        owner.covariances = [
            (latent.name if o == carrier.name else o, _stripped(t, loading) if o == carrier.name else t)
            for o, t in owner.covariances
        ]
    law.covariances = [(o, _stripped(t, loading)) for o, t in carrier.covariances]
    found[latent.name] = law
    found[carrier.name] = Law(carrier.name, True, intercept, [(loading, latent.name), *plain])


def _without(total: ex.Expression | None, part: ex.Expression) -> ex.Expression | None:
    if total == part:
        return None
    if isinstance(total, ex.Binary) and total.operator == "+" and total.left == part:
        return total.right
    raise Unsaid("they differ in their intercepts")


def _stripped(tree: ex.Expression, factor: ex.Expression | None) -> ex.Expression:
    """The tree without a factor at its beginning."""
    if factor is None:
        return tree
    if tree == factor:
        return ex.Number(1)
    if isinstance(tree, ex.Binary) and tree.operator == "*" and tree.left == factor:
        return tree.right
    raise Unsaid(f"`{tree}` has no factor `{factor}`")
