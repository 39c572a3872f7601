"""Sums, products, means, largest and smallest elements, products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.indices import full, reference
from dagmodels.readers.bugs.numbers import NotFixed, along, number
from dagmodels.readers.bugs.relations import Relation, plain
from dagmodels.readers.bugs.rows import vanishes
from dagmodels.readers.bugs.scope import Scope, Unsayable
from dagmodels.readers.bugs.spaces import REDUCING, Space

MAX_TERMS = 64  # of a sum that is written out


def reductions(scope: Scope, call: sx.Fn) -> ex.Expression:
    """sum, mean, prod, max and min: of one vector, or of several arguments."""
    from dagmodels.readers.bugs.trees import translated

    wholes = [bool(vectors(a)) for a in call.arguments]
    if call.name == "mean":
        if len(call.arguments) != 1 or not wholes[0]:
            raise Unsayable("mean takes one vector", call.at, "write mean(x[])")
        return reduce(scope, "mean", call.arguments[0], call.at)
    parts: list[ex.Expression] = []
    for argument, vector in zip(call.arguments, wholes, strict=True):
        if not vector:
            parts.append(translated(scope, argument))
        elif call.name in ("max", "min"):
            parts.append(_written_out(scope, call.name, argument, call.at))
        else:
            parts.append(reduce(scope, call.name, argument, call.at))
    if not parts:
        raise Unsayable(f"{call.name} has no argument", call.at, f"write {call.name}(x[])")
    return _chain(call.name, parts)


def deviation(scope: Scope, body: sx.Expr, at: int) -> ex.Expression:
    """The standard deviation of a vector, with n - 1 as R has it."""
    own = vectors(body)
    if not own:
        raise Unsayable("sd needs a vector", at, "write sd(x[])")
    square = sx.Op("^", sx.Op("-", body, sx.Fn("mean", (body,), at), at), sx.Num(2.0), at)
    total = reduce(scope, "sum", square, at)
    if not isinstance(total, ex.Reduction):
        raise Unsayable("sd over a part of a vector", at, "give the part a node of its own")
    count = ex.Reduction("sum", ex.Number(1), total.plates)
    return ex.Call("sqrt", (ex.Binary("/", total, ex.Binary("-", count, ex.Number(1))),))


def reduce(scope: Scope, kind: str, body: sx.Expr, at: int) -> ex.Expression:
    """A sum, product or mean over the elements of the vectors in an expression."""
    from dagmodels.readers.bugs.trees import translated

    own_vectors = vectors(body)
    if not own_vectors:
        raise Unsayable(f"{kind} needs a vector", at, f"write {kind}(x[])")
    first = own_vectors[0]
    if first.name in scope.parts.spaces.pairs:
        return _reduce_pairs(scope, kind, body, first, at)
    axes = [k for k, i in enumerate(first.indices or ()) if isinstance(i, sx.Whole | sx.Span)]
    own = [scope.parts.spaces.dim(first.name, k) for k in axes]
    spans = [(i, own[0]) for v in own_vectors for i in v.indices or () if isinstance(i, sx.Span)]
    if kind == "sum" and vanishes(scope, body):
        spans = []
    if spans and not all(
        full(scope, i, _dim_of(scope, v, i))
        for v in own_vectors
        for i in v.indices or ()
        if isinstance(i, sx.Span)
    ):
        return _written_out(scope, kind, body, at)
    plates: tuple[str, ...] = ()
    for space in own:
        plates += (scope.free(space, plates),)
    conflict = any(p != s.name for p, s in zip(plates, own, strict=True))
    alone = not {v.name for v in sx.variables(body)} & set(scope.relation.variables)
    if conflict and alone and scope.bound:
        return _outside(scope, kind, body, at)
    if any(s.parents and any(id(b) in s.parents for b in scope.bound.values()) for s in own):
        raise Unsayable(f"{kind} goes over elements of other {own[0].name}", at, "give it a line of its own")
    bound = {**scope.bound, **dict(zip(plates, own, strict=True))}
    inner = replace(scope, bound=bound, whole=plates)
    return ex.Reduction(kind, translated(inner, body), plates)


def _dim_of(scope: Scope, var: sx.Var, index: sx.Index) -> Space:
    axis = next(k for k, i in enumerate(var.indices or ()) if i is index)
    return scope.parts.spaces.dim(var.name, axis)


def _reduce_pairs(scope: Scope, kind: str, body: sx.Expr, var: sx.Var, at: int) -> ex.Expression:
    """Over a row, `sum(y[i, 1:n[i]])`: the elements of the nested plate that belong to an outer one."""
    from dagmodels.readers.bugs.trees import translated

    space = scope.parts.spaces.dim(var.name, 0)
    first, second = var.indices or (sx.Whole(), sx.Whole())
    picked = plain(first, scope.relation.variables)
    outer = scope.loops.get(picked[0]) if picked is not None and picked[1] == 0 else None
    inside = outer is not None and id(outer[0]) in space.parents and space.name not in scope.bound
    if picked is None or not inside or not _row(scope, second, picked[0], space):
        told = f"{sx.text(var)} is no row of '{var.name}', whose rows have different lengths"
        raise Unsayable(told, at, f"write {kind}({var.name}[i, 1:n[i]]) in the loop over i")
    pair = (space.name, picked[0], "", space)
    inner = replace(scope, bound={**scope.bound, space.name: space}, pair=pair)
    return ex.Reduction(kind, translated(inner, body), (space.name,))


def _row(scope: Scope, index: sx.Index, outer: str, space: Space) -> bool:
    """Whether a range is the whole row of each outer element."""
    if not isinstance(index, sx.Span) or space.pairs is None:
        return False
    relation = scope.relation
    try:
        low, high = (along(e, scope.names.known, relation.rows, relation.n) for e in (index.low, index.high))
    except NotFixed:
        return False
    counts = np.bincount(space.pairs[:, 0], minlength=int(relation.rows[outer].max(initial=0)) + 1)
    return bool((low == 1).all() and (high == counts[relation.rows[outer]]).all())


def _outside(scope: Scope, kind: str, body: sx.Expr, at: int) -> ex.Expression:
    """A reduction without loop variables, over a plate that is bound here: a node of its own."""
    name = f"{kind}({sx.text(body)})"
    if name not in scope.parts.sums:
        alone = Scope(scope.parts, Relation(scope.relation.statement), {}, {})
        tree = reduce(alone, kind, body, at)
        scope.parts.sums[name] = st.Deterministic(st.Head(name), tree)
    return ex.Reference(name, ())


def _written_out(scope: Scope, kind: str, body: sx.Expr, at: int) -> ex.Expression:
    """The elements of a part of a vector, one after the other."""
    from dagmodels.readers.bugs.trees import translated

    terms: list[ex.Expression] = []
    size: int | None = None
    for var in vectors(body):
        spans = [_elements(scope, var, i) for i in var.indices or () if isinstance(i, sx.Whole | sx.Span)]
        if len(spans) != 1 or (size is not None and len(spans[0]) != size):
            raise Unsayable(f"{sx.text(var)} does not fit into {kind}", var.at)
        size = len(spans[0])
    if not size or size > MAX_TERMS:
        raise Unsayable(
            f"{kind} over a part of {size or 0} elements",
            at,
            f"use at most {MAX_TERMS}, or a node of its own",
        )
    for k in range(size):
        terms.append(translated(scope, _element(body, k, lambda v, i: _elements(scope, v, i))))
    total = _chain("sum" if kind == "mean" else kind, terms)
    return ex.Binary("/", total, ex.Number(size)) if kind == "mean" else total


def _elements(scope: Scope, var: sx.Var, index: sx.Index) -> range:
    if isinstance(index, sx.Span):
        try:
            low, high = (int(number(e, scope.names.known, {})) for e in (index.low, index.high))
        except NotFixed as error:
            raise Unsayable(f"the range {sx.text(index)} is not known: {error}", index.at) from None
        return range(low, high + 1)
    space = _dim_of(scope, var, index)
    if scope.names.trial and not space.stated:
        raise Unsayable(f"the size of '{var.name}' is not known", var.at, "pass data=")
    return range(1, space.size + 1)


def product(scope: Scope, tree: sx.Op, at: int) -> ex.Expression:
    """A matrix times a vector or a matrix, at the element that is bound."""
    left, right = tree.left, tree.right
    if not scope.whole and all(len(vectors(v)) == 1 for v in (left, right)):  # x[i, ] %*% b is one number
        return reduce(scope, "sum", sx.Op("*", left, right, at), at)
    if not (isinstance(left, sx.Var) and isinstance(right, sx.Var)) or not scope.whole:
        raise Unsayable("%*% stands between two arrays, for a vector or a matrix", at, "use inprod(a[], b[])")
    axes = [
        [k for k, i in enumerate(v.indices or ()) if isinstance(i, sx.Whole | sx.Span)] for v in (left, right)
    ]
    if len(axes[0]) + len(axes[1]) - 2 != len(scope.whole) or not all(axes):
        raise Unsayable(f"{sx.text(tree)} has another shape than {sx.text(scope.relation.target)}", at)
    over = scope.free(scope.parts.spaces.dim(left.name, axes[0][-1]), scope.whole)
    space = scope.parts.spaces.dim(left.name, axes[0][-1])
    inner = replace(scope, bound={**scope.bound, over: space})
    outer = scope.whole[: len(axes[0]) - 1], scope.whole[len(axes[0]) - 1 :]
    body = ex.Binary(
        "*", reference(inner, left, (*outer[0], over)), reference(inner, right, (over, *outer[1]))
    )
    return ex.Reduction("sum", body, (over,))


def vectors(tree: sx.Index) -> list[sx.Var]:
    """Names with empty or ranged indices that a sum goes over; inner sums are their own affair."""
    if isinstance(tree, sx.Fn) and tree.name in REDUCING | {"length"}:
        return []
    own = []
    if isinstance(tree, sx.Var) and any(isinstance(i, sx.Whole | sx.Span) for i in tree.indices or ()):
        own = [tree]
    return own + [v for p in sx.parts(tree) for v in vectors(p)]


def _element(tree: sx.Expr, k: int, elements: Callable[[sx.Var, sx.Index], range]) -> sx.Expr:
    """The expression with the k-th element in place of every range."""
    match tree:
        case sx.Var(name, indices, at) if indices is not None:
            new = tuple(
                sx.Num(float(elements(tree, i)[k])) if isinstance(i, sx.Whole | sx.Span) else i
                for i in indices
            )
            return sx.Var(name, new, at)
        case sx.Op(op, left, right, at):
            return sx.Op(op, _element(left, k, elements), _element(right, k, elements), at)
        case sx.Neg(operand, at):
            return sx.Neg(_element(operand, k, elements), at)
        case sx.Fn(name, arguments, at) if name not in REDUCING:
            return sx.Fn(name, tuple(_element(a, k, elements) for a in arguments), at)
        case _:
            return tree


def _chain(kind: str, parts: list[ex.Expression]) -> ex.Expression:
    found = parts[0]
    for part in parts[1:]:
        if kind in ("max", "min"):
            found = ex.Call(kind, (found, part))
        else:
            found = ex.Binary("*" if kind == "prod" else "+", found, part)
    return found
