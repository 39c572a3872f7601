"""Every example of docs/language.md reads, or is refused with the message that stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.graph.names import RESERVED
from dagmodels.graph.scanning import MAX_BRACKETS, MAX_STATEMENTS, MAX_TEXT
from dagmodels.readers import read
from dagmodels.writers import to_text

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text()
BLOCKS = re.findall(r"^```dag( fault)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
GOOD = [text for fault, text in BLOCKS if not fault]
FAULTS = [text for fault, text in BLOCKS if fault]


def whole(text: str) -> str:
    return text if text.startswith("model") else f"model example\n{text}"


def test_the_page_has_examples_of_both_kinds():
    assert len(GOOD) >= 20
    assert len(FAULTS) >= 8


@pytest.mark.parametrize("text", GOOD, ids=[t.splitlines()[0] for t in GOOD])
def test_an_example_reads_and_round_trips(text: str):
    dag = read(whole(text))
    assert read(to_text(dag)) == dag


@pytest.mark.parametrize("text", FAULTS, ids=[t.splitlines()[-1] for t in FAULTS])
def test_a_fault_is_refused_with_its_message(text: str):
    (said,) = re.findall(r"#\s*(.+)", text)
    with pytest.raises(ModelErrors) as caught:
        read(whole(text))
    (error,) = caught.value.exceptions
    assert error.message.startswith(said)


def test_the_limits_and_words_are_those_of_the_package():
    assert f"{MAX_TEXT:,} characters" in PAGE
    assert f"{MAX_STATEMENTS:,} statements" in PAGE
    assert f"nest {MAX_BRACKETS} deep" in PAGE
    words = re.search(r"The words\n`([a-z ]+)`", PAGE)
    assert words is not None
    assert set(words[1].split()) == RESERVED
