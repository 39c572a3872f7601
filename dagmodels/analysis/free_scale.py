"""A latent whose scale and loadings are all free: its scale is not identified."""

from __future__ import annotations

from collections.abc import Iterator

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import location
from dagmodels.analysis.linearity import depends, linear_form
from dagmodels.analysis.uses import (
    Use,
    free_reference,
    in_spread,
    is_free,
    only_used_by,
    scale_parameter,
)
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution


def free_scale(dag: Dag, latent: str, law: Distribution, uses: list[Use]) -> Iterator[Finding]:
    """Scale and all loadings free: stretch the latent, shrink its loadings, nothing changes."""
    scale = scale_parameter(dag, law)
    mean = location(law)
    if scale is None or mean is None or not only_used_by(dag, scale, {latent}):
        return
    loadings: dict[str, None] = {}
    for use in uses:
        for term in use.form.terms:
            name = _loading(dag, term.coefficient)
            if name is None:
                return
            loadings[name] = None
    users = {u.child for u in uses}
    if not all(only_used_by(dag, name, users) for name in loadings) or not _stretches(dag, latent, mean):
        return
    if not _free_covariances(dag, latent) or any(_elsewhere(use, set(loadings)) for use in uses):
        return
    names = (scale, *loadings)
    listed = ", ".join(loadings)
    yield Finding(
        "scale",
        (*names, latent),
        f"the scale of '{latent}' is not identified: '{scale}' and all its loadings ({listed}) are free",
        f"fix one loading at 1, or give '{latent}' scale 1",
    )


def _loading(dag: Dag, tree: ex.Expression) -> str | None:
    """A free parameter that a coefficient has as a factor."""
    match tree:
        case ex.Binary("*", left, right):
            return _loading(dag, left) or _loading(dag, right)
        case ex.Binary("/", left, _):
            return _loading(dag, left)
        case _:
            return free_reference(dag, tree)


def _elsewhere(use: Use, names: set[str]) -> bool:
    """Whether a child uses these names otherwise than in the coefficients of the latent."""
    return depends(use.form.offset, names) or in_spread(use.law, names)


def _stretches(dag: Dag, latent: str, mean: ex.Expression) -> bool:
    """Whether the mean is zero or made of terms each with a free coefficient of its own."""
    names = {r.name for r in ex.references(mean) if is_free(dag, r.name)}
    form = linear_form(mean, names)
    if form is None or any(not only_used_by(dag, n, {latent}) for n in names):
        return False
    return form.offset in (ex.Number(0), ex.Number(0.0))


def _free_covariances(dag: Dag, latent: str) -> bool:
    """Whether every residual covariance of the latent is a free parameter of its own."""
    for c in dag.covariances:
        ends = {c.left.name, c.right.name}
        if latent in ends:
            name = free_reference(dag, c.expression)
            if name is None or not only_used_by(dag, name, ends):
                return False
    return True
