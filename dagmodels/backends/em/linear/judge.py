"""Facts -> Verdict: cases with discrete nodes and hidden normal values?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.errors import FitError
from dagmodels.forms.linear_cases import linear_cases, why_not
from dagmodels.plugin import Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.graph.dag import Dag


def hidden_values(dag: Dag, problem: Problem | None) -> tuple[str, ...]:
    """Normal nodes that are not seen whole and on which others depend."""
    found: list[str] = []
    for name, node in dag.nodes.items():
        if node.kind != "stochastic" or node.values_in is not None or not dag.children[name]:
            continue
        law = getattr(node.statements[0], "distribution", None)
        if law is None or law.family != "Normal" or not node.plates:
            continue
        seen = None if problem is None else problem.observed.get(name)
        if not node.observed or (seen is not None and not seen.all()):
            found.append(name)
    return tuple(found)


def is_linear(dag: Dag, problem: Problem | None) -> bool:
    """Whether a graph is one of cases with discrete nodes and hidden normal values."""
    laws = [
        getattr(n.statements[0], "distribution", None) for n in dag.nodes.values() if n.kind == "stochastic"
    ]
    discrete = any(law is not None and law.family in ("Categorical", "Table", "Bernoulli") for law in laws)
    return discrete and bool(hidden_values(dag, problem)) and not why_not(dag)


def judge(facts: Facts) -> Verdict:
    """The verdict; `is_linear` holds. Without data, trees that the form cannot hold are not seen."""
    if facts.problem is not None:
        try:
            linear_cases(facts.problem)
        except FitError as error:
            return Verdict("em", accepts=False, because=(str(error).removeprefix("em: "),))
    values = hidden_values(facts.graph, facts.problem)
    named = ", ".join(f"'{n}'" for n in values)
    discrete = [n for n, node in facts.nodes.items() if node.latent and n not in values]
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=(
            f"{named}: given the states of the discrete nodes of a case, what is hidden of its normal values "
            "has one normal law",
        ),
        method="maximum likelihood by expectation and maximisation, from several starts",
        roles=(
            *(Role(n, "integrated", "normal within each joint state") for n in values),
            *(Role(n, "integrated", "summed out over its states") for n in discrete),
            *(
                Role(n, "outer", "maximised")
                for n, node in facts.graph.nodes.items()
                if node.kind == "parameter"
            ),
        ),
    )
