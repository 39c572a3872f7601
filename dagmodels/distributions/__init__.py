"""Distribution families by PyMC's names: `family("Normal")`, `families()`.

Each family is one file with a `FAMILY`; the file's name is the family's in lower case, words parted
by underscores.  The registry finds the files by itself, so a new family is one new file and its
entry in the test tables.  Wrappers (`WRAPPERS`) take families and give families.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.errors import ModelError

WRAPPERS = ("Truncated", "Censored", "Ordered", "Mixture")
"""What takes a distribution; see truncated.py, censored.py, ordered.py and mixture.py."""

_NO_FAMILIES = {"supports", "truncated", "censored", "ordered", "mixture"}


@cache
def _modules() -> Mapping[str, str]:
    """Module names by family name in lower case without underscores."""
    import pkgutil

    names = (m.name for m in pkgutil.iter_modules(__path__))
    return {n.replace("_", ""): n for n in names if not n.startswith("_") and n not in _NO_FAMILIES}


@cache
def _load(module: str) -> Family:
    from importlib import import_module

    return import_module(f"{__name__}.{module}").FAMILY


@cache
def family(name: str) -> Family:
    """The family of that name.

    Raises `ModelError` with a suggestion when there is none; case counts.
    """
    module = _modules().get(name.lower())
    found = _load(module) if module is not None else None
    if found is not None and found.name == name:
        return found
    if found is not None:
        hint = f"did you mean '{found.name}'?"
    else:
        known = {n.lower(): n for n in (*families(), *WRAPPERS)}
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
        hint = f"did you mean '{known[near[0]]}'?" if near else "known: " + ", ".join(families())
    if name in WRAPPERS:
        raise ModelError(
            f"'{name}' wraps a distribution and is no family by itself", hint=f"{name}(Normal(...))"
        )
    raise ModelError(f"no distribution is called '{name}'", hint=hint)


@cache
def families() -> Mapping[str, Family]:
    """Every family by name, in alphabetical order."""
    loaded = sorted((_load(m) for m in _modules().values()), key=lambda found: found.name)
    return MappingProxyType({found.name: found for found in loaded})


__all__ = ["WRAPPERS", "Argument", "Family", "Support", "families", "family"]
