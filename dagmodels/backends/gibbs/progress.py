"""How a run gets on: a small value about once a second, as a line on the terminal or for a function."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.stored import diagnosed

EVERY = 1.0  # seconds between two reports
SHARE = 0.1  # of the run's time that reports may take


@dataclass(frozen=True, slots=True)
class Progress:
    """A run so far.

    draws, of : kept of each chain, and wanted in this round. chains : how many. seconds : of the clock.
    ess : smallest bulk ESS, rhat : largest R-hat of the monitored quantities; nan while there are too few
    draws. divergences : transitions that diverged.
    """

    draws: int
    of: int
    chains: int
    seconds: float
    ess: float
    rhat: float
    divergences: int

    def __str__(self) -> str:
        """One line."""
        told = f"gibbs: {self.draws:,} of {self.of:,} draws in {self.chains} chains, {self.seconds:.0f} s"
        if np.isfinite(self.ess):
            told += f", ESS {self.ess:.0f} or more"
        if np.isfinite(self.rhat):
            told += f", R-hat {self.rhat:.3f} or less"
        return told + (f", {self.divergences} divergences" if self.divergences else "")


Tell = Callable[[Progress], object]


def teller(asked: bool | Tell | None) -> Tell | None:
    """What takes the reports: None for nobody; asked None: lines where standard error is a terminal."""
    if callable(asked):
        return asked
    return _line if (sys.stderr.isatty() if asked is None else asked) else None


def _line(progress: Progress) -> None:
    print(progress, file=sys.stderr, flush=True)


@dataclass
class Reporter:
    """Says when the next report is due. The one thing of a run that remembers the clock."""

    tell: Tell | None
    began: float = field(default_factory=time.monotonic)
    due: float = field(init=False)

    def __post_init__(self) -> None:
        self.due = self.began + EVERY

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began

    def look(self, sofar: Callable[[], Draws | None], done: int, of: int, chains: int) -> None:
        """Report, if it is time. sofar : gives the draws, None where there are none yet."""
        if self.tell is None or time.monotonic() < self.due:
            return
        at = time.monotonic()
        self.tell(report(sofar(), done, of, chains, self.seconds))
        spent = time.monotonic() - at
        self.due = at + max(EVERY, spent / SHARE)


def report(draws: Draws | None, done: int, of: int, chains: int, seconds: float) -> Progress:
    """The figures of the draws so far."""
    if draws is None:
        return Progress(done, of, chains, seconds, np.nan, np.nan, 0)
    found = diagnosed(draws)[1]
    moving = found.sd > 0.0
    ess, rhat = (v[moving & np.isfinite(v)] for v in (found.ess_bulk, found.rhat))
    diverged = int(np.sum(np.asarray(draws.statistics.get("diverging", 0))))
    smallest = float(ess.min()) if ess.size else np.nan
    return Progress(done, of, chains, seconds, smallest, float(rhat.max()) if rhat.size else np.nan, diverged)
