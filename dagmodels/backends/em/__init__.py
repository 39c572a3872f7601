"""The `em` backend: expectation and maximisation over the moments of exchangeable units.

A second route to the optimum that `laplace` finds by Newton's steps, with the same certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.plugin import Plan, Verdict
    from dagmodels.results.fit import Fit


class Em:
    """See the module."""

    name = "em"

    def judge(self, facts: Facts) -> Verdict:
        """Whether the graph is fitted from moments, with reasons."""
        from dagmodels.backends.em.judge import judge

        return judge(facts)

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Maximise the likelihood of moments by EM; see `fit.fit`."""
        from dagmodels.backends.em.fit import fit

        return fit(problem, plan, options)


backend = Em()
