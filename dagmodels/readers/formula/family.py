"""Families and links of generalised models: a mean's expression, and the law of the response."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache

from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.readers.formula.deparse import deparse
from dagmodels.readers.formula.syntax import Call, Name, Node, Text, parse, refuse

Inverse = Callable[[ex.Expression], ex.Expression]

LINKS: Mapping[str, Inverse] = {
    "identity": lambda eta: eta,
    "logit": lambda eta: ex.Call("expit", (eta,)),
    "probit": lambda eta: ex.Call("Phi", (eta,)),
    "cloglog": lambda eta: ex.Call("icloglog", (eta,)),
    "log": lambda eta: ex.Call("exp", (eta,)),
    "inverse": lambda eta: 1 / eta,
    "1/mu^2": lambda eta: 1 / ex.Call("sqrt", (eta,)),
    "sqrt": lambda eta: eta**2,
}
ORDINAL = {"logit": "OrderedLogistic", "probit": "OrderedProbit", "cloglog": "OrderedCloglog"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a law is made of.

    mean : inside its link; the linear predictor for grades. spread : the parameter of spread.
    shape : a second one. trials : of successes. positive : probability of no structural zero, or None.
    cut : the cut points of grades. link : its name.
    """

    mean: ex.Expression
    spread: ex.Expression
    shape: ex.Expression
    trials: ex.Expression | None = None
    positive: ex.Expression | None = None
    cut: ex.Expression | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of responses.

    name : R's.
    links : the first one is the default.
    law : see `Parts`.
    dispersion : name of the parameter of spread, "" where there is none. shown : its name in results
        where these have its reciprocal. shape : name of a second parameter, "" where there is none.
    whole : counts. support : what values a response may have, in words; least, most : closed limits,
        open ones where `strict`.
    weighted : weights divide the variance. trials : counts of successes among trials.
    zeros : "" where ziformula has no meaning, "inflated", or "hurdle" (no zeros without ziformula).
    ordered : grades.
    """

    name: str
    links: tuple[str, ...]
    law: Callable[[Parts], Distribution]
    dispersion: str = ""
    shown: str = ""
    shape: str = ""
    whole: bool = False
    support: str = "finite"
    least: float = -math.inf
    most: float = math.inf
    strict: bool = False
    weighted: bool = False
    trials: bool = False
    zeros: str = ""
    ordered: bool = False


def _binomial(p: Parts) -> Distribution:
    if p.positive is not None:
        trials = ex.Number(1) if p.trials is None else p.trials
        return _law("ZeroInflatedBinomial", psi=p.positive, n=trials, p=p.mean)
    return _law("Bernoulli", p=p.mean) if p.trials is None else _law("Binomial", n=p.trials, p=p.mean)


def _poisson(p: Parts) -> Distribution:
    if p.positive is not None:
        return _law("ZeroInflatedPoisson", psi=p.positive, mu=p.mean)
    return _law("Poisson", mu=p.mean)


def _negative_binomial(first: bool) -> Callable[[Parts], Distribution]:
    """By the dispersion, whose limit zero is the Poisson: variance m + m^2 d, or m (1 + d) (`first`)."""

    def law(p: Parts) -> Distribution:
        d = p.spread / p.mean if first else p.spread
        if p.positive is not None:
            return _law("ZeroInflatedNegativeBinomial", psi=p.positive, mu=p.mean, dispersion=d)
        return _law("NegativeBinomial", mu=p.mean, dispersion=d)

    return law


def _truncated_negative_binomial(first: bool) -> Callable[[Parts], Distribution]:
    def law(p: Parts) -> Distribution:
        d = p.spread / p.mean if first else p.spread
        return _law("HurdleNegativeBinomial", psi=_positive(p), mu=p.mean, dispersion=d)

    return law


def _positive(p: Parts) -> ex.Expression:
    return ex.Number(1) if p.positive is None else p.positive


def _beta_binomial(p: Parts) -> Distribution:
    trials = ex.Number(1) if p.trials is None else p.trials
    return _law("BetaBinomial", n=trials, alpha=p.mean * p.spread, beta=(1 - p.mean) * p.spread)


def _cumulative(p: Parts) -> Distribution:
    assert p.cut is not None
    return _law(ORDINAL[p.link], eta=p.mean, cutpoints=p.cut)


def _law(name: str, **arguments: ex.Expression) -> Distribution:
    return Distribution(name, tuple(arguments.items()))


_PROPORTION = ("logit", "probit", "cloglog")
_COUNT = ("log", "sqrt", "identity")
_POISSON = Family(
    "poisson", _COUNT, _poisson, whole=True, support="not negative", least=0.0, zeros="inflated"
)
_NBINOM2 = replace(
    _POISSON,
    name="negative.binomial",
    law=_negative_binomial(False),
    dispersion="dispersion",
    shown="theta",
)
_BETWEEN = {"support": "between 0 and 1", "least": 0.0, "most": 1.0}
_POSITIVE = {"support": "positive", "least": 0.0, "strict": True, "weighted": True}
_BEYOND_ZERO = {"zeros": "hurdle", "support": "not negative"}

FAMILIES: Mapping[str, Family] = {
    f.name: f
    for f in (
        Family(
            "gaussian",
            ("identity", "log", "inverse"),
            lambda p: _law("Normal", mu=p.mean, sigma=p.spread),
            "sigma",
            weighted=True,
        ),
        Family("binomial", _PROPORTION, _binomial, trials=True, zeros="inflated", **_BETWEEN),
        _POISSON,
        Family(
            "Gamma",
            ("inverse", "log", "identity"),
            lambda p: _law("Gamma", alpha=p.spread, beta=p.spread / p.mean),
            "shape",
            **_POSITIVE,
        ),
        _NBINOM2,
        replace(_NBINOM2, name="nbinom1", law=_negative_binomial(True), shown=""),
        Family(
            "inverse.gaussian",
            ("1/mu^2", "inverse", "log", "identity"),
            lambda p: _law("Wald", mu=p.mean, lam=p.spread),
            "shape",
            **_POSITIVE,
        ),
        Family(
            "beta",
            _PROPORTION,
            lambda p: _law("Beta", mu=p.mean, nu=p.spread),
            "phi",
            support="between 0 and 1, ends excluded",
            least=0.0,
            most=1.0,
            strict=True,
        ),
        Family("betabinomial", _PROPORTION, _beta_binomial, "phi", trials=True, **_BETWEEN),
        Family(
            "t",
            ("identity", "log", "inverse"),
            lambda p: _law("StudentT", nu=p.shape, mu=p.mean, sigma=p.spread),
            "sigma",
            shape="df",
        ),
        replace(
            _POISSON,
            name="truncated_poisson",
            law=lambda p: _law("HurdlePoisson", psi=_positive(p), mu=p.mean),
            **_BEYOND_ZERO,
        ),
        replace(_NBINOM2, name="truncated_nbinom2", law=_truncated_negative_binomial(False), **_BEYOND_ZERO),
        replace(
            _NBINOM2,
            name="truncated_nbinom1",
            law=_truncated_negative_binomial(True),
            shown="",
            **_BEYOND_ZERO,
        ),
        Family("cumulative", ("logit", "probit", "cloglog"), _cumulative, ordered=True),
    )
}
_ALIASES = {
    "gamma": "Gamma",
    "negative_binomial": "negative.binomial",
    "nbinom": "negative.binomial",
    "nbinom2": "negative.binomial",
    "bernoulli": "binomial",
    "normal": "gaussian",
    "inverse_gaussian": "inverse.gaussian",
    "beta_family": "beta",
    "beta_binomial": "betabinomial",
    "t_family": "t",
    "student": "t",
    "ordinal": "cumulative",
    "hurdle_poisson": "truncated_poisson",
    "hurdle_nbinom2": "truncated_nbinom2",
    "hurdle_nbinom1": "truncated_nbinom1",
}
_LATER = ("quasi", "quasibinomial", "quasipoisson", "tweedie", "multinomial")


def wants_zeros(family: str) -> bool:
    """Whether a family's name is short for one with `ziformula="~ 1"`."""
    return family.strip().startswith("hurdle_")


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
        lowered = {k.lower(): k for k in (*FAMILIES, *_ALIASES)}
        near = get_close_matches(name.lower(), lowered, 1, 0.75)
        hint = f"did you mean '{lowered[near[0]]}'? " if near else ""
        refuse(f"the family '{name}' {what}.", f"{hint}known families: {known}", family)
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
        case Call(name, (("" | "link", inner),)):
            return name, deparse(inner)
        case _:
            refuse(f"'{family}' is no family.", 'write "binomial" or "binomial(probit)"', family)
    raise AssertionError("unreachable")
