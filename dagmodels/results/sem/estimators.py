"""lavaan's `estimator`, `se`, `test` and `cluster`: what they stand for together, and what they exclude."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from dagmodels.errors import ModelError

ESTIMATORS = {
    "ML": ("standard", "standard"),
    "MLM": ("robust.sem", "satorra.bentler"),
    "MLMV": ("robust.sem", "scaled.shifted"),
    "MLMVS": ("robust.sem", "mean.var.adjusted"),
    "MLR": ("robust.huber.white", "yuan.bentler.mplus"),
    "GLS": ("standard", "standard"),
    "WLS": ("standard", "standard"),
    "DWLS": ("robust.sem", "standard"),
    "WLSM": ("robust.sem", "satorra.bentler"),
    "WLSMV": ("robust.sem", "scaled.shifted"),
    "WLSMVS": ("robust.sem", "mean.var.adjusted"),
    "ULS": ("robust.sem.nt", "standard"),
    "ULSM": ("robust.sem", "satorra.bentler"),
    "ULSMV": ("robust.sem", "scaled.shifted"),
    "ULSMVS": ("robust.sem", "mean.var.adjusted"),
}
WEIGHTINGS = {"GLS": "GLS", "WLS": "WLS", "DWLS": "DWLS", "WLSM": "DWLS", "WLSMV": "DWLS", "WLSMVS": "DWLS",
              "ULS": "ULS", "ULSM": "ULS", "ULSMV": "ULS", "ULSMVS": "ULS"}  # fmt: skip
ERRORS = ("standard", "robust.sem", "robust.sem.nt", "robust.huber.white", "robust.cluster")
BY_MOMENTS = ("satorra.bentler", "scaled.shifted", "mean.var.adjusted")  # by fourth moments: complete rows
TESTS = ("standard", *BY_MOMENTS, "yuan.bentler", "yuan.bentler.mplus")
WORDS = {
    "robust.mlm": "robust.sem", "robust.mlr": "robust.huber.white", "sandwich": "robust.huber.white",
    "huber.white": "robust.huber.white", "sb": "satorra.bentler", "satorra": "satorra.bentler",
    "mean.var": "mean.var.adjusted", "satterthwaite": "mean.var.adjusted",
    "yb": "yuan.bentler", "yuan": "yuan.bentler", "yb.mplus": "yuan.bentler.mplus",
}  # fmt: skip
LABELS = {
    "satorra.bentler": "Satorra-Bentler correction",
    "scaled.shifted": "simple second-order correction",
    "mean.var.adjusted": "mean and variance adjusted correction",
    "yuan.bentler": "Yuan-Bentler correction",
    "yuan.bentler.mplus": "Yuan-Bentler correction (Mplus variant)",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How errors and tests are made.

    estimator : as the user called it. se, test : lavaan's full words. information : of the standard errors.
    cluster : a column's name, or "".
    """

    estimator: str = "ML"
    se: str = "standard"
    test: str = "standard"
    information: str = "expected"
    cluster: str = ""

    @property
    def scaled(self) -> bool:
        return self.test != "standard"

    @property
    def weighting(self) -> str:
        """How least squares weighs; "" for maximum likelihood."""
        return WEIGHTINGS.get(self.estimator, "")


DEFAULT = Choice()


def choose(
    estimator: str | None,
    se: str | None,
    test: str | None,
    information: str | None,
    cluster: str | None,
    missing: str,
    ordered: bool = False,
    levels: bool = False,
) -> tuple[Choice, list[ModelError]]:
    """lavaan's defaults filled in, and all faults.

    missing : "listwise" or "fiml". ordered : whether variables have thresholds. levels : whether the model
    has two levels, whose clusters these are.
    """
    faults: list[ModelError] = []
    name = "DEFAULT" if estimator is None else str(estimator).upper()
    if name == "DEFAULT":
        name = "WLSMV" if ordered else "ML"
    if name not in ESTIMATORS:
        faults.append(_unknown("estimator", estimator, tuple(ESTIMATORS)))
        name = "WLSMV" if ordered else "ML"
    errors, tested = ESTIMATORS[name]
    if ordered and name in ("ULS", "DWLS"):
        errors = "robust.sem"
    if cluster and not levels and name not in WEIGHTINGS:
        errors, tested = "robust.cluster", (tested if tested in BY_MOMENTS else "yuan.bentler.mplus")
    robust = errors if errors.startswith("robust") else _robust("" if name in WEIGHTINGS else missing, levels)
    errors = robust if se == "robust" else _word(se, errors)
    tested = _word(test, tested)
    if errors not in ERRORS:
        faults.append(_unknown("se", se, (*ERRORS, "robust")))
    if tested not in TESTS:
        faults.append(_unknown("test", test, TESTS))
    if information not in (None, "expected", "observed"):
        faults.append(ModelError(f"information is {information!r}", hint="'expected' or 'observed'"))
    if levels:
        faults += _at_levels(name, errors, tested, missing, ordered)
    else:
        faults += _conflicts(name, errors, tested, cluster, missing)
        faults += _square_conflicts(name, errors, tested, cluster, missing, ordered)
    exact = levels or missing == "fiml" or errors in ("robust.huber.white", "robust.cluster")
    found = information or ("observed" if exact else "expected")
    return Choice(name, errors, tested, found, cluster or ""), faults


def _robust(missing: str, levels: bool) -> str:
    return "robust.huber.white" if levels or missing == "fiml" else "robust.sem"


def _at_levels(name: str, se: str, test: str, missing: str, ordered: bool) -> list[ModelError]:
    """What models of two levels do not have."""
    found: list[ModelError] = []
    if missing == "fiml":
        told = "models of two levels take complete rows, not missing='fiml'"
        hint = (
            "missing='listwise' leaves rows with gaps out; one level with cluster= and missing='fiml' "
            "(estimator='MLR') uses them, with errors by clusters"
        )
        found.append(ModelError(told, hint=hint))
    if ordered:
        told = "there are ordered variables in a model of two levels, which has no estimator for them"
        hint = "ordered=False and no thresholds treat them as numbers; or fit one level, by 'WLSMV'"
        found.append(ModelError(told, hint=hint))
    elif name in WEIGHTINGS:
        told = f"estimator='{name}' is for one level"
        found.append(ModelError(told, hint="two levels have estimator='ML' and 'MLR'"))
    elif se not in ("standard", "robust.huber.white") or test not in ("standard", "yuan.bentler.mplus"):
        told = f"estimator '{name}' with se='{se}' and test='{test}' is for one level"
        hint = "two levels have se='standard' and 'robust.huber.white', test='yuan.bentler.mplus' (MLR)"
        found.append(ModelError(told, hint=hint))
    return found


def _word(stated: str | None, default: str) -> str:
    if stated is None or stated == "default":
        return default
    plain = str(stated).lower().replace("_", ".").replace("-", ".")
    return WORDS.get(plain, plain)


def _unknown(what: str, stated: object, known: tuple[str, ...]) -> ModelError:
    near = difflib.get_close_matches(str(stated).lower(), [k.lower() for k in known], 1)
    meant = next((k for k in known if near and k.lower() == near[0]), None)
    choices = ", ".join(f"'{k}'" for k in known)
    return ModelError(
        f"{what} is {stated!r}", hint=f"did you mean '{meant}'?" if meant else f"there are {choices}"
    )


def _square_conflicts(
    name: str, se: str, test: str, cluster: str | None, missing: str, ordered: bool
) -> list[ModelError]:
    """What least squares and ordered variables exclude."""
    found: list[ModelError] = []
    squares = name in WEIGHTINGS
    if ordered and (not squares or name == "GLS"):
        told = f"estimator='{name}' is for numbers, and there are ordered variables"
        found.append(ModelError(told, hint="'WLSMV' (the default), 'DWLS', 'WLS' or 'ULSMV'"))
    if not squares:
        if se == "robust.sem.nt":
            told = "se='robust.sem.nt' goes with least squares"
            found.append(ModelError(told, hint="estimator='ULS', or se='robust.sem'"))
        return found
    if missing == "fiml":
        told = f"estimator='{name}' takes complete rows"
        numbers = (
            "'pairwise', or leave ordered= out and take estimator='MLR', which treats variables as numbers"
        )
        other = numbers if ordered else "estimator='MLR' for full information"
        found.append(ModelError(told, hint=f"missing='listwise', or {other}"))
    if cluster:
        told = f"cluster= goes with maximum likelihood, not estimator='{name}'"
        found.append(ModelError(told, hint="estimator='MLR', which treats variables as numbers"))
    if se in ("robust.huber.white", "robust.cluster"):
        told = f"se='{se}' goes with maximum likelihood, not estimator='{name}'"
        found.append(ModelError(told, hint="se='robust.sem'"))
    if test.startswith("yuan"):
        told = f"test='{test}' goes with maximum likelihood, not estimator='{name}'"
        found.append(ModelError(told, hint="test='scaled.shifted' or 'satorra.bentler'"))
    if test != "standard" and not se.startswith("robust"):
        told = f"test='{test}' needs the sampling covariance that se='{se}' does not"
        found.append(ModelError(told, hint="se='robust.sem'"))
    if ordered and se == "robust.sem.nt":
        told = "se='robust.sem.nt' takes Normal numbers, and there are ordered variables"
        found.append(ModelError(told, hint="se='robust.sem'"))
    return found


def _conflicts(name: str, se: str, test: str, cluster: str | None, missing: str) -> list[ModelError]:
    found: list[ModelError] = []
    if missing == "fiml" and name not in WEIGHTINGS and (se == "robust.sem" or test in BY_MOMENTS):
        told = f"estimator '{name}' with se='{se}' and test='{test}' needs complete data"
        found.append(ModelError(told, hint="estimator='MLR' takes missing='fiml'; or missing='listwise'"))
    if cluster and (se not in ("robust.cluster", "standard") or test in BY_MOMENTS):
        told = f"cluster= goes with se='robust.cluster' and Yuan and Bentler's test, not '{se}', '{test}'"
        found.append(ModelError(told, hint="estimator='MLR'"))
    if se == "robust.cluster" and not cluster:
        told = "se='robust.cluster' needs the clusters"
        found.append(ModelError(told, hint="cluster='school' names their column"))
    return found
