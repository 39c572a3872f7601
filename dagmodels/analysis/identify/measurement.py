"""Indicators of latent variables: which serve in the two- and three-indicator rules, and what they settle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

from dagmodels.analysis.identify.diagram import FIXED, FREE, OTHER, Diagram


@dataclass(frozen=True, slots=True)
class Measured:
    """A latent variable that its indicators identify.

    by : the indicators that settle it. rest : others whose loading then follows. outside : what the first two
    covary with, where there are two.
    """

    latent: str
    by: tuple[str, ...]
    rest: tuple[str, ...]
    outside: str = ""

    @property
    def indicators(self) -> tuple[str, ...]:
        return (*self.by, *self.rest)


@dataclass(frozen=True, slots=True)
class Settlement:
    """whole : the diagram. found : what indicators identify, first-order factors first.
    reduced : the diagram in which these factors stand for their indicators and count as observed, as far as
    errors covary with those of other such indicators alone (the two-step rule of Bollen 1989, 328): means and
    covariances of the two diagrams then tell the same."""

    whole: Diagram
    found: tuple[Measured, ...]
    reduced: Diagram


def settle(d: Diagram) -> Settlement:
    """Settle latent variables by their indicators, then those that are measured by settled ones."""
    found: dict[str, Measured] = {}
    reduced = d
    while True:
        new = {f: m for f in reduced.latents if f not in found and (m := measured(reduced, f)) is not None}
        found |= new
        kept = _less(reduced, tuple(new.values()))
        if kept == reduced:
            return Settlement(d, tuple(found.values()), reduced)
        reduced = kept


def _less(d: Diagram, new: tuple[Measured, ...]) -> Diagram:
    """The diagram without the indicators of new factors."""
    gone = {x for m in new for x in m.indicators}
    while any(not d.partners(x) <= gone for x in gone):
        gone = {x for x in gone if d.partners(x) <= gone}
    of = {m.latent: [x for x in m.indicators if x in gone] for m in new}
    if any(all(y in d.partners(x) for x in of[f] for y in of[g]) for f, g in combinations(of, 2)):
        gone = {x for x in gone if not d.partners(x)}  # else nothing might tell how two factors covary
    known = {m.latent for m in new if gone & set(m.indicators)}
    return replace(
        d,
        variables=tuple(v for v in d.variables if v not in gone),
        observed=d.observed - gone | known,
        arrows={k: v for k, v in d.arrows.items() if not gone & set(k)},
        arcs={k: v for k, v in d.arcs.items() if not gone & k},
        variances={k: v for k, v in d.variances.items() if k not in gone},
    )


def scaled(d: Diagram, f: str) -> bool:
    """Whether a number sets the scale of a latent variable: its variance, or a loading."""
    return d.variances.get(f) == FIXED or any(k == FIXED for (a, _), k in d.arrows.items() if a == f)


def usable(d: Diagram, f: str) -> tuple[str, ...]:
    """Observed variables that depend on f alone, cause nothing, and whose errors are independent of f."""
    above = d.above(f)
    return tuple(
        x for x in d.children(f)
        if x in d.observed and x not in d.given | d.exact | d.odd and d.parents(x) == (f,)
        and not d.children(x) and not d.partners(x) & above and d.arrows[f, x] != OTHER
    )  # fmt: skip


def by_three(d: Diagram, f: str) -> Measured | None:
    """Three indicators with uncorrelated errors: loadings are ratios of their covariances."""
    if f in d.odd | d.exact:
        return None
    for triple in combinations(usable(d, f), 3):
        if all(b not in d.partners(a) for a, b in combinations(triple, 2)):
            return _with_scale(d, Measured(f, triple, _rest(d, f, triple)))
    return None


def by_two(d: Diagram, f: str) -> Measured | None:
    """Two indicators with uncorrelated errors and a variable that covaries with f and with neither error."""
    if f in d.odd | d.exact:
        return None
    for a, b in combinations(usable(d, f), 2):
        if b in d.partners(a):
            continue
        near = {u for x in (a, b) for p in d.partners(x) for u in d.below(p)} | {a, b}
        for z in d.variables:
            if z in d.observed and z not in near | d.odd and d.covary(f, z):
                return _with_scale(d, Measured(f, (a, b), _rest(d, f, (a, b)), z))
    return None


def measured(d: Diagram, f: str) -> Measured | None:
    """By three indicators, or by two."""
    return by_three(d, f) or by_two(d, f)


def _with_scale(d: Diagram, m: Measured) -> Measured | None:
    """The same, if one of the loadings is a number, or the variance of a factor that has no causes."""
    loading = any(d.arrows[m.latent, x] == FIXED for x in m.indicators)
    variance = not d.parents(m.latent) and d.variances.get(m.latent) == FIXED
    return m if loading or variance else None


def _rest(d: Diagram, f: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Indicators whose covariance with one that is known gives their loading."""
    found = list(known)
    grown = True
    while grown:
        new = [x for x in usable(d, f) if x not in found and any(k not in d.partners(x) for k in found)]
        found += new
        grown = bool(new)
    return tuple(x for x in found if x not in known)


def own(d: Diagram, f: str, x: str) -> bool:
    """Whether loading (or the number in its place) and error variance of an indicator are its own."""
    return d.arrows[f, x] in (FREE, FIXED) and d.variances.get(x) == FREE
