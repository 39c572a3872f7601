"""What a run's draws hang on, by name, so that two runs can be told apart in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dagmodels.backends.gibbs.recipe import Recipe

OPTIONS = ("seed", "chains", "warmup", "thin", "monitor", "target", "collapse", "way")


def fingerprint(recipe: Recipe) -> dict[str, Any]:
    """By part (the model's text, each data array, each plate, each option): a value, or a digest of one."""
    problem = recipe.problem
    found: dict[str, Any] = {
        "version of dagmodels": version("dagmodels"),
        "version of numpy": np.__version__,
        "the model": str(problem.graph),
    }
    for name in sorted(problem.values):
        found[f"the data of '{name}'"] = digest(problem.values[name], problem.observed[name])
    for name in sorted(problem.plates):
        plate = problem.plates[name]
        codes = [plate.parents[p] for p in sorted(plate.parents)]
        order = () if plate.order is None else (plate.order,)
        found[f"the elements of plate '{name}'"] = digest(*codes, *order, text=repr(plate.levels))
    for name in OPTIONS:
        value = getattr(recipe, name)
        found[name] = list(value) if isinstance(value, tuple) else value
    inits = [{n: np.asarray(v, dtype=float) for n, v in sorted(own.items())} for own in recipe.inits]
    found["inits"] = digest(*(v for own in inits for v in own.values()), text=repr([list(o) for o in inits]))
    return found


def digest(*arrays: ArrayLike, text: str = "") -> str:
    """Of numbers, shapes and text; alike on every machine of one byte order."""
    found = hashlib.sha256(text.encode())
    for array in arrays:
        value = np.ascontiguousarray(array)
        found.update(f"{value.dtype}{value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()[:16]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Which parts differ, with both values where they are short."""
    told = list[str]()
    for name in dict.fromkeys((*there, *here)):
        a, b = there.get(name), here.get(name)
        if a != b:
            short = name in OPTIONS or name.startswith("version")
            told.append(f"{name} ({a!r} there, {b!r} here)" if short else name)
    return told


__all__ = ["differences", "digest", "fingerprint"]
