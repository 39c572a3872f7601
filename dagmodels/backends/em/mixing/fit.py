"""Problem -> Fit of graphs with a latent of unknown distribution: form, grid, maximisation, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.unknown_laws import UnknownLaw, unknown_law, with_unknown_law
from dagmodels.backends.em.mixing.grid import plausible
from dagmodels.backends.em.mixing.laws import Falling, Free, Smooth, made, on_grid
from dagmodels.backends.em.mixing.report import report
from dagmodels.backends.em.mixing.solve import Solution, solve
from dagmodels.backends.em.mixture.starts import beginning
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_mixing import build_mixing
from dagmodels.forms.mixing import MixingForm
from dagmodels.numerics.memory import available, size_text

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixing_fit import MixingFit

OPTIONS = ("seed", "grid", "points")
ROUNDS = 4  # grids, each at the outer unknowns that the one before led to
REACH = 0.02  # share of the grid by which the plausible range may move before a new grid is made


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> MixingFit:
    """Options: `grid` (values of the latent, rising; by default found from the data), `points` (how many).

    Raises
    ------
    FitError : an unknown option; what the form cannot hold; data that no value makes possible; too little
        memory; a spread that the unknown distribution could take over.
    """
    from dagmodels.numerics import tape_kernels as _kernels  # loaded before the clock starts

    del _kernels
    (node,) = with_unknown_law(problem.graph)
    law, grid = _read(unknown_law(problem.graph, node), options)
    began = time.process_time()
    form = build_mixing(problem, node)
    refuse_free_scales(form)
    _room(form, int(law.arguments["points"]) if grid is None else grid.size, law.family)
    solution = _solved(form, law, grid)
    return report(solution, law, plan, time.process_time() - began)


def _solved(form: MixingForm, law: UnknownLaw, grid: Any) -> Solution:
    y = beginning(form.flat)
    if grid is not None:
        return solve(form, on_grid(law.family, dict(law.arguments), grid), y)
    lower, upper = plausible(form, y)
    solution = solve(form, _law(law, lower, upper), y)
    for _ in range(ROUNDS if y.size else 0):
        low, high = plausible(form, solution.y)
        if max(abs(low - lower), abs(high - upper)) <= REACH * (high - low):
            break
        lower, upper = low, high
        solution = solve(form, _law(law, lower, upper), solution.y)
    return solution


def _law(law: UnknownLaw, lower: float, upper: float) -> Free | Falling | Smooth:
    if law.family == "GModel" and not upper > lower:
        raise FitError(
            f"em: all data agree on one value of '{law.node}', which leaves no smooth distribution to "
            "estimate; give grid=, or write NPMLE()"
        )
    return made(law.family, dict(law.arguments), lower, upper)


def _read(law: UnknownLaw, options: Mapping[str, Any]) -> tuple[UnknownLaw, Any]:
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise FitError(
            f"em has no option {', '.join(map(repr, unknown))} for unknown distributions; it has grid= and "
            "points="
        )
    grid, points = options.get("grid"), options.get("points")
    if points is not None:
        if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= 100_000:
            raise FitError(f"em: points={points!r} must be a whole number from 2 to 100000")
        if grid is not None:
            raise FitError("em: grid= states the points; leave points= out")
        law = UnknownLaw(law.node, law.family, {**law.arguments, "points": float(points)})
    if grid is None:
        return law, None
    if law.family == "Unimodal":
        raise FitError("em: Unimodal() makes its own grid from its mode outwards; points= says how fine")
    try:
        values = np.array(grid, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise FitError(f"em: grid= must be finite numbers that rise, not {grid!r}")
    if law.family == "GModel":
        step = np.diff(values)
        if values.size <= law.arguments["df"] + 1 or np.ptp(step) > 1e-6 * step.mean():
            raise FitError("em: the grid of GModel must have equal distances and more points than df + 1")
    return law, values


def _room(form: MixingForm, points: int, family: str) -> None:
    """Refuse matrices that do not fit in memory, with the figure."""
    columns = 3 * points if family == "Unimodal" else points
    needed = 3.0 * 8.0 * columns * form.units
    free = available()
    if free is not None and needed > free:
        raise FitError(
            f"em: likelihoods of {form.units} different units at {columns} values take "
            f"{size_text(int(needed))}, and {size_text(free)} are free: ask for fewer points (points=), or "
            "round the data so that more units agree"
        )


def refuse_free_scales(form: MixingForm) -> None:
    """Refuse an unknown spread of rows that are alone in their units: the distribution could take it over."""
    rows = np.zeros(form.unit_of.size, dtype=np.int64)
    for part in form.parts:
        rows += np.bincount(part.element, minlength=rows.size)
    if rows.max(initial=0) > 1:
        return
    for part in form.parts:
        scale = _unknown_scale(form, part.site.law)
        if scale:
            name = part.site.names[0]
            raise FitError(
                f"em: '{scale}' is the unknown spread of '{name}', and every element of '{form.node}' has "
                f"one value of it: a distribution of any shape could take over all of the spread. State "
                f"'{scale}' (constant, or a covariate of standard errors), observe elements of '{form.node}' "
                f"more than once, or give '{form.node}' a family"
            )


def _unknown_scale(form: MixingForm, law: Any) -> str:
    """A parameter in the spread of a law, or nothing."""
    from dagmodels.graph import expression as ex

    graph = form.problem.graph
    for key, tree in law.arguments:
        if key not in ("sigma", "tau", "b", "s", "beta") or law.family not in (
            *("Normal", "StudentT", "Laplace", "Logistic", "Cauchy", "LogNormal"),
        ):
            continue
        queue, seen = [r.name for r in ex.references(tree)], set()
        while queue:
            name = queue.pop()
            node = graph.nodes.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.kind == "parameter" or (node.role == "latent" and name != form.node):
                return name
            if node.kind == "deterministic":
                queue.extend(graph.parents[name])
    return ""
