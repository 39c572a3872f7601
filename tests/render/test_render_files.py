"""Pictures as files: formats, whole files, clear errors; what a notebook shows."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from render_models import model

from dagmodels.errors import DagmodelsError
from dagmodels.readers import read
from dagmodels.render import RenderError, draw, files, notebook, svg_for_notebook, to_dot, to_mermaid, write

BEGINS = {
    ".svg": b"<?xml",
    ".png": b"\x89PNG\r\n",
    ".pdf": b"%PDF-",
    ".dot": b"digraph",
    ".mmd": b"flowchart TB",
}


@pytest.mark.parametrize("ending", sorted(BEGINS))
def test_the_ending_says_the_format(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{ending}"
    assert write(model("eight_schools"), path) == path
    assert path.read_bytes().startswith(BEGINS[ending])
    assert os.listdir(tmp_path) == [path.name]


def test_text_formats_are_what_the_functions_give(tmp_path: Path) -> None:
    radon = model("radon")
    options = {"sizes": {"county": 85}, "estimates": {"beta": 1.0}}
    text = write(radon, tmp_path / "a.gv", show="distributions", **options).read_text(encoding="utf-8")
    assert text == to_dot(radon, show="distributions", **options)
    text = write(radon, str(tmp_path / "a.MERMAID"), **options).read_text(encoding="utf-8")
    assert text == to_mermaid(radon, **options)


@pytest.mark.parametrize("name", ["picture.jpeg", "picture", "picture.svg.gz"])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"\.svg, \.png, \.pdf, \.dot"):
        write(model("radon"), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"no folder '.*missing' \(create it first\)"):
        write(model("radon"), tmp_path / "missing" / "a.dot")


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderError, match="no folder"):
        write(model("radon"), tmp_path / "file" / "a.dot")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(RenderError, match=r"cannot write '.*a\.dot': the folder '.*' is not writable"):
        write(model("radon"), tmp_path / "a.dot")


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    """The file that it leads to is replaced, as by every other writer."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "a.dot", tmp_path / "link.dot"
    real.write_text("old")
    link.symlink_to(real)
    write(model("radon"), link)
    assert link.is_symlink()
    assert real.read_bytes().startswith(b"digraph")


def test_a_target_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.dot").mkdir()
    with pytest.raises(RenderError, match="cannot write"):
        write(model("radon"), tmp_path / "a.dot")
    assert os.listdir(tmp_path) == ["a.dot"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupt_leaves_the_old_file_whole(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dot"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises((RenderError, KeyboardInterrupt)):
        write(model("radon"), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.dot"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        path = write(model("radon"), tmp_path / "a.dot")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644


def test_unknown_formats_and_bad_text_are_told() -> None:
    with pytest.raises(RenderError, match="format 'gif' is not known"):
        draw("digraph {}", "gif")
    with pytest.raises(RenderError, match="Graphviz could not draw the svg picture"):
        draw("digraph { a -> ", "svg")
    assert issubclass(RenderError, DagmodelsError)


def test_a_notebook_shows_the_picture() -> None:
    root = ElementTree.fromstring(svg_for_notebook(model("radon"), sizes={"county": 85}))
    assert root.tag.endswith("svg")
    assert "county (85)" in "".join(root.itertext())


def test_a_notebook_shows_text_and_reason_when_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RenderError("there is no Graphviz <here>")

    monkeypatch.setattr(notebook, "draw", fail)
    lines = [t.text for t in ElementTree.fromstring(svg_for_notebook(model("radon"))).iter() if t.text]
    assert lines[0] == "No picture: there is no Graphviz <here>"
    assert any("Normal(g0 + g1*uranium, tau)" in line for line in lines)
    own = svg_for_notebook(model("radon"), "my own text")
    assert "my own text" in "".join(ElementTree.fromstring(own).itertext())


def test_a_notebook_shows_a_large_model_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 nodes are drawn, more are not: a picture of 2,000 takes seconds and megabytes."""
    drawn: list[str] = []
    monkeypatch.setattr(notebook, "draw", lambda text, _: (drawn.append(text), b"<svg/>")[1])
    text = "model large\n" + "\n".join(f"x{i} ~ Normal(0, 1)" for i in range(200))
    assert svg_for_notebook(read(text)) == "<svg/>"
    assert len(drawn) == 1
    shown = svg_for_notebook(read(text + "\nlast ~ Normal(x1, 1)"))
    assert len(drawn) == 1
    lines = [t.text for t in ElementTree.fromstring(shown).iter() if t.text]
    assert lines[0].startswith("201 nodes are too many")
    assert "model large" in lines
    assert len(shown) < 20_000


def test_a_long_text_in_a_notebook_is_cut() -> None:
    text = "model large\n" + "\n".join(f"x{i} ~ Normal({i}, 1)" for i in range(300))
    lines = [t.text for t in ElementTree.fromstring(svg_for_notebook(read(text))).iter() if t.text]
    assert len(lines) < 70
    assert lines[-1].startswith("... and ")


def test_a_notebook_shows_something_for_anything() -> None:
    ElementTree.fromstring(svg_for_notebook(None))  # type: ignore[arg-type]
    shown = svg_for_notebook(model("radon"), style="unheard of")
    assert "unheard of" in "".join(ElementTree.fromstring(shown).itertext())
