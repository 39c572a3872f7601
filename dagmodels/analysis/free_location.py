"""A latent whose mean and children's intercepts are all free: its location is not identified."""

from __future__ import annotations

from collections.abc import Iterator

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import location
from dagmodels.analysis.linearity import Term, depends, linear_form
from dagmodels.analysis.uses import (
    Use,
    free_reference,
    in_spread,
    is_free,
    only_used_by,
)
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution


def free_location(dag: Dag, latent: str, law: Distribution, uses: list[Use]) -> Iterator[Finding]:
    """A free mean of the latent and a free intercept in every child: shift one, shift the others back."""
    mean = location(law)
    own = None if mean is None else _intercept(dag, mean, {latent}, ex.Number(1))
    if own is None or in_spread(law, {own}):
        return
    intercepts: dict[str, None] = {}
    for use in uses:
        if len(use.form.terms) != 1:
            return
        name = _matching_intercept(dag, use)
        if name is None or in_spread(use.law, {name}) or any(depends(c, {name}) for c in _slopes(use)):
            return
        intercepts[name] = None
    if set(intercepts) & {own} or not all(only_used_by(dag, n, {u.child for u in uses}) for n in intercepts):
        return
    listed = ", ".join(f"'{n}'" for n in intercepts)
    yield Finding(
        "location",
        (own, *intercepts, latent),
        f"the mean of '{latent}' is not identified: '{own}' and {listed} can be shifted against each other",
        f"drop '{own}' (mean 0), or drop or fix one of the intercepts",
    )


def _slopes(use: Use) -> list[ex.Expression]:
    return [term.coefficient for term in use.form.terms]


def _matching_intercept(dag: Dag, use: Use) -> str | None:
    """A free term of the child that a shift of the latent could be undone by."""
    coefficient = use.form.terms[0].coefficient
    if isinstance(coefficient, ex.Number) or free_reference(dag, coefficient) is not None:
        return _intercept(dag, use.form.offset, {use.child}, ex.Number(1))
    return _intercept(dag, use.form.offset, {use.child}, coefficient)


def _intercept(dag: Dag, tree: ex.Expression, users: set[str], coefficient: ex.Expression) -> str | None:
    """A free parameter that a tree holds as `coefficient * parameter`, used by these nodes alone."""
    names = {r.name for r in ex.references(tree) if is_free(dag, r.name)}
    form = linear_form(tree, names)
    terms = form.terms if form is not None else ()
    for term in terms:
        name = term.reference.name
        once = sum(t.reference.name == name for t in terms) == 1
        plain = term.coefficient == coefficient or _is_one(term, coefficient)
        if once and plain and not term.plates and only_used_by(dag, name, users):
            return name
    return None


def _is_one(term: Term, coefficient: ex.Expression) -> bool:
    return coefficient == ex.Number(1) and isinstance(term.coefficient, ex.Number)
