"""What lavaan's arguments say beyond the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.results.sem.estimators import Choice

MISSING = {
    "listwise": "listwise", "listwise.deletion": "listwise", "fiml": "fiml", "ml": "fiml", "direct": "fiml",
    "pairwise": "pairwise", "available.cases": "pairwise",
}  # fmt: skip

FIML = "'listwise', or 'fiml' for full information"


@dataclass(frozen=True, slots=True)
class Settings:
    """What lavaan's arguments say beyond the text.

    options : those of the reader, as pairs, so that equal calls share one graph.
    choice : estimator, standard errors, test and clusters.
    check_lv_names : whether latent variables may not be called as columns of the data.
    """

    model_type: str
    group: str | None
    missing: str
    choice: Choice
    options: tuple[tuple[str, Any], ...]
    check_lv_names: bool = True

    @property
    def information(self) -> str:
        """ "expected" or "observed", of the standard errors."""
        return self.choice.information

    @property
    def arguments(self) -> dict[str, Any]:
        """What `read_model` takes for the same settings."""
        c = self.choice
        robust = {"estimator": c.estimator, "se": c.se, "test": c.test, "cluster": c.cluster or None}
        return {
            "model_type": self.model_type, "group": self.group, "missing": self.missing,
            "information": c.information, "check_lv_names": self.check_lv_names,
            **robust, **dict(self.options),
        }  # fmt: skip


def settings(
    model_type: str,
    group: str | None,
    missing: str,
    robust: tuple[str | None, str | None, str | None, str | None, str | None],
    options: Mapping[str, Any],
    ordered: bool = False,
    levels: bool = False,
) -> Settings:
    """Of the arguments; ordered : whether variables have thresholds. levels : whether there are two levels.

    Raises
    ------
    ModelErrors : arguments that there are not, or that do not go together.
    """
    from dagmodels.results.sem.estimators import choose

    faults = []
    if missing not in MISSING:
        rows = "'listwise' leaves rows with gaps out"
        pairs = "'pairwise' uses them for each pair of variables that they show"
        faults.append(ModelError(f"missing is {missing!r}", hint=f"{rows}; {pairs}" if ordered else FIML))
    if MISSING.get(missing) == "pairwise" and not ordered:
        hint = "missing='fiml' uses every value of numbers"
        faults.append(ModelError("missing='pairwise' is for ordered variables", hint=hint))
    way = MISSING.get(missing, "listwise")
    choice, more = choose(*robust, way, ordered, levels)
    raise_all([*faults, *more], "the options of the model")
    kept = dict(options)
    if way == "fiml" or choice.cluster:
        kept.setdefault("meanstructure", True)
    pairs = tuple((k, _hashable(v)) for k, v in sorted(kept.items()))
    return Settings(model_type, group, way, choice, pairs)


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple | set):
        return tuple(_hashable(v) for v in value)
    if isinstance(value, Mapping):
        return tuple((k, _hashable(v)) for k, v in value.items())
    return value
