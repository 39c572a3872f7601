"""Every model of specs/ reads, round-trips, checks, plans, draws and simulates; docs name all of them.

tests/gallery/ compares the fits with reference numbers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.readers import read as read_dag
from dagmodels.readers.json import from_json
from dagmodels.writers import to_json, to_text

from .gallery.cases import CASES, SPECS

ROOT = SPECS.parent
PATHS = sorted(SPECS.glob("*.dag"))
EACH = pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
WITH_DATA = [p for p in PATHS if dm.read(p).dag.data_file]


def test_every_model_has_a_case_and_a_paragraph():
    assert {p.stem for p in PATHS} == set(CASES)
    gallery = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert [p.stem for p in PATHS if f"## {p.stem}\n" not in gallery] == []


def test_every_data_file_has_an_origin():
    used = {(SPECS / str(dm.read(p).dag.data_file)).resolve() for p in WITH_DATA}
    there = {p.resolve() for p in (ROOT / "examples").iterdir() if p.suffix in (".csv", ".json")}
    assert used == there
    origins = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in there if f"`{p.name}`" not in origins] == []


@EACH
def test_reads_and_reads_back(path: Path):
    dag = read_dag(path)
    assert dag.name == path.stem
    text = to_text(dag)
    assert read_dag(text) == dag
    assert to_text(read_dag(text)) == text
    through = from_json(to_json(dag))
    assert through == dag
    assert to_text(through) == text


@EACH
def test_notes_are_kept(path: Path):
    written = [line.split("#", 1)[1].strip() for line in path.read_text().split("\n") if "#" in line]
    dag = read_dag(path)
    kept = {s.note for s in dag.statements} | {p.note for p in dag.plates}
    assert kept - {""}, "a model of the gallery explains its nodes"
    assert kept - {""} <= set(written)


@EACH
def test_checks_without_findings(path: Path):
    graph = dm.read(path)
    alone = graph.check()
    assert alone.findings == ()
    assert alone.sentences[0].startswith(f"Model '{path.stem}' has {len(graph.dag.nodes)} nodes")
    if graph.dag.data_file:
        report = graph.check(graph.data_or_file())
        assert report.findings == ()
        problem = bind(graph.dag, graph.data_or_file(), require_observed=True)
        for name, plate in problem.plates.items():
            assert any(f"'{name}'" in s for s in report.sentences), name
            assert plate.size > 0


@EACH
def test_plan_says_which_backend_and_why(path: Path):
    graph, case = dm.read(path), CASES[path.stem]
    for data in (None, *([graph.data_or_file()] if graph.dag.data_file else [])):
        plan = graph.plan(data)
        assert plan.backend == case.backend
        assert case.says in str(plan)
        assert {v.backend for v in plan.verdicts} >= {"laplace"}


@EACH
def test_draws(path: Path, tmp_path: Path):
    graph = dm.read(path)
    data = graph.data_or_file() if graph.dag.data_file else None
    dot = graph.render(tmp_path / "g.dot", data=data).read_text(encoding="utf-8")
    svg = graph.render(tmp_path / "g.svg", data=data).read_text(encoding="utf-8")
    drawn = [p.name for p in graph.dag.plates if any(p.name in n.plates for n in graph.dag.nodes.values())]
    for name in graph.dag.nodes:
        assert f'"{name}"' in dot or f"{name} [" in dot, name
    assert svg.lstrip().startswith(("<?xml", "<svg"))
    assert svg.rstrip().endswith("</svg>")
    if data is not None:
        sizes = bind(graph.dag, data).plates
        shown = [name for name in drawn if f"{name} ({sizes[name].size})" in svg]
        assert shown, "the sizes of plates stand in their boxes"


def simulated(path: Path, seed: int) -> Any:
    """Data sets of a model as its case says; a list, even of one."""
    graph, case = dm.read(path), CASES[path.stem]
    data = graph.data_or_file() if graph.dag.data_file and case.sizes is None else None
    found = graph.simulate(data, values=case.values, sizes=case.sizes, draws=case.draws, seed=seed)
    return found if isinstance(found, list) else [found]


def numbers(draws: Any) -> str:
    """All that was drawn, as one text."""
    told = [[frame.to_csv() for frame in draw.frames.values()] for draw in draws]
    return repr([told, [{k: np.asarray(v).tolist() for k, v in draw.truth.items()} for draw in draws]])


@EACH
def test_simulates_data_that_it_takes_back(path: Path):
    graph, case = dm.read(path), CASES[path.stem]
    drawn = simulated(path, 7)
    assert len(drawn) == case.draws
    assert numbers(drawn) == numbers(simulated(path, 7))
    assert numbers(drawn) != numbers(simulated(path, 8))
    for name, value in case.values.items():
        if isinstance(value, float):
            assert drawn[0].truth[name] == value
    if not any(n.role == "observed" for n in graph.dag.nodes.values()):
        assert set(drawn[0].truth) == set(graph.dag.nodes)
        return
    problem = bind(graph.dag, drawn[0], require_observed=True)
    for name, node in graph.dag.nodes.items():
        if node.role == "observed":
            assert problem.observed[name].all(), name
            assert np.unique(problem.values[name]).size > 1
    plan = graph.plan(drawn[0])
    assert plan.backend == case.backend
    assert case.says in str(plan)


@pytest.mark.parametrize("path", [p for p in PATHS if not dm.read(p).dag.data_file], ids=lambda p: p.stem)
def test_models_without_data_say_how_they_are_drawn(path: Path):
    """The comment on the first line is the call that the test makes."""
    case = CASES[path.stem]
    told = path.read_text(encoding="utf-8").split("\n", 1)[0]
    if case.sizes is None:
        assert "g.simulate(draws=...) needs neither values nor sizes" in told
    else:
        values = json.dumps(case.values).replace("3.0", "3").replace("10.0", "10")
        assert f"g.simulate(values={values}, sizes={json.dumps(case.sizes)})" in told


def test_every_model_has_a_backend():
    assert [p.stem for p in PATHS if CASES[p.stem].backend is None] == []
