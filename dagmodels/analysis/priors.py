"""What prior an unknown without one could have: a law on its own domain, as an example for messages."""

from __future__ import annotations

from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Domain, Parameter

WHOLE_LINE, POSITIVE = "Normal(0, 10)", "HalfNormal(5)"


def example_prior(dag: Dag, name: str) -> str:
    """A statement that would do, such as `R[k, k2] ~ LKJCorr(2)`."""
    node = dag.nodes[name]
    head = f"{name}[{', '.join(node.plates)}]" if node.plates else name
    domains = [s.domain for s in node.statements if isinstance(s, Parameter)]
    domain = domains[0] if domains else None
    law = _law(domain) if domains or not _is_half(dag, name) else POSITIVE
    return f"{head} ~ {law}"


def _law(domain: Domain | None) -> str:
    if domain is None:
        return WHOLE_LINE
    match domain.kind:
        case "covariance":
            return "InverseWishart(nu, Psi)"
        case "correlation":
            return "LKJCorr(2)"
        case "simplex":
            return "Dirichlet(1)"
        case "ordered":
            return f"Ordered({WHOLE_LINE})"
        case _:
            return _interval(domain.lower, domain.upper)


def _interval(lower: float, upper: float) -> str:
    if lower == 0 and upper == float("inf"):
        return POSITIVE
    if lower == float("-inf"):
        return WHOLE_LINE if upper == float("inf") else f"Truncated({WHOLE_LINE}, upper={upper:g})"
    if upper == float("inf"):
        return f"Truncated({WHOLE_LINE}, lower={lower:g})"
    return "Beta(1, 1)" if (lower, upper) == (0, 1) else f"Uniform({lower:g}, {upper:g})"


def _is_half(dag: Dag, name: str) -> bool:
    """Whether a node is `HalfFlat()`."""
    laws = [getattr(s, "distribution", None) for s in dag.nodes[name].statements]
    return any(law is not None and law.family == "HalfFlat" for law in laws)


__all__ = ["example_prior"]
