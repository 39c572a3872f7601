"""Child processes that take Ctrl-C, also where the test run does not (in the background of a shell)."""

from __future__ import annotations

import signal


def interruptible() -> None:
    """For `preexec_fn`: Python's own handling of SIGINT is not inherited where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
