"""lavaan's front door: `cfa`, `sem`, `growth`, `lavaan`, and the graph that a lavaan model makes.

The text becomes a graph (`readers.lavaan`), the graph is fitted from the moments of its rows as any other,
and the fit comes back under lavaan's names (`results.sem`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from dagmodels.api import Graph
from dagmodels.data.column import Column, NotNumbers
from dagmodels.data.frames import Table, table
from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.readers.lavaan import Reading
    from dagmodels.results.fit import Fit
    from dagmodels.results.sem.fit import SemFit
    from dagmodels.results.sem.naming import SemNaming

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
        `information` ("expected" or "observed"), `auto_fix_first`, ...; `seed`, `check` and what `Graph.fit`
        takes.

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


def _model(model: str, kind: str, data: Any, options: Mapping[str, Any]) -> SemFit:
    fitting = {k: v for k, v in options.items() if k in ("seed", "check", "method")}
    rest = {k: v for k, v in options.items() if k not in fitting}
    if data is None:
        raise_all([ModelError("there are no data", hint="pass a frame: dm.sem(text, data)")], "the model")
    return read_model(model, data, model_type=kind, **rest).fit(**fitting)  # type: ignore[return-value]


def read_model(
    text: str,
    data: Any = None,
    *,
    model_type: str = "sem",
    group: str | None = None,
    missing: str = "listwise",
    information: str | None = None,
    **options: Any,
) -> StructuralModel:
    """The graph of a lavaan text, with its data where they are given: `dm.read(text, format="lavaan")`."""
    if not isinstance(text, str):
        told = f"a model is a text, not {type(text).__name__}"
        raise_all([ModelError(told, hint="write 'f =~ x1 + x2 + x3'")], "the model")
    settings = _settings(model_type, group, missing, information, options)
    if data is None:
        return StructuralModel.made(_read(text, (), "", settings), settings, text, None)
    frame = _frame(data)
    labels = _labels(frame, settings)
    return StructuralModel.made(_read(text, labels, group or "", settings), settings, text, frame)


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
    """

    model_type: str
    group: str | None
    missing: str
    information: str
    options: tuple[tuple[str, Any], ...]


def _settings(
    model_type: str, group: str | None, missing: str, information: str | None, options: Mapping[str, Any]
) -> Settings:
    faults = []
    if missing not in MISSING:
        faults.append(
            ModelError(f"missing is {missing!r}", hint="'listwise', or 'fiml' for full information")
        )
    if information not in (None, "expected", "observed"):
        faults.append(ModelError(f"information is {information!r}", hint="'expected' or 'observed'"))
    raise_all(faults, "the options of the model")
    way = MISSING[missing]
    if information is None:
        information = "observed" if way == "fiml" else "expected"
    kept = dict(options)
    if way == "fiml":
        kept.setdefault("meanstructure", True)
    pairs = tuple((k, _hashable(v)) for k, v in sorted(kept.items()))
    return Settings(model_type, group, way, information, pairs)


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

    @classmethod
    def made(cls, reading: Reading, settings: Settings, text: str, frame: Table | None) -> Self:
        """The model of a text that has been read."""
        new = cls.of(reading.dag)
        new.reading, new.settings, new.text, new.frame = reading, settings, text, frame
        return new

    def copy(self) -> Self:
        """The same model, free to change."""
        new = super().copy()
        new.reading, new.settings, new.text, new.frame = self.reading, self.settings, self.text, self.frame
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
            other = read_model(
                self.text, data, model_type=self.settings.model_type, group=self.settings.group,
                missing=self.settings.missing, information=self.settings.information,
                **dict(self.settings.options),
            )  # fmt: skip
            if self.dag is self.reading.dag:
                return other.fit_quietly(None, method, seed, check, **options)
            return super().fit_quietly(other.columns(), method, seed, check, **options)
        if self.dag is not self.reading.dag:
            return super().fit_quietly(self.columns(), method, seed, check, **options)
        _refuse_kept(self.reading)
        ours = {"form": "moments", "information": self.settings.information}
        inner = super().fit_quietly(self.columns(), method, seed, check, **{**ours, **options})
        return inner if inner.moments is None else sem_fit(inner, self.naming, draw)

    @property
    def naming(self) -> SemNaming:
        """What the fit calls its numbers."""
        key = ("sem naming", self.settings.information, self.settings.missing)
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
        if self.frame is None:
            raise_all([ModelError("there are no data", hint="pass a frame: model.fit(data)")], "the model")
        assert self.frame is not None
        return _columns(self.reading, self.settings, self.frame)

    def _facts(self, data: Any, observed: bool = False) -> Facts:
        return super()._facts(data if data is not None or self.frame is None else self.columns(), observed)


def draw(fit: SemFit, path: str | os.PathLike[str], style: str, show: str | None, **options: Any) -> Path:
    """The picture of a fit, by the verb of graphs."""
    graph = Graph.of(fit.graph)
    return graph.render(path, style=style, fit=fit if style == "sem" else fit.inner, show=show, **options)


def _refuse_kept(reading: Reading) -> None:
    """Constraints that the graph cannot say have to be kept by the fit, which does not do so yet."""
    faults = [
        ModelError(
            f"the constraint '{r.lhs} {r.op} {r.rhs}' is not linear, or an inequality of several parameters",
            line=r.line or None,
            hint="substitute it: write one parameter as a function of the others",
        )
        for r in reading.provenance.constraints
    ]
    raise_all(faults, "the constraints of the model")


def _columns(reading: Reading, settings: Settings, frame: Table) -> dict[str, Any]:
    faults: list[ModelError] = []
    values: dict[str, NDArray[np.float64]] = {}
    for name in reading.table.observed:
        if name in frame:
            values[name] = _numbers(name, frame.column(name), faults)
        elif name in reading.provenance.products:
            left, right = reading.provenance.products[name]
            values[name] = _numbers(left, frame.column(left), faults) * _numbers(
                right, frame.column(right), faults
            )
        else:
            faults.append(_no_column(name, frame, "the variable"))
    raise_all(faults, frame.source)
    keep = np.ones(frame.n, dtype=bool)
    if settings.missing == "listwise":
        for v in values.values():
            keep &= ~np.isnan(v)
    else:
        keep &= ~np.all([np.isnan(v) for v in values.values()], axis=0)
        for name in reading.table.exogenous:  # fixed covariates are never missing
            if name in values and reading.dag.nodes[name].kind == "covariate":
                keep &= ~np.isnan(values[name])
    found: dict[str, Any] = {}
    if reading.provenance.group is not None and settings.group is not None:
        factor = frame.column(settings.group).factor()
        codes = np.asarray(factor.codes)
        keep &= codes >= 0
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
    return found


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
    )


__all__: Sequence[str] = ("StructuralModel", "cfa", "growth", "lavaan", "read_model", "sem")
