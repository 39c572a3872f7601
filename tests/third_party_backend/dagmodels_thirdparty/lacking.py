"""An object that forgot to be a backend: it judges and cannot fit."""

from __future__ import annotations

from typing import Any


class Lacking:
    """Has a name and a judge, no fit."""

    name = "lacking"

    def judge(self, facts: Any) -> None:
        """Answers nothing."""


backend = Lacking()
