"""What the criterion is called: likelihood, restricted likelihood or between, by what was integrated."""

from __future__ import annotations

from dagmodels.analysis.roles import Roles
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Joint, Parameter, Stochastic


def flat_nodes(dag: Dag, roles: Roles) -> list[str]:
    """Integrated nodes of which at least some elements are flat."""
    return [
        name
        for name in roles.integrated
        if any(
            isinstance(s, Stochastic | Joint) and s.distribution.family == "Flat"
            for s in dag.nodes[name].statements
        )
    ]


def maximised_coefficients(dag: Dag, roles: Roles) -> list[str]:
    """Coefficients without prior: those that are profiled, and beside integrals that are approximations the
    parameters on the whole line."""
    found = list(roles.profiled)
    if roles.curved:
        for name in roles.outer:
            if any(isinstance(s, Parameter) and s.domain is None for s in dag.nodes[name].statements):
                found.append(name)
    return found


def measure(dag: Dag, roles: Roles) -> str:
    """The criterion's name in `Fit.measures`: "deviance", "REML" or "partly_restricted"."""
    if not flat_nodes(dag, roles):
        return "deviance"
    return "partly_restricted" if maximised_coefficients(dag, roles) else "REML"


def method(dag: Dag, roles: Roles) -> str:
    """What was maximised, in a few words."""
    by = " by Laplace's approximation" if roles.curved else ""
    exact = "" if roles.curved else "exact "
    if any(dag.nodes[n].kind == "stochastic" for n in roles.outer):
        return f"mode of the {exact}marginal posterior{by}"
    match measure(dag, roles):
        case "REML":
            return f"{exact}restricted maximum likelihood (REML){by}"
        case "deviance":
            return f"{exact}maximum likelihood (ML){by}"
        case _:
            flat, solved = flat_nodes(dag, roles), maximised_coefficients(dag, roles)
            told = f"flat: {', '.join(flat)}; maximised: {', '.join(solved)}"
            return f"{exact}partly restricted maximum likelihood{by} ({told})"
