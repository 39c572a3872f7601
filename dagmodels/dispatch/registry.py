"""The backends that are installed, found through the entry-point group `dagmodels.backends`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from dagmodels.errors import ModelError, PluginWarning, raise_all
from dagmodels.plugin import Backend

GROUP = "dagmodels.backends"


@cache
def backends() -> Mapping[str, Backend]:
    """Every usable backend by name, in alphabetical order; looked up once per process.

    A plugin that cannot be imported, is no backend or bears a name already taken warns with
    `PluginWarning` and is left out: it never stops a fit by another backend.
    """
    found: dict[str, Backend] = {}
    for entry in _sorted(entry_points(group=GROUP)):
        backend = _load(entry)
        if backend is None:
            continue
        if backend.name in found:
            _warn(
                f"two backends are named '{backend.name}'; the one from {_origin(entry)} is left out "
                "(uninstall one of the packages)"
            )
            continue
        found[backend.name] = backend
    return MappingProxyType({name: found[name] for name in sorted(found)})


def answering(name: str) -> Callable[..., Any]:
    """The `query` of a backend that answers questions to networks.

    Raises ModelErrors where there is none, with those that there are.
    """
    found = {n: b.query for n, b in backends().items() if callable(getattr(b, "query", None))}  # type: ignore[attr-defined]
    if name not in found:
        hint = f"there are {', '.join(['auto', 'draws', *found])}"
        raise_all(
            [ModelError(f"no backend '{name}' answers questions", hint=hint)], "a question to a network"
        )
    return found[name]


def reset() -> None:
    """Forget what was found, so that the next call looks again (after an installation, in tests)."""
    backends.cache_clear()


def _sorted(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """One entry per (name, value), the package's own first, so that no plugin can take their names.

    The same distribution may be seen twice, once for each place that holds its metadata.
    """
    distinct = {(e.name, e.value): e for e in entries}
    return sorted(distinct.values(), key=lambda e: (not e.value.startswith("dagmodels."), e.name, e.value))


def _origin(entry: EntryPoint) -> str:
    """The distribution and object that an entry names."""
    owner = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"{owner} ({entry.value})"


def _load(entry: EntryPoint) -> Backend | None:
    try:
        candidate: object = entry.load()
        if isinstance(candidate, type):
            candidate = candidate()
    except Exception as error:  # whatever a foreign module raises while it is imported
        reason = f"{type(error).__name__}: {error}"
        _warn(f"backend '{entry.name}' of {_origin(entry)} could not be loaded and is left out: {reason}")
        return None
    lacking = [m for m in ("judge", "fit") if not callable(getattr(candidate, m, None))]
    if not isinstance(getattr(candidate, "name", None), str):
        lacking.insert(0, "name")
    if lacking:
        _warn(
            f"'{entry.name}' of {_origin(entry)} is no backend and is left out: it lacks "
            f"{' and '.join(lacking)} (see dagmodels.plugin.Backend)"
        )
        return None
    assert isinstance(candidate, Backend)
    return candidate


def _warn(message: str) -> None:
    warnings.warn(message, PluginWarning, stacklevel=4)
