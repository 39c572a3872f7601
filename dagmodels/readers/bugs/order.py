"""Ranks, sorted vectors and lengths: sums over a second copy of a vector's elements."""

from __future__ import annotations

from dataclasses import replace

from dagmodels.graph import expression as ex
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.covariates import numbers_of
from dagmodels.readers.bugs.scope import Scope, Unsayable
from dagmodels.readers.bugs.spaces import Space
from dagmodels.readers.bugs.sums import vectors

MOST = 64  # elements of a vector that is sorted: each of them is compared with each for each place


def placed(scope: Scope, call: sx.Fn) -> ex.Expression:
    """`rank(x[])`, `sort(x[])` or `order(x[])`, where the vector's plate stands for an empty index.

    The rank of x[k] is how many are not above it; the k-th of the sorted ones is that of rank k, and its
    gradient is that of the element that has it.
    """
    own = vectors(call)
    if len(own) != 1 or len(call.arguments) != 1 or not scope.whole:
        hint = f"give the result a node of its own: r[1:n] <- {call.name}(x[])"
        raise Unsayable(f"{call.name} takes one vector, and gives one", call.at, hint)
    (var,) = own
    axes = [k for k, i in enumerate(var.indices or ()) if isinstance(i, sx.Whole | sx.Span)]
    space, plate = scope.parts.spaces.dim(var.name, axes[-1]), scope.whole[-1]
    if len(axes) != 1 or scope.bound.get(plate, space) is not space:
        raise Unsayable(f"{sx.text(call)} has another length than what it defines", call.at)
    if call.name == "rank":
        return _rank(scope, call.arguments[0], space, plate)
    if space.size > MOST and not scope.names.trial:
        told = f"{call.name} of {space.size} elements"
        raise Unsayable(told, call.at, f"up to {MOST} are sorted; take rank(), or sort draws afterwards")
    other = scope.free(space, scope.whole)
    inside = replace(scope, bound={**scope.bound, other: space}, whole=(*scope.whole[:-1], other))
    here = ex.Binary("==", _rank(inside, call.arguments[0], space, other), numbers_of(scope, space, plate))
    value = numbers_of(scope, space, other) if call.name == "order" else _element(inside, call.arguments[0])
    return ex.Reduction("sum", ex.Binary("*", here, value), (other,))


def _rank(scope: Scope, argument: sx.Expr, space: Space, plate: str) -> ex.Expression:
    other = scope.free(space, (*scope.whole, plate))
    inside = replace(scope, bound={**scope.bound, other: space}, whole=(*scope.whole[:-1], other))
    return ex.Reduction(
        "sum", ex.Binary("<=", _element(inside, argument), _element(scope, argument)), (other,)
    )


def _element(scope: Scope, argument: sx.Expr) -> ex.Expression:
    from dagmodels.readers.bugs.trees import translated

    return translated(scope, argument)


def length(scope: Scope, var: sx.Var) -> ex.Expression:
    """How many elements an array has, which the plates tell."""
    spaces = [
        scope.parts.spaces.dim(var.name, k)
        for k, i in enumerate(var.indices or ())
        if isinstance(i, sx.Whole | sx.Span)
    ]
    if not spaces:
        raise Unsayable("length takes a vector", var.at, f"write length({var.name}[])")
    plates: tuple[str, ...] = ()
    for space in spaces:
        plates += (scope.free(space, plates),)
    return ex.Reduction("sum", ex.Number(1), plates)


__all__ = ["length", "placed"]
