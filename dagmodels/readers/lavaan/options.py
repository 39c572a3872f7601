"""lavaan's arguments that shape a model, dots as underscores, and the presets of cfa, sem, growth, lavaan."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from dagmodels.errors import ModelError, raise_all

WHERE = "the options of the model"
EQUAL = (
    "loadings",
    "composite.loadings",
    "intercepts",
    "means",
    "thresholds",
    "regressions",
    "residuals",
    "residual.covariances",
    "lv.variances",
    "lv.covariances",
)
_REFUSED = {
    "conditional_x": "likelihoods given exogenous variables",
    "auto_efa": "exploratory blocks",
    "correlation": "correlation structures",
    "group_w_free": "free group weights",
    "sampling_weights": "weights of rows",
    "sampling_weights_normalization": "weights of rows",
}
_INSTEAD = {"sampling_weights": "leave it out, and give the model the covariates that the weights depend on"}
_MOVED = {"group_label": "groups", "ngroups": "groups"}


@dataclass(frozen=True, slots=True)
class Options:
    """What lavaan's function of the same name would be given; the defaults are `lavaan()`'s own.

    model_type : "sem" (also for cfa), "growth" or "lavaan".
    meanstructure : None asks for means where lavaan would have them: several groups or levels, ordered
        variables, a formula `~ 1`, growth models, equal intercepts or means.
    groups : labels of the groups in order, or how many there are; the text's own group blocks where empty.
    ordered : names of ordered variables; with the number of their levels where the text has no thresholds.
    effect_coding : "loadings" and/or "intercepts".
    """

    model_type: str = "lavaan"
    meanstructure: bool | None = None
    int_ov_free: bool = False
    int_lv_free: bool = False
    orthogonal: bool = False
    orthogonal_x: bool = False
    orthogonal_y: bool = False
    std_lv: bool = False
    fixed_x: bool = True
    auto_fix_first: bool = False
    auto_fix_single: bool = False
    auto_var: bool = False
    auto_cov_lv_x: bool = False
    auto_cov_y: bool = False
    auto_th: bool = False
    auto_delta: bool = False
    parameterization: str = "delta"
    groups: tuple[str, ...] = ()
    group_equal: tuple[str, ...] = ()
    group_partial: tuple[str, ...] = ()
    ordered: tuple[tuple[str, int], ...] = ()
    effect_coding: tuple[str, ...] = ()


_AUTO = dict.fromkeys(
    ("auto_fix_single", "auto_var", "auto_cov_lv_x", "auto_cov_y", "auto_th", "auto_delta"), True
)


def lavaan(**options: Any) -> Options:
    """No defaults beyond those of lavaan's own function: what is not written is not there."""
    return _made(Options(), options)


def sem(**options: Any) -> Options:
    """lavaan's `sem()`: markers, free intercepts of observed variables, automatic (co)variances."""
    return _made(Options("sem", int_ov_free=True, **_AUTO), options)


def cfa(**options: Any) -> Options:
    """lavaan's `cfa()`; its defaults are those of `sem()`."""
    return sem(**options)


def growth(**options: Any) -> Options:
    """lavaan's `growth()`: the latent variables have means, the observed ones have none of their own."""
    return _made(Options("growth", True, int_lv_free=True, **_AUTO), options)


PRESETS = {"lavaan": lavaan, "sem": sem, "cfa": cfa, "growth": growth}


def preset(model_type: str, **options: Any) -> Options:
    """The options of one of `PRESETS`, changed by `options`.

    Raises
    ------
    ModelErrors : an unknown preset, option or value.
    """
    if model_type not in PRESETS:
        hint = f"known: {', '.join(PRESETS)}"
        raise_all([ModelError(f"No model type is called '{model_type}'.", hint=hint)], WHERE)
    return PRESETS[model_type](**options)


def _made(start: Options, given: Mapping[str, Any]) -> Options:
    """`start` with what was given; a scale is fixed by markers unless `std_lv` or effect coding does it."""
    faults: list[ModelError] = []
    known = {f.name: f for f in fields(Options)}
    made: dict[str, Any] = {}
    for key, value in given.items():
        name = key.replace(".", "_")
        if name in _REFUSED:
            if value:
                message = f"{key} is not read here: there are no {_REFUSED[name]} yet."
                faults.append(ModelError(message, hint=_INSTEAD.get(name, f"leave {key} out")))
        elif name not in known or name == "model_type":
            faults.append(_unknown(key, list(known)))
        else:
            made[name] = _value(name, key, value, faults)
    raise_all(faults, WHERE)
    if start.model_type != "lavaan" and "auto_fix_first" not in made:
        scaled = made.get("std_lv", False) or "loadings" in made.get("effect_coding", ())
        made["auto_fix_first"] = not scaled
    return replace(start, **made)


def _unknown(key: str, known: Sequence[str]) -> ModelError:
    name = key.replace(".", "_")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"write {_MOVED[name]}" if name in _MOVED else f"did you mean {near[0]}?" if near else None
    return ModelError(f"There is no option '{key}'.", hint=hint or "see the table of options in the manual")


def _value(name: str, key: str, value: Any, faults: list[ModelError]) -> Any:
    match name:
        case "groups":
            return _groups(value, faults)
        case "ordered":
            return _ordered(value, faults)
        case "group_equal" | "group_partial" | "effect_coding":
            return _words(name, key, value, faults)
        case "parameterization":
            if value not in ("delta", "theta"):
                faults.append(ModelError(f"{key} is {value!r}.", hint='write "delta" or "theta"'))
            return value
        case "meanstructure" if value is None or value == "default":
            return None
        case _:
            if not isinstance(value, bool):
                faults.append(
                    ModelError(f"{key} is {value!r}, not True or False.", hint="write True or False")
                )
            return value


def _groups(value: Any, faults: list[ModelError]) -> tuple[str, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return tuple(str(i + 1) for i in range(value))
    labels = () if isinstance(value, str | int | None) else tuple(map(str, value))
    if value is not None and (not labels or len(set(labels)) < len(labels)):
        message = f"groups is {value!r}: neither labels, each once, nor a count."
        faults.append(ModelError(message, hint='write groups=["Pasteur", "Grant-White"]'))
    return labels


def _ordered(value: Any, faults: list[ModelError]) -> tuple[tuple[str, int], ...]:
    if isinstance(value, Mapping):
        return tuple((str(k), int(v)) for k, v in value.items())
    names = [value] if isinstance(value, str) else value
    if names is None or names is False:
        return ()
    if isinstance(names, bool) or not hasattr(names, "__iter__"):
        faults.append(ModelError(f"ordered is {value!r}.", hint="name the ordered variables"))
        return ()
    return tuple((str(n[0]), int(n[1])) if isinstance(n, tuple) else (str(n), 0) for n in names)


def _words(name: str, key: str, value: Any, faults: list[ModelError]) -> tuple[str, ...]:
    if name == "effect_coding" and isinstance(value, bool):
        return ("loadings", "intercepts") if value else ()
    words = [] if value is None else [value] if isinstance(value, str) else list(value)
    found = tuple("".join(str(w).split()) for w in words if str(w).strip())
    names: dict[str, tuple[str, ...]] = {"group_equal": EQUAL, "effect_coding": ("loadings", "intercepts")}
    known = names.get(name, ())
    for word in found if known else ():
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            faults.append(ModelError(f"{key} knows no '{word}'.", hint=hint))
    return found
