"""Cases of a conditional linear-Gaussian network whose numbers are unknown, as arrays over joint states.

One case has discrete nodes with tables and Normal nodes whose means are linear in other Normal nodes and in
covariates. Over each joint state of the discrete nodes a mean is base + design @ theta: coefficients of the
vector u = (1, covariates, Normal nodes), linear in the unknown locations theta.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.linearity import depends, linear_form
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.gaussians import read_by
from dagmodels.forms.table_values import NoTable, States, Value
from dagmodels.forms.tables import TRUTH, states_of
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.cases import off_cases
from dagmodels.graph.dag import Dag, Node, expressions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST = 1 << 12  # joint states
LARGEST = 5 * 10**7  # cases times joint states


@dataclass(frozen=True, eq=False, slots=True)
class Law:
    """Of one Normal node, over the joint states.

    base : (states, u) coefficients that are known. design : (states, u, locations).
    scale : (states,) which unknown scale, -1 for a known one. known : (states,) known scales.
    """

    base: Floats
    design: Floats
    scale: Ints
    known: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Shares:
    """Of one discrete node, over the joint states.

    cell : (states,) which unknown probability, -1 for a known one. known : (states,) known probabilities.
    """

    cell: Ints
    known: Floats


@dataclass(frozen=True, eq=False, slots=True)
class LinearCases:
    """The form.

    discrete, normal, covariates : names. digits : (states, discrete) state of each discrete node.
    locations, scales : elements of unknowns, (node, flat place). cells : of probabilities; rows : which of
    them sum to one, by row; a probability by itself has a second cell that is its complement (place -1).
    codes : (cases, discrete), -1 where not seen. values : (cases, u), nan where not seen.
    """

    problem: Problem
    plate: str
    discrete: tuple[str, ...]
    normal: tuple[str, ...]
    covariates: tuple[str, ...]
    sizes: tuple[int, ...]
    digits: Ints
    locations: tuple[tuple[str, int], ...]
    scales: tuple[tuple[str, int], ...]
    cells: tuple[tuple[str, int], ...]
    rows: tuple[tuple[int, ...], ...]
    laws: tuple[Law, ...]
    shares: tuple[Shares, ...]
    codes: Ints
    values: Floats

    @property
    def first(self) -> int:
        """Where the Normal nodes begin in u."""
        return 1 + len(self.covariates)


def plate_of_cases(dag: Dag) -> str | None:
    """The plate in which every node with a law lies alone; None where there is none."""
    laws = [n for n in dag.nodes.values() if n.kind == "stochastic"]
    plates = {n.plates for n in laws}
    if len(plates) != 1 or len(found := plates.pop()) != 1 or dag.plate[found[0]].alias_of is not None:
        return None
    return found[0]


def why_not(dag: Dag) -> str:
    """Why a graph is no network of such cases, or nothing; what its trees say is told by `linear_cases`."""
    plate = plate_of_cases(dag)
    if plate is None:
        return "nodes do not lie in one plate of cases"
    for node in dag.nodes.values():
        if node.kind == "stochastic":
            law = _law(node)
            if law is None:
                return f"'{node.name}' has several statements, or shares one"
            if law.family not in ("Normal", "Categorical", "Bernoulli", "Table"):
                return f"'{node.name}' is {law.family}"
        if node.kind == "covariate" and node.values_in is not None:
            return f"'{node.name}' is a covariate with states: write observed {node.name} ~ Categorical(...)"
    if dag.covariances:
        return "residual covariances (~~) beside discrete nodes"
    for node in dag.nodes.values():
        trees = [t for s in node.statements for t in expressions(s)]
        if any(isinstance(i, ex.LagIndex) for t in trees for r in ex.references(t) for i in r.indices or ()):
            return f"'{node.name}' depends on an element before it"
        if node.kind == "stochastic" and (law := _law(node)) is not None and law.family != "Normal":
            for name in sorted(read_by(dag, node.name)):
                above = _law(dag.nodes[name])
                if above is not None and above.family == "Normal":
                    return f"'{node.name}' is discrete and depends on '{name}', which is not"
    return ""


def _law(node: Node) -> st.Distribution | None:
    statement = node.statements[0]
    alone = len(node.statements) == 1 and isinstance(statement, st.Stochastic)
    return statement.distribution if alone and not statement.head.slots[0].first else None  # type: ignore[union-attr]


def linear_cases(problem: Problem) -> LinearCases:
    """The form of bound cases.

    Raises
    ------
    FitError : what it does not hold, by node.
    """
    if "linear cases" not in problem.memo:
        try:
            problem.memo["linear cases"] = _Builder(problem).build()
        except NoTable as error:
            raise FitError(f"em: {error}") from error
    return problem.memo["linear cases"]


class _Builder:
    """Reads trees at the states of one case."""

    def __init__(self, problem: Problem) -> None:
        dag = problem.graph
        plate = plate_of_cases(dag)
        assert plate is not None
        self.problem, self.plate = problem, plate
        unstated = [p.name for p in dag.plates if p.levels is None and p.alias_of is None and p.name != plate]
        self.dag = _inlined(off_cases(dag, plate, {p: _labels(problem, p) for p in unstated}))
        laws = [n for n, node in dag.nodes.items() if node.kind == "stochastic"]
        self.normal = tuple(n for n in dag.order if n in laws and self.law(n).family == "Normal")
        self.discrete = tuple(n for n in laws if n not in self.normal)
        self.covariates = tuple(n for n, node in dag.nodes.items() if node.kind == "covariate")
        self.parameters = tuple(n for n, node in dag.nodes.items() if node.kind == "parameter")
        self.shape = {n: problem.shape(n) for n in self.parameters}
        self.states = self._states(self.discrete)
        self.sizes = tuple(len(self.states.labels[n]) for n in self.discrete)
        if math.prod(self.sizes) > MOST:
            raise NoTable(f"the discrete nodes of a case have {math.prod(self.sizes):.3g} joint states")

    def law(self, name: str) -> st.Distribution:
        statement = self.dag.nodes[name].statements[0]
        assert isinstance(statement, st.Stochastic)
        return statement.distribution

    def _states(self, names: Sequence[str]) -> States:
        labels: dict[str, tuple[ex.Label, ...]] = {}
        for name in names:
            values_in = self.dag.nodes[name].values_in
            labels[name] = (
                TRUTH if values_in is None else self.dag.plate[self.dag.base(values_in)].levels or ()
            )
        return states_of(self.dag, labels)

    def at(self, tree: ex.Expression, values: Mapping[str, Floats]) -> Value:
        """A tree with numbers for its parameters."""
        known = {n: Value(values.get(n, np.zeros(self.shape[n])), self._plates(n)) for n in self.parameters}
        return replace(self.states, known=known).value(tree)

    def _plates(self, name: str) -> tuple[str, ...]:
        return self.problem.graph.nodes[name].plates

    def joint(self, value: Value) -> Floats:
        """(states,) over all discrete nodes."""
        lost = [a for a in value.axes if a not in self.discrete]
        if lost:
            raise NoTable(f"a law is written for all elements of '{lost[0]}' at once")
        return np.broadcast_to(value.on(self.discrete), self.sizes).reshape(-1)

    def named(self, tree: ex.Expression) -> list[str]:
        return [n for n in self.parameters if depends(tree, {n})]

    def build(self) -> LinearCases:
        u = {n: i for i, n in enumerate(("", *self.covariates, *self.normal))}
        forms = {n: self._mean(n) for n in self.normal}
        used = {p for trees in forms.values() for tree in trees.values() for p in self.named(tree)}
        self._refuse_domains(used)
        locations = [(n, i) for n in self.parameters if n in used for i in range(math.prod(self.shape[n]))]
        scales: dict[tuple[str, int], int] = {}
        laws = [self._normal(n, forms[n], u, locations, scales) for n in self.normal]
        cells: dict[tuple[str, int], int] = {}
        rows: dict[tuple[int, ...], None] = {}
        shares = [self._discrete(n, cells, rows) for n in self.discrete]
        both = {n for n, _ in locations} & {n for n, _ in scales}
        if both:
            raise NoTable(f"'{min(both)}' is a location and a scale")
        digits = np.indices(self.sizes).reshape(len(self.sizes), -1).T
        codes, values = self._data()
        if len(codes) * len(digits) > LARGEST:
            raise NoTable(f"{len(codes)} cases of {len(digits)} joint states are too many")
        return LinearCases(
            self.problem, self.plate, self.discrete, self.normal, self.covariates, self.sizes, digits,
            tuple(locations), tuple(scales), tuple(cells), tuple(rows), tuple(laws), tuple(shares),
            codes, values,
        )  # fmt: skip

    def _mean(self, name: str) -> dict[str, ex.Expression]:
        """Trees of the mean's coefficients, "" for the intercept."""
        law, names = self.law(name), frozenset((*self.normal, *self.covariates))
        mean = law.argument("mu")
        form = linear_form(mean, names) if isinstance(mean, ex.Expression) else None
        if form is None or any(t.plates for t in form.terms):
            raise NoTable(
                f"the mean of '{name}' is not linear in the continuous nodes that it reads", node=name
            )
        found: dict[str, ex.Expression] = {"": form.offset}
        for term in form.terms:
            old = found.get(term.reference.name)
            found[term.reference.name] = term.coefficient if old is None else old + term.coefficient
        for at, tree in found.items():
            own = linear_form(tree, frozenset(self.parameters))
            if own is None:
                what = f"coefficient of '{at}'" if at else "intercept"
                raise NoTable(f"the {what} of '{name}' is not linear in the parameters", node=name)
        return found

    def _normal(
        self,
        name: str,
        trees: Mapping[str, ex.Expression],
        u: Mapping[str, int],
        locations: Sequence[tuple[str, int]],
        scales: dict[tuple[str, int], int],
    ) -> Law:
        count = math.prod(self.sizes)
        base, design = np.zeros((count, len(u))), np.zeros((count, len(u), len(locations)))
        for at, tree in trees.items():
            start = self.joint(self.at(tree, {}))
            base[:, u[at]] = start
            named = self.named(tree)
            for m, (node, place) in enumerate(locations):
                if node in named:
                    unit = np.zeros(math.prod(self.shape[node]))
                    unit[place] = 1.0
                    moved = self.at(tree, {node: unit.reshape(self.shape[node])})
                    design[:, u[at], m] = self.joint(moved) - start
        scale, known = self._scale(name, scales)
        return Law(base, design, scale, known)

    def _scale(self, name: str, scales: dict[tuple[str, int], int]) -> tuple[Ints, Floats]:
        tree = self.law(name).argument("sigma")
        if not isinstance(tree, ex.Expression):
            raise NoTable(f"'{name}' states no sigma", node=name, hint="write Normal(mean, sigma)")
        named = self.named(tree)
        count = math.prod(self.sizes)
        if not named:
            return np.full(count, -1), self.joint(self.at(tree, {}))
        return self._places(name, "sigma", tree, scales), np.ones(count)

    def _places(self, name: str, what: str, tree: ex.Expression, found: dict[tuple[str, int], int]) -> Ints:
        """Which element of a parameter stands at each joint state."""
        if not isinstance(tree, ex.Reference) or tree.name not in self.parameters:
            told = f"the {what} of '{name}' is not a parameter by itself"
            raise NoTable(told, node=name, hint="write a parameter there, such as s[kind]")
        size = math.prod(self.shape[tree.name])
        index = {tree.name: np.arange(float(size)).reshape(self.shape[tree.name])}
        places = self.joint(self.at(tree, index)).astype(np.int64)
        numbers = {p: found.setdefault((tree.name, p), len(found)) for p in np.unique(places).tolist()}
        return np.array([numbers[p] for p in places.tolist()])

    def _discrete(
        self, name: str, cells: dict[tuple[str, int], int], rows: dict[tuple[int, ...], None]
    ) -> Shares:
        law, count = self.law(name), math.prod(self.sizes)
        own = np.indices(self.sizes).reshape(len(self.sizes), -1)[self.discrete.index(name)]
        if law.family == "Table":
            from dagmodels.forms.tables import tables_of

            net = tables_of(self.dag, [n for n in self.discrete if self.law(n).family == "Table"])
            if net.numbers[net.index[name]] is None:
                told = f"the Table of '{name}' has no numbers"
                raise NoTable(told, node=name, hint="write Categorical(p) with a simplex parameter p")
            family = tuple(net.names[i] for i in net.families[net.index[name]])
            return Shares(np.full(count, -1), self.joint(Value(net.known[net.index[name]], family)))
        tree = law.argument("p")
        if not isinstance(tree, ex.Expression):
            raise NoTable(f"the law of '{name}' is not understood", node=name)
        if law.family == "Bernoulli":
            if not self.named(tree):
                p = self.joint(self.at(tree, {}))
                return Shares(np.full(count, -1), np.where(own == 1, p, 1 - p))
            places = self._places(name, "probability", tree, cells)
            pairs = {}
            for at in np.unique(places).tolist():
                element = list(cells)[at]
                pairs[at] = cells.setdefault((element[0], -1 - element[1]), len(cells))
                rows.setdefault((at, pairs[at]))
            return Shares(np.where(own == 1, places, [pairs[p] for p in places.tolist()]), np.ones(count))
        return self._categorical(name, tree, own, cells, rows)

    def _categorical(
        self,
        name: str,
        tree: ex.Expression,
        own: Ints,
        cells: dict[tuple[str, int], int],
        rows: dict[tuple[int, ...], None],
    ) -> Shares:
        count = math.prod(self.sizes)
        named = self.named(tree)
        index: dict[str, Floats] = {}
        if named:
            if not isinstance(tree, ex.Reference) or tree.name not in self.parameters:
                told = f"the probabilities of '{name}' are not a parameter by themselves"
                raise NoTable(told, node=name, hint="write Categorical(p) with a simplex parameter p")
            size = math.prod(self.shape[tree.name])
            index = {tree.name: np.arange(float(size)).reshape(self.shape[tree.name])}
        value = self.at(tree, index)
        last = value.axes[-1]
        if last in self.discrete:
            raise NoTable(f"the probabilities of '{name}' are no vector", node=name)
        vector = Value(value.numbers, (*value.axes[:-1], name))
        numbers = self.joint(vector)
        if not named:
            return Shares(np.full(count, -1), numbers)
        node = tree.name  # type: ignore[union-attr]
        flat = numbers.astype(np.int64)
        width = self.shape[node][-1]
        for first in np.unique(flat - flat % width).tolist():
            row = tuple(cells.setdefault((node, first + k), len(cells)) for k in range(width))
            rows.setdefault(row)
        return Shares(np.array([cells[node, p] for p in flat.tolist()]), np.ones(count))

    def _refuse_domains(self, used: set[str]) -> None:
        for name in sorted(used):
            statement = self.problem.graph.nodes[name].statements[0]
            if isinstance(statement, st.Parameter) and statement.domain is not None:
                told = f"'{name}' is a location with a domain"
                raise NoTable(told, node=name, hint="leave the domain out: its maximum is in closed form")

    def _data(self) -> tuple[Ints, Floats]:
        n = self.problem.plates[self.plate].size
        codes = np.full((n, len(self.discrete)), -1, dtype=np.int64)
        for i, name in enumerate(self.discrete):
            if name in self.problem.values:
                given = self.problem.values[name].reshape(-1)
                codes[:, i] = np.where(np.isnan(given), -1, given)
        values = np.full((n, 1 + len(self.covariates) + len(self.normal)), np.nan)
        values[:, 0] = 1.0
        for i, name in enumerate((*self.covariates, *self.normal)):
            if name in self.problem.values:
                array = self.problem.values[name]
                values[:, 1 + i] = array.reshape(-1) if array.ndim else array
        return codes, values


def _labels(problem: Problem, plate: str) -> tuple[ex.Label, ...]:
    levels = problem.plates[plate].levels
    return tuple(x if isinstance(x, int) and not isinstance(x, bool) else str(x) for x in levels)


def _inlined(dag: Dag) -> Dag:
    """Computed single nodes in the place of references to them."""
    computed = {
        n: s.expression
        for n, node in dag.nodes.items()
        if len(node.statements) == 1
        and isinstance(s := node.statements[0], st.Deterministic)
        and not s.head.slots
    }
    if not computed:
        return dag

    def change(tree: ex.Expression) -> ex.Expression:
        if isinstance(tree, ex.Reference) and tree.name in computed and not tree.indices:
            return ex.rebuild(computed[tree.name], change)
        return tree

    statements: list[st.Statement] = []
    for statement in dag.statements:
        if isinstance(statement, st.Stochastic):
            law = statement.distribution
            arguments = tuple(
                (k, ex.rebuild(v, change) if isinstance(v, ex.Expression) else v) for k, v in law.arguments
            )
            statement = replace(statement, distribution=replace(law, arguments=arguments))
        statements.append(statement)
    return Dag(dag.name, dag.plates, tuple(statements), dag.data_file, dag.source, dag.remarks)
