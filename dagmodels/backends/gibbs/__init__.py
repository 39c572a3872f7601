"""The `gibbs` backend: draws from the posterior, after everything with a closed form was integrated out.

What is integrated is drawn afterwards, exactly; what is left is drawn from a grid, by independence proposals
or by the no-U-turn sampler, whichever the graph and the density allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.plugin import Plan, Verdict
    from dagmodels.results.fit import Fit


class Gibbs:
    """See the module."""

    name = "gibbs"

    def judge(self, facts: Facts) -> Verdict:
        """Which route draws the graph's unknowns, or why none does."""
        from dagmodels.backends.gibbs.judge import judge

        return judge(facts)

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Draw; see `fit.fit`."""
        from dagmodels.backends.gibbs.fit import fit

        return fit(problem, plan, options)


backend = Gibbs()
