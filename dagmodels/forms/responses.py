"""New responses for a Gaussian field: the few sums that change, and responses drawn from the field itself.

Only the constant's column of the cross-products holds the response.  With y' the response less the
provisional fit (which stays that of the first response: any shift is exact) its entries are

    base + L y' + Q (y' o y'),

where L and Q are sparse, one row an entry, one column a given cell (or, in Q, a pair of cells of one
vector observation).  Tape, pattern, order and all other entries stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.roles import Roles
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_field import FieldBuilder, Observation, Response
from dagmodels.forms.field import Field
from dagmodels.forms.pieces import Piece, Products, scaled
from dagmodels.numerics.field_kernels import propagate

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def response_alone(problem: Problem, roles: Roles) -> bool:
    """Whether observed nodes are responses of Gaussian leaves and nothing else: then only sums change."""
    dag = problem.graph
    observed = [n.name for n in dag.nodes.values() if n.role == "observed"]
    return not roles.curved and not roles.collapsed and not any(dag.children[name] for name in observed)


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Where the entries of one response lie in the stacked vector of all of them.

    node, places : the node and the flat places of its cells. start : the first in the stacked vector.
    offset : what was taken off them, y = y' + offset.
    """

    node: str
    places: Ints
    start: int
    offset: Floats

    @property
    def part(self) -> slice:
        """Of the stacked vector."""
        return slice(self.start, self.start + self.places.size)


@dataclass(frozen=True, eq=False, slots=True)
class Responses:
    """A field whose response can be exchanged.

    field : with an array of products of its own (the last of `fill`), which `set` overwrites.
    cells : the responses' cells. entries : the entries that change, `base` of them at y' = 0.
    linear, quadratic : L, and Q over the pairs (first, second) of the stacked vector.
    predictors, observations : what was summed, for draws and influence.
    """

    field: Field
    cells: tuple[Cells, ...]
    entries: Ints
    base: Floats
    linear: csr_array
    quadratic: csr_array
    first: Ints
    second: Ints
    predictors: tuple[Response, ...]
    observations: tuple[Observation, ...]

    @property
    def n(self) -> int:
        """Length of the stacked vector."""
        return sum(c.places.size for c in self.cells)

    def stacked(self, values: Mapping[str, Floats]) -> Floats:
        """y' of responses given by node, flat or in the node's shape."""
        return np.concatenate([values[c.node].reshape(-1)[c.places] - c.offset for c in self.cells])

    def unstacked(self, y: Floats) -> dict[str, Floats]:
        """Responses by node in its shape, NaN where none is given."""
        problem = self.field.problem
        found = {c.node: np.full(problem.shape(c.node), np.nan) for c in self.cells}
        for c in self.cells:
            found[c.node].reshape(-1)[c.places] = y[c.part] + c.offset
        return found

    def sums(self, y: Floats) -> Floats:
        """The entries that change, for one stacked response or for one a column, (n,) or (n, m)."""
        base = self.base if y.ndim == 1 else self.base[:, None]
        return base + self.linear @ y + self.quadratic @ (y[self.first] * y[self.second])

    def set(self, sums: Floats) -> None:
        """Make the field that of another response."""
        self.field.fill[-1][self.entries] = sums

    # -- draws --------------------------------------------------------------------------------------

    def sampler(self, w: Floats, elements: Floats) -> Sampler:
        """What draws responses at a workspace; free elements keep their values (without shift)."""
        from scipy.sparse import csr_array

        field = self.field
        rows, columns, values = [], [], []
        for r, c in zip(self.predictors, self.cells, strict=True):
            for p in r.pieces:
                rows.append(c.start + np.arange(r.n))
                columns.append(np.broadcast_to(p.element, r.n))
                values.append(np.broadcast_to(p.data * w[p.source], r.n))
        shape = (self.n, field.pattern.n)
        design = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape)
        scale = np.sqrt(np.maximum(w[field.fill[0]][:-1], 0.0))
        start = np.where(field.pattern.kind[:-1] == 0, 0.0, elements)
        child, parent, value = field.parent_entries(w)
        order = np.argsort(-child, kind="stable")  # parents have larger numbers: they come first
        edges = (child[order], parent[order], value[order])
        return Sampler(design, scale, np.append(start, 1.0), edges, self._noise(w))

    def _noise(self, w: Floats) -> csr_array:
        """A square root of the residual covariance of the stacked vector."""
        from scipy.sparse import csr_array

        rows, columns, values = [], [], []
        for members, precision in self.precisions(w):
            at = np.stack(
                [self.cells[k].start + np.arange(self.cells[k].places.size) for k in members], axis=1
            )
            root = np.linalg.cholesky(np.linalg.inv(precision))
            m = len(members)
            for i in range(m):
                for j in range(i + 1):
                    rows.append(at[:, i])
                    columns.append(at[:, j])
                    values.append(root[:, i, j])
        found = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_array(found, (self.n, self.n))

    def precisions(self, w: Floats) -> list[tuple[list[int], Floats]]:
        """Responses that are observed together, with the precision of their rows, (n, m, m)."""
        together: list[list[int]] = []
        for o in self.observations:
            second = o.first if o.second is None else o.second
            home = next((t for t in together if o.first in t), None)
            if home is None:
                together.append([o.first] if second == o.first else [o.first, second])
            elif second not in home:
                home.append(second)
        together = _joined(together)
        found = []
        for members in together:
            n, m = self.cells[members[0]].places.size, len(members)
            precision = np.zeros((n, m, m))
            for o in self.observations:
                if o.first in members:
                    i = members.index(o.first)
                    j = i if o.second is None else members.index(o.second)
                    scale = self.predictors[o.first].root_weight * self.predictors[members[j]].root_weight
                    precision[:, i, j] = precision[:, j, i] = w[o.weight] * scale
            found.append((members, precision))
        return found


def _joined(groups: list[list[int]]) -> list[list[int]]:
    """Lists that share a member become one."""
    found: list[list[int]] = []
    for group in groups:
        touching = [g for g in found if set(g) & set(group)]
        merged = sorted({m for g in [*touching, group] for m in g})
        found = [g for g in found if not set(g) & set(group)] + [merged]
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Sampler:
    """Draws stacked responses: shocks through the parents' equations, then rows, then noise."""

    design: csr_array
    scale: Floats
    start: Floats
    edges: tuple[Ints, Ints, Floats]
    noise: csr_array

    @property
    def normals(self) -> int:
        """Standard normals that one draw takes."""
        return self.scale.size + self.noise.shape[0]

    def draw(self, z: Floats) -> Floats:
        """Stacked responses from standard normals, one draw a column."""
        q = self.scale.size
        u = np.repeat(self.start[:, None], z.shape[1], axis=1)
        u[:q] += self.scale[:, None] * z[:q]
        propagate(*self.edges, u)
        return self.design @ u + self.noise @ z[q:]


def with_responses(problem: Problem, roles: Roles) -> Responses:
    """The field of a problem, ready for other responses in the given cells.

    The problem must be one of `response_alone`.
    """
    from dataclasses import replace

    builder = FieldBuilder(problem, roles)
    field = builder.build()
    products = builder.products
    assert products is not None
    field = replace(field, fill=(*field.fill[:-1], np.array(field.fill[-1])))
    cells, start = [], 0
    for r in builder.shifted:
        given = problem.values[r.node].reshape(-1)[r.places]
        cells.append(Cells(r.node, r.places, start, given - r.y))
        start += r.n
    q, one = field.pattern.n - 1, builder.one
    parts = _Parts(products, q, one)
    pieces = [[scaled(p, r.root_weight) for p in r.pieces] for r in builder.shifted]
    for o in builder.observations:
        a = (builder.shifted[o.first], pieces[o.first], cells[o.first])
        k = o.first if o.second is None else o.second
        b = (builder.shifted[k], pieces[k], cells[k])
        parts.linear_in(b, a[1], o.weight, a[0].n)
        if o.second is not None:
            parts.linear_in(a, b[1], o.weight, a[0].n)
        parts.quadratic_in(a, b, o.weight, times=1.0 if o.second is None else 2.0)
    y = np.concatenate([r.y for r in builder.shifted]) if builder.shifted else np.zeros(0)
    found = parts.matrices(start)
    entries, linear, quadratic, first, second = found
    base = products.value[entries] - linear @ y - quadratic @ (y[first] * y[second])
    return Responses(
        field, tuple(cells), entries, base, linear, quadratic, first, second,
        tuple(builder.shifted), tuple(builder.observations),
    )  # fmt: skip


class _Parts:
    """Collects which cell enters which entry with which factor."""

    def __init__(self, products: Products, q: int, one: int) -> None:
        self.q, self.one = q, one
        mine = (products.j == q) & ((products.left == one) | (products.right == one))
        self.at = np.flatnonzero(mine)
        other = products.left[mine] + products.right[mine] - one
        self.weights, self.sources = np.unique(products.weight[mine]), np.unique(other)
        key = self._key(products.i[mine], products.weight[mine], other)
        self.order = np.argsort(key)
        self.sorted = key[self.order]
        self.linear: list[tuple[Ints, Ints, Floats]] = []
        self.quadratic: list[tuple[Ints, Ints, Ints, Floats]] = []

    def _key(self, element: Any, weight: Any, source: Any) -> Ints:
        w, s = np.searchsorted(self.weights, weight), np.searchsorted(self.sources, source)
        return (element * self.weights.size + w) * self.sources.size + s

    def _entry(self, element: Any, weight: Any, source: Any, n: int) -> Ints:
        key = np.broadcast_to(self._key(element, weight, source), n)
        return self.at[self.order[np.searchsorted(self.sorted, key)]]

    def linear_in(
        self, y: tuple[Response, list[Piece], Cells], pieces: list[Piece], weight: Ints | int, n: int
    ) -> None:
        """Products of a response with the pieces of a predictor."""
        response, _, cells = y
        for p in pieces:
            twice = np.where(np.asarray(p.element) == self.q, 2.0, 1.0)
            factor = np.broadcast_to(-twice * p.data * response.root_weight, n)
            entry = self._entry(p.element, weight, p.source, n)
            self.linear.append((entry, cells.start + np.arange(n), factor))

    def quadratic_in(
        self,
        a: tuple[Response, list[Piece], Cells],
        b: tuple[Response, list[Piece], Cells],
        weight: Ints | int,
        *,
        times: float,
    ) -> None:
        """Products of two responses, or squares of one."""
        n = a[0].n
        factor = np.broadcast_to(times * a[0].root_weight * b[0].root_weight, n)
        rows = np.arange(n)
        entry = self._entry(self.q, weight, self.one, n)
        self.quadratic.append((entry, a[2].start + rows, b[2].start + rows, factor))

    def matrices(self, n: int) -> tuple[Ints, csr_array, csr_array, Ints, Ints]:
        """Entries that change, L, Q, and the pairs of Q."""
        from scipy.sparse import csr_array

        none = np.zeros(0, np.int64)
        entry, row = (np.concatenate([none, *(x[k] for x in self.linear)]) for k in (0, 1))
        factor = np.concatenate([np.zeros(0), *(x[2] for x in self.linear)])
        entry2, first, second = (np.concatenate([none, *(x[k] for x in self.quadratic)]) for k in (0, 1, 2))
        factor2 = np.concatenate([np.zeros(0), *(x[3] for x in self.quadratic)])
        entries, codes = np.unique(np.concatenate([entry, entry2]), return_inverse=True)
        codes = codes.reshape(-1)
        linear = csr_array((factor, (codes[: entry.size], row)), (entries.size, n))
        pairs = np.arange(first.size)
        quadratic = csr_array((factor2, (codes[entry.size :], pairs)), (entries.size, first.size))
        return entries, linear, quadratic, first, second
