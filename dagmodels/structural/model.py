"""The graph of a lavaan text, with its data and settings: it fits under lavaan's names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from dagmodels.api import Graph
from dagmodels.data.covariances import Covariances, covariances
from dagmodels.data.frames import Table
from dagmodels.errors import ModelError, raise_all
from dagmodels.plugin import Plan
from dagmodels.results.draws.fit import DrawsFit
from dagmodels.results.sem.estimators import WEIGHTINGS
from dagmodels.structural.naming import constraints, naming_of
from dagmodels.structural.rows import (
    categories,
    check_given,
    check_latent,
    columns_of,
    frame_of,
    given_rows,
    labels_of,
    levels_of,
    stand_ins,
    unplaced,
)
from dagmodels.structural.settings import Settings
from dagmodels.structural.settings import settings as settings_of

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.analysis.identify.verdict import Identification
    from dagmodels.readers.lavaan import Reading
    from dagmodels.readers.lavaan.variables import Variables
    from dagmodels.results.fit import Fit
    from dagmodels.results.sem.draws import SemDraws
    from dagmodels.results.sem.fit import SemFit
    from dagmodels.results.sem.naming import SemNaming
    from dagmodels.results.sem.scores import GivenRows

WARMUP = 300  # draws a chain before those that count: the metric begins at the curvature of the mode
MOST = 20_000_000  # numbers of latent draws that are kept unless they are asked for


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
    sample_cov_rescale: bool | None = None,
    group_label: Sequence[str] | None = None,
    check_lv_names: bool = True,
    estimator: str | None = None,
    se: str | None = None,
    test: str | None = None,
    cluster: str | None = None,
    **options: Any,
) -> StructuralModel:
    """The graph of a lavaan text, with its data where they are given: `dm.read(text, format="lavaan")`."""
    if sample_cov is not None:
        if data is not None:
            raise_all([ModelError("there are both data and sample_cov", hint="give one of them")], "the data")
        plain = str(estimator or "ML").upper() not in WEIGHTINGS
        rescale = plain if sample_cov_rescale is None else sample_cov_rescale
        given = covariances(sample_cov, sample_nobs, sample_mean, groups=group_label, rescale=rescale)
        if given.mean is None:
            options.setdefault("meanstructure", False)
        if len(given.n) > 1:
            group = group or "group"
        options["given"] = given
    if not isinstance(text, str):
        told = f"a model is a text, not {type(text).__name__}"
        raise_all([ModelError(told, hint="write 'f =~ x1 + x2 + x3'")], "the model")
    given = options.pop("given", None)
    frame = None if data is None else frame_of(data)
    if frame is not None:
        categories_of = levels_of(frame, options.pop("ordered", None), partial(_variables, text))
        if categories_of:
            options["ordered"] = categories_of
    robust = (estimator, se, test, information, cluster)
    ordered, levels = bool(options.get("ordered")) or _cut(text), levels_in(text)
    made = settings_of(model_type, group, missing, robust, options, ordered, levels)
    settings = replace(made, check_lv_names=check_lv_names)
    if given is not None:
        reading = _read(text, given.groups if group else (), group or "", settings)
        if reading.table.levels:
            told = "models of two levels need the rows: covariance matrices do not tell the clusters"
            raise_all([ModelError(told, hint="give data")], "the options of the model")
        check_given(reading, given)
        if check_lv_names:
            check_latent(reading, given.names, "the covariance matrix")
        if settings.choice.scaled or settings.choice.se not in ("standard", "robust.sem.nt"):
            told = (
                "robust errors and scaled tests need the rows: covariance matrices do not tell fourth moments"
            )
            raise_all([ModelError(told, hint="give data, or estimator='ML'")], "the options of the model")
        return StructuralModel.made(reading, settings, text, None, given)
    if frame is None:
        return StructuralModel.made(_read(text, (), "", settings), settings, text, None)
    if levels and not settings.choice.cluster:
        told = "the model has two levels, and the clusters are not named"
        raise_all([ModelError(told, hint="cluster='school' names their column")], "the options of the model")
    index = getattr(data, "index", None)
    reading = _read(text, labels_of(frame, settings), group or "", settings)
    if check_lv_names:
        check_latent(reading, frame.names, frame.source)
    made = StructuralModel.made(reading, settings, text, frame)
    made.index = index if hasattr(index, "take") else None
    return made


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


@lru_cache(maxsize=64)
def _variables(text: str) -> Variables:
    """The variables of a text."""
    from dagmodels.readers.lavaan.parse import Element, parse
    from dagmodels.readers.lavaan.variables import variables

    return variables((e.lhs, e.op, e.rhs) for e in parse(text) if isinstance(e, Element))


def ordered_names(text: str, data: Any, ordered: Any = None) -> tuple[str, ...]:
    """The ordered variables of a text with data: those with thresholds, and those that `ordered` names."""
    if not isinstance(text, str):
        return ()
    levels = None if data is None else levels_of(frame_of(data), ordered, partial(_variables, text))
    written = tuple(_variables(text).ordered) if _cut(text) else ()
    return tuple(dict.fromkeys((*written, *(levels or ()))))


def _cut(text: str) -> bool:
    """Whether a text has thresholds."""
    return "|" in text and bool(_variables(text).ordered)


@lru_cache(maxsize=64)
def _read(text: str, groups: tuple[str, ...], group: str, settings: Settings) -> Reading:
    """The reading of a text; equal calls share one graph, and what is known of it."""
    from dagmodels.readers.lavaan import read

    names = {"group": group} if group else {}
    if settings.choice.cluster:
        names["cluster"] = settings.choice.cluster
    return read(
        text, model_type=settings.model_type, groups=groups or None, name=settings.model_type, **names,
        **dict(settings.options),
    )  # fmt: skip


def levels_in(text: str) -> bool:
    """Whether a text has blocks of levels."""
    from dagmodels.readers.lavaan.parse import Block, parse

    return "level" in text.lower() and any(isinstance(s, Block) and s.kind == "level" for s in parse(text))


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

    def identification(self, data: Any = None) -> Identification:
        """As of every graph; constraints that the fit keeps are no part of it."""
        if data is not None:
            return read_model(self.text, data, **self.settings.arguments).identification()
        found = super().identification()
        if self.dag is not self.reading.dag or not constraints(self.reading):
            return found
        return replace(
            found, notes=("nonlinear constraints and inequalities are left out: they may identify more",)
        )

    def plan(self, data: Any = None, method: str = "auto", **options: Any) -> Plan:
        """Which backend `fit` would use, in which form, and why; print it."""
        ours: dict[str, Any] = {}
        if self.dag is self.reading.dag:
            ours["form"] = "moments"
            if self.settings.choice.weighting:
                ours["estimator"] = self.settings.choice.weighting
        return _own_form(super().plan(data, method, **{**ours, **options}), options)

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
        self._refuse()
        columns, kept = self._given()
        if self.dag is not self.reading.dag:
            return super().fit_quietly(columns, method, seed, check, **options)
        if method == "gibbs":
            return self._drawn(columns, seed, check, options)
        clusters = self._clusters(kept)
        ours: dict[str, Any] = {"form": "moments", "information": self.settings.information}
        choice = self.settings.choice
        if choice.weighting:
            ours.update(estimator=choice.weighting, se=choice.se)
            if self.settings.missing == "pairwise":
                ours["pairwise"] = True
        elif choice.se != "standard":
            ours.update(se=choice.se, clusters=clusters)
        if kept_by_fit := constraints(self.reading):
            ours["constraints"] = kept_by_fit
            if self.settings.choice.scaled:
                hint = "leave test out, or take test='bollen.stine'"
                told = (
                    f"test={self.settings.choice.test!r} does not know nonlinear constraints or inequalities"
                )
                raise_all([ModelError(told, hint=hint)], "the constraints of the model")
        if self.given is not None:
            ours["statistics"] = self.given
        told_apart = check and not kept_by_fit  # what constraints identify, the graph alone does not
        inner = super().fit_quietly(columns, method, seed, told_apart, **{**ours, **options})
        rows = self._rows(kept) if self.given is None else None
        if inner.moments is None:
            return inner
        more: dict[str, Any] = {"warnings": self._told()}
        if isinstance(inner.plan, Plan):
            more["plan"] = _own_form(inner.plan, options)
        if self.frame is not None:
            more["given_rows"] = self.frame.n
        if self.reading.table.levels:
            from dagmodels.results.sem.levels.fit import level_fit

            return level_fit(inner, self.naming, rows, draw, self.settings.choice.cluster, more)
        return sem_fit(inner, self.naming, rows, draw, clusters, more)

    def _drawn(self, columns: dict[str, Any], seed: int, check: bool, options: dict[str, Any]) -> SemDraws:
        """Draws from the posterior, after the graph got its priors."""
        from dagmodels.results.sem.draws import sem_draws
        from dagmodels.structural.priors import informed

        choice = self.settings.choice
        faults = []
        if self.given is not None:
            faults.append(ModelError("draws need the rows, not covariance matrices", hint="give data"))
        if choice.weighting or choice.scaled or choice.se != "standard" or choice.cluster:
            told = f"estimator='{choice.estimator}' with se='{choice.se}' is no likelihood to draw from"
            faults.append(ModelError(told, hint="leave estimator, se, test and cluster out"))
        raise_all(faults, "the options of the model")
        if check:
            findings = self._facts(columns, observed=True).findings
            unknown = [ModelError(f.message, node=f.nodes[0], hint=f.hint) for f in findings]
            raise_all(unknown, f"the identification of model '{self.name}'")
        found = informed(self.reading, options.pop("priors", None))
        options = {"warmup": WARMUP, **options}
        monitor = options.get("monitor")
        if monitor is None and self._latent_numbers(columns, options) > MOST:
            options["monitor"] = tuple(n for n, node in found.dag.nodes.items() if not self._on_units(node))
        elif monitor is not None:
            names = (monitor,) if isinstance(monitor, str) else tuple(monitor)
            shared = (n for n, node in found.dag.nodes.items() if not self._on_units(node))
            options["monitor"] = tuple(dict.fromkeys((*shared, *names)))
        inner = Graph.of(found.dag).fit_quietly(columns, "gibbs", seed, False, **options)
        assert isinstance(inner, DrawsFit)
        inner = replace(inner, warnings=(*self._told(), *inner.warnings))
        return sem_draws(inner, self.naming, found.told)

    def _on_units(self, node: Any) -> bool:
        return self.reading.provenance.unit in node.plates

    def _latent_numbers(self, columns: dict[str, Any], options: Mapping[str, Any]) -> int:
        """How many draws of latent values a run would keep."""
        rows = len(next(iter(columns.values())))
        draws = int(options.get("draws", 1000)) * int(options.get("chains", 4))
        return rows * len(self.reading.table.latent) * draws

    def _told(self) -> tuple[str, ...]:
        """What a reader should know of the text and the rows: what is taken otherwise than it was said, said
        twice, or left out."""
        table = self.reading.table
        numbers = [n for n, _ in table.options.ordered if n in table.exogenous]
        told = (
            f"'{n}' is exogenous: it was called ordered, and is taken as a number all the same"
            for n in numbers
        )
        return (*told, *table.notes, *(() if self.frame is None else unplaced(self.settings, self.frame)))

    def _refuse(self) -> None:
        """What is read and drawn, but has no estimator."""
        cluster, faults = self.reading.provenance.cluster, []
        if cluster is not None and not any(
            n.kind == "stochastic" and cluster in n.plates for n in self.dag.nodes.values()
        ):
            told = f"nothing varies between elements of '{cluster}': every variance there is zero"
            faults.append(ModelError(told, hint="free one at level 2, or write the model without levels"))
        raise_all(faults, "the model")

    def _clusters(self, kept: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """Codes of the fitted rows' clusters, where there are some."""
        if not self.settings.choice.cluster or self.frame is None or self.reading.table.levels:
            return None
        name = self.settings.choice.cluster
        codes = np.asarray(self.frame.column(name).factor().codes)[kept]
        if codes.min() == codes.max():
            told = f"all rows lie in one '{name}', and errors are made from differences between several"
            raise_all([ModelError(told, node=name, hint="leave cluster= out")], self.frame.source)
        return codes

    def _rows(self, kept: NDArray[np.bool_]) -> Callable[[Any], GivenRows]:
        """What reads rows for the fit's scores and predictions."""
        fitted = np.flatnonzero(kept) if self.index is None else self.index[kept]
        assert self.frame is not None
        cut = self.reading.provenance.responses
        levels = {n: categories(self.frame.column(n))[1] for n in cut}
        return partial(given_rows, self.reading, self.settings, fitted, levels)

    @property
    def naming(self) -> SemNaming:
        """What the fit calls its numbers."""
        key = ("sem naming", self.settings.choice, self.settings.missing)
        if key not in self.dag.memo:
            self.dag.memo[key] = naming_of(self.reading, self.settings)
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
            return stand_ins(self.reading, self.given), np.ones(len(self.given.n), dtype=bool)
        if self.frame is None:
            raise_all([ModelError("there are no data", hint="pass a frame: model.fit(data)")], "the model")
        assert self.frame is not None
        return columns_of(self.reading, self.settings, self.frame)

    def _facts(self, data: Any, observed: bool = False) -> Facts:
        known = self.frame is not None or self.given is not None
        return super()._facts(self.columns() if data is None and known else data, observed)


def _own_form(plan: Plan, options: Mapping[str, Any]) -> Plan:
    """The plan, where it is not the caller who asked for the form."""
    from dagmodels.analysis.form_choice import ASKED

    if "form" in options:
        return plan
    verdicts = tuple(
        replace(v, because=tuple(b.replace(ASKED, "lavaan's texts are fitted so") for b in v.because))
        for v in plan.verdicts
    )
    return replace(plan, verdicts=verdicts)


def draw(fit: SemFit, path: str | os.PathLike[str], style: str, show: str | None, **options: Any) -> Path:
    """The picture of a fit, by the verb of graphs."""
    graph = Graph.of(fit.graph)
    return graph.render(path, style=style, fit=fit if style == "sem" else fit.inner, show=show, **options)
