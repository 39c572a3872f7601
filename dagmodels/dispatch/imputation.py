"""Multiple imputation: what is missing, drawn from the fitted graph.

Each imputation begins with a draw of the estimates from their sampling distribution, so that the spread
between imputations holds the uncertainty of the estimates too (Rubin 1987, section 4.2); then all that is
missing is drawn given these and the data, latents and missing cells together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.dispatch.fitting import fit_known, known
from dagmodels.errors import FitError
from dagmodels.graph.dag import Dag, defines
from dagmodels.graph.statement import Covariate
from dagmodels.simulate.simulated import Simulated, assemble

if TYPE_CHECKING:
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
TRIES = 200  # draws of estimates outside of their domain, before they are drawn nearer to the estimate
SETTLED = 40  # draws of a chain before the one that is kept, where draws hang on one another


def impute(fit: Fit, problem: Problem, m: int, seed: int) -> list[Simulated]:
    """See `Fit.impute`."""
    if isinstance(m, bool) or not isinstance(m, int) or m < 1:
        raise FitError(f"m={m!r} is no number of imputations: give 1 or more")
    gaps = _gaps(problem)
    if not gaps:
        raise FitError(
            f"nothing is missing in the data of '{problem.graph.name}': there is nothing to impute"
        )
    streams = np.random.SeedSequence(seed).spawn(m)
    if fit.sampled is not None:
        return _from_draws(fit, problem, gaps, m)
    if fit.completer is not None:
        law = cache(lambda: Estimates(fit, problem))

        def drawn(stream: np.random.SeedSequence) -> dict[str, Floats]:
            return law().drawn(stream)

        made = fit.completer(streams, drawn)
        return [_filled(problem, {n: cells[n] for n in gaps}) for cells in made]
    draws = Estimates(fit, problem)
    return [_filled(problem, _drawn(draws.fixed(s), gaps, s)) for s in streams]


def _gaps(problem: Problem) -> tuple[str, ...]:
    nodes = problem.graph.nodes.values()
    return tuple(
        n.name
        for n in nodes
        if n.role == "observed" and n.name in problem.values and not problem.observed[n.name].all()
    )


def _from_draws(fit: Fit, problem: Problem, gaps: tuple[str, ...], m: int) -> list[Simulated]:
    """Imputations that are draws of the posterior already, as far apart as may be."""
    sampled = fit.sampled
    assert sampled is not None
    total = sampled.chains * sampled.draws
    if m > total:
        raise FitError(f"there are {total} draws, fewer than m={m}: draw more (fit.extend)")
    found = []
    for k in np.linspace(0, total - 1, m).round().astype(int):
        chain, draw = divmod(int(k), sampled.draws)
        found.append(_filled(problem, {n: np.asarray(sampled[n][chain, draw], dtype=float) for n in gaps}))
    return found


def _drawn(problem: Problem, gaps: tuple[str, ...], stream: np.random.SeedSequence) -> dict[str, Floats]:
    """What is missing of each node, given the rest of the problem, in which only latents are unknown."""
    seed = int(stream.generate_state(2)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few draws: one is kept
        found = fit_known(known(problem), "gibbs", seed, False, {"draws": SETTLED, "chains": 1})
    assert found.sampled is not None
    return {n: np.asarray(found.sampled[n][0, -1], dtype=float) for n in gaps}


def _filled(problem: Problem, cells: Mapping[str, Floats]) -> Simulated:
    """The data with these cells in their gaps, as frames that `fit` takes."""
    values = dict(problem.values)
    seen = dict(problem.observed)
    for name, drawn in cells.items():
        values[name] = np.where(seen[name], values[name], drawn.reshape(values[name].shape))
        seen[name] = np.ones_like(seen[name])
    dag = problem.graph
    shown = {n for n, node in dag.nodes.items() if node.kind == "covariate" or node.role == "observed"}
    statements = tuple(s for s in dag.statements if set(defines(s)) and set(defines(s)) <= shown)
    data = replace(
        problem, graph=Dag(dag.name, dag.plates, statements), values=values, observed=seen, memo={}
    )
    found = assemble(data, {n: values[n].reshape(-1) for n in data.graph.nodes}, {})
    return replace(found, what="imputed data: the observed cells and draws of the missing ones")


class Estimates:
    """The estimates of a fit as a law: Normal, positive ones in their logarithm, shares in their logit."""

    def __init__(self, fit: Fit, problem: Problem) -> None:
        self.fit, self.problem = fit, problem
        self.cells = self._cells()
        rows = [str(n) for n in fit.estimate_columns["name"]]
        value = dict(zip(rows, np.asarray(fit.estimate_columns["estimate"], dtype=float), strict=True))
        lower, upper = (dict(zip(rows, bound, strict=True)) for bound in fit.domains())
        self.names = [n for n in rows if n in self.cells]
        if not self.names:
            raise FitError(
                f"the estimates of '{problem.graph.name}' are no numbers of its nodes, from which data could "
                "be drawn: imputation is for models of parameters and latents"
            )
        self.centre = np.array([value[n] for n in self.names])
        self.lower = np.array([lower.get(n, -np.inf) for n in self.names])
        self.upper = np.array([upper.get(n, np.inf) for n in self.names])
        self.log = (self.lower == 0) & (self.upper == np.inf) & (self.centre > 0)
        self.share = np.isfinite(self.lower) & np.isfinite(self.upper)
        self.share &= (self.lower < self.centre) & (self.centre < self.upper)
        self.root = self._root()

    def _cells(self) -> dict[str, tuple[str, int]]:
        """Node and flat place by element name, of nodes that are not latents of plates in the data."""
        found = {}
        for name, node in self.problem.graph.nodes.items():
            if node.role not in ("parameter", "latent"):
                continue
            for i in range(int(np.prod(self.problem.shape(name), dtype=np.int64))):
                found[self.problem.element(name, i)] = (name, i)
        return found

    def _slope(self) -> Floats:
        """Derivative of what is drawn in the estimates."""
        found = np.ones(self.centre.size)
        found[self.log] = 1.0 / self.centre[self.log]
        s = self.share
        low, high, x = self.lower[s], self.upper[s], self.centre[s]
        found[s] = (high - low) / ((x - low) * (high - x))
        return found

    def _root(self) -> Floats:
        """A square root of the covariance of what is drawn; what has no standard error stays as it is."""
        whole, names = self.fit.covariance_matrix, list(self.fit.covariance_names)
        k = len(self.names)
        cov = np.zeros((k, k))
        if whole is not None:
            at = {n: i for i, n in enumerate(names)}
            own = [j for j, n in enumerate(self.names) if n in at and np.isfinite(whole[at[n], at[n]])]
            places = [at[self.names[j]] for j in own]
            cov[np.ix_(own, own)] = np.nan_to_num(np.asarray(whole)[np.ix_(places, places)])
        slope = self._slope()
        sizes, vectors = np.linalg.eigh(cov * slope[:, None] * slope)
        return vectors * np.sqrt(np.maximum(sizes, 0.0))

    def draw(self, rng: np.random.Generator, share: float = 1.0) -> Floats:
        """One draw; share : of the distance from the estimates."""
        step = share * (self.root @ rng.standard_normal(self.root.shape[1]))
        found = self.centre + step
        found[self.log] = self.centre[self.log] * np.exp(step[self.log])
        s = self.share
        odds = (self.centre[s] - self.lower[s]) / (self.upper[s] - self.centre[s]) * np.exp(step[s])
        found[s] = self.lower[s] + (self.upper[s] - self.lower[s]) * odds / (1.0 + odds)
        return found

    def fixed(self, stream: np.random.SeedSequence) -> Problem:
        """The problem with the estimates drawn and given: latents and missing cells alone are unknown."""
        return given(self.problem, self.drawn(stream))

    def drawn(self, stream: np.random.SeedSequence) -> dict[str, Floats]:
        """A draw within the domain of the estimates, by node."""
        rng = np.random.default_rng(stream)
        for k in range(2 * TRIES):
            arrays = self._arrays(self.draw(rng, 1.0 if k < TRIES else 0.5 ** (k - TRIES + 1)))
            if all(_regular(self.problem.graph, n, a) for n, a in arrays.items()):
                return arrays
        raise FitError(f"no draw of the estimates of '{self.problem.graph.name}' lies in their domain")

    def _arrays(self, numbers: Floats) -> dict[str, Floats]:
        """By node; of matrices, of which results tell one triangle, both."""
        found: dict[str, Floats] = {}
        for name, number in zip(self.names, numbers.tolist(), strict=True):
            node, place = self.cells[name]
            if node not in found:
                shape = self.problem.shape(node)
                stated = self.problem.values.get(node)
                found[node] = np.full(shape, np.nan) if stated is None else np.array(stated, dtype=float)
            found[node].reshape(-1)[place] = number
        for node, a in found.items():
            if a.ndim >= 2 and np.isnan(a).any() and a.shape[-1] == a.shape[-2]:
                found[node] = np.where(np.isnan(a), np.swapaxes(a, -1, -2), a)
        for node in self.problem.graph.nodes.values():
            if any(getattr(getattr(s, "domain", None), "kind", "") == "simplex" for s in node.statements):
                found[node.name] /= found[node.name].sum(axis=-1, keepdims=True)
        return found


def _regular(dag: Dag, name: str, array: Floats) -> bool:
    """Whether numbers are such as the node may have: finite, increasing, positive definite."""
    kinds = {getattr(getattr(s, "domain", None), "kind", "") for s in dag.nodes[name].statements}
    if not np.isfinite(array).all():
        return False
    if kinds & {"covariance", "correlation"}:
        return bool((np.linalg.eigvalsh(array) > 0).all())
    if "ordered" in kinds:
        return bool((np.diff(array, axis=-1) > 0).all())
    return not ("simplex" in kinds and (array < 0).any())


def given(problem: Problem, arrays: Mapping[str, Floats]) -> Problem:
    """The problem in which nodes are columns with these numbers."""
    dag = problem.graph
    columns = [Covariate(n, dag.nodes[n].plates) for n in dag.nodes if n in arrays]
    kept = [s for s in dag.statements if not set(defines(s)) & set(arrays)]
    graph = Dag(dag.name, dag.plates, (*columns, *kept), None, dag.source)
    values = {**problem.values, **arrays}
    seen = {**problem.observed, **{n: np.ones(a.shape, dtype=bool) for n, a in arrays.items()}}
    return Problem(graph, problem.plates, values, seen, labels=problem.labels)


__all__ = ["given", "impute"]
