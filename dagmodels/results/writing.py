"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagmodels.errors import ModelError, raise_all

Target = str | os.PathLike[str]


def check_writable(targets: Iterable[Target]) -> None:
    """Raise, for all targets at once, where a file could not be written.

    Raises
    ------
    ModelErrors
        A folder that does not exist, is no folder or may not be written to; a target that is a folder.
    """
    raise_all([p for t in targets if (p := _problem(Path(t))) is not None], "the output files")


def _problem(path: Path) -> ModelError | None:
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


def write_files(files: Mapping[Target, str | bytes]) -> None:
    """Write all files, each through a temporary neighbour that takes its place in one step.

    Whatever interrupts (an error, Ctrl-C), every target holds either its old or its new content.
    Nothing is written when one of the targets cannot be (see `check_writable`).
    """
    check_writable(files)
    pending: list[tuple[str, Path]] = []
    try:
        for target, content in files.items():
            pending.append((_temporary(Path(target), content), Path(target)))
        while pending:
            os.replace(*pending[0])
            pending.pop(0)
    except OSError as error:
        raise_all([ModelError(f"cannot write '{pending[0][1] if pending else ''}': {error}")], "saving")
    finally:
        for temporary, _ in pending:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _temporary(path: Path, content: str | bytes) -> str:
    """A file beside `path` with this content, removed again when writing it fails."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp makes private files; a result is an ordinary one
    except BaseException:
        os.unlink(name)
        raise
    return name
