"""Hierarchical processes as directed graphs of conditional distributions.

    import dagmodels as dm

    g = dm.read("radon.dag")        # or build it: dm.Graph("radon"), g.plate(...), g.node(...)
    print(g.plan(df))
    fit = g.fit(df)
    print(fit.summary())

Names are loaded when they are first used: importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.api import Graph, read, write
    from dagmodels.data.partitions import partitions
    from dagmodels.dispatch.compare import compare_backends
    from dagmodels.dispatch.design import design
    from dagmodels.dispatch.modes import mode_report
    from dagmodels.errors import (
        DagmodelsError,
        FitError,
        FitWarning,
        ModelError,
        ModelErrors,
        PluginWarning,
    )
    from dagmodels.forms.conditionals.registry import register_rule
    from dagmodels.graph.builder import First
    from dagmodels.graph.expression import equal, unequal
    from dagmodels.graph.functions import tree as functions
    from dagmodels.measurement import deming, second_opinions, york
    from dagmodels.mixed import anova, glmer, lmer
    from dagmodels.results.draws.elpd import loo_compare
    from dagmodels.results.pooling import pool
    from dagmodels.simulate.calibration import calibration
    from dagmodels.simulate.check_rules import check_rules
    from dagmodels.structural import cfa, get_cov, growth, invariance, lavaan, sem

__version__ = "0.1.0"

_HOMES = {
    "Graph": "dagmodels.api",
    "read": "dagmodels.api",
    "write": "dagmodels.api",
    "DagmodelsError": "dagmodels.errors",
    "FitError": "dagmodels.errors",
    "FitWarning": "dagmodels.errors",
    "ModelError": "dagmodels.errors",
    "ModelErrors": "dagmodels.errors",
    "PluginWarning": "dagmodels.errors",
    "First": "dagmodels.graph.builder",
    "equal": "dagmodels.graph.expression",
    "unequal": "dagmodels.graph.expression",
    "functions": "dagmodels.graph.functions:tree",
    "deming": "dagmodels.measurement",
    "york": "dagmodels.measurement",
    "second_opinions": "dagmodels.measurement",
    "anova": "dagmodels.mixed",
    "loo_compare": "dagmodels.results.draws.elpd",
    "pool": "dagmodels.results.pooling",
    "glmer": "dagmodels.mixed",
    "lmer": "dagmodels.mixed",
    "calibration": "dagmodels.simulate.calibration",
    "check_rules": "dagmodels.simulate.check_rules",
    "register_rule": "dagmodels.forms.conditionals.registry",
    "partitions": "dagmodels.data.partitions",
    "cfa": "dagmodels.structural",
    "mode_report": "dagmodels.dispatch.modes",
    "compare_backends": "dagmodels.dispatch.compare",
    "design": "dagmodels.dispatch.design",
    "get_cov": "dagmodels.structural",
    "growth": "dagmodels.structural",
    "invariance": "dagmodels.structural",
    "lavaan": "dagmodels.structural",
    "sem": "dagmodels.structural",
}

__all__ = [
    "DagmodelsError",
    "First",
    "FitError",
    "FitWarning",
    "Graph",
    "ModelError",
    "ModelErrors",
    "PluginWarning",
    "anova",
    "calibration",
    "cfa",
    "check_rules",
    "compare_backends",
    "deming",
    "design",
    "equal",
    "functions",
    "get_cov",
    "glmer",
    "growth",
    "invariance",
    "lavaan",
    "lmer",
    "loo_compare",
    "mode_report",
    "partitions",
    "pool",
    "read",
    "register_rule",
    "second_opinions",
    "sem",
    "unequal",
    "write",
    "york",
]


def __getattr__(name: str) -> Any:
    """Public names, and every distribution by its name: `dm.Normal("a + b*x", "sigma")`."""
    if name in _HOMES:
        module, _, attribute = _HOMES[name].partition(":")
        found = getattr(import_module(module), attribute or name)
    else:
        found = _distribution(name)
    globals()[name] = found
    return found


def _distribution(name: str) -> Any:
    if name[:1].isupper():
        from dagmodels.graph import constructors

        if name in constructors.distribution_names():
            return constructors.constructor(name)
    raise AttributeError(f"module 'dagmodels' has no attribute '{name}'")


def __dir__() -> list[str]:
    from dagmodels.graph.constructors import distribution_names

    return sorted({*__all__, "__version__", *distribution_names()})
