"""Files are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.results import writing
from dagmodels.results.writing import write_files


def test_all_bad_targets_are_named_before_anything_is_written(tmp_path):
    good = tmp_path / "good.json"
    (tmp_path / "file").write_text("x")
    targets = {
        good: "{}",
        tmp_path / "absent" / "a.csv": "",
        tmp_path / "file" / "b.csv": "",
        tmp_path: "",
    }
    with pytest.raises(ModelErrors) as caught:
        write_files(targets)
    assert len(caught.value.exceptions) == 3
    assert "there is no folder" in str(caught.value)
    assert "is no folder" in str(caught.value)
    assert "it is a folder" in str(caught.value)
    assert not good.exists()


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(ModelErrors) as caught:
        write_files({tmp_path / "a": "x"})
    assert "not writable" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_old_files_whole(tmp_path, monkeypatch, stop):
    target = tmp_path / "fit.json"
    target.write_text("old")

    def interrupted(*_):
        raise stop

    monkeypatch.setattr(writing.os, "replace", interrupted)
    with pytest.raises(stop):
        write_files({target: "new"})
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_an_interruption_while_a_later_file_is_prepared_writes_none(tmp_path, monkeypatch):
    calls = []
    original = writing._temporary

    def second_fails(path, content):
        if calls:
            raise KeyboardInterrupt
        calls.append(path)
        return original(path, content)

    monkeypatch.setattr(writing, "_temporary", second_fails)
    with pytest.raises(KeyboardInterrupt):
        write_files({tmp_path / "a": "1", tmp_path / "b": "2"})
    assert list(tmp_path.iterdir()) == []


def test_a_disk_error_becomes_an_error_that_names_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", full)
    with pytest.raises(ModelErrors) as caught:
        write_files({tmp_path / "fit.json": "x"})
    assert "fit.json" in str(caught.value)
    assert "No space left" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bytes_and_text_arrive_as_given(tmp_path):
    write_files({tmp_path / "t": "β\n", tmp_path / "b": b"\x00\x01"})
    assert (tmp_path / "t").read_bytes() == "β\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\x01"
    assert (tmp_path / "t").stat().st_mode & 0o444 == 0o444 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
