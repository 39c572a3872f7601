"""The option `executor=`: where starts run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from dagmodels.errors import FitError


def executor_of(options: Mapping[str, Any]) -> Executor | None:
    """The executor asked for.

    Raises `FitError` for what is none.
    """
    executor = options.get("executor")
    if executor is not None and not callable(getattr(executor, "map", None)):
        raise FitError("executor= is not an executor of concurrent.futures")
    return executor
