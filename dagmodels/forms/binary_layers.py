"""Cases of binary nodes whose logits are linear in other binary nodes: sigmoid belief networks, as matrices.

Within a case element e is 1 with probability expit(A[e] @ (1, h)), h being all elements; the entries of A are
linear in the unknown coefficients theta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.linearity import linear_form
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.cells import element_label
from dagmodels.forms.elements import unrolled
from dagmodels.forms.tables import states_of
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class BinaryLayers:
    """The form.

    plate : of the cases. names : of the elements of the first case, parents before children.
    unknowns : elements of coefficients. centre, deviation : of their Normal priors, infinite without one.
    base : (elements, 1 + elements). design : sparse (all entries of A, unknowns).
    values : (cases, elements), nan where not seen.
    """

    problem: Problem
    plate: str
    names: tuple[str, ...]
    unknowns: tuple[tuple[str, int], ...]
    centre: Floats
    deviation: Floats
    base: Floats
    design: object
    values: Floats

    def matrix(self, theta: Floats) -> Floats:
        """A at some coefficients."""
        return self.base + (self.design @ theta).reshape(self.base.shape)  # type: ignore[operator]


def binary_layers(problem: Problem) -> BinaryLayers:
    """The form of a bound graph.

    Raises
    ------
    FitError : what stands in the way, by node.
    """
    graph = problem.graph
    binary = [n for n in graph.order if _is_binary(problem, n)]
    plate = _plate(problem, binary)
    size = problem.plates[plate].size
    dag = unrolled(problem, within={plate: 0})
    own: list[list[str]] = [[] for _ in range(size)]
    values: list[list[float]] = [[] for _ in range(size)]
    for name in binary:
        axis = graph.nodes[name].plates.index(plate)
        shape = problem.shape(name)
        given = problem.values.get(name, np.full(shape, np.nan)).reshape(-1)
        case = np.unravel_index(np.arange(given.size), shape)[axis]
        for place in range(given.size):
            own[case[place]].append(element_label(problem, name, place))
            values[case[place]].append(float(given[place]))
    unknowns = _unknowns(problem, binary)
    index = {element_label(problem, n, i): k for k, (n, i) in enumerate(unknowns)}
    centre, deviation = _priors(dag, list(index))
    base, design = _entries(dag, own[0], index)
    return BinaryLayers(
        problem, plate, tuple(own[0]), tuple(unknowns), centre, deviation, base, design, np.array(values)
    )


def _is_binary(problem: Problem, name: str) -> bool:
    node = problem.graph.nodes[name]
    laws = [s.distribution.family for s in node.statements if isinstance(s, st.Stochastic)]
    return node.kind == "stochastic" and laws == ["Bernoulli"]


def _plate(problem: Problem, binary: list[str]) -> str:
    """The plate of cases: the only one of all binary nodes whose levels the model does not state."""
    graph = problem.graph
    common = (
        [
            p
            for p in graph.nodes[binary[0]].plates
            if all(p in graph.nodes[n].plates for n in binary) and graph.plate[p].levels is None
        ]
        if binary
        else []
    )
    if len(common) != 1:
        raise FitError("em: draws of states need binary nodes that all lie in one plate of cases")
    if graph.plate[common[0]].parents or graph.plate[common[0]].ordered:
        raise FitError(f"em: draws of states need cases that stand alone, and '{common[0]}' do not")
    return common[0]


def _unknowns(problem: Problem, binary: list[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for name, node in problem.graph.nodes.items():
        free = node.kind == "parameter" or (node.kind == "stochastic" and name not in binary)
        if free:
            found += [(name, i) for i in range(int(np.prod(problem.shape(name), dtype=np.int64)))]
    return found


def _priors(dag: object, names: list[str]) -> tuple[Floats, Floats]:
    centre, deviation = np.zeros(len(names)), np.full(len(names), np.inf)
    for k, name in enumerate(names):
        node = dag.nodes.get(name)  # type: ignore[attr-defined]
        if node is None or not isinstance(node.statements[0], st.Stochastic):
            continue  # a parameter
        law = node.statements[0].distribution
        states = states_of(dag, {})  # type: ignore[arg-type]
        found = dict(law.arguments)
        if law.family != "Normal" or "sigma" not in found:
            raise FitError(
                f"em: draws of states need coefficients with Normal priors, and '{name}' is {law.family}"
            )
        centre[k] = float(states.value(found["mu"]).numbers)  # type: ignore[arg-type]
        deviation[k] = float(states.value(found["sigma"]).numbers)  # type: ignore[arg-type]
    return centre, deviation


def _entries(dag: object, elements: list[str], index: dict[str, int]) -> tuple[Floats, object]:
    """The known part of A and how the rest hangs on the unknowns."""
    from scipy.sparse import csr_array

    count = len(elements)
    place = {name: 1 + i for i, name in enumerate(elements)}
    base = np.zeros((count, 1 + count))
    rows: list[int] = []
    columns: list[int] = []
    numbers: list[float] = []
    for e, name in enumerate(elements):
        logit = _logit(dag.nodes[name].statements[0].distribution)  # type: ignore[attr-defined]
        form = None if logit is None else linear_form(logit, frozenset(elements))
        if form is None:
            told = f"em: draws of states need logits that are linear in other states; '{name}' has another"
            raise FitError(told)
        for at, tree in [(0, form.offset), *((place[t.reference.name], t.coefficient) for t in form.terms)]:
            inner = linear_form(_named(tree), frozenset(index))
            if inner is None:
                raise FitError(f"em: the logit of '{name}' is not linear in the coefficients")
            base[e, at] += _number(dag, inner.offset)
            for term in inner.terms:
                rows.append(e * (1 + count) + at)
                columns.append(index[term.reference.name])
                numbers.append(_number(dag, term.coefficient))
    shape = (count * (1 + count), len(index))
    return base, csr_array((numbers, (rows, columns)), shape=shape)


def _named(tree: ex.Expression) -> ex.Expression:
    """References to parameters by the names of their elements."""

    def change(part: ex.Expression) -> ex.Expression:
        if isinstance(part, ex.Reference) and part.indices:
            labels = [str(i.label) for i in part.indices if isinstance(i, ex.LevelIndex)]
            if len(labels) == len(part.indices):
                return ex.Reference(f"{part.name}[{', '.join(labels)}]", ())
        return part

    return ex.rebuild(tree, change)


def _logit(law: st.Distribution) -> ex.Expression | None:
    given = dict(law.arguments)
    if isinstance(given.get("logit_p"), ex.Expression):
        return given["logit_p"]  # type: ignore[return-value]
    match given.get("p"):
        case ex.Call("expit", (inner,)):
            return inner
        case _:
            return None


def _number(dag: object, tree: ex.Expression) -> float:
    return float(states_of(dag, {}).value(tree).numbers)  # type: ignore[arg-type]
