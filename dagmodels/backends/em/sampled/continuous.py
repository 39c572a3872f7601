"""Continuous latents of units drawn together by trajectories, all else at its best given the draws.

For graphs whose units have more latents than quadrature can integrate. The draws are those of the no-U-turn
sampler on all latents at once, whose units do not depend on one another given the rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.sampled.fit import options_of, told_of
from dagmodels.backends.em.sampled.loop import run, score
from dagmodels.backends.em.sampled.louis import MOST, information
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.cells import element_label
from dagmodels.forms.flat import Flat
from dagmodels.numerics.limited import limited
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.sampling.nuts import TapeDensity, first_step, sampler
from dagmodels.results.fit import Fit
from dagmodels.results.limits import wald

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]
STEPS = 1000  # of EM
KEPT = 10  # draws of all latents that a maximisation sees
MOVES = 2  # trajectories between two of them
DEPTH = 6  # doublings of a trajectory
FIRST = 40  # steps of the maximisation that a start begins with
MANY = 60  # unknowns up to which the observed information is made
NEAR = 0.25  # standard errors of the estimates from the optimum that are near enough
LATER = 100  # draws at the estimates that the latents' moments are made of


class Trajectories:
    """See `sampled.loop.Model`: unconstrained numbers of a flat form, those of some nodes hidden."""

    def __init__(self, flat: Flat, names: tuple[str, ...], rng: np.random.Generator) -> None:
        self.flat, self.rng = flat, rng
        inside = np.zeros(flat.size, dtype=bool)
        for s in flat.stretches:
            inside[s.start : s.start + s.length] = s.node in names
        self.hidden, self.shown = np.flatnonzero(inside), np.flatnonzero(~inside)
        self.space = flat.workspace()
        density = TapeDensity(flat.tape, self.hidden, flat.total)
        self.sampler = sampler(density, self.hidden.size, flat.workspace().values, DEPTH)
        self.metric = Metric.identity(self.hidden.size)
        self.u, self.step = np.zeros(0), StepSize.fixed(1.0)

    def begin(self) -> Floats:
        """Latents at random, all else at its best given these."""
        self.u = self.rng.standard_normal(self.hidden.size)
        theta = np.zeros(self.shown.size)
        found = limited(lambda x: self.objective([self.u], x), theta, lambda v: 1e-6 * abs(v), FIRST).x
        self.sampler.workspace[self.shown] = found
        start = first_step(self.sampler, self.sampler.at(self.u), self.metric, self.rng)
        self.step = StepSize.learning(start)
        return found

    def draw(self, theta: Floats) -> Floats:
        """See `Model`; the length of steps is learned on the way."""
        self.sampler.workspace[self.shown] = theta
        point = self.sampler.at(self.u)
        point, _, _, self.step = self.sampler.draws(point, self.step, self.metric, self.rng, MOVES)
        self.u = point.y
        return self.u.copy()

    def objective(self, draws: list[Floats], theta: Floats) -> tuple[float, Floats]:
        """See `Model`; priors count on their declared scale."""
        value, slope, y = 0.0, np.zeros(theta.size), np.empty(self.flat.size)
        y[self.shown] = theta
        for u in draws:
            y[self.hidden] = u
            own, gradient = self.flat.value_and_gradient(y, jacobian=False, at=self.space)
            if not np.isfinite(own):
                return np.inf, np.zeros(theta.size)
            value, slope = value - own / len(draws), slope - gradient[self.shown] / len(draws)
        return value, slope

    def whole(self, theta: Floats, u: Floats) -> Floats:
        """The unconstrained vector."""
        y = np.empty(self.flat.size)
        y[self.shown], y[self.hidden] = theta, u
        return y


def fit(problem: Problem, plan: Plan, names: tuple[str, ...], options: Mapping[str, Any]) -> Fit:
    """Options: `estep="draws"`, `steps` (of EM), `seed` (of all random numbers).

    names : latents that are drawn. Raises `FitError` for unknown options.
    """
    steps, seed = options_of(options, STEPS)
    began = time.process_time()
    flat = build_flat(problem)
    model = Trajectories(flat, names, np.random.default_rng(seed))
    theta = run(model, steps, KEPT).theta
    if theta.size <= MANY:
        found = information(model, theta)
        far, covariance, missing = found.score, found.covariance, found.missing
        away = found.distance
    else:
        far, covariance, missing, away = score(model, theta), None, float("nan"), float("nan")
    settled, told = told_of(far)
    if away < NEAR:
        settled, told = True, f"the mean score is {away:.2f} standard errors of the estimates from zero"
    points = np.stack([model.whole(theta, model.draw(theta)) for _ in range(LATER)])
    values = flat.constrain(points)
    others = [s for s in flat.stretches if s.node not in names]
    places = [(s.node, int(p)) for s in others for p in s.places.reshape(-1)]
    labels = [element_label(problem, node, place) for node, place in places]
    best, se = _estimates(model, points[0], places, covariance)
    positive = [s.kind == "lower" and not np.any(s.lower) for s in others for _ in s.places.reshape(-1)]
    lower, upper = wald(best, se, positive=positive)
    prior = any(problem.graph.nodes[s.node].kind == "stochastic" for s in others)
    return Fit(
        graph=problem.graph,
        backend="em",
        method=f"{'mode of the posterior' if prior else 'maximum likelihood'} by EM with drawn latents",
        exact=False,
        converged=settled,
        message=told,
        estimate_columns={
            "name": labels,
            "estimate": best.tolist(),
            "se": se.tolist(),
            "lower": lower.tolist(),
            "upper": upper.tolist(),
            "what": ["maximised"] * len(labels),
        },
        warnings=_warned(missing),
        latent_columns=partial(_latents, problem, {n: values[n] for n in names}),
        n_parameters=model.shown.size,
        diagnostics={
            "score": far,
            "missing_information": missing,
            "iterations": steps,
            "seconds": time.process_time() - began,
        },
        plan=plan,
    )


def _warned(missing: float) -> tuple[str, ...]:
    """Where draws tell no standard errors."""
    if not missing >= MOST:
        return ()
    told = "of some combination of the estimates the data tell next to nothing beside the latents"
    return (f"{told}: no standard errors, and steps of EM hardly go on (more steps=)",)


def _estimates(
    model: Trajectories, y: Floats, places: list[tuple[str, int]], covariance: Floats | None
) -> tuple[Floats, Floats]:
    """Values of elements and their standard errors, from the unconstrained numbers' covariance."""
    shown, width = model.shown, 1e-5
    points = np.repeat(y[None, :], 1 + 2 * shown.size, axis=0)
    points[np.arange(shown.size) + 1, shown] += width
    points[np.arange(shown.size) + 1 + shown.size, shown] -= width
    values = model.flat.constrain(points)
    found = np.stack([values[node].reshape(len(points), -1)[:, place] for node, place in places], axis=1)
    if covariance is None:
        return found[0], np.full(len(places), np.nan)
    slopes = (found[1 : 1 + shown.size] - found[1 + shown.size :]) / (2 * width)
    return found[0], np.sqrt(np.einsum("ia,ij,ja->a", slopes, covariance, slopes))


def _latents(problem: Problem, values: Mapping[str, Floats]) -> dict[str, list[Any]]:
    """Means and standard deviations over draws at the estimates."""
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    for name, draws in values.items():
        flat = draws.reshape(len(draws), -1)
        table["name"].extend(element_label(problem, name, i) for i in range(flat.shape[1]))
        table["estimate"].extend(flat.mean(axis=0).tolist())
        table["sd"].extend(flat.std(axis=0, ddof=1).tolist())
    return table
