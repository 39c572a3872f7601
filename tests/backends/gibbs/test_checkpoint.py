"""A run on disk goes on where it was, whatever ended it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dagmodels.errors import FitError
from tests.backends.gibbs.runs import ROOT, TRAJECTORIES, run, same

CALL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
from tests.backends.gibbs.runs import run
run(draws=12_000, checkpoint=sys.argv[1])
"""
LIMITED = """
import resource, sys
from dagmodels.errors import FitError
from tests.backends.gibbs.runs import run
run(draws=10)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    run(draws=12_000, checkpoint=sys.argv[1])
except FitError as error:
    print(error)
"""


def started(text: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", text, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.glob("chain-*.log"))


def wait_for(folder: Path, wanted: int, process: subprocess.Popen[str]) -> None:
    while size(folder) < wanted and process.poll() is None:
        time.sleep(0.001)


def test_a_run_killed_at_any_moment_goes_on_as_if_it_had_not_been(tmp_path: Path):
    folder, moments = tmp_path / "run.ckpt", random.Random()  # any moment will do: no lucky ones
    for _ in range(3):
        process = started(CALL, folder)
        wait_for(folder, size(folder) + moments.randrange(1, 1_000_000), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert size(folder) > 0
    assert same(run(draws=12_000, checkpoint=folder), run(draws=12_000))


def test_an_interrupted_run_ends_soon_and_goes_on(tmp_path: Path):
    folder = tmp_path / "run.ckpt"
    process = started(CALL.replace("12_000", "100_000_000"), folder)
    wait_for(folder, 500_000, process)
    process.send_signal(signal.SIGINT)
    try:
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in told
    assert same(run(draws=2000, checkpoint=folder), run(draws=2000))


@pytest.mark.parametrize("cut", [1, 7, 39, 41, 3000])
def test_a_torn_record_is_cut_off(tmp_path: Path, cut: int):
    folder = tmp_path / "run.ckpt"
    run(draws=250, checkpoint=folder, **TRAJECTORIES)
    log = folder / "chain-1.log"
    whole = log.read_bytes()
    log.write_bytes(whole[:-cut])
    again = run(draws=250, checkpoint=folder, **TRAJECTORIES)
    assert same(again, run(draws=250, **TRAJECTORIES))
    assert log.stat().st_size > len(whole) - cut  # the unit cut off was written once more


def test_a_finished_run_is_read_and_more_draws_go_on(tmp_path: Path):
    folder = tmp_path / "run.ckpt"
    first = run(draws=120, checkpoint=folder, **TRAJECTORIES)
    there = size(folder)
    assert same(run(draws=120, checkpoint=folder, **TRAJECTORIES), first)
    assert size(folder) == there
    assert same(run(draws=220, checkpoint=folder, **TRAJECTORIES), first.extend(100))
    assert size(folder) > there
    assert same(run(draws=120, checkpoint=folder, **TRAJECTORIES), first)  # fewer are the first of them


def test_another_run_is_refused_with_what_differs(tmp_path: Path):
    folder = tmp_path / "run.ckpt"
    run(draws=10, checkpoint=folder)
    with pytest.raises(
        FitError, match=r"of another run: seed \(1 there, 2 here\), thin \(1 there, 3 here\); name"
    ):
        run(2, draws=10, thin=3, checkpoint=folder)
    with pytest.raises(FitError, match=r"monitor \(None there, \['mu'\] here\)"):
        run(draws=10, monitor="mu", checkpoint=folder)
    with pytest.raises(FitError, match="another run: inits;"):
        run(draws=10, inits={"mu": 1.0}, checkpoint=folder)


def test_other_data_and_models_are_refused(tmp_path: Path):
    import dagmodels as dm

    text = "model small\nplate a\nobserved y[a] ~ Normal(m, 1)\nm ~ Normal(0, {})\n"
    folder = tmp_path / "run.ckpt"
    options: dict[str, Any] = {"method": "gibbs", "draws": 600, "checkpoint": folder}
    dm.read(text.format(1)).fit({"y": [1.0, 2.0]}, **options)
    with pytest.raises(FitError, match=r"another run: the data of 'y';"):
        dm.read(text.format(1)).fit({"y": [1.0, 2.5]}, **options)
    with pytest.raises(FitError, match=r"another run: the model;"):
        dm.read(text.format(2)).fit({"y": [1.0, 2.0]}, **options)


def test_folders_that_are_no_checkpoints_stay_as_they_are(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FitError, match="is there already and is no checkpoint; name another place"):
        run(draws=10, checkpoint=tmp_path)
    with pytest.raises(FitError, match="is there already and is no checkpoint"):
        run(draws=10, checkpoint=tmp_path / "notes.txt")
    with pytest.raises(FitError, match=r"cannot keep a checkpoint at .*: Not a directory"):
        run(draws=10, checkpoint=tmp_path / "notes.txt" / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path):
    folder = tmp_path / "run.ckpt"
    told, _ = started(LIMITED, folder).communicate()
    assert "cannot write the checkpoint" in told
    assert "File too large; it stays valid, with " in told
    assert "free some space and run the same call again" in told
    assert 0 < size(folder) < 4 * 200_000
    assert same(run(draws=12_000, checkpoint=folder), run(draws=12_000))


def test_a_disk_that_fails_to_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from dagmodels.backends.gibbs import checkpoint

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "run.ckpt"
    run(draws=120, checkpoint=folder)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "SYNC", -1.0)
        patch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(
            FitError, match="No space left on device; it stays valid, with 334 draws of chain"
        ):
            run(draws=700, checkpoint=folder)
    assert same(run(draws=700, checkpoint=folder), run(draws=700))


def test_two_runs_do_not_write_one_checkpoint(tmp_path: Path):
    folder, inside, leave = tmp_path / "run.ckpt", threading.Event(), threading.Event()

    def held(_: object) -> None:
        inside.set()
        leave.wait()

    from dagmodels.backends.gibbs import progress

    was, progress.EVERY = progress.EVERY, 0.0
    one = threading.Thread(target=lambda: run(draws=600, checkpoint=folder, progress=held))
    one.start()
    try:
        inside.wait()
        with pytest.raises(FitError, match="another run is at work on the checkpoint"):
            run(draws=600, checkpoint=folder)
    finally:
        progress.EVERY = was
        leave.set()
        one.join()


def test_what_a_run_hangs_on_can_be_read(tmp_path: Path):
    run(draws=10, checkpoint=tmp_path / "run.ckpt")
    found = json.loads((tmp_path / "run.ckpt" / "run.json").read_text(encoding="utf-8"))
    assert found["seed"] == 1
    assert found["the model"].startswith("model eight_schools")
