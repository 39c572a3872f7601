"""Facts -> Verdict: is the graph linear and Gaussian given its outer unknowns?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.limited_chances import Limited, limited_chances
from dagmodels.analysis.roles import Roles, roles
from dagmodels.analysis.unit import NoUnit, Unit, unit
from dagmodels.backends.laplace.cost import cost
from dagmodels.fits.field.judge import field_verdict, names
from dagmodels.graph.dag import Dag
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts


FORMS = ("field", "moments")

# least squares by their weights
SQUARES = {
    "ULS": "unweighted least squares",
    "GLS": "generalised least squares",
    "WLS": "weighted least squares",
    "DWLS": "diagonally weighted least squares",
}


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    dag, choice = facts.graph, facts.form
    if facts.unknown_laws:
        named = ", ".join(f"'{n}'" for n in facts.unknown_laws)
        told = f"{named}: of unknown distribution, so no density to approximate (em estimates it)"
        return Verdict("laplace", accepts=False, because=(told,))
    if choice.form == "moments":
        return moments_verdict(dag, choice.why, facts.options)
    found = roles(dag, facts.problem)
    key = ("laplace verdict", id(found))  # the roles of a graph are kept as long as it is
    if key not in dag.memo:
        dag.memo[key] = found, field_verdict("laplace", dag, found)
    _, verdict = cast(tuple[Roles, Verdict], dag.memo[key])
    if not verdict.accepts:
        return verdict
    if found.curved and (limited := limited_chances(dag, facts.problem)) is not None:
        return Verdict("laplace", accepts=False, because=(_of_limits(limited),))
    told = (f"form: field, because {choice.why}",) if choice.why and isinstance(unit(dag), Unit) else ()
    return replace(verdict, because=(*verdict.because, *told), cost=cost(facts.problem, found))


def _of_limits(found: Limited) -> str:
    latents, limits = names(found.latents), names(found.limits)
    return (
        f"the chance of '{found.leaf}' rises with {latents} between limits that are unknown ({limits}): no "
        f"approximation at one mode tells them, and searches would take minutes; method='em' sums {latents} "
        "over nodes of quadrature"
    )


def moments_verdict(dag: Dag, why: str, options: Mapping[str, Any]) -> Verdict:
    """The answer for a graph that is to be fitted from moments; why : of the form. options : the user's."""
    found = unit_of_rows(dag)
    if isinstance(found, NoUnit):
        return Verdict("laplace", accepts=False, because=found.because)
    behind = [c.response for c in found.cuts]
    latent = [n for n in found.nodes if not dag.nodes[n].observed and n not in behind]
    outer = [
        n.name for n in dag.nodes.values() if n.role in ("latent", "parameter") and n.name not in found.nodes
    ]
    estimator = str(options.get("estimator", "DWLS" if found.cuts else "ML"))
    within = f", by {names(found.groups)}" if found.groups else ""
    own, both = (f" with its elements of '{found.inner}'", " at both levels") if found.inner else ("", "")
    seen = [n for n in found.nodes if dag.nodes[n].observed] + [c.name for c in found.cuts]
    moments = "means and covariances"
    if found.cuts:
        numbers = ", means and variances" if len(seen) > len(behind) else ""
        moments = f"thresholds and polychoric correlations{numbers}"
    return Verdict(
        "laplace",
        accepts=True,
        exact=not found.cuts,
        because=(
            f"every '{found.plate}'{own} is an independent draw of one linear Gaussian law{within}: "
            f"{names(seen)} enter by their {moments}{both}",
            f"form: moments, because {why}",
        ),
        method=_moments_method(dag, outer, estimator, moments),
        roles=(
            *(Role(n, "integrated", "Gaussian and linear") for n in latent),
            *(Role(n, "integrated", "cut at thresholds, which give the categories") for n in behind),
            *(Role(n, "outer", f"a number of the {moments}") for n in outer),
        ),
        rewrites=(Rewrite("compress", f"all elements of '{found.plate}' enter through {moments}{both}"),),
    )


def _moments_method(dag: Dag, outer: list[str], estimator: str, moments: str) -> str:
    if estimator != "ML":
        return f"{SQUARES.get(estimator, estimator)} ({estimator}) of {moments}"
    prior = any(dag.nodes[n].kind == "stochastic" for n in outer)
    return f"exact {'mode of the posterior' if prior else 'maximum likelihood (ML)'} from moments"
