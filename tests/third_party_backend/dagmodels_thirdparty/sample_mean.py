"""The sample mean as a backend: one observed node, its location one unknown without plates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.plugin import Plan, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.results.fit import Fit


class SampleMean:
    """Estimates the location of a StudentT, Laplace or Logistic node by the sample mean."""

    name = "sample_mean"
    families = ("StudentT", "Laplace", "Logistic")

    def judge(self, facts: Facts) -> Verdict:
        """Accepts one observed node of these families without latents."""
        refusals: list[str] = []
        if len(facts.observed) != 1:
            refusals.append(f"there are {len(facts.observed)} observed nodes and it takes one")
        for name in facts.observed:
            family = facts.nodes[name].families[0]
            if family not in self.families:
                refusals.append(f"'{name}' is {family}: it takes {', '.join(self.families)}")
        if len(facts.parameters) != 1 or len(facts.unknowns) != 1:
            refusals.append("it takes one parameter and nothing else unknown")
        if refusals:
            return Verdict(self.name, accepts=False, because=tuple(refusals))
        return Verdict(
            self.name,
            accepts=True,
            exact=False,
            because=(f"'{facts.observed[0]}' has one unknown, its location",),
            method="sample mean",
            cost=1e-5,
            roles=(Role(facts.parameters[0], "outer", "the location"),),
        )

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """The mean and its standard error."""
        from dagmodels.results.fit import Fit
        from dagmodels.results.limits import wald

        (observed,) = (n for n, node in problem.graph.nodes.items() if node.observed)
        (unknown,) = (n for n, node in problem.graph.nodes.items() if node.kind == "parameter")
        values = problem.values[observed][problem.observed[observed]]
        estimate = float(values.mean())
        se = float(values.std(ddof=1) / np.sqrt(values.size))
        lower, upper = wald(estimate, se)
        return Fit(
            graph=problem.graph,
            backend=self.name,
            method=f"sample mean of '{observed}'",
            exact=False,
            converged=True,
            message="a mean needs no search",
            estimate_columns={
                "name": [unknown],
                "estimate": [estimate],
                "se": [se],
                "lower": [float(lower)],
                "upper": [float(upper)],
                "what": ["maximised"],
            },
            n_parameters=1,
            n_observations=int(values.size),
            diagnostics={"gradient_norm": 0.0, "evaluations": 1},
            plan=plan,
        )


backend = SampleMean()
