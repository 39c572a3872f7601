"""Latents whose law is neither Gaussian nor conjugate: the scale on which Laplace's method can take them.

Such a latent is integrated on an unconstrained scale z (itself, its logarithm, its log odds); its law, with
the Jacobian of that scale, is one more term of the joint log density.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dagmodels.analysis.reach import Reach
from dagmodels.distributions import WRAPPERS, family
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.expression import Expression
from dagmodels.graph.statement import Stochastic

SMOOTH = frozenset({
    "StudentT", "Logistic", "Cauchy", "Gamma", "InverseGamma", "Exponential", "LogNormal", "Weibull",
    "HalfNormal", "HalfCauchy", "HalfStudentT", "Beta",
})  # fmt: skip
"""Families whose log density has two derivatives in the latent everywhere inside its domain."""

IDENTITY, LOG, LOGIT = "identity", "log", "logit"
WORDS = {IDENTITY: "", LOG: " on the scale of its logarithm", LOGIT: " on the scale of its log odds"}


def scale_of(node: Node) -> str | None:
    """The scale on which a latent is worked on; None where its law is not of the kind."""
    laws = {s.distribution.family if isinstance(s, Stochastic) else "" for s in node.statements}
    if len(laws) != 1 or not laws <= SMOOTH:
        return None
    support = family(next(iter(laws))).support
    if support.kind == "real":
        return IDENTITY
    return LOG if support.upper is None else LOGIT


def general_latents(dag: Dag, latents: Sequence[Node], gaussian: Collection[str]) -> dict[str, str]:
    """The scale of every latent that is to be integrated but neither Gaussian nor conjugate.

    latents : those that must be integrated, because their laws have unknowns.
    gaussian : the Gaussian ones among them. Where one's mean is not linear in such latents, or its scale
        has one, its law given them is Normal but not that of a Gaussian field: it is general, as it is.
    """
    apart = {n.name for n in latents if n.name in dag.parents[n.name]}
    found = {n.name: s for n in latents if n.name not in apart and (s := scale_of(n)) is not None}
    reach = Reach(dag)
    changed = bool(found) or len(gaussian) > 1
    while changed:
        changed = False
        bent = {n for n, scale in found.items() if scale != IDENTITY}
        inside = frozenset(found) | frozenset(gaussian)
        for node in latents:
            open_ = node.name in gaussian and node.name not in found and node.name not in apart
            if open_ and _mixes(reach, node, bent, inside):
                found[node.name] = IDENTITY
                changed = True
    return found


def _mixes(reach: Reach, node: Node, bent: Collection[str], inside: frozenset[str]) -> bool:
    """Whether a Normal law is not one of a Gaussian field, given that these latents are integrated."""
    for s in node.statements:
        if not isinstance(s, Stochastic) or s.distribution.family != "Normal":
            return False
        for key, tree in s.distribution.arguments:
            assert isinstance(tree, Expression)
            used = set(reach.of(tree)) & inside
            if used and (key != "mu" or used & set(bent) or not reach.linear(tree, inside)):
                return True
    return False


def why_not(node: Node) -> str | None:
    """Why a continuous law has no scale, for those that could be expected to."""
    for s in node.statements:
        law = s.distribution.family if isinstance(s, Stochastic) else ""
        if law == "Laplace":
            return "its law is Laplace, whose density has no derivative at its centre"
        if law in WRAPPERS:
            return f"its law is {law}, which has no unconstrained scale here yet"
        if law in ("Uniform", "Pareto"):
            return f"its law is {law}, whose bounds move with what is unknown"
    return None


__all__ = ["IDENTITY", "LOG", "LOGIT", "SMOOTH", "WORDS", "scale_of", "why_not"]
