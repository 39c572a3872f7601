"""Facts -> Verdict: can the distribution of a latent be estimated from the units that have it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagmodels.analysis.unknown_laws import is_penalised, law_faults, unknown_law
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts

TOLD = {
    "NPMLE": "any distribution: a convex programme in its weights, certified by its duality gap",
    "GModel": "a smooth distribution: the exponential of a natural spline, penalised",
    "Unimodal": "a distribution with one mode: a convex programme in weights of uniforms from the mode on",
}


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    against = tuple(_against(facts))
    if against:
        return Verdict("em", accepts=False, because=against)
    (name,) = facts.unknown_laws
    law = unknown_law(facts.graph, name)
    outer = [n for n in (*facts.parameters, *facts.unknowns) if n != name]
    how = "penalised maximum likelihood" if is_penalised(law) else "maximum likelihood"
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=(f"'{name}' is {law.family}, {TOLD[law.family]}",),
        method=f"{how} of the distribution of '{name}'",
        roles=(
            Role(name, "integrated", "summed over a grid of its values, whose weights are estimated"),
            *(Role(n, "outer", "maximised, with the best distribution at each value") for n in _once(outer)),
        ),
        rewrites=(Rewrite("compress", f"elements of '{name}' that were observed alike count as one"),),
    )


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _against(facts: Facts) -> Iterator[str]:
    """Why it cannot."""
    dag, names = facts.graph, facts.unknown_laws
    if len(names) > 1:
        named = ", ".join(f"'{n}'" for n in names)
        yield f"{named} have unknown distributions: one can be estimated at a time; give the others a family"
    for name in names:
        yield from law_faults(dag, name)
        if not any(dag.nodes[n].role == "observed" for n in _below(facts, name)):
            yield f"nothing observed depends on '{name}': its distribution cannot be learnt"
    if facts.discrete_latents:
        named = ", ".join(f"'{n}'" for n in facts.discrete_latents)
        yield f"{named}: discrete latents beside an unknown distribution are not summed out"
    if facts.unknown_tables:
        yield f"{', '.join(map(repr, facts.unknown_tables))}: tables of unknown numbers"
    for name in facts.unknowns:
        node = dag.nodes[name]
        if name in names or node.kind == "parameter" or name in facts.discrete_latents:
            continue
        if name in facts.hierarchical or set(node.plates) & {p for n in names for p in dag.nodes[n].plates}:
            yield (
                f"'{name}' is a latent with a law of its own beside one of unknown distribution: it is not "
                "integrated here; make it a parameter, or give the other a family such as Normal"
            )
    if dag.covariances:
        yield "residual covariances (~~) beside an unknown distribution: write a MvNormal"


def _below(facts: Facts, name: str) -> set[str]:
    found: set[str] = set()
    queue = [name]
    while queue:
        for child in facts.graph.children[queue.pop()]:
            if child not in found:
                found.add(child)
                queue.append(child)
    return found
