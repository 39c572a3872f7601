"""`make demo`: what it prints and writes, and how it ends when something is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from tests.processes import interruptible

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "examples" / "demo.py"


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def output(demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    out = tmp_path / "new" / "out"
    assert demo.main(["--out", str(out)]) == 0
    return out, capsys.readouterr().out


def test_make_runs_this_file():
    assert "examples/demo.py" in (ROOT / "Makefile").read_text()


def test_what_it_prints(output: tuple[Path, str]):
    text = output[1]
    titles = (
        "The model",
        "The plan",
        "Estimates",
        "Variance components",
        "The most shrunken counties",
        "Files",
    )
    places = [text.index(f"\n{title}:" if title != "Files" else "\nFiles\n") for title in titles]
    assert places == sorted(places)
    for said in (
        "919 houses in 85 counties",
        "radon: fit by 'laplace'",
        "exact restricted maximum likelihood (REML)",
        "'log_radon' is Normal and linear in 'alpha', 'g0', 'g1', 'beta' given 'tau', 'sigma'",
        "REML 2059.644609",
        "Converged: gradient, Hessian and bounds certified",
        "Intraclass correlation 0.039",
        "LACQUIPARLE",
    ):
        assert said in text, said
    assert text.rstrip().split("\n")[-1].startswith("Done in ")


def test_what_it_writes(output: tuple[Path, str]):
    out, text = output
    assert sorted(p.name for p in out.iterdir()) == [
        "estimates.csv",
        "estimates.json",
        "radon.png",
        "radon.svg",
        "shrinkage.png",
    ]
    assert all(p.name in text for p in out.iterdir())
    record = json.loads((out / "estimates.json").read_text())
    assert record["measures"]["REML"] == pytest.approx(2059.64460870425, abs=1e-6)
    assert record["converged"]
    table = pd.read_csv(out / "estimates.csv").set_index("name")
    assert list(table.index) == ["g0", "g1", "beta", "tau", "sigma"]
    assert table.loc["tau", "estimate"] == record["estimates"][3]["estimate"]
    svg = (out / "radon.svg").read_text(encoding="utf-8")
    assert "county (85)" in svg
    assert "house (919)" in svg
    for name in ("radon.png", "shrinkage.png"):
        data = (out / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n")
        assert int.from_bytes(data[16:20], "big") > 600  # the width in pixels


def test_the_most_shrunken_counties_are_those_that_moved_most(demo: ModuleType):
    """By hand: own means of the data, brought to the basement; levels from the fit."""
    import dagmodels as dm

    graph = dm.read(ROOT / "specs" / "radon.dag")
    data = pd.read_csv(ROOT / "examples" / "radon.csv")
    fit = graph.fit(data)
    table = demo.county_table(data, fit)
    one = data[data["county"] == "LACQUIPARLE"]
    own = sum(y - fit["beta"] * x for y, x in zip(one["log_radon"], one["floor"], strict=True)) / len(one)
    row = table.loc["LACQUIPARLE"]
    assert row["own"] == pytest.approx(own)
    level = fit.latents.set_index("name").loc["alpha[LACQUIPARLE]", "estimate"]
    assert row["moved"] == pytest.approx(level - own)
    assert table["moved"].abs().idxmax() == "LACQUIPARLE"
    assert table["houses"].sum() == 919


def test_it_says_what_it_waits_for(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from dagmodels.numerics import compiled

    monkeypatch.setattr(compiled, "is_warm", lambda: False)
    demo.announce_compilation()
    assert "kernels are compiled" in capsys.readouterr().out
    monkeypatch.setattr(compiled, "is_warm", lambda: True)
    demo.announce_compilation()
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_made(demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert demo.main(["--out", str(tmp_path / "file" / "out")]) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith("demo: ")
    assert "Traceback" not in caught.err


def test_interrupt_ends_cleanly(tmp_path: Path):
    """Ctrl-C after the first line of output: status 130, a sentence, no traceback, no half-written file."""
    command = [sys.executable, "-u", str(DEMO), "--out", str(tmp_path)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=interruptible,
    )
    assert process.stdout is not None
    while "919 houses" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.strip().startswith("interrupted")
    assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
