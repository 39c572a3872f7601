"""Means of a problem's elements from fitted values: what is known stays, the rest takes its law's mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import location_argument
from dagmodels.bind.problem import Problem, Rows
from dagmodels.distributions import _numeric, family
from dagmodels.errors import FitError
from dagmodels.forms.cells import Cells, cells, element_label
from dagmodels.forms.coordinates import canonical
from dagmodels.forms.evaluate import Evaluation
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Distribution, Joint, Parameter, Stochastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
INVERSE_LINKS = ("exp", "expit", "Phi", "icloglog")


class Expected:
    """Evaluates means on a problem.

    Parameters
    ----------
    problem : graph, plates and covariates.
    values : all elements of every node that is neither data nor deterministic, flat, NaN where not known.
        Elements that the means of observed nodes need are filled in from their own means, earlier elements
        of a chain before later ones.
    """

    def __init__(self, problem: Problem, values: dict[str, Floats]) -> None:
        self.problem = problem
        self.values = values

    def mean(self, name: str, places: Ints, *, link: bool = False) -> Floats:
        """Means of some elements of an observed node (or their linear predictors).

        Raises FitError, with the reason, where there is none.
        """
        self._complete(name)
        found = self._at(name, places, link=link)
        lost = np.flatnonzero(np.isnan(found))
        if lost.size:
            more = f" and {lost.size - 1} more" if lost.size > 1 else ""
            label = element_label(self.problem, name, int(places[lost[0]]))
            raise FitError(f"'{label}'{more} cannot be predicted: {self._why(name)}")
        return found

    def noise(self, name: str, places: Ints) -> Floats:
        """Standard deviations of a Normal node around its means."""
        out = np.full(places.size, np.nan)
        evaluation = Evaluation(self.problem, self.values)
        for share, asked, rows in self._shares(name, places):
            law = _Law(evaluation, share, rows)
            assert isinstance(share.statement, Stochastic)
            out[asked] = np.abs(canonical(share.statement.distribution, law.number, _numeric)[1])  # type: ignore[arg-type]
        return out

    def _complete(self, name: str) -> None:
        """Fill in what the node depends on; a pass for every step that one chain takes on another."""
        ancestors = self.ancestors(name)
        order = [n for n in self.problem.graph.order if n in self.values and n in ancestors]
        going = True
        while going:
            going = False
            for n in order:
                going |= self._fill(n)

    def _fill(self, name: str) -> bool:
        """Fill in elements whose means are known by now, one after the other along a chain."""
        value, filled = self.values[name], False
        while (open_ := np.flatnonzero(np.isnan(value))).size:
            found = self._at(name, open_)
            known = ~np.isnan(found)
            value[open_[known]] = found[known]
            filled |= bool(known.any())
            if not known.any() or name not in self.problem.graph.parents[name]:
                break
        return filled

    def ancestors(self, name: str) -> set[str]:
        """Nodes that a node depends on, itself among them where it leans on its own past."""
        found: set[str] = set()
        queue = list(self.problem.graph.parents[name])
        while queue:
            parent = queue.pop()
            if parent not in found:
                found.add(parent)
                queue.extend(self.problem.graph.parents[parent])
        return found

    # -- means of laws

    def _at(self, name: str, places: Ints, *, link: bool = False) -> Floats:
        """Means given the values as they are, NaN where these are not known or there is no mean."""
        out = np.full(places.size, np.nan)
        evaluation = Evaluation(self.problem, self.values)
        with np.errstate(all="ignore"):
            for share, asked, rows in self._shares(name, places):
                law = _Law(evaluation, share, rows)
                out[asked] = law.link() if link else law.mean()
        return out

    def _shares(self, name: str, places: Ints) -> Iterator[tuple[Cells, Ints, Rows]]:
        """Statements with the positions among `places` that they give, and the rows of these."""
        for share in cells(self.problem, name):
            at = np.minimum(np.searchsorted(share.places, places), share.places.size - 1)
            asked = np.flatnonzero(share.places[at] == places)
            if not asked.size:
                continue
            at = at[asked]
            rows = share.rows
            if at.size != rows.n or (at != np.arange(rows.n)).any():
                rows = Rows(at.size, {p: c[at] for p, c in rows.codes.items()})
            yield share, asked, rows

    # -- reasons

    def _why(self, name: str) -> str:
        """The first thing that has no mean among what a node depends on."""
        graph = self.problem.graph
        ancestors = self.ancestors(name)
        for n in (*(n for n in graph.order if n in ancestors and n != name), name):
            if n == name:
                reasons = {_no_mean(s) for s in graph.nodes[name].statements} - {None}
                if reasons:
                    return f"'{name}' {reasons.pop()}"
            elif n in self.values and (open_ := np.flatnonzero(np.isnan(self.values[n]))).size:
                for share, asked, _ in self._shares(n, open_):
                    reason = _no_mean(share.statement)
                    if reason is not None:
                        return f"'{element_label(self.problem, n, int(open_[asked[0]]))}' {reason}"
        return "its mean is not a number at the fitted values; look at its covariates"


class _Law:
    """One statement's law on some rows."""

    def __init__(self, evaluation: Evaluation, share: Cells, rows: Rows) -> None:
        self.evaluation, self.share, self.rows = evaluation, share, rows

    def number(self, tree: object) -> Floats:
        assert isinstance(tree, ex.Expression)
        return self.evaluation.rows(tree, self.rows)

    def mean(self) -> Floats | float:
        statement = self.share.statement
        if isinstance(statement, Deterministic):
            return self.number(statement.expression)
        if _no_mean(statement) is not None or not isinstance(statement, Stochastic | Joint):
            return np.nan
        d = statement.distribution
        mu = d.argument("mu")
        if _is_location(d):
            return self.number(self._component(mu)) if isinstance(mu, ex.Expression) else 0.0
        law = family(d.family)
        assert law.mean is not None
        return np.asarray(_numeric.quietly(law.mean, *canonical(d, self.number, _numeric)))  # type: ignore[arg-type]

    def link(self) -> Floats | float:
        """The linear predictor: the mean of a Normal, else what stands in the one inverse link."""
        statement = self.share.statement
        if not isinstance(statement, Stochastic | Joint) or _is_location(statement.distribution):
            return self.mean()
        d = statement.distribution
        given = dict(d.arguments)
        for name in ("logit_p", "eta"):  # eta of grades
            if name in given:
                return self.number(given[name])
        found: dict[ex.Expression, Rows] = {}
        located = location_argument(d)
        for tree in (given[located],) if located in given else given.values():
            if isinstance(tree, ex.Expression):
                self._inverse_links(tree, self.rows, found)
        if len(found) != 1:
            told = f"{len(found)} of the functions {', '.join(INVERSE_LINKS)} in its law"
            raise FitError(f"type='link': '{d.family}' has no one link here, there are {told}")
        ((tree, rows),) = found.items()
        return self.evaluation.rows(tree, rows)

    def _inverse_links(self, tree: ex.Expression, rows: Rows, found: dict[ex.Expression, Rows]) -> None:
        """Arguments of inverse links, deterministic nodes followed on their own rows."""
        graph = self.evaluation.problem.graph
        match tree:
            case ex.Call(function, (argument,)) if function in INVERSE_LINKS:
                found.setdefault(argument, rows)
            case ex.Call(_, arguments):
                for argument in arguments:
                    self._inverse_links(argument, rows, found)
            case ex.Binary(_, left, right):
                self._inverse_links(left, rows, found)
                self._inverse_links(right, rows, found)
            case ex.Unary(_, operand):
                self._inverse_links(operand, rows, found)
            case ex.Reference(name, _) if name in graph.nodes and graph.nodes[name].kind == "deterministic":
                (share, *others) = cells(self.evaluation.problem, name)
                if not others and isinstance(share.statement, Deterministic):
                    at = self.evaluation.lowering.places(tree, rows)
                    inner = Rows(rows.n, {p: c[at] for p, c in share.rows.codes.items()})
                    self._inverse_links(share.statement.expression, inner, found)
            case _:
                pass

    def _component(self, mu: ex.Expression) -> ex.Expression:
        if isinstance(mu, ex.Vector) and self.share.component is not None:
            return mu.items[self.share.component]
        return mu


def _is_location(d: Distribution) -> bool:
    """Whether the mean is the argument mu, whatever else is unknown."""
    return d.family in ("Normal", "MvNormal", "Simultaneous", "Laplace", "Logistic")


def _no_mean(statement: Any) -> str | None:
    """Why an element that a statement gives has no mean; None where it has one."""
    if isinstance(statement, Parameter):
        return "is a parameter of its own, which the fit has no estimate of"
    if isinstance(statement, Stochastic | Joint):
        d = statement.distribution
        if d.family in ("Flat", "HalfFlat"):
            return f"has a {d.family} law, which says nothing of an element without data"
        if d.family in ("Truncated", "Censored", "Ordered", "Mixture", "Table"):
            return f"is {d.family}, whose mean is not known here"
        if not _is_location(d) and (family(d.family).mean is None or family(d.family).event):
            return f"is {d.family}, whose mean is not known here"
    return None
