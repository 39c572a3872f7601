"""Which conjugate latents are integrated in closed form: those beside whom nothing else is latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagmodels.analysis.conjugacy import Conjugate, conjugate
from dagmodels.analysis.proportions import proportions
from dagmodels.analysis.reach import Reach
from dagmodels.distributions import WRAPPERS, family
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.statement import Joint, Stochastic

GAUSSIAN = ("Normal", "MvNormal", "Simultaneous", "Flat")


def collapsed(
    dag: Dag, unknown: Sequence[Node], dependent: Mapping[str, bool], counted: bool = False
) -> tuple[dict[str, Conjugate], dict[str, str]]:
    """Latents that can be integrated in closed form, and for other conjugate-looking ones why not.

    unknown : nodes without values, the largest first. dependent : unknown nodes whose prior has unknowns.
    counted : whether Dirichlet proportions are integrated too.

    A latent with a known prior could be maximised over as well: it is integrated where it lies on a plate
    and no Gaussian unknown, which could be integrated instead, stands beside it.
    """
    candidates = [
        n
        for n in unknown
        if n.role == "latent" and (_has_kernel(n) or (counted and _laws(n) == {"Dirichlet"}))
    ]
    if not candidates:
        return {}, {}
    reach = Reach(dag)
    gaussian = {n.name for n in unknown if n.kind == "stochastic" and _laws(n) <= set(GAUSSIAN)}
    latents = {
        n.name
        for n in unknown
        if n.kind == "stochastic" and (dependent[n.name] or (n.name in gaussian and n.plates))
    } | {n.name for n in unknown if n.role == "observed"}
    found: dict[str, Conjugate] = {}
    refused: dict[str, str] = {}
    for node in sorted(candidates, key=lambda n: not dependent[n.name]):
        own = dependent[node.name]
        if not own and not node.plates:
            continue
        if _laws(node) == {"Dirichlet"}:
            counts = proportions(reach, node.name, latents)
            if counts is not None:
                found[node.name] = counts
                latents.add(node.name)
            continue
        pair = conjugate(reach, node.name, latents if own else latents | gaussian)
        if isinstance(pair, str):
            refused[node.name] = pair
        elif pair.children or own:
            found[node.name] = pair
            latents.add(node.name)
    return found, refused


def _has_kernel(node: Node) -> bool:
    laws = _laws(node)
    if len(laws) != 1 or laws & {*WRAPPERS, "Table"}:
        return False
    return family(next(iter(laws))).conjugate_prior is not None


def _laws(node: Node) -> set[str]:
    return {s.distribution.family for s in node.statements if isinstance(s, Stochastic | Joint)}


__all__ = ["collapsed"]
