"""Facts -> Verdict: is the graph linear and Gaussian given its outer unknowns?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.laws import GAUSSIAN
from dagmodels.analysis.limited_chances import Limited, limited_chances
from dagmodels.analysis.roles import Roles, roles
from dagmodels.analysis.unit import NoUnit, Unit, unit
from dagmodels.backends.laplace.cost import cost
from dagmodels.backends.laplace.restricted import method
from dagmodels.forms.leaf_laws import families_in
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution, Joint, Stochastic
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts


# families whose log density, with any link, has its first and second derivatives on the tape
LEAVES = frozenset({
    "Bernoulli", "Binomial", "Poisson", "NegativeBinomial", "Geometric", "Gamma", "Exponential",
    "InverseGamma", "LogNormal", "Weibull", "StudentT", "Logistic", "Pareto", "Beta", "BetaBinomial",
    "VonMises", "OrderedLogistic", "OrderedProbit", "OrderedCloglog", "Categorical", "Wald",
    "ZeroInflatedPoisson", "ZeroInflatedBinomial", "ZeroInflatedNegativeBinomial", "HurdlePoisson",
    "HurdleNegativeBinomial",
})  # fmt: skip

# those of them whose distribution function has them too, for Truncated and Censored
CUMULATIVE = frozenset({
    "Normal", "LogNormal", "Logistic", "Exponential", "Weibull", "Pareto", "Wald", "Poisson",
    "NegativeBinomial", "Binomial", "Bernoulli", "Geometric", "ZeroInflatedPoisson", "ZeroInflatedBinomial",
    "ZeroInflatedNegativeBinomial", "HurdlePoisson", "HurdleNegativeBinomial",
})  # fmt: skip


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
        dag.memo[key] = found, _verdict(dag, found)
    _, verdict = cast(tuple[Roles, Verdict], dag.memo[key])
    if not verdict.accepts:
        return verdict
    if found.curved and (limited := limited_chances(dag, facts.problem)) is not None:
        return Verdict("laplace", accepts=False, because=(_of_limits(limited),))
    told = (f"form: field, because {choice.why}",) if choice.why and isinstance(unit(dag), Unit) else ()
    return replace(verdict, because=(*verdict.because, *told), cost=cost(facts.problem, found))


def _of_limits(found: Limited) -> str:
    latents, limits = _names(found.latents), _names(found.limits)
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
    within = f", by {_names(found.groups)}" if found.groups else ""
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
            f"{_names(seen)} enter by their {moments}{both}",
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


def _verdict(dag: Dag, found: Roles) -> Verdict:
    """The verdict but for its cost, which alone hangs on the sizes of the data."""
    reasons = refusals(dag, found)
    if reasons:
        return Verdict("laplace", accepts=False, because=tuple(reasons))
    return Verdict(
        "laplace",
        accepts=True,
        exact=not found.curved,
        because=(_why(dag, found),),
        method=method(dag, found),
        roles=_roles(found),
        rewrites=_rewrites(dag, found),
    )


def refusals(dag: Dag, found: Roles) -> list[str]:
    """Why this graph has no exact marginal likelihood here; empty when it has."""
    reasons = [f"'{name}' cannot be integrated: {why}" for name, why in found.refused.items()]
    block = set(found.block)
    observed = 0
    for statement in dag.statements:
        if isinstance(statement, Stochastic | Joint) and statement.observed:
            observed += 1
            law = statement.distribution.family
            name = statement.head.name if isinstance(statement, Stochastic) else statement.names[0]
            if name in found.collapsed_children:
                continue
            if law not in GAUSSIAN and name not in block and (lacking := _lacking(statement.distribution)):
                reasons.append(f"'{name}' is {lacking} has no second derivatives here yet")
            elif law == "Simultaneous":
                reasons.append(f"'{name}' is Simultaneous, which has no field form yet")
    if not observed:
        reasons.append("no node is observed: there is nothing to fit")
    reasons += _outer_refusals(dag, found)
    return reasons


def _lacking(law: Distribution) -> str:
    """The family whose density or distribution function the tape does not have; "" where there is none."""
    if law.family in ("Truncated", "Censored"):
        inside = [n for n in families_in(law) if n not in CUMULATIVE]
        return f"{law.family}({inside[0]}), and the distribution function of {inside[0]}" if inside else ""
    inside = [n for n in families_in(law) if n not in (*LEAVES, "Normal")]
    if law.family == "Mixture" and not inside:
        parts = law.argument("components")
        found = (
            [_lacking(p) for p in parts if isinstance(p, Distribution)] if isinstance(parts, tuple) else []
        )
        return next(filter(None, found), "")
    return f"{inside[0]}, whose density" if inside else ""


def _outer_refusals(dag: Dag, found: Roles) -> list[str]:
    from dagmodels.distributions import family

    reasons = []
    for name in found.outer:
        for statement in dag.nodes[name].statements:
            kind = ""
            if isinstance(statement, Stochastic | Joint):
                law = statement.distribution.family
                if law in ("Truncated", "Censored", "Ordered", "Mixture", "Table", "Simultaneous"):
                    reasons.append(f"the prior of '{name}' is {law}, which has no coordinates here yet")
                    continue
                kind = family(law).support.kind
                if family(law).event and kind not in ("covariance", "correlation", "simplex"):
                    kind = "matrix"
            domain = getattr(statement, "domain", None)
            if kind in ("simplex", "ordered", "matrix", "integer", "category") or (
                domain is not None
                and domain.kind in ("simplex", "ordered")
                and len(dag.nodes[name].statements) > 1
            ):
                reasons.append(
                    f"'{name}' is a {kind or domain.kind} unknown, which has no coordinates here yet"
                )
    return reasons


def _why(dag: Dag, found: Roles) -> str:
    observed = [n for n in _observed(dag, found) if n not in found.curved]
    told = "; ".join(f"'{name}' is integrated {pair.why}" for name, pair in found.collapsed.items())
    if told and not observed and not found.curved:
        return told
    if told:
        told += "; "
    if found.curved:
        curved = "; ".join(
            why if leaf in found.general else f"'{leaf}' is not Normal and linear in {why}"
            for leaf, why in found.curved.items()
        )
        verb = "is" if len(found.block) == 1 else "are"
        return f"{told}{_names(found.block)} {verb} integrated by Laplace's approximation: {curved}"
    given = f" given {_names(found.outer)}" if found.outer else ""
    verb = "is" if len(observed) == 1 else "are"
    return f"{told}{_names(observed)} {verb} Normal and linear in {_names(found.block)}{given}"


def _observed(dag: Dag, found: Roles) -> list[str]:
    """Observed nodes that are no part of a closed integral."""
    apart = found.collapsed_children
    return [n.name for n in dag.nodes.values() if n.role == "observed" and n.name not in apart]


def _names(names: object) -> str:
    quoted = [f"'{n}'" for n in names]  # type: ignore[attr-defined]
    if len(quoted) > 6:
        quoted = [*quoted[:5], f"{len(quoted) - 5} more"]
    return ", ".join(quoted) or "nothing unknown"


def _roles(found: Roles) -> tuple[Role, ...]:
    parts = (("integrated", found.integrated), ("profiled", found.profiled), ("outer", found.outer))
    closed = (Role(name, "integrated", pair.why) for name, pair in found.collapsed.items())
    return (*closed, *(Role(name, role, why) for role, group in parts for name, why in group.items()))


def _rewrites(dag: Dag, found: Roles) -> tuple[Rewrite, ...]:
    rewrites = []
    for name, pair in found.collapsed.items():
        children = _names({c.node: None for c in pair.children}) if pair.children else "no children"
        rewrites.append(
            Rewrite(
                "collapse", f"'{name}' is integrated in closed form, by sums over {children} of each element"
            )
        )
    if found.block:
        rewrites.append(
            Rewrite(
                "collapse",
                f"{_names(found.block)}: integrated at the conditional mode, found anew at every step"
                if found.curved
                else f"{_names(found.block)} enter linearly and are integrated or solved in closed form",
            )
        )
    if any(n not in found.curved for n in _observed(dag, found)):
        rewrites.append(
            Rewrite(
                "compress",
                "Gaussian observations enter through cross-products, summed once before the first iteration",
            )
        )
    return tuple(rewrites)
