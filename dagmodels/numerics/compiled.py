"""Compiled kernels: explicit signatures, compiled once per installation, cached by source.

numba keeps a caller's machine code when only its callee's file changed.  The cache folder therefore
carries a hash of all kernel sources (and of the versions that compile them): any change starts afresh.
A signal to interrupt waits for the kernel that is being compiled: LLVM's callbacks would swallow it.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import config

KERNELS = Path(__file__).parent
UNUSED = 30 * 86400.0  # seconds
_FOLDER = re.compile(r"kernels-[0-9a-f]{16}")


def source_hash(folder: Path = KERNELS) -> str:
    """Sixteen hex digits that change with any Python file of the folder, numba, numpy or Python."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Where kernels are kept: DAGMODELS_CACHE, else the user's cache folder."""
    stated = os.environ.get("DAGMODELS_CACHE")
    if stated:
        return Path(stated)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dagmodels"
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "dagmodels"


@cache
def cache_folder() -> Path:
    """The folder for the present sources, made if need be; a temporary one when nothing is writable."""
    folder = cache_root() / f"kernels-{source_hash()}"
    try:
        fresh = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.utime(folder)  # its time says when it was last used
            if fresh:
                remove_unused(folder.parent)
            return folder
    except OSError:  # a read-only home: compile into the temporary folder instead
        pass
    return Path(tempfile.mkdtemp(prefix="dagmodels-kernels-"))


def remove_unused(root: Path, now: float | None = None) -> list[str]:
    """Remove the folders of other sources' kernels that no process has begun to use for 30 days.

    Every process renews the time of its folder. One is first given another name, so that nobody meets
    half of it, and gets its own back if it was taken into use meanwhile. What cannot be removed stays.

    Returns
    -------
    The names of the folders removed.
    """
    now = time.time() if now is None else now
    gone: list[str] = []
    for folder in sorted(root.glob("kernels-*")):
        if not _FOLDER.fullmatch(folder.name) or not folder.is_dir() or folder.is_symlink():
            continue
        aside = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            if now - folder.stat().st_mtime < UNUSED:
                continue
            folder.rename(aside)
            if now - aside.stat().st_mtime < UNUSED:
                aside.rename(folder)
                continue
            shutil.rmtree(aside)
        except OSError:  # another process was faster, or the folder is someone else's
            continue
        gone.append(folder.name)
    return gone


def kernel(signature: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile now with this signature, or load the machine code compiled before.

    The global cache setting of numba is put back, so that other packages' functions keep theirs.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(cache_folder())
        try:
            with interrupts_wait():
                return numba.njit(signature, cache=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            config.CACHE_DIR = before

    return compiled


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Keep Ctrl-C for the end of the block, where it is raised.

    Python cannot raise through LLVM's callbacks: it prints "Exception ignored" there and goes on. Only
    the main thread gets signals; elsewhere, and where someone else handles them outside Python, nothing
    is changed.
    """
    own = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if own else None
    if before is None or not callable(before):
        yield
        return
    came: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])  # Python's own handler raises KeyboardInterrupt


def is_warm() -> bool:
    """Whether all kernels that a first fit loads have been compiled before, from these very files.

    numba keeps machine code by the source's folder and time of change, so another copy of the package
    has its own. (Kernels of other modules are for rare models, and load when one comes.)
    """
    here = os.path.abspath(KERNELS)
    name = f"{os.path.basename(here)}_{hashlib.sha1(here.encode()).hexdigest()}"  # as numba names it
    folder = cache_root() / f"kernels-{source_hash()}" / name
    return folder.is_dir() and all(_is_kept(path, folder) for path in KERNELS.glob("*_kernels.py"))


def _is_kept(source: Path, folder: Path) -> bool:
    """Whether the folder has an index, newer than the source, of each of its kernels."""
    changed = source.stat().st_mtime
    kept = {p.name.split("-")[0] for p in folder.glob(f"{source.stem}.*.nbi") if p.stat().st_mtime >= changed}
    functions = (
        node for node in ast.walk(ast.parse(source.read_bytes())) if isinstance(node, ast.FunctionDef)
    )
    return all(f"{source.stem}.{f.name}" in kept for f in functions if any(map(_is_kernel, f.decorator_list)))


def _is_kernel(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == kernel.__name__
