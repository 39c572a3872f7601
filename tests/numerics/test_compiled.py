"""The kernel cache: it depends on every source, falls back when it cannot write, and is nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dagmodels.numerics.compiled as compiled

CALLEE = "import numba\n\n@numba.njit\ndef inner(x):\n    return x + {amount}\n"
CALLER = """
from {package}.callee import inner
{decorator}
def outer(x):
    return 10.0*inner(x)
"""
OURS = "from {package}.compiled import kernel\n@kernel('f8(f8)')"
PLAIN = "import numba\n@numba.njit('f8(f8)', cache=True)"


def package(folder: Path, decorator: str) -> None:
    """A package of two kernel files: the caller is never touched again, the callee is."""
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    shutil.copy(compiled.__file__, folder / "compiled.py")
    (folder / "callee.py").write_text(CALLEE.format(amount=1.0))
    told = decorator.format(package=folder.name)
    (folder / "caller.py").write_text(CALLER.format(package=folder.name, decorator=told))


def python(code: str, where: Path, **environment: str) -> str:
    """What a fresh Python prints."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "DAGMODELS_", "XDG_"))}
    env |= {"PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def call(name: str) -> str:
    return f"from {name}.caller import outer; print(outer(1.0))"


def index_files(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*.nb*")}


def test_the_caller_sees_a_changed_callee(tmp_path: Path) -> None:
    package(tmp_path / "ours", OURS)
    cache = {"DAGMODELS_CACHE": str(tmp_path / "cache")}
    assert python(call("ours"), tmp_path, **cache) == "20.0"
    first = index_files(tmp_path / "cache")
    assert any(p.endswith(".nbi") for p in first)
    assert python(call("ours"), tmp_path, **cache) == "20.0"
    assert index_files(tmp_path / "cache") == first  # loaded, not compiled anew
    (tmp_path / "ours" / "callee.py").write_text(CALLEE.format(amount=5.0))
    assert python(call("ours"), tmp_path, **cache) == "60.0"
    folders = sorted(p.name for p in (tmp_path / "cache").iterdir())
    assert len(folders) == 2
    assert all(name.startswith("kernels-") for name in folders)


def test_the_plain_cache_would_not(tmp_path: Path) -> None:
    """Why the folder carries a hash: numba alone keeps the caller's machine code with the old callee."""
    package(tmp_path / "plain", PLAIN)
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert python(call("plain"), tmp_path, **cache) == "20.0"
    (tmp_path / "plain" / "callee.py").write_text(CALLEE.format(amount=5.0))
    assert python(call("plain"), tmp_path, **cache) == "20.0"


def test_the_hash_depends_on_every_file_and_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    seen = {compiled.source_hash(tmp_path)}
    (tmp_path / "b.py").write_text("3")
    seen.add(compiled.source_hash(tmp_path))
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    seen.add(compiled.source_hash(tmp_path))
    (tmp_path / "d.py").write_text("")
    seen.add(compiled.source_hash(tmp_path))
    assert len(seen) == 4
    (tmp_path / "notes.txt").write_text("x")
    assert compiled.source_hash(tmp_path) in seen
    assert all(len(h) == 16 for h in seen)


def test_every_kernel_lies_in_the_hashed_folder() -> None:
    """A kernel elsewhere would not be part of the hash."""
    root = Path(compiled.__file__).parent.parent
    users = [p for p in root.rglob("*.py") if "numerics.compiled import" in p.read_text(encoding="utf8")]
    compiling = [p for p in users if "import kernel" in p.read_text(encoding="utf8")]
    assert compiling
    assert {p.parent for p in compiling} == {compiled.KERNELS}
    other = [p for p in root.rglob("*.py") if "njit" in p.read_text(encoding="utf8")]
    assert {p.parent for p in other} == {compiled.KERNELS}


@pytest.mark.parametrize("blocked", ["file", "below a file"])
def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, blocked: str) -> None:
    """The stated cache is a file, or lies below one (permissions do not stop every user)."""
    package(tmp_path / "ours", OURS)
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" if blocked == "file" else tmp_path / "file" / "cache"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    told = python(call("ours"), tmp_path, DAGMODELS_CACHE=str(place), TMPDIR=str(scratch))
    assert told == "20.0"
    assert (tmp_path / "file").read_text() == ""
    assert any(scratch.glob("dagmodels-kernels-*"))


def test_access_denied_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGMODELS_CACHE", str(tmp_path))
    monkeypatch.setattr(compiled.os, "access", lambda *_: False)
    compiled.cache_folder.cache_clear()
    try:
        folder = compiled.cache_folder()
        assert tmp_path not in folder.parents
        assert folder.is_dir()
        folder.rmdir()
    finally:
        compiled.cache_folder.cache_clear()


def test_numba_keeps_its_own_folder(tmp_path: Path) -> None:
    """Also when compiling fails."""
    package(tmp_path / "ours", OURS)
    code = """
from numba.core import config
config.CACHE_DIR = 'mine'
from ours.caller import outer
assert config.CACHE_DIR == 'mine', config.CACHE_DIR
from ours.compiled import kernel
try:
    kernel('f8(f8)')(lambda x: undefined_name + x)
except Exception as error:
    print(type(error).__name__ != '', config.CACHE_DIR)
"""
    assert python(code, tmp_path, DAGMODELS_CACHE=str(tmp_path / "cache")) == "True mine"


def test_the_stated_cache_is_used_and_warmth_is_told(tmp_path: Path) -> None:
    package(tmp_path / "ours", OURS)
    code = "from ours.compiled import cache_root, is_warm; print(is_warm(), cache_root())"
    cache = str(tmp_path / "cache")
    assert python(code, tmp_path, DAGMODELS_CACHE=cache) == f"False {cache}"
    python(call("ours"), tmp_path, DAGMODELS_CACHE=cache)
    assert python(code, tmp_path, DAGMODELS_CACHE=cache) == f"True {cache}"


KERNELS = """
import numba
from {package}.compiled import kernel
@numba.njit
def helper(x):
    return x
@kernel("f8(f8)")
def first(x):
    return helper(x) + 1.0
@kernel("f8(f8)")
def second(x):
    return first(x) + 1.0
"""
WARM = "from {package}.compiled import is_warm; print(is_warm())"


def test_another_copy_of_the_package_is_not_warm(tmp_path: Path) -> None:
    """numba keeps machine code by the source's place: a clone with equal sources compiles its own."""
    cache = {"DAGMODELS_CACHE": str(tmp_path / "cache")}
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        package(tmp_path / place / "ours", OURS)
        (tmp_path / place / "ours" / "some_kernels.py").write_text(KERNELS.format(package="ours"))
    warm = WARM.format(package="ours")
    python("import ours.some_kernels", tmp_path / "here", **cache)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert python(warm, tmp_path / "here", **cache) == "True"
    assert python(warm, tmp_path / "there", **cache) == "False"
    python("import ours.some_kernels", tmp_path / "there", **cache)
    assert python(warm, tmp_path / "there", **cache) == "True"


def test_every_kernel_counts_and_a_touched_source_is_not_warm(tmp_path: Path) -> None:
    """As after an interruption, and after a new checkout of the same sources at the same place."""
    cache = {"DAGMODELS_CACHE": str(tmp_path / "cache")}
    package(tmp_path / "ours", OURS)
    source = tmp_path / "ours" / "some_kernels.py"
    source.write_text(KERNELS.format(package="ours"))
    python("import ours.some_kernels", tmp_path, **cache)
    warm = WARM.format(package="ours")
    assert python(warm, tmp_path, **cache) == "True"
    (index,) = (tmp_path / "cache").rglob("some_kernels.second-*.nbi")
    index.rename(index.with_suffix(".kept"))
    assert python(warm, tmp_path, **cache) == "False"
    index.with_suffix(".kept").rename(index)
    assert python(warm, tmp_path, **cache) == "True"
    later = index.stat().st_mtime + 10
    os.utime(source, (later, later))
    assert python(warm, tmp_path, **cache) == "False"


@pytest.fixture
def python_handles_interruptions() -> Iterator[None]:
    """Python's own handler, which a run in the background of a shell does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_interruptions")
def test_an_interruption_waits_for_the_kernel_and_then_counts() -> None:
    """Where the compiler's own callbacks would swallow KeyboardInterrupt, it is kept until they are done."""
    done: list[str] = []

    def work() -> None:
        with compiled.interrupts_wait():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("the kernel")
        done.append("what comes after")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the kernel"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("python_handles_interruptions")
def test_a_kernel_is_compiled_with_interruptions_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[str] = []

    def compiler(*_: object, **__: object):
        def compile_(function: object) -> object:
            signal.raise_signal(signal.SIGINT)
            finished.append("compiled")
            return function

        return compile_

    monkeypatch.setattr(compiled.numba, "njit", compiler)
    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)
    with pytest.raises(KeyboardInterrupt):
        compiled.kernel("f8(f8)")(lambda x: x)
    assert finished == ["compiled"]


@pytest.mark.usefixtures("python_handles_interruptions")
def test_other_threads_compile_without_handling_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with compiled.interrupts_wait():
            seen.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


def test_where_the_cache_is_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGMODELS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/someone"))
    monkeypatch.setattr(compiled.sys, "platform", "linux")
    assert compiled.cache_root() == Path("/home/someone/.cache/dagmodels")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert compiled.cache_root() == Path("/elsewhere/dagmodels")
    monkeypatch.setattr(compiled.sys, "platform", "darwin")
    assert compiled.cache_root() == Path("/home/someone/Library/Caches/dagmodels")


def aged(folder: Path, days: float) -> Path:
    """A kernel folder that was last used so many days ago."""
    (folder / "numerics_0").mkdir(parents=True)
    (folder / "numerics_0" / "kernel.nbi").write_bytes(b"code")
    then = time.time() - days * 86400
    os.utime(folder, (then, then))
    return folder


def test_kernels_unused_for_a_month_are_removed(tmp_path: Path) -> None:
    old = aged(tmp_path / f"kernels-{'a' * 16}", 31)
    young = aged(tmp_path / f"kernels-{'b' * 16}", 29)
    others = [aged(tmp_path / name, 400) for name in ("kernels-mine", "grammar", "kernels-0123")]
    linked = tmp_path / f"kernels-{'c' * 16}"
    linked.symlink_to(others[0])
    assert compiled.remove_unused(tmp_path) == [old.name]
    assert not old.exists()
    assert (young / "numerics_0" / "kernel.nbi").exists()
    assert all((folder / "numerics_0" / "kernel.nbi").exists() for folder in others)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        p.name for p in (young, *others, linked)
    )  # nothing is left under another name
    assert compiled.remove_unused(tmp_path / "absent") == []


def test_kernels_taken_into_use_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = aged(tmp_path / f"kernels-{'a' * 16}", 31)
    rename = Path.rename

    def used_first(self: Path, target: Path) -> Path:
        if self == folder:
            os.utime(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", used_first)
    assert compiled.remove_unused(tmp_path) == []
    assert (folder / "numerics_0" / "kernel.nbi").exists()


def test_a_new_folder_removes_old_ones_and_use_renews_its_own(tmp_path: Path) -> None:
    package(tmp_path / "ours", OURS)
    cache = tmp_path / "cache"
    old = aged(cache / f"kernels-{'a' * 16}", 31)
    assert python(call("ours"), tmp_path, DAGMODELS_CACHE=str(cache)) == "20.0"
    assert not old.exists()
    (own,) = cache.glob("kernels-*")
    os.utime(own, (0, 0))
    again = aged(cache / f"kernels-{'a' * 16}", 31)
    assert python(call("ours"), tmp_path, DAGMODELS_CACHE=str(cache)) == "20.0"
    assert time.time() - own.stat().st_mtime < 600
    assert again.exists()  # only a new folder is a reason to look
