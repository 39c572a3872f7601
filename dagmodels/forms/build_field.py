"""Problem + Roles -> Field: elements, parents, leaves, cross-products, order, shift (over 500 lines: one
builder, whose steps share its registers and elements)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import variance_tree
from dagmodels.analysis.proportions import Proportions
from dagmodels.analysis.roles import Roles
from dagmodels.bind.problem import Problem, Rows
from dagmodels.errors import FitError
from dagmodels.forms import coordinates as co
from dagmodels.forms.cells import cells
from dagmodels.forms.collapse import ClosedIntegral, collapse, shapes
from dagmodels.forms.collapse_counts import collapse_counts
from dagmodels.forms.field import Conditional, Curved, Field, Leaf
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.jets import Jets
from dagmodels.forms.leaf import Expansion, LeafReader
from dagmodels.forms.lower import Lowering, NotLowered, Value
from dagmodels.forms.ordering import Group, elimination_order
from dagmodels.forms.outer import Coordinate, register
from dagmodels.forms.pieces import Piece, Products, aligned, cross_products, merged, scaled, take
from dagmodels.forms.predictor import CONSTANT, Predictor
from dagmodels.forms.reordering import arrange
from dagmodels.forms.saturated import coordinates, record, saturated_sets
from dagmodels.forms.shift import provisional_fit
from dagmodels.forms.vectors import Matrix, Vector, matrix, vector_nodes, vectors
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Distribution, Parameter, Stochastic
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, pattern_of
from dagmodels.numerics.fill import outline
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Element = tuple[str, int]  # a node and the flat place of one of its cells
HELD = "\0held"  # the tape's input with the value of a coefficient that is held


@dataclass(slots=True)
class Edges:
    """Parent coefficients: child, parent, data and place of the tape's factor, one an entry."""

    child: list[Ints] = field(default_factory=list)
    parent: list[Ints] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)
    source: list[Ints] = field(default_factory=list)

    def add(self, child: Ints, piece: Piece) -> None:
        """One entry for each row of a piece; `child` by row."""
        n = piece.count(child.size)
        self.child.append(child if piece.owner is None else child[piece.owner])
        for column, entry, kind in (
            (self.parent, piece.element, np.int64),
            (self.value, piece.data, np.float64),
            (self.source, piece.source, np.int64),
        ):
            column.append(entry if isinstance(entry, np.ndarray) else np.full(n, entry, dtype=kind))  # type: ignore[attr-defined]

    def arrays(self) -> tuple[Ints, Ints, Floats, Ints]:
        """All entries."""
        if not self.child:
            none = np.zeros(0, np.int64)
            return none, none, np.zeros(0), none
        return tuple(np.concatenate(x) for x in (self.child, self.parent, self.value, self.source))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """Rows of one leaf (or of one pair of components of a vector leaf) before summation.

    first, second : aligned pieces, the response included (None: the same predictor twice; -1: the constant).
    weight : place of the weight, by row or one for all. responses : index into the builder's list.
    """

    first: int
    second: int | None
    weight: Ints | int


@dataclass(eq=False, slots=True)
class Response:
    """A leaf's predictor minus its response, by row: pieces on elements, and the response itself."""

    node: str
    n: int
    pieces: list[Piece]
    y: Floats
    root_weight: Floats | float
    places: Ints  # of the cells in the node's array
    curved: bool = False  # a predictor of a leaf that is not Normal and linear, with y = 0


@dataclass(frozen=True, eq=False, slots=True)
class Expanded:
    """A curved leaf before elements are ordered: its predictors are responses from `first` on."""

    node: str
    n: int
    first: int
    expansion: Expansion
    loads: dict[int, int]
    weights: dict[tuple[int, int], int]
    extra: list[int]
    offsets: list[int]
    scale: float
    latent: bool


class FieldBuilder:
    """Builds one field; see `build_field`."""

    def __init__(
        self, problem: Problem, roles: Roles, held: Element | None = None, arms: bool = False
    ) -> None:
        self.problem = problem
        self.roles = roles
        self.held = held
        self.arms = arms
        self.recorder = Recorder()
        self.functions = Functions(self.recorder)
        self.factors: dict[str, int] = {}
        self.coordinates: dict[str, Coordinate] = {}
        self.use = co.uses(problem.graph)
        self.shapes = shapes(problem.graph, roles)
        self.lowering = Lowering(problem, self.recorder, self._outer)
        self.one = self.recorder.start(self.recorder.constant(1.0))
        self.zero = self.recorder.start(self.recorder.constant(0.0))
        self.groups: list[Group] = []
        self.elements: dict[str, Ints] = {}
        self.given: dict[str, Floats] = {}
        self.edges = Edges()
        self.scales: list[tuple[Ints, Ints]] = []
        self.responses: list[Response] = []
        self.observations: list[Observation] = []
        self.expanded: list[Expanded] = []
        self.linear: list[tuple[Ints, Floats]] = []
        self.prior: list[tuple[Ints, Floats]] = []
        self.collapsed: list[ClosedIntegral] = []
        self.constant = 0.0
        self.vectors = vectors(problem)
        self.vector_of = vector_nodes(self.vectors)
        self.count = 0
        self.shifted: list[Response] = []  # after `build`: responses less the provisional fit,
        self.products: Products | None = None  # and the cross-products in elimination rows

    def build(self) -> Field:
        """See `build_field`."""
        for name in self.roles.outer:
            self.lowering.node(name)
        self._number_elements()
        self.predictor = Predictor(
            self.lowering,
            set(self.roles.block),
            set(self.roles.outer),
            self.elements,
            self.given,
            self.roles.general,
        )
        for name in self.roles.block:
            if name not in self.vector_of:
                self._latent(name)
        for vector in self.vectors:
            if vector.components[0].node in self.elements and not vector.observed:
                self._latent_vector(vector)
        self._leaves()
        for pair in self.roles.collapsed.values():
            if isinstance(pair, Proportions):
                self._collapse(collapse_counts(self.lowering, self.functions, pair))
            else:
                self._collapse(collapse(self.lowering, self.functions, pair))
        for name in self.roles.outer:
            for place, times in co.log_prior(self.lowering, self.functions, name):
                start, length = self.recorder.start(place), self.recorder.length(place)
                self.prior.append((np.arange(start, start + length), np.full(length, -2.0 * times)))
        return self._finish()

    def _outer(self, name: str) -> int:
        if name not in self.roles.outer:
            raise NotLowered(f"'{name}' stands where only known numbers and outer unknowns can")
        group = saturated_sets(self.problem, self.vectors).get(name)
        if group is not None and set(group.names) <= set(self.roles.outer):
            self.coordinates.update(coordinates(self.problem, group))
            values, factor = record(self.recorder, group, self.coordinates[name].batch)
            self.factors.update(dict.fromkeys(group.names, factor))
            self.lowering._registers.update(values)  # the whole set at once
            return values[name]
        use = self.use.get(name, ("other", ()))[0]
        shape = use in ("other", "scale") and name in self.shapes
        c = co.coordinate(self.problem, name, "shape" if shape else use)
        self.coordinates[name] = c
        value, factor = register(self.recorder, c)
        if factor is not None:
            self.factors[name] = factor
        places = co.free_places(self.problem, name)
        if len(self.problem.graph.nodes[name].statements) == 1 or factor is not None:
            return value
        parts = [(value, places)]
        for share in cells(self.problem, name):
            if isinstance(share.statement, Deterministic):
                fixed = self.lowering.value(share.statement.expression, share.rows)
                parts.append((self.lowering.full(fixed, share.rows), share.places))
        return self.recorder.assemble(places.size + sum(p.size for _, p in parts[1:]), parts)

    # -- elements ---------------------------------------------------------------------------------

    def _number_elements(self) -> None:
        for name in self.roles.block:
            size = int(np.prod(self.problem.shape(name), dtype=np.int64))
            numbers = np.full(size, CONSTANT, dtype=np.int64)
            observed = self.problem.observed.get(name)
            if observed is not None and self.problem.graph.nodes[name].role == "observed":
                self.given[name] = np.nan_to_num(self.problem.values[name].reshape(-1))
            for share in cells(self.problem, name):
                places = share.places
                if self.held is not None and self.held[0] == name:
                    places = places[places != self.held[1]]
                if name in self.given and observed is not None:
                    places = places[~observed.reshape(-1)[places]]
                kind = self._kind(name, share.statement)
                numbers[places] = self._group(name, places.size, kind)
            if self.held is not None and self.held[0] == name:
                numbers[self.held[1]] = self._hold(name)
            self.elements[name] = numbers

    def _hold(self, name: str) -> int:
        """A coefficient held at an input of the tape: an element without variance, at that mean."""
        (number,) = self._group(name, 1, SCALED)
        source = self.recorder.start(self.recorder.input(HELD, 1))
        self.edges.add(np.array([number]), Piece(CONSTANT, source, 1.0))
        self.scales.append((np.array([number]), np.array([self.zero])))
        return int(number)

    def _group(self, name: str, size: int, kind: int) -> Ints:
        start = self.count
        self.groups.append(Group(name, start, size, kind, early=name in self.roles.general))
        self.count += size
        return np.arange(start, start + size)

    def _kind(self, name: str, statement: object) -> int:
        if isinstance(statement, Parameter) or name in self.roles.profiled:
            return PROFILED
        if isinstance(statement, Stochastic):
            law = statement.distribution.family
            if law == "Flat" or (name in self.roles.general and law != "LogNormal"):
                return FREE  # flat, or with a law that is a term of its own
        return SCALED

    # -- latents ----------------------------------------------------------------------------------

    def _latent(self, name: str) -> None:
        numbers = self.elements[name]
        for share in cells(self.problem, name):
            statement, rows = share.statement, share.rows
            child = numbers[share.places]
            if isinstance(statement, Deterministic):
                self._parents(child, statement.expression, rows)
                self._scale(child, None, 0.0, rows)
            elif not isinstance(statement, Stochastic):
                continue
            elif name in self.roles.general and statement.distribution.family != "LogNormal":
                self._curved_leaf(name, statement.distribution, share.places, rows, latent=True)
            elif statement.distribution.family in ("Normal", "LogNormal"):
                if name in self.given:
                    keep = child >= 0
                    child, rows = child[keep], _subset(rows, np.flatnonzero(keep))
                if child.size:
                    self._parents(child, _mean(statement.distribution), rows)
                    data, value = self._variance(statement.distribution, rows)
                    self._scale(child, value, data, rows)

    def _parents(self, child: Ints, mean: ex.Expression, rows: Rows) -> None:
        for piece in self.predictor.pieces(mean, rows):
            self.edges.add(child, piece)

    def _variance(self, law: Distribution, rows: Rows) -> tuple[Floats | float, Value | None]:
        """Variance as data times a value of the tape (None: one)."""
        parts = self.predictor.split(variance_tree(law), rows)
        if len(parts) == 1:
            return parts[0]
        return 1.0, self.lowering.value(variance_tree(law), rows)

    def _scale(self, child: Ints, value: Value | None, data: Floats | float, rows: Rows) -> None:
        if value is None:
            constant = self.recorder.constant(data)
            start = self.recorder.start(constant)
            source = (
                np.full(child.size, start)
                if self.recorder.length(constant) == 1
                else start + np.arange(child.size)
            )
        else:
            if isinstance(data, np.ndarray) or data != 1.0:
                factor = Value(
                    self.recorder.constant(data), "\0rows" if isinstance(data, np.ndarray) else None
                )
                value = self.lowering._apply("*", [factor, value], rows)
            source = np.broadcast_to(self.predictor.source(value, rows), child.size)
        self.scales.append((child, np.asarray(source, dtype=np.int64)))

    def _latent_vector(self, vector: Vector) -> None:
        """u = mean + L e with unit shocks e, so that singular covariances are ordinary."""
        k, n = vector.order, vector.rows.n
        law = matrix(self.lowering, vector, self.factors)
        factor = law.factor
        if factor is None:
            assert law.covariance is not None
            factor = self.recorder.matrix("root", k, law.covariance)
        start = self.recorder.start(factor)
        names = "+".join(dict.fromkeys(c.node for c in vector.components))
        shocks = [self._group(f"{names}#{j}", n, SCALED) for j in range(k)]
        for j, component in enumerate(vector.components):
            child = self.elements[component.node][component.places]
            self._parents(child, component.mean, component.rows)
            self.scales.append((child, np.full(n, self.zero)))
            self.scales.append((shocks[j], np.full(n, self.one)))
            for m in range(k if law.factor is None else j + 1):  # a root is not triangular
                place = start + law.block * (k * k) + j * k + m
                self.edges.add(child, Piece(shocks[m], place, 1.0))

    # -- leaves -----------------------------------------------------------------------------------

    def _leaves(self) -> None:
        done: set[int] = set()
        apart = self.roles.collapsed_children
        for node in self.problem.graph.nodes.values():
            if node.role != "observed" or node.name not in self.problem.observed or node.name in apart:
                continue
            vector = self.vector_of.get(node.name)
            if vector is None:
                for share in cells(self.problem, node.name):
                    if isinstance(share.statement, Deterministic):
                        continue  # given: no density
                    assert isinstance(share.statement, Stochastic)
                    if share.statement.distribution.family == "Flat":
                        continue  # a given starting value: density one
                    self._scalar_leaf(node.name, share.statement.distribution, share.places, share.rows)
            elif id(vector) not in done:
                done.add(id(vector))
                self._vector_leaf(vector)

    def _collapse(self, found: ClosedIntegral) -> None:
        """A latent's closed integral joins the criterion; its conditional law keeps a place."""
        self.collapsed.append(found)
        for part in (found.log_marginal, *found.constants):
            known = self.recorder.constant_value(part)
            if known is not None:
                self.constant -= 2.0 * float(known.sum())
                continue
            start, length = self.recorder.start(part), self.recorder.length(part)
            self.linear.append((np.arange(start, start + length), np.full(length, -2.0)))
        for part in (*found.prior, *found.sums):
            self.recorder.start(part)

    def _conditional(self, found: ClosedIntegral) -> Conditional:
        size = self.recorder.length(found.sums[0])

        def places(register: int) -> Ints:
            start, length = self.recorder.start(register), self.recorder.length(register)
            return start + (np.zeros(size, np.int64) if length == 1 else np.arange(length))

        prior, sums = (tuple(places(r) for r in pair) for pair in (found.prior, found.sums))
        return Conditional(found.pair, prior, sums)  # type: ignore[arg-type]

    def _response(self, name: str, mean: ex.Expression, places: Ints, rows: Rows) -> int:
        """Registers a response on given cells; returns its number."""
        y = self.problem.values[name].reshape(-1)[places]
        pieces = aligned(self.predictor.pieces(mean, rows), rows.n, CONSTANT, self.one)
        self.responses.append(Response(name, rows.n, pieces, y, 1.0, places))
        return len(self.responses) - 1

    def _scalar_leaf(self, name: str, law: Distribution, places: Ints, rows: Rows) -> None:
        observed = self.problem.observed[name].reshape(-1)[places]
        if not observed.all():
            places, rows = places[observed], _subset(rows, np.flatnonzero(observed))
        if rows.n == 0:
            return
        if law.family != "Normal" or name in self.roles.curved:
            self._curved_leaf(name, law, places, rows)
            return
        number = self._response(name, _mean(law), places, rows)
        data, value = self._variance(law, rows)
        if np.any(np.asarray(data) <= 0):
            raise FitError(
                f"'{name}' has an observation scale that is zero or negative; substitute it out of the model"
            )
        self.responses[number].root_weight = 1.0 / np.sqrt(data)
        self.constant += rows.n * np.log(2 * np.pi) + float(np.sum(np.broadcast_to(np.log(data), rows.n)))
        if value is None:
            self.observations.append(Observation(number, None, self.one))
            return
        register = value.register
        weight = self.recorder.apply("/", self.recorder.constant(1.0), register)
        self._count_logs(self.recorder.apply("log", register), self.lowering.codes(value, rows))
        source = self.predictor.source(Value(weight, value.key), rows)
        self.observations.append(Observation(number, None, source))

    def _curved_leaf(
        self, name: str, law: Distribution, places: Ints, rows: Rows, *, latent: bool = False
    ) -> None:
        """The quadratic expansion of a log density g at any predictors eta~, as Gaussian loads.

        With W = -g'', d = eta~ less what is known of eta, and u the rest of eta:
        -2 g ~ u' W u - 2 (g' + W d) u + (-2 g + 2 g' d + d' W d).

        latent : the law is that of a latent on its unconstrained scale, not of data.
        """
        f, recorder = self.functions, self.recorder
        reader = LeafReader(self.predictor, Jets(f), name, len(self.expanded), rows)
        if latent:
            y, found = np.zeros(rows.n), reader.prior(law)
        else:
            y = self.problem.values[name].reshape(-1)[places]
            found = reader.expansion(law, y)
        first = len(self.responses)
        away, extra, offsets = [], [], []
        for k, (tree, at) in enumerate(found.predictors):
            pieces, offset = self.predictor.pieces_and_offset(tree, at)
            self.responses.append(Response(name, rows.n, pieces, np.zeros(rows.n), 1.0, places, curved=True))
            known = f.traced(recorder.constant(0.0) if offset is None else offset)
            offsets.append(known.register)
            away.append(f.traced(found.inputs[k]) - known)
            extra.append(f.traced(recorder.input(f"\0load {len(self.expanded)} {k}", rows.n)))
        weights = self._curvatures(found)
        total = -2.0 * f.traced(found.density)
        loads: dict[int, int] = {}
        for k, d in enumerate(away):
            load: Traced | None = f.traced(found.slopes[k]) if k in found.slopes else None
            for m, other in enumerate(away):
                w = weights.get((min(k, m), max(k, m)))
                if w is not None:
                    part = f.traced(w) * other
                    load = part if load is None else load + part
            assert load is not None
            inner = load + f.traced(found.slopes[k]) if k in found.slopes else load
            total = total + d * inner - (2.0 * extra[k]) * f.traced(offsets[k])
            loads[k] = (load + extra[k]).register
        register = self._long(total.register, rows.n)
        self.linear.append((recorder.start(register) + np.arange(rows.n), np.ones(rows.n)))
        for (k, m), w in weights.items():
            weights[k, m] = w = self._long(w, rows.n)
            source = recorder.start(w) + np.arange(rows.n)
            self.observations.append(Observation(first + k, None if k == m else first + m, source))
        for k, load_register in loads.items():
            source = recorder.start(load_register) + np.arange(rows.n)
            self.observations.append(Observation(first + k, -1, source))
        for register in (found.density, *found.slopes.values(), *offsets):
            recorder.start(register)
        scale = float(np.std(y)) or 1.0 if law.family in _LOCATIONS else 1.0
        inputs = [x.register for x in extra]
        self.expanded.append(
            Expanded(name, rows.n, first, found, loads, weights, inputs, offsets, scale, latent)
        )

    def _curvatures(self, found: Expansion) -> dict[tuple[int, int], int]:
        """Registers of W by pair of predictors, the ridge on the diagonal included."""
        f = self.functions
        weights = dict(found.weights)
        for k in range(len(found.predictors)):
            ridge = f.traced(self._ridge())
            weights[k, k] = (f.traced(weights[k, k]) + ridge if (k, k) in weights else ridge).register
        return weights

    def _ridge(self) -> int:
        return self.recorder.input("\0ridge", 1)

    def _long(self, register: int, n: int) -> int:
        if self.recorder.length(register) == n:
            return register
        return self.recorder.gather(register, np.zeros(n, dtype=np.int64))

    def _count_logs(self, register: int, codes: Ints) -> None:
        length = self.recorder.length(register)
        counts = np.bincount(codes, minlength=length).astype(float)
        start = self.recorder.start(register)
        self.linear.append((np.arange(start, start + length), counts))

    def _vector_leaf(self, vector: Vector) -> None:
        law = matrix(self.lowering, vector, self.factors)
        given = np.stack(
            [self.problem.observed[c.node].reshape(-1)[c.places] for c in vector.components], axis=1
        )
        patterns, of = np.unique(given, axis=0, return_inverse=True)
        for number, which in enumerate(patterns):
            if which.any():
                self._pattern(vector, law, np.flatnonzero(which), np.flatnonzero(of.reshape(-1) == number))

    def _pattern(self, vector: Vector, law: Matrix, parts: Ints, base: Ints) -> None:
        """Rows of a vector leaf that share a missing pattern."""
        k, m = vector.order, parts.size
        assert law.covariance is not None
        blocks, block = np.unique(law.block[base], return_inverse=True)
        cell = parts[:, None] * k + parts[None, :]
        index = (blocks[:, None] * (k * k) + cell.reshape(-1)[None, :]).reshape(-1)
        covariance = self.recorder.gather(law.covariance, index)
        inverse = self.recorder.matrix("inverse", m, covariance)
        logdet = self.recorder.matrix("logdet", m, covariance)
        self._count_logs(logdet, block.reshape(-1))
        self.constant += base.size * m * np.log(2 * np.pi)
        start = self.recorder.start(inverse) + block.reshape(-1) * (m * m)
        numbers = []
        for j in parts:
            c = vector.components[j]
            numbers.append(self._response(c.node, c.mean, c.places[base], _subset(c.rows, base)))
        for a in range(m):
            self.observations.append(Observation(numbers[a], None, start + a * m + a))
            for b in range(a + 1, m):
                self.observations.append(Observation(numbers[a], numbers[b], start + a * m + b))

    # -- the end ----------------------------------------------------------------------------------

    def _finish(self) -> Field:
        child, parent, value, source = self.edges.arrays()
        inner = parent >= 0
        order = elimination_order(self.groups, child[inner], parent[inner], FREE, PROFILED)
        n = self.count + 1
        row = np.empty(self.count + 1, np.int64)
        row[order] = np.arange(self.count)
        row[CONSTANT] = self.count
        kinds = np.empty(self.count, np.uint8)
        for group in self.groups:
            kinds[group.start : group.start + group.size] = group.kind
        kind = kinds[order]
        child, parent = row[child], row[parent]
        for response in self.responses:
            response.pieces = [
                Piece(
                    take(row, p.element) if isinstance(p.element, np.ndarray) else int(row[p.element]),
                    p.source,
                    p.data,
                )
                for p in response.pieces
            ]
        bound = kind.copy()  # elements with a law of their own are not for least squares to find
        for group in self.groups:
            if group.early:
                bound[row[group.start : group.start + group.size]] = SCALED
        local = kind == SCALED if self.arms else None
        fit = provisional_fit(self.responses, bound, child, parent, value, source, self.one, local)
        child, parent, value, source = fit.edges
        products = self._products(fit.responses)
        every = np.arange(self.count)  # each row reaches the constant, so that unit loads have a place
        coupled = (
            np.concatenate([products.i, every]),
            np.concatenate([products.j, np.full(self.count, self.count)]),
        )
        arranged = arrange(fit, products, row, outline(kind, *coupled, child, parent), self.groups)
        fit, products, row, kind = arranged.fit, arranged.products, arranged.row, arranged.outline.kind
        child, parent, value, source = fit.edges
        self.shifted, self.products = fit.responses, products
        shape = pattern_of(arranged.outline)
        s_from = np.full(n, self.zero, np.int64)
        for elements, places in self.scales:
            s_from[row[elements]] = places
        linear_places, linear_counts = _joined(self.linear)
        prior_places, prior_counts = _joined(self.prior)
        for name in self.coordinates:
            self.recorder.start(self.lowering.node(name))
        tape = self.recorder.finish()
        x_places = [np.arange(s, s + k) for c in self.coordinates for s, k in (tape.inputs[c],)]
        return Field(
            problem=self.problem,
            roles=self.roles,
            tape=tape,
            coordinates=tuple(self.coordinates.values()),
            x_places=np.concatenate(x_places) if x_places else np.zeros(0, np.int64),
            pattern=shape,
            fill=(
                s_from,
                shape.place(child, parent).astype(np.int32),
                source,
                value,
                shape.place(products.i, products.j).astype(np.int32),
                products.weight.astype(np.int32),
                products.left.astype(np.int32),
                products.right.astype(np.int32),
                products.value,
            ),
            linear_places=linear_places,
            linear_counts=linear_counts,
            prior_places=prior_places,
            prior_counts=prior_counts,
            constant=self.constant - int(np.sum(kind == FREE)) * float(np.log(2 * np.pi)),
            rows={name: np.where(numbers < 0, -1, row[numbers]) for name, numbers in self.elements.items()},
            shift=fit.shift,
            moves=tuple(fit.moves),
            leaves=(
                *fit.leaves,
                *(Leaf(e.node, e.n, e.scale) for e in self.expanded if not e.latent),
                *(Leaf(*row) for c in self.collapsed for row in c.rows),
            ),
            group_names=tuple(g.name for g in self.groups),
            group_rows=tuple(row[g.start : g.start + g.size] for g in self.groups),
            outer_registers={name: self.lowering.node(name) for name in self.coordinates},
            parents=(child, parent),
            order=arranged.told,
            curved=tuple(self._curved(e, fit.responses) for e in self.expanded),
            ridge=tape.inputs.get("\0ridge", (-1, 0))[0],
            collapsed=tuple(self._conditional(c) for c in self.collapsed),
        )

    def _curved(self, e: Expanded, responses: list[Response]) -> Curved:
        """The leaf with its pieces in elimination rows."""
        start = self.recorder.start
        rows = np.arange(e.n)
        k = len(e.expansion.predictors)
        element, source, data, offsets = [], [], [], []
        for r, offset in zip(responses[e.first : e.first + k], e.offsets, strict=True):
            known = start(offset) + (rows if self.recorder.length(offset) == e.n else 0)
            offsets.append(np.broadcast_to(known, e.n))
            pieces = [*r.pieces, Piece(self.count, known, 1.0), Piece(self.count, self.one, -r.y)]
            element.append(np.stack([np.broadcast_to(p.element, e.n) for p in pieces]))
            source.append(np.stack([np.broadcast_to(p.source, e.n) for p in pieces]))
            data.append(np.stack([np.broadcast_to(p.data, e.n) for p in pieces]).astype(np.float64))
        return Curved(
            node=e.node,
            n=e.n,
            eta=np.array([start(r) + rows for r in e.expansion.inputs], dtype=np.int64).reshape(k, e.n),
            load=np.array([start(r) + rows for r in e.extra], dtype=np.int64).reshape(k, e.n),
            offset=np.array(offsets, dtype=np.int64).reshape(k, e.n),
            density=start(e.expansion.density) + rows,
            slopes={j: start(r) + rows for j, r in e.expansion.slopes.items()},
            weights={pair: start(r) + rows for pair, r in e.weights.items()},
            loads={j: start(r) + rows for j, r in e.loads.items()},
            element=tuple(element),
            source=tuple(source),
            data=tuple(data),
            latent=e.latent,
        )

    def _products(self, responses: list[Response]) -> Products:
        pieces = [
            [scaled(p, r.root_weight) for p in r.pieces + ([response] if r.y.any() or not r.curved else [])]
            for r, response in ((r, Piece(self.count, self.one, -r.y)) for r in responses)
        ]
        found = []
        load = [Piece(self.count, self.one, -1.0)]
        for o in self.observations:
            second = None if o.second is None else pieces[o.second] if o.second >= 0 else load
            found.append(cross_products(pieces[o.first], second, o.weight, responses[o.first].n))
        none = np.zeros(0, np.int64)
        return merged(found) if found else Products(none, none, none, none, none, np.zeros(0))


_LOCATIONS = ("Normal", "StudentT", "Laplace", "Logistic")  # families whose mu is on the response's scale


def _mean(law: Distribution) -> ex.Expression:
    value = law.argument("mu")
    return value if isinstance(value, ex.Expression) else ex.Number(0)


def _subset(rows: Rows, at: Ints) -> Rows:
    return Rows(at.size, {p: c[at] for p, c in rows.codes.items()})


def _joined(parts: list[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])


def build_field(problem: Problem, roles: Roles, held: Element | None = None, *, arms: bool = False) -> Field:
    """The `field` form of a linear-Gaussian problem.

    held : a coefficient that is fixed at the input `HELD` of the tape.
    arms : keep the digits where scales of residuals are near zero, too (see `shift`).

    Raises `NotLowered` (a `FitError`) with the reason where a part of the graph has no such form,
    such as a mean that is not linear in the block.
    """
    return FieldBuilder(problem, roles, held, arms).build()


__all__ = ["Leaf", "build_field"]
