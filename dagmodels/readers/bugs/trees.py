"""Expressions of BUGS -> trees of the language, inside the statement whose plates are bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.covariates import made, numbers_of
from dagmodels.readers.bugs.functions import EVERY, NAMES, NUMERIC, in_others, interpolated, usage
from dagmodels.readers.bugs.indices import computed_index, level, reference
from dagmodels.readers.bugs.numbers import NotFixed, number
from dagmodels.readers.bugs.order import length, placed
from dagmodels.readers.bugs.scope import Scope, Unsayable
from dagmodels.readers.bugs.spaces import REDUCING, Space
from dagmodels.readers.bugs.sums import MAX_TERMS, deviation, product, reduce, reductions

FUNCTIONS = {
    **{n: n for n in ("exp", "log", "sqrt", "abs", "logit", "probit", "cloglog", "icloglog")},
    **{n: n for n in ("sin", "cos", "arctan", "tanh", "floor")},
    "loggam": "lgamma",
    "ilogit": "expit",
    "phi": "Phi",
    "ifelse": "if_else",
}
_COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})


def _choice(scope: Scope, var: sx.Var, axis: int) -> ex.Expression:
    """`x[e]` for a computed number e: the sum of x[k] over the k that equal e."""
    assert var.indices is not None
    space = scope.parts.spaces.dim(var.name, axis)
    plate, index = scope.free(space), var.indices[axis]
    variable = f"{plate} "  # no name of the text
    loops = {**scope.loops, variable: (space, plate)}
    relation = replace(scope.relation, loops=(*scope.relation.loops, sx.Loop(variable, index, index, ())))  # type: ignore[arg-type]
    inner = replace(scope, relation=relation, loops=loops, bound={**scope.bound, plate: space})
    indices = tuple(sx.Var(variable) if k == axis else i for k, i in enumerate(var.indices))
    chosen = ex.Binary("==", translated(scope, index), numbers_of(scope, space, plate))
    return ex.Reduction(
        "sum", ex.Binary("*", chosen, translated(inner, sx.Var(var.name, indices, var.at))), (plate,)
    )


def _tree(scope: Scope, tree: sx.Index) -> ex.Expression:
    match tree:
        case sx.Num(value):
            return literal(value)
        case sx.Var():
            return _number(scope, tree)
        case sx.Neg(operand):
            return ex.Unary("-", translated(scope, operand))
        case sx.Op("%*%", _, _, at):
            return product(scope, tree, at)
        case sx.Op(op, left, right, at) if op in _COMPARE:
            return _compare(scope, op, left, right, at)
        case sx.Op("&&", left, right):
            return ex.Binary("*", _truth(scope, left), _truth(scope, right))
        case sx.Op("||", left, right):
            return ex.Call("max", (_truth(scope, left), _truth(scope, right)))
        case sx.Op(op, left, right):
            return ex.Binary("**" if op == "^" else op, translated(scope, left), translated(scope, right))
        case sx.Fn():
            return _function(scope, tree)
        case _:
            raise Unsayable("a range stands where a number is needed", tree.at)


def translated(scope: Scope, tree: sx.Index) -> ex.Expression:
    """The expression as a tree; what follows from data alone and has no words becomes a covariate."""
    try:
        return _tree(scope, tree)
    except Unsayable as error:
        if isinstance(tree, sx.Whole | sx.Span) or not scope.names.fixed(tree, scope.relation.variables):
            raise
        try:
            return made(scope, tree)
        except Unsayable:  # the data do not tell either
            raise error from None


def _truth(scope: Scope, tree: sx.Expr) -> ex.Expression:
    found = translated(scope, tree)
    if isinstance(found, ex.Binary) and found.operator in _COMPARE:
        return found
    return ex.Binary("!=", found, ex.Number(0))


def _number(scope: Scope, var: sx.Var) -> ex.Expression:
    if var.indices is None and var.name in scope.relation.variables:
        raise Unsayable(f"the loop variable {var.name} is used as a number", var.at)
    chosen = computed_index(scope, var)
    if chosen is not None:
        return _choice(scope, var, chosen)
    space = scope.parts.spaces.values(var.name) if scope.names.drawn(var.name, "dcat") else None
    if space is None:
        return reference(scope, var)
    plate = scope.free(space)
    equal = ex.Binary("==", reference(scope, var), ex.Reference(plate, ()))
    return ex.Reduction("sum", ex.Binary("*", equal, numbers_of(scope, space, plate)), (plate,))


def _compare(scope: Scope, op: str, left: sx.Expr, right: sx.Expr, at: int) -> ex.Expression:
    spaces = [_category(scope, s) for s in (left, right)]
    known = next((s for s in spaces if s is not None), None)
    if known is None:
        return ex.Binary(op, translated(scope, left), translated(scope, right))
    sides: list[ex.Expression] = []
    for side, own in zip((left, right), spaces, strict=True):
        if own is not None:
            assert isinstance(side, sx.Var)
            sides.append(reference(scope, side))
        elif isinstance(side, sx.Var) and side.name in scope.loops and scope.loops[side.name][0] is known:
            sides.append(ex.Reference(scope.loops[side.name][1], ()))
        elif scope.names.fixed(side):
            sides.append(ex.Number(level(scope, side, known, sx.Var(known.name))))
        else:
            raise Unsayable(f"{sx.text(side)} is compared with a node that has a dcat distribution", at)
    if op not in ("==", "!="):
        known.ordered = True
    return ex.Binary(op, sides[0], sides[1])


def _category(scope: Scope, tree: sx.Expr) -> Space | None:
    if isinstance(tree, sx.Var) and scope.names.drawn(tree.name, "dcat"):
        return scope.parts.spaces.values(tree.name)
    return None


def _function(scope: Scope, call: sx.Fn) -> ex.Expression:
    name, arguments = call.name, call.arguments
    if name in ("pow",) and len(arguments) == 2:
        return ex.Binary("**", translated(scope, arguments[0]), translated(scope, arguments[1]))
    if name == "equals" and len(arguments) == 2:
        return _compare(scope, "==", arguments[0], arguments[1], call.at)
    if name == "step" and len(arguments) == 1:
        return ex.Binary(">=", translated(scope, arguments[0]), ex.Number(0))
    if name == "inprod" and len(arguments) == 2:
        return reduce(scope, "sum", sx.Op("*", arguments[0], arguments[1], call.at), call.at)
    if name == "sd" and len(arguments) == 1:
        return deviation(scope, arguments[0], call.at)
    if name in REDUCING:
        return reductions(scope, call)
    if name == "inverse" and len(arguments) == 1 and isinstance(arguments[0], sx.Var):
        return ex.Call("inverse", (reference(scope, arguments[0]),))
    if name == "t" and len(arguments) == 1 and isinstance(arguments[0], sx.Var) and len(scope.whole) == 2:
        return reference(scope, arguments[0], scope.whole[::-1])
    if name in FUNCTIONS:
        arity = 3 if name == "ifelse" else 1
        if len(arguments) != arity:
            told = f"{name} takes {arity} argument{'s' * (arity > 1)}, not {len(arguments)}"
            raise Unsayable(told, call.at, f"write {name}({', '.join('abc'[:arity])})")
        return ex.Call(FUNCTIONS[name], tuple(translated(scope, a) for a in arguments))
    return _by_others(scope, call)


def _by_others(scope: Scope, call: sx.Fn) -> ex.Expression:
    """What is a formula of other functions, or of several copies of a set's elements."""
    name, arguments = call.name, call.arguments
    if name in ("rank", "sort", "order") and len(arguments) == 1:
        return placed(scope, call)
    if name == "length" and len(arguments) == 1 and isinstance(arguments[0], sx.Var):
        return length(scope, arguments[0])
    if name == "interp.lin" and len(arguments) == 3:
        return translated(scope, _interpolated(scope, call))
    formula = in_others(call)
    if formula is not None:
        return translated(scope, formula)
    told, wanted = f"The function '{name}' has no counterpart", usage(name)
    if wanted is not None:
        told = f"{name} takes {wanted.count(',') + 1} arguments, not {len(arguments)}"
        raise Unsayable(told, call.at, f"write {wanted}")
    if NAMES.get(name, name)[:1] in ("p", "q") and NAMES.get(name, name)[1:] in NUMERIC:
        hint = "it is computed of data alone; of draws take it afterwards, from fit.samples"
        raise Unsayable(f"{told} for unknowns", call.at, hint)
    raise Unsayable(told, call.at, _known(name))


def _interpolated(scope: Scope, call: sx.Fn) -> sx.Expr:
    e, *curve = call.arguments
    try:
        x, y = (np.asarray(number(v, scope.names.known, {})).reshape(-1) for v in curve)
    except NotFixed as error:
        hint = "give the places and the values as data"
        raise Unsayable(f"interp.lin goes along known points: {error}", call.at, hint) from None
    if x.size != y.size or x.size < 2 or x.size > MAX_TERMS or not (np.diff(x) > 0).all():
        told = f"interp.lin has {x.size} places and {y.size} values"
        raise Unsayable(told, call.at, f"give 2 to {MAX_TERMS} of both, the places increasing")
    return interpolated(e, x.tolist(), y.tolist(), call.at)


def literal(value: float) -> ex.Expression:
    """A number as the language writes it."""
    plain_value = int(value) if value == int(value) and abs(value) < 1e15 else value
    return ex.as_expression(plain_value)


def _known(name: str) -> str:
    import difflib

    every = [*FUNCTIONS, *REDUCING, "pow", "equals", "step", "inverse", "rank", "sort", "order", "length"]
    every += [n for n in EVERY if "." not in n and n[0] not in "dpq"] + ["interp.lin"]
    near = difflib.get_close_matches(name, every, n=1)
    return f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(sorted(every))
