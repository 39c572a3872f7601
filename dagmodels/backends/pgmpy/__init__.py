"""The `pgmpy` backend: another library's answers to the same questions, for comparison.

It is used where `method="pgmpy"` names it: `g.query(evidence, method="pgmpy")` by its variable elimination,
`g.fit(cases, method="pgmpy")` by its maximum likelihood, of cases that are seen whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagmodels.plugin import Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.fits.network.asked import Asked
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit


class Pgmpy:
    """See the module."""

    name = "pgmpy"

    def judge(self, facts: Facts) -> Verdict:
        """Whether the graph is a discrete network; asked for by name alone."""
        from dagmodels.analysis.table_unit import TableUnit, table_unit

        unit = table_unit(facts.graph)
        if not isinstance(unit, TableUnit):
            told = "it answers questions to discrete networks and fits tables of their cases alone"
            return Verdict("pgmpy", accepts=False, because=(told,), by_name=True)
        hidden = [n for n in unit.nodes if facts.nodes[n].latent]
        if hidden:
            named = ", ".join(f"'{n}'" for n in hidden[:4])
            told = f"{named}: it drops cases that are not seen whole, and is asked for whole ones alone"
            return Verdict("pgmpy", accepts=False, because=(told,), by_name=True)
        return Verdict(
            "pgmpy",
            accepts=True,
            exact=True,
            because=("every node is discrete and seen",),
            method="shares of counts by pgmpy",
            by_name=True,
        )

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Tables by maximum likelihood, of cases seen whole; see `backends.pgmpy.fit.fit`."""
        from dagmodels.backends.pgmpy.fit import fit

        return fit(problem, plan, options)

    def query(self, asked: Asked, evidence: Any, targets: Any, joint: bool) -> dict[Any, Any]:
        """As `Graph.query`, by pgmpy's variable elimination."""
        from dagmodels.backends.pgmpy.answers import query

        return query(asked, evidence, targets, joint)


backend = Pgmpy()
