"""Flat priors that leave the posterior improper."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import distribution_of, spread, unwrapped
from dagmodels.analysis.separation import descendants
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Parameter, Statement

FEWEST_LEVELS = 3  # a flat prior on a standard deviation needs so many elements (Gelman 2006, section 2)


def improper(dag: Dag, problem: Problem | None = None, *, parameters: bool = False) -> tuple[Finding, ...]:
    """Flat unknowns without data below them, and flat scales of plates with fewer than three elements.

    parameters : those without prior count as flat, as where they are drawn.
    """
    found: list[Finding] = []
    for name, node in dag.nodes.items():
        laws = [distribution_of(s) for s in node.statements]
        flat = {unwrapped(d).family for d in laws if d is not None} & {"Flat", "HalfFlat"}
        if parameters:
            flat |= {law for s in node.statements if (law := _as_flat(s)) is not None}
        if not flat or node.observed:
            continue
        below = descendants(dag, [name]) - {name}
        if not any(dag.nodes[n].observed and _has_data(problem, n) for n in below):
            message = f"the posterior is improper: '{name}' is flat and no observed node depends on it"
            found.append(Finding("improper", (name,), message, "give it a proper prior or drop it"))
        elif "HalfFlat" in flat and problem is not None:
            found.extend(_few_levels(dag, problem, name))
    return tuple(found)


def flat_unknowns(dag: Dag) -> tuple[str, ...]:
    """Unknowns without a prior, or with a flat one."""
    found: list[str] = []
    for name, node in dag.nodes.items():
        laws = {unwrapped(d).family for s in node.statements if (d := distribution_of(s)) is not None}
        if not node.observed and (node.kind == "parameter" or laws & {"Flat", "HalfFlat"}):
            found.append(name)
    return tuple(found)


def _as_flat(statement: Statement) -> str | None:
    """The flat law that a parameter without prior has on its domain; None where that is bounded."""
    if not isinstance(statement, Parameter):
        return None
    domain = statement.domain
    if domain is None:
        return "Flat"
    if domain.kind != "interval":
        return None if domain.kind in ("simplex", "correlation") else "Flat"
    return None if math.isfinite(domain.lower) and math.isfinite(domain.upper) else "HalfFlat"


def _has_data(problem: Problem | None, name: str) -> bool:
    return problem is None or (name in problem.observed and bool(problem.observed[name].any()))


def _few_levels(dag: Dag, problem: Problem, scale: str) -> Iterator[Finding]:
    for child in dag.children[scale]:
        node = dag.nodes[child]
        if node.role != "latent":
            continue
        laws = [d for s in node.statements if (d := distribution_of(s)) is not None]
        used = any(r.name == scale for d in laws for tree in spread(d) for r in ex.references(tree))
        size = 1
        for n in problem.shape(child):
            size *= n
        if used and size < FEWEST_LEVELS:
            message = (
                f"the posterior is improper: '{scale}' has a flat prior and '{child}' has only {size} "
                f"element{'' if size == 1 else 's'}"
            )
            yield Finding("improper", (scale, child), message, f"give '{scale}' a proper prior")
