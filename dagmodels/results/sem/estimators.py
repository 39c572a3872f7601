"""lavaan's `estimator`, `se`, `test` and `cluster`: what they stand for together, and what they exclude."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from dagmodels.errors import ModelError

ESTIMATORS = {
    "ML": ("standard", "standard"),
    "MLM": ("robust.sem", "satorra.bentler"),
    "MLR": ("robust.huber.white", "yuan.bentler.mplus"),
}
ERRORS = ("standard", "robust.sem", "robust.huber.white", "robust.cluster")
TESTS = ("standard", "satorra.bentler", "yuan.bentler", "yuan.bentler.mplus")
WORDS = {
    "robust.mlm": "robust.sem", "robust.mlr": "robust.huber.white", "sandwich": "robust.huber.white",
    "huber.white": "robust.huber.white", "sb": "satorra.bentler", "satorra": "satorra.bentler",
    "yb": "yuan.bentler", "yuan": "yuan.bentler", "yb.mplus": "yuan.bentler.mplus",
}  # fmt: skip
LABELS = {
    "satorra.bentler": "Satorra-Bentler correction",
    "yuan.bentler": "Yuan-Bentler correction",
    "yuan.bentler.mplus": "Yuan-Bentler correction (Mplus variant)",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How errors and tests are made; the estimates are of maximum likelihood.

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


DEFAULT = Choice()


def choose(
    estimator: str,
    se: str | None,
    test: str | None,
    information: str | None,
    cluster: str | None,
    missing: str,
    levels: bool = False,
) -> tuple[Choice, list[ModelError]]:
    """lavaan's defaults filled in, and all faults.

    missing : "listwise" or "fiml". levels : whether the model has two levels, whose clusters these are.
    """
    faults: list[ModelError] = []
    name = str(estimator).upper()
    if name == "DEFAULT":
        name = "ML"
    if name not in ESTIMATORS:
        faults.append(_unknown("estimator", estimator, tuple(ESTIMATORS)))
        name = "ML"
    errors, tested = ESTIMATORS[name]
    if cluster and not levels:
        errors, tested = "robust.cluster", ("satorra.bentler" if name == "MLM" else "yuan.bentler.mplus")
    robust = errors if errors.startswith("robust") else _robust(missing, levels)
    errors = robust if se == "robust" else _word(se, errors)
    tested = _word(test, tested)
    if errors not in ERRORS:
        faults.append(_unknown("se", se, (*ERRORS, "robust")))
    if tested not in TESTS:
        faults.append(_unknown("test", test, TESTS))
    if information not in (None, "expected", "observed"):
        faults.append(ModelError(f"information is {information!r}", hint="'expected' or 'observed'"))
    if levels:
        faults += _at_levels(name, errors, tested, missing)
    else:
        faults += _conflicts(name, errors, tested, cluster, missing)
    exact = levels or missing == "fiml" or errors in ("robust.huber.white", "robust.cluster")
    found = information or ("observed" if exact else "expected")
    return Choice(name, errors, tested, found, cluster or ""), faults


def _robust(missing: str, levels: bool) -> str:
    return "robust.huber.white" if levels or missing == "fiml" else "robust.sem"


def _at_levels(name: str, se: str, test: str, missing: str) -> list[ModelError]:
    """What models of two levels do not have."""
    found: list[ModelError] = []
    if missing == "fiml":
        told = "models of two levels take complete rows, not missing='fiml'"
        found.append(ModelError(told, hint="missing='listwise' leaves rows with gaps out"))
    if se not in ("standard", "robust.huber.white") or test not in ("standard", "yuan.bentler.mplus"):
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


def _conflicts(name: str, se: str, test: str, cluster: str | None, missing: str) -> list[ModelError]:
    found: list[ModelError] = []
    if missing == "fiml" and (se == "robust.sem" or test == "satorra.bentler"):
        told = f"estimator '{name}' with se='{se}' and test='{test}' needs complete data"
        found.append(ModelError(told, hint="estimator='MLR' takes missing='fiml'; or missing='listwise'"))
    if cluster and (se not in ("robust.cluster", "standard") or test == "satorra.bentler"):
        told = f"cluster= goes with se='robust.cluster' and Yuan and Bentler's test, not '{se}', '{test}'"
        found.append(ModelError(told, hint="estimator='MLR'"))
    if se == "robust.cluster" and not cluster:
        told = "se='robust.cluster' needs the clusters"
        found.append(ModelError(told, hint="cluster='school' names their column"))
    return found
