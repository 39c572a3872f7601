"""Compiled kernels: explicit signatures, compiled once per installation, cached by source.

numba keeps a caller's machine code when only its callee's file changed.  The cache folder therefore
carries a hash of all kernel sources (and of the versions that compile them): any change starts afresh.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import config

KERNELS = Path(__file__).parent


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
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:  # a read-only home: compile into the temporary folder instead
        pass
    return Path(tempfile.mkdtemp(prefix="dagmodels-kernels-"))


def kernel(signature: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile now with this signature, or load the machine code compiled before.

    The global cache setting of numba is put back, so that other packages' functions keep theirs.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(cache_folder())
        try:
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            config.CACHE_DIR = before

    return compiled


def is_warm() -> bool:
    """Whether all kernels for the present sources have been compiled before."""
    folder = cache_root() / f"kernels-{source_hash()}"
    if not folder.is_dir():
        return False
    compiled = {index.name.split(".")[0] for index in folder.rglob("*.nbi")}
    modules = (path.stem for path in KERNELS.glob("*_kernels.py"))
    return all(any(name.startswith(module) for name in compiled) for module in modules)
