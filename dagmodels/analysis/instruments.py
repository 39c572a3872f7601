"""Model-implied instruments, found in the graph.

Bollen (1996, Psychometrika 61:109) replaces each latent variable by its scaling indicator less that
indicator's error; Bollen and Bauer (2004, Sociol. Methods Res. 32:425) find in the model which observed
variables are then independent of the composite error of an equation and so may be its instruments.
"""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.analysis.linearity import ONE
from dagmodels.analysis.paths import Paths, paths
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation between observed variables.

    name : the variable whose equation it is. response : observed; a latent variable's scaling indicator.
    terms : (variable of the model, observed stand-in, coefficient) of each cause.
    errors : variables whose residuals the composite error contains.
    instruments : observed variables that no total effect of these residuals reaches.
    """

    name: str
    response: str
    terms: tuple[tuple[str, str, ex.Expression], ...]
    errors: tuple[str, ...]
    instruments: tuple[str, ...]

    @property
    def identified(self) -> bool:
        """Whether there is an instrument for each regressor (the order condition)."""
        return len(self.instruments) >= len(self.terms)

    def __str__(self) -> str:
        right = " + ".join(stand for _, stand, _ in self.terms)
        return f"{self.response} ~ {right} | {' + '.join(self.instruments) or 'no instruments'}"


def instruments(dag: Dag) -> tuple[Equation, ...]:
    """The equations with their instruments, in the order of the graph.

    Latent variables whose scale no indicator sets (no loading of one) have no observed stand-in; equations
    that they occur in are left out.

    Raises
    ------
    ModelErrors : the graph is no model of exchangeable units.
    """
    p = paths(dag)
    scaling = _scaling(p)
    found = []
    for name in p.variables:
        causes = [a for a in p.arrows if a.child == name]
        if not causes or name in p.exact or scaling.get(name, name) is None:
            continue
        if name in p.observed and any(scaling.get(a.parent) == name for a in causes):
            continue  # a scaling indicator's own equation defines its latent variable
        stands = {n: scaling.get(n, n) for n in (name, *(a.parent for a in causes))}
        if any(s is None for s in stands.values()):
            continue
        errors = {name} | {str(s) for n, s in stands.items() if s != n}
        terms = tuple((a.parent, str(stands[a.parent]), a.coefficient) for a in causes)
        usable = _free_of(p, errors - p.exact)
        usable -= {str(stands[name])}
        order = tuple(n for n in p.variables if n in usable)
        found.append(Equation(name, str(stands[name]), terms, tuple(sorted(errors)), order))
    return tuple(found)


def _scaling(p: Paths) -> dict[str, str | None]:
    """For each latent variable the indicator with a loading of one and no other cause."""
    found: dict[str, str | None] = {}
    for f in p.variables:
        if f in p.observed:
            continue
        own = [
            a.child
            for a in p.arrows
            if a.parent == f and a.child in p.observed and a.coefficient in (ONE, ex.Number(1.0))
        ]
        alone = [c for c in own if p.parents(c) == (f,)]
        found[f] = next(iter(alone), None)
    for f in p.exact:  # `f = x - nu`: the indicator is its parent
        near = [a.parent for a in p.arrows if a.child == f and a.parent in p.observed]
        if f in found and len(near) == 1:
            found[f] = near[0]
    return found


def _free_of(p: Paths, errors: set[str]) -> set[str]:
    """Observed variables that are independent of the residuals: neither reached by one nor by one that
    covaries with it."""
    linked = set(errors)
    for c in p.arcs:
        if c.left in errors:
            linked.add(c.right)
        if c.right in errors:
            linked.add(c.left)
    reached: set[str] = set()
    for e in linked:
        reached |= p.below(e)
    return {n for n in p.observed if n not in reached}
