"""Do declarations make sense by themselves: constants' shapes, parameters' domains, plates of covariates?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dagmodels.graph import statement as st
from dagmodels.graph.faults import Faults
from dagmodels.graph.scope import Plates, base


def scalars(statements: Iterable[st.Statement]) -> Mapping[str, float]:
    """Scalar constants by name."""
    return {
        s.name: s.value
        for s in statements
        if isinstance(s, st.Constant) and isinstance(s.value, int | float) and not s.plates
    }


def is_pair(plates: tuple[str, ...], table: Plates) -> bool:
    """Whether two names stand for the same elements: a plate and its alias."""
    return len(plates) == 2 and plates[0] != plates[1] and base(table, plates[0]) == base(table, plates[1])


def check(statements: Iterable[st.Statement], table: Plates, faults: Faults) -> None:
    for statement in statements:
        if isinstance(statement, st.Constant):
            _constant(statement, table, faults)
        elif isinstance(statement, st.Parameter):
            _parameter(statement, table, faults)


def _constant(constant: st.Constant, table: Plates, faults: Faults) -> None:
    name = constant.name
    shape = _shape(constant.value)
    if shape is None:
        faults.add(
            f"The rows of constant `{name}` have different lengths.",
            constant,
            node=name,
            hint="give every row as many numbers",
        )
        return
    if not _finite(constant.value):
        faults.add(
            f"Constant `{name}` has a number that is not finite.", constant, node=name, hint="remove it"
        )
    if len(shape) != len(constant.plates):
        depth = "a number" if not shape else f"nested {len(shape)} deep"
        faults.add(
            f"Constant `{name}` lies on {_count(len(constant.plates))}, but its literal is {depth}.",
            constant,
            node=name,
            hint="one bracket for each plate, such as `constant m[k] = [3, 10]`",
        )
        return
    for plate, size in zip(constant.plates, shape, strict=False):
        holder = table.get(base(table, plate))
        if holder is None or holder.levels is None or holder.parents:
            continue  # the data tell; a nested plate has its levels once in each parent element
        if len(holder.levels) != size:
            faults.add(
                f"Constant `{name}` has {size} entries for {plate}, which has {len(holder.levels)} levels.",
                constant,
                node=name,
                hint="one entry for each level, in their order",
            )


def _shape(value: st.Literal) -> tuple[int, ...] | None:
    """Lengths of a nested literal, or None when it is ragged."""
    if not isinstance(value, tuple):
        return ()
    inner = [_shape(v) for v in value]
    if not inner or any(s != inner[0] for s in inner):
        return None
    return None if inner[0] is None else (len(value), *inner[0])


def _finite(value: st.Literal) -> bool:
    if isinstance(value, tuple):
        return all(_finite(v) for v in value)
    return isinstance(value, int) or math.isfinite(value)


def _parameter(parameter: st.Parameter, table: Plates, faults: Faults) -> None:
    name, domain, start = parameter.name, parameter.domain, parameter.start
    if start is not None and not math.isfinite(start):
        faults.add(f"The start of `{name}` is not finite.", parameter, node=name, hint="write a number")
        return
    if domain is None:
        return
    if domain.kind == "interval":
        if not domain.lower < domain.upper:
            faults.add(
                f"The domain of `{name}` is empty: {domain.lower:g} is not below {domain.upper:g}.",
                parameter,
                node=name,
                hint="write the smaller bound first",
            )
        elif start is not None and not domain.lower <= start <= domain.upper:
            faults.add(
                f"The start {start:g} of `{name}` lies outside its domain.",
                parameter,
                node=name,
                hint=f"choose it between {domain.lower:g} and {domain.upper:g}",
            )
    elif domain.kind in ("ordered", "simplex"):
        if not parameter.plates:
            faults.add(
                f"`{name}` is {_article(domain.kind)} {domain.kind}"
                f"{' vector' if domain.kind == 'ordered' else ''}, so it needs a plate.",
                parameter,
                node=name,
                hint=f"write {name}[plate] {domain.kind}",
            )
    elif domain.kind in ("covariance", "correlation"):
        if not is_pair(parameter.plates[-2:], table):
            faults.add(
                f"`{name}` is a {domain.kind} matrix, so its last plates are a plate and its alias.",
                parameter,
                node=name,
                hint=f"write {name}[k, k2] {domain.kind}, with `plate k2 as k`",
            )
    else:
        faults.add(
            f"`{name}` has the unknown domain '{domain.kind}'.",
            parameter,
            node=name,
            hint="known: interval, ordered, simplex, covariance, correlation",
        )


def _count(plates: int) -> str:
    return "no plate" if not plates else "1 plate" if plates == 1 else f"{plates} plates"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
