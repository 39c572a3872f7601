"""Pictures of chains: files of each kind, the same bytes for the same draws; what they show was looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

import dagmodels as dm
from dagmodels.results.draws.pictures import ranks, trace
from tests.results.draws import made

HEADS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("draw", [trace, ranks])
@pytest.mark.parametrize("ending", HEADS)
def test_files(draw, ending, tmp_path):
    path = tmp_path / f"x{ending}"
    assert draw(path, made.draws(), ["mu", "theta[C]"]) == path
    first = path.read_bytes()
    assert first.startswith(HEADS[ending])
    draw(path, made.draws(), ["mu", "theta[C]"])
    assert path.read_bytes() == first


def test_one_row_a_quantity_and_twelve_at_most(tmp_path):
    """The height follows the rows; a constant and a divergence do not stop the picture."""
    draws = made.draws()
    theta = draws["theta"].copy()
    theta[..., 0] = 3.0
    diverging = np.zeros((4, 500), dtype=bool)
    diverging[1, 30] = True
    draws = replace(draws, values={**draws.values, "theta": theta}, statistics={"diverging": diverging})
    trace(tmp_path / "all.png", draws)
    trace(tmp_path / "two.png", draws, ["mu", "tau"])
    heights = [imread(tmp_path / f"{n}.png").shape[0] for n in ("all", "two")]
    assert heights == [int(120 * (0.6 + 1.25 * n)) for n in (10, 2)]
    ranks(tmp_path / "ranks.png", draws)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(dm.ModelErrors) as caught:
        trace(tmp_path / "x.gif", made.draws())
    assert "use .png, .svg, .pdf" in str(caught.value)
    with pytest.raises(KeyError, match="did you mean"):
        trace(tmp_path / "x.png", made.draws(), "thetaa")
