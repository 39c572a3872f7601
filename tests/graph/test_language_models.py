"""The twenty-six classical models: read, printed, read again, and the order of statements."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag
from dagmodels.readers import read
from dagmodels.readers.json import from_json
from dagmodels.writers import to_json, to_text

MODELS = sorted(Path(__file__).parents[1].glob("models/*.dag"))
EACH = pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)


def test_there_are_twenty_six():
    assert len(MODELS) == 26


@EACH
def test_a_model_reads_under_its_own_name(path: Path):
    assert read(path).name == path.stem


@EACH
def test_text_and_json_read_back_equal(path: Path):
    dag = read(path)
    text = to_text(dag)
    again = read(text)
    assert again == dag
    assert hash(again) == hash(dag)
    assert [s.note for s in again.statements] == [s.note for s in dag.statements]
    assert again.statements == dag.statements  # the order too
    assert to_text(again) == text
    through = from_json(to_json(again))
    assert through == dag
    assert to_text(through) == text
    assert to_json(through) == to_json(dag)


@EACH
def test_the_order_of_lines_means_nothing(path: Path):
    dag = read(path)
    rng = random.Random(path.stem)
    statements, plates = list(dag.statements), list(dag.plates)
    rng.shuffle(statements)
    rng.shuffle(plates)
    shuffled = build(dag.name, plates, statements)
    assert shuffled == dag
    assert hash(shuffled) == hash(dag)
    lines = to_text(dag).split("\n")
    if not any(line.endswith(("{", ",")) for line in lines):  # statements of one line each
        body = [line for line in lines[1:] if line]
        rng.shuffle(body)
        assert read("\n".join([lines[0], *body])) == dag


@EACH
def test_what_is_resolved_stays_as_it_is(path: Path):
    dag = read(path)
    assert build(dag.name, dag.plates, dag.statements).statements == dag.statements


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Normal(0, 10)", "Normal(0, 11)"),
        ("plate county", "plate county ordered"),
        ("observed log_radon", "log_radon"),
        ("beta*floor", "floor*beta"),
        ("model radon", "model radon2"),
        ("tau, sigma ~", "sigma, tau ~"),
    ],
)
def test_equality_sees_every_change_but_order(old: str, new: str):
    text = to_text(read(next(p for p in MODELS if p.stem == "radon")))
    assert old in text
    assert (read(text.replace(old, new)) == read(text)) == (old == "tau, sigma ~")


def test_bare_and_bracketed_names_are_one():
    bare = read("model m\nplate a\nplate b in a\ncovariate u[a], v[b]\ny[b] ~ Normal(u + v, 1)\n")
    full = read("model m\nplate a\nplate b in a\ncovariate u[a], v[b]\ny[b] ~ Normal(u[a] + v[b], 1)\n")
    assert bare == full
    assert "u[a] + v" in str(bare)  # brackets where the plates differ from the head's


def test_positions_and_names_of_arguments_are_one():
    one = read("model m\ny ~ Normal(0, 1)\n")
    assert one == read("model m\ny ~ Normal(sigma=1, mu=0)\n") == read("model m\ny ~ Normal(0, sigma=1)\n")
    assert one != read("model m\ny ~ Normal(0, tau=1)\n")


def test_notes_and_places_take_no_part_in_equality():
    assert read("model m\ny ~ Normal(0, 1)  # kg\n") == read("model m\n\n\ny ~ Normal(0, 1)\n")


def test_observed_and_values_hold_for_all_statements_of_a_node():
    plates = "model m\nplate t ordered\nplate k\n"
    one = read(plates + "z[t first] ~ Table([0.5, 0.5])\nobserved z[t] in k ~ Table(z[t-1])\n")
    text = "observed z[t first] in k ~ Table([0.5, 0.5])\nobserved z[t] in k ~ Table(z[t-1])\n"
    assert one == read(plates + text)


def test_parents_and_children_follow_the_statements():
    dag = read(next(p for p in MODELS if p.stem == "radon"))
    assert dag.parents["log_radon"] == ("alpha", "beta", "floor", "sigma")
    assert dag.children["tau"] == ("alpha",)
    assert dag.nodes["log_radon"].role == "observed"
    assert dag.nodes["alpha"].role == "latent"
    order = dag.order
    assert all(order.index(p) < order.index(n) for n, ps in dag.parents.items() for p in ps)


def test_text_of_a_dag_is_its_str():
    dag: Dag = read(MODELS[0])
    assert str(dag) == to_text(dag)
