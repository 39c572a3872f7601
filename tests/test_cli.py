"""The command line: output, files, exit status."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import types
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest

from dagmodels import cli
from tests.fake_backend import Mean, install
from tests.processes import interruptible

SMALL = """model small
plate g
plate r in g
covariate x[r]
parameter m, b
parameter tau, s > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Normal(m + b*x + u[g], s)
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with small.dag and small.csv."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"g": np.repeat(["a", "b", "c"], 4), "x": rng.normal(size=12), "y": rng.normal(size=12)}
    )
    frame.to_csv(tmp_path / "small.csv", index=False)
    (tmp_path / "small.dag").write_text(SMALL)
    return tmp_path


def call(*arguments, status=0):
    """Run a command in this process; its output, where its exit status is the one expected."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text), pytest.raises(SystemExit) as end:
        cli.app([str(a) for a in arguments])
    assert end.value.code == status, (end.value.code, text.getvalue())
    assert "Traceback" not in text.getvalue()
    return text.getvalue()


@pytest.fixture
def mean(monkeypatch):
    backend = Mean()
    install(monkeypatch, backend)
    return backend


def test_fit_prints_plan_and_summary_and_writes_the_record(folder, mean):
    out = call(
        *("fit", folder / "small.dag", "--data", folder / "small.csv", "--seed", 5),
        *("--json", folder / "fit.json", "--csv", folder / "fit.csv"),
    )
    assert out.index("small: fit by 'mean'") < out.index("small: fitted by mean (approximate)")
    assert "Variances (or standard deviations) of zero: tau" in out
    record = json.loads((folder / "fit.json").read_text())
    assert list(record) == [
        *("model", "backend", "exact", "converged", "log_likelihood", "n_parameters", "aic", "bic"),
        *("estimates", "measures", "diagnostics"),
    ]
    assert record["estimates"][1]["se"] is None
    assert record["diagnostics"]["gradient_norm"] is None
    frame = pd.read_csv(folder / "small.csv")
    assert record["estimates"][0]["estimate"] == pytest.approx(frame["y"].mean(), rel=1e-12)
    assert pd.read_csv(folder / "fit.csv")["name"].tolist() == ["m", "tau"]
    assert mean.options["seed"] == 5


def test_the_models_data_line_is_used_without_data(folder, mean):
    text = SMALL.replace("model small\n", 'model small\ndata "small.csv"\n')
    (folder / "small.dag").write_text(text)
    assert "observations 12" in call("fit", folder / "small.dag")


def test_one_file_a_plate(folder, mean):
    frame = pd.read_csv(folder / "small.csv")
    pd.DataFrame({"g": ["a", "b", "c"], "w": [1.0, 2.0, 3.0]}).to_csv(folder / "groups.csv", index=False)
    frame.to_csv(folder / "rows.csv", index=False)
    text = SMALL.replace("covariate x[r]", "covariate x[r], w[g]").replace("u[g], s", "u[g] + b*w[g], s")
    (folder / "two.dag").write_text(text)
    out = call(
        *("fit", folder / "two.dag", "--data", f"r={folder / 'rows.csv'}"),
        *("--data", f"g={folder / 'groups.csv'}"),
    )
    assert "observations 12" in out


def test_a_fit_that_did_not_converge_has_status_1_and_still_writes(folder, monkeypatch):
    install(monkeypatch, Mean(converged=False, message="saddle at 'tau'"))
    out = call(
        *("fit", folder / "small.dag", "--data", folder / "small.csv", "--json", folder / "fit.json"),
        status=1,
    )
    assert "NOT CONVERGED: saddle at 'tau'" in out
    assert json.loads((folder / "fit.json").read_text())["converged"] is False


def test_no_backend_has_status_1_and_the_explanation(folder, monkeypatch):
    install(monkeypatch, Mean(accepts=False))
    out = call("fit", folder / "small.dag", "--data", folder / "small.csv", status=1)
    assert "'mean' cannot: 'y' is not to its taste" in out
    out = call("plan", folder / "small.dag", status=1)
    assert "small: no backend" in out


def test_bad_input_has_status_2_and_names_all_that_is_wrong(folder, mean):
    (folder / "bad.dag").write_text(SMALL.replace("b*x", "bb*x").replace("Normal(0, tau)", "Normal(0)"))
    out = call("check", folder / "bad.dag", status=2)
    assert "2 problems" in out
    assert "bad.dag:7:" in out
    assert "bad.dag:8:" in out
    assert "there is no model file" in call("fit", folder / "absent.dag", status=2)
    assert 'data "FILE"' in call("fit", folder / "small.dag", status=2)
    assert "absent.csv" in call("fit", folder / "small.dag", "--data", folder / "absent.csv", status=2)
    both = ("--data", folder / "small.csv")
    assert "plate=file" in call("fit", folder / "small.dag", *both, *both, status=2)
    out = call("fit", folder / "small.dag", *both, "--method", "maen", status=2)
    assert "no backend is named 'maen' (installed: mean; did you mean 'mean'?)" in out
    call("fit", folder / "small.dag", "--seed", "many", status=2)
    call("fly", status=2)


def test_an_output_that_cannot_be_written_is_found_before_the_fit(folder, mean):
    target = folder / "absent" / "fit.json"
    out = call(
        *("fit", folder / "small.dag", "--data", folder / "small.csv"),
        *("--json", target, "--csv", folder / "fit.csv"),
        status=2,
    )
    assert "there is no folder" in out
    assert mean.options == {}
    assert not (folder / "fit.csv").exists()


def test_plan_without_and_with_data(folder, mean):
    assert "small: fit by 'mean'" in call("plan", folder / "small.dag")
    assert "as asked" in call(
        "plan", folder / "small.dag", "--data", folder / "small.csv", "--method", "mean"
    )


def test_check_says_what_is_true_and_what_is_wrong(folder):
    out = call("check", folder / "small.dag", "--data", folder / "small.csv")
    assert "Plate 'g' has 3 elements." in out
    (folder / "loose.dag").write_text(
        SMALL.replace("Normal(0, tau)", "Normal(a, tau)").replace("parameter m,", "parameter a, m,")
    )
    assert "The mean of 'u' is not identified" in call("check", folder / "loose.dag", status=2)


def test_render_writes_the_picture(folder, mean):
    out = call("render", folder / "small.dag", folder / "g.dot", "--data", folder / "small.csv")
    assert f"wrote {folder / 'g.dot'}" in out
    assert (folder / "g.dot").read_text().startswith("digraph")
    call("render", folder / "small.dag", folder / "g.xyz", status=2)
    call("render", folder / "small.dag", folder / "absent" / "g.dot", status=2)
    call("render", folder / "small.dag", folder / "g.dot", "--style", "baroque", status=2)


def test_backends_lists_what_is_installed(mean):
    out = call("backends")
    assert "mean" in out
    assert "fake_backend" in out


def test_an_interruption_has_status_130_and_leaves_old_files(folder, monkeypatch):
    class Slow(Mean):
        def fit(self, problem, plan, options):
            raise KeyboardInterrupt

    install(monkeypatch, Slow())
    (folder / "fit.json").write_text("old")
    out = call(
        *("fit", folder / "small.dag", "--data", folder / "small.csv", "--json", folder / "fit.json"),
        status=130,
    )
    assert "interrupted" in out
    assert (folder / "fit.json").read_text() == "old"
    assert not list(folder.glob(".*"))


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "dagmodels.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


@pytest.mark.parametrize("command", ["fit", "check"])
def test_a_full_disk_behind_the_output_is_said_in_one_line(folder, command):
    (folder / "full").symlink_to("/dev/full")
    with open(folder / "full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dagmodels.cli", command, folder / "small.dag"]
            + ["--data", folder / "small.csv"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stderr == "dagmodels: cannot write to the standard output: No space left on device\n"


def test_results_go_through_a_link_and_after_the_printed_lines(folder):
    (folder / "link.json").symlink_to(folder / "fit.json")
    target = ["--data", folder / "small.csv", "--json"]
    done = process("fit", folder / "small.dag", *target, folder / "link.json")
    assert (folder / "link.json").is_symlink()
    record = json.loads((folder / "fit.json").read_text())
    assert record["model"] == "small"
    both = process("fit", folder / "small.dag", *target, "/dev/stdout")
    assert both.stdout.split("log likelihood")[0] == done.stdout.split("log likelihood")[0]
    assert json.loads(both.stdout[both.stdout.index("\n{\n") :])["estimates"] == record["estimates"]


def test_as_a_process_messages_go_to_stderr(folder):
    done = process("check", folder / "absent.dag")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "there is no model file" in done.stderr
    done = process("check", folder / "small.dag")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_ctrl_c_in_a_process(folder):
    """The data come from a pipe that nobody writes to: reading blocks until the signal comes."""

    os.mkfifo(folder / "pipe.csv")
    command = [sys.executable, "-m", "dagmodels.cli", "fit", str(folder / "small.dag")]
    running = subprocess.Popen(
        [*command, "--data", str(folder / "pipe.csv"), "--json", str(folder / "fit.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    time.sleep(2)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert not (folder / "fit.json").exists()


def test_on_a_terminal_tables_are_drawn(folder, mean, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_terminal", lambda: True)
    with pytest.raises(SystemExit) as caught:
        cli.app(["fit", str(folder / "small.dag"), "--data", str(folder / "small.csv")])
    assert caught.value.code in (0, None)
    out = capsys.readouterr().out
    assert "estimate" in out
    assert "Converged: certified" in out
    assert any(edge in out for edge in "┏┃│")


def test_simulate_passes_everything_on_and_writes(folder, monkeypatch):
    asked = {}

    def simulate(dag, **options):
        asked.update(options, name=dag.name)
        return pd.DataFrame({"y": [1.0, 2.0]})

    monkeypatch.setattr("dagmodels.simulate.simulate", simulate, raising=False)
    out = call(
        *("simulate", folder / "small.dag", "--output", folder / "d.csv", "--value", "tau=2"),
        *("--value", "w=[1, 2]", "--size", "g=85", "--draws", 1, "--seed", 3),
    )
    assert f"wrote {folder / 'd.csv'}" in out
    assert pd.read_csv(folder / "d.csv")["y"].tolist() == [1.0, 2.0]
    assert asked == {
        "name": "small",
        "data": None,
        "values": {"tau": 2.0, "w": [1, 2]},
        "sizes": {"g": 85},
        "draws": 1,
        "seed": 3,
    }
    out = call("simulate", folder / "small.dag", "--value", "tau", "--value", "s=", status=2)
    assert "--value tau: not name=number or name=label" in out
    assert "--value s=: not name=number or name=label" in out
    out = call("simulate", folder / "small.dag", "--size", "g=many", status=2)
    assert "--size g=many: not name=number (such as --size county=85)" in out


ASIA = """model asia
plate answer = "yes", "no"
asia in answer ~ Table([0.01, 0.99])
tub in answer ~ Table(asia, {"yes": [0.05, 0.95], "no": [0.01, 0.99]})
"""


def test_simulate_shows_the_truth_where_nothing_is_observed(folder):
    (folder / "asia.dag").write_text(ASIA)
    out = call("simulate", folder / "asia.dag", "--value", "asia=yes")
    assert out.splitlines() in (["asia = yes", "tub = no"], ["asia = yes", "tub = yes"])
    call("simulate", folder / "asia.dag", "--draws", 40, "--output", folder / "d.csv")
    frame = pd.read_csv(folder / "d.csv")
    assert list(frame) == ["asia", "tub"]
    assert len(frame) == 40
    out = call("simulate", folder / "asia.dag", "--value", "asia=maybe", status=2)
    assert "'maybe' for 'asia' is no level of plate 'answer'" in out


def test_simulate_tells_the_truth_when_asked(folder):
    (folder / "m.dag").write_text(
        "model m\nplate r\nparameter s > 0\na ~ Normal(0, 1)\nobserved y[r] ~ Normal(a, s)\n"
    )
    arguments = ("simulate", folder / "m.dag", "--size", "r=3", "--value", "s=2")
    assert "truth" not in call(*arguments)
    out = call(*arguments, "--truth")
    assert out.index("r:\n") < out.index("truth:\n") < out.index("  s = 2.0")
    call(*arguments, "--truth", "--output", folder / "d.json")
    assert set(json.loads((folder / "d.json").read_text())) == {"r"}
    truth = json.loads((folder / "d.truth.json").read_text())
    assert truth["s"] == 2.0
    assert set(truth) == {"a", "s"}
    call("fit", folder / "m.dag", "--data", folder / "d.json")
    call(*arguments, "--truth", "--draws", 2, "--output", folder / "out")
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["1.r.csv", "2.r.csv", "truth.json"]
    assert len(json.loads((folder / "out" / "truth.json").read_text())) == 2


def test_a_picture_with_estimates_keeps_the_sizes_of_plates(folder, mean):
    call("render", folder / "small.dag", folder / "m.dot", "--data", folder / "small.csv", "--estimates")
    text = (folder / "m.dot").read_text()
    assert "g (3)" in text
    assert "r (12)" in text


def test_warm_prints_what_it_does(monkeypatch):
    module = types.ModuleType("dagmodels.numerics.warm")
    module.warm = lambda report: report("compiled 3 kernels")
    monkeypatch.setitem(sys.modules, "dagmodels.numerics.warm", module)
    assert call("warm") == "compiled 3 kernels\n"


def test_without_a_command_the_help_is_shown():
    assert "simulate" in call(status=2)
    assert "the following arguments are required: MODEL" in call("fit", status=2)
    assert "--truth" in call("simulate", "--help")
    call("fit", "a.dag", "--dat", "b.csv", status=2)


def test_help_names_every_command():
    out = call("--help")
    for name in ("fit", "plan", "check", "render", "simulate", "backends", "warm"):
        assert name in out


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (("--csv", "small.csv"), "--csv: '"),
        (("--json", "small.dag"), "--json: '"),
        (("--json", "sub/../small.dag"), "--json: '"),
        (("--csv", "link.csv"), "--csv: '"),
        (("--json", "o", "--csv", "sub/../o"), "--csv and --json are both"),
        (("--json", "small.csv", "--csv", "small.dag"), "2 problems"),
    ],
)
def test_what_is_read_is_never_written_over(folder, mean, outputs, told):
    (folder / "sub").mkdir()
    (folder / "link.csv").symlink_to(folder / "small.csv")
    before = files(folder)
    given = [o if o.startswith("--") else folder / o for o in outputs]
    out = call("fit", folder / "small.dag", "--data", folder / "small.csv", *given, status=2)
    assert told in out
    assert "name " in out
    assert files(folder) == before
    assert mean.options == {}, "refused before the fit"


def test_the_models_data_file_and_files_by_plate_are_kept_too(folder, mean):
    (folder / "small.dag").write_text(SMALL.replace("model small\n", 'model small\ndata "small.csv"\n'))
    before = files(folder)
    assert "which is read" in call("fit", folder / "small.dag", "--csv", folder / "small.csv", status=2)
    by_plate = ("--data", f"r={folder / 'small.csv'}")
    call("fit", folder / "small.dag", *by_plate, "--csv", folder / "small.csv", status=2)
    call("simulate", folder / "small.dag", "--output", folder / "small.csv", status=2)
    call("simulate", folder / "small.dag", "--output", folder, status=2)
    (folder / "m.dot").write_text((folder / "small.dag").read_text())
    call("render", folder / "m.dot", folder / "m.dot", "--format", "dag", status=2)
    (folder / "m.dot").unlink()
    assert files(folder) == before
    call("fit", folder / "small.dag", "--csv", folder / "fit.csv")
    call("fit", folder / "small.dag", "--csv", folder / "fit.csv")  # one's own earlier output may be


def test_standard_errors_of_the_kind_asked_for(folder, mean):
    call("fit", folder / "small.dag", "--data", folder / "small.csv", "--se", "joint")
    assert mean.options == {"seed": 1, "se": "joint"}
    call("fit", folder / "small.dag", "--data", folder / "small.csv")
    assert mean.options == {"seed": 1}


def test_version():
    import dagmodels

    assert call("--version").strip() == f"dagmodels {dagmodels.__version__}"


def test_simulate_uses_the_data_line_unless_sizes_are_given(folder):
    text = SMALL.replace("model small\n", 'model small\ndata "small.csv"\n').replace("b*x + ", "")
    (folder / "small.dag").write_text(text.replace("covariate x[r]\n", ""))
    values = [word for name in ("m", "b", "tau", "s") for word in ("--value", f"{name}=1")]
    call("simulate", folder / "small.dag", *values, "--output", folder / "a.json")
    assert len(json.loads((folder / "a.json").read_text())["r"]["y"]) == 12
    sizes = ("--size", "g=2", "--size", "r=5")
    call("simulate", folder / "small.dag", *values, *sizes, "--output", folder / "b.json")
    assert len(json.loads((folder / "b.json").read_text())["r"]["y"]) == 5
