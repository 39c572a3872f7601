"""BUGS texts that are written are read again as the same graph; their densities are those of the graph."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.readers.bugs import read
from dagmodels.writers.bugs import bugs_data, dag_to_bugs
from dagmodels.writers.bugs.data import levels_of
from dagmodels.writers.bugs.names import Names
from tests.readers.bugs.cases import CASES
from tests.readers.bugs.classic import CLASSIC
from tests.readers.bugs.density import drawn, log_density
from tests.readers.bugs.oracle import Oracle
from tests.readers.bugs.references import MODELS

MODELS_OF_THE_LANGUAGE = Path(__file__).parents[1] / "models"
EVERY = {m.name + getattr(m, "variant", ""): m for m in (*MODELS, *CASES, *CLASSIC)}
REFUSED = {
    "ragged rows": "a sum over the elements of 'i.j' that lie in another plate's",
    "ragged rows that look back": "the first of 'i.j' within another plate",
    "capture and recapture": "the first of 'i.t' within another plate",
    "states in which animals are seen": "the first of 'i.t' within another plate",
    "arms of trials": "the first of 'i.k' within another plate",
    "trials of several arms": "the first of 'i.k' within another plate",
    "cervix": "'w': a sum over j2 inside another sum",
}
OTHER = {  # the reader's own names of covariates and plates are no words of BUGS, or plates are nested
    "conditional autoregression", "offsets", "two memberships", "membership", "differences", "changepoint",
    "names that the reader would take", "unnormalised categories as numbers", "given definitions", "asia",
    "a series that grows by factors", "occupancy that changes", "leuk", "lag2b", "equiv", "pieces",
    "partial cat", "ragged mu", "triangle", "rows of probabilities", "parts of wider arrays",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in EVERY if n not in REFUSED])
def test_texts_are_read_again(name: str):
    model: Any = EVERY[name]
    reading = read(model.text, model.data, model.inits, "m")
    problem = bind(reading.dag, reading.data)
    text, data = dag_to_bugs(reading.dag, levels_of(problem)), bugs_data(problem)
    again = read(text, data, None, "m")
    assert (again.dag == reading.dag) == (name not in OTHER)
    start = {**getattr(model, "starts", {}), **(reading.inits[0] if reading.inits else {})}
    check(reading, problem, text, data, start)
    assert dag_to_bugs(again.dag, levels_of(bind(again.dag, again.data))).count("~") == text.count("~")


def check(reading: Any, problem: Any, text: str, data: Any, start: Any) -> None:
    """The text's density, by another interpreter, is the graph's."""
    nodes = reading.dag.nodes
    state = {n: v for n, v in drawn(reading, start, 1).items() if nodes[n].kind == "stochastic"}
    numbered = {n: v + 1 if nodes[n].values_in else v for n, v in state.items()}
    levels = {n: np.array(problem.plates[p].levels) for n in state if (p := nodes[n].values_in)}
    labelled = {n: levels[n][v.astype(int)] if n in levels else v for n, v in state.items()}
    names = Names.of(reading.dag, levels_of(problem)).nodes
    theirs = Oracle(text, data, {names[n]: v for n, v in numbered.items()}).log_density()
    assert np.isfinite(theirs)
    assert log_density(reading, labelled) == pytest.approx(theirs, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_names_its_nodes(name: str):
    model: Any = EVERY[name]
    told = faults(lambda: dag_to_bugs(read(model.text, model.data, model.inits, "m").dag))
    assert any(REFUSED[name] in t for t in told)


def faults(action: Any) -> list[str]:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "eight_schools": ({"school": 4, "sigma": [1.0, 2.0, 3.0, 1.0]}, {}),
    "rats": (
        {"rat": 3, "week": 4, "x": [8.0, 15.0, 22.0, 29.0]},
        {"alpha_tau": 1.0, "beta_tau": 1.0, "tau_c": 1.0},
    ),
    "pump": ({"pump_no": 3, "t": [1.0, 2.0, 5.0]}, {"alpha": 0.7, "beta": 0.9}),
    "seeds": (
        {"dish": 3, "n": [5.0, 9.0, 4.0], "seed": [0.0, 1.0, 1.0], "extract": [1.0, 0.0, 1.0]},
        {"a0": 0.1, "a1": 0.2, "a2": -0.3, "a12": 0.1, "tau": 2.0},
    ),
    "salm": (
        {"dose": 3, "dish": 2, "x": [0.0, 10.0, 33.0]},
        {"alpha_star": 2.0, "beta": 0.3, "gamma": 0.0, "tau": 9.0},
    ),
    "lsat": ({"student": 4}, {"beta": 0.7, "alpha": [0.1, 0.2, -0.3, 0.4, 1.0]}),
    "dugongs": ({"dugong": 3, "age": [1.0, 1.5, 8.0]}, {"tau": 3.0, "alpha": 2.0, "beta": 1.0}),
    "stagnant": ({"obs": 4, "x": [1.0, 2.0, 3.0, 5.0]}, {"alpha": 0.0, "beta": [1.0, 2.0], "sigma": 1.0}),
    "birats": (
        {"rat": 3, "week": 2, "x": [1.0, 2.0]},
        {"mu": [100.0, 5.0], "omega": [[0.02, 0.001], [0.001, 3.0]], "tau_c": 0.1},
    ),
    "sigmoid_belief_net": ({"image": 2, "pixel": 3}, {}),
    "gp_regression": ({"point": 3, "x": [0.0, 1.0, 2.5]}, {}),
    "stochastic_volatility": ({"day": 4}, {"mu": 0.0, "phi": 0.5, "s": 0.3}),
    "radon": (
        {"house": [f"h{k}" for k in range(5)], "county": list("aabbb"), "floor": [0.0, 1.0, 0.0, 1.0, 1.0],
         "uranium": [0.1, 0.1, -0.4, -0.4, -0.4]},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_models_of_the_language(name: str, tmp_path: Path):
    graph = dm.read(MODELS_OF_THE_LANGUAGE / f"{name}.dag")
    given, values = SIZES[name]
    plates = {p.name for p in graph.dag.plates}
    sizes = {k: v for k, v in given.items() if k in plates and isinstance(v, int)}
    covariates = {k: v for k, v in given.items() if k not in sizes}
    data = graph.simulate(covariates or None, values=values, sizes=sizes or None, seed=3)
    problem = bind(graph.dag, data, require_observed=True)
    written = graph.write(tmp_path / "model.bug", data=data)
    reading = SimpleNamespace(dag=graph.dag, data=data)
    check(reading, problem, written.read_text(), bugs_data(problem), values)
    model = dm.read(written)  # its data are beside it
    again = dm.read(model.write(tmp_path / "again.bug", data=model.data_or_file()))
    if name not in ("gp_regression", "stagnant"):  # whose indices become covariates with other names
        assert str(again.dag).splitlines()[1:] == str(model.dag).splitlines()[1:]


def test_the_text_of_eight_schools():
    assert (
        dm.read(MODELS_OF_THE_LANGUAGE / "eight_schools.dag").to_text("bugs")
        == """# eight_schools
model {
  for (i in 1:school) {
    theta[i] ~ dnorm(mu, pow(tau, -2))
    y[i] ~ dnorm(theta[i], pow(sigma[i], -2))
  }
  mu ~ dnorm(0, 0.04)
  tau ~ dt(0, 0.04, 1) T(0,)
}
"""
    )


def test_statements_for_levels_give_each_element_once():
    text = dm.read(MODELS_OF_THE_LANGUAGE / "alligators.dag").to_text(
        "bugs", data={"lake": ["Hancock", "George"], "size": ["small", "large"], "n": np.full((2, 2), 9.0)}
    )
    lines = [line.strip() for line in text.splitlines()]
    assert "beta[1,1] <- 0" in lines or "beta[1,food] <- 0" in lines
    for node in ("alpha", "beta", "gamma"):
        assert sum(line.startswith(f"{node}[") for line in lines) <= 4
    cells = [(i, j) for i, j in covered(text, "beta")]
    assert sorted(cells) == [(i, j) for i in (1, 2) for j in range(1, 6)]


def covered(text: str, node: str) -> list[tuple[int, int]]:
    """Elements of a matrix that a text defines, one entry each time."""
    import re

    found: list[tuple[int, int]] = []
    loops: list[tuple[str, range]] = []
    ends = {"lake": 2, "size": 2}
    for line in map(str.strip, text.splitlines()):
        if loop := re.match(r"for \((\S+) in (\d+):(\w+)\)", line):
            last = ends.get(loop[3]) or int(loop[3])
            loops.append((loop[1], range(int(loop[2]), last + 1)))
        elif line == "}" and loops:
            loops.pop()
        elif head := re.match(rf"{node}\[(\w+),(\w+)\]", line):
            axes = [
                dict(loops).get(i, range(int(i), int(i) + 1) if i.isdigit() else range(0))
                for i in head.groups()
            ]
            found += [(a, b) for a in axes[0] for b in axes[1]]
    return found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("parameter m", "'m': it has no prior"),
        ("m ~ HalfFlat()", "'m': BUGS has no law 'HalfFlat' (give it a proper prior)"),
        ("m ~ InverseGamma(1, 1)", "'m': BUGS has no law 'InverseGamma' (give the precision a Gamma law"),
        ("m ~ Normal(0, 1)\nz ~ Normal(0, 1)\nm ~~ z = 0.5", "BUGS has no residual covariances: 'm' ~~ 'z'"),
        ("(m, z) ~ MvNormal([0, 0], [[1, 0], [0, 1]])", "'m': BUGS has no tuples"),
    ],
)  # fmt: skip
def test_what_bugs_cannot_say(line: str, told: str):
    graph = dm.read(f"model m\nplate r\nobserved y[r] ~ Normal(m, 1)\n{line}")
    assert any(told in t for t in faults(lambda: graph.to_text("bugs")))


def test_other_formats_and_endings(tmp_path: Path):
    graph = dm.read("model m\nplate r\nm ~ Normal(0, 2)\nobserved y[r] ~ Normal(m, 1)")
    for ending in ("dag", "json"):
        assert dm.read(dm.write(graph, tmp_path / f"x.{ending}")) == graph
    assert "no format is called 'stan'" in faults(lambda: graph.to_text("stan"))[0]
    assert "no ending that says a format" in faults(lambda: graph.write(tmp_path / "x.stan"))[0]
    written = dm.write(graph, tmp_path / "x.bug", {"y": [1.0, None, 3.0]})
    assert sorted(p.name for p in tmp_path.glob("x.*")) == ["x.bug", "x.dag", "x.data.json", "x.json"]
    fit = dm.read(written).fit(method="laplace", posterior=True)
    assert fit["m"] == pytest.approx(4 / 2.25)
