"""From a bound problem to a fit: facts, identification, plan, backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.facts import Facts, facts
from dagmodels.analysis.finding import Finding
from dagmodels.bind.problem import Problem
from dagmodels.dispatch import registry
from dagmodels.dispatch.plan import make_plan
from dagmodels.errors import FitError, ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.graph.dag import Dag
    from dagmodels.results.fit import Fit


def known(problem: Problem, told_apart: bool = False) -> Facts:
    """The facts of a problem, with those that moments tell."""
    return replace(facts(problem, told_apart), by_moments=_by_moments)


def fit_known(
    found: Facts,
    method: str = "auto",
    seed: int = 1,
    check: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Fit:
    """Plan and fit; arguments as of `Graph.fit`.

    Raises
    ------
    ModelErrors : parameters that are not identified. FitError : no backend can fit it.
    """
    given = dict(options or {})
    found = replace(found, options=given)
    problem = found.problem
    assert problem is not None
    if check:
        faults = [ModelError(f.message, node=f.nodes[0], hint=f.hint) for f in found.findings]
        raise_all(faults, f"the identification of model '{problem.graph.name}'")
    plan = make_plan(found, method, given)
    if plan.backend is None:
        raise FitError(str(plan))
    fit = registry.backends()[plan.backend].fit(problem, plan, {"seed": seed, **given})
    fit = replace(fit, warnings=(*fit.warnings, *found.doubts))
    sizes = {name: plate.size for name, plate in problem.plates.items()}
    return replace(fit, plate_sizes=fit.plate_sizes or sizes)


def in_pieces(data: object) -> bool:
    """Whether data are `dm.partitions(...)`, told without loading what reads them."""
    return type(data).__module__ == "dagmodels.data.partitions"


def fit_pieces(dag: Dag, data: Any, method: str, seed: int, check: bool, options: Mapping[str, Any]) -> Fit:
    """The fit of data in pieces; see `dispatch.partitions`."""
    from dagmodels.dispatch.partitions import fit_partitions

    return fit_partitions(dag, data, method, seed, check, options)


def _by_moments(problem: Problem) -> tuple[Finding, ...]:
    from dagmodels.forms.moment_identification import moment_findings

    return moment_findings(problem)


__all__ = ["fit_known", "fit_pieces", "in_pieces", "known"]
