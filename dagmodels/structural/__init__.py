"""lavaan's front door: `cfa`, `sem`, `growth`, `lavaan`, and the graph that a lavaan model makes.

The text becomes a graph (`readers.lavaan`), the graph is fitted from the moments of its rows as any other,
and the fit comes back under lavaan's names (`results.sem`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagmodels.data.covariances import get_cov
from dagmodels.errors import ModelError, raise_all
from dagmodels.structural.model import StructuralModel, ordered_names, read_file, read_model

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit
    from dagmodels.results.sem.ladder import Invariance

FITTING = ("seed", "check", "method")
DRAWING = (
    "priors", "chains", "draws", "warmup", "thin", "monitor", "inits", "target_accept", "executor",
    "progress", "until", "most", "checkpoint",
)  # fmt: skip


def cfa(model: str, data: Any = None, **options: Any) -> SemFit:
    """Fit a confirmatory factor model, by lavaan's defaults for `cfa`; arguments as for `sem`."""
    return _model(model, "cfa", data, options)


def sem(model: str, data: Any = None, **options: Any) -> SemFit:
    """Fit a structural equation model written in lavaan's syntax, by lavaan's defaults for `sem`.

    Parameters
    ----------
    model : lavaan's text; docs/lavaan.md has the syntax.
    data : any frame, a dict of columns, or the path of a data file.
    options : lavaan's arguments, dots as underscores: `std_lv`, `meanstructure`, `orthogonal`, `fixed_x`,
        `group` (a column's name), `group_equal`, `group_partial`, `missing` ("listwise" or "fiml"),
        `information` ("expected" or "observed"), `estimator` ("ML", "MLM", "MLMV", "MLMVS", "MLR"; "ULS",
        "GLS", "WLS", "DWLS", "WLSM", "WLSMV", "WLSMVS", "ULSM", "ULSMV", "ULSMVS"), `ordered` (names, or
        True), `parameterization` ("delta" or "theta"),
        `se` ("standard", "robust", "robust.sem", "robust.huber.white", "robust.cluster"), `cluster` (a
        column's name), `test` ("standard", "satorra.bentler", "scaled.shifted", "mean.var.adjusted",
        "yuan.bentler", "yuan.bentler.mplus"), `auto_fix_first`, ...;
        `seed`, `check` and what `Graph.fit` takes. `method="gibbs"` draws from the posterior: `priors` by
        kind or parameter (blavaan's defaults), `chains`, `draws`, `warmup`, `monitor`, `until`, ...

    Raises
    ------
    ModelErrors : all faults of the text, or of the data.

    Warns
    -----
    FitWarning : the fit did not converge, or is not admissible (a negative variance).
    """
    return _model(model, "sem", data, options)


def growth(model: str, data: Any = None, **options: Any) -> SemFit:
    """Fit a growth curve model, by lavaan's defaults for `growth`; arguments as for `sem`."""
    return _model(model, "growth", data, options)


def lavaan(model: str, data: Any = None, **options: Any) -> SemFit:
    """Fit a model without any default: what the text does not say is not in it; arguments as for `sem`."""
    return _model(model, "lavaan", data, options)


def invariance(
    model: str, data: Any, *, group: str, steps: Sequence[str] | None = None, model_type: str = "cfa",
    **options: Any,
) -> Invariance:  # fmt: skip
    """Is the measurement the same in all groups? Fit the ladder of models and compare them in one table.

    Parameters
    ----------
    model, data, options : as of `cfa`; `group_partial` releases single parameters in all steps.
    group : name of the grouping column.
    steps : some of "configural" (the same form), "metric" (equal loadings), "scalar" (and intercepts) and
        "strict" (and residual variances); None for all. With ordered variables "scalar" holds loadings and
        thresholds together, and there is no "metric"; the theta parameterization is taken.
    model_type : "cfa", "sem" or "growth", whose defaults hold.

    Returns
    -------
    `print` shows the steps with chi-squares, their differences, CFI, RMSEA and SRMR; `.table` is that as a
    frame, `["metric"]` a step's fit, `.score_tests("scalar")` what each of its constraints costs.
    """
    from dagmodels.results.sem.ladder import Invariance, ladder

    if "group_equal" in options:
        hint = "each step says what is equal; group_partial=['x3~1'] releases single parameters"
        raise_all([ModelError("group_equal has no place here", hint=hint)], "the invariance ladder")
    ordered = bool(ordered_names(model, data, options.get("ordered")))
    if ordered:
        options = {"parameterization": "theta", **options}
    held = ladder(steps, ordered=ordered, delta=options.get("parameterization") == "delta")
    fits = {}
    for step, equal in held.items():
        own = dict(options)
        if not equal:
            own.pop("group_partial", None)
        own.update(group=group, group_equal=list(equal))
        fits[step] = _model(model, model_type, data, own)
        if len(fits[step].naming.groups) < 2:
            told = f"the column '{group}' has one group only"
            raise_all([ModelError(told, hint="give data of several groups")], "the invariance ladder")
    return Invariance(fits, held)


def _model(model: str, kind: str, data: Any, options: Mapping[str, Any]) -> SemFit:
    from dagmodels.results.sem.bootstrap_errors import bootstrap_options

    resampling, options = bootstrap_options(options, options.get("seed", 1))
    drawing = options.get("method") == "gibbs"
    if drawing and resampling is not None:
        hint = "posterior draws have standard deviations and limits of their own"
        raise_all([ModelError("bootstraps go with estimates, not draws", hint=hint)], "the options")
    own = (*FITTING, *DRAWING) if drawing else FITTING
    fitting = {k: v for k, v in options.items() if k in own}
    rest = {k: v for k, v in options.items() if k not in fitting}
    if data is None and rest.get("sample_cov") is None:
        hint = "pass a frame: dm.sem(text, data), or sample_cov and sample_nobs"
        raise_all([ModelError("there are no data", hint=hint)], "the model")
    fit: SemFit = read_model(model, data, model_type=kind, **rest).fit(**fitting)  # type: ignore[assignment]
    return fit if resampling is None else resampling.applied(fit)


__all__ = [
    "StructuralModel",
    "cfa",
    "get_cov",
    "growth",
    "invariance",
    "lavaan",
    "read_file",
    "read_model",
    "sem",
]
