"""A backend for tests of the public face: it "fits" by the mean of the first observed node."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from dagmodels.plugin import Verdict
from dagmodels.results.fit import Fit


class Mean:
    """Accepts everything unless told otherwise; its fit is the mean, with `changes` put in."""

    name = "mean"

    def __init__(self, accepts: bool = True, **changes: Any) -> None:
        self.accepts = accepts
        self.changes = changes
        self.options: Mapping[str, Any] = {}

    def judge(self, facts: Any) -> Verdict:
        because = ("it takes anything",) if self.accepts else ("'y' is not to its taste",)
        return Verdict(self.name, accepts=self.accepts, because=because, method="sample mean")

    def fit(self, problem: Any, plan: Any, options: Mapping[str, Any]) -> Fit:
        self.options = options
        observed = next(n for n, node in problem.graph.nodes.items() if node.observed)
        values = problem.values[observed][problem.observed[observed]]
        fields: dict[str, Any] = {
            "graph": problem.graph,
            "backend": self.name,
            "method": "sample mean",
            "exact": False,
            "converged": True,
            "message": "certified",
            "estimate_columns": {
                "name": ["m", "tau"],
                "estimate": [float(values.mean()), 0.0],
                "se": [float(values.std() / np.sqrt(values.size)), float("nan")],
                "what": ["profiled", "maximised"],
            },
            "log_likelihood": -10.0,
            "n_parameters": 2,
            "n_observations": int(values.size),
            "diagnostics": {"gradient_norm": float("inf"), "evaluations": 1},
            "boundary": ("tau",),
            "plan": plan,
        }
        return Fit(**{**fields, **self.changes})


def install(monkeypatch: pytest.MonkeyPatch, *backends: Any) -> None:
    """Make these the only backends of this process."""
    table = MappingProxyType({b.name: b for b in backends})
    # `plan` first: imported after the change of `registry` it would keep the change for ever
    monkeypatch.setattr("dagmodels.dispatch.plan.backends", lambda: table)
    monkeypatch.setattr("dagmodels.dispatch.registry.backends", lambda: table)
