"""Facts -> Verdict: is the graph fitted from the moments of one unit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.analysis.clusters import clusters
from dagmodels.analysis.unit import NoUnit, Unit, unit
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    dag, choice = facts.graph, facts.form
    found = unit(dag)
    if isinstance(found, NoUnit):
        told = f"it takes moments of units alone: {found.because[0]}"
        if isinstance(both := clusters(dag), Unit):
            told = f"it takes units that stand alone, and '{both.inner}' lie in '{both.plate}'"
            told += " (method='laplace' fits both levels)"
        return Verdict("em", accepts=False, because=(told,))
    if choice.form != "moments":
        told = f"it takes the moments form alone, and this is fitted by the field: {choice.why}"
        return Verdict("em", accepts=False, because=(f"{told} (form='moments' asks for moments)",))
    squares = str(facts.options.get("estimator", "ML"))
    if found.cuts or squares != "ML":
        told = f"'{found.cuts[0].name}' is ordered" if found.cuts else f"estimator='{squares}' is asked for"
        return Verdict("em", accepts=False, because=(f"it maximises likelihoods of moments, and {told}",))
    latent = [n for n in found.nodes if not dag.nodes[n].observed]
    outer = [
        n.name for n in dag.nodes.values() if n.role in ("latent", "parameter") and n.name not in found.nodes
    ]
    prior = any(dag.nodes[n].kind == "stochastic" for n in outer)
    what = "mode of the posterior" if prior else "maximum likelihood (ML)"
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=(
            f"every '{found.plate}' is an independent draw of one linear Gaussian law, whose latents and "
            "missing values have means and covariances given the rest",
            f"form: moments, because {choice.why}",
        ),
        method=f"exact {what} from moments, by expectation and maximisation",
        roles=(
            *(Role(n, "integrated", "expected moments given the data") for n in latent),
            *(Role(n, "outer", "a number of the means and covariances") for n in outer),
        ),
        rewrites=(
            Rewrite("compress", f"all elements of '{found.plate}' enter through means and covariances"),
        ),
    )
