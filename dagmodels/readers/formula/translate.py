"""Columns and terms of a formula -> the layout of a graph, the table it binds to, and lme4's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dagmodels.data.column import Column as DataColumn
from dagmodels.data.frames import Table
from dagmodels.data.levels import Factor, canonical
from dagmodels.readers.formula.columns import Column
from dagmodels.readers.formula.deparse import deparse
from dagmodels.readers.formula.design import Columns
from dagmodels.readers.formula.evaluate import Evaluator
from dagmodels.readers.formula.family import Family
from dagmodels.readers.formula.formula import Formula
from dagmodels.readers.formula.graph import PLAIN, Grades, Layout, RandomNode, Residual, Side
from dagmodels.readers.formula.names import Namer, distinct, plain
from dagmodels.readers.formula.residual import ResidualColumns
from dagmodels.readers.formula.response import Response
from dagmodels.readers.formula.values import Floats, Levels
from dagmodels.results.mixed.naming import Extra, Naming, RandomTerm
from dagmodels.results.mixed.structure import ResidualRows, Slope, Structure


@dataclass(frozen=True, slots=True)
class Grouping(DataColumn):
    """A column of levels that is a factor already."""

    found: Factor | None = None

    def factor(self) -> Factor:
        """The levels."""
        assert self.found is not None
        return self.found


@dataclass(frozen=True, slots=True)
class Part:
    """A random term of the naming: which bar of the formula it comes from, and which of its columns."""

    bar: int
    columns: tuple[int, ...]


class Translation:
    """Names of everything, the layout of the graph, and the table that it binds to.

    parts : the random terms, in the order of the formula; in lme4's once `naming` has been asked for.
    """

    def __init__(
        self,
        formula: Formula,
        law: Family,
        link: str,
        y: Response,
        made: Columns,
        evaluator: Evaluator,
        kept: tuple[int, ...],
        reml: bool,
        call: str,
        residual: ResidualColumns | None = None,
    ) -> None:
        self.formula, self.law, self.link, self.made, self.reml, self.call = (
            formula,
            law,
            link,
            made,
            reml,
            call,
        )
        self.evaluator, self.y, self.kept = evaluator, y, kept
        self.name = Namer()
        self.data: dict[str, DataColumn] = {}
        self.covariates: dict[str, list[tuple[str, Floats]]] = {}
        self.plate = {g: self.name(g) for g in made.groups}
        self.factors = {b.group: b.factors for b in formula.bars}
        levels = dict(made.groups)
        if residual is not None:
            self._more_plates(residual, levels)
        for group, plate in self.plate.items():
            self.data[plate] = self._grouping(plate, group, levels[group])
        self.response = self._graded(y) if y.levels else self._column(y.name, y.values)
        self.coefficients = distinct(made.fixed[j][0] for j in kept)
        self.fixed = tuple(
            (label, self._covariate(*made.fixed[j])) for label, j in zip(self.coefficients, kept, strict=True)
        )
        self.effects = [tuple((c[0], self._covariate(*c)) for c in part) for part in made.random]
        self.offsets = () if made.offset is None else (self._column("offset", made.offset),)
        self.weights = None if y.weights is None else self._column("weights", y.weights)
        self.trials = None if y.trials is None else self._column("trials", y.trials)
        self.dispersion = self.name(law.dispersion) if law.dispersion else ""
        self.shape = self.name(law.shape) if law.shape else ""
        self.row, self.over, self.beta = self.name("row"), self.name("coef"), self.name("beta")
        self.zero = None if formula.zero is None else self._side(made.zero, "zi")
        self.spread = None if formula.spread is None else self._side(made.spread, "disp")
        self.grades = self._grades(y) if y.levels else None
        self.nodes: list[RandomNode] = []
        self.parts: list[Part] = []
        self._random()
        self.structure: Structure | None = None
        self.residual = PLAIN
        self.residual_rows: ResidualRows | None = None
        if residual is not None:
            self._residual(residual)
        self.layout = self._layout()
        names = tuple(self.data)
        self.table = Table(names, made.n, self.data.__getitem__, evaluator.table.source)

    # -- columns of the graph's data

    def _grouping(self, plate: str, group: str, levels: Levels) -> Grouping:
        factors = self.factors[group]
        labels: tuple[object, ...] = levels.labels
        if len(factors) == 1 and factors[0][0] in self.evaluator.factors:
            known = self.evaluator.factors[group].labels  # 308 is one label as a number and as text
            labels = labels if any(isinstance(x, bool) for x in known) else known
        return Grouping(
            plate, codes=levels.codes, labels=labels, found=Factor(levels.codes, labels, ranked=True)
        )

    def _graded(self, y: Response) -> str:
        """The column of grades, by their labels."""
        name = self.name(y.name)
        codes = np.where(np.isnan(y.values), -1, y.values).astype(np.int64)
        labels = tuple(map(canonical, y.levels))
        found = Factor(codes, labels, ranked=True)
        self.data[name] = Grouping(name, codes=codes, labels=labels, found=found)
        return name

    def _grades(self, y: Response) -> Grades:
        """Plates of grades and of the cut points between them, which ordinal's clmm calls `1|2`."""
        stem = plain(y.name)
        plate, over, cut = self.name(f"{stem}_level"), self.name(f"{stem}_step"), self.name("cut")
        steps = tuple(f"{a}|{b}" for a, b in pairwise(y.levels))
        return Grades(tuple(map(canonical, y.levels)), plate, steps, over, cut)

    def _side(self, columns: Sequence[Column], what: str) -> Side:
        """A linear predictor beside that of the mean."""
        labels = distinct(name for name, _ in columns)
        told = tuple((label, self._covariate(*c)) for label, c in zip(labels, columns, strict=True))
        return Side(told, self.name(f"{what}_coef"), self.name(f"beta_{what}"))

    def _column(self, wanted: str, values: Floats) -> str:
        name = self.name(wanted)
        self.data[name] = DataColumn(name, numbers=values)
        return name

    def _covariate(self, wanted: str, values: Floats | None) -> str | None:
        """The covariate that holds a column; equal columns of one name are one covariate."""
        if values is None:
            return None
        same = self.covariates.setdefault(wanted, [])
        for name, known in same:
            if known is values or np.array_equal(known, values):
                return name
        same.append((self._column(wanted.replace("`", ""), values), values))
        return same[-1][0]

    # -- random terms

    def _random(self) -> None:
        """Nodes of the random terms in the order of the formula; `parts` follows them."""
        first: dict[str, int] = {}
        every = zip(self.formula.bars, self.effects, self.formula.parts, strict=True)
        for place, (bar, effects, part) in enumerate(every):
            stem = plain(bar.group) if part == "cond" else f"{part}_{plain(bar.group)}"
            count = first.get(stem, 0)
            first[stem] = count + 1
            if len(effects) == 1 or bar.structure == "diag":
                shared = ""
                for j, effect in enumerate(effects):
                    own = stem if not (count or j) else f"{stem}_{plain(effect[0])}"
                    node = self.name(f"b_{own}")
                    shared = shared if bar.equal and shared else self.name(f"tau_{own}")
                    self.nodes.append(RandomNode(self.plate[bar.group], (effect,), node, shared, part=part))
                    self.parts.append(Part(place, (j,)))
                continue
            own = stem if not count else f"{stem}_{plain(effects[0][0])}"
            over = self.name(f"{own}_term")
            pair = (over, self.name(f"{over}2"))
            labels = distinct(e[0] for e in effects)
            told = tuple((label, e[1]) for label, e in zip(labels, effects, strict=True))
            node = self.name(f"b_{own}")
            self.parts.append(Part(place, tuple(range(len(effects)))))
            if bar.structure == "us":
                spread = self.name(f"Sigma_{own}")
                self.nodes.append(
                    RandomNode(
                        self.plate[bar.group], told, node, spread, over=pair, structure="us", part=part
                    )
                )
                continue
            self.nodes.append(
                RandomNode(
                    self.plate[bar.group],
                    told,
                    node,
                    self.name(f"tau_{own}"),
                    self.name(f"rho_{own}"),
                    self.name(f"Sigma_{own}"),
                    self.name(f"lag_{own}") if bar.structure == "ar1" else "",
                    pair,
                    bar.structure,
                    bar.equal,
                    part,
                )
            )

    # -- structure of the residuals

    def _more_plates(self, residual: ResidualColumns, levels: dict[str, Levels]) -> None:
        """Plates of the strata and of an autocorrelation's groups, where no random term has them."""
        spec = residual.spec
        more = [(spec.by, spec.strata, residual.strata)]
        if spec.chain is not None:
            more.append((spec.chain.group, spec.chain.factors, residual.group))
        for group, factors, found in more:
            if found is not None and group not in self.plate:
                self.plate[group], self.factors[group], levels[group] = self.name(group), factors, found

    def _residual(self, residual: ResidualColumns) -> None:
        spec, chain = residual.spec, residual.spec.chain
        slopes = [
            (form, self.name("delta"), self._covariate(deparse(node), values), deparse(node))
            for (form, node), values in zip(spec.slopes, residual.covariates, strict=True)
        ]
        phi = self.name("phi") if chain is not None else ""
        self.structure = Structure(
            spec.by,
            () if residual.strata is None else residual.strata.labels,
            tuple(Slope(form, text, node) for form, node, _, text in slopes),
            phi,
            "" if chain is None else chain.group,
            "1" if chain is None else chain.text,
        )
        gap = ""
        if residual.time is not None:
            self.data[self.row] = DataColumn(self.row, numbers=residual.time)
            gap = "" if residual.gap is None else self._column("gap", residual.gap)
        self.residual = Residual(
            self.plate[spec.by] if spec.strata else "",
            tuple((form, node, str(covariate)) for form, node, covariate, _ in slopes),
            phi,
            self.name("mu") if phi else "",
            self.name("scale") if phi else "",
            gap,
            self._members(chain.group) if chain is not None else (),
        )
        codes = None if residual.strata is None else residual.strata.codes
        group = None if residual.group is None else residual.group.codes
        self.residual_rows = ResidualRows(codes, residual.covariates, group, residual.time)

    def _members(self, group: str) -> tuple[tuple[str, str], ...]:
        """The plates that rows in an autocorrelation's group do not lie in; their level columns become
        those of covariates."""
        sets = {g: frozenset(name for name, _ in f) for g, f in self.factors.items()}
        found = []
        for other, factors in sets.items():
            if not factors <= sets[group]:
                plate = self.plate[other]
                member = self.name(f"{plate}_of")
                column = self.data.pop(plate)
                labels = tuple(map(canonical, column.labels))  # "0" and 0 are one label, as for a plate's own
                assert column.codes is not None
                made = Factor(column.codes, labels, ranked=True)
                self.data[member] = Grouping(member, codes=column.codes, labels=labels, found=made)
                found.append((plate, member))
        return tuple(found)

    def _layout(self) -> Layout:
        apart = {plate for plate, _ in self.residual.members}
        factors = {g: frozenset(name for name, _ in f) for g, f in self.factors.items()}
        bound = {g: f for g, f in factors.items() if self.plate[g] not in apart}
        parents = {g: _parents(g, bound) for g in sorted(bound, key=lambda g: len(bound[g]))}
        inner = {p for ps in parents.values() for p in ps}
        rows_in = tuple(self.plate[g] for g in bound if g not in inner)
        parents.update({g: () for g in factors if g not in bound})
        plates = tuple((self.plate[g], tuple(self.plate[p] for p in ps)) for g, ps in parents.items())
        return Layout(
            self.call,
            plates,
            self.row,
            rows_in,
            self.response,
            self.fixed,
            self.over,
            self.beta,
            tuple(self.nodes),
            self.reml,
            self.dispersion,
            self.offsets,
            self.weights,
            self.trials,
            self.law.name,
            self.link,
            self.residual,
            self.shape,
            self.zero,
            self.spread,
            self.grades,
        )

    def naming(self, dropped: tuple[str, ...]) -> Naming:
        """lme4's names, with the terms in lme4's order; `parts` is put into that order too."""
        bars = self.formula.bars
        levels = [self.made.groups[bars[p.bar].group].labels for p in self.parts]
        order = sorted(range(len(self.parts)), key=lambda i: -len(levels[i]))
        heads = list(dict.fromkeys(self.parts[i].bar for i in order))
        groups = dict(zip(heads, distinct(bars[b].group for b in heads), strict=True))
        terms = []
        for i in order:
            node, bar = self.nodes[i], self.parts[i].bar
            terms.append(
                RandomTerm(
                    groups[bar],
                    bars[bar].group,
                    tuple(name for name, _ in node.effects),
                    levels[i],
                    node.node,
                    node.spread,
                    node.structure,
                    node.rho,
                    node.equal,
                    node.part,
                )
            )
        self.parts = [self.parts[i] for i in order]
        return Naming(
            self.formula.text,
            self.call,
            self.coefficients,
            self.beta,
            tuple(terms),
            None if self.spread is not None else self.law.shown or self.dispersion or None,
            dropped,
            self.reml,
            self.law.name,
            self.link,
            self.structure,
            self._extras(),
            self.y.levels,
        )

    def _extras(self) -> tuple[Extra, ...]:
        """Estimates beside those of the mean and the random effects."""
        found: list[Extra] = []
        if self.grades is not None:
            found.extend(Extra(s, f"{self.grades.cut}[{s}]", "threshold") for s in self.grades.steps)
        for side, what in ((self.zero, "zi"), (self.spread, "disp")):
            if side is not None:
                found.extend(Extra(f"{what}~{n}", f"{side.beta}[{n}]", what) for n, _ in side.fixed)
        if self.spread is None and self.dispersion and self.law.shown:
            found.append(Extra(self.law.shown, self.dispersion, "dispersion", reciprocal=True))
        elif self.spread is None and self.dispersion:
            kind = "sigma" if self.law.name == "gaussian" else "dispersion"
            found.append(Extra(self.dispersion, self.dispersion, kind))
        if self.shape:
            found.append(Extra(self.shape, self.shape, "shape"))
        return tuple(found)


def _parents(group: str, factors: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The grouping factors that a combination lies in directly: `batch` for `cask:batch`."""
    outer = [g for g, f in factors.items() if f < factors[group]]
    return tuple(g for g in outer if not any(factors[g] < factors[h] for h in outer))
