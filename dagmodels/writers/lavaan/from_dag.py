"""A linear Gaussian graph on one plate of units -> lavaan's text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.writers.lavaan.laws import Law, laws, read_back
from dagmodels.writers.lavaan.parameters import Faults, Parameters
from dagmodels.writers.lavaan.text import Cell, Entry, Handle, Model, written


def dag_to_lavaan(dag: Dag) -> str:
    """The text that a reader with `model_type="lavaan"` makes the same graph of.

    Standard deviations that are parameters are said as variances, and defined from them.

    Raises
    ------
    ModelErrors : every node that lavaan's language cannot say.
    """
    faults = Faults()
    unit, group, labels = _plates(dag, faults)
    faults.done(dag.name)
    parameters = Parameters(dag, unit, group, labels, faults)
    found = laws(dag, unit, faults)
    faults.done(dag.name)
    read_back(found, faults)
    writer = _Writer(dag, parameters, found, faults)
    entries = writer.entries()
    constraints = parameters.constraints()
    writer.unused()
    faults.done(dag.name)
    count = len(writer.covariates)
    head = f'model_type="lavaan", unit={unit!r}' + (
        f", group={group!r}, groups={list(labels)!r}" if group else ""
    )
    added = {0: count * (count + 1) // 2 + count}
    model = Model(entries, labels, (), added, constraints, (head,))

    def handle(names: Mapping[object, str]) -> Handle:
        return _handle(parameters, names)

    return written(model, handle)


def _handle(parameters: Parameters, names: Mapping[object, str]) -> Callable[[ex.Reference], str]:
    def write(reference: ex.Reference) -> str:
        cell = parameters.cell(reference, None)
        return names.get(cell.parameter, reference.name) if cell is not None else reference.name

    return write


def _plates(dag: Dag, faults: Faults) -> tuple[str, str, tuple[str, ...]]:
    """The plates of units and groups, and the labels of the groups (one, "", without groups)."""
    observed = [n for n in dag.nodes.values() if n.role == "observed"]
    if not observed:
        faults.add("The graph has no observed nodes.", "lavaan's models are about observed variables")
        return "", "", ("",)
    for node in observed:
        if len(node.plates) != 1 or node.plates != observed[0].plates:
            hint = "lavaan's observed variables lie on one plate; write one node for each level"
            faults.add(f"`{node.name}` lies on {', '.join(node.plates) or 'no plate'}.", hint, node.name)
            return "", "", ("",)
    unit = dag.plate[observed[0].plates[0]]
    if not unit.parents:
        return unit.name, "", ("",)
    group = dag.plate[unit.parents[0]]
    if len(unit.parents) > 1 or group.levels is None:
        message = f"The plate {unit.name} lies in {' and '.join(unit.parents)}."
        faults.add(message, f"lavaan's groups are stated: plate {group.name} = ...")
        return unit.name, "", ("",)
    return unit.name, group.name, tuple(map(str, group.levels))


class _Writer:
    """Laws as elements."""

    def __init__(self, dag: Dag, parameters: Parameters, found: dict[str, Law], faults: Faults) -> None:
        self.dag, self.parameters, self.found, self.faults = dag, parameters, found, faults
        self.covariates = [n.name for n in dag.nodes.values() if n.kind == "covariate"]
        self.latent = [n for n, law in found.items() if not law.observed]
        self.composites = {
            n
            for n in self.latent
            for c, p in found[n].terms
            if isinstance(c, ex.Reference) and c.name == f"{n}<~{p}"
        }

    def entries(self) -> tuple[Entry, ...]:
        structural: list[Entry] = []
        for name, law in self.found.items():
            for coefficient, parent in law.terms:
                structural.append(self._edge(name, coefficient, parent))
        declared = {e.lhs for e in structural if e.op in ("=~", "<~")}
        zero = tuple(Cell(value=0.0) for _ in self.parameters.labels)
        phantom = [Entry(n, "=~", n, zero) for n in self.latent if n not in declared]
        rows = [*phantom, *structural]
        rows += [self._entry((n, "~~", n), law.variance, law.scale, n) for n, law in self.found.items()]
        for law in self.found.values():
            for other, tree in law.covariances:
                rows.append(self._entry((law.name, "~~", other), tree, False, law.name))
        rows += [self._entry((n, "~1", ""), law.intercept, False, n) for n, law in self.found.items()]
        return tuple(sorted(rows, key=_order))

    def _edge(self, child: str, coefficient: ex.Expression | None, parent: str) -> Entry:
        """A loading or a regression: as the parameter is called, else by what its ends are."""
        name = coefficient.name if isinstance(coefficient, ex.Reference) else ""
        latent, made = parent in self.latent, child in self.composites
        if name == f"{child}<~{parent}" or (made and not latent and name != f"{child}~{parent}"):
            key = (child, "<~", parent)
        elif name == f"{parent}=~{child}" or (
            latent and self.found[child].observed and name != f"{child}~{parent}"
        ):
            key = (parent, "=~", child)
        else:
            key = (child, "~", parent)
        return self._entry(key, ex.Number(1) if coefficient is None else coefficient, False, child)

    def _entry(self, key: tuple[str, str, str], tree: ex.Expression | None, scale: bool, node: str) -> Entry:
        name = "".join(key)
        cells: list[Cell | None] = []
        for label in self.parameters.labels:
            cell = Cell(value=0.0) if tree is None else self.parameters.cell(tree, label, name, scale)
            if cell is None:
                said = "variance" if key[1] == "~~" and key[0] == key[2] else "coefficient"
                if key[1] == "~~" and key[0] != key[2]:
                    said = "covariance"
                hint = "lavaan's are numbers or parameters; give the expression a name of its own"
                self.faults.add(f"`{node}` has the {said} `{tree}`, which lavaan cannot say.", hint, node)
                cell = Cell(value=0.0)
            cells.append(cell)
        return Entry(*key, tuple(cells))

    def unused(self) -> None:
        """Parameters and covariates that stand in no law."""
        parents = {p for law in self.found.values() for _, p in law.terms}
        for name in [*(c for c in self.covariates if c not in parents), *self.parameters.unused()]:
            hint = "remove it; lavaan has only what stands in a formula"
            self.faults.add(f"`{name}` stands in no law of a variable.", hint, name)


_OPERATORS = ("=~", "<~", "~", "~~", "~1")


def _order(entry: Entry) -> tuple[int, bool]:
    return _OPERATORS.index(entry.op), entry.op == "~~" and entry.lhs == entry.rhs
