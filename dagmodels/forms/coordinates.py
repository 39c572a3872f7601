"""From graph to outer coordinates: which scale each outer unknown is worked on, and its prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.distributions import WRAPPERS, family
from dagmodels.forms import vectors
from dagmodels.forms.cells import cells
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.outer import Coordinate
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, defines, distribution_expressions, remembered
from dagmodels.graph.statement import (
    Covariance,
    Deterministic,
    Distribution,
    Domain,
    Joint,
    Parameter,
    Stochastic,
)
from dagmodels.numerics.triangle import lower_triangle


@remembered
def uses(dag: Dag) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """How unknowns enter scales, and of which nodes.

    "residual" (sigma of an observed node), "scale" (sigma of a latent one), "precision",
    "variance" or "covariance".
    """
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for statement in dag.statements:
        if isinstance(statement, Stochastic | Joint):
            for key, value in statement.distribution.arguments:
                use = _use(key, value, observed=statement.observed)
                if use is None:
                    continue
                before = found.get(use[0], (use[1], ()))
                kind = "residual" if "residual" in (before[0], use[1]) else use[1]
                found[use[0]] = (kind, before[1] + defines(statement))
    return found


def _use(key: str, value: object, *, observed: bool) -> tuple[str, str] | None:
    if key == "cov" and isinstance(value, ex.Reference):
        return value.name, "covariance"
    if key == "tau" and isinstance(value, ex.Reference):
        return value.name, "precision"
    if key == "sigma" and isinstance(value, ex.Reference):
        return value.name, "residual" if observed else "scale"
    if key == "sigma" and isinstance(value, ex.Call) and value.function == "sqrt":
        (inner,) = value.arguments
        if isinstance(inner, ex.Reference):
            return inner.name, "variance"
    return None


def only_a_scale(dag: Dag, name: str) -> bool:
    """Whether a node enters the model as a bare `sigma` alone, so that its sign is a convention.

    In `rho*s_a*s_b` beside `~~` it is not: there a scale keeps its bound at zero.
    """
    queue = [name]
    while queue:
        top = queue.pop()
        for statement in dag.statements:
            if isinstance(statement, Stochastic | Joint):
                for key, value in statement.distribution.arguments:
                    bare = key == "sigma" and isinstance(value, ex.Reference) and value.name == name
                    if not bare and any(r.name == top for r in _references(value)):
                        return False
            elif isinstance(statement, Covariance):
                if any(r.name == top for r in ex.references(statement.expression)):
                    return False
            elif isinstance(statement, Deterministic) and any(
                r.name == top for r in ex.references(statement.expression)
            ):
                queue.append(statement.head.name)
    return True


def _references(value: object) -> Iterator[ex.Reference]:
    trees = (value,) if isinstance(value, ex.Expression) else ()
    if not trees:
        trees = tuple(distribution_expressions(Distribution("", (("", value),))))  # type: ignore[arg-type]
    return (r for tree in trees for r in ex.references(tree))


def coordinate(problem: Problem, name: str, use: str) -> Coordinate:
    """The coordinates of one outer node.

    use : as `uses` has it, or "shape": of the law of a latent that is not Gaussian, which has none at zero.
    """
    node = problem.graph.nodes[name]
    shape = problem.shape(name)
    domain, start = _domain(problem, name)
    size = free_places(problem, name).size
    if domain.kind in ("covariance", "correlation"):
        return _matrix_coordinate(name, domain.kind, shape, start)
    if domain.kind in ("ordered", "simplex"):
        d = shape[-1]
        batch = size // d
        length = batch * (d if domain.kind == "ordered" else d - 1)
        free = np.full(length, np.inf)
        return Coordinate(
            name, domain.kind, length, -free, free, np.zeros(length, bool), "other", 0, batch, start
        )
    if domain.kind != "interval":
        raise NotLowered(f"'{name}' is {domain.kind}: no coordinates for that yet")
    positive = domain.lower == 0 and domain.upper == math.inf
    symmetric = positive and use == "scale" and only_a_scale(problem.graph, name)
    kind = "log" if positive and use in ("residual", "precision", "shape") else "identity"
    prior = node.kind == "stochastic"  # a prior's density stands on one side only: keep the bound
    lower = -math.inf if kind == "log" or (symmetric and not prior) else domain.lower
    return Coordinate(
        node=node.name,
        kind=kind,
        length=size,
        lower=np.full(size, lower),
        upper=np.full(size, domain.upper),
        symmetric=np.full(size, symmetric),
        use=use,
        start=start,
    )


def free_places(problem: Problem, name: str) -> NDArray[np.int64]:
    """Flat places of an outer node that no `=` statement gives."""
    return np.concatenate(
        [c.places for c in cells(problem, name) if not isinstance(c.statement, Deterministic)]
    )


def _matrix_coordinate(name: str, kind: str, shape: tuple[int, ...], start: float | None) -> Coordinate:
    d = shape[-1]
    batch = int(np.prod(shape[:-2], dtype=np.int64)) if shape[:-2] else 1
    if kind == "covariance":
        i, j = lower_triangle(d)
        diagonal = np.tile(i == j, batch)
        free = np.full(diagonal.size, np.inf)
        return Coordinate(name, "cholesky", diagonal.size, -free, free, diagonal, "matrix", d, batch, start)
    size = batch * d * (d - 1) // 2
    right = np.full(size, math.pi / 2)
    return Coordinate(name, "partial", size, -right, right, np.zeros(size, bool), "matrix", d, batch, start)


def _domain(problem: Problem, name: str) -> tuple[Domain, float | None]:
    domain: Domain | None = None
    start: float | None = None
    for statement in problem.graph.nodes[name].statements:
        match statement:
            case Parameter(domain=stated, start=value):
                domain = stated or Domain("interval")
                start = value
            case Stochastic(distribution=d) | Joint(distribution=d):
                domain = _support(d)
            case _:
                continue  # some levels are given
    return domain or Domain("interval"), start


def _support(d: Distribution) -> Domain:
    """Values that a prior allows, from its family's support."""
    inner = d.argument("distribution")
    if d.family == "Truncated" and isinstance(inner, Distribution):
        return _truncated_support(d, inner)
    if d.family in WRAPPERS:
        raise NotLowered(f"a prior {d.family} has no coordinates here yet")
    law = family(d.family)
    kind = law.support.kind
    if kind in ("covariance", "correlation"):
        return Domain(kind)
    if kind not in ("real", "interval"):
        raise NotLowered(f"a prior {d.family} has no coordinates here yet")
    return Domain("interval", _bound(d, law.support.lower, -math.inf), _bound(d, law.support.upper, math.inf))


def _truncated_support(d: Distribution, inner: Distribution) -> Domain:
    """The inner support cut by limits that are plain numbers."""
    within = _support(inner)
    if within.kind != "interval":
        raise NotLowered(f"a prior Truncated({inner.family}) has no coordinates here yet")
    lower, upper = _number(d.argument("lower"), -math.inf), _number(d.argument("upper"), math.inf)
    return Domain("interval", max(within.lower, lower), min(within.upper, upper))


def _bound(d: Distribution, bound: object, default: float) -> float:
    if bound is None:
        return default
    if isinstance(bound, int | float):
        return float(bound)
    values = [_number(d.argument(p.name), p.default) for p in family(d.family).parameters]
    from dagmodels.distributions import _numeric

    return float(bound(_numeric, *values))  # type: ignore[operator]


def _number(value: object, default: float | None) -> float:
    match value:
        case None if default is not None:
            return default
        case ex.Number(number):
            return float(number)
        case ex.Unary("-", ex.Number(number)):
            return -float(number)
        case _:
            raise NotLowered("a support whose bounds are not plain numbers has no coordinates yet")


def canonical(d: Distribution, value: object, functions: Functions) -> list[object]:
    """The family's parameters in order, alternatives translated. `value` evaluates an argument."""
    law = family(d.family)
    given = {key: value(tree) for key, tree in d.arguments}  # type: ignore[operator]
    for names, formula in law.signatures.items():
        if set(names) == set(given):
            return list(formula(functions, *(given[n] for n in names)))
    for name, (target, formula) in law.alternatives.items():
        if name in given:
            given[target] = formula(functions, given.pop(name))
    return [given.get(p.name, p.default) for p in law.parameters]


def log_prior(lowering: Lowering, functions: Functions, name: str) -> list[tuple[int, int]]:
    """Registers of the log prior density of an outer node, with how many entries each has."""
    problem = lowering.problem
    found = []
    register = lowering.node(name)
    for share in cells(problem, name):
        if not isinstance(share.statement, Stochastic):
            continue
        d = share.statement.distribution
        law = None if d.family in WRAPPERS else family(d.family)
        if law is not None and law.event:
            found.append((_matrix_prior(lowering, functions, name, d), 1))
            continue
        rows = share.rows
        at = register if share.whole else lowering.recorder.gather(register, share.places)

        def argument(tree: object, rows: object = rows) -> Traced:
            assert isinstance(tree, ex.Expression)
            v = lowering.value(tree, rows)  # type: ignore[arg-type]
            return functions.traced(v.register if v.key is None else lowering.full(v, rows))  # type: ignore[arg-type]

        if law is None:
            density = _wrapped_density(functions, d, at, argument)
        else:
            density = law.log_density(functions, functions.traced(at), *canonical(d, argument, functions))
        length = lowering.recorder.length(density.register)
        found.append((density.register, rows.n if length == 1 and rows.n > 1 else 1))
    return found


def _wrapped_density(
    functions: Functions, d: Distribution, at: int, argument: Callable[[ex.Expression], Any]
) -> Traced:
    """The log density of a truncated law, over the namespace that knows its tails."""
    from dagmodels.forms.jets import Jets
    from dagmodels.forms.leaf_laws import LawReader

    jets = Jets(functions)

    def refused(tree: ex.Expression) -> Any:
        raise NotLowered(f"a prior {d.family} with vectors as parameters has no coordinates here yet")

    reader = LawReader(lambda tree: jets.jet(argument(tree)), refused, jets)
    return reader.log_density(d, jets.jet(functions.traced(at))).value


def _matrix_prior(lowering: Lowering, functions: Functions, name: str, d: Distribution) -> int:
    """The log prior density of a matrix node, one entry a matrix."""
    problem = lowering.problem
    plates = problem.graph.nodes[name].plates
    order = problem.plates[plates[-1]].size
    base = problem.rows(plates[:-2])

    def argument(tree: object) -> object:
        assert isinstance(tree, ex.Expression)
        free = vectors.free_plates(tree, base)
        if not free and not isinstance(tree, ex.Vector):
            v = lowering.value(tree, base)
            return functions.traced(v.register)
        register, block = vectors.register(lowering, tree, base, order)
        size = order * order
        if (block == 0).all() and lowering.recorder.length(register) == size:
            return functions.traced(register, order)
        index = (block[:, None] * size + np.arange(size)[None, :]).reshape(-1)
        return functions.traced(lowering.recorder.gather(register, index), order)

    x = functions.traced(lowering.node(name), order)
    density = family(d.family).log_density(functions, x, *canonical(d, argument, functions))
    return density.register
