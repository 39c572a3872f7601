"""What to try next where trajectories diverge, by the nodes that they move."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dagmodels.analysis.unknown_scales import unknown_scales
from dagmodels.graph.dag import Dag
from dagmodels.graph.expression import Expression, references
from dagmodels.graph.statement import Distribution, Stochastic

SCALES = ("sigma", "tau", "cov", "chol")
SHOWN = 3  # nodes that a sentence names
BY_ELEMENTS = "route='conditionals' (element by element)"


def reparameterise(graph: Dag, moved: Collection[str] | None = None) -> str:
    """The next thing to try where trajectories diverge, or go through tails slowly.

    moved : nodes that they move as these are written, None for all unknowns. Effects among them whose scale
    is unknown may be written without it; where effects are integrated out, what is left is the scales' own
    density, and a prior shapes it.
    """
    for name, node in graph.nodes.items():
        if node.role != "latent" or not node.plates or (moved is not None and name not in moved):
            continue
        for statement in node.statements:
            scales = _scales(graph, statement.distribution) if isinstance(statement, Stochastic) else []
            if scales:
                plates = f"[{', '.join(node.plates)}]"
                return (
                    f"try {name}{plates} as a mean plus {scales[0]} times {name}_z{plates} ~ Normal(0, 1), "
                    "or tighter priors"
                )
    if moved is None:
        return "try tighter priors, or target_accept closer to 1"
    inside = list(_scaled(graph, moved))
    effects, scales = dict.fromkeys(e for e, _ in inside), dict.fromkeys(s for _, s in inside)
    advice = f"try tighter priors of {_list(scales or moved)}{_other(graph)}"
    verb = "is" if len(effects) == 1 else "are"
    return f"{_list(effects)} {verb} integrated out already: {advice}" if effects else advice


def _other(graph: Dag) -> str:
    """A way of drawing that has no trajectories of scales, where all priors are stated."""
    stated = all(node.kind != "parameter" for node in graph.nodes.values())
    return f", or {BY_ELEMENTS}" if stated else ""


def _scaled(graph: Dag, moved: Collection[str]) -> Iterator[tuple[str, str]]:
    """Latents that are not moved, with the scales of theirs that are."""
    for name, node in graph.nodes.items():
        if node.role != "latent" or name in moved:
            continue
        for statement in node.statements:
            for scale in unknown_scales(graph, statement):
                if scale in moved:
                    yield name, scale


def _scales(graph: Dag, law: Distribution) -> list[str]:
    """Unknown scales as they are written; those of precisions as 1/sqrt of these."""
    unknown = ("latent", "deterministic", "parameter")
    found: list[str] = []
    for key, tree in law.arguments:
        if key not in SCALES or not isinstance(tree, Expression):
            continue
        if any(r.name in graph.nodes and graph.nodes[r.name].role in unknown for r in references(tree)):
            found.append(f"1/sqrt({tree})" if key == "tau" else str(tree))
    return found


def _list(names: Collection[str]) -> str:
    """The first of them, quoted, and how many more there are."""
    shown = ", ".join(f"'{n}'" for n in list(names)[:SHOWN])
    more = len(names) - SHOWN
    return shown + (f" and {more} more" if more > 0 else "")


__all__ = ["reparameterise"]
