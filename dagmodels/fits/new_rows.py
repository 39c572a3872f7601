"""New data bound to the levels of a fit: which cells its rows are, and what contradicts the fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.bind import (
    _find_rows,  # pyright: ignore[reportPrivateUsage]
    bind,
)
from dagmodels.bind.claims import Work
from dagmodels.bind.elements import bind_plates
from dagmodels.bind.problem import Problem
from dagmodels.bind.rowplate import row_plate
from dagmodels.bind.sources import read_sources
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.cells import plate_label
from dagmodels.graph.dag import Dag

Ints = NDArray[np.int64]


class NewRows:
    """New data with the levels of a fit continued.

    problem : the new data; elements of the fit keep their places, new ones follow.
    """

    def __init__(self, fitted: Problem, new: Any) -> None:
        self.fitted = fitted
        data = _rows(fitted, _read(new))
        self.problem = bind(fitted.graph, data, levels=fitted)
        self._work = Work(fitted.graph, read_sources(fitted.graph, data, None), fitted, [])
        _find_rows(self._work)
        bind_plates(self._work)

    def known(self, plate: str) -> Ints:
        """Elements of a plate that the fit has seen."""
        seen = np.ones(self.problem.plates[plate].size, dtype=bool)
        seen[np.asarray(self.problem.new.get(self.problem.graph.base(plate), ()), dtype=np.int64)] = False
        return np.flatnonzero(seen)

    def cells(self, name: str) -> tuple[Ints, tuple[int, ...]]:
        """Flat places of the cells of a node that the data ask for, and the shape of the answer.

        A table's rows make one axis, in their order, for all plates whose elements they name; a plate that
        no table has is an axis of its own, with the levels listed or all of its elements.
        """
        plates = self.problem.graph.nodes[name].plates
        axes: list[tuple[list[str], list[Ints]]] = []
        left = list(plates)
        while left:
            sheet = max(self._work.codes, key=lambda c: sum(p in c for p in left), default={})
            here = [p for p in left if p in sheet] or left[:1]
            axes.append((here, [sheet[p] if p in sheet else self._listed(p) for p in here]))
            left = [p for p in left if p not in here]
        axes.sort(key=lambda axis: plates.index(axis[0][0]))
        lengths = tuple(codes[0].size for _, codes in axes)
        flat = np.zeros(lengths, dtype=np.int64)
        by_plate = {
            p: codes[k].reshape([-1 if j == i else 1 for j in range(len(axes))])
            for i, (names, codes) in enumerate(axes)
            for k, p in enumerate(names)
        }
        for plate in plates:
            flat = flat * self.problem.plates[plate].size + by_plate[plate]
        return flat.reshape(-1), lengths

    def _listed(self, plate: str) -> Ints:
        """The levels listed for a plate, in that order; else all elements."""
        bound = self.problem.plates[plate]
        listed = self._work.sources.listed.get(bound.base or plate)
        if listed is None or bound.parents:
            return np.arange(bound.size)
        place = {level: code for code, level in enumerate(bound.levels)}
        return np.array([place[level] for level in listed], dtype=np.int64)

    def refuse_contradictions(self, fixed: Iterable[str]) -> None:
        """Raise ModelErrors for other values of covariates that fitted elements were estimated with.

        fixed : nodes whose elements keep their fitted values.
        """
        dag, errors = self.problem.graph, []
        for name in fixed:
            for covariate in _covariates(dag, name):
                if covariate not in self.problem.values or covariate not in self.fitted.values:
                    continue
                errors += self._contradictions(name, covariate)
        raise_all({e.message: e for e in errors}.values(), f"the prediction of model {dag.name!r}")

    def _contradictions(self, name: str, covariate: str) -> list[ModelError]:
        plates = self.problem.graph.nodes[covariate].plates
        box = np.ix_(*(self.known(p) for p in plates))
        before, now = self.fitted.values[covariate][box], self.problem.values[covariate][box]
        given = ~(np.isnan(before) | np.isnan(now))
        differ = np.argwhere(given & (np.abs(now - before) > 1e-9 * np.maximum(np.abs(before), np.abs(now))))
        if not differ.size:
            return []
        at = tuple(differ[0])
        element = ", ".join(plate_label(self.problem, p, int(i)) for p, i in zip(plates, at, strict=True))
        where = f"[{element}]" if plates else ""
        more = f" ({len(differ)} elements differ)" if len(differ) > 1 else ""
        return [
            ModelError(
                f"'{covariate}{where}' is {now[at]:g}, but '{name}{where}' was fitted where it is "
                f"{before[at]:g}, and keeps its fitted value{more}",
                node=covariate,
                hint=f"leave '{covariate}' out for elements of the fit, or give new elements other names",
            )
        ]


def _read(new: Any) -> Any:
    """The data, a file read once."""
    from dagmodels.data import files

    return files.read(new) if isinstance(new, str) or files.is_file_name(new) else new


def _rows(fitted: Problem, data: Any) -> Any:
    """Lists by node name as the rows of a table, unless they stand for the fit's elements by position."""
    dag = fitted.graph
    if not isinstance(data, Mapping) or any(str(k) in dag.plate for k in data):
        return data
    columns = {str(k): v for k, v in data.items() if str(k) in dag.nodes}
    shapes = {np.shape(v) for v in columns.values()}
    plate = row_plate(dag, tuple(columns), wide={}).plate
    if len(shapes) != 1 or plate is None or len(shape := shapes.pop()) != 1:
        return data
    if fitted.plates[plate].levels == tuple(range(shape[0])):
        return data
    from pandas import DataFrame

    return DataFrame(columns)


def _covariates(dag: Dag, name: str) -> list[str]:
    """Covariates in a node's law, deterministic nodes followed."""
    queue, found = list(dag.parents[name]), {}
    while queue:
        parent = queue.pop(0)
        if parent in found:
            continue
        found[parent] = dag.nodes[parent].kind == "covariate"
        if dag.nodes[parent].kind == "deterministic":
            queue.extend(dag.parents[parent])
    return [p for p, is_data in found.items() if is_data]


def asked(problem: Problem, rows: NewRows | None, name: str) -> tuple[Ints, tuple[int, ...]]:
    """Places and shape of an answer about a node: cells of new rows, or those that data were given for."""
    if rows is not None:
        return rows.cells(name)
    if name in problem.cells:  # one value a row of the data
        return problem.cells[name], problem.cells[name].shape
    shape = problem.shape(name)
    return np.arange(int(np.prod(shape, dtype=np.int64))), shape
