"""Stop rules on draws in memory and on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import diagnose
from dagmodels.results.draws import until as module
from dagmodels.results.draws.store import Store
from dagmodels.results.draws.until import progress
from tests.numerics.chains.made import autoregressive
from tests.results.draws import made

EVERY = {"ess_bulk": 1000, "ess_tail": 1000, "rhat": 1.01, "mcse": 0.03, "draws": 2000}


def test_the_worst_quantity_decides():
    draws = made.draws()
    slow = replace(draws, values={**draws.values, "tau": autoregressive((4, 500), 0.9, 2)})
    assert progress(draws, EVERY).done
    found = progress(slow, EVERY)
    assert not found.done
    _, table = slow.table()
    told = diagnose(table)
    assert found.figures["ess_bulk"] == told.ess_bulk.min() == told.ess_bulk[-1]
    assert found.figures["rhat"] == told.rhat.max()
    assert found.figures["mcse"] == (told.mcse / told.sd).max()
    assert found.worst["ess_bulk"] == "tau"
    assert "of 1000 (tau)" in str(found)
    assert not found.holds("ess_bulk")
    assert found.holds("draws")


def test_a_store_is_judged_as_its_draws_piece_by_piece(tmp_path, monkeypatch):
    draws = made.draws()
    store = Store.create(tmp_path / "run", draws)
    monkeypatch.setattr(module, "CHUNK", 5000)  # two elements at once
    mine, other = progress(store, EVERY), progress(draws, EVERY)
    assert mine.worst == other.worst
    assert mine.figures == pytest.approx(other.figures, rel=1e-12)


def test_what_never_changes_and_what_is_unknown():
    draws = made.draws(draws=100)
    constant = replace(draws, values={**draws.values, "mu": np.ones((4, 100))})
    assert progress(constant, {"rhat": 1.1, "ess_bulk": 100}).done
    broken = replace(draws, values={**draws.values, "mu": np.full((4, 100), np.nan)})
    assert progress(broken, {"rhat": 1.1}).figures["rhat"] == np.inf
    assert not progress(broken, {"ess_bulk": 1}).done
    assert not progress(made.draws(draws=3), {"ess_bulk": 1}).done


def test_wrong_conditions_are_told_at_once():
    with pytest.raises(dm.ModelErrors) as caught:
        progress(made.draws(), {"ess": 100, "rhat": 1.0, "ess_bulk": "many", "draws": -1})
    told = str(caught.value)
    assert "there is no condition 'ess'" in told
    assert "rhat is 1.0" in told
    assert "'many'" in told
    assert "draws is -1" in told
