"""Simulated data as files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dagmodels.errors import ModelErrors
from dagmodels.results.simulated import write_simulated

FRAME = pd.DataFrame({"g": ["a", "b"], "y": [1.5, np.nan]})


def test_one_frame_as_csv_and_json(tmp_path):
    assert list(write_simulated(FRAME, tmp_path / "d.csv")) == [f"wrote {tmp_path / 'd.csv'}"]
    assert pd.read_csv(tmp_path / "d.csv").equals(FRAME)
    write_simulated(FRAME, tmp_path / "d.json")
    assert json.loads((tmp_path / "d.json").read_text()) == {"g": ["a", "b"], "y": [1.5, None]}


def test_a_frame_a_plate_as_a_folder(tmp_path):
    draw = {"row": FRAME, "group": pd.DataFrame({"g": ["a"], "z": [1.0]}), "theta": np.array([1.0, 2.0])}
    write_simulated(draw, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["arrays.json", "group.csv", "row.csv"]
    assert json.loads((tmp_path / "out" / "arrays.json").read_text()) == {"theta": [1.0, 2.0]}
    with pytest.raises(ModelErrors) as caught:
        write_simulated(draw, tmp_path / "d.csv")
    assert "2 frames and 1 arrays do not fit into one CSV file" in str(caught.value)


def test_several_draws(tmp_path):
    write_simulated([{"row": FRAME}, {"row": FRAME}], tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.row.csv", "2.row.csv"]
    write_simulated([FRAME, FRAME], tmp_path / "d.json")
    assert len(json.loads((tmp_path / "d.json").read_text())) == 2
    with pytest.raises(ModelErrors):
        write_simulated([FRAME, FRAME], tmp_path / "d.csv")


def test_without_output_the_data_are_shown_shortened():
    lines = list(write_simulated({"row": FRAME, "theta": np.array([1.0])}, None))
    assert lines[0] == "row:"
    assert "1.5" in lines[1]
    assert lines[2] == "theta = [1.0]"


class Draw(dict):
    """A data set with its truth, as `simulate` returns it."""

    truth: dict


def test_the_truth_beside_the_data(tmp_path):
    draw = Draw(row=FRAME)
    draw.truth = {"theta": np.arange(12.0), "s": 2.0}
    lines = list(write_simulated(draw, None, truth=True))
    assert lines[-3:] == [
        "truth:",
        f"  theta = [{', '.join(f'{i}.0' for i in range(10))}, ... (12)]",
        "  s = 2.0",
    ]
    assert "truth:" not in write_simulated(draw, None)
    write_simulated(draw, tmp_path / "d.csv", truth=True)
    assert json.loads((tmp_path / "d.truth.json").read_text()) == {"theta": list(range(12)), "s": 2}


def test_the_truth_in_place_of_empty_data(tmp_path):
    draws = [Draw(), Draw()]
    draws[0].truth, draws[1].truth = {"a": "yes", "b": 1}, {"a": "no", "b": 0}
    assert list(write_simulated(draws, None, truth=True)) == ["a = yes", "b = 1", "a = no", "b = 0"]
    write_simulated(draws, tmp_path / "d.csv", truth=True)
    assert (tmp_path / "d.csv").read_text() == "a,b\nyes,1\nno,0\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(ModelErrors) as caught:
        write_simulated(FRAME, tmp_path / "absent" / "out")
    assert "there is no folder" in str(caught.value)
