"""Mixtures of data in pieces: each evaluation maps the expectation over the pieces and adds what it gives.

By Fisher's identity (Louis 1982) the gradient of the observed log density is that of the complete one at the
expected statistics, which add over units; so a piece hands back its log density and that gradient, however
many rows it has. The search begins at the optimum of the first piece, and Newton's steps go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.fit import counts_of, options_of
from dagmodels.backends.em.mixture.loop import Ran, Solution, polished, solution_at, solve
from dagmodels.backends.em.mixture.report import report
from dagmodels.backends.em.mixture.steps import Steps
from dagmodels.bind.bind import bind
from dagmodels.bind.cases import as_cases
from dagmodels.bind.problem import Problem
from dagmodels.data.partitions import Partitions, read
from dagmodels.errors import FitError
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.mixture import Expected, MixtureForm

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixture_fit import MixtureFit

Floats = NDArray[np.float64]
KEPT = 1 << 30  # bytes of forms that stay in memory between evaluations


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Log density and gradient of one piece at a point; travels to other processes.

    first : a problem of the same graph, whose plates' levels every piece must have.
    """

    first: Problem
    y: Floats

    def __call__(self, piece: Any) -> tuple[float, Floats, int]:
        form = form_of(self.first, piece)
        return (*form.value_and_gradient(self.y), form.observations)


def form_of(first: Problem, piece: Any) -> MixtureForm:
    """The form of one piece.

    Raises `FitError` where its unknowns are not those of the first one.
    """
    problem = bind(*as_cases(first.graph, read(piece)), require_observed=True)
    for name, node in problem.graph.nodes.items():
        unknown = node.kind == "parameter" or (node.role == "latent" and name not in counts_of(problem))
        if unknown and problem.shape(name) != first.shape(name):
            plates = ", ".join(f"'{p}'" for p in node.plates)
            raise FitError(
                f"em: '{name}' has other elements in one piece than in the first: state the levels of "
                f"{plates} in the model, so that all pieces agree on them"
            )
    return build_mixture(problem, counts_of(problem))


@dataclass(frozen=True, eq=False, slots=True)
class Pieces(MixtureForm):
    """The form of the first piece, with the log density of all. size : bytes of the forms that are kept."""

    parts_of_data: Partitions = field(kw_only=True)
    kept: list[MixtureForm] = field(kw_only=True, default_factory=list)
    state: dict[str, Any] = field(kw_only=True, default_factory=dict)

    def value_and_gradient(self, y: Floats) -> tuple[float, Floats]:
        total, slope, n, count = 0.0, np.zeros(y.size), 0, 0
        for value, gradient, rows in self._evaluated(y):
            total, slope, n, count = total + value, slope + gradient, n + rows, count + 1
        self.state["rows"] = n
        nothing = tuple(np.zeros((p.kinds, p.expanded.states)) for p in self.parts)
        prior, bend = self.complete(y, nothing)  # each piece has the priors
        return total - (count - 1) * prior, slope - (count - 1) * bend

    def expected(self, y: Floats, *args: Any, **options: Any) -> Expected:
        found = MixtureForm.expected(self, y, *args, **options)
        return replace(found, log_density=self.value_and_gradient(y)[0])

    def _evaluated(self, y: Floats) -> Iterator[tuple[float, Floats, int]]:
        if self.parts_of_data.executor is not None:
            yield from self.parts_of_data.map(Evaluate(self.flat.problem, y))
            return
        if self.state.get("whole"):
            yield from ((*form.value_and_gradient(y), form.observations) for form in self.kept)
            return
        size, keep = 0, "whole" not in self.state
        for piece in self.parts_of_data:
            form = form_of(self.flat.problem, piece)
            size += bytes_of(form)
            keep = keep and size < KEPT
            if keep:
                self.kept.append(form)
            else:
                self.kept.clear()
            yield (*form.value_and_gradient(y), form.observations)
        self.state["whole"] = keep


def bytes_of(form: MixtureForm) -> int:
    """About what a form and one evaluation of it take."""
    slices = sum(s.weights.size * (4 * s.slices.states + 8) for s in form.sums)
    rows = sum(p.kind.size + p.touched.size + p.own.size for p in form.parts)
    return 8 * (2 * form.flat.tape.initial.size + slices + 2 * rows)


def fit_pieces(problem: Problem, parts: Partitions, plan: Plan, options: Mapping[str, Any]) -> MixtureFit:
    """The fit of all pieces; problem : of the first one. Options as of `fit.fit`."""
    from dagmodels.numerics import tape_kernels as _kernels  # loaded before the clock starts

    del _kernels
    starts, steps, executor = options_of(options)
    began = time.process_time()
    form = build_mixture(problem, counts_of(problem))
    first, labels = solve(form, starts, int(options.get("seed", 1)), executor, began, steps)
    whole = Pieces(form.flat, form.latents, form.parts, form.sums, form.observations, parts_of_data=parts)
    ran = Ran(0, first.y, -whole.value_and_gradient(first.y)[0], (), first.steps)
    optimum, held, path = polished(whole, ran)
    solution: Solution = solution_at(Steps.of(whole), replace(ran, values=path), optimum, held, began)
    solution = replace(
        solution, starts=first.starts, reached=first.reached, singular=first.singular, seed=first.seed
    )
    fitted = report(solution, plan, labels)
    n = int(whole.state["rows"])
    measures = {k: v for k, v in fitted.measures.items() if k not in ("aic", "bic")}
    return replace(
        fitted,
        latent_columns=None,
        n_observations=n,
        measures=measures,
        again=None,
        find_states=_Others(fitted.find_states),
        diagnostics={**fitted.diagnostics, "rows": n},
        plate_sizes={},
    )


@dataclass(frozen=True, slots=True)
class _Others:
    """States of data that are given; those fitted are not in memory."""

    find: Any

    def __call__(self, new: Any) -> Any:
        if new is None:
            raise FitError("the data were fitted in pieces and are not kept: states(piece) classifies one")
        return self.find(new)
