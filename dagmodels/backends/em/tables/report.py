"""The optimum as a fit: tables under the nodes' names, standard errors, and what the data do not tell."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.tables.completion import completion
from dagmodels.backends.em.tables.information import EDGE, edges_hold
from dagmodels.backends.em.tables.layout import Layout
from dagmodels.backends.em.tables.loop import BEST, CLOSE, Optimum
from dagmodels.bind.problem import Problem
from dagmodels.fits.network.conflict import told
from dagmodels.fits.network.evidence import Cases, read
from dagmodels.fits.network.mpe import mpe
from dagmodels.fits.network.query import log_probabilities, network, probability, query, row_of
from dagmodels.forms.table_counts import TableCounts
from dagmodels.forms.tables import Tables
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.cases import off_cases
from dagmodels.graph.dag import Dag
from dagmodels.results.limits import wald
from dagmodels.results.network_fit import NetworkFit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]
LEAST = 1e-6  # of expected cases, below which a row of a table has no data


def report(
    problem: Problem,
    plan: Plan,
    form: TableCounts,
    layout: Layout,
    best: Optimum,
    values: Sequence[float],
    evaluations: int,
    began: float,
) -> NetworkFit:
    """The fit of bound cases; values : of all searches, evaluations : of the likelihood in all of them."""
    net = form.tables
    cases = np.add.reduceat(best.counts, layout.firsts)
    deviations, unidentified = _errors(layout, best, cases)
    cells = np.where(cases[layout.rows] < LEAST, layout.stated, best.cells)
    network = _network(problem, form, cells)
    columns = _columns(net, layout, cells, deviations, cases)
    held = edges_hold(layout, best.cells, best.counts)
    certified = best.decrement < CLOSE and held
    flat = sorted({net.names[layout.nodes[layout.rows[c]]] for c in unidentified})
    at_edge = layout.free & (best.cells < EDGE) & (cases[layout.rows] >= LEAST)
    prior = bool((layout.prior > 0).any())
    message = "gradient and Hessian certified" if certified else _unsure(best, held)
    near = sum(v > best.value - BEST for v in values)
    return NetworkFit(
        graph=problem.graph,
        backend="em",
        method=f"{'mode of the posterior' if prior else 'maximum likelihood'} of tables, by EM",
        exact=True,
        converged=certified,
        message=message,
        estimate_columns=columns,
        latent_columns=lambda: _latents(problem, form, network),
        log_likelihood=best.log_likelihood,
        n_parameters=int(layout.free.sum() - len(np.unique(layout.rows[layout.free]))),
        n_observations=form.n,
        diagnostics={
            "gradient_norm": best.decrement,
            "evaluations": evaluations,
            "starts": len(values),
            "starts_at_best": int(near),
            "labels": _labels(problem, form, layout, best),
            "seconds": time.process_time() - began,
        },
        boundary=tuple(np.array(columns["name"], dtype=object)[at_edge].tolist()),
        warnings=_warnings(flat, best.information is None and bool(layout.coupled.any())),
        plan=plan,
        predictor=lambda new=None, targets=None: query(
            network, _given(problem, net)[0] if new is None else new, targets
        ),
        completer=completion(problem, form, layout, cells, best),
        network=network,
        answers={"query": query, "probability": probability, "mpe": mpe},
    )


def _unsure(best: Optimum, held: bool) -> str:
    if not held:
        return "a probability at zero would raise the likelihood by leaving it: begin elsewhere (starts=20)"
    return f"the gradient is {best.decrement:.2g} in the metric of the observed information, not zero"


def _errors(layout: Layout, best: Optimum, cases: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Standard errors of all cells (nan where there are none), and cells that the data do not identify."""
    total = cases + np.add.reduceat(layout.prior, layout.firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt(best.cells * (1 - best.cells) / total[layout.rows])
    lost = np.zeros(0, dtype=np.int64)
    at_edge = np.minimum(best.cells, 1 - best.cells) < EDGE
    found[(cases[layout.rows] < LEAST) | at_edge | layout.coupled] = np.nan
    found[~layout.free] = 0.0
    if layout.coupled.any():
        inside = best.information
        if inside is not None and len(inside.cells):
            covariance, flat = inside.covariance()
            found[inside.cells] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
            lost = inside.cells[flat]
            found[lost] = np.nan
    return found, lost


def _columns(
    net: Tables, layout: Layout, cells: Floats, deviations: Floats, cases: Floats
) -> dict[str, list[Any]]:
    names: list[str] = []
    nodes: list[str] = []
    given: list[str] = []
    states: list[Any] = []
    for i, name in enumerate(net.names):
        for labels in product(*(net.states[p] for p in net.parents[i])):
            said = ", ".join(f"{net.names[p]}={s}" for p, s in zip(net.parents[i], labels, strict=True))
            for state in net.states[i]:
                names.append(f"{name}[{', '.join(map(str, (*labels, state)))}]")
                nodes.append(name)
                given.append(said)
                states.append(state)
    lower, upper = wald(cells, deviations)
    seen = cases[layout.rows]
    what = np.where(layout.free, np.where(seen < LEAST, "no data", "maximised"), "fixed")
    return {
        "name": names,
        "estimate": cells.tolist(),
        "se": deviations.tolist(),
        "lower": np.clip(lower, 0, 1).tolist(),
        "upper": np.clip(upper, 0, 1).tolist(),
        "what": what.tolist(),
        "node": nodes,
        "given": given,
        "state": states,
        "cases": seen.tolist(),
    }


def _labels(problem: Problem, form: TableCounts, layout: Layout, best: Optimum) -> list[str]:
    """Sentences on nodes that are never seen and whose states may change places."""
    net = form.tables
    said: list[str] = []
    for i, name in enumerate(net.names):
        seen = name in problem.values and not np.isnan(problem.values[name]).all()
        family = [k for k, parents in enumerate(net.families) if i in parents]
        free = all(layout.free[form.starts[k] : form.starts[k + 1]].all() for k in family)
        if seen or not free or net.sizes[i] < 2:
            continue
        stated = best.own and all(net.numbers[k] is not None for k in family)
        order = "in the order of the numbers stated" if stated else "in the order of a random start"
        said.append(f"'{name}' is never seen: its states may change places, and stand {order}")
    return said


def _warnings(flat: list[str], unknown: bool) -> tuple[str, ...]:
    said: list[str] = []
    if flat:
        names = ", ".join(flat)
        said.append(
            f"the cases do not identify all numbers of {names}: other tables fit them as well "
            "(fix=[...] keeps some)"
        )
    if unknown:
        said.append(
            "tables on which hidden states depend have no standard errors: there are too many of them, or "
            "hidden nodes that hang together have too many joint states"
        )
    return tuple(said)


def _network(problem: Problem, form: TableCounts, cells: Floats) -> Dag:
    """One case of the network, with the estimates in its Tables."""
    net = form.tables
    plate = problem.graph.nodes[net.names[0]].plates[0]
    own = {problem.graph.nodes[n].values_in: net.states[i] for i, n in enumerate(net.names)}
    unstated = [p.name for p in problem.graph.plates if p.levels is None and p.alias_of is None]
    dag = off_cases(problem.graph, plate, {p: own[p] for p in unstated if p in own})
    statements: list[st.Statement] = []
    for statement in dag.statements:
        if isinstance(statement, st.Stochastic) and statement.distribution.family == "Table":
            i = net.index[statement.head.name]
            table = cells[form.starts[i] : form.starts[i + 1]].reshape(-1, net.sizes[i])
            statement = replace(statement, distribution=_law(statement.distribution, net, i, table))
        statements.append(statement)
    return Dag(dag.name, dag.plates, tuple(statements), None, None, dag.remarks)


def impossible_cases(problem: Problem, form: TableCounts, cells: Floats) -> str:
    """Which cases have probability zero by the tables that are fixed, and why the first of them."""
    net = network(_network(problem, form, cells))
    cases = read(net.tables, _given(problem, form.tables)[0])
    assert isinstance(cases, Cases)
    lost = np.flatnonzero(log_probabilities(net, cases) == -np.inf)
    first = int(lost[0])
    return (
        f"{lost.size} of {form.n} cases cannot be by the tables that are fixed; the first is row "
        f"{first + 1}: {told(net, row_of(cases, first))}; fix fewer tables, or correct the data"
    )


def _law(law: st.Distribution, net: Tables, i: int, table: Floats) -> st.Distribution:
    rows = [tuple(map(ex.Number, row)) for row in table.tolist()]
    parents = tuple((key, value) for key, value in law.arguments if key != "rows")
    if not parents:
        return replace(law, arguments=(("rows", ex.Vector(rows[0])),))
    labels = product(*(net.states[p] for p in net.parents[i]))
    stated = st.Rows(tuple(st.Row(own, row) for own, row in zip(labels, rows, strict=True)))
    return replace(law, arguments=(*parents, ("rows", stated)))


def _given(problem: Problem, net: Tables) -> tuple[dict[str, list[Any]], dict[str, NDArray[np.int64]]]:
    """The cases as evidence, and the cases in which each node is hidden."""
    hidden: dict[str, NDArray[np.int64]] = {}
    given: dict[str, list[Any]] = {}
    size = problem.plates[problem.graph.nodes[net.names[0]].plates[0]].size
    for i, name in enumerate(net.names):
        if name in problem.values:
            values = problem.values[name].ravel()
            given[name] = [None if v != v else net.states[i][int(v)] for v in values.tolist()]
            hidden[name] = np.flatnonzero(np.isnan(values))
        else:
            hidden[name] = np.arange(size)
    return given, hidden


def _latents(problem: Problem, form: TableCounts, network: Dag) -> dict[str, list[Any]] | None:
    """Probabilities of the states of hidden elements given all that is seen of their case."""
    given, hidden = _given(problem, form.tables)
    wanted = [n for n, rows in hidden.items() if len(rows)]
    if not wanted:
        return None
    found = query(network, given, wanted)
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    for name in wanted:
        for row in hidden[name].tolist():
            element = problem.element(name, row)
            for state, numbers in found[name].items():
                p = float(numbers[row])
                table["name"].append(f"{element} == {state}")
                table["estimate"].append(p)
                table["sd"].append(float(np.sqrt(p * (1 - p))))
    return table
