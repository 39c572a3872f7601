"""Queries to asia, alarm and insurance: marginals, probabilities of evidence, best states, interventions.

The numbers and their origin are in references/bn (its README says which programs gave them).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.forms.tables import tables

BN = Path(__file__).parents[1] / "references" / "bn"
NETWORKS = ("asia", "alarm", "insurance")


def stored(name: str) -> Any:
    return json.loads((BN / name).read_text())


@pytest.mark.parametrize("name", NETWORKS)
def test_marginals_and_probabilities_of_evidence(name: str):
    g = dm.read(BN / f"{name}.bif")
    for case in stored(f"queries_{name}.json")["queries"]:
        found = g.query(case["evidence"])
        assert list(found) == list(g.dag.nodes)
        for node, expected in case["posterior"].items():
            assert found[node] == pytest.approx(expected, abs=1e-9, rel=0)
        for node, state in case["evidence"].items():
            assert found[node][state] == pytest.approx(1.0, abs=1e-12)
        assert g.probability(case["evidence"]) == pytest.approx(case["prob_evidence"], rel=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_most_probable_states(name: str):
    g = dm.read(BN / f"{name}.bif")
    net = tables(g.dag)
    for case in stored(f"queries_{name}.json")["queries"]:
        states, log = g.mpe(case["evidence"])
        assert log == pytest.approx(case["mpe_log_joint"], abs=1e-9)
        assert {n: states[n] for n in case["evidence"]} == case["evidence"]
        codes = np.array([net.codes[i][states[n]] for i, n in enumerate(net.names)])
        assert net.log_joint(codes) == pytest.approx(log, abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_of_evidence_are_answered_as_one_by_one(name: str):
    g = dm.read(BN / f"{name}.bif")
    cases = stored(f"queries_{name}.json")["queries"]
    rows = [{n: c["evidence"].get(n) for n in g.dag.nodes} for c in cases] * 3
    found = g.query(rows)
    logs = g.probability(rows)
    states, best = g.mpe(rows)
    for k, case in enumerate(cases * 3):
        for node, expected in case["posterior"].items():
            for state, p in expected.items():
                assert found[node][state][k] == pytest.approx(p, abs=1e-9)
        assert logs[k] == pytest.approx(case["prob_evidence"], rel=1e-9)
        assert best[k] == pytest.approx(case["mpe_log_joint"], abs=1e-9)
        assert all(states[n][k] == s for n, s in case["evidence"].items())


@pytest.mark.parametrize("name", ["asia", "alarm"])
def test_separation_blankets_and_moral_edges(name: str):
    g = dm.read(BN / f"{name}.bif")
    case = stored(f"graph_{name}.json")
    for s in case["d_separation"]:
        assert g.d_separated(s["x"], s["y"], s["z"]) is s["d_separated"]
    for node, blanket in case["markov_blanket"].items():
        assert set(g.markov_blanket(node)) == set(blanket)
    arrows = {frozenset((p, n)) for n, parents in g.dag.parents.items() for p in parents}
    married = {frozenset(e) for e in g.moral_graph().edges} - arrows
    assert married == {frozenset(e) for e in case["moral_edges"]} - arrows


@pytest.mark.parametrize("name", ["asia", "alarm"])
def test_interventions_differ_from_observation(name: str):
    g = dm.read(BN / f"{name}.bif")
    for case in stored(f"graph_{name}.json")["do_queries"]:
        changed, seen = g.do(case["do"]).query(), g.query(case["do"])
        for node, expected in case["posterior"].items():
            assert changed[node] == pytest.approx(expected, abs=1e-9)
            assert seen[node] == pytest.approx(case["observational"][node], abs=1e-9)
