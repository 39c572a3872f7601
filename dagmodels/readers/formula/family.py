"""Families and links of generalised models: a mean's expression, and the law of the response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.readers.formula.syntax import Call, Name, Node, Text, parse, refuse

Inverse = Callable[[ex.Expression], ex.Expression]

LINKS: Mapping[str, Inverse] = {
    "identity": lambda eta: eta,
    "logit": lambda eta: ex.Call("expit", (eta,)),
    "probit": lambda eta: ex.Call("Phi", (eta,)),
    "cloglog": lambda eta: ex.Call("icloglog", (eta,)),
    "log": lambda eta: ex.Call("exp", (eta,)),
    "inverse": lambda eta: 1 / eta,
    "sqrt": lambda eta: eta**2,
}


@dataclass(frozen=True, slots=True)
class Family:
    """One family of responses.

    name : R's.
    links : the first one is the default.
    law : (mean, dispersion parameter, trials) -> distribution.
    dispersion : name of the parameter of spread, "" where there is none.
    support : what values a response may have, in words.
    """

    name: str
    links: tuple[str, ...]
    law: Callable[[ex.Expression, ex.Expression, ex.Expression | None], Distribution]
    dispersion: str = ""
    whole: bool = False
    support: str = ""


def _binomial(mean: ex.Expression, _: ex.Expression, trials: ex.Expression | None) -> Distribution:
    if trials is None:
        return Distribution("Bernoulli", (("p", mean),))
    return Distribution("Binomial", (("n", trials), ("p", mean)))


FAMILIES: Mapping[str, Family] = {
    f.name: f
    for f in (
        Family(
            "gaussian",
            ("identity", "log", "inverse"),
            lambda mu, sigma, _: Distribution("Normal", (("mu", mu), ("sigma", sigma))),
            "sigma",
        ),
        Family("binomial", ("logit", "probit", "cloglog"), _binomial, support="between 0 and 1"),
        Family(
            "poisson",
            ("log", "sqrt", "identity"),
            lambda mu, _, __: Distribution("Poisson", (("mu", mu),)),
            whole=True,
            support="not negative",
        ),
        Family(
            "Gamma",
            ("inverse", "log", "identity"),
            lambda mu, shape, _: Distribution("Gamma", (("alpha", shape), ("beta", shape / mu))),
            "shape",
            support="positive",
        ),
        Family(
            "negative.binomial",
            ("log", "sqrt", "identity"),
            lambda mu, theta, _: Distribution("NegativeBinomial", (("mu", mu), ("alpha", theta))),
            "theta",
            whole=True,
            support="not negative",
        ),
    )
}
_ALIASES = {
    "gamma": "Gamma",
    "negative_binomial": "negative.binomial",
    "nbinom": "negative.binomial",
    "nbinom2": "negative.binomial",
    "bernoulli": "binomial",
    "normal": "gaussian",
}
_LATER = ("inverse.gaussian", "quasi", "quasibinomial", "quasipoisson", "beta")


@lru_cache(maxsize=64)
def find(family: str, link: str | None = None) -> tuple[Family, str]:
    """A family and its link: `"binomial"`, `"binomial(probit)"`, `"Gamma(link = \\"log\\")"`.

    Raises
    ------
    ModelErrors : an unknown family, or a link it does not have.
    """
    name, inner = _read(family)
    name = _ALIASES.get(name, name)
    known = ", ".join(FAMILIES)
    if name not in FAMILIES:
        what = "has no model here yet" if name in _LATER else "is not known"
        refuse(f"the family '{name}' {what}.", f"known families: {known}", family)
    if link is not None and inner is not None and link != inner:
        refuse(f"two links are given, '{inner}' and '{link}'.", "give one", family)
    found = FAMILIES[name]
    chosen = link or inner or found.links[0]
    if chosen not in found.links:
        refuse(f"'{name}' has no link '{chosen}'.", f"it has {', '.join(found.links)}", family)
    return found, chosen


def _read(family: str) -> tuple[str, str | None]:
    """Name and link of `binomial(link = "probit")`."""
    node: Node = parse(f"~ {family}")[1]
    match node:
        case Name(name) | Call(name, ()):
            return name, None
        case Call(name, (("" | "link", Name(link) | Text(link)),)):
            return name, link
        case _:
            refuse(f"'{family}' is no family.", 'write "binomial" or "binomial(probit)"', family)
    raise AssertionError("unreachable")
