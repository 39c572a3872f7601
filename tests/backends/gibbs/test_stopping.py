"""Rules by which a run ends, and what it says of itself meanwhile."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from dagmodels.backends.gibbs import progress as progressing
from dagmodels.backends.gibbs.progress import Progress, teller
from dagmodels.backends.gibbs.stopping import Goal, Stop, read_stop
from dagmodels.errors import FitError
from dagmodels.numerics.chains.diagnose import diagnose
from tests.backends.gibbs.runs import TRAJECTORIES, run, same


def test_rules_are_read():
    found = read_stop("ess_bulk > 1000 and ess_tail>4e2 and rhat < 1.01 and mcse < 0.02 sd and seconds < 60")
    goals = (Goal("ess_bulk", 1000), Goal("ess_tail", 400), Goal("rhat", 1.01), Goal("mcse", 0.02, True))
    assert found == Stop(goals, 60.0)
    assert read_stop(" and ".join(map(str, goals))).goals == goals
    assert read_stop("mcse < 0.5") == Stop((Goal("mcse", 0.5),))
    assert read_stop("seconds < 5") == Stop((), 5.0)
    assert read_stop(None) == Stop((), math.inf)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read ''; write 'ess_bulk > 1000'"),
        ("ess_bulk", "cannot read 'ess_bulk'"),
        ("ess_bulk > 100 or rhat < 2", "cannot read 'ess_bulk > 100 or rhat < 2'"),
        ("es_bulk > 100", "'es_bulk' in 'es_bulk > 100' is no figure of a run; did you mean 'ess_bulk'?"),
        ("foo > 100", "there are ess_bulk, ess_tail, rhat, mcse, seconds"),
        ("ess_bulk < 100", "ess_bulk grows as a run goes on: write 'ess_bulk > 100'"),
        ("ess_bulk >= 100", "write 'ess_bulk > 100', not 'ess_bulk >= 100'"),
        ("rhat > 1.01", "rhat falls as a run goes on: write 'rhat < 1.01'"),
        ("seconds > 60", "seconds is a limit as a run goes on: write 'seconds < 60'"),
        ("rhat < 1", "rhat is hardly ever below 1; write 'rhat < 1.01'"),
        ("ess_bulk > many", "'many' in 'ess_bulk > many' is no number above zero"),
        ("mcse < -1", "'-1' in 'mcse < -1' is no number above zero"),
        ("rhat < 1.1 sd", "in 'rhat < 1.1 sd' only mcse may be measured in sd"),
        ("rhat < 1.1 and rhat < 1.2", "'rhat' is there twice; keep the stricter one"),
        (1000, "until=1000 must be text, such as 'ess_bulk > 1000'"),
    ],
)
def test_rules_that_mean_nothing_are_told(text: str, told: str):
    with pytest.raises(FitError, match=re.escape(told)):
        run(until=text)


def test_goals_look_at_the_worst_quantity():
    rng = np.random.default_rng(1)
    table = rng.standard_normal((4, 500, 3))
    table[:, :, 1] = np.repeat(table[:, :50, 1], 10, axis=1)  # each draw ten times
    table[:, :, 2] = 7.0  # never changes: nothing to wait for
    names, found = ["a", "b", "c"], diagnose(table)
    (told,) = read_stop("ess_bulk > 1000").missed(names, found)
    assert told == f"ess_bulk > 1000 (b has {found.ess_bulk[1]:.4g})"
    assert not read_stop("ess_bulk > 1000").missed(["a", "c"], diagnose(table[:, :, [0, 2]]))
    (told,) = read_stop("mcse < 0.05 sd").missed(names, found)
    assert told == f"mcse < 0.05 sd (b has {found.mcse[1] / found.sd[1]:.4g})"
    assert read_stop("rhat < 1.01").missed(["a"], diagnose(table[:, :3, :1])) == ("rhat < 1.01 (a has nan)",)


def test_a_run_goes_on_by_rounds_until_its_goals_are_reached():
    fit = run(draws=150, until="ess_bulk > 1000 and rhat < 1.05")
    rounds, rest = divmod(fit.samples.draws, 150)
    assert rest == 0
    assert min(fit.estimate_columns["ess_bulk"]) > 1000
    assert fit.diagnostics["stopped"] == "ess_bulk > 1000 and rhat < 1.05"
    before = run(draws=150 * (rounds - 1))
    assert min(before.estimate_columns["ess_bulk"]) <= 1000 or max(before.estimate_columns["rhat"]) >= 1.05
    assert same(fit, run(draws=fit.samples.draws))


def test_the_cap_ends_a_run_and_is_told():
    fit = run(draws=100, until="ess_bulk > 1e6", most=250)
    assert fit.samples.draws == 250
    (told,) = fit.warnings
    assert re.search(
        r"ended by most=250 draws of each chain, before ess_bulk > 1e\+06 \(\w+(\[\w\])? has", told
    )
    assert fit.extend(100, until="ess_bulk > 500").samples.draws == 350
    with pytest.raises(FitError, match="most=250 is no more than the 250 draws"):
        fit.extend(100, until="ess_bulk > 1e6", most=250)


def test_rules_look_at_what_is_monitored():
    goal: dict[str, Any] = {"draws": 200, "until": "ess_bulk > 300", "most": 2000, **TRAJECTORIES}
    one, every = run(monitor="theta", **goal), run(**goal)
    assert set(one.estimate_columns["name"]) < set(every.estimate_columns["name"])
    assert one.samples.draws <= every.samples.draws


def test_time_ends_a_run():
    fit = run(draws=1_000_000, until="ess_bulk > 1e9 and seconds < 0.3", monitor="mu")
    assert 0 < fit.samples.draws < 1_000_000
    assert fit.warnings[0].startswith("the run ended by seconds < 0.3, before ess_bulk > 1e+09 (mu has")
    assert same(fit, run(draws=fit.samples.draws, monitor="mu"))
    assert run(draws=1_000_000, until="seconds < 0.1", monitor="mu").diagnostics["stopped"] == "seconds < 0.1"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"most": 0, "until": "rhat < 1.1"}, "most=0 must be a whole number"),
        ({"most": 100}, "most= is the cap of a stop rule: give until= too, or write draws="),
        ({"progress": 3}, "progress=3 must be True, False, or a function"),
        ({"executor": 3}, "executor=3 must be an Executor"),
        ({"checkpoint": 3}, "checkpoint=3 must be the name of a folder"),
    ],
)
def test_options_that_mean_nothing_are_told(options: dict[str, Any], told: str):
    with pytest.raises(FitError, match=re.escape(told)):
        run(**options)


def test_progress_is_a_small_value_for_functions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progressing, "EVERY", 0.0)
    monkeypatch.setattr(progressing, "SHARE", math.inf)
    seen: list[Progress] = []
    fit = run(draws=300, progress=seen.append, **TRAJECTORIES)
    assert [p.draws for p in seen] == sorted(p.draws for p in seen)
    assert (seen[0].draws, np.isnan(seen[0].ess)) == (0, True)
    last = seen[-1]
    assert (last.draws, last.of, last.chains) == (300, 300, 4)
    assert last.ess == min(fit.estimate_columns["ess_bulk"])
    assert last.rhat == max(fit.estimate_columns["rhat"])
    assert last.divergences == fit.samples.statistics["diverging"].sum()
    assert same(fit, run(draws=300, **TRAJECTORIES))


def test_progress_prints_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progressing, "EVERY", 0.0)
    run(draws=600, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "gibbs: 0 of 600 draws in 4 chains, 0 s"
    run(draws=600)  # standard error is no terminal here
    assert capsys.readouterr().err == ""
    assert teller(None) is None
    told = str(Progress(1200, 3000, 4, 12.3, 345.6, 1.01, 7))
    assert told.startswith("gibbs: 1,200 of 3,000 draws in 4 chains, 12 s, ESS 346 or more")
    assert told.endswith("R-hat 1.010 or less, 7 divergences")
