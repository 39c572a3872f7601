"""How everything here is timed: CPU seconds of one thread, medians, caches warm unless said otherwise."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    value, bound : in `unit`; a bound of None asks for nothing.
    peer : what other programs need for the same, measured on the same kind of machine.
    """

    case: str
    value: float
    bound: float | None = None
    unit: str = "s"
    peer: str = ""

    @property
    def state(self) -> str:
        """Whether the bound holds."""
        if self.bound is None:
            return ""
        return "ok" if self.value <= self.bound else "OVER"


def median_cpu(call: Callable[[], Any], repeats: int = 15, warm: int = 2) -> float:
    """Median CPU seconds of this process in a call, after `warm` calls that do not count."""
    for _ in range(warm):
        call()
    times: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def side_by_side(calls: list[Callable[[], Any]], repeats: int, warm: int) -> list[float]:
    """Median CPU seconds of calls made in turn, so that a busy machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(warm + repeats):
        for place, call in enumerate(calls):
            began = time.process_time()
            call()
            if turn >= warm:
                times[place].append(time.process_time() - began)
    return [statistics.median(t) for t in times]


def child_cpu(arguments: list[str], repeats: int = 5, env: Mapping[str, str] | None = None) -> float:
    """Median CPU seconds (user and system) of a Python process of its own, its children included.

    Raises RuntimeError with the process's complaint when it fails.
    """
    times: list[float] = []
    for _ in range(repeats):
        before = _children()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")
        times.append(_children() - before)
    return statistics.median(times)


def peak_of(script: str) -> float:
    """Peak resident memory in GiB of a Python process of its own; RuntimeError when it fails."""
    told = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; {told}"],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return int(done.stdout.split()[-1]) / 2**20


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    cells = [("case", "CPU", "bound", "", "others")]
    cells += [(r.case, _told(r.value, r.unit), _told(r.bound, r.unit), r.state, r.peer) for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:<{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _told(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit != "s":
        return f"{value:.3g} {unit}"
    if value < 1e-3:
        return f"{value * 1e6:.0f} us"
    return f"{value * 1e3:.1f} ms" if value < 0.1 else f"{value:.2f} s"
