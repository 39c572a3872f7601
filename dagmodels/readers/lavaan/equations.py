"""The structural equations of a table: one for each variable, and the covariances of their residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.readers.lavaan.parameters import Parameters
from dagmodels.readers.lavaan.rows import Table
from dagmodels.readers.lavaan.trees import number, times

Pair = tuple[str, str]


@dataclass(slots=True)
class Equation:
    """`name = intercept + coefficients*parents + residual`.

    intercept, variance : None for zero.
    terms : coefficients (None for one) and parents, in the order of the table.
    observed : data will be given.
    divisor : what all of the right side is divided by; None for one.
    """

    name: str
    observed: bool
    intercept: ex.Expression | None = None
    terms: list[tuple[ex.Expression | None, str]] = field(
        default_factory=list[tuple[ex.Expression | None, str]]
    )
    variance: ex.Expression | None = None
    divisor: ex.Expression | None = None


@dataclass(slots=True)
class Equations:
    """Equations by variable, covariates, and covariances by pair."""

    by_name: dict[str, Equation]
    covariates: tuple[str, ...]
    covariances: dict[Pair, ex.Expression]
    saturated: dict[str, str]


def equations(table: Table, parameters: Parameters, level: int, faults: list[ModelError]) -> Equations:
    """The equations of a level (0 in models of one level)."""
    _everywhere(table, level, faults)
    covariates = _covariates(table, level, faults)
    if faults:
        return Equations({}, (), {}, {})
    outside = set(covariates)
    latent, observed = table.latent, table.observed
    if level:
        here = {n for r in table.elements if r.level == level for n in (r.lhs, r.rhs)}
        latent = tuple(v for v in latent if v in here)
        observed = tuple(v for v in observed if v in here)
    by_name = {v: Equation(v, False) for v in latent}
    by_name.update((v, Equation(v, True)) for v in observed if v not in outside)
    found = Equations(by_name, covariates, {}, {})
    silent: dict[str, str] = {}
    for key, cells in parameters.cells.items():
        if key[3] != level or any(r is not None and r.exogenous for r in cells):
            continue
        tree = parameters.tree(key)
        if tree is not None:
            _enter(found, key[:3], tree)
        elif key[1] == "~" and key[2] in outside:
            silent.setdefault(key[2], key[0])
    used = {p for e in by_name.values() for _, p in e.terms}
    for name, child in silent.items():  # coefficients of zero keep a covariate among the data
        if name not in used:
            by_name[child].terms.append((number(0.0), name))
    if not table.meanstructure:
        _saturate(found, parameters)
    for a, b in found.covariances:
        outside_one = next((n for n in (a, b) if n not in by_name), None)
        if outside_one is not None:
            message = f"'{a}' and '{b}' covary, and '{outside_one}' is exogenous."
            faults.append(ModelError(message, hint="write fixed_x=False", node=outside_one))
    measured = set(latent)
    for name, equation in found.by_name.items():
        equation.terms.sort(key=lambda term: term[1] not in measured)  # latent parents first
        variance = None if equation.variance is None else ex.literal(equation.variance)
        if variance is not None and variance < 0:
            faults.append(_negative(table, name, variance))
    return found


def _everywhere(table: Table, level: int, faults: list[ModelError]) -> None:
    """Every group has the same variables, in the same roles."""
    groups: dict[tuple[str, bool], set[int]] = {}
    latent = {(r.lhs, r.group) for r in table.elements if r.op in ("=~", "<~")}
    for row in table.elements:
        if row.level == level and row.op == "~~" and row.lhs == row.rhs:
            groups.setdefault((row.lhs, (row.lhs, row.group) in latent), set()).add(row.group)
    for (name, _), found in groups.items():
        if len(found) < len(table.groups):
            labels = ", ".join(table.groups[g - 1] or str(g) for g in sorted(found))
            message = f"'{name}' stands in group {labels} only, or is something else in the others."
            faults.append(ModelError(message, hint="let every group have the same variables", node=name))


def _covariates(table: Table, level: int, faults: list[ModelError]) -> tuple[str, ...]:
    """Variables whose moments are those of the data, in every group."""
    exogenous: dict[str, set[int]] = {}
    for row in table.rows:
        if row.exogenous and row.level == level and row.op == "~~" and row.lhs == row.rhs:
            exogenous.setdefault(row.lhs, set()).add(row.group)
    for name, groups in exogenous.items():
        if len(groups) < len(table.groups):
            message = f"'{name}' is exogenous in some groups only."
            faults.append(ModelError(message, hint="write fixed_x=False", node=name))
    return tuple(exogenous)


def _enter(found: Equations, key: tuple[str, str, str], tree: ex.Expression) -> None:
    lhs, op, rhs = key
    match op:
        case "=~":
            if rhs != lhs:
                found.by_name[rhs].terms.append((tree, lhs))
        case "~" | "<~":
            found.by_name[lhs].terms.append((tree, rhs))
        case "~1":
            found.by_name[lhs].intercept = tree
        case "~~" if lhs == rhs:
            found.by_name[lhs].variance = tree
        case "~~":
            found.covariances[(lhs, rhs)] = tree
        case _:
            pass


def _saturate(found: Equations, parameters: Parameters) -> None:
    """Free intercepts of the observed variables of a model without means."""
    plates = (ex.PlateIndex(parameters.group),) if parameters.group else ()
    for name, equation in found.by_name.items():
        if equation.observed:
            node = parameters.free_name(f"{name}~1")
            found.saturated[name] = node
            equation.intercept = ex.Reference(node, plates)


def _negative(table: Table, name: str, value: float) -> ModelError:
    line = next((r.line for r in table.rows if r.key == (name, "~~", name)), 0)
    message = f"The variance of '{name}' is fixed at {value:g}."
    return ModelError(message, hint="fix it at a positive number", line=line or None, node=name)


def rename(found: Equations, names: Mapping[str, str]) -> None:
    """Other names in every equation and covariance; the order of the equations stays."""
    found.by_name = {names.get(n, n): e for n, e in found.by_name.items()}
    for name, equation in found.by_name.items():
        equation.name = name
        equation.terms = [(c, names.get(p, p)) for c, p in equation.terms]
    found.covariances = {(names.get(a, a), names.get(b, b)): t for (a, b), t in found.covariances.items()}


def swap(found: Equations, faults: list[ModelError]) -> dict[str, str]:
    """Observed variables without residual variance take over the law of a latent parent.

    Where x = nu + l*f + ... exactly, x has the law of f moved and stretched, and f is a function of x:
    a graph that every backend can use, which a Normal with a scale of zero is not.

    Returns
    -------
    The indicator of each latent variable that became deterministic.
    """
    swapped: dict[str, str] = {}
    for name, equation in list(found.by_name.items()):
        if not equation.observed or equation.variance is not None:
            continue
        if any(name in pair for pair in found.covariances):
            _covaries(name, found, faults)
            continue
        term = next((t for t in equation.terms if _carries(t, found, swapped)), None)
        if term is None:
            message = f"'{name}' has no residual variance and no latent variable to carry its variation."
            faults.append(ModelError(message, hint=f"write {name} ~~ {name}", node=name))
            continue
        swapped[term[1]] = name
        _swap(found, equation, term)
        if any(p == name for _, p in equation.terms):
            message = f"'{name}' has no residual variance, so it is '{term[1]}', which depends on it."
            faults.append(ModelError(message, hint=f"write {name} ~~ {name}", node=name))
    return swapped


def _carries(term: tuple[ex.Expression | None, str], found: Equations, swapped: Mapping[str, str]) -> bool:
    parent = found.by_name.get(term[1])
    return (
        parent is not None
        and not parent.observed
        and parent.variance is not None
        and parent.name not in swapped
    )


def _swap(found: Equations, equation: Equation, term: tuple[ex.Expression | None, str]) -> None:
    coefficient, latent = term
    law = found.by_name[latent]
    one = coefficient is None or ex.literal(coefficient) == 1.0
    others = [t for t in equation.terms if t is not term]
    back = Equation(latent, False, divisor=None if one else coefficient)
    back.terms.append((None, equation.name))
    back.terms += [(_minus(c), parent) for c, parent in others]
    back.intercept = None if equation.intercept is None else _minus(equation.intercept)
    factor = None if one else coefficient
    moved = [(_product(factor, c), parent) for c, parent in law.terms]
    equation.terms = moved + others
    equation.intercept = _plus(
        equation.intercept, None if law.intercept is None else _product(factor, law.intercept)
    )
    assert law.variance is not None
    square = None if factor is None else ex.Binary("**", factor, ex.Number(2))
    equation.variance = _product(square, law.variance)
    for pair in [p for p in found.covariances if latent in p]:
        tree = found.covariances.pop(pair)
        renamed = tuple(equation.name if n == latent else n for n in pair)
        scaled = _product(factor, tree)
        assert scaled is not None
        found.covariances[(renamed[0], renamed[1])] = scaled
    found.by_name[latent] = back


def _covaries(name: str, found: Equations, faults: list[ModelError]) -> None:
    other = next(a if b == name else b for a, b in found.covariances if name in (a, b))
    faults.append(
        ModelError(
            f"'{name}' has no residual variance, but a covariance with '{other}'.",
            hint=f"write {name} ~~ 0*{other}, or free the variance: {name} ~~ NA*{name}",
            node=name,
        )
    )


def deterministic(found: Equations, faults: list[ModelError]) -> set[str]:
    """Latent variables without residual variance."""
    names = {n for n, e in found.by_name.items() if e.variance is None and not e.observed}
    for name in names:
        if any(name in pair for pair in found.covariances):
            _covaries(name, found, faults)
    return names


def _minus(tree: ex.Expression | None) -> ex.Expression:
    value = 1.0 if tree is None else ex.literal(tree)
    if value is not None:
        return number(-value)
    assert tree is not None
    return ex.Unary("-", tree)


def _product(factor: ex.Expression | None, tree: ex.Expression | None) -> ex.Expression | None:
    if factor is None or tree is None:
        return tree if factor is None else factor
    return times(factor, tree)


def _plus(a: ex.Expression | None, b: ex.Expression | None) -> ex.Expression | None:
    return b if a is None else a if b is None else ex.Binary("+", a, b)
