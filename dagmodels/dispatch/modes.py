"""Three estimators of one hierarchical model: joint mode, marginal mode and posterior mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagmodels.dispatch.compare import compare_backends
from dagmodels.errors import FitError

if TYPE_CHECKING:
    from dagmodels.results.modes.report import ModeReport


def mode_report(graph: Any, data: Any = None, seed: int = 1, **options: Any) -> ModeReport:
    """Joint mode, marginal mode and posterior mean of every unknown, and why the first degenerates; print it.

    Parameters
    ----------
    graph : a model whose unknowns are continuous. data, seed : as for `fit`.
    options : of the backend that draws (`draws=4000`).

    Returns
    -------
    A `ModeReport`: `table`, `walks` (the joint density along each scale of latents), `plot(path)`.

    Raises
    ------
    FitError : no backend gives the marginal mode or the posterior means; a joint density without gradient.
    """
    from dagmodels.bind.bind import bind
    from dagmodels.results.modes.report import mode_report_of

    if data is not None and hasattr(graph, "with_data"):
        graph, data = graph.with_data(data), None
    given = graph.data_or_file(data)
    asked = {
        "marginal": {"method": "laplace"},
        "gibbs": {"method": "gibbs", **options},
        "laplace": {"method": "laplace", "posterior": True},
    }
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for label in asked:
        if label == "laplace" and "gibbs" in found:
            continue
        compared = compare_backends(graph, given, {label: asked[label]}, seed)
        found |= {a.label: a for a in compared.answers}
        refused |= compared.refusals
    mean = found.get("gibbs", found.get("laplace"))
    if "marginal" not in found:
        raise FitError(f"'{graph.name}' has no marginal mode to show: {refused['marginal']}")
    if mean is None:
        raise FitError(f"'{graph.name}' has no posterior means to show: {refused['gibbs']}")
    return mode_report_of(bind(graph.dag, given), found["marginal"], mean)
