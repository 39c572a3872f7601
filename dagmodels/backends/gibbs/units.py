"""Which graphs are drawn by the moments of their units."""

from __future__ import annotations

from collections.abc import Iterator

from dagmodels.analysis.linearity import depends, linear_form
from dagmodels.analysis.unit import Unit, unit_given
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.statement import Deterministic, Joint, Stochastic


@remembered
def of_units(dag: Dag) -> Unit | None:
    """The unit whose moments hold the likelihood: of linear Gaussian graphs with free loadings, or relations
    that nothing but moments can hold. Others are collapsed, which integrates coefficients too."""
    found = unit_given(dag)
    if not isinstance(found, Unit) or found.cuts or found.inner:
        return None
    return found if found.needed or _loaded(dag, found) else None


def _loaded(dag: Dag, found: Unit) -> bool:
    """Whether an unknown number multiplies a latent node of the unit on its way to another."""
    inside = {*found.nodes, *found.derived, *found.covariates}
    latent = {n for n in (*found.nodes, *found.derived) if not dag.nodes[n].observed}
    kinds = ("latent", "parameter")
    unknown = {n.name for n in dag.nodes.values() if n.role in kinds or n.kind == "deterministic"} - inside
    for tree in _means(dag, found):
        form = linear_form(tree, inside)
        for term in () if form is None else form.terms:
            if term.reference.name in latent and depends(term.coefficient, unknown):
                return True
    return False


def _means(dag: Dag, found: Unit) -> Iterator[ex.Expression]:
    """The means of the unit's nodes, component by component."""
    for name in (*found.nodes, *found.derived):
        for statement in dag.nodes[name].statements:
            if isinstance(statement, Deterministic):
                yield statement.expression
            elif isinstance(statement, Stochastic | Joint):
                mean = statement.distribution.argument("mu")
                parts = mean.items if isinstance(mean, ex.Vector) else (mean,)
                yield from (p for p in parts if isinstance(p, ex.Expression))
