"""Facts -> Verdict: can the discrete latents be summed out, and all else be maximised?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagmodels.analysis.discrete_latents import DiscreteLatents, discrete_latents
from dagmodels.plugin import Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    found = discrete_latents(facts.graph, facts.problem)
    against = tuple(_against(facts, found))
    if against:
        return Verdict("em", accepts=False, because=against)
    prior = any(facts.graph.nodes[n].kind == "stochastic" for n in _outer(facts, found))
    what = "mode of the posterior" if prior else "maximum likelihood"
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=tuple(_how(found)),
        method=f"{what} by expectation and maximisation, from several starts",
        roles=(
            *(Role(n, "integrated", "summed out over its states") for n in found.nodes),
            *(Role(n, "outer", "maximised") for n in _outer(facts, found)),
        ),
    )


def _outer(facts: Facts, found: DiscreteLatents) -> list[str]:
    return [
        n
        for n, node in facts.graph.nodes.items()
        if node.kind == "parameter" or (node.role == "latent" and n not in found.nodes)
    ]


def _against(facts: Facts, found: DiscreteLatents) -> Iterator[str]:
    """Why it cannot."""
    dag = facts.graph
    if not _outer(facts, found) and not facts.unknown_tables:
        yield "no number is unknown: there is nothing to estimate"
    yield from (f"'{n}' cannot be summed out: {why}" for n, why in found.refused.items())
    named = ", ".join(f"'{n}'" for n in facts.unknown_tables)
    if named:
        yield f"{named}: tables of unknown numbers; write Categorical(p) with a parameter p"
    # plates whose levels the model states are parts of it, such as hidden units; others are the data's
    own = {p for n in found.nodes for p in dag.nodes[n].plates if dag.plate[dag.base(p)].levels is None}
    for name in _outer(facts, found):
        node = dag.nodes[name]
        if node.kind == "parameter":
            continue
        if name in facts.hierarchical:
            yield (
                f"'{name}' is a continuous latent whose law has unknowns: a joint mode of both would be "
                "degenerate, and it is not integrated out beside discrete latents (method='gibbs' draws it)"
            )
        elif own & set(node.plates):
            yield (
                f"'{name}' is a continuous latent of '{next(iter(own & set(node.plates)))}', which is not "
                "integrated out beside discrete latents (method='gibbs' draws it)"
            )
    if dag.covariances:
        yield "residual covariances (~~) beside discrete latents: write a MvNormal"


def _how(found: DiscreteLatents) -> Iterator[str]:
    if not found.groups:
        yield "all states are seen, so that tables are shares of counts"
    for group in found.groups:
        named = ", ".join(f"'{n}'" for n in group.nodes)
        states = 1
        for n in group.nodes:
            states *= found.nodes[n].states or 1
        match group.kind:
            case "chain":
                yield f"{named}: a chain along '{group.plate}', summed by forward and backward passes"
            case "separate":
                yield f"{named}: {states} states, summed element by element"
            case _:
                yield f"{named}: joint states of what hangs together, listed and summed"
