"""How much memory a process may still take."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that can be had without swapping: the machine's, or what is left of a container's share.

    None where the system does not tell (only Linux does).
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    return min(found, *_container())


def _container() -> tuple[int, ...]:
    """What a control group (version 2) leaves; the largest number where there is no limit."""
    none = (2**63,)
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return none if limit == "max" else (int(limit) - used + int(statistics.get("inactive_file", 0)),)
    except (OSError, ValueError):  # no control groups here, or of version 1
        return none


def size_text(count: int) -> str:
    """Bytes in the unit that suits them."""
    for power, unit in ((6, "EiB"), (5, "PiB"), (4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1 << (10 * power):
            return f"{count / (1 << (10 * power)):.3g} {unit}"
    return f"{count} bytes"


__all__ = ["available", "size_text"]
