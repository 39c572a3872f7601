"""Which file or text a model is read from, and what is said when it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagmodels.errors import DagmodelsError, ModelErrors
from dagmodels.readers import FORMATS, read
from dagmodels.readers.dag import from_text, read_dag
from dagmodels.writers import to_json

MODELS = Path(__file__).parents[1] / "models"
TEXT = "model m\ny ~ Normal(0, 1)\n"


def messages(caught: pytest.ExceptionInfo[ModelErrors]) -> list[tuple[str, str | None]]:
    assert isinstance(caught.value, DagmodelsError)
    return [(e.message, e.hint) for e in caught.value.exceptions]


def test_paths_and_texts_give_one_model(tmp_path: Path):
    path = MODELS / "radon.dag"
    dag = read(path)
    assert read(str(path)) == dag == read(path.read_text()) == read_dag(path) == from_text(path.read_text())
    assert dag.source == str(path)
    as_json = tmp_path / "radon.json"
    as_json.write_text(to_json(dag))
    assert read(as_json) == dag == read(to_json(dag)) == read(to_json(dag), format="json")
    other = tmp_path / "radon.txt"
    other.write_text("\ufeff# a comment first\n\n" + path.read_text())
    assert read(other) == dag  # no known ending: the text's beginning tells
    assert read(other, format="dag") == dag


def test_a_single_line_may_be_a_text():
    assert read("model m").nodes == {}


def test_a_missing_file_names_a_similar_one(tmp_path: Path):
    (tmp_path / "radon.dag").write_text(TEXT)
    with pytest.raises(ModelErrors) as caught:
        read(tmp_path / "radom.dag")
    assert messages(caught) == [
        (f"There is no file {tmp_path}/radom.dag.", f"did you mean {tmp_path}/radon.dag?")
    ]
    with pytest.raises(ModelErrors) as caught:
        read("nowhere/at_all.dag")
    assert messages(caught) == [("There is no file nowhere/at_all.dag.", "check the path")]


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path):
    path = tmp_path / "m.dag"
    path.write_bytes(b"model m\ny ~ Normal(0, 1)  # \xe9t\xe9\n")
    with pytest.raises(ModelErrors) as caught:
        read(path)
    assert messages(caught) == [(f"{path} is not UTF-8: byte 28 is 0xe9.", "save the file as UTF-8")]
    assert caught.value.exceptions[0].line == 2


def test_folders_and_unknown_endings_are_refused(tmp_path: Path):
    with pytest.raises(ModelErrors) as caught:
        read(tmp_path)
    assert messages(caught) == [(f"{tmp_path} is a folder, not a file.", "name the model's file")]
    path = tmp_path / "m.xyz"
    path.write_text("something\nelse\n")
    with pytest.raises(ModelErrors) as caught:
        read(path)
    ((message, hint),) = messages(caught)
    assert message == f"The format of {path} is not known by its ending."
    assert hint is not None
    assert hint.startswith("known: .dag, .json")


def test_formats_by_name():
    with pytest.raises(ModelErrors) as caught:
        read(TEXT, format="dagg")
    ((message, hint),) = messages(caught)
    assert message == "No format is called 'dagg'."
    assert hint is not None
    assert hint.startswith("known: dag, json")
    assert len({f.name for f in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_text_is_refused(empty: str):
    with pytest.raises(ModelErrors) as caught:
        read(empty)
    assert messages(caught) == [("The text is empty.", "write `model` and a name as its first line")]


def test_other_objects_are_refused():
    with pytest.raises(ModelErrors) as caught:
        read(3)  # type: ignore[arg-type]
    assert messages(caught) == [
        ("A model is read from a path or a text, not from int.", "pass a str or Path")
    ]


def test_faults_of_a_file_name_it(tmp_path: Path):
    path = tmp_path / "m.dag"
    path.write_text("model m\ny ~ Normal(mu, 1)\n")
    with pytest.raises(ModelErrors) as caught:
        read(path)
    assert str(caught.value.exceptions[0]).startswith(f"{path}:2:12: `mu` is not declared.")
    assert caught.value.exceptions[0].source == str(path)


def test_the_beginning_of_a_format_is_not_that_of_another():
    dag, json = FORMATS[0].begins, FORMATS[1].begins
    assert dag is not None
    assert json is not None
    assert dag.match("model m")
    assert not dag.match("model {")  # BUGS
    assert json.match('{ "dagmodels": 1}')
    assert not re.match(json, "{x}")
