"""Problem -> Flat: values from the unconstrained vector, then factor by factor, all on one tape.

Factors of equal rows are one batch of registers: the number of operations does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import LOCATION_SCALE, is_discrete, unwrapped
from dagmodels.bind.problem import Problem
from dagmodels.distributions import mv_normal
from dagmodels.errors import ModelError
from dagmodels.forms import vectors
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.batches import Batches
from dagmodels.forms.cells import cells
from dagmodels.forms.flat import Flat, Given
from dagmodels.forms.flat_plan import Ask, NodePlan, plans
from dagmodels.forms.jets import Jet
from dagmodels.forms.leaf_laws import LawReader
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.sites import Site, sites
from dagmodels.forms.stretches import Stretch, record
from dagmodels.forms.sums import sums
from dagmodels.forms.tree_jets import TreeJets
from dagmodels.graph import expression as ex
from dagmodels.graph.circles import circle
from dagmodels.graph.dag import expressions
from dagmodels.graph.statement import Deterministic, Distribution, Stochastic
from dagmodels.numerics.pruning import compact, only
from dagmodels.numerics.tape import Recorder, Tape

if TYPE_CHECKING:
    from dagmodels.forms.state_draws import StateDraws

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NONE: Mapping[str, Bools] = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Factor:
    """The log density of one site: a register with one entry a row, or one that counts `times`.

    ties : of nodes tied by `~~`.
    """

    site: Site
    register: int
    times: int = 1
    ties: vectors.Vector | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Recorded:
    """A stretch's ask, its input, and the registers of its ends."""

    ask: Ask
    register: int
    start: int
    ends: list[int | None]


class FlatBuilder:
    """Builds one flat form; see `build_flat`. holds_tables : laws that are tables can be recorded."""

    holds_tables = False

    def __init__(
        self,
        problem: Problem,
        unknown: Iterable[str] | None,
        forward: Collection[str] = (),
        standard: Mapping[str, Bools] = NONE,
    ) -> None:
        self.problem, self.graph, self.forward = problem, problem.graph, tuple(forward)
        self.standard = standard
        self.chosen = None if unknown is None else tuple(unknown)
        self.plans: dict[str, NodePlan] = {**self._planned(), **self._ends()}
        self.everything = unknown is None
        self.recorder = Recorder()
        self.jets = BatchJets(Batches(self.recorder))
        self.lowering = Lowering(problem, self.recorder, self._node, moving=True)
        self.trees = TreeJets(self.lowering, self.jets)
        self.recorded: dict[str, list[_Recorded]] = {}
        self.jacobian: list[tuple[int, int]] = []  # registers, and how often each counts
        self.given: dict[str, tuple[int, Ints]] = {}
        self.factors: list[Factor] = []
        self._open: set[str] = set()
        self.size = 0
        self._inputs()

    def _planned(self) -> dict[str, NodePlan]:
        return plans(self.problem, self.chosen, self.forward, self.standard)

    def _ends(self) -> dict[str, NodePlan]:
        """Observed nodes whose missing values are drawn from their parents."""
        nothing = np.zeros(0, np.int64)
        return {
            n: NodePlan((), nothing, np.flatnonzero(~self.problem.observed[n].reshape(-1)), False)
            for n in self.forward
            if self.graph.nodes[n].observed
        }

    def _inputs(self) -> None:
        """The unconstrained vector first, in one piece; then what is given."""
        for name, plan in self.plans.items():
            self.recorded[name] = []
            for k, ask in enumerate(plan.asks):
                register = self.recorder.input(f"{name}\0{k}", ask.length)
                self.recorded[name].append(_Recorded(ask, register, self.size, []))
                self.size += ask.length

    def build(self) -> Flat:
        """See `build_flat`."""
        self.record()
        joint, jacobian = self._joint(), self._sum(self.jacobian)
        total = self.recorder.apply("+", joint, jacobian)
        nodes = {n: self.lowering.node(n) for n, plan in self.plans.items() if plan.asks}
        ends = [e for parts in self.recorded.values() for p in parts for e in p.ends if e is not None]
        for register in (joint, jacobian, total, *nodes.values(), *ends):
            self.recorder.start(register)
        tape = compact(self.recorder.finish(), [joint, jacobian, total, *nodes.values(), *ends, *self.kept()])
        for register, _ in self.given.values():
            tape.initial[tape.place(register)] = np.nan  # until it is written
        return Flat(
            problem=self.problem,
            chosen=self.chosen,
            unknown=tuple(nodes),
            size=self.size,
            tape=tape,
            values=only(tape, [*nodes.values(), *ends]),
            joint=tape.place(joint).start,
            jacobian=tape.place(jacobian).start,
            total=tape.place(total).start,
            nodes={name: tape.place(register) for name, register in nodes.items()},
            stretches=tuple(self._stretch(p, tape) for parts in self.recorded.values() for p in parts),
            given={n: Given(tape.place(register), places) for n, (register, places) in self.given.items()},
            without_prior=tuple(n for n, plan in self.plans.items() if plan.without_prior),
            left_out=tuple(n for n, plan in self.plans.items() if plan.left_out.size),
            summed=self._summed(tape),
            forward=self.forward,
        )

    def kept(self) -> list[int]:
        """Registers beyond the log density that the tape must hold."""
        return []

    def _summed(self, tape: Tape) -> StateDraws | None:
        """How unknowns that were summed out are drawn."""
        return None

    def record(self) -> None:
        """All values and factors."""
        for name, plan in self.plans.items():
            if plan.asks:
                self.lowering.node(name)
        touched = self._touched()
        tied = self._tied(touched)
        for name in self.graph.order:
            if name in tied or name not in self.plans:
                continue
            if name in self.forward and not self.graph.nodes[name].observed:
                continue
            for site in sites(self.problem, name):
                if self.everything or set(site.names) & touched or self._reads(site.statement, touched):
                    self._factor(site)

    # -- values ------------------------------------------------------------------------------------

    def _node(self, name: str) -> int:
        """The register of a node that is not all data, its elements from wherever they come."""
        if name in self._open:
            raise NotLowered(f"the bounds of '{name}' depend on its own elements, which has no tape form yet")
        self._open.add(name)
        plan = self.plans.get(name)
        if plan is None:
            raise NotLowered(f"'{name}' has no value: it is neither data nor an unknown of the model")
        parts: list[tuple[Jet, Ints]] = [self._values(p) for p in self.recorded[name]]
        if plan.given.size:
            register = self.recorder.input(f"{name}\0given", plan.given.size)
            self.given[name] = (register, plan.given)
            parts.append((self.jets.of(register), plan.given))
        size = int(np.prod(self.problem.shape(name), dtype=np.int64))
        if name in self.problem.values:
            seen = np.flatnonzero(self.problem.observed[name].reshape(-1))
            data = self.problem.values[name].reshape(-1)[seen]
            parts.append((self.jets.of(self.recorder.constant(data)), seen))
        if plan.left_out.size:
            parts.append((self.jets.of(self.recorder.constant(np.zeros(plan.left_out.size))), plan.left_out))
        parts = [(x, places) for x, places in parts if places.size]
        self._computed(name, parts)
        whole = self._assembled(parts, size)
        self.trees.nodes[name] = whole
        laws = [s.distribution for s in self.graph.nodes[name].statements if isinstance(s, Stochastic)]
        if laws and len(laws) == len(self.graph.nodes[name].statements) and all(map(is_discrete, laws)):
            self.jets.whole.add(whole.value.register)
        self._open.discard(name)
        return whole.value.register

    def _computed(self, name: str, parts: list[tuple[Jet, Ints]]) -> None:
        """Add what expressions give; where they look back, from the first elements on."""
        tied = circle(self.graph, name)
        mixed = [n for n in tied if n != name and self.graph.nodes[n].kind != "deterministic"]
        if mixed:
            told = f"'{name}' and '{mixed[0]}' depend on each other's earlier elements"
            raise NotLowered(f"{told}, which has no tape form yet")
        if tied:
            self.lowering.in_stages(tied, {name: [(x.value.register, places) for x, places in parts]})
        for share in cells(self.problem, name):
            if isinstance(share.statement, Deterministic):
                if tied:
                    register = self.recorder.gather(self.lowering.node(name), share.places)
                else:
                    value = self.lowering.value(share.statement.expression, share.rows)
                    register = self.lowering.full(value, share.rows)
                parts.append((self.jets.of(register), share.places))

    def _assembled(self, parts: list[tuple[Jet, Ints]], size: int) -> Jet:
        if len(parts) == 1 and (parts[0][1] == np.arange(size)).all():
            return parts[0][0]
        register = self.recorder.assemble(size, [(x.value.register, places) for x, places in parts])
        lower, upper = min(x.lower for x, _ in parts), max(x.upper for x, _ in parts)
        return self.jets.of(register, lower=lower, upper=upper)

    def _values(self, part: _Recorded) -> tuple[Jet, Ints]:
        """The values of one stretch, and their places."""
        ask = part.ask
        ends: list[Jet | None]
        if ask.law is not None:
            ends = self._location_and_scale(ask.law, ask)
            part.ends.extend(j.value.register for j in ends if j is not None)
        else:
            ends = [self._end(e, ask) for e in (ask.lower, ask.upper)]
            part.ends.extend(
                None if isinstance(e, np.ndarray | None) else j.value.register  # type: ignore[arg-type]
                for e, j in zip((ask.lower, ask.upper), ends, strict=True)
            )
        found = record(self.jets, self._stretch(part), part.register, *ends)
        for term in found.jacobian:
            register = term.value.register
            alone = self.recorder.length(register) == 1
            self.jacobian.append((register, len(ask.places) if alone else 1))
        if ask.kind == "simplex":
            self.trees.simplex.add(ask.node)
            self.jets.simplex.add(found.value.value.register)
        elif ask.kind == "ordered":
            self.jets.increasing_.add(found.value.value.register)
        return found.value, ask.places.reshape(-1)

    def _location_and_scale(self, law: Distribution, ask: Ask) -> list[Jet | None]:
        reader = LawReader(lambda tree: self.trees.number(tree, ask.rows), _no_vector, self.jets)
        arguments = reader.law(law)[1]
        _, places = LOCATION_SCALE[law.family]
        return [self.jets.jet(arguments[k]) for k in places]

    def _end(self, end: Floats | ex.Expression | None, ask: Ask) -> Jet | None:
        if end is None:
            return None
        if isinstance(end, ex.Expression):
            return self.trees.number(end, ask.rows)
        same = end.size and (end == end[0]).all()
        return self.jets.of(self.recorder.constant(end[0] if same else end))

    def _stretch(self, part: _Recorded, tape: object = None) -> Stretch:
        """Of a recorded part; with the tape, ends that it computes are places there."""
        ask = part.ask
        ends: list[Floats | slice | None] = []
        for stated, register in zip((ask.lower, ask.upper), part.ends or (None, None), strict=True):
            if isinstance(stated, ex.Expression) or ask.law is not None:
                ends.append(tape.place(register) if tape is not None else None)  # type: ignore[attr-defined]
            else:
                ends.append(stated)
        return Stretch(ask.node, ask.places, ask.kind, ask.event, part.start, ask.length, *ends)

    # -- factors -----------------------------------------------------------------------------------

    def _touched(self) -> set[str]:
        """Unknown nodes and the deterministic ones that they make."""
        found = {name for name, plan in self.plans.items() if plan.asks}
        for name in self.graph.order:
            if any(
                isinstance(s, Deterministic) and self._reads(s, found)
                for s in self.graph.nodes[name].statements
            ):
                found.add(name)
        return found

    def _reads(self, statement: object, names: set[str]) -> bool:
        trees = expressions(statement)  # type: ignore[arg-type]
        return any(r.name in names for tree in trees for r in ex.references(tree))

    def _factor(self, site: Site) -> None:
        name = site.names[0]
        if site.law.family == "Table" and not self.holds_tables:
            raise NotLowered(f"'{name}' has a Table, which has no tape form")
        site = self._told(site)
        if not site.rows.n:
            return
        own = self._in_units(site)
        parts = [
            (site.at(np.flatnonzero(~own)), self.density),
            (site.at(np.flatnonzero(own)), self._unit_density),
        ]
        for part, density in parts if own.any() else [(site, self.density)]:
            if not part.rows.n:
                continue
            try:
                found = density(part)
            except (NotLowered, ModelError) as error:
                if f"'{name}'" in str(error):
                    raise
                raise NotLowered(f"'{name}' has no tape form: {error}") from error
            self.factors.append(self._counted(part, found))

    def _in_units(self, site: Site) -> Bools:
        """The rows whose values stand in standard units."""
        places = [
            part.ask.places[:, 0] for part in self.recorded.get(site.names[0], ()) if part.ask.law is site.law
        ]
        if not places:
            return np.zeros(site.rows.n, dtype=bool)
        return np.isin(site.places[:, 0], np.concatenate(places))

    def _unit_density(self, site: Site) -> Jet:
        """The log density of values in standard units z, from z itself: (x - location)/scale has no digits of
        it where the scale is far below the location.
        """
        (part,) = (p for p in self.recorded[site.names[0]] if p.ask.law is site.law)
        order = np.argsort(part.ask.places[:, 0])
        at = order[np.searchsorted(part.ask.places[:, 0], site.places[:, 0], sorter=order)]
        law, arguments = self._law(site).law(site.law)
        location, scale = LOCATION_SCALE[law.name][1]
        size = self.jets.jet(arguments[scale])
        arguments[location], arguments[scale] = self.jets.jet(0.0), self.jets.jet(1.0)
        z = self.trees.picked(self.jets.of(part.register), at)
        return self.jets.jet(law.log_density(self.jets, z, *arguments)) - self.jets.apply("log", size)

    def _told(self, site: Site) -> Site:
        """The rows whose values are given or unknown, without those that are left out."""
        name, left_out = site.names[0], self.plans[site.names[0]].left_out
        if not left_out.size:
            return site
        out = np.isin(site.places, left_out)
        if (out.any(axis=1) & ~out.all(axis=1)).any():
            raise NotLowered(f"'{name}' is observed in part of a vector of counts")
        return site.at(np.flatnonzero(~out.any(axis=1)))

    def density(self, site: Site) -> Jet:
        """The log density of a site, by row."""
        return self._law(site).log_density(site.law, self.value(site))

    def _law(self, site: Site) -> LawReader:
        parts = unwrapped(site.law).argument("components")
        length = len(parts) if isinstance(parts, tuple) else None  # of a mixture's weights
        return LawReader(
            lambda tree: self.trees.number(tree, site.rows),
            lambda tree: self.trees.vector(tree, site, length),
            self.jets,
            lambda tree: self.trees.matrix(tree, site),
        )

    def _counted(self, site: Site, density: Jet, ties: vectors.Vector | None = None) -> Factor:
        register = density.value.register
        alone = self.recorder.length(register) == 1 and site.rows.n > 1
        return Factor(site, register, site.rows.n if alone else 1, ties)

    def value(self, site: Site) -> Jet:
        """The site's values, in their shape."""
        if len(site.names) > 1:
            parts = [self._elements(name, site.places.reshape(-1)) for name in site.names]
            return self.trees.stacked(parts, site.rows.n)
        found = self._elements(site.names[0], site.places.reshape(-1))
        return self.jets.viewed(found, site.event) if site.event else found

    def _elements(self, name: str, places: Ints) -> Jet:
        register = self.lowering.node(name)
        whole = self.trees.nodes.get(name)
        return self.trees.picked(self.jets.of(register) if whole is None else whole, places)

    def _tied(self, touched: set[str]) -> set[str]:
        """Factors of nodes tied by `~~`; their names."""
        found: set[str] = set()
        for statements in vectors.groups(self.graph.covariances):
            vector = vectors.tied(self.problem, statements)
            names = {c.node for c in vector.components}
            found |= names
            every = [*statements, *(s for n in names for s in self.graph.nodes[n].statements)]
            if self.everything or names & touched or any(self._reads(s, touched) for s in every):
                self._tied_factor(vector)
        return found

    def _tied_factor(self, vector: vectors.Vector) -> None:
        parts = vector.components
        k = len(parts)
        (statement,) = self.graph.nodes[parts[0].node].statements
        assert isinstance(statement, Stochastic)
        names = tuple(c.node for c in parts)
        site = Site(statement, names, vector.rows, parts[0].places[:, None], (k,), (), ())
        mean = self.trees.stacked([self.trees.number(c.mean, c.rows) for c in parts], vector.rows.n)
        law = vectors.matrix(self.lowering, vector, {})
        assert law.covariance is not None
        cov = self.trees.square(law.covariance, law.block, k)
        density = mv_normal.log_density(self.jets, self.value(site), mean, cov)
        self.factors.append(self._counted(site, density, vector))

    def _joint(self) -> int:
        return self._sum([(f.register, f.times) for f in self.factors])

    def _sum(self, terms: list[tuple[int, int]]) -> int:
        return sums(self.recorder, [(r, times * self.recorder.length(r)) for r, times in terms])


def _no_vector(tree: ex.Expression) -> Jet:
    raise NotLowered("a vector stands where a location or a scale is needed")


def build_flat(
    problem: Problem,
    unknown: Iterable[str] | None = None,
    forward: Collection[str] = (),
    standard: Mapping[str, Bools] = NONE,
) -> Flat:
    """The log density of a graph's unknowns over one unconstrained vector.

    Parameters
    ----------
    problem : graph and data.
    unknown : names of the nodes in the vector; by default all: latent stochastic nodes, parameters without
        prior (flat on their declared scale), and missing entries of observed continuous nodes. Of a subset,
        only the factors that depend on it are recorded, and the other unknowns are places to be written.
    forward : nodes without observed descendants (`analysis.forward`) that are left out, to be drawn from
        their parents; of observed nodes their missing values.
    standard : nodes (of `analysis.unknown_scales`) and the flat places of their elements that stand in
        standard units, (x - location)/scale, where the scale is unknown.

    Raises
    ------
    ModelErrors : nodes that cannot be unknown, such as discrete ones, by name.
    NotLowered : what the tape cannot hold, with the node and the reason.
    """
    builder = FlatBuilder(problem, unknown, forward, standard)
    try:
        return builder.build()
    except ModelError as error:
        raise NotLowered(str(error)) from error
