"""Facts -> Verdict: are the tables of a network to be estimated from cases?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.analysis.table_unit import TableUnit
from dagmodels.plugin import Rewrite, Role, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts


def judge(facts: Facts, unit: TableUnit) -> Verdict:
    """The verdict; every network of cases is accepted."""
    hidden = [n for n in unit.nodes if facts.nodes[n].latent]
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=(
            f"every '{unit.plate}' is an independent draw of one discrete network, whose hidden states are "
            "summed out exactly",
        ),
        method="maximum likelihood of the tables, by expectation and maximisation from several starts",
        roles=(
            *(Role(n, "integrated", "states that are not seen are summed out") for n in hidden),
            *(Role(n, "outer", "tables, beginning with the numbers stated") for n in unit.free),
        ),
        rewrites=(Rewrite("compress", f"equal elements of '{unit.plate}' are counted once"),),
    )


def judge_single(facts: Facts) -> Verdict:
    """A network of single nodes: `Graph.query` answers it exactly, and `fit` takes rows as its cases."""
    known = not facts.unknown_tables
    told = (
        "its numbers are stated, so that g.query(evidence) sums over it"
        if known
        else "its numbers are not stated"
    )
    return Verdict(
        "em",
        accepts=True,
        exact=True,
        because=(f"every node is single and discrete, and {told}; rows of data are cases of it",),
        method="exact sums over the network" + (": g.query(evidence)" if known else " for its tables"),
        roles=tuple(Role(n, "integrated", "its states are summed out") for n in facts.stochastic),
    )
