"""The kept parser table: the same parser, and never a reason to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lark import Lark, UnexpectedInput

from dagmodels.graph import lalr
from dagmodels.numerics import compiled

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.dag"))


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache folder, and no parser yet."""
    monkeypatch.setenv("DAGMODELS_CACHE", str(tmp_path / "cache"))
    lalr.parser.cache_clear()
    yield tmp_path / "cache"
    lalr.parser.cache_clear()


def again() -> Lark:
    lalr.parser.cache_clear()
    return lalr.parser()


def test_the_second_parser_comes_from_the_table(fresh: Path, monkeypatch: pytest.MonkeyPatch):
    first = lalr.parser()
    (file,) = fresh.iterdir()
    assert file.suffix == ".json"
    monkeypatch.setattr(lalr, "build", lambda grammar: pytest.fail("built again"))
    assert again() is not first


def pieces() -> list[str]:
    from dagmodels.graph import scanning

    return [
        p.text
        for m in MODELS
        for p in scanning.pieces(m.read_text(), lambda *_: pytest.fail("a slip in a model"))
    ]


def test_both_parsers_give_the_same(fresh: Path):
    made, kept = lalr.parser(), again()
    texts = pieces()
    assert len(texts) > 150
    assert [made.parse(t, start="statement") for t in texts] == [
        kept.parse(t, start="statement") for t in texts
    ]


@pytest.mark.parametrize(
    "text", ["a ~", "a = = b", "plate i in", "x[i ~ Normal(0, 1)", "a = $", "parameter b >"]
)
def test_both_parsers_refuse_the_same(fresh: Path, text: str):
    told = []
    for parser in (lalr.parser(), again()):
        with pytest.raises(UnexpectedInput) as caught:
            parser.parse(text, start="statement")
        error = caught.value
        expected = getattr(error, "expected", None) or getattr(error, "allowed", None)
        told.append((type(error), error.pos_in_stream, sorted(expected or ())))
    assert told[0] == told[1]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", None])
def test_a_damaged_table_is_made_anew(fresh: Path, damage: bytes | None):
    lalr.parser()
    (file,) = fresh.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"NAME", b"NAMF", 1) if damage is None else damage)
    assert again().parse("a", start="expr") is not None
    digest, text = file.read_text().split("\n", 1)
    assert digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_folder_that_cannot_be_written_does_no_harm(fresh: Path):
    fresh.write_text("a file where the folder should be")
    assert lalr.parser().parse("a", start="expr") is not None


def test_another_grammar_or_lark_has_another_file(monkeypatch: pytest.MonkeyPatch):
    before = lalr.table_file("a")
    assert lalr.table_file("b") != before
    monkeypatch.setattr("lark.__version__", "0.0")
    assert lalr.table_file("a") != before


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_folder_is_that_of_the_kernels(monkeypatch: pytest.MonkeyPatch, platform: str):
    monkeypatch.setattr("sys.platform", platform)
    for setting in ({}, {"XDG_CACHE_HOME": "/a"}, {"LOCALAPPDATA": "/b"}, {"DAGMODELS_CACHE": "/c"}):
        with monkeypatch.context() as patch:
            for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "DAGMODELS_CACHE"):
                patch.delenv(name, raising=False)
            for name, value in setting.items():
                patch.setenv(name, value)
            assert lalr.folder() == compiled.cache_root()
