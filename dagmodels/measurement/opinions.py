"""Classical estimators of a graph with mismeasured covariates: second opinions beside its own fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.measurement.calibration import calibrated, calibration
from dagmodels.measurement.error_source import STATES
from dagmodels.measurement.mismeasured import Mismeasured, Readings, mismeasured
from dagmodels.measurement.regression import regress, robust_covariance
from dagmodels.measurement.row_design import RowDesign, row_design
from dagmodels.measurement.scores import conditional, corrected, moments, moments_start, solved
from dagmodels.measurement.simex import EXTRAPOLANTS, Trend, misclassified_trend, trend
from dagmodels.measurement.values import at_rows, law_of, values_of, with_reports
from dagmodels.results.answers import Answer, latents_of
from dagmodels.results.fit import Fit
from dagmodels.results.measurement.opinions import Opinion, SecondOpinions

Floats = NDArray[np.float64]
Estimates = tuple[Floats, Floats]
MODEL_FIT = "this model"


def second_opinions(
    graph: Any,
    data: Any = None,
    readings: Readings | None = None,
    draws: int = 200,
    replicates: int = 100,
    seed: int = 1,
    **options: Any,
) -> SecondOpinions:
    """Fit a graph, and ask classical estimators of the same graph and data; print it.

    graph, data, options : as of `Graph.fit`. The rest, and what is returned: see `Fit.second_opinions`.
    """
    return graph.fit(data, seed=seed, **options).second_opinions(readings, draws, replicates, seed)


def opinions_of(
    fit: Fit,
    problem: Problem,
    readings: Readings | None = None,
    draws: int = 200,
    replicates: int = 100,
    seed: int = 1,
) -> SecondOpinions:
    """See `Fit.second_opinions`."""
    found = mismeasured(problem, readings)
    about = {n for n, node in problem.graph.nodes.items() if node.role in ("latent", "parameter")}
    answer = Answer.of(MODEL_FIT, fit, about - {m.node for m in found})
    fitted = with_reports(problem, values_of(problem, answer.estimates, latents_of(fit)))
    opinions: list[Opinion] = []
    refusals: dict[str, str] = {}
    notes: dict[str, str] = {}
    for outcome in dict.fromkeys(o for m in found for o in m.outcomes):
        try:
            design = row_design(problem, found, outcome, fitted)
        except FitError as error:
            refusals[f"all estimators of '{outcome}'"] = str(error)
            continue
        notes |= dict(zip(design.true, design.how, strict=True))
        own = [answer.numbers.get(n) for n in design.names]
        opinions.append(
            Opinion(outcome, MODEL_FIT, "the model's", design.names,
                    np.array([np.nan if a is None else a.estimate for a in own]),
                    np.array([np.nan if a is None else a.se for a in own]))
        )  # fmt: skip
        chances = _chances(problem, found, outcome, fitted)
        for name, kind, run in _estimators(design, chances, draws, replicates, seed):
            try:
                beta, se = run()
            except FitError as error:
                refusals[f"{name} of '{outcome}'"] = str(error)
                continue
            opinions.append(Opinion(outcome, name, kind, design.names, beta, se))
    return SecondOpinions(problem.graph.name, tuple(opinions), refusals, notes)


def _estimators(
    design: RowDesign, chances: Floats | None, draws: int, replicates: int, seed: int
) -> Iterator[tuple[str, str, Callable[[], Estimates]]]:
    """Name, kind of standard errors, and what runs it."""
    family, y, offset = design.family, design.y, design.offset

    def naive() -> Estimates:
        beta = regress(family, design.design, y, offset)
        return beta, np.sqrt(robust_covariance(family, design.design, y, offset, beta).diagonal())

    def scored(score: Callable[[RowDesign, Floats, Floats], Floats]) -> Callable[[], Estimates]:
        def run() -> Estimates:
            _need_linear(design)
            if score is not moments:
                _need_apart(design)
            start = moments_start(design) if score is moments else _start(design)
            return solved(design, score, start)

        return run

    yield "naive", "sandwich", naive
    if STATES in design.how:
        yield from _by_states(design, chances, replicates, seed)
        return
    if family == "Normal":
        yield "moments", "sandwich", scored(moments)

    def regression_calibration() -> Estimates:
        _need_apart(design)
        if not design.affine:
            raise FitError("a true value stands in the mean other than linearly")
        return calibration(design, draws, seed)

    yield "regression calibration", f"bootstrap of {draws} resamples", regression_calibration
    trends: list[Trend] = []

    def by(extrapolant: str) -> Callable[[], Estimates]:
        def run() -> Estimates:
            _need_apart(design)
            calibrated(design)  # says so where the error leaves nothing: there is no trend back then
            if not trends:
                trends.append(trend(design, replicates, seed))
            return trends[0].back(extrapolant)

        return run

    for extrapolant in EXTRAPOLANTS:
        yield f"SIMEX, {extrapolant}", "jackknife", by(extrapolant)
    if family in ("Bernoulli", "Poisson"):
        yield "conditional score", "sandwich", scored(conditional)
    if family == "Poisson":
        yield "corrected score", "sandwich", scored(corrected)


def _by_states(
    design: RowDesign, chances: Floats | None, replicates: int, seed: int
) -> Iterator[tuple[str, str, Callable[[], Estimates]]]:
    trends: list[Trend] = []

    def by(extrapolant: str) -> Callable[[], Estimates]:
        def run() -> Estimates:
            if chances is None or len(design.true) > 1:
                raise FitError("it is for one state, which a Bernoulli node or one with a table misreports")
            if not trends:
                trends.append(misclassified_trend(design, chances, replicates, seed))
            return trends[0].back(extrapolant)

        return run

    for extrapolant in EXTRAPOLANTS:
        yield f"MC-SIMEX, {extrapolant}", "jackknife", by(extrapolant)


def _need_linear(design: RowDesign) -> None:
    if not design.linear:
        raise FitError("each true value must stand in the mean as one column of its own")


def _need_apart(design: RowDesign) -> None:
    if design.cross.any():
        raise FitError("the errors of reading and outcome are correlated")


def _start(design: RowDesign) -> Floats:
    """Calibrated coefficients: where scores begin."""
    return regress(design.family, design.columns(calibrated(design)), design.y, design.offset)


def _chances(
    problem: Problem, found: tuple[Mismeasured, ...], outcome: str, fitted: Mapping[str, Floats]
) -> Floats | None:
    """The chance of each observed state given each true one, where one binary node reads it, (2, 2)."""
    own = [m for m in found if outcome in m.outcomes and m.discrete]
    if len(own) != 1:
        return None
    (m,) = own
    law, _ = law_of(problem, m.readings[0])
    plate = problem.graph.nodes[m.node].values_in
    if law.family != "Bernoulli" or plate is None or problem.plates[plate].size != 2:
        return None
    tree = law.argument("p")
    if not isinstance(tree, ex.Expression):
        return None
    one = []
    for state in (0.0, 1.0):
        values = dict(fitted) | {m.node: np.full((*problem.shape(m.node), 1), state)}
        one.append(float(np.mean(at_rows(problem, m.readings[0], tree, with_reports(problem, values)))))
    return np.array([[1 - p, p] for p in one])


__all__ = ["opinions_of", "second_opinions"]
