"""Is a graph linear and Gaussian given its outer unknowns, or has it leaves with second derivatives?"""

from __future__ import annotations

from dagmodels.analysis.laws import GAUSSIAN, families_of
from dagmodels.analysis.roles import Roles
from dagmodels.analysis.separation import ancestors
from dagmodels.fits.field.restricted import method
from dagmodels.forms.leaf_laws import families_in
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution, Joint, Stochastic
from dagmodels.plugin import Rewrite, Role, Verdict

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


def field_verdict(backend: str, dag: Dag, found: Roles) -> Verdict:
    """The verdict but for its cost, which alone hangs on the sizes of the data."""
    reasons = refusals(dag, found)
    if reasons:
        return Verdict(backend, accepts=False, because=tuple(reasons))
    return Verdict(
        backend,
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
    reasons += [
        f"'{n}' is a latent of each {names(dag.nodes[n].plates)} and cannot be integrated: {why}; its joint "
        "mode with the rest would be degenerate (em integrates up to three latents of a unit on nodes)"
        for n, why in found.outer.items()
        if _of_units(dag, n, found)
    ]
    reasons += _outer_refusals(dag, found)
    return reasons


def _of_units(dag: Dag, name: str, found: Roles) -> bool:
    """Whether a Normal node has an element for each unit, and other latents of the unit lie below it."""
    node = dag.nodes[name]
    units = {p for p in node.plates if dag.plate[p].levels is None}
    latent = (n for n in found.integrated if dag.nodes[n].role == "latent")
    below = [n for n in latent if units & set(dag.nodes[n].plates)]
    normal = node.kind == "stochastic" and families_of(node) <= {"Normal", "LogNormal", "MvNormal"}
    return normal and any(name in ancestors(dag, {n}) for n in below)


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
        return f"{told}{names(found.block)} {verb} integrated by Laplace's approximation: {curved}"
    given = f" given {names(found.outer)}" if found.outer else ""
    verb = "is" if len(observed) == 1 else "are"
    return f"{told}{names(observed)} {verb} Normal and linear in {names(found.block)}{given}"


def _observed(dag: Dag, found: Roles) -> list[str]:
    """Observed nodes that are no part of a closed integral."""
    apart = found.collapsed_children
    return [n.name for n in dag.nodes.values() if n.role == "observed" and n.name not in apart]


def names(found: object) -> str:
    """Nodes in quotes, a few of many."""
    quoted = [f"'{n}'" for n in found]  # type: ignore[attr-defined]
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
        children = names({c.node: None for c in pair.children}) if pair.children else "no children"
        rewrites.append(
            Rewrite(
                "collapse", f"'{name}' is integrated in closed form, by sums over {children} of each element"
            )
        )
    if found.block:
        rewrites.append(
            Rewrite(
                "collapse",
                f"{names(found.block)}: integrated at the conditional mode, found anew at every step"
                if found.curved
                else f"{names(found.block)} enter linearly and are integrated or solved in closed form",
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
