"""Importing stays light: what may not be loaded, and how long it may take."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("numba", "pandas", "scipy", "networkx", "xarray", "formulaic", "rich", "typer", "pgmpy"),
    *("matplotlib", "graphviz", "pygraphviz"),
)
MODEL = "model m\nplate r\nparameter a\nobserved y[r] ~ Normal(a, 1)"
READ = f"import dagmodels as dm; g = dm.read({MODEL!r})"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded(code: str, names: tuple[str, ...]) -> str:
    return run(f"import sys\n{code}\nprint([m for m in {names!r} if m in sys.modules])").splitlines()[-1]


def test_the_check_itself_sees_a_heavy_import():
    assert loaded("import pandas", HEAVY) == "['pandas']"


def test_import_dagmodels_loads_nothing_heavy():
    assert loaded("import dagmodels", (*HEAVY, "lark", "narwhals")) == "[]"


def test_building_checking_and_planning_load_nothing_heavy():
    assert loaded(f"{READ}\ng.check(); str(g.plan()); g.to_dot()", HEAVY) == "[]"


def test_importing_costs_at_most_a_quarter_of_a_second_of_cpu_time():
    code = "import time; t = time.process_time(); import dagmodels; print(time.process_time() - t)"
    assert min(float(run(code)) for _ in range(3)) <= 0.25


@pytest.mark.parametrize("module", ["dagmodels.plugin", "dagmodels.dispatch.plan", "dagmodels.results.fit"])
def test_what_a_third_party_imports_is_light(module):
    assert loaded(f"import {module}", HEAVY) == "[]"


def test_asking_all_backends_about_bound_data_is_light():
    code = f"{READ}\nassert 'laplace' in {{v.backend for v in g.plan({{'y': [1.0, 2.0, 3.0]}}).verdicts}}"
    assert loaded(code, HEAVY) == "[]"


def test_the_fit_of_the_command_line_loads_no_table_or_statistics_library(tmp_path):
    (tmp_path / "m.dag").write_text(
        "model m\nplate g\nplate r in g\nparameter b\nparameter t, s > 0\n"
        "u[g] ~ Normal(b, t)\nobserved y[r] ~ Normal(u[g], s)\n"
    )
    rows = "".join(f"{g},{(7 * i + 3 * g) % 11}\n" for g in range(4) for i in range(5))
    (tmp_path / "m.csv").write_text("g,y\n" + rows)
    files = [str(tmp_path / name) for name in ("m.dag", "m.csv", "m.json")]
    arguments = ["fit", files[0], "--data", files[1], "--json", files[2]]
    code = (
        f"from dagmodels.cli import app\ntry:\n    app({arguments!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )
    avoided = (
        "scipy.stats",
        "xarray",
        "formulaic",
        "pandas",
        "narwhals",
        "matplotlib",
        "networkx",
        "rich",
        "typer",
        "pydantic",
        "pgmpy",
    )
    assert loaded(code, avoided) == "[]"
    assert (tmp_path / "m.json").exists()
