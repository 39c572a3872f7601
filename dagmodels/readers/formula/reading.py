"""Formula + data -> graph, the table it binds to, and lme4's names for its numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dagmodels.data.frames import Table
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag
from dagmodels.readers.formula.checks import check_effects, check_groups, check_repeats, dropped_columns
from dagmodels.readers.formula.columns import INTERCEPT, Column, columns
from dagmodels.readers.formula.deparse import variable_name
from dagmodels.readers.formula.design import Collector, Columns, as_table, make
from dagmodels.readers.formula.evaluate import Evaluator
from dagmodels.readers.formula.family import Family, find, wants_zeros
from dagmodels.readers.formula.formula import Formula, read_formula, with_parts
from dagmodels.readers.formula.graph import Layout, graph
from dagmodels.readers.formula.grid import Raw, raw_columns, reference_grid
from dagmodels.readers.formula.hypotheses import fixed_terms
from dagmodels.readers.formula.residual import ResidualColumns, Spec, read_spec, residual_columns
from dagmodels.readers.formula.response import Response, response, row_values
from dagmodels.readers.formula.syntax import Call, Name, Node, Op, refuse
from dagmodels.readers.formula.translate import Part, Translation
from dagmodels.readers.formula.values import Floats, Levels, Value
from dagmodels.results.mixed.naming import FixedTerm, Grid, Naming, Rows
from dagmodels.results.mixed.structure import ResidualRows


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """All that a formula and its data say.

    dag : the graph.
    table : the columns that the graph binds to.
    naming, rows : for the results.
    kept : places of the fixed columns that stayed.
    parts : one for each term of the naming.
    states : what was learned from the data: levels, knots, means.
    values : of the variables, by name.
    contrasts, weights, offset : as given.
    layout : what the graph was made from.
    raw : columns of the data behind the fixed part.
    spec : of the residuals' structure; None where they are independent, with one scale.
    """

    formula: Formula
    dag: Dag
    table: Table
    naming: Naming
    rows: Rows
    kept: tuple[int, ...]
    parts: tuple[Part, ...]
    states: dict[str, Any]
    values: Mapping[str, Value]
    contrasts: Mapping[str, Any]
    layout: Layout
    raw: Mapping[str, Raw]
    weights: Any = None
    offset: Any = None
    spec: Spec | None = None

    @property
    def bound(self) -> Table | dict[str, Table]:
        """The table as the graph binds to it: under the plate of the rows, where these have an order."""
        return self._tagged(self.table)

    def _tagged(self, table: Table) -> Table | dict[str, Table]:
        return {self.layout.row: table} if self.layout.residual.phi else table

    def by_ml(self) -> Reading:
        """The same model and data with coefficients that are maximised, not integrated."""
        dag = graph(replace(self.layout, flat=False))
        return replace(self, dag=dag, naming=replace(self.naming, reml=False))

    def fixed_terms(self) -> tuple[FixedTerm, ...]:
        """The terms of the fixed part."""
        return fixed_terms(self.formula.fixed, self.values, self.kept, self.rows.n)

    def grid(self, at: Mapping[str, Sequence[Any]], rows: Any) -> Grid:
        """Combinations of the variables of the fixed part; see `grid.reference_grid`."""
        return reference_grid(self, at, rows)

    @property
    def family(self) -> Family:
        """Of the response."""
        return find(self.naming.family, self.naming.link)[0]

    def replay(self, new: Any, used: Collection[int] | None = None) -> Rows:
        """The design of new rows, coded as the rows of the fit were.

        used : places of the random terms that are wanted: no columns need be there for others. None: all.

        Raises
        ------
        ModelErrors : missing columns or values; levels of a fixed factor that the fit has not seen.
        """
        wanted = range(len(self.parts)) if used is None else used
        bars = sorted({self.parts[i].bar for i in wanted})
        made, y, again = self._again(new, False, bars)
        new_levels: dict[str, tuple[str, ...]] = {}
        random: list[tuple[Any, tuple[Floats | None, ...]]] = []
        for i, (term, part) in enumerate(zip(self.naming.terms, self.parts, strict=True)):
            if i not in wanted:
                random.append((np.zeros(0, dtype=np.int64), ()))
                continue
            codes, fresh = _placed(made.groups[term.factor], term.levels)
            if fresh:
                new_levels[term.factor] = fresh
            random.append((codes, tuple(made.random[bars.index(part.bar)][j][1] for j in part.columns)))
        fixed = tuple(made.fixed[j][1] for j in self.kept)
        own = tuple(
            made.groups[t.factor].codes if i in wanted else np.zeros(0, dtype=np.int64)
            for i, t in enumerate(self.naming.terms)
        )
        sides = {"zero": _values(made.zero), "spread": _values(made.spread), "own": own}
        shown = (None, self._new_weights(again)) if y is None else _shown(y)
        return Rows(made.n, fixed, tuple(random), made.offset, *shown, new=new_levels, **sides)

    def _new_weights(self, again: Evaluator) -> Floats | None:
        """Weights (trials) of rows without response, where their column is there."""
        if not isinstance(self.weights, str) or self.weights not in again.table.names:
            return None
        try:
            return row_values(self.weights, "weights", again)
        except ModelError as error:
            raise_all([error], "the new rows")
            raise

    def residual(self, new: Any) -> ResidualRows:
        """Strata and variance covariates of new rows; an autocorrelation is not for them.

        Raises
        ------
        ModelErrors : missing columns; a stratum that the fit has not seen.
        """
        structure, spec = self.naming.structure, self.spec
        assert structure is not None
        assert spec is not None
        table = as_table(new)
        again = Evaluator(table, self.states, self.contrasts)
        try:
            found = residual_columns(replace(spec, chain=None), again, np.zeros(table.n), predicted=True)
        except ModelError as error:
            raise_all([error], "the new rows")
            raise
        if found.strata is None:
            return ResidualRows(None, found.covariates)
        codes, fresh = _placed(found.strata, structure.strata)
        if fresh:
            told = f"'{structure.by}' has the new level{'s' if len(fresh) > 1 else ''} {', '.join(fresh)}"
            hint = f"its residual scale is not known; the fit has {', '.join(structure.strata)}"
            raise_all([ModelError(told, node=structure.by, hint=hint)], "the new rows")
        return ResidualRows(codes, found.covariates)

    def of_data(self, new: Any) -> Reading:
        """The same model with other data to fit: grouping factors have the levels found there, all else
        is coded as before."""
        made, y, again = self._again(new, True)
        assert y is not None
        naming = self.naming
        work = Translation(
            *(self.formula, self.family, naming.link, y, made, again, self.kept, naming.reml, naming.call),
            self._residual(again, y),
        )
        return _reading(work, naming.dropped, self.weights, self.offset, self.spec)

    def _residual(self, again: Evaluator, y: Response) -> ResidualColumns | None:
        """The structure of the residuals for other data."""
        if self.spec is None:
            return None
        try:
            return residual_columns(self.spec, again, y.values)
        except ModelError as error:
            raise_all([error], "the new rows")
            raise

    def bindable(self, new: Any) -> Table | dict[str, Table]:
        """The columns that the graph binds to, made of other data; the response where they have it."""
        made, y, again = self._again(new, False)
        absent = y is None
        if y is None:
            name = _response_name(self.formula)
            y = Response(name, np.full(made.n, np.nan), levels=self.naming.levels)
        work = Translation(
            self.formula,
            self.family,
            self.naming.link,
            y,
            made,
            again,
            self.kept,
            self.naming.reml,
            self.naming.call,
            self._residual(again, Response(y.name, np.zeros(made.n))),
        )
        if work.layout.residual.gap != self.layout.residual.gap:
            told = f"the gaps of '{self.naming.structure.time}' are not those of the fit: either all are one"
            raise_all([ModelError(told, hint="or some are not, in both data")], "the new rows")
        names = tuple(n for n in work.table.names if not (absent and n == work.response))
        return self._tagged(Table(names, made.n, work.table.read, work.table.source))

    def _again(
        self, new: Any, fitted: bool, bars: Sequence[int] | None = None
    ) -> tuple[Columns, Response | None, Evaluator]:
        """Columns of other data, with the levels, knots and polynomials of the fit.

        bars : places of the random terms of the formula to make columns of; None: all.
        """
        faults = Collector()
        if self.offset is not None and not isinstance(self.offset, str):
            faults.add(
                ModelError(
                    "the offset was given as numbers, one for each row of the fit",
                    hint="write offset(column) in the formula, so that new rows have theirs",
                )
            )
        try:
            table = as_table(new)
        except ModelError as error:
            faults.add(error)
        faults.raise_all("")
        again = Evaluator(table, self.states, self.contrasts)
        made = make(self.formula if bars is None else self.formula.some(bars), again, faults, self.offset)
        for name, value in again.seen.items():
            if name in self.values and isinstance(self.values[name], Levels) != isinstance(value, Levels):
                what = ("text", "numbers") if isinstance(value, Levels) else ("numbers", "text")
                told = f"'{name}' is {what[0]} here, and was {what[1]} in the data of the fit"
                faults.add(ModelError(told, node=name, hint="check the column's type"))
        y: Response | None = None
        assert self.formula.response is not None
        if fitted or _has_columns(self.formula.response, again.table.names):
            weights = self.weights if isinstance(self.weights, str) or fitted else None
            try:
                zeros = self.formula.zero is not None if fitted else None
                y = response(self.formula.response, self.family, weights, again, zeros=zeros)
            except ModelError as error:
                if fitted:
                    faults.add(error)
        faults.raise_all("")
        return made, y, again

    def chosen(self, re_form: str) -> tuple[tuple[int, ...], ...]:
        """For each term of the naming the effects that a formula of random terms names.

        Raises
        ------
        ModelErrors : a term that the model does not have.
        """
        wanted = read_formula(re_form)
        if wanted.fixed.terms or wanted.response is not None:
            refuse("re_form holds random terms only.", 'write "~ (1 | group)"', re_form)
        found: list[set[int]] = [set() for _ in self.naming.terms]
        for bar in wanted.bars:
            unknown = [n for n, _ in bar.effects.variables if n not in self.values]
            names = unknown or [name for name, _ in columns(bar.effects, self.values, {})]
            for name in names:
                at = [
                    (i, t.effects.index(name))
                    for i, t in enumerate(self.naming.terms)
                    if t.factor == bar.group and name in t.effects
                ]
                if not at:
                    known = ", ".join(f"({', '.join(t.effects)} | {t.factor})" for t in self.naming.terms)
                    refuse(
                        f"'{name}' does not vary by '{bar.group}' here.", f"the model has {known}", re_form
                    )
                found[at[0][0]].add(at[0][1])
        return tuple(tuple(sorted(f)) for f in found)


def read(
    text: str,
    data: Any,
    *,
    reml: bool = False,
    family: str = "gaussian",
    link: str | None = None,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    variance: str | None = None,
    correlation: str | None = None,
    call: str = "lmer",
    ziformula: str | None = None,
    dispformula: str | None = None,
) -> Reading:
    """Read a mixed model's formula with its data.

    Parameters
    ----------
    text : `response ~ terms + (effects | group)`.
    data : any frame, dict of columns, or file.
    reml : coefficients have flat priors and are integrated.
    weights, offset : a column's name or one number a row.
    contrasts : by factor; treatment contrasts where nothing is said.
    variance, correlation : structure of the residuals; see `residual`.
    ziformula, dispformula : right-hand sides for structural zeros and for the parameter of spread.

    Raises
    ------
    ModelErrors : all faults of the formula, or all of the data.
    """
    formula = read_formula(text)
    law, link = find(family, link)
    if ziformula is None and wants_zeros(family):
        ziformula = "~ 1"
    if ziformula is not None and not law.zeros:
        hint = "it is for poisson, nbinom1, nbinom2, binomial, truncated_poisson and truncated_nbinom2"
        refuse(f"'{law.name}' has no structural zeros, so no ziformula.", hint, ziformula)
    if dispformula is not None and not law.dispersion:
        refuse(f"'{law.name}' has no parameter of spread, so no dispformula.", "leave it out", dispformula)
    if reml and law.ordered:
        hint = "leave REML out: thresholds stand in the place of an intercept, and are maximised"
        refuse(f"'{law.name}' has no restricted likelihood.", hint, text)
    formula = with_parts(formula, ziformula, dispformula)
    if law.ordered:  # the cut points take the place of the intercept, factors are coded beside it
        formula = replace(formula, fixed=replace(formula.fixed, intercept=True))
    if formula.response is None:
        refuse("there is no response.", "write response ~ terms", text)
    if not formula.bars:
        refuse("there are no random terms.", "write at least one, such as (1 | group)", text)
    assert formula.response is not None
    spec = read_spec(variance, correlation)
    faults = Collector()
    try:
        table = as_table(data)
    except ModelError as error:
        raise_all([error], "the data")
        raise
    evaluator = Evaluator(table, contrasts=contrasts)
    y: Response | None = None
    try:
        y = response(formula.response, law, weights, evaluator, zeros=formula.zero is not None)
    except ModelError as error:
        faults.add(error)
    made = make(formula, evaluator, faults, offset)
    residual: ResidualColumns | None = None
    if spec is not None and y is not None:
        try:
            residual = residual_columns(spec, evaluator, y.values)
        except ModelError as error:
            faults.add(error)
    if y is None or faults.errors:
        faults.raise_all(formula.text)
    assert y is not None
    kept, gone = _checked(formula, law, y, made, faults)
    faults.raise_all(formula.text)
    work = Translation(formula, law, link, y, made, evaluator, kept, reml, call, residual)
    return _reading(work, tuple(made.fixed[j][0] for j in gone), weights, offset, spec)


def _reading(
    work: Translation, dropped: tuple[str, ...], weights: Any, offset: Any, spec: Spec | None
) -> Reading:
    made, naming = work.made, work.naming(dropped)
    random = tuple(
        (made.groups[t.factor].codes, tuple(made.random[p.bar][j][1] for j in p.columns))
        for t, p in zip(naming.terms, work.parts, strict=True)
    )
    fixed = tuple(made.fixed[j][1] for j in work.kept)
    own = tuple(codes for codes, _ in random)
    sides = {"zero": _values(made.zero), "spread": _values(made.spread), "own": own}
    rows = Rows(made.n, fixed, random, made.offset, *_shown(work.y), residual=work.residual_rows, **sides)
    return Reading(
        formula=work.formula,
        dag=graph(work.layout),
        table=work.table,
        naming=naming,
        rows=rows,
        kept=work.kept,
        parts=tuple(work.parts),
        states=work.evaluator.states,
        values=work.evaluator.seen,
        contrasts=work.evaluator.contrasts,
        layout=work.layout,
        raw=raw_columns(work.formula, work.evaluator),
        weights=weights,
        offset=offset,
        spec=spec,
    )


def _checked(
    formula: Formula, law: Family, y: Response, made: Columns, faults: Collector
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the fixed columns that stay and of those that are combinations of others."""
    missing = np.isnan(y.values)
    seen = ~missing if missing.any() else None
    n = made.n if seen is None else int(np.count_nonzero(seen))
    sizes = [(b.group, len(c), b.text) for b, c in zip(formula.bars, made.random, strict=True)]
    check_groups(made.groups, sizes, seen, n, law.name == "gaussian" and y.weights is None, faults)
    lead = next((j for j, (name, _) in enumerate(made.fixed) if name == INTERCEPT), -1)
    gone = set(dropped_columns(made.fixed, seen, n).tolist())
    for what, side in (("ziformula", made.zero), ("dispformula", made.spread)):
        lost = [side[j][0] for j in dropped_columns(side, seen, n)]
        if lost:
            told = f"in {what} {' and '.join(lost)} follow{'s' if len(lost) == 1 else ''} from other columns"
            faults.add(ModelError(told, hint="leave out what the others say already"))
    kept = tuple(j for j in range(len(made.fixed)) if j not in gone and not (law.ordered and j == lead))
    random = [(b.text, c) for b, c in zip(formula.bars, made.random, strict=True)]
    check_effects(random, [made.fixed[j] for j in kept], seen, n, faults)
    every = zip(formula.bars, formula.parts, made.random, strict=True)
    whose = [(b.group, part, b.text, c) for b, part, c in every]
    check_repeats(whose, made.groups, seen, faults)
    if len(kept) >= n and law.name == "gaussian":
        faults.add(
            ModelError(
                f"{len(kept)} coefficients for {n} observations leave nothing for the variances",
                hint="drop fixed terms",
            )
        )
    return kept, tuple(sorted(gone))


def _values(columns: Sequence[Column]) -> tuple[Floats | None, ...]:
    return tuple(values for _, values in columns)


def _shown(y: Response | None) -> tuple[Floats | None, Floats | None]:
    """Responses (proportions, where there are trials) and weights, for the results."""
    if y is None:
        return None, None
    return (y.values, y.weights) if y.trials is None else (y.values / y.trials, y.trials)


def _response_name(formula: Formula) -> str:
    node = formula.response
    assert node is not None
    return variable_name(
        node.arguments[0][1] if isinstance(node, Call) and node.function == "cbind" else node
    )


def _has_columns(node: Node, names: Sequence[str]) -> bool:
    match node:
        case Name(name):
            return name in names
        case Call(_, arguments):
            return all(_has_columns(a, names) for _, a in arguments)
        case Op(_, operands):
            return all(_has_columns(o, names) for o in operands)
    return True


def _placed(levels: Levels, known: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """Codes among the levels of the fit, -1 for others; and these others."""
    if levels.labels == known:
        return levels.codes, ()
    place = {label: i for i, label in enumerate(known)}
    codes = np.array([*(place.get(x, -1) for x in levels.labels), -1], dtype=np.int64)[levels.codes]
    return codes, tuple(x for x in levels.labels if x not in place)
