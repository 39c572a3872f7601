"""A backend whose judge raises."""

from __future__ import annotations

from typing import Any


class Failing:
    """Raises when asked."""

    name = "failing"

    def judge(self, facts: Any) -> None:
        """Raises ZeroDivisionError."""
        raise ZeroDivisionError("a fault in the judge")

    def fit(self, problem: Any, plan: Any, options: Any) -> None:
        """Never reached."""


backend = Failing()
