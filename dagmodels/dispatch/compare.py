"""Every backend asked for the same model: their answers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dagmodels.dispatch.registry import backends
from dagmodels.errors import FitError, ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.comparison import Comparison
    from dagmodels.results.fit import Fit

Methods = str | Iterable[str] | Mapping[str, Mapping[str, Any]]


class Fitted(Protocol):
    """What has the verbs of a graph."""

    @property
    def name(self) -> str: ...
    def data_or_file(self, data: Any = None) -> Any: ...
    def plan(self, data: Any = None, method: str = "auto", **options: Any) -> Plan: ...
    def fit_quietly(
        self, data: Any = None, method: str = "auto", seed: int = 1, check: bool = True, **options: Any
    ) -> Fit: ...


def compare_backends(
    graph: Fitted, data: Any = None, methods: Methods | None = None, seed: int = 1, check: bool = True
) -> Comparison:
    """Fit a graph by several backends, and show their numbers under the same names; print it.

    Parameters
    ----------
    graph : a model. data : as for `fit`.
    methods : names of backends, None for all that are installed; or options by label, where one backend may
        stand twice: `{"laplace": {}, "means": {"method": "laplace", "posterior": True}, "gibbs": {"draws":
        4000}}`. A label without `method` is the name of its backend.
    seed, check : as for `fit`.

    Returns
    -------
    A `Comparison`: `table`, `plot(path)`, `refusals` (why a backend gave no answer), `[label]` for a fit.

    Raises
    ------
    ModelErrors : data that do not fit the model; a backend that is not installed.
    """
    from dagmodels.results.comparison import Comparison

    asked = _asked(methods)
    given = graph.data_or_file(data)
    fits: dict[str, Fit] = {}
    refusals: dict[str, str] = {}
    for label, options in asked.items():
        method = str(options.get("method", label))
        others = {k: v for k, v in options.items() if k != "method"}
        plan = graph.plan(given, method, **others)
        if plan.backend is None:
            verdict = next(v for v in plan.verdicts if v.backend == method)
            if methods is not None or not verdict.by_name:
                refusals[label] = "; ".join(verdict.because) or "it gives no reason"
            continue
        try:
            fits[label] = graph.fit_quietly(data, method, seed, check, **others)
        except FitError as error:
            refusals[label] = str(error)
    return Comparison.of(graph.name, fits, refusals)


def _asked(methods: Methods | None) -> Mapping[str, Mapping[str, Any]]:
    """Options by label."""
    installed = list(backends())
    if methods is None:
        return {name: {} for name in installed}
    names = [methods] if isinstance(methods, str) else methods
    found = dict(names) if isinstance(names, Mapping) else {n: dict[str, Any]() for n in names}
    faults: list[ModelError] = []
    for label, options in found.items():
        name = str(options.get("method", label))
        if name not in installed:
            hint = f"installed are {', '.join(installed)}; a label of your own needs method="
            faults.append(ModelError(f"no backend named '{name}' is installed", hint=hint))
    raise_all(faults, "the comparison of backends")
    return found
