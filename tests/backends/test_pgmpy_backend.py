"""pgmpy as a backend: the same questions, answered by another library."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.backends.pgmpy import backend
from dagmodels.dispatch import compare, plan, registry
from dagmodels.plugin import Backend

from ..networks import random_network

ROOT = Path(__file__).parents[2]
BN = ROOT / "tests" / "references" / "bn"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch):
    """Also where the package was installed before it had this entry point."""
    found = {**registry.backends(), "pgmpy": backend}
    for module in (registry, plan, compare):
        monkeypatch.setattr(module, "backends", lambda: found)


def test_the_entry_point_is_the_backend():
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    module, _, name = entries["dagmodels.backends"]["pgmpy"].partition(":")
    assert getattr(import_module(module), name) is backend
    assert isinstance(backend, Backend)


def test_its_judge_loads_nothing_heavy():
    code = (
        "import sys, dagmodels as dm\nfrom dagmodels.backends.pgmpy import backend\n"
        "from dagmodels.analysis.facts import facts\n"
        "backend.judge(facts(dm.read('specs/asia.dag').dag))\n"
        "print([m for m in ('pgmpy', 'pandas', 'scipy', 'numba', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["asia", "insurance"])
def test_the_same_answers(name: str):
    g = dm.read(BN / f"{name}.bif")
    for case in json.loads((BN / f"queries_{name}.json").read_text())["queries"][:4]:
        free = [n for n in g.dag.nodes if n not in case["evidence"]][:3]
        targets = [free[0], tuple(free), *list(case["evidence"])[:1]]
        mine, other = (g.query(case["evidence"], targets, method=m) for m in ("auto", "pgmpy"))
        assert list(mine) == list(other)
        for target in mine:
            assert list(mine[target]) == list(other[target])
            assert list(mine[target].values()) == pytest.approx(list(other[target].values()), abs=1e-9)


def test_soft_evidence_and_elements():
    rng = np.random.default_rng(6)
    for _ in range(3):
        g = random_network(rng, 5, zeros=0.0)
        name = next(iter(g.dag.nodes))
        labels = g.dag.plate[g.dag.nodes[name].values_in].levels
        weights = dict(zip(labels, rng.uniform(0.2, 1, len(labels)).tolist(), strict=True))
        mine, other = (g.query({name: weights}, method=m) for m in ("auto", "pgmpy"))
        for node in mine:
            assert list(mine[node].values()) == pytest.approx(list(other[node].values()), abs=1e-9)
    g = dm.read("""model chain
plate day = 1..4 ordered
plate state = "dry", "wet"
plate to as state
constant p[state, to] = [[0.9, 0.1], [0.3, 0.7]]
z[day first] in state ~ Categorical([0.5, 0.5])
z[day] in state ~ Categorical(p[z[day-1], to])
""")
    mine, other = (g.query({"z[1]": "wet"}, "z", method=m) for m in ("auto", "pgmpy"))
    assert list(mine["z[4]"].values()) == pytest.approx(list(other["z[4]"].values()), abs=1e-9)


def test_tables_of_cases_seen_whole():
    g = dm.read(BN / "asia.bif")
    names, states = list(g.dag.nodes), {}
    rng = np.random.default_rng(2)
    for name in names:
        states[name] = rng.choice(["yes", "no"], 200).tolist()
    mine, other = g.fit(states), g.fit(states, method="pgmpy")
    assert other.backend == "pgmpy"
    assert other.log_likelihood == pytest.approx(mine.log_likelihood, abs=1e-8)
    assert list(other.estimates["name"]) == list(mine.estimates["name"])
    assert other.estimates["estimate"].to_numpy() == pytest.approx(
        mine.estimates["estimate"].to_numpy(), abs=1e-12
    )
    states["smoke"][0] = None
    with pytest.raises(dm.FitError, match="'smoke': it drops cases that are not seen whole"):
        g.fit(states, method="pgmpy")


def test_it_answers_where_it_is_named_alone():
    g = dm.read(BN / "asia.bif")
    assert g.plan({"smoke": ["yes", "no"]}).backend == "em"
    assert "'pgmpy'" not in str(dm.read(ROOT / "specs" / "growth.dag").plan())
    with pytest.raises(dm.ModelErrors) as caught:
        g.query(method="laplace")
    assert "no backend 'laplace' answers questions (there are auto, draws, pgmpy)" in str(
        caught.value.exceptions[0]
    )
