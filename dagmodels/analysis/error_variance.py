"""Known errors that leave a covariate nothing, and unknown ones that nothing tells.

What can still be concluded of one mismeasured covariate and a linear outcome are Gini's bounds: its slope
lies between that of y on w and the reverse regression (Gini 1921; Klepper and Leamer 1984, Econometrica
52:163).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.known_scales import known_spread
from dagmodels.analysis.laws import distribution_of
from dagmodels.analysis.measurement import Measured, berkson, covariates_with_error
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Stochastic


def doubts(problem: Problem) -> tuple[str, ...]:
    """Sentences on readings whose known error is as large as their scatter."""
    found = covariates_with_error(problem.graph)
    return tuple(sentence for m in found for sentence in _too_large(problem, m))


def berkson_notes(dag: Dag) -> tuple[str, ...]:
    """What graphs with Berkson errors say, in case the other arrow was meant."""
    return tuple(
        f"'{b.node}' scatters about the column '{b.column}' (Berkson error: slopes of linear outcomes are "
        f"not attenuated); if '{b.column}' is a reading of '{b.node}' with error, write "
        f"`{b.node} ~ Normal(mu, s)` and `observed {b.column} ~ Normal({b.node}, ...)`"
        for b in berkson(dag)
    )


def would_identify(dag: Dag, finding: Finding) -> Finding:
    """The finding with what identifies an unknown error of a covariate, where it is about such an error."""
    for m in covariates_with_error(dag):
        if any({*reading.unknown} & {*finding.nodes} for reading in m.readings):
            ways = (
                f"what would tell the error of '{m.node}': a known error variance or reliability, a "
                "replicate, an instrument, a validation sample in which it is seen, or the ratio of the "
                "error variances where nothing else scatters about the line"
            )
            return replace(finding, hint=f"{finding.hint}; {ways}")
    return finding


def _too_large(problem: Problem, m: Measured) -> Iterator[str]:
    for reading in m.readings:
        node = problem.graph.nodes[reading.node]
        if reading.unknown or reading.law.family != "Normal" or len(node.statements) != 1:
            continue
        (statement,) = node.statements
        law = distribution_of(statement)
        if not isinstance(statement, Stochastic) or law is None:
            continue
        scale = known_spread(problem, statement, law)
        w = problem.values.get(reading.node)
        if scale is None or w is None or scale.size != w.size:
            continue
        values = w.reshape(-1)
        seen = np.isfinite(values)
        if seen.sum() < 3:
            continue
        error, scatter = float(np.mean(scale[seen] ** 2)), float(np.var(values[seen]))
        if error >= scatter:
            yield (
                f"the error variance of '{reading.node}' ({error:.4g}) is not below its observed variance "
                f"({scatter:.4g}): nothing is left for '{m.node}' to vary, the corrected slope hangs on the "
                f"model alone; what holds is its sign and {_bounds(problem, m, values)}"
            )


def _bounds(problem: Problem, m: Measured, w: NDArray[np.float64]) -> str:
    """Gini's bounds where the outcome is one column of the same rows."""
    if len(m.outcomes) == 1:
        y = problem.values.get(m.outcomes[0])
        law = distribution_of(problem.graph.nodes[m.outcomes[0]].statements[0])
        if y is not None and y.size == w.size and law is not None and law.family == "Normal":
            both = np.isfinite(w) & np.isfinite(y.reshape(-1))
            c = np.cov(w[both], y.reshape(-1)[both])
            if c[0, 1] != 0:
                direct, reverse = c[0, 1] / c[0, 0], c[1, 1] / c[0, 1]
                return (
                    f"Gini's bounds without other covariates: between {direct:.4g} (regression of "
                    f"'{m.outcomes[0]}') and {reverse:.4g} (the reverse regression)"
                )
    return "that it is at least as steep as the naive slope"


__all__ = ["berkson_notes", "doubts", "would_identify"]
