"""A discrete network as a `DiscreteBayesianNetwork` of pgmpy."""

from __future__ import annotations

from typing import Any

from dagmodels.data.optional import optional
from dagmodels.forms.tables import Tables


def pgmpy_model(net: Tables, what: str) -> Any:
    """The network with its tables; what : needs pgmpy, for the sentence where it is not installed."""
    numbers = net.known
    models = optional("pgmpy.models", "pgmpy", what)
    factors = optional("pgmpy.factors.discrete", "pgmpy", what)
    found = models.DiscreteBayesianNetwork()
    found.add_nodes_from(net.names)
    found.add_edges_from((net.names[p], net.names[i]) for i, own in enumerate(net.parents) for p in own)
    for i, name in enumerate(net.names):
        parents = net.parents[i]
        cpd = factors.TabularCPD(
            name,
            net.sizes[i],
            numbers[i].reshape(-1, net.sizes[i]).T,
            evidence=[net.names[p] for p in parents] or None,
            evidence_card=[net.sizes[p] for p in parents] or None,
            state_names={net.names[j]: list(net.states[j]) for j in (i, *parents)},
        )
        found.add_cpds(cpd)
    return found
