"""Problem + Unit -> MomentsForm: one representative unit a group gives the structure, all units the
statistics (over 500 lines: one builder, whose steps share its template and places)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import variance_tree
from dagmodels.analysis.unit import Unit
from dagmodels.bind.labels import elements_named
from dagmodels.bind.problem import BoundPlate, Problem, Rows
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms import coordinates as co
from dagmodels.forms.cells import cells
from dagmodels.forms.formulas import Functions
from dagmodels.forms.lower import Lowering, NotLowered, Value
from dagmodels.forms.moments import MomentsForm, Template, Thresholds
from dagmodels.forms.outer import Coordinate, register
from dagmodels.forms.pieces import Piece
from dagmodels.forms.predictor import CONSTANT, Predictor
from dagmodels.forms.vectors import Vector, _joint, _on_plate, matrix
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Head, Joint, Stochastic
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Sample, Structure
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PORTION = 1 << 14  # rows whose products are summed at one time


def build_moments(problem: Problem, unit: Unit) -> MomentsForm:
    """The form of a problem whose graph has an exchangeable unit.

    Raises
    ------
    ModelErrors : data that give no covariances: no units, a covariate with missing values.
    NotLowered : a law that has no such form yet, naming the node.
    """
    if unit.inner:
        from dagmodels.forms.build_levels import build_levels

        return build_levels(problem, unit)
    if unit.errors:
        from dagmodels.forms.build_row_errors import build_row_errors

        return build_row_errors(problem, unit)
    template, group_of = template_of(problem, unit)
    return form_of(problem, template, columns_of_units(problem, template), group_of)


def form_of(problem: Problem, template: Template, values: Floats, group_of: Ints) -> MomentsForm:
    """The form of rows of the template's variables, (units, p); raises as `build_moments`."""
    base = template.structure
    structure, density = base, 0.0
    if template.given.any():
        _check_covariates(problem, template, values)
    sample = sample_of(values, group_of)
    if template.given.any():
        covariances, means = base.covariances.copy(), base.means.copy()
        try:
            density = covariates(template, sample, covariances, means)
        except FloatingPointError as error:
            where = f"the data for model '{problem.graph.name}'"
            raise_all([ModelError(str(error), hint="drop one of them")], where)
        structure = replace(base, covariances=covariances, means=means)
    return MomentsForm(problem, template, structure, sample, group_of, values, density)


def template_of(problem: Problem, unit: Unit) -> tuple[Template, Ints]:
    """What follows from the graph and its plates, and the group of every unit."""
    small, group_of = _representatives(problem, unit)
    return _template(small, unit), group_of


def _template(small: Problem, unit: Unit) -> Template:
    """The template, remembered with the graph for equal plates where no data stand in it."""
    dag = small.graph
    if any(dag.nodes[n].kind != "constant" for n in small.values):
        return _Builder(small, unit).build()
    own = (unit.plate, unit.inner)
    sizes = small.plates[unit.plate].size, tuple(sorted(
        (n, p.levels) for n, p in small.plates.items() if p.base not in own and n not in own
    ))  # fmt: skip
    key = ("moments template", unit, sizes)
    if key not in dag.memo:
        dag.memo[key] = _Builder(small, unit).build()
    return cast(Template, dag.memo[key])


class _Builder:
    """Records one representative unit of each group."""

    def __init__(self, small: Problem, unit: Unit) -> None:
        self.small, self.unit = small, unit
        self.groups = self.small.plates[unit.plate].size
        self.recorder = Recorder()
        self.functions = Functions(self.recorder)
        self.coordinates: dict[str, Coordinate] = {}
        self.factors: dict[str, int] = {}
        self.use = co.uses(small.graph)
        self.lowering = Lowering(self.small, self.recorder, self._outer)
        self.one = self.recorder.start(self.recorder.constant(1.0))
        self.holder = unit.seen(small.graph)  # the node with the data of each that is observed
        self.entries: list[tuple[int, Ints, Ints, Ints, Ints, Floats]] = []  # kind, group, i, j, source, data
        self._number()

    # -- unknowns

    def _outer(self, name: str) -> int:
        node = self.small.graph.nodes[name]
        if node.name in self.unit.nodes or node.role not in ("latent", "parameter"):
            raise NotLowered(f"'{name}' stands where only known numbers and unknowns shared by units can")
        c = co.coordinate(self.small, name, self.use.get(name, ("other", ()))[0])
        self.coordinates[name] = c
        value, factor = register(self.recorder, c)
        if factor is not None:
            self.factors[name] = factor
        places = co.free_places(self.small, name)
        if len(node.statements) == 1 or factor is not None:
            return value
        parts = [(value, places)]
        for share in cells(self.small, name):
            if isinstance(share.statement, Deterministic):
                fixed = self.lowering.value(share.statement.expression, share.rows)
                parts.append((self.lowering.full(fixed, share.rows), share.places))
        return self.recorder.assemble(places.size + sum(p.size for _, p in parts[1:]), parts)

    # -- variables

    def _number(self) -> None:
        """Variables of one unit, and for each element of the small problem its group and variable."""
        self.elements: dict[str, Ints] = {}
        self.variables: list[tuple[str, int]] = []
        group: list[Ints] = []
        variable: list[Ints] = []
        count = 0
        for name in (*self.unit.nodes, *self.unit.derived, *self.unit.covariates):
            shape = self.small.shape(name)
            plates = self.small.graph.nodes[name].plates
            axis = plates.index(self.unit.inner if self.unit.inner in plates else self.unit.plate)
            size = math.prod(shape)
            rest = size // self.groups
            numbers = np.arange(size).reshape(shape)
            g = np.broadcast_to(
                np.arange(self.groups).reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape
            )
            part = np.empty(shape, dtype=np.int64)
            np.moveaxis(part, axis, 0)[...] = np.arange(rest).reshape(np.moveaxis(numbers, axis, 0)[0].shape)
            self.elements[name] = count + np.arange(size)
            group.append(g.reshape(-1))
            variable.append(len(self.variables) + part.reshape(-1))
            self.variables.extend((self.holder.get(name, name), i) for i in range(rest))
            count += size
        self.group, self.variable = np.concatenate(group), np.concatenate(variable)

    def build(self) -> Template:
        dag, unit = self.small.graph, self.unit
        outer = [
            n for n in dag.nodes
            if dag.nodes[n].role in ("latent", "parameter") and n not in unit.nodes and not self._is_known(n)
        ]  # fmt: skip
        for name in outer:
            self.lowering.node(name)
        inside = {*unit.nodes, *unit.derived, *unit.covariates}
        self.predictor = Predictor(self.lowering, inside, set(outer), self.elements, {})
        self.predictor.inlined -= inside
        for name in (*unit.nodes, *unit.derived):
            self._laws(name)
        for statement in dag.statements:
            match statement:
                case Joint(names=names, distribution=d) if names[0] in unit.nodes:
                    if d.family == "Simultaneous":
                        self._simultaneous(statement)
                    else:
                        self._vector(_joint(self.small, statement))
                case Covariance():
                    self._covariance(statement)
                case _:
                    continue
        return self._finish(outer)

    def _is_known(self, name: str) -> bool:
        return name in self.small.values and bool(self.small.observed[name].all())

    def _laws(self, name: str) -> None:
        for share in cells(self.small, name):
            if not isinstance(share.statement, Stochastic):
                if isinstance(share.statement, Deterministic):
                    self._mean(self.elements[name][share.places], share.statement.expression, share.rows)
                continue
            law, child = share.statement.distribution, self.elements[name][share.places]
            if law.family == "Normal":
                self._mean(child, _mu(law), share.rows)
                self._add(
                    COVARIANCE, child, child, self.lowering.value(variance_tree(law), share.rows), share.rows
                )
            elif law.family == "MvNormal":
                self._vector(_on_plate(self.small, share.statement))
            else:
                raise NotLowered(f"'{name}' is {law.family} on a plate, which has no moments form yet")

    def _mean(self, child: Ints, tree: ex.Expression, rows: Rows) -> None:
        for piece in self.predictor.pieces(tree, rows):
            self._piece(child, piece)

    def _piece(self, child: Ints, piece: Piece) -> None:
        head = child if piece.owner is None else child[piece.owner]
        parent = np.broadcast_to(np.asarray(piece.element, dtype=np.int64), head.shape)
        source = np.broadcast_to(np.asarray(piece.source, dtype=np.int64), head.shape)
        data = np.broadcast_to(np.asarray(piece.data, dtype=np.float64), head.shape)
        level = parent == CONSTANT
        for at, kind in ((level, MEAN), (~level, PATH)):
            if at.any():
                i = self.variable[head[at]]
                j = np.zeros_like(i) if kind == MEAN else self.variable[parent[at]]
                self.entries.append((kind, self.group[head[at]], i, j, source[at], data[at]))

    def _add(self, kind: int, left: Ints, right: Ints, value: Value, rows: Rows) -> None:
        source = np.broadcast_to(self.predictor.source(value, rows), left.shape)
        self.entries.append(
            (kind, self.group[left], self.variable[left], self.variable[right], source, np.ones(left.size))
        )

    def _vector(self, vector: Vector) -> None:
        law = matrix(self.lowering, vector, self.factors)
        if law.covariance is None:
            raise NotLowered("a vector node without a covariance matrix has no moments form")
        k, start = vector.order, self.recorder.start(law.covariance)
        child = [self.elements[c.node][c.places] for c in vector.components]
        for j, component in enumerate(vector.components):
            self._mean(child[j], component.mean, component.rows)
            for m in range(j + 1):
                source = start + law.block * (k * k) + j * k + m
                i, at = self.variable[child[j]], self.variable[child[m]]
                self.entries.append((COVARIANCE, self.group[child[j]], i, at, source, np.ones(i.size)))

    def _simultaneous(self, statement: Joint) -> None:
        rows = self.small.rows(statement.plates)
        child = [self.elements[name][np.arange(rows.n)] for name in statement.names]
        means = statement.distribution.argument("mu")
        items = means.items if isinstance(means, ex.Vector) else (means,) * len(child)
        for c, tree in zip(child, items, strict=True):
            assert isinstance(tree, ex.Expression)
            self._mean(c, tree, rows)
        for kind, key in ((PATH, "B"), (COVARIANCE, "cov")):
            table = statement.distribution.argument(key)
            if not isinstance(table, ex.Vector):
                raise NotLowered(f"'{statement.names[0]}': {key} of Simultaneous must be written out")
            for i, line in enumerate(table.items):
                assert isinstance(line, ex.Vector)
                for j, tree in enumerate(line.items):
                    if tree == ex.Number(0) or (kind == COVARIANCE and j > i):
                        continue
                    self._add(kind, child[i], child[j], self.lowering.value(tree, rows), rows)

    def _covariance(self, statement: Covariance) -> None:
        left, rows = self._head(statement.left)
        right, other = self._head(statement.right)
        if left.size != right.size or (self.group[left] != self.group[right]).any():
            raise NotLowered(
                f"'{statement.left.name} ~~ {statement.right.name}' ties nodes of different plates"
            )
        del other
        self._add(COVARIANCE, left, right, self.lowering.value(statement.expression, rows), rows)

    def _head(self, head: Head) -> tuple[Ints, Rows]:
        """Elements of a head of `~~`, levels honoured, and their rows."""
        node = self.small.graph.nodes[head.name]
        rows = self.small.rows(node.plates)
        keep = np.ones(rows.n, dtype=bool)
        for plate, slot in zip(node.plates, head.slots or (), strict=False):
            if slot.label is not None:
                keep &= np.isin(rows.codes[plate], elements_named(self.small, plate, slot.label))
        at = np.flatnonzero(keep)
        if at.size == rows.n:
            return self.elements[head.name], rows
        return self.elements[head.name][at], Rows(at.size, {p: c[at] for p, c in rows.codes.items()})

    def _finish(self, outer: list[str]) -> Template:
        t, groups, dag = len(self.variables), self.groups, self.small.graph
        given = np.array([n in self.unit.covariates for n, _ in self.variables])
        observed = np.flatnonzero(given | np.array([dag.nodes[n].observed for n, _ in self.variables]))
        cut = self._thresholds()
        prior = self._priors(outer)
        kind, group, i, j, source, data = self._joined()
        base = np.zeros((groups, t, t)), np.zeros((groups, t, t)), np.zeros((groups, t))
        tape = self.recorder.finish()
        fixed_places = _known_places(tape)
        fixed = fixed_places[source]
        number = data * tape.initial[source]
        for b, k in zip(base, (PATH, COVARIANCE, MEAN), strict=True):
            at = fixed & (kind == k)
            index = (group[at], i[at]) if k == MEAN else (group[at], i[at], j[at])
            np.add.at(b, index, number[at])
            if k == COVARIANCE:
                off = at & (i != j)
                np.add.at(b, (group[off], j[off], i[off]), number[off])
        free = ~fixed
        coordinates = tuple(self.coordinates.values())
        x_places = [np.arange(*_span(tape.inputs[c.node])) for c in coordinates]
        return Template(
            small=self.small,
            structure=Structure(observed, *base, kind[free], group[free], i[free], j[free]),
            variables=tuple(self.variables),
            given=given[observed],
            units=self.unit.plate,
            source=source[free],
            data=data[free],
            tape=tape,
            coordinates=coordinates,
            x_places=np.concatenate([np.zeros(0, np.int64), *x_places]),
            outer_registers={c.node: self.lowering.node(c.node) for c in coordinates},
            prior_places=prior[0],
            prior_counts=prior[1],
            inner=np.array([self.unit.inner in dag.nodes[n].plates for n, _ in self.variables]),
            inner_units=self.unit.inner,
            thresholds=None if cut is None else _split(cut, fixed_places, tape.initial, groups),
        )

    def _thresholds(self) -> tuple[Ints, Ints, Ints, Ints] | None:
        """Variable, number, group and place in the workspace of every threshold."""
        found: list[tuple[int, int, int, int]] = []
        for cut in self.unit.cuts:
            rows = self.small.rows(self.small.graph.nodes[cut.name].plates)
            here = self.elements[cut.response]
            for k, tree in enumerate(cut.thresholds):
                source = np.broadcast_to(
                    self.predictor.source(self.lowering.value(tree, rows), rows), here.shape
                )
                found += [
                    (int(self.variable[e]), k, int(self.group[e]), int(p))
                    for e, p in zip(here.tolist(), source.tolist(), strict=True)
                ]
        if not found:
            return None
        variable, which, group, place = np.array(found, dtype=np.int64).T
        return variable, which, group, place

    def _joined(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
        kind = np.concatenate([np.full(e[1].size, e[0]) for e in self.entries])
        group, i, j, source, data = (np.concatenate([e[c] for e in self.entries]) for c in range(1, 6))
        return kind, group, i, j, source, data

    def _priors(self, outer: list[str]) -> tuple[Ints, Floats]:
        places, counts = [np.zeros(0, np.int64)], [np.zeros(0)]
        for name in outer:
            for place, times in co.log_prior(self.lowering, self.functions, name):
                start, length = self.recorder.start(place), self.recorder.length(place)
                places.append(np.arange(start, start + length))
                counts.append(np.full(length, -2.0 * times))
        for name in outer:
            self.recorder.start(self.lowering.node(name))
        return np.concatenate(places), np.concatenate(counts)


def _split(
    cut: tuple[Ints, Ints, Ints, Ints], fixed: NDArray[np.bool_], initial: Floats, groups: int
) -> Thresholds:
    """Thresholds that are known apart from those that vary."""
    variable, which, group, place = cut
    key, slot = np.unique(np.stack([variable, which], axis=1), axis=0, return_inverse=True)
    slot = slot.reshape(-1)
    base, known = np.zeros((groups, len(key))), fixed[place]
    base[group[known], slot[known]] = initial[place[known]]
    free = ~known
    return Thresholds(
        key[:, 0], key[:, 1], base, group[free], slot[free], place[free], np.ones(int(free.sum()))
    )


def columns_of_units(problem: Problem, template: Template) -> Floats:
    """(units, p) values of the observed variables."""
    return np.array([column(problem, template, v) for v in template.structure.observed.tolist()]).T


def column(problem: Problem, template: Template, variable: int) -> Floats:
    """The values of an observed variable, one an element of its units' plate."""
    name, part = template.variables[variable]
    return by_unit(problem, template, variable, problem.values[name])[:, part]


def by_unit(problem: Problem, template: Template, variable: int, whole: Floats) -> Floats:
    """Numbers of a variable's node, a row each element of its units' plate, a column each other."""
    plates = problem.graph.nodes[template.variables[variable][0]].plates
    axis = plates.index(template.inner_units if template.inner[variable] else template.units)
    return np.moveaxis(whole, axis, 0).reshape(whole.shape[axis], -1)


def _check_covariates(problem: Problem, template: Template, values: Floats) -> None:
    columns = np.flatnonzero(template.given)
    names = _covariate_names(template)
    gaps = np.isnan(values[:, columns]).any(axis=0)
    hint = "declare it observed and give it a distribution"
    raise_all(
        [
            ModelError(f"covariate '{n}' has missing values", node=n, hint=hint)
            for n, gap in zip(names, gaps.tolist(), strict=True)
            if gap
        ],
        f"the data for model '{problem.graph.name}'",
    )


def _covariate_names(template: Template) -> list[str]:
    at = template.structure.observed[template.given]
    return [template.variables[v][0] for v in at.tolist()]


def covariates(template: Template, sample: Sample, covariances: Floats, means: Floats) -> float:
    """Covariates keep their sample moments, written in place; minus twice the log of their density there.

    Raises
    ------
    FloatingPointError : they are constant or combinations of one another in some group.
    """
    columns = np.flatnonzero(template.given)
    at = template.structure.observed[columns]
    total = 0.0
    for g in range(len(means)):
        cells = np.flatnonzero(sample.group == g)
        n = sample.n[cells]
        here = sample.mean[np.ix_(cells, columns)]
        mean = n @ here / n.sum()
        away = here - mean
        within = sample.cov[np.ix_(cells, columns, columns)]
        cov = np.tensordot(n / n.sum(), within + away[:, :, None] * away[:, None, :], axes=1)
        covariances[np.ix_([g], at, at)] = cov
        means[g, at] = mean
        sign, logdet = np.linalg.slogdet(cov)
        if not (sign > 0 and math.isfinite(logdet)):
            told = ", ".join(f"'{n}'" for n in _covariate_names(template))
            raise FloatingPointError(f"the covariates {told} are constant or combinations of one another")
        total += float(n.sum()) * (columns.size * (math.log(2 * math.pi) + 1.0) + float(logdet))
    return total


def _mu(d: Distribution) -> ex.Expression:
    value = d.argument("mu")
    return value if isinstance(value, ex.Expression) else ex.Number(0)


def _span(place: tuple[int, int]) -> tuple[int, int]:
    return place[0], place[0] + place[1]


def _known_places(tape: object) -> NDArray[np.bool_]:
    """Places of the workspace that no input reaches."""
    initial, inputs = tape.initial, tape.inputs  # type: ignore[attr-defined]
    known = np.ones(initial.size, dtype=bool)
    for start, length in inputs.values():
        known[start : start + length] = False
    out, start, length = tape.operations[1], tape.operations[6], tape.operations[7]  # type: ignore[attr-defined]
    for r in out.tolist():
        known[int(start[r]) : int(start[r] + length[r])] = False
    return known


def _representatives(problem: Problem, unit: Unit) -> tuple[Problem, Ints]:
    """The problem with the first unit of each group, and the group of every unit."""
    plate = problem.plates[unit.plate]
    n = plate.size
    if n == 0:
        raise_all([ModelError(f"plate '{unit.plate}' has no elements")], "the data")
    codes = problem.rows((unit.plate,)).codes
    if unit.groups:
        table = np.stack([codes[p] for p in unit.groups], axis=1)
        _, first, of = np.unique(table, axis=0, return_index=True, return_inverse=True)
    else:
        first, of = np.zeros(1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    chosen = {unit.plate: _some(plate, first, {})}
    if unit.inner:  # one element of the first cluster of each group
        below = problem.plates[unit.inner]
        of_cluster = below.parents[unit.plate]
        _, element = np.unique(of_cluster, return_index=True)
        chosen[unit.inner] = _some(below, element[first], {unit.plate: np.arange(first.size)})
    plates: Mapping[str, BoundPlate] = {name: chosen.get(name, p) for name, p in problem.plates.items()}
    own = set(chosen)
    keep = [n for n in problem.values if not own & set(problem.graph.nodes[n].plates)]
    return (
        Problem(
            problem.graph,
            plates,
            {n: problem.values[n] for n in keep},
            {n: problem.observed[n] for n in keep},
        ),
        of.reshape(-1),
    )


def _some(plate: BoundPlate, elements: Ints, parents: Mapping[str, Ints]) -> BoundPlate:
    """A plate of some of another's elements; `parents` that are renumbered."""
    return BoundPlate(
        plate.name,
        tuple(plate.levels[i] for i in elements.tolist()),
        {p: parents.get(p, c[elements]) for p, c in plate.parents.items()},
        plate.base,
    )


def _patterns(values: Floats, group_of: Ints) -> tuple[Ints, Ints]:
    """Numbers of the group and missing pattern of each row, and a row of each."""
    there = ~np.isnan(values)
    if there.all():
        if not group_of.any():
            return group_of, np.zeros(min(1, group_of.size), dtype=np.int64)
        _, first = np.unique(group_of, return_index=True)
        return group_of, first
    keys = np.concatenate([group_of[:, None], np.packbits(there, axis=1)], axis=1)
    _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return of.reshape(-1), first


def cells_of_rows(values: Floats, group_of: Ints) -> Ints:
    """The cell of the form's sample that each row is in; -1 for rows without any value."""
    of, first = _patterns(values, group_of)
    some = ~np.isnan(values[first]).all(axis=1)
    return np.where(some, np.cumsum(some) - 1, -1)[of]


def sample_of(values: Floats, group_of: Ints) -> Sample:
    """Statistics by group and missing pattern; rows without any value say nothing."""
    of, first = _patterns(values, group_of)
    found = []
    for c in range(len(first)):
        part = values[of == c] if len(first) > 1 else values
        mask = ~np.isnan(part[0])
        if not mask.any():
            continue
        mean = np.where(mask, part.mean(axis=0), 0.0)
        cov = np.zeros((mask.size, mask.size))
        for begin in range(0, len(part), PORTION):  # no second copy of many rows
            away = part[begin : begin + PORTION] - mean
            if not mask.all():
                away[:, ~mask] = 0.0
            cov += away.T @ away
        found.append((int(group_of[first[c]]), float(len(part)), mask, mean, cov / len(part)))
    group, n, mask, mean, cov = zip(*found, strict=True)
    return Sample(np.array(group), np.array(n), np.stack(mask), np.stack(mean), np.stack(cov))
