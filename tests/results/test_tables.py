"""Aligned tables and their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.results.tables import format_number, format_numbers, is_number, text_table


def test_columns_are_aligned_numbers_right_words_left():
    text = text_table({"name": ["g0", "log_radon"], "estimate": [1.4616, -0.69299]})
    assert text.split("\n") == [
        "name       estimate",
        "g0           1.4616",
        "log_radon   -0.6930",
    ]


def test_unknown_cells_are_blank_and_lines_have_no_trailing_space():
    text = text_table({"name": ["a", "b"], "se": [0.5, float("nan")], "what": ["x", None]})
    assert text.split("\n")[2] == "b"
    assert all(line == line.rstrip() for line in text.split("\n"))


def test_long_tables_end_in_a_count():
    lines = text_table({"i": list(range(30))}, limit=10, indent="  ").split("\n")
    assert len(lines) == 12
    assert lines[-1] == "  ... and 20 more"


def test_an_empty_table_is_its_heading():
    assert text_table({"name": [], "estimate": []}) == "name  estimate"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.0, 20.0], ["1", "20"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1029.8223045, 251.4], ["1029.8", "251.4"]),
        ([1e-12, 1.0], ["1e-12", "1"]),
        ([0.1, None], ["0.10000", ""]),
        ([float("inf"), 0.5], ["inf", "0.50000"]),
        ([1e12, 0.5], ["1e+12", "0.5"]),
    ],
)
def test_decimals_suit_the_column(values, texts):
    assert format_numbers(values) == texts


def test_every_number_keeps_three_digits():
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = 10.0 ** rng.uniform(-5, 5, size=3) * rng.choice([-1, 1], size=3)
        for text, value in zip(format_numbers(list(values)), values, strict=True):
            assert float(text) == pytest.approx(value, rel=5e-3)


def test_format_number_inside_a_sentence():
    assert format_number(2059.644609, 10) == "2059.644609"
    assert format_number(3) == "3"
    assert format_number(None) == "?"
    assert format_number(float("nan")) == "nan"


def test_what_counts_as_a_number():
    assert is_number(np.float64(1))
    assert is_number(2)
    assert not is_number(True)
    assert not is_number("1")
