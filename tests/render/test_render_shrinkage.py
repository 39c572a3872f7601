"""The picture of partial pooling."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.render import RenderError, shrinkage

LEVELS = ["A", "B", "C", "D"]
RAW = [28.0, 8.0, -3.0, 7.0]
POOLED = [14.0, 8.0, 4.7, 7.7]
SIZES = [15, 10, 16, 11]


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_files_of_every_format_are_equal_for_equal_input(ending: str, begins: bytes, tmp_path: Path) -> None:
    first = shrinkage(tmp_path / f"a.{ending}", LEVELS, RAW, POOLED, SIZES, grand=8.0, title="Schools")
    second = shrinkage(tmp_path / f"b.{ending}", LEVELS, RAW, POOLED, SIZES, grand=8.0, title="Schools")
    assert first.read_bytes().startswith(begins)
    assert first.read_bytes() == second.read_bytes()
    other = shrinkage(tmp_path / f"c.{ending}", LEVELS, RAW, POOLED[::-1], SIZES, grand=8.0, title="Schools")
    assert first.read_bytes() != other.read_bytes()
    assert sorted(os.listdir(tmp_path)) == [f"{x}.{ending}" for x in "abc"]


def figure(levels: list[str], raw: list[float], pooled: list[float], sizes: list[int], grand: float | None):
    """The axes as they are drawn, before they become a file."""
    from matplotlib.figure import Figure

    module = sys.modules["dagmodels.render.shrinkage"]
    axes = Figure().add_subplot()
    order = module._order(levels, raw, pooled, sizes)
    module._draw(axes, [raw[i] for i in order], [pooled[i] for i in order], grand)
    module._name_rows(axes, [levels[i] for i in order], [sizes[i] for i in order])
    return axes


def test_groups_stand_in_order_of_size_with_arrows_from_own_mean_to_estimate() -> None:
    axes = figure(LEVELS, RAW, POOLED, SIZES, 8.0)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["B  (10)", "D  (11)", "A  (15)", "C  (16)"]
    line, own, estimate = axes.lines
    assert list(line.get_xdata()) == [8.0, 8.0]
    assert list(own.get_xdata()) == [8.0, 7.0, 28.0, -3.0]
    assert list(estimate.get_xdata()) == [8.0, 7.7, 14.0, 4.7]
    arrows = {(a.xyann[0], a.xy[0]) for a in axes.texts}
    assert arrows == {(7.0, 7.7), (28.0, 14.0), (-3.0, 4.7)}, "B has not moved"


def test_a_group_without_data_has_an_estimate_and_no_arrow() -> None:
    axes = figure(["A", "B"], [float("nan"), 3.0], [2.0, 2.5], [0, 5], None)
    assert {(a.xyann[0], a.xy[0]) for a in axes.texts} == {(3.0, 2.5)}
    assert list(axes.lines[1].get_xdata()) == [2.0, 2.5]


def test_many_groups_show_their_sizes_instead_of_names() -> None:
    n = 300
    axes = figure([f"g{i}" for i in range(n)], [float(i) for i in range(n)], [0.0] * n, list(range(n)), 0.0)
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert 2 < len(labels) <= 26
    assert labels == sorted(labels, key=int)


def test_lengths_that_differ_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(ModelErrors) as caught:
        shrinkage(tmp_path / "a.png", LEVELS, RAW[:2], POOLED, SIZES[:1])
    assert {e.node for e in caught.value.exceptions} == {"raw", "sizes"}
    with pytest.raises(ModelErrors) as caught:
        shrinkage(tmp_path / "a.png", [], [], [], [])
    assert "no groups" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_wrong_ending_or_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"\.png, \.svg or \.pdf"):
        shrinkage(tmp_path / "a.txt", LEVELS, RAW, POOLED, SIZES)
    with pytest.raises(RenderError, match="no folder"):
        shrinkage(tmp_path / "missing" / "a.png", LEVELS, RAW, POOLED, SIZES)


def test_no_global_state_of_matplotlib_is_touched(tmp_path: Path) -> None:
    script = (
        "import sys, matplotlib\n"
        "before = matplotlib.rcParams.copy()\n"
        "from dagmodels.render import shrinkage\n"
        f"shrinkage({str(tmp_path / 'a.png')!r}, ['A'], [1.0], [0.5], [3])\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
