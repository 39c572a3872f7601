"""Networks of cases are recognised, what is none says why; networks get and lose the plate of their cases."""

from __future__ import annotations

from pathlib import Path

import pytest

import dagmodels as dm
from dagmodels.analysis.table_unit import NoTableUnit, TableUnit, table_unit
from dagmodels.graph.build import build
from dagmodels.graph.cases import is_single, off_cases, on_cases

BN = Path(__file__).parents[1] / "references" / "bn"
HEAD = 'model m\nplate r\nplate s = "a", "b"\n'
FLU = """model flu
plate answer = "yes", "no"
constant leak = 0.02
cold in answer ~ Table([0.2, 0.8])
flu ~ Bernoulli(0.05)
sick = 0.3*(cold == "yes") + 0.9*flu
fever ~ Bernoulli(1 - (1 - leak)*exp(-sick))
"""


@pytest.mark.parametrize("name", ["asia", "alarm", "insurance"])
def test_networks_get_and_lose_the_plate_of_their_cases(name: str):
    dag = dm.read(BN / f"{name}.bif").dag
    assert is_single(dag)
    cases = on_cases(dag, list(dag.nodes)[:3])
    assert build(cases.name, cases.plates, cases.statements) == cases
    assert dm.read(str(cases)) == cases
    assert [n for n, node in cases.nodes.items() if node.observed] == list(dag.nodes)[:3]
    assert table_unit(cases) == TableUnit("case", tuple(dag.nodes), tuple(dag.nodes))
    assert off_cases(cases, "case", {}) == dag


def test_formulas_and_names_in_the_way():
    dag = dm.read(FLU.replace("cold", "case")).dag
    cases = on_cases(dag, ["fever"])
    assert build(cases.name, cases.plates, cases.statements) == cases
    assert cases.nodes["sick"].plates == ("case_",)
    assert cases.nodes["leak"].plates == ()
    assert table_unit(cases) == TableUnit("case_", ("case", "flu", "fever"), ("case",))
    assert off_cases(cases, "case_", {}) == dag


def test_a_network_with_formulas_is_fitted_where_it_has_tables():
    g = dm.read(FLU)
    fit = g.fit({"cold": ["yes", "no", "no", None] * 25, "fever": [1, 0, 0, 1] * 25})
    assert fit.converged
    table = fit.estimates.set_index("name")
    assert set(table[table.node == "fever"].what) == {"fixed"}
    assert 0.25 < table.loc["cold[yes]", "estimate"] < 0.5
    assert dm.Graph.of(fit.network).query({"fever": 1})["cold"]["yes"] > table.loc["cold[yes]", "estimate"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x[r] ~ Normal(0, 1)", "'x' is Normal, which is no node of a network"),
        ("x[r] in s ~ Table([1, 0])\nplate q\ny[q] in s ~ Table([1, 0])", "nodes lie in 'q' and in 'r'"),
        ("x[r] in s ~ Table([1, 0])\ny in s ~ Table([1, 0])", "'y' lies in 0 plates, not in one of cases"),
        ("parameter p in (0, 1)\nx[r] ~ Bernoulli(p)", "'p' is a parameter, on which tables do not depend"),
        ("x[r] ~ Bernoulli(0.5)", "no node has a Table, whose numbers could be estimated"),
        ("plate q in r\nx[q] in s ~ Table([1, 0])", "'q' lies in another plate"),
        ("x = 1", "no node has a distribution"),
    ],
)
def test_what_is_no_network_of_cases_says_why(text: str, told: str):
    found = table_unit(dm.read(HEAD + text).dag)
    assert isinstance(found, NoTableUnit)
    assert not found.is_single
    assert found.because[0].startswith(told)


def test_a_network_of_single_nodes_is_told_apart():
    found = table_unit(dm.read(FLU).dag)
    assert isinstance(found, NoTableUnit)
    assert found.is_single
    plan = dm.read(FLU).plan()
    assert plan.backend == "em"
    assert "exact sums over the network: g.query(evidence)" in str(plan)


def test_chains_are_no_cases():
    text = 'model m\nplate t ordered\nplate s = "a", "b"\nx[t first] in s ~ Table([0.5, 0.5])\n'
    chain = text + 'x[t] in s ~ Table(x[t-1], {"a": [0.9, 0.1], "b": [0.2, 0.8]})'
    assert "'x' has several statements" in table_unit(dm.read(chain).dag).because[0]
