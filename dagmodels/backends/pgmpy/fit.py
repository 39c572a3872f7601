"""Tables of a discrete network by pgmpy's maximum likelihood, of cases that are seen whole."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.table_unit import TableUnit, table_unit
from dagmodels.bind.problem import Problem
from dagmodels.data.optional import optional
from dagmodels.errors import FitError
from dagmodels.forms.table_counts import table_counts
from dagmodels.results.fit import Fit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Shares of counts.

    Raises
    ------
    FitError : options; cases with something hidden.
    """
    import pandas as pd

    began = time.process_time()
    unknown = [name for name in options if name != "seed"]
    if unknown:
        raise FitError(f"pgmpy has no option {', '.join(map(repr, unknown))} here")
    unit = table_unit(problem.graph)
    assert isinstance(unit, TableUnit)  # the verdict said so
    form = table_counts(problem, unit)
    if form.groups or form.hidden:
        raise FitError("pgmpy drops cases that are not seen whole; method='em' takes them all")
    net = form.tables
    frame = pd.DataFrame({
        name: pd.Categorical.from_codes(problem.values[name].ravel().astype(int), list(net.states[i]))
        for i, name in enumerate(net.names)
    })  # fmt: skip
    names: list[str] = []
    values: list[float] = []
    log = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pgmpy about its own later versions
        models = optional("pgmpy.models", "pgmpy", "method='pgmpy'")
        estimators = optional("pgmpy.estimators", "pgmpy", "method='pgmpy'")
        model = models.DiscreteBayesianNetwork()
        model.add_nodes_from(net.names)
        edges = [(net.names[p], net.names[i]) for i, own in enumerate(net.parents) for p in own]
        model.add_edges_from(edges)
        states = {name: list(net.states[i]) for i, name in enumerate(net.names)}
        rule = estimators.MaximumLikelihoodEstimator(model, frame, state_names=states)
        for name in unit.free:
            table = _table(net, name, rule.estimate_cpd(name))
            first, end = form.starts[net.index[name]], form.starts[net.index[name] + 1]
            counts = form.whole[first:end]
            log += float(counts[counts > 0] @ np.log(table.ravel()[counts > 0]))
            family = [net.states[i] for i in net.families[net.index[name]]]
            names += [f"{name}[{', '.join(map(str, labels))}]" for labels in product(*family)]
            values += table.ravel().tolist()
    for i, name in enumerate(net.names):
        if name not in unit.free:
            counts = form.whole[form.starts[i] : form.starts[i + 1]]
            log += float(counts[counts > 0] @ np.log(net.known[i].ravel()[counts > 0]))
    nothing = [float("nan")] * len(names)
    return Fit(
        graph=problem.graph,
        backend="pgmpy",
        method="shares of counts, by pgmpy",
        exact=True,
        converged=True,
        message="closed form",
        estimate_columns={
            "name": names,
            "estimate": values,
            "se": nothing,
            "lower": nothing,
            "upper": nothing,
            "what": ["maximised"] * len(names),
        },
        log_likelihood=log,
        n_observations=form.n,
        diagnostics={"seconds": time.process_time() - began},
        plan=plan,
    )


def _table(net: Any, name: str, cpd: Any) -> Any:
    """A TabularCPD with our axes: the parents in our order, then the node."""
    family = [net.names[i] for i in net.families[net.index[name]]]
    numbers = np.transpose(cpd.values, [list(cpd.variables).index(n) for n in family])
    for axis, member in enumerate(family):
        places = [list(cpd.state_names[member]).index(s) for s in net.states[net.index[member]]]
        numbers = np.take(numbers, places, axis=axis)
    return numbers
