"""The `laplace` backend: marginal likelihood (or posterior) of the outer unknowns, maximised.

Where every leaf is Gaussian and linear the integral over the latents is exact: this is ML, or REML
where flat coefficients are integrated too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.plugin import Plan, Verdict
    from dagmodels.results.fit import Fit


class Laplace:
    """See the module."""

    name = "laplace"

    def judge(self, facts: Facts) -> Verdict:
        """Whether the graph is linear and Gaussian given the outer unknowns, with reasons."""
        from dagmodels.backends.laplace.judge import judge

        return judge(facts)

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Maximise the exact marginal criterion; see `fit.fit_field`."""
        from dagmodels.backends.laplace.fit import fit

        return fit(problem, plan, options)

    def describe(self, plan: Plan) -> Plan:
        """The plan in the words of its options: posterior means instead of modes, if asked for."""
        from dagmodels.backends.laplace.posterior_plan import described

        return described(plan)


backend = Laplace()
