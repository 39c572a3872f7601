"""The pages tell the truth: every Python block runs, every model is read, every path and command is there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

import dagmodels as dm
from dagmodels.graph import parsing

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def named(pages: list[Path], language: str) -> list[Path]:
    return [page for page in pages if blocks(page, language)]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with specs and data where the blocks may write."""
    for folder in ("specs", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_front_pages_have_blocks():
    assert {p.name for p in named(PAGES, "python")} >= {"README.md", "tutorial.md", "mixed.md"}
    assert {p.name for p in named(PAGES, "dag")} >= {"README.md", "tutorial.md", "mixed.md"}


@pytest.mark.parametrize("page", named(PAGES, "python"), ids=lambda p: p.name)
def test_python_blocks_run_in_order(page: Path, copy: Path):
    """The blocks of a page share their names, as a reader's session does."""
    session: dict[str, object] = {}
    lines = page.read_text(encoding="utf-8").split("\n")
    at = 0
    for body in blocks(page, "python"):
        at = lines.index(body.split("\n", 1)[0], at)
        exec(compile("\n" * at + body, str(page), "exec"), session)
    left = {p.name for p in copy.iterdir()} - {"specs", "examples", "out"}
    assert not left, "a reader's top folder stays as it was"


@pytest.mark.parametrize("page", named(PAGES, "dag"), ids=lambda p: p.name)
def test_models_are_read(page: Path):
    """Whole models are read and read back; pieces of models are at least statements of the language."""
    for body in blocks(page, "dag"):
        if body.lstrip().startswith("model "):
            assert dm.read(str(dm.read(body))) == dm.read(body)
        else:
            parsing.statements(f"model piece\n{body}")


def test_the_model_of_the_readme_is_that_of_specs():
    """In text and in the twelve lines of Python: the same graph, but for the line that names the data."""
    readme = ROOT / "README.md"
    spec = dm.read(ROOT / "specs" / "radon.dag")
    assert dm.read(blocks(readme, "dag")[0]).dag.statements == spec.dag.statements
    first = blocks(readme, "python")[0].strip().split("\n")
    built = [line for line in first if line and not line.startswith(("import", "fit", "print"))]
    assert len([line for line in first if line]) == 12
    session: dict[str, object] = {"dm": dm}
    exec("\n".join(built), session)
    assert session["g"] == spec


def test_links_lead_somewhere():
    for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands() -> list[str]:
    found = [line for body in blocks(ROOT / "README.md", "sh") for line in body.split("\n")]
    return [line.split("#")[0].strip() for line in found if line.startswith("dagmodels ")]


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_readme(command: str, copy: Path, capsys: pytest.CaptureFixture[str]):
    from dagmodels.cli import app

    with pytest.raises(SystemExit) as end:
        app(shlex.split(command)[1:])
    assert end.value.code == 0, capsys.readouterr()


def test_make_targets_of_the_readme_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(
        r"make ([a-z-]+)", (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert set(told) <= set(targets), told
    assert {"demo", "test"} <= set(told)
