"""A leaf's law as a family with its arguments read as jets: wrappers, mixtures and vectors of arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dagmodels.distributions import WRAPPERS, Family, family
from dagmodels.distributions.censored import censored
from dagmodels.distributions.mixture import mixture
from dagmodels.distributions.ordered import ordered
from dagmodels.distributions.truncated import truncated
from dagmodels.errors import ModelError
from dagmodels.forms.jets import Jet, Jets
from dagmodels.forms.lower import NotLowered
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution

Number = Callable[[ex.Expression], Jet]


@dataclass(frozen=True, slots=True)
class LawReader:
    """Turns a distribution into a family and its parameters.

    number, vector : read a scalar and a vector argument, one entry a row. jets : the namespace.
    matrix : reads a matrix argument, for forms that hold such.
    """

    number: Number
    vector: Callable[[ex.Expression], Any]
    jets: Jets
    matrix: Callable[[ex.Expression], Any] | None = None

    def log_density(self, law: Distribution, x: Jet) -> Jet:
        """The log density at x."""
        if law.family not in WRAPPERS:
            law = on_link_scale(law)
            names = tuple(key for key, _ in law.arguments)
            found = family(law.family)
            stated = found.direct.get(names)
            if stated is not None:
                values = (self._argument(tree, _shape(found, key)) for key, tree in law.arguments)
                return self.jets.jet(stated(self.jets, x, *values))
        found, arguments = self.law(law)
        return self.jets.jet(found.log_density(self.jets, x, *arguments))

    def law(self, d: Distribution) -> tuple[Family, list[object]]:
        """The family, wrappers included, and its parameters in order."""
        match d.family:
            case "Truncated" | "Censored":
                inner = d.argument("distribution")
                assert isinstance(inner, Distribution)
                base, arguments = self.law(inner)
                limits = [
                    self.jets.jet(none) if (tree := d.argument(side)) is None else self._argument(tree, 0)
                    for side, none in (("lower", -math.inf), ("upper", math.inf))
                ]
                wrap = truncated if d.family == "Truncated" else censored
                try:
                    return wrap(base), [*arguments, *limits]
                except ModelError as error:
                    raise NotLowered(str(error)) from None
            case "Ordered" if self.matrix is not None:
                inner = d.argument("distribution")
                assert isinstance(inner, Distribution)
                base, arguments = replace(self, number=self.vector).law(inner)
                return ordered(base), arguments
            case "Mixture":
                parts = d.argument("components")
                assert isinstance(parts, tuple)
                laws = [self.law(p) for p in parts if isinstance(p, Distribution)]
                weights = self._argument(d.argument("weights"), 1)
                every = [a for _, arguments in laws for a in arguments]
                return mixture([f for f, _ in laws]), [weights, *every]
            case _:
                return self._plain(d)

    def _plain(self, d: Distribution) -> tuple[Family, list[object]]:
        from dagmodels.forms.coordinates import canonical

        found = family(d.family)
        own = {id(tree): _shape(found, key) for key, tree in d.arguments}
        return found, canonical(d, lambda tree: self._argument(tree, own[id(tree)]), self.jets)

    def _argument(self, tree: object, shape: int) -> Any:
        assert isinstance(tree, ex.Expression)
        if shape == 2 and self.matrix is not None:
            return self.matrix(tree)
        return self.vector(tree) if shape else self.number(tree)


def _shape(found: Family, name: str) -> int:
    """Axes of a parameter, or of the one that an alternative name stands for."""
    name = found.alternatives[name][0] if name in found.alternatives else name
    return next((a.shape for a in found.parameters if a.name == name), 0)


def on_link_scale(law: Distribution) -> Distribution:
    """p=expit(e) as logit_p=e, where the family states its density in that."""
    changed = tuple(
        ("logit_p", tree.arguments[0])
        if key == "p" and isinstance(tree, ex.Call) and tree.function == "expit"
        else (key, tree)
        for key, tree in law.arguments
    )
    stated = family(law.family).direct
    return replace(law, arguments=changed) if tuple(k for k, _ in changed) in stated else law


def families_in(d: Distribution) -> list[str]:
    """Names of the families that a law is made of."""
    if d.family in ("Truncated", "Censored"):
        inner = d.argument("distribution")
        return families_in(inner) if isinstance(inner, Distribution) else []
    if d.family == "Mixture":
        parts = d.argument("components")
        assert isinstance(parts, tuple)
        return [name for p in parts if isinstance(p, Distribution) for name in families_in(p)]
    return [d.family]
