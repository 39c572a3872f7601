"""lavaan's front door: `cfa`, `sem`, `growth`, `lavaan`, and the graph that a lavaan model makes.

The text becomes a graph (`readers.lavaan`), the graph is fitted from the moments of its rows as any other,
and the fit comes back under lavaan's names (`results.sem`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from dagmodels.api import Graph
from dagmodels.data.column import Column, NotNumbers
from dagmodels.data.covariances import Covariances, covariances, get_cov
from dagmodels.data.frames import Table, table
from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.forms.moment_constraints import Constraint
    from dagmodels.readers.lavaan import Reading
    from dagmodels.results.fit import Fit
    from dagmodels.results.sem.estimators import Choice
    from dagmodels.results.sem.fit import SemFit
    from dagmodels.results.sem.ladder import Invariance
    from dagmodels.results.sem.naming import Equality, SemNaming
    from dagmodels.results.sem.scores import GivenRows

MISSING = {
    "listwise": "listwise", "listwise.deletion": "listwise", "fiml": "fiml", "ml": "fiml", "direct": "fiml",
}  # fmt: skip


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
        `information` ("expected" or "observed"), `estimator` ("ML", "MLM", "MLR"), `se` ("standard",
        "robust", "robust.sem", "robust.huber.white", "robust.cluster"), `cluster` (a column's name), `test`
        ("standard", "satorra.bentler", "yuan.bentler", "yuan.bentler.mplus"), `auto_fix_first`, ...;
        `seed`, `check` and what `Graph.fit` takes.

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
        "strict" (and residual variances); None for all.
    model_type : "cfa", "sem" or "growth", whose defaults hold.

    Returns
    -------
    `print` shows the steps with chi-squares, their differences, CFI, RMSEA and SRMR; `.table` is that as a
    frame, `["metric"]` a step's fit, `.score_tests("scalar")` what each of its constraints costs.
    """
    from dagmodels.results.sem.ladder import STEPS, Invariance

    chosen = list(STEPS) if steps is None else list(steps)
    faults = [
        ModelError(f"there is no step {s!r}", hint=f"there are {', '.join(STEPS)}")
        for s in chosen
        if s not in STEPS
    ]
    if "group_equal" in options:
        hint = "each step says what is equal; group_partial=['x3~1'] releases single parameters"
        faults.append(ModelError("group_equal has no place here", hint=hint))
    if not chosen:
        faults.append(ModelError("there are no steps", hint="steps=['configural', 'metric']"))
    raise_all(faults, "the invariance ladder")
    order = [s for s in STEPS if s in chosen]
    fits = {}
    for step in order:
        own = dict(options)
        if not STEPS[step]:
            own.pop("group_partial", None)
        own.update(group=group, group_equal=list(STEPS[step]))
        fits[step] = _model(model, model_type, data, own)
        if len(fits[step].naming.groups) < 2:
            told = f"the column '{group}' has one group only"
            raise_all([ModelError(told, hint="give data of several groups")], "the invariance ladder")
    return Invariance(fits, {s: STEPS[s] for s in order})


def _model(model: str, kind: str, data: Any, options: Mapping[str, Any]) -> SemFit:
    from dagmodels.results.sem.bootstrap_errors import bootstrap_options

    resampling, options = bootstrap_options(options, options.get("seed", 1))
    fitting = {k: v for k, v in options.items() if k in ("seed", "check", "method")}
    rest = {k: v for k, v in options.items() if k not in fitting}
    if data is None and rest.get("sample_cov") is None:
        hint = "pass a frame: dm.sem(text, data), or sample_cov and sample_nobs"
        raise_all([ModelError("there are no data", hint=hint)], "the model")
    fit: SemFit = read_model(model, data, model_type=kind, **rest).fit(**fitting)  # type: ignore[assignment]
    return fit if resampling is None else resampling.applied(fit)


def read_model(
    text: str,
    data: Any = None,
    *,
    model_type: str = "sem",
    group: str | None = None,
    missing: str = "listwise",
    information: str | None = None,
    sample_cov: Any = None,
    sample_nobs: Any = None,
    sample_mean: Any = None,
    sample_cov_rescale: bool = True,
    group_label: Sequence[str] | None = None,
    estimator: str = "ML",
    se: str | None = None,
    test: str | None = None,
    cluster: str | None = None,
    **options: Any,
) -> StructuralModel:
    """The graph of a lavaan text, with its data where they are given: `dm.read(text, format="lavaan")`."""
    if sample_cov is not None:
        if data is not None:
            raise_all([ModelError("there are both data and sample_cov", hint="give one of them")], "the data")
        given = covariances(
            sample_cov, sample_nobs, sample_mean, groups=group_label, rescale=sample_cov_rescale
        )
        if given.mean is None:
            options.setdefault("meanstructure", False)
        if len(given.n) > 1:
            group = group or "group"
        options["given"] = given
    if not isinstance(text, str):
        told = f"a model is a text, not {type(text).__name__}"
        raise_all([ModelError(told, hint="write 'f =~ x1 + x2 + x3'")], "the model")
    given = options.pop("given", None)
    robust = (estimator, se, test, information, cluster)
    settings = _settings(model_type, group, missing, robust, options)
    if given is not None:
        reading = _read(text, given.groups if group else (), group or "", settings)
        _check_given(reading, given)
        if settings.choice.scaled or settings.choice.se != "standard":
            told = (
                "robust errors and scaled tests need the rows: covariance matrices do not tell fourth moments"
            )
            raise_all([ModelError(told, hint="give data, or estimator='ML'")], "the options of the model")
        return StructuralModel.made(reading, settings, text, None, given)
    if data is None:
        return StructuralModel.made(_read(text, (), "", settings), settings, text, None)
    index = getattr(data, "index", None)
    frame = _frame(data)
    labels = _labels(frame, settings)
    made = StructuralModel.made(_read(text, labels, group or "", settings), settings, text, frame)
    made.index = index if hasattr(index, "take") else None
    return made


def _check_given(reading: Reading, given: Covariances) -> None:
    """The variables and means that the model needs are there."""
    faults: list[ModelError] = []
    for name in reading.table.observed:
        if name not in given.names:
            near = difflib.get_close_matches(name, given.names, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(given.names[:12])}"
            told = f"the variable '{name}' is not in the covariance matrix"
            faults.append(ModelError(told, node=name, hint=hint))
    if reading.table.meanstructure and given.mean is None:
        faults.append(ModelError("the model has means and sample_mean is missing", hint="give sample_mean"))
    raise_all(faults, "the covariance matrices")


def read_file(source: Any, data: Any = None, **options: Any) -> StructuralModel:
    """The model in a file, or in a text of its own; options as for `read_model`."""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else source
    if isinstance(name, str) and "\n" not in name and (os.path.exists(name) or name.endswith(".lav")):
        try:
            name = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            told = f"the file '{source}' cannot be read: {error.strerror}"
            raise_all([ModelError(told, hint="check the path")], "the model's source")
    return read_model(name, data, **options)


@dataclass(frozen=True, slots=True)
class Settings:
    """What lavaan's arguments say beyond the text.

    options : those of the reader, as pairs, so that equal calls share one graph.
    choice : estimator, standard errors, test and clusters.
    """

    model_type: str
    group: str | None
    missing: str
    choice: Choice
    options: tuple[tuple[str, Any], ...]

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
            "information": c.information, **robust, **dict(self.options),
        }  # fmt: skip


def _settings(
    model_type: str,
    group: str | None,
    missing: str,
    robust: tuple[str, str | None, str | None, str | None, str | None],
    options: Mapping[str, Any],
) -> Settings:
    from dagmodels.results.sem.estimators import choose

    faults = []
    if missing not in MISSING:
        faults.append(
            ModelError(f"missing is {missing!r}", hint="'listwise', or 'fiml' for full information")
        )
    way = MISSING.get(missing, "listwise")
    choice, more = choose(*robust, way)
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


@lru_cache(maxsize=64)
def _read(text: str, groups: tuple[str, ...], group: str, settings: Settings) -> Reading:
    """The reading of a text; equal calls share one graph, and what is known of it."""
    from dagmodels.readers.lavaan import read

    names = {"group": group} if group else {}
    return read(
        text, model_type=settings.model_type, groups=groups or None, **names, **dict(settings.options)
    )


def _frame(data: Any) -> Table:
    from dagmodels.data.files import is_file_name, read

    if is_file_name(data):
        data = read(data)
    try:
        return table(data)
    except ModelError as error:
        raise_all([error], "the data")
        raise


def _labels(frame: Table, settings: Settings) -> tuple[str, ...]:
    """Groups in the order of the rows, as lavaan numbers them."""
    if settings.group is None:
        return ()
    if settings.group not in frame:
        raise_all([_no_column(settings.group, frame, "the grouping column")], "the data")
    factor = frame.column(settings.group).factor()
    codes = np.asarray(factor.codes)
    seen, first = np.unique(codes[codes >= 0], return_index=True)
    return tuple(str(factor.labels[int(c)]) for c in seen[np.argsort(first)])


def _no_column(name: str, frame: Table, what: str) -> ModelError:
    near = difflib.get_close_matches(name, frame.names, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(frame.names[:12])}"
    return ModelError(f"{what} '{name}' is not in {frame.source}", node=name, hint=hint)


class StructuralModel(Graph):
    """A graph made from a lavaan text; with data, every verb may be called without."""

    reading: Reading
    settings: Settings
    text: str
    frame: Table | None
    index: Any  # of the given rows, where the frame has one
    given: Covariances | None = None

    @classmethod
    def made(
        cls,
        reading: Reading,
        settings: Settings,
        text: str,
        frame: Table | None,
        given: Covariances | None = None,
    ) -> Self:
        """The model of a text that has been read."""
        new = cls.of(reading.dag)
        new.given = given
        new.reading, new.settings, new.text, new.frame, new.index = reading, settings, text, frame, None
        return new

    def copy(self) -> Self:
        """The same model, free to change."""
        new = super().copy()
        new.given = self.given
        new.reading, new.settings, new.text, new.frame = self.reading, self.settings, self.text, self.frame
        new.index = self.index
        return new

    def explain(self) -> str:
        """Every row that a default of lavaan's added, and how to turn it off."""
        from dagmodels.readers.lavaan import explain
        from dagmodels.results.shown import Shown

        return Shown(explain(self.reading.table))

    def fit_quietly(
        self, data: Any = None, method: str = "auto", seed: int = 1, check: bool = True, **options: Any
    ) -> Fit:
        """As `fit`, for callers that print `converged` and `warnings` themselves.

        The fit has lavaan's names, unless the graph was changed after the text made it.
        """
        from dagmodels.results.sem.fit import sem_fit

        if data is not None:
            other = read_model(self.text, data, **self.settings.arguments)
            if self.dag is self.reading.dag:
                return other.fit_quietly(None, method, seed, check, **options)
            return super().fit_quietly(other.columns(), method, seed, check, **options)
        columns, kept = self._given()
        if self.dag is not self.reading.dag:
            return super().fit_quietly(columns, method, seed, check, **options)
        clusters = self._clusters(kept)
        ours: dict[str, Any] = {"form": "moments", "information": self.settings.information}
        if self.settings.choice.se != "standard":
            ours.update(se=self.settings.choice.se, clusters=clusters)
        if constraints := _constraints(self.reading):
            ours["constraints"] = constraints
            if self.settings.choice.scaled:
                hint = "leave test out, or take test='bollen.stine'"
                told = (
                    f"test={self.settings.choice.test!r} does not know nonlinear constraints or inequalities"
                )
                raise_all([ModelError(told, hint=hint)], "the constraints of the model")
        if self.given is not None:
            ours["statistics"] = self.given
        told_apart = check and not constraints  # what constraints identify, the graph alone does not
        inner = super().fit_quietly(columns, method, seed, told_apart, **{**ours, **options})
        rows = self._rows(kept) if self.given is None else None
        return inner if inner.moments is None else sem_fit(inner, self.naming, rows, draw, clusters)

    def _clusters(self, kept: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """Codes of the fitted rows' clusters, where there are some."""
        if not self.settings.choice.cluster or self.frame is None:
            return None
        return np.asarray(self.frame.column(self.settings.choice.cluster).factor().codes)[kept]

    def _rows(self, kept: NDArray[np.bool_]) -> Callable[[Any], GivenRows]:
        """What reads rows for the fit's scores and predictions."""
        fitted = np.flatnonzero(kept) if self.index is None else self.index[kept]
        return partial(_given_rows, self.reading, self.settings, fitted)

    @property
    def naming(self) -> SemNaming:
        """What the fit calls its numbers."""
        key = ("sem naming", self.settings.choice, self.settings.missing)
        if key not in self.dag.memo:
            self.dag.memo[key] = _naming(self.reading, self.settings)
        return self.dag.memo[key]  # type: ignore[return-value]

    def _naming(self, fit: Any) -> SemNaming | None:
        return self.naming if self.dag is self.reading.dag else None

    def data_or_file(self, data: Any = None) -> Any:
        """The columns that the graph binds to."""
        return self.columns() if data is None else data

    def columns(self) -> dict[str, Any]:
        """The variables of the model, rows with missing values left out where `missing` says so."""
        return self._given()[0]

    def _given(self) -> tuple[dict[str, Any], NDArray[np.bool_]]:
        """These columns, and which of the rows they are."""
        if self.given is not None:
            return _stand_ins(self.reading, self.given), np.ones(len(self.given.n), dtype=bool)
        if self.frame is None:
            raise_all([ModelError("there are no data", hint="pass a frame: model.fit(data)")], "the model")
        assert self.frame is not None
        return _columns(self.reading, self.settings, self.frame)

    def _facts(self, data: Any, observed: bool = False) -> Facts:
        known = self.frame is not None or self.given is not None
        return super()._facts(self.columns() if data is None and known else data, observed)


def draw(fit: SemFit, path: str | os.PathLike[str], style: str, show: str | None, **options: Any) -> Path:
    """The picture of a fit, by the verb of graphs."""
    graph = Graph.of(fit.graph)
    return graph.render(path, style=style, fit=fit if style == "sem" else fit.inner, show=show, **options)


def _constraints(reading: Reading) -> tuple[Constraint, ...]:
    """Constraints that the graph cannot say, which the fit has to keep, over its nodes."""
    from dagmodels.forms.moment_constraints import Constraint
    from dagmodels.graph import expression as ex
    from dagmodels.readers.lavaan.expressions import CONSTANTS

    held = reading.provenance.nodes

    def node(tree: ex.Expression) -> ex.Expression:
        if not isinstance(tree, ex.Reference):
            return tree
        if tree.name not in held:
            return ex.Number(CONSTANTS[tree.name])
        at = held[tree.name]
        if at.node is None:
            return ex.Number(at.value or 0.0)
        return ex.Reference(at.node, () if at.level is None else (ex.LevelIndex(at.level),))

    found = []
    for r in reading.provenance.constraints:
        assert r.left is not None
        assert r.right is not None
        high, low = (r.right, r.left) if r.op == "<" else (r.left, r.right)
        tree = ex.Binary("-", ex.rebuild(high, node), ex.rebuild(low, node))
        found.append(Constraint(tree, r.op == "==", f"{r.lhs} {r.op} {r.rhs}"))
    return tuple(found)


def _stand_ins(reading: Reading, given: Covariances) -> dict[str, Any]:
    """One row for each group, whose values nobody reads: statistics stand in their place."""
    found: dict[str, Any] = {name: np.zeros(len(given.n)) for name in reading.table.observed}
    if reading.provenance.group is not None:
        found[reading.provenance.group] = np.array(given.groups, dtype=object)
    return found


def _values(
    reading: Reading, frame: Table, faults: list[ModelError], absent: bool = False
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """The variables of the model as numbers, and those that the frame has not; `absent` ones may miss."""
    values: dict[str, NDArray[np.float64]] = {}
    missing: list[str] = []
    for name in reading.table.observed:
        parts = reading.provenance.products.get(name, (name,)) if name not in frame else (name,)
        gone = [p for p in parts if p not in frame]
        if gone:
            missing.append(name)
            if not absent:
                faults.append(_no_column(gone[0], frame, "the variable"))
            continue
        columns = [_numbers(p, frame.column(p), faults) for p in parts]
        values[name] = columns[0] if len(columns) == 1 else columns[0] * columns[1]
    return values, missing


def _kept(
    reading: Reading, settings: Settings, frame: Table, values: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """The rows that are fitted."""
    keep = np.ones(frame.n, dtype=bool)
    if settings.missing == "listwise":
        for v in values.values():
            keep &= ~np.isnan(v)
    else:
        keep &= ~np.all([np.isnan(v) for v in values.values()], axis=0)
        for name in reading.table.exogenous:  # fixed covariates are never missing
            if name in values and reading.dag.nodes[name].kind == "covariate":
                keep &= ~np.isnan(values[name])
    if reading.provenance.group is not None and settings.group is not None:
        keep &= np.asarray(frame.column(settings.group).factor().codes) >= 0
    cluster = settings.choice.cluster
    if cluster:
        if cluster not in frame:
            raise_all([_no_column(cluster, frame, "the clusters' column")], "the data")
        keep &= np.asarray(frame.column(cluster).factor().codes) >= 0
    return keep


def _given_rows(reading: Reading, settings: Settings, fitted: Any, new: Any) -> GivenRows:
    """Rows for a fit's scores and predictions: the labels of those fitted, or new ones."""
    from dagmodels.results.sem.scores import GivenRows

    if new is None:
        return GivenRows(fitted, None, None)
    index = getattr(new, "index", None)
    frame = _frame(new)
    faults: list[ModelError] = []
    values, _ = _values(reading, frame, faults, absent=True)
    group = np.zeros(frame.n, dtype=np.int64)
    if settings.group is not None:
        if settings.group not in frame:
            faults.append(_no_column(settings.group, frame, "the grouping column"))
        else:
            factor = frame.column(settings.group).factor()
            number = {label: g for g, label in enumerate(reading.table.groups)}
            odd = [str(v) for v in factor.labels if str(v) not in number]
            if odd:
                told = f"'{settings.group}' has the group '{odd[0]}', which was not fitted"
                faults.append(ModelError(told, hint=f"there are {', '.join(number)}"))
            codes = np.asarray(factor.codes)
            if (codes < 0).any():
                told = f"'{settings.group}' has missing values"
                faults.append(ModelError(told, hint="say which group each new row belongs to"))
            group = np.array([number.get(str(v), 0) for v in factor.labels], dtype=np.int64)[codes]
    raise_all(faults, frame.source)
    return GivenRows(index if hasattr(index, "take") else np.arange(frame.n), values, group)


def _columns(reading: Reading, settings: Settings, frame: Table) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    faults: list[ModelError] = []
    values, _ = _values(reading, frame, faults)
    raise_all(faults, frame.source)
    keep = _kept(reading, settings, frame, values)
    found: dict[str, Any] = {}
    if reading.provenance.group is not None and settings.group is not None:
        factor = frame.column(settings.group).factor()
        codes = np.asarray(factor.codes)
        labels = np.array([str(level) for level in factor.labels], dtype=object)
        found[reading.provenance.group] = labels[codes[keep]]
    if not keep.any():
        told = (
            "no row has a value for every variable"
            if settings.missing == "listwise"
            else "no row has any value"
        )
        raise_all([ModelError(told, hint="missing='fiml' uses rows with gaps")], frame.source)
    whole = bool(keep.all())
    for name, v in values.items():
        column = v if whole else v[keep]
        found[name] = column
        here = column[~np.isnan(column)]
        if here.size and here.min() == here.max():
            faults.append(ModelError(f"'{name}' is constant ({here[0]:g})", node=name, hint="leave it out"))
        elif not here.size:
            faults.append(ModelError(f"'{name}' has no values", node=name, hint="leave it out"))
    raise_all(faults, frame.source)
    return found, keep


def _numbers(name: str, column: Column, faults: list[ModelError]) -> NDArray[np.float64]:
    try:
        return column.floats()
    except NotNumbers as error:
        hint = "name it in ordered=[...], or code it as numbers"
        faults.append(ModelError(f"'{name}' is not numeric: {error}", node=name, hint=hint))
        return np.zeros(len(column))


def _naming(reading: Reading, settings: Settings) -> SemNaming:
    from dagmodels.results.sem.naming import SemNaming, SemRow

    groups = reading.table.groups or ("",)
    held = reading.provenance.rows
    rows = []
    for r, h in zip(reading.table.rows, held, strict=True):
        if r.op in ("==", "<", ">"):
            continue
        label = "" if r.label.startswith(".p") else r.label
        value = float("nan") if h.value is None else h.value
        node, group = h.node or r.lhs, max(r.group - 1, 0)
        rows.append(SemRow(r.lhs, r.op, r.rhs, group, r.free > 0, label, node, value, r.exogenous))
    return SemNaming(
        tuple(rows),
        tuple(groups),
        reading.table.latent,
        reading.table.meanstructure,
        settings.information,
        "ML",
        settings.missing,
        tuple(reading.provenance.swapped.items()),
        observed=reading.table.observed,
        exogenous=reading.table.exogenous,
        equalities=_equalities(reading),
        choice=settings.choice,
    )


def _equalities(reading: Reading) -> tuple[Equality, ...]:
    """What equal labels and `==` rows say, over the rows that the fit names."""
    from dagmodels.readers.lavaan.linear import Form, form
    from dagmodels.results.sem.naming import Equality

    table = reading.table
    kept = [r for r in table.rows if r.op not in ("==", "<", ">")]
    same: dict[int, list[int]] = {}
    for i, r in enumerate(kept):
        if r.free:
            same.setdefault(r.free, []).append(i)
    found = [
        Equality(kept[first].plabel, kept[i].plabel, ((first, 1.0), (i, -1.0)))
        for first, *others in same.values()
        for i in others
    ]
    known: dict[str, Form] = {}
    for r in kept:
        if r.op != ":=":
            own = Form({r.free: 1.0}) if r.free else Form(constant=r.value or 0.0)
            known.update((n, own) for n in (r.label, r.plabel) if n and n not in known)
    for r in table.constraints:
        if r.op == "==" and r.left is not None and r.right is not None:
            left, right = form(r.left, known.get), form(r.right, known.get)
            if left is not None and right is not None and r.id not in reading.provenance.redundant:
                terms = left.plus(right, -1.0).terms
                found.append(Equality(r.lhs, r.rhs, tuple((same[n][0], c) for n, c in terms.items())))
    return tuple(found)


__all__: Sequence[str] = (
    "StructuralModel", "cfa", "get_cov", "growth", "invariance", "lavaan", "read_model", "sem",
)  # fmt: skip
