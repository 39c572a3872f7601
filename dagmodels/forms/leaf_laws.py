"""A leaf's law as a family with its arguments read as jets: wrappers, mixtures and vectors of arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dagmodels.distributions import Family, family
from dagmodels.distributions.censored import censored
from dagmodels.distributions.mixture import mixture
from dagmodels.distributions.truncated import truncated
from dagmodels.errors import ModelError
from dagmodels.forms.jet_tails import Entries
from dagmodels.forms.jets import Jet, Jets
from dagmodels.forms.lower import NotLowered
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution

Number = Callable[[ex.Expression], Jet]
Vector = Callable[[ex.Expression], Entries]


@dataclass(frozen=True, slots=True)
class LawReader:
    """Turns a distribution into a family and its parameters.

    number, vector : read a scalar and a vector argument, one entry a row. jets : the namespace.
    """

    number: Number
    vector: Vector
    jets: Jets

    def log_density(self, law: Distribution, x: Jet) -> Jet:
        """The log density at x."""
        if law.family not in ("Truncated", "Censored", "Mixture"):
            law = on_link_scale(law)
            names = tuple(key for key, _ in law.arguments)
            stated = family(law.family).direct.get(names)
            if stated is not None:
                values = (self._argument(tree, 0) for _, tree in law.arguments)
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
        vectors = {a.name for a in found.parameters if a.shape}
        own = {id(tree): 1 if key in vectors else 0 for key, tree in d.arguments}
        return found, canonical(d, lambda tree: self._argument(tree, own[id(tree)]), self.jets)

    def _argument(self, tree: object, shape: int) -> Jet | Entries:
        assert isinstance(tree, ex.Expression)
        return self.vector(tree) if shape else self.number(tree)


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
