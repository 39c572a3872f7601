"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat

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


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.json"
    real.write_text("old")
    real.chmod(0o640)
    link, chain = tmp_path / "link.json", tmp_path / "chain.json"
    link.symlink_to(real)
    chain.symlink_to(link)
    write_files({chain: "new"})
    assert link.is_symlink()
    assert chain.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    dangling = tmp_path / "dangling.json"
    dangling.symlink_to(tmp_path / "elsewhere" / "made.json")
    write_files({dangling: "made"})
    assert dangling.is_symlink()
    assert (tmp_path / "elsewhere" / "made.json").read_text() == "made"
    dangling.unlink()
    dangling.symlink_to(tmp_path / "absent" / "made.json")
    with pytest.raises(ModelErrors) as caught:
        write_files({dangling: "made"})
    assert "there is no folder" in str(caught.value)


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for target in (pipe, link):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # or opening it for writing would wait
        write_files({target: "through", tmp_path / "file": "beside"})
        assert os.read(reader, 100) == b"through"
        os.close(reader)
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert (tmp_path / "file").read_text() == "beside"


def test_an_open_file_named_by_its_number_is_continued(tmp_path):
    """As `--json /dev/stdout > out.txt` does."""
    with open(tmp_path / "out.txt", "wb") as out:
        out.write(b"said before\n")
        out.flush()
        write_files({f"/dev/fd/{out.fileno()}": "added"})
    assert (tmp_path / "out.txt").read_bytes() == b"said before\nadded"


def test_a_full_device_is_named(tmp_path):
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    with pytest.raises(ModelErrors) as caught:
        write_files({link: "x"})
    assert "/full': No space left on device" in str(caught.value)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert link.is_symlink()


def test_a_place_that_takes_no_files_is_named(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(2, "No such file or directory")  # as /proc says

    monkeypatch.setattr(writing.tempfile, "mkstemp", refused)
    with pytest.raises(ModelErrors) as caught:
        write_files({tmp_path / "x.json": "x"})
    assert "cannot write '" in str(caught.value)
    assert "x.json': No such file or directory" in str(caught.value)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
