"""The support of an unknown's values, from its law or its stated domain; bounds are trees or numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagmodels.distributions import family
from dagmodels.forms.lower import NotLowered
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Domain

Bound = float | ex.Expression


@dataclass(frozen=True, slots=True)
class Region:
    """Where the values of one statement lie.

    kind : "interval", "simplex", "ordered", "covariance" or "correlation".
    lower, upper : of an interval; trees that are read on the statement's rows.
    """

    kind: str = "interval"
    lower: Bound = -math.inf
    upper: Bound = math.inf


class _Trees:
    """The functions that bounds are written with, over trees and numbers."""

    def _either(self, name: str, a: Any, b: Any) -> Any:
        if isinstance(a, int | float) and isinstance(b, int | float):
            return min(a, b) if name == "min" else max(a, b)
        for one, other in ((a, b), (b, a)):
            if isinstance(one, int | float) and math.isinf(one):
                none = math.inf if name == "min" else -math.inf
                return other if one == none else one
        return ex.Call(name, (ex.as_expression(a), ex.as_expression(b)))

    def min(self, a: Any, b: Any) -> Any:
        return self._either("min", a, b)

    def max(self, a: Any, b: Any) -> Any:
        return self._either("max", a, b)


def region_of(domain: Domain | None) -> Region:
    """Of a parameter."""
    if domain is None:
        return Region()
    return Region(domain.kind, domain.lower, domain.upper)


def region(law: Distribution) -> Region:
    """Of a continuous law."""
    match law.family:
        case "Ordered":
            return Region("ordered")
        case "Truncated":
            inner = law.argument("distribution")
            assert isinstance(inner, Distribution)
            own, f = region(inner), _Trees()
            lower, upper = _stated(law.argument("lower"), -math.inf), _stated(law.argument("upper"), math.inf)
            return Region("interval", f.max(own.lower, lower), f.min(own.upper, upper))
        case "Mixture":
            parts = law.argument("components")
            assert isinstance(parts, tuple)
            return _widest([region(p) for p in parts])
    found = family(law.family)
    if found.support.kind not in ("real", "interval"):
        return Region(found.support.kind)
    lower = _bound(law, found.support.lower, -math.inf)
    return Region("interval", lower, _bound(law, found.support.upper, math.inf))


def _widest(regions: Sequence[Region]) -> Region:
    """What holds all components' supports."""
    first = regions[0]
    if all(r == first for r in regions):
        return first
    numbers = [r for r in regions if isinstance(r.lower, float) and isinstance(r.upper, float)]
    if len(numbers) < len(regions):
        return Region()
    return Region("interval", min(r.lower for r in numbers), max(r.upper for r in numbers))  # type: ignore[type-var]


def _stated(tree: object, none: float) -> Bound:
    if tree is None:
        return none
    assert isinstance(tree, ex.Expression)
    number = ex.literal(tree)
    return float(number) if isinstance(number, int | float) else tree


def _bound(law: Distribution, bound: Any, none: float) -> Bound:
    """A bound that may depend on the law's arguments, which then are given by the family's own names."""
    if not callable(bound):
        return none if bound is None else float(bound)
    values = []
    for parameter in family(law.family).parameters:
        given = law.argument(parameter.name)
        if given is None and parameter.default is None:
            raise NotLowered(
                f"the support of {law.family} depends on '{parameter.name}', which is given in another form"
            )
        values.append(_stated(given, 0.0 if parameter.default is None else parameter.default))
    found: Bound = bound(_Trees(), *values)
    return found
