"""Which network a question is about: a graph of single nodes as it is, one with plates element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, ModelErrors, raise_all
from dagmodels.forms.elements import elements, unrolled
from dagmodels.forms.gaussians import is_continuous, read_by
from dagmodels.graph.dag import Dag, defines, remembered
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
KEPT = 16  # networks of a graph that are kept


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """dag : of single nodes. seen : what the data say, by name. groups : elements by node with plates."""

    dag: Dag
    seen: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_data(self, evidence: Any) -> Any:
        """Evidence together with that of the data; what is given twice must be the same."""
        evidence = self.spelled(evidence)
        if not self.seen:
            return evidence
        given = {} if evidence is None else evidence
        if not isinstance(given, Mapping) or any(np.ndim(v) for v in given.values()):
            fault = ModelError("a question with data has one set of evidence", hint="loop over rows")
            raise_all([fault], "a question to a network")
        faults = [
            ModelError(f"'{n}' is {self.seen[n]!r} in the data", node=n, hint="leave it out of the evidence")
            for n, value in given.items()
            if n in self.seen and str(value) != str(self.seen[n])
        ]
        raise_all(faults, "a question to a network")
        return {**self.seen, **given}

    def about(self, evidence: Any, targets: Any) -> Asked:
        """The part that hangs together with what is asked for: all else tells nothing of it."""
        if not self.groups or targets is None:
            return self
        given = list(evidence) if isinstance(evidence, Mapping) else []
        flat = [n for t in targets for n in (t if isinstance(t, tuple) else (t,))]
        owner = components(self.dag)
        if any(n not in owner for n in (*flat, *given)):
            return self  # a name that is none is told by whoever reads it
        kept = {owner[n] for n in (*flat, *given)}
        if len(kept) == len(set(owner.values())):
            return self
        statements = tuple(s for s in self.dag.statements if kept & {owner.get(n, n) for n in defines(s)})
        arrays = tuple(s for s in self.dag.statements if not {*defines(s)} & owner.keys())
        part = Dag(self.dag.name, self.dag.plates, (*arrays, *statements))
        return Asked(part, {n: v for n, v in self.seen.items() if owner[n] in kept}, self.groups)

    def spelled(self, evidence: Any) -> Any:
        """Evidence by the names of elements as they are printed: `z[a,3]` is `z[a, 3]`."""
        if not self.groups or not isinstance(evidence, Mapping):
            return evidence
        return {self.spell(name): value for name, value in evidence.items()}

    def spell(self, name: Any) -> Any:
        """One name of an element."""
        if not isinstance(name, str) or "[" not in name or name in self.dag.nodes:
            return name
        node, _, rest = name.partition("[")
        bare = rest.replace(" ", "")
        of = self.groups.get(node, ())
        return next((e for e in of if e.partition("[")[2].replace(" ", "") == bare), name)

    def targets(self, targets: Any) -> Any:
        """Names of nodes with plates stand for all of their elements."""
        if targets is None or not self.groups:
            return targets
        given = [targets] if isinstance(targets, str) else list(targets)
        found: list[Any] = []
        for target in given:
            if isinstance(target, str) and target in self.groups:
                found.extend(self.groups[target])
            else:
                inner = isinstance(target, tuple)
                found.append(tuple(map(self.spell, target)) if inner else self.spell(target))
        return found


def asked(dag: Dag, data: Any = None, sizes: Mapping[str, Any] | None = None) -> Asked:
    """The network of a graph, of the elements that its plates state, or that data or sizes give.

    Raises
    ------
    ModelErrors : plates whose elements nothing tells; covariates without values.
    """
    if data is None and not sizes and not _needs_elements(dag):
        return Asked(dag)
    key = ("asked", repr(sorted((sizes or {}).items())))
    if data is None and key in dag.memo:
        return dag.memo[key]  # type: ignore[return-value]
    try:
        problem = bind(dag if data is None else watched(dag), data, sizes=sizes)
    except ModelErrors as error:
        if data is None and (lacking := _without_elements(dag, sizes or {})):
            told = f"how many elements plate '{lacking}' has is not known"
            hint = f"give sizes={{'{lacking}': 3}} or data=..., or state its levels"
            raise_all([ModelError(told, node=lacking, hint=hint)], "a question to a network")
        raise error
    found = of_problem(problem)
    if data is None:
        dag.memo[key] = found
    return found


@remembered
def components(dag: Dag) -> Mapping[str, str]:
    """For each stochastic node a name that it shares with all nodes that hang together with it."""
    owner = {n: n for n, node in dag.nodes.items() if node.kind == "stochastic"}

    def top(name: str) -> str:
        while owner[name] != name:
            owner[name] = owner[owner[name]]
            name = owner[name]
        return name

    for name in list(owner):
        for parent in read_by(dag, name):
            owner[top(parent)] = top(name)
    return {name: top(name) for name in owner}


def watched(dag: Dag) -> Dag:
    """The graph in which every node with a law may have data."""
    found = [replace(s, observed=True) if isinstance(s, Stochastic) else s for s in dag.statements]
    return Dag(dag.name, dag.plates, tuple(found), dag.data_file, dag.source, dag.remarks)


def _needs_elements(dag: Dag) -> bool:
    """Nodes in plates are taken element by element; computed ones are written out beside continuous ones."""
    laws = [n for n in dag.nodes.values() if n.kind == "stochastic"]
    if any(n.plates for n in laws):
        return True
    computed = any(n.kind == "deterministic" for n in dag.nodes.values())
    return computed and any(is_continuous(dag, n.name) for n in laws)


def _without_elements(dag: Dag, sizes: Mapping[str, Any]) -> str:
    return next((p.name for p in dag.plates if not p.levels and not p.alias_of and p.name not in sizes), "")


def of_problem(problem: Problem, known: Mapping[str, Floats] | None = None) -> Asked:
    """The network of a bound graph; known : flat values of unknowns, such as estimates."""
    single = unrolled(problem, known)
    groups: dict[str, tuple[str, ...]] = {}
    seen: dict[str, Any] = {}
    for name, node in problem.graph.nodes.items():
        if node.kind != "stochastic" or name in (known or {}):
            continue
        names = elements(problem, name)
        if node.plates:
            groups[name] = tuple(names)
        if name in problem.values:
            values, shown = problem.values[name].reshape(-1), problem.observed[name].reshape(-1)
            labels = None if node.values_in is None else single.plate[single.base(node.values_in)].levels
            for place in np.flatnonzero(shown).tolist():
                value = float(values[place])
                seen[names[place]] = value if labels is None else labels[int(value)]
    return Asked(single, seen, groups)
