"""Problem -> Fit of layers of binary units by draws of their states."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.sampled.loop import FAR, BinaryDraws, run
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.network.estimated import Estimated
from dagmodels.forms.binary_layers import BinaryLayers, binary_layers
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.cells import element_label
from dagmodels.results.mixture_fit import MixtureFit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]
STEPS = 200


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> MixtureFit:
    """Options: `estep="draws"`, `steps` (of EM), `seed` (of all random numbers).

    Raises
    ------
    FitError : unknown options; what is no layers of binary units, by node.
    """
    steps, seed = options_of(options, STEPS)
    began = time.process_time()
    form = binary_layers(problem)
    found = run(BinaryDraws(form, np.random.default_rng(seed)), steps)
    values = _values(form, found.theta)
    settled, told = told_of(found.score)
    names = [element_label(problem, n, i) for n, i in form.unknowns]
    nothing = [float("nan")] * len(names)
    estimated = Estimated(problem, values)
    prior = bool(np.isfinite(form.deviation).any())
    return MixtureFit(
        graph=problem.graph,
        backend="em",
        method=f"{'mode of the posterior' if prior else 'maximum likelihood'} by EM with drawn states",
        exact=False,
        converged=settled,
        message=told,
        estimate_columns={
            "name": names,
            "estimate": found.theta.tolist(),
            "se": nothing,
            "lower": nothing,
            "upper": nothing,
            "what": ["maximised"] * len(names),
        },
        n_parameters=len(names),
        n_observations=len(form.values),
        diagnostics={"score": found.score, "iterations": steps, "seconds": time.process_time() - began},
        plan=plan,
        plate_sizes={name: plate.size for name, plate in problem.plates.items()},
        find_states=partial(_states, values, estimated),
        answers={**estimated.answers, "log_likelihood": partial(_of_others, values, estimated)},
    )


def options_of(options: Mapping[str, Any], usual: int) -> tuple[int, int]:
    """`steps` (or the usual ones) and `seed`; anything else but estep="draws" is refused."""
    unknown = [name for name in options if name not in ("estep", "seed", "steps")]
    if unknown:
        told = ", ".join(map(repr, unknown))
        raise FitError(f"em has no option {told} where estep='draws'; it has steps= and seed=")
    if options.get("estep") != "draws":
        raise FitError(f"estep={options.get('estep')!r}: it may be 'draws', or be left out for exact sums")
    steps = options.get("steps", usual)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise FitError(f"steps={steps!r} is not a number of steps")
    return steps, int(options.get("seed", 1))


def told_of(score: float) -> tuple[bool, str]:
    """Whether the steps settled, and the sentence that says so."""
    if score < FAR:
        return True, "the mean score is zero but for the noise of the draws"
    return False, f"the mean score is {score:.1f} standard errors of the draws from zero: more steps="


def _values(form: BinaryLayers, theta: Floats) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for (name, place), value in zip(form.unknowns, theta.tolist(), strict=True):
        size = int(np.prod(form.problem.shape(name), dtype=np.int64))
        found.setdefault(name, np.zeros(size))[place] = value
    return found


def _enumerated(problem: Problem, values: Mapping[str, Floats]) -> tuple[Any, Floats]:
    """The exact form at the estimates, where states are few enough."""
    from dagmodels.backends.em.mixture.fit import counts_of

    form = build_mixture(problem, counts_of(problem))
    return form, form.flat.unconstrain({n: v.reshape(problem.shape(n)) for n, v in values.items()})


def _of_others(values: Mapping[str, Floats], estimated: Estimated, new: Any) -> float:
    form, y = _enumerated(estimated.afresh(new), values)
    return float(form.expected(y, whole=False).log_density - form.workspace(y)[form.flat.joint])


def _states(values: Mapping[str, Floats], estimated: Estimated, new: Any) -> Any:
    from dagmodels.backends.em.mixture.report import states

    form, y = _enumerated(estimated.problem if new is None else estimated.afresh(new), values)
    return states(form, y)
