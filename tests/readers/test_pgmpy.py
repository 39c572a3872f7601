"""pgmpy's networks there and back, the formats it reads, and its answers as a second opinion."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.data.optional import NotInstalled

from ..networks import random_network

BN = Path(__file__).parents[1] / "references" / "bn"


def told(action) -> list[str]:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


@pytest.mark.parametrize("name", ["asia", "alarm", "insurance"])
def test_there_and_back(name: str):
    g = dm.read(BN / f"{name}.bif")
    model = g.to_pgmpy()
    assert model.check_model()
    assert dm.Graph.from_pgmpy(model, "unknown") == g


@pytest.mark.parametrize("name", ["asia", "insurance"])
def test_its_elimination_gives_the_same_answers(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.inference import VariableElimination
    g = dm.read(BN / f"{name}.bif")
    other = VariableElimination(g.to_pgmpy())
    for case in json.loads((BN / f"queries_{name}.json").read_text())["queries"][:4]:
        found = g.query(case["evidence"])
        for node in list(set(found) - set(case["evidence"]))[:5]:
            factor = other.query([node], evidence=case["evidence"], show_progress=False)
            mine = [found[node][s] for s in factor.state_names[node]]
            assert mine == pytest.approx(factor.values, abs=1e-9)


def test_random_networks_with_states_that_are_numbers():
    for seed in range(4):
        g = random_network(np.random.default_rng([9, seed]), 5)
        again = dm.Graph.from_pgmpy(g.to_pgmpy(), "random")
        for node, expected in g.query().items():
            assert list(again.query()[node].values()) == pytest.approx(list(expected.values()), abs=1e-12)
    numbered = dm.read("model m\nx ~ Bernoulli(0.3)\ny ~ Bernoulli(expit(2*x - 1))")
    again = dm.Graph.from_pgmpy(numbered.to_pgmpy())
    assert again.query({"y": 1})["x"] == pytest.approx(numbered.query({"y": 1})["x"])


def own_answers(model: Any) -> list[float]:
    """Marginals of all nodes by pgmpy's elimination, sorted."""
    from pgmpy.inference import VariableElimination

    ask = VariableElimination(model)
    return sorted(
        round(float(p), 9) for n in model.nodes() for p in ask.query([n], show_progress=False).values
    )


@pytest.mark.parametrize(
    ("writer", "ending"),
    [("XMLBIFWriter", "xmlbif"), ("NETWriter", "net"), ("UAIWriter", "uai"), ("XDSLWriter", "xdsl")],
)
def test_formats(writer: str, ending: str, tmp_path: Path):
    from pgmpy import readwrite

    g = dm.read(BN / "asia.bif")
    path = tmp_path / f"asia.{ending}"
    made = getattr(readwrite, writer)(g.to_pgmpy())
    write: Any = getattr(made, "write", None) or getattr(made, f"write_{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(str(path))
        found = dm.read(path)
    assert len(found.dag.nodes) == 8
    reader = writer.replace("Writer", "Reader")
    numbers = sorted(round(p, 9) for own in found.query().values() for p in own.values())
    assert numbers == own_answers(getattr(readwrite, reader)(string=path.read_text()).get_model())
    if ending != "uai":  # whose writer loses the order of parents with some orders of hashing
        assert numbers == sorted(round(p, 9) for own in g.query().values() for p in own.values())
    path.write_text("<broken")
    assert f"pgmpy's {reader} cannot read it" in told(lambda: dm.read(path))[0]


def test_bad_objects_say_what_is_wrong():
    assert "a dict is no network of pgmpy" in told(lambda: dm.Graph.from_pgmpy({}))[0]
    model = dm.read(BN / "asia.bif").to_pgmpy()
    model.remove_cpds(model.get_cpds("lung"))
    assert told(lambda: dm.Graph.from_pgmpy(model)) == ["'lung' has no CPD (give it a TabularCPD)"]
    wrong = SimpleNamespace(variables=["x"], values=[0.5, 0.6], state_names={"x": ["a", "b"]})
    single = SimpleNamespace(nodes=lambda: ["x"], get_cpds=lambda node: wrong)
    assert "a row of the table of 'x' sums to 1.1, not to 1" in told(lambda: dm.Graph.from_pgmpy(single))[0]


def test_without_pgmpy_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import sys

    for module in ("pgmpy", "pgmpy.models", "pgmpy.readwrite", "pgmpy.factors.discrete"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotInstalled, match=r"Graph.to_pgmpy needs pgmpy.*pip install 'dagmodels\[pgmpy\]'"):
        dm.read(BN / "asia.bif").to_pgmpy()
    (tmp_path / "a.net").write_text("net\n{\n}\n")
    with pytest.raises(dm.DagmodelsError, match=r"reading .*a\.net needs pgmpy"):
        dm.read(tmp_path / "a.net")
