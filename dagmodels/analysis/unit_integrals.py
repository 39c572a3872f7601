"""Which latents may be integrated unit by unit, numerically: Normal ones, and why the others are not.

Whether the units are small and independent is seen on the data's tape (`forms.units`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.analysis.improper import improper
from dagmodels.analysis.laws import families_of
from dagmodels.analysis.roles import roles
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag

NORMAL = ("Normal", "MvNormal", "Simultaneous")


@dataclass(frozen=True, slots=True)
class Candidates:
    """The answer.

    names : Normal latents that units may be made of, in the order of the model. outer : other unknowns.
    against : reasons, with node names, why there can be no such integrals.
    """

    names: tuple[str, ...]
    outer: tuple[str, ...]
    against: tuple[str, ...]


def candidates(dag: Dag, problem: Problem | None = None) -> Candidates:
    """Ask a graph, with data if there are any (missing values may change the answer)."""
    unknown = [n for n in dag.nodes.values() if n.role == "latent" and n.kind == "stochastic"]
    names = tuple(n.name for n in unknown if families_of(n) <= set(NORMAL))
    rest = [n.name for n in dag.nodes.values() if n.role in ("latent", "parameter")]
    outer = tuple(n for n in rest if n not in names and dag.nodes[n].kind != "deterministic")
    return Candidates(names, outer, tuple(_against(dag, problem, names)))


def _against(dag: Dag, problem: Problem | None, names: tuple[str, ...]) -> Iterator[str]:
    if not any(dag.nodes[n].plates for n in names):
        yield "no latent on a plate is Normal: nothing is integrated unit by unit"
    for node in dag.nodes.values():
        if node.kind == "parameter":
            yield f"'{node.name}' has no prior: write for instance '{node.name} ~ Normal(0, 10)'"
    for finding in improper(dag, problem):
        yield f"{finding.message} ({finding.hint})"
    if problem is not None:
        predicted = roles(dag, problem).predicted
        for name, seen in problem.observed.items():
            if dag.nodes[name].role == "observed" and not seen.all() and name not in predicted:
                yield f"'{name}' has missing values that other nodes depend on"


__all__ = ["Candidates", "candidates"]
