"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagmodels.errors import ModelError, raise_all

Target = str | os.PathLike[str]

_OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


def check_writable(targets: Iterable[Target]) -> None:
    """Raise, for all targets at once, where a file could not be written.

    Raises
    ------
    ModelErrors
        A folder that does not exist, is no folder or may not be written to; a target that is a folder.
    """
    raise_all([p for t in targets if (p := _problem(Path(t))) is not None], "the output files")


def _problem(path: Path) -> ModelError | None:
    if _is_stream(path):
        if os.access(path, os.W_OK):
            return None
        return ModelError(f"cannot write '{path}': it is not writable", hint="choose another file")
    path = _real(path)
    folder = path.parent
    if path.is_dir():
        return ModelError(f"cannot write '{path}': it is a folder", hint="name a file in it")
    if not folder.exists():
        return ModelError(f"cannot write '{path}': there is no folder '{folder}'", hint="create it first")
    if not folder.is_dir():
        return ModelError(f"cannot write '{path}': '{folder}' is no folder", hint="choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        return ModelError(
            f"cannot write '{path}': the folder '{folder}' is not writable",
            hint="choose another folder or change its permissions",
        )
    return None


def _real(path: Path) -> Path:
    """The file that a symbolic link leads to, so that the link stays one."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _is_stream(path: Path) -> bool:
    """A device, a pipe or an open file of the process: it is written to, not replaced."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or os.path.abspath(path).startswith(_OPEN_FILES)


def write_files(files: Mapping[Target, str | bytes]) -> None:
    """Write all files, each through a temporary neighbour that takes its place in one step.

    Whatever interrupts (an error, Ctrl-C), every target holds either its old or its new content.
    Nothing is written when one of the targets cannot be (see `check_writable`). A symbolic link stays:
    the file that it leads to is replaced. Devices and pipes are written to directly, after all files.
    """
    check_writable(files)
    pending: list[tuple[str, Path]] = []
    streams: list[tuple[Path, bytes]] = []
    at: Path | None = None
    try:
        for target, content in files.items():
            at, raw = Path(target), content.encode("utf-8") if isinstance(content, str) else content
            if _is_stream(at):
                streams.append((at, raw))
            else:
                real = _real(at)
                pending.append((_temporary(real, raw), real))
        while pending:
            at = pending[0][1]
            os.replace(*pending[0])
            pending.pop(0)
        for at, raw in streams:
            with os.fdopen(os.open(at, os.O_WRONLY | os.O_APPEND), "wb") as stream:
                stream.write(raw)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "choose another place, or free some space"
        raise_all([ModelError(f"cannot write '{at}': {reason}", hint=hint)], "the output files")
    finally:
        for temporary, _ in pending:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _temporary(path: Path, content: bytes) -> str:
    """A file beside `path` with this content, removed again when writing it fails.

    It takes the permissions of the file that it is to replace; a new file gets the ordinary ones.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, _mode(path))  # mkstemp makes private files
    except BaseException:
        os.unlink(name)
        raise
    return name


def _mode(path: Path) -> int:
    if path.is_file():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
