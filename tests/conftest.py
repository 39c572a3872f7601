"""Every search of EM in every test is watched: its log density never falls, from the start to the end."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import numpy as np
import pytest

SHARE = 1e-9  # of the log density: below it a fall is rounding


class Searches:
    """What searches of EM handed in: (form, log densities, slack). `fell` : those that lost ground."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[float, ...]]] = []
        self.fell: list[str] = []

    def add(self, form: str, values: tuple[float, ...], slack: float) -> None:
        """Judge one search; nan never rises."""
        self.seen.append((form, values))
        path = np.array(values)
        with np.errstate(invalid="ignore"):
            steps = np.diff(path)
            steps[path[:-1] == -np.inf] = 0.0  # anything is above nothing
            bad = ~(steps >= -SHARE * np.maximum(np.abs(path[:-1]), 1.0) - slack)
        if bad.any() or np.isnan(path).any():
            self.fell.append(f"{form}: {path[:-1][bad]} -> {path[1:][bad]}")


@pytest.fixture(scope="session", autouse=True)
def all_searches() -> Iterator[Searches]:
    """Listens at the place where all searches of EM hand in what they reached."""
    trace = importlib.import_module("dagmodels.backends.em.trace")
    found, rising = Searches(), trace.rising

    def listening(form, values, slack=0.0):
        path = tuple(values)
        found.add(form, path, slack)
        return rising(form, path, slack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "rising", listening)
        yield found


@pytest.fixture(autouse=True)
def searches(all_searches: Searches) -> Iterator[Searches]:
    """Those of one test, which fails if one of them fell."""
    all_searches.seen.clear()
    yield all_searches
    fell = list(all_searches.fell)
    all_searches.fell.clear()
    assert not fell, "the log density of a search of EM fell: " + "; ".join(fell)
