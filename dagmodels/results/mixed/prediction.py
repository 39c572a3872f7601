"""Expected responses of rows, with standard errors and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.conditional import Chosen, refuse_without
from dagmodels.results.mixed.expected import limits_of_mean, probabilities, slopes
from dagmodels.results.mixed.structure import scales

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Rows

Floats = NDArray[np.float64]
INTERVALS = ("confidence", "prediction")
ARGUMENTS = ("new", "re_form", "allow_new_levels", "type", "se_fit", "interval", "level")


def checked_rows(fit: MixedFit, new: Any, chosen: Chosen, allow_new_levels: bool) -> Rows:
    """The design of new rows (None: of those fitted); new levels of chosen terms are refused."""
    used = [i for i, effects in enumerate(chosen) if effects]
    rows = fit.rows if new is None else fit.design.replay(new, used)
    if rows.new and not allow_new_levels:
        _refuse_new(rows.new)
    return rows


def expected(fit: MixedFit, rows: Rows, chosen: Chosen, type: str) -> Floats:
    """Expected values (or what `type` names) of rows."""
    if type in ("link", "zlink"):
        return fit._linear_predictor(rows, chosen, "cond" if type == "link" else "zi")
    if fit.naming.levels:
        cut = np.array([r.estimate for r in fit.components if r.kind == "threshold"])
        found = probabilities(fit.naming.link, fit._linear_predictor(rows, chosen), cut)
        return np.array(fit.naming.levels)[found.argmax(axis=1)] if type == "class" else found
    law = fit._law(rows, chosen)
    match type:
        case "conditional":
            return law.conditional()
        case "zprob":
            return np.broadcast_to(1.0 - law.positive, rows.n)
        case "disp":
            return np.broadcast_to(law.spread, rows.n)
        case _:
            return law.expected()


def with_errors(
    fit: MixedFit, rows: Rows, chosen: Chosen, new: Any, type: str, se_fit: bool, interval: str | None,
    level: float,
) -> DataFrame:  # fmt: skip
    """A frame with fit, and se_fit, lower and upper where asked for.

    Limits are quantiles of the Normal law about the linear predictor, through the inverse link; standard
    errors of means are those of the predictor times the slope of the mean in it.
    """
    from pandas import DataFrame

    eta = fit._linear_predictor(rows, chosen)
    variance = fit.conditional.variance(rows, chosen)
    se, link = np.sqrt(np.maximum(variance, 0.0)), fit.naming.link
    response = type == "response"
    found = {"fit": expected(fit, rows, chosen, type)}
    if se_fit:
        found["se_fit"] = se * np.abs(slopes(link, eta)[0]) if response else se
    if interval is not None:
        half = se if interval == "confidence" else np.sqrt(variance + residual_variance(fit, rows, new))
        half = NormalDist().inv_cdf(0.5 + 0.5 * level) * half
        low, high = eta - half, eta + half
        found["lower"], found["upper"] = limits_of_mean(link, low, high) if response else (low, high)
    return DataFrame(found)


def residual_variance(fit: MixedFit, rows: Rows, new: Any) -> Floats:
    """Of each row of a Normal response: its stratum, variance covariates and weight counted in."""
    spread = residual_scales(fit, rows, new)
    weights = row_weights(fit, rows)
    return np.broadcast_to(spread**2 / weights, rows.n)


def residual_scales(fit: MixedFit, rows: Rows, new: Any) -> Any:
    """Standard deviation of each row's residual at weight one."""
    if fit.naming.of_kind("disp"):
        return np.exp(fit._fixed_part(rows, "disp"))
    structure = fit.naming.structure
    if new is None or structure is None or not structure.varies:
        return scales(fit) if new is None else fit.sigma
    return scales(fit, fit.design.residual(new))


def row_weights(fit: MixedFit, rows: Rows) -> Any:
    """Weights (trials) of rows."""
    if fit.rows.weights is None:
        return 1.0
    if rows.weights is None:
        told = "the fit has weights, and the new rows have none"
        hint = "name a column in weights= of the fit, and give it for the new rows"
        raise_all([ModelError(told, hint=hint)], "the new rows")
    return rows.weights


def check(
    fit: MixedFit, known: tuple[str, ...], given: Mapping[str, Any], unknown: Mapping[str, Any]
) -> None:
    """Raise ModelErrors for arguments of `predict` that there are not, or that do not go together."""
    type, se_fit, interval, level = (given[k] for k in ("type", "se_fit", "interval", "level"))
    there = ", ".join(ARGUMENTS)
    faults = [ModelError(f"there is no argument {name!r}", hint=f"there are {there}") for name in unknown]
    if type not in known:
        faults.append(ModelError(f"type={type!r} is unknown", hint=" or ".join(map(repr, known))))
    if interval is not None and interval not in INTERVALS:
        hint = "None, 'confidence' (of the mean) or 'prediction' (of a new response)"
        faults.append(ModelError(f"interval={interval!r} is unknown", hint=hint))
    if not isinstance(level, int | float) or not 0 < level < 1:
        faults.append(ModelError(f"level is {level!r}", hint="a number between 0 and 1"))
    raise_all(faults, "predict")
    if not se_fit and interval is None:
        return
    if type not in ("response", "link"):
        told = f"type={type!r} has no standard errors"
        raise_all([ModelError(told, hint="type='response' or type='link'")], "predict")
    refuse_without(fit, "predict")
    if interval == "prediction":
        _refuse_prediction(fit)


def _refuse_prediction(fit: MixedFit) -> None:
    naming = fit.naming
    if (naming.family, naming.link) != ("gaussian", "identity"):
        told = f"prediction intervals are for Normal responses, and this is {naming.family}({naming.link})"
        hint = "interval='confidence' is of the mean; quantiles of simulate(re_form=None) are of responses"
        raise_all([ModelError(told, hint=hint)], "predict")
    if naming.structure is not None and naming.structure.phi:
        told = "a new response hangs together with those fitted by correlation=, which predict leaves out"
        hint = "interval='confidence' is of the mean; fit.inner.predict(sd=True) carries residuals forward"
        raise_all([ModelError(told, hint=hint)], "predict")


def _refuse_new(new: dict[str, tuple[str, ...]]) -> None:
    errors = []
    for group, levels in new.items():
        told = ", ".join(levels[:8]) + (f" and {len(levels) - 8} more" if len(levels) > 8 else "")
        errors.append(
            ModelError(
                f"'{group}' has new level{'s' if len(levels) > 1 else ''} {told}",
                node=group,
                hint="allow_new_levels=True predicts them without their deviations; re_form='NA' leaves out "
                "all deviations",
            )
        )
    raise_all(errors, "the new rows")
