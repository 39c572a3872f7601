"""Questions answered by pgmpy's variable elimination."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dagmodels.data.optional import optional
from dagmodels.errors import ModelError, raise_all
from dagmodels.fits.network.asked import Asked
from dagmodels.fits.network.evidence import QUESTION, Cases, read
from dagmodels.fits.network.query import targets_of
from dagmodels.forms.pgmpy_model import pgmpy_model
from dagmodels.forms.tables import Tables, tables

WHAT = "method='pgmpy'"


def query(asked: Asked, evidence: Any, targets: Any, joint: bool) -> dict[Any, Any]:
    """As `fits.network.query.query`, of one set of evidence."""
    targets = asked.targets(targets)
    net = tables(asked.dag)
    given = read(net, asked.with_data(evidence))
    if isinstance(given, Cases):
        raise_all([ModelError("pgmpy is asked about one set of evidence", hint="loop over rows")], QUESTION)
        raise AssertionError("unreachable")
    wanted = targets_of(net, targets, joint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pgmpy about its own later versions
        inference = optional("pgmpy.inference", "pgmpy", WHAT)
        factors = optional("pgmpy.factors.discrete", "pgmpy", WHAT)
        engine = inference.VariableElimination(pgmpy_model(net, WHAT))
        seen = {net.names[i]: net.states[i][code] for i, code in given.seen.items()}
        soft = [
            factors.TabularCPD(
                net.names[i],
                net.sizes[i],
                (w / w.sum())[:, None],
                state_names={net.names[i]: list(net.states[i])},
            )
            for i, w in given.weights.items()
        ]
        return {
            net.names[group[0]] if len(group) == 1 else tuple(net.names[i] for i in group): _answer(
                net, engine, group, seen, soft
            )
            for group in wanted
        }


def _answer(
    net: Tables, engine: Any, group: tuple[int, ...], seen: dict[str, Any], soft: list[Any]
) -> dict[Any, float]:
    """One marginal or joint distribution; a node that is seen has the state seen."""
    names = [net.names[i] for i in group]
    free = [n for n in names if n not in seen]
    values, order = np.ones(()), {}
    if free:
        found = engine.query(free, evidence=seen or None, virtual_evidence=soft or None, show_progress=False)
        values = np.transpose(found.values, [found.variables.index(n) for n in free])
        values = values / values.sum()
        order = {n: list(found.state_names[n]) for n in free}
    answer: dict[Any, float] = {}
    for codes in np.ndindex(*(net.sizes[i] for i in group)):
        labels = tuple(net.states[i][k] for i, k in zip(group, codes, strict=True))
        state = dict(zip(names, labels, strict=True))
        fits = all(state[n] == seen[n] for n in names if n in seen)
        number = float(values[tuple(order[n].index(state[n]) for n in free)]) if fits else 0.0
        answer[labels if len(group) > 1 else labels[0]] = number
    return answer
