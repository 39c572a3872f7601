"""Leaves that are not Normal and linear: their log density by row as a function of linear predictors.

A row's density is read as g(eta_1, ..., eta_K; outer unknowns, data), each eta the largest part of the
law's arguments that is linear in the block.  The predictors are inputs of the tape, so that the
quadratic expansion of g anywhere is a Gaussian leaf: weights W = -g'' and loads g' + W eta are registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.general import IDENTITY
from dagmodels.analysis.linearity import depends, linear_form
from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import cells
from dagmodels.forms.formulas import Traced
from dagmodels.forms.jet_tails import Entries
from dagmodels.forms.jets import Jet, Jets
from dagmodels.forms.leaf_laws import LawReader
from dagmodels.forms.lower import NotLowered, Value, expand
from dagmodels.forms.predictor import Predictor
from dagmodels.forms.scales import back, log_jacobian
from dagmodels.forms.vectors import free_plates
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_PREDICTORS = 8


@dataclass(frozen=True, eq=False, slots=True)
class Expansion:
    """Registers of one leaf, one entry a row.

    density : the log density. slopes : by predictor. weights : minus the second derivatives by pair
        (first <= second); absent ones are zero. inputs : the tape's input of each predictor.
    predictors : their trees and the rows these are read on.
    """

    density: int
    slopes: dict[int, int]
    weights: dict[tuple[int, int], int]
    inputs: list[int]
    predictors: list[tuple[ex.Expression, Rows]]


class LeafReader:
    """Reads the arguments of one leaf's law as jets; see the module.

    Parameters
    ----------
    predictor : knows what is linear in the block.
    jets : the namespace.
    name, number : of the leaf.
    rows : its rows.
    """

    def __init__(self, predictor: Predictor, jets: Jets, name: str, number: int, rows: Rows) -> None:
        self.predictor = predictor
        self.lowering = predictor.lowering
        self.problem: Problem = self.lowering.problem
        self.jets = jets
        self.name = name
        self.number = number
        self.rows = rows
        self.linear = predictor.linear
        self.curved = curved_nodes(predictor)
        self.predictors: list[tuple[ex.Expression, Rows]] = []
        self.inputs: list[int] = []

    def expansion(self, law: Distribution, y: Floats) -> Expansion:
        """The law's log density at the data, with derivatives in the predictors."""
        given = self.jets.jet(self.jets.functions.traced(self.lowering.recorder.constant(y)))
        return self._expansion(self._density(law, given))

    def prior(self, law: Distribution) -> Expansion:
        """The log density of the latent of this name on its unconstrained scale, with derivatives."""
        plates = self.problem.graph.nodes[self.name].plates
        z = self._linear(ex.Reference(self.name, tuple(ex.PlateIndex(p) for p in plates)), self.rows)
        scale = self.predictor.general[self.name]
        x = back(self.jets, scale, z)
        return self._expansion(self._density(law, x) + log_jacobian(self.jets, scale, z, x))

    def _density(self, law: Distribution, given: Jet) -> Jet:
        reader = LawReader(lambda tree: self.number_of(tree, self.rows), self._vector, self.jets)
        try:
            return reader.log_density(law, given)
        except NotLowered as error:
            told = (
                str(error) if f"'{self.name}'" in str(error) else f"'{self.name}' has no tape form: {error}"
            )
            raise NotLowered(told) from error

    def _expansion(self, density: Jet) -> Expansion:
        return Expansion(
            self._full(density.value),
            {k: self._full(x) for k, x in density.first.items()},
            {pair: self._full(-x) for pair, x in density.second.items()},
            self.inputs,
            self.predictors,
        )

    def _full(self, x: Traced) -> int:
        recorder = self.lowering.recorder
        if recorder.length(x.register) == self.rows.n:
            return x.register
        return recorder.gather(x.register, np.zeros(self.rows.n, dtype=np.int64))

    def number_of(self, tree: ex.Expression, rows: Rows) -> Jet:
        """A scalar tree as a jet, one entry a row."""
        if not depends(tree, self.linear):
            return self._plain(tree, rows)
        if not depends(tree, self.curved) and linear_form(tree, self.linear) is not None:
            return self._linear(tree, rows)
        match tree:
            case ex.Unary(operator, operand):
                inner = self.number_of(operand, rows)
                return inner if operator == "+" else -inner
            case ex.Binary(operator, left, right):
                return self._binary(operator, self.number_of(left, rows), self.number_of(right, rows))
            case ex.Call("if_else", (test, yes, no)):
                return self.jets.where(*(self.number_of(t, rows) for t in (test, yes, no)))
            case ex.Call("min" | "max" as function, arguments):
                found = self.number_of(arguments[0], rows)
                for other in arguments[1:]:
                    found = getattr(self.jets, function)(found, self.number_of(other, rows))
                return found
            case ex.Call(function, (argument,)) if function not in ("softmax", "inverse"):
                return self.jets.apply(function, self.number_of(argument, rows))
            case ex.Reference(name, _) if name in self.predictor.general:
                return self.jets.jet(back(self.jets, self.predictor.general[name], self._linear(tree, rows)))
            case ex.Reference(name, _) if name in self.curved:
                return self._deterministic(tree, rows)
            case _:
                where = _kind(tree)
                raise NotLowered(
                    f"'{self.name}' has a latent inside {where}, which has no derivatives here yet"
                )

    def _vector(self, tree: ex.Expression) -> Entries:
        """A vector argument: stated entries, or what lies along the one plate that the rows leave free."""
        match tree:
            case ex.Vector(items):
                return Entries(tuple(self.number_of(item, self.rows) for item in items))
            case ex.Call("softmax", (inner,)) if depends(tree, self.linear):
                return self.jets.softmax(self._vector(inner))
        free = free_plates(tree, self.rows)
        if len(free) != 1:
            raise NotLowered(f"'{self.name}' has a vector argument that does not lie along one plate")
        size = self.problem.plates[free[0]].size
        if depends(tree, self.linear):
            codes = ({**self.rows.codes, free[0]: np.full(self.rows.n, k)} for k in range(size))
            return Entries(tuple(self.number_of(tree, Rows(self.rows.n, c, self.rows.axes)) for c in codes))
        try:  # one vector for all rows, where it needs none of their plates
            rows = expand(self.problem, Rows(1, {}), free)[0]
            value = self.lowering.value(tree, rows)
        except NotLowered:
            rows = expand(self.problem, self.rows, free)[0]
            value = self.lowering.value(tree, rows)
        register = self.lowering.full(value, rows)
        if self.lowering.recorder.length(register) != (size if rows.n == size else self.rows.n * size):
            raise NotLowered(f"'{self.name}' has a vector argument of several lengths")
        return self.jets.entries(register, size)

    def _binary(self, operator: str, left: Jet, right: Jet) -> Jet:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "**":
                return left**right
            case _:
                raise NotLowered(f"'{self.name}' compares a latent, which has no derivative")

    def _plain(self, tree: ex.Expression, rows: Rows) -> Jet:
        """What does not depend on the block, by row; known to be positive where its domain says so."""
        value: Value = self.lowering.value(tree, rows)
        register = value.register if value.key is None else self.lowering.full(value, rows)
        return self.jets.jet(self.jets.functions.traced(register), *self._bounds(tree))

    def _bounds(self, tree: ex.Expression) -> tuple[float, float]:
        """Bounds of an outer unknown, by its coordinate."""
        if isinstance(tree, ex.Reference) and tree.name in self.problem.graph.nodes:
            from dagmodels.forms.coordinates import coordinate, uses

            if tree.name in self.predictor.unknown:
                use = uses(self.problem.graph).get(tree.name, ("other", ()))[0]
                c = coordinate(self.problem, tree.name, use)
                if c.kind == "log":
                    return 0.0, np.inf
                if c.kind == "identity" and c.lower.size and not c.symmetric.any():
                    return float(c.lower.min()), float(c.upper.max())
        return -np.inf, np.inf

    def _linear(self, tree: ex.Expression, rows: Rows) -> Jet:
        """A predictor: an input of the tape, its pieces kept aside."""
        for k, (known, at) in enumerate(self.predictors):
            if known == tree and _same_rows(at, rows):
                return self.jets.predictor(self.inputs[k], k)
        k = len(self.predictors)
        if k == MOST_PREDICTORS:
            raise NotLowered(f"'{self.name}' has more than {MOST_PREDICTORS} linear predictors")
        register = self.lowering.recorder.input(f"\0eta {self.number} {k}", rows.n)
        self.predictors.append((tree, rows))
        self.inputs.append(register)
        return self.jets.predictor(register, k)

    def _deterministic(self, reference: ex.Reference, rows: Rows) -> Jet:
        """A deterministic node that is nonlinear in the block, expanded on the leaf's rows."""
        places = self.lowering.places(reference, rows)
        (share, *others) = cells(self.problem, reference.name)
        if others:
            raise NotLowered(f"'{reference.name}' has several statements and is nonlinear in a latent")
        assert isinstance(share.statement, Deterministic)
        inner = Rows(rows.n, {p: c[places] for p, c in share.rows.codes.items()}, share.rows.axes)
        return self.number_of(share.statement.expression, inner)


def curved_nodes(predictor: Predictor) -> set[str]:
    """Nodes that are not linear in the block's elements: latents on another scale, deterministic nodes."""
    dag = predictor.problem.graph
    found = {name for name, scale in predictor.general.items() if scale != IDENTITY}
    for name in dag.order:
        if name in predictor.inlined:
            for s in dag.nodes[name].statements:
                if isinstance(s, Deterministic) and (
                    depends(s.expression, found) or linear_form(s.expression, predictor.linear) is None
                ):
                    found.add(name)
    return found


def _same_rows(a: Rows, b: Rows) -> bool:
    return a is b or (a.n == b.n and all(np.array_equal(a.codes.get(p), c) for p, c in b.codes.items()))


def _kind(tree: ex.Expression) -> str:
    match tree:
        case ex.Reduction(kind, _, _):
            return f"a {kind}() that is not linear in it"
        case ex.Call(function, _):
            return f"{function}()"
        case _:
            return f"a {type(tree).__name__.lower()}"
