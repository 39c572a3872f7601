"""Problem -> Fit of graphs with latents on nodes: a mixture's EM on the listed graph, in the model's words.

Bock and Aitkin 1981, Psychometrika 46:443 (marginal maximum likelihood of item response models by EM).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.fit import counts_of, options_of
from dagmodels.backends.em.mixture.loop import solve
from dagmodels.backends.em.mixture.predict import predict
from dagmodels.backends.em.mixture.report import report
from dagmodels.backends.em.quadrature.given import posterior_moments
from dagmodels.backends.em.quadrature.starts import slots_on_nodes
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.listed import listed, state_of
from dagmodels.forms.mixture import MixtureForm
from dagmodels.forms.slices import MOST

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixture_fit import MixtureFit, States

Floats = NDArray[np.float64]
NODES = {1: 61, 2: 31, 3: 21}  # by latents a unit
MORE = {1: 121, 2: 61, 3: 25}  # that tell the error of these
STARTS = 2
ERROR = 1e-2  # of the log likelihood, from which a warning is due


def fit(problem: Problem, plan: Plan, names: tuple[str, ...], options: Mapping[str, Any]) -> MixtureFit:
    """Options: `quadrature` (nodes of each latent), and those of mixtures.

    Raises
    ------
    FitError : more than three latents meet in a unit; what mixtures raise.
    """
    from dagmodels.numerics import tape_kernels as _kernels  # loaded before the clock starts

    del _kernels
    own = {k: v for k, v in options.items() if k != "quadrature"}
    starts, steps, executor = options_of({"starts": STARTS, **own}, "latents on nodes of quadrature")
    began = time.process_time()
    size = dimension(problem, names)
    count = _nodes(options.get("quadrature"), size)
    form = build_mixture(small := listed(problem, names, count), counts_of(small))
    solution, labels = solve(form, starts, int(options.get("seed", 1)), executor, began, steps)
    finish = Finish(problem, names)
    found = finish(report(solution, plan, labels, finish))
    return _checked(found, problem, names, solution.y, count, MORE[size])


def dimension(problem: Problem, names: tuple[str, ...]) -> int:
    """Latents on nodes that meet in a unit.

    Raises `FitError` where these are more than three.
    """
    small = listed(problem, names, 2)
    told = "units of more than three latents are not integrated on nodes: estep='draws' draws them"
    try:
        form = build_mixture(small, counts_of(small))
    except FitError as error:
        raise FitError(f"em: {error}; {told}") from error
    size = max(len(slots_on_nodes(form, sums)) for sums in form.sums)
    if size > max(NODES):
        raise FitError(f"em: {size} latents meet in a unit; {told}")
    return max(size, 1)


def _nodes(given: Any, size: int) -> int:
    if given is None:
        return NODES[size]
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 3:
        raise FitError(f"quadrature={given!r} is not a number of nodes from 3")
    if int(given) ** size > MOST:
        raise FitError(f"quadrature={given} makes {int(given) ** size} nodes a unit, more than {MOST}")
    return int(given)


def _checked(
    fit: MixtureFit, problem: Problem, names: tuple[str, ...], y: Floats, count: int, more: int
) -> MixtureFit:
    """With the change of the log likelihood on more nodes, and a warning where it matters."""
    finer = listed(problem, names, max(more, count + 4))
    try:
        other = build_mixture(finer, counts_of(finer))
    except FitError:  # more nodes than are enumerated
        return replace(fit, diagnostics={**fit.diagnostics, "nodes": count})
    form = fit.again.solution.form  # type: ignore[union-attr]
    change = abs(other.expected(y).log_density - form.expected(y).log_density)
    warnings = fit.warnings
    if not change < ERROR:
        told = f"the log likelihood changes by {change:.2g} on more nodes than {count}"
        warnings = (*warnings, f"{told}: ask for more (quadrature={2 * count - 1}) or for method='laplace'")
    found = {**fit.diagnostics, "nodes": count, "quadrature_error": float(change)}
    return replace(fit, diagnostics=found, warnings=warnings)


@dataclass(frozen=True, eq=False, slots=True)
class Finish:
    """A mixture's fit of the listed graph -> the fit of the model: its graph, its latents as numbers.

    problem : of the model. names : latents on nodes.
    """

    problem: Problem
    names: tuple[str, ...]

    def __call__(self, fit: MixtureFit) -> MixtureFit:
        """The same fit in the model's words."""
        solution = fit.again.solution  # type: ignore[union-attr]
        form, y = solution.form, solution.y
        hidden = {state_of(n) for n in self.names}
        what = "mode of the posterior" if "log_posterior" in fit.measures else "maximum likelihood"
        return replace(
            fit,
            graph=self.problem.graph,
            method=f"{what}, latents integrated on nodes of quadrature, by EM",
            exact=False,
            latent_columns=partial(_latents, form, y, self.names, fit.latent_columns, hidden),
            plate_sizes={name: plate.size for name, plate in self.problem.plates.items()},
            predictor=partial(predict, form, y),
            find_states=partial(_without, fit.find_states, hidden),
        )


def _without(find: Any, hidden: set[str], new: Any) -> States:
    found = find(new)
    kept = {
        key: {n: v for n, v in getattr(found, key).items() if n not in hidden}
        for key in ("names", "levels", "probabilities", "best")
    }
    return type(found)(**kept)


def _latents(
    form: MixtureForm, y: Floats, names: tuple[str, ...], others: Any, hidden: set[str]
) -> dict[str, list[Any]]:
    """Means and standard deviations of the latents given the data, then states' probabilities."""
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    for name in names:
        labels, mean, sd = posterior_moments(form, y, name)
        table["name"].extend(labels)
        table["estimate"].extend(mean.tolist())
        table["sd"].extend(sd.tolist())
    if set(form.latents.first) - hidden:
        rest = others()
        keep = [i for i, n in enumerate(rest["name"]) if n.partition("[")[0] not in hidden]
        for key in table:
            table[key].extend(rest[key][i] for i in keep)
    return table
