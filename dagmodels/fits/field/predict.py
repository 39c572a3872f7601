"""Expected values of observed nodes, for the data fitted or for new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.general import IDENTITY
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.field.closed import conditional_law
from dagmodels.fits.field.expected import Expected
from dagmodels.fits.forecast import Forecast
from dagmodels.forms.scales import values_and_slopes

if TYPE_CHECKING:
    from dagmodels.fits.field.solve import Solution
    from dagmodels.fits.new_rows import NewRows
    from dagmodels.fits.unknowns import Floats, Unknowns

    Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def predictor(solution: Solution, unknowns: Unknowns, means: Floats) -> Predictions:
    """The function behind `Fit.predict`."""
    field = solution.field
    fitted: dict[str, Floats] = {}
    for c in field.coordinates:
        place = field.tape.place(field.outer_registers[c.node])
        places = unknowns.places[c.node]
        estimates = np.where(places >= 0, unknowns.value[places], np.nan)
        fitted[c.node] = np.where(np.isnan(estimates), solution.evaluator.w[place], estimates)
    for name, rows in field.rows.items():
        elements = np.where(rows >= 0, np.append(means, np.nan)[rows], np.nan)
        fitted[name], _ = values_and_slopes(field.roles.general.get(name, IDENTITY), elements)
    for found in field.collapsed:
        fitted[found.pair.name] = conditional_law(found, solution.evaluator.w).mean
    ends = np.cumsum([c.length for c in field.coordinates], dtype=np.int64)
    parts = np.split(solution.optimum.x.copy(), ends[:-1]) if field.coordinates else []
    outer = {c.node: part for c, part in zip(field.coordinates, parts, strict=True)}
    return Predictions(field.problem, fitted, outer)


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """What `Fit.predict` calls: elements of the fit keep their values, new ones take their laws' means.

    problem : graph and data of the fit.
    fitted : estimates and conditional means by node, flat; NaN where a statement or the data give them.
    outer : internal coordinates of the outer unknowns by node.
    """

    problem: Problem
    fitted: Mapping[str, Floats]
    outer: Mapping[str, Floats]

    def __call__(self, new: Any = None, *, type: str = "response", sd: bool = False) -> Any:
        """See `Fit.predict`.

        type : "response" for means, "link" for linear predictors.
        sd : whether a `Forecast` is wanted.
        """
        if type not in ("response", "link"):
            raise FitError(f"type={type!r} is neither 'response' nor 'link'")
        rows, values, problem = self._values(None) if new is None else self._new(new)
        expected = Expected(problem, values)
        answers: dict[str, Any] = {}
        for name, node in problem.graph.nodes.items():
            if node.role != "observed":
                continue
            if rows is None and name in problem.cells:  # one value a row of the data
                places = problem.cells[name]
                shape = places.shape
            elif rows is None:
                shape = problem.shape(name)
                places = np.arange(int(np.prod(shape, dtype=np.int64)))
            else:
                places, shape = rows.cells(name)
            if rows is not None and _inserted(rows, expected, name):
                found = self._forecast(rows, expected, name, places)
                answers[name] = found if sd else found.mean
            else:
                answers[name] = expected.mean(name, places, link=type == "link")
                if sd:
                    answers[name] = self._forecast(rows, expected, name, places)
            parts = answers[name]
            answers[name] = Forecast(*(a.reshape(shape) for a in parts)) if sd else parts.reshape(shape)
        return next(iter(answers.values())) if len(answers) == 1 else answers

    def _forecast(self, rows: NewRows | None, expected: Expected, name: str, places: Ints) -> Forecast:
        from dagmodels.fits.field.repeat import moments

        mean, spread = moments(self.problem, rows, self.outer, name, places)
        return Forecast(mean, spread, np.hypot(spread, expected.noise(name, places)))

    def _new(self, new: Any) -> tuple[NewRows | None, dict[str, Floats], Problem]:
        from dagmodels.fits.new_rows import NewRows

        rows = NewRows(self.problem, new)
        graph = self.problem.graph
        rows.refuse_contradictions(n for n in self.fitted if graph.nodes[n].role != "observed")
        return self._values(rows)

    def _values(self, rows: NewRows | None) -> tuple[NewRows | None, dict[str, Floats], Problem]:
        """Values by node on the cells of the new problem, NaN for what the fit has not seen."""
        problem = self.problem if rows is None else rows.problem
        values: dict[str, Floats] = {}
        for name, node in problem.graph.nodes.items():
            known = self.fitted.get(name)
            if node.role == "observed":
                data = self.problem.values.get(name, np.full(self.problem.shape(name), np.nan)).reshape(-1)
                known = data if known is None else np.where(np.isnan(data), known, data)
            if known is not None:
                values[name] = known.copy() if rows is None else _carried(known, self.problem, rows, name)
                given = problem.values.get(name)
                if node.role == "observed" and rows is not None and given is not None:
                    values[name] = np.where(np.isnan(given.reshape(-1)), values[name], given.reshape(-1))
        return rows, values, problem


def _inserted(rows: NewRows, expected: Expected, name: str) -> bool:
    """Whether new elements stand before known ones in a chain that the node leans on."""
    plates = rows.problem.plates
    graph = rows.problem.graph
    for n in {name, *expected.ancestors(name)}:
        for p in graph.nodes[n].plates:
            order = plates[p].order
            if order is None or n not in graph.parents[n]:
                continue
            known = rows.known(p)
            before = order[known]
            if not np.isin(before[before >= 0], known).all():
                return True
    return False


def _carried(known: Floats, fitted: Problem, rows: NewRows, name: str) -> Floats:
    """A node's fitted values at its places in the new problem."""
    plates = fitted.graph.nodes[name].plates
    found = np.full(rows.problem.shape(name), np.nan)
    box = np.ix_(*(rows.known(p) for p in plates))
    found[box] = known.reshape(fitted.shape(name))[box]
    return found.reshape(-1)
