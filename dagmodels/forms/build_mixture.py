"""Problem -> MixtureForm: log densities by row and state, and which of them meet in a slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import is_discrete
from dagmodels.bind.problem import Problem
from dagmodels.distributions import WRAPPERS, family
from dagmodels.errors import ModelError
from dagmodels.forms.alike import alike
from dagmodels.forms.build_flat import FlatBuilder
from dagmodels.forms.direct import Direct, direct
from dagmodels.forms.jets import Jet
from dagmodels.forms.leaf_laws import LawReader
from dagmodels.forms.leaves import Argument, Leaf, leaf
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mixture import MixtureForm, Part, Sums, Use
from dagmodels.forms.repeats import repeated
from dagmodels.forms.sites import Site
from dagmodels.forms.slices import Slices, slices
from dagmodels.forms.states import Expanded, Latents, StateLowering, StateTrees, depending
from dagmodels.forms.touches import Touches, touches
from dagmodels.graph import expression as ex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAVES = 64  # groups of rows with a leaf of their own


@dataclass(frozen=True, eq=False, slots=True)
class _Columns:
    """A part whose densities are still a register."""

    site: Site
    kind: Ints
    touched: Ints
    expanded: Expanded
    register: int
    arguments: dict[str, int]
    direct: dict[str, tuple[Direct, ...]]
    own: Floats
    leaf: Leaf | None = None
    codes: Mapping[str, Ints] = field(default_factory=dict)


class MixtureBuilder(FlatBuilder):
    """Builds one mixture form; see `build_mixture`."""

    def __init__(self, problem: Problem, states: Mapping[str, int]) -> None:
        dag = problem.graph
        unknown = [
            n
            for n, node in dag.nodes.items()
            if node.kind == "parameter" or (node.role == "latent" and n not in states)
        ]
        super().__init__(problem, unknown)
        self.everything = True
        self.latents = Latents.of(problem, states)
        dependent = depending(dag, self.latents.first)
        self.lowering = StateLowering(self.latents, self.recorder, self._node, dependent)
        self.trees = StateTrees(self.lowering, self.jets)
        self.columns: list[_Columns] = []
        self.asked = {n: plan for n, plan in self.plans.items() if plan.asks}
        self._taken: dict[ex.Expression, int] = {}

    def build_form(self) -> MixtureForm:
        """See `build_mixture`."""
        flat = self.build()
        parts = tuple(
            Part(
                c.site,
                c.kind,
                c.touched,
                c.expanded,
                flat.tape.place(c.register) if c.leaf is None else slice(0, 0),
                {key: flat.tape.place(r) for key, r in c.arguments.items()},
                c.direct,
                c.own,
                c.leaf,
                c.codes,
            )
            for c in self.columns
        )
        found = slices(self.latents, [p.touched for p in parts if not p.known])
        sums = tuple(self._sums(found, k, parts) for k in range(len(found.classes)))
        form = MixtureForm(flat, self.latents, parts, sums, self._observations())
        return repeated(form) if self.problem.repeats else form

    def kept(self) -> list[int]:
        """Registers of the parts, which the tape must hold."""
        own = [r for c in self.columns for r in (c.register, *c.arguments.values()) if r >= 0]
        return [*own, *(self.lowering.node(n) for n in self.asked)]

    def _observations(self) -> int:
        """What bic counts: elements of the latents' plates; of observed nodes where these have none."""
        size = max(
            (int(np.prod(self.problem.shape(n), dtype=np.int64)) for n in self.latents.first), default=1
        )
        if size > 1:
            return size
        dag, problem = self.graph, self.problem
        seen = (n for n, node in dag.nodes.items() if node.role == "observed" and n in problem.observed)
        return int(sum(np.count_nonzero(problem.observed[n]) for n in seen))

    # -- log densities -----------------------------------------------------------------------------

    def _factor(self, site: Site) -> None:
        site = self._seen(site)
        if not site.rows.n:
            return
        name = site.names[0]
        if self.graph.nodes[name].role != "observed" and name not in self.latents.first:
            super()._factor(site)  # a prior
            return
        found = touches(self.lowering, site)
        reads = found.reads if found.alike and self._comparable(site) else None
        for at, touched, names in _patterns(found, site.rows.n):
            rest = self._leaves(site, at, touched, names, found) if reads is None and found.alike else at
            if rest.size:
                own = [c[rest] for c in reads] if reads is not None else None
                self._column(site.at(rest), touched[np.searchsorted(at, rest)], names, own)

    def patterns(self, site: Site) -> Iterator[tuple[Ints, Ints, list[str]]]:
        """Rows that touch as many latents: which rows, the elements (rows, columns), and their nodes."""
        return _patterns(touches(self.lowering, site), site.rows.n)

    def _leaves(self, site: Site, at: Ints, touched: Ints, names: list[str], found: Touches) -> Ints:
        """Record rows whose laws are alike but for their values without the tape; the rows that are left."""
        if site.law.family not in ("Normal", "MvNormal") or not names:
            return at
        reads = [c[at] for c in found.reads if (c[at] != c[at][0]).any()]
        _, which = alike(reads, at.size)
        if which.max(initial=0) >= LEAVES:
            return at
        counts = tuple(self.latents.count[n] for n in names)
        left = []
        for k in range(int(which.max(initial=-1)) + 1):
            mine = np.flatnonzero(which == k)
            expanded = Expanded.of(touched[mine[:1]], counts)
            wide = expanded.site(site.at(at[mine[:1]]))
            self.lowering.expanded = expanded
            arguments = self._by_state(wide)
            self.lowering.expanded = None
            base = site.at(at[mine])
            own = self.problem.values[site.names[0]].reshape(-1)[base.places]
            made = None if arguments is None else leaf(site.law.family, own, expanded.states, arguments)
            if made is None:
                left.append(at[mine])
                continue
            direct = {key: (d,) for key, d in (arguments or {}).items() if isinstance(d, Direct)}
            whole = Expanded(touched[mine], expanded.digits)
            kind = np.arange(mine.size)
            self.columns.append(_Columns(base, kind, touched[mine], whole, -1, {}, direct, own, made))
        return np.sort(np.concatenate([np.zeros(0, np.int64), *left]))

    def _by_state(self, wide: Site) -> dict[str, Argument] | None:
        """Each argument as one unknown a state, or as known numbers; None where one is neither."""
        found: dict[str, Argument] = {}
        shapes = {a.name: a.shape for a in family(wide.law.family).parameters}
        for key, tree in wide.law.arguments:
            if key not in shapes or not isinstance(tree, ex.Expression):
                return None
            one = direct(self.lowering, tree, wide, self.asked, shapes[key])
            if one is not None and len(one) == 1 and one[0].by_state and not one[0].swapped:
                found[key] = one[0]
                continue
            if shapes[key]:
                return None
            known = self.recorder.constant_value(self.trees.number(tree, wide.rows).value.register)
            if known is None:
                return None
            found[key] = known
        return found

    def _seen(self, site: Site) -> Site:
        """The rows whose own value is known or latent: what is missing and has no children sums to one."""
        name = site.names[0]
        if name in self.latents.first or name not in self.problem.observed:
            return site
        missing = ~self.problem.observed[name].reshape(-1)[site.places]
        if not missing.any():
            return site
        if self.graph.children[name] or (missing.any(axis=1) & ~missing.all(axis=1)).any():
            raise NotLowered(
                f"'{name}' misses values, and others depend on them or on part of a vector: the mixture form "
                "does not integrate these"
            )
        return site.at(np.flatnonzero(~missing.any(axis=1)))

    def _comparable(self, site: Site) -> bool:
        """Whether rows may well be alike: their own values are counted or latent."""
        return site.names[0] in self.latents.first or is_discrete(site.law)

    def _column(self, site: Site, touched: Ints, names: list[str], reads: list[Floats] | None) -> None:
        first, kind = self._kinds(site, reads)
        counts = tuple(self.latents.count[n] for n in names)
        expanded = Expanded.of(touched[first], counts)
        base = site.at(first)
        wide = expanded.site(base)
        self.lowering.expanded = expanded
        self._taken = {}
        name = site.names[0]
        try:
            density = self._law(wide).log_density(wide.law, self.value(wide))
            direct = self._direct(wide)
        except (NotLowered, ModelError) as error:
            if f"'{name}'" in str(error):
                raise
            raise NotLowered(f"'{name}' has no tape form: {error}") from error
        finally:
            self.lowering.expanded = None
        arguments = {
            key: self._taken[tree]
            for key, tree in site.law.arguments
            if isinstance(tree, ex.Expression) and tree in self._taken
        }
        for register in (density.value.register, *arguments.values()):
            self.recorder.start(register)
        register = density.value.register
        own = self._own(base, wide, expanded)
        codes = {} if names else site.rows.codes
        self.columns.append(
            _Columns(base, kind, touched, expanded, register, arguments, direct, own, None, codes)
        )

    def _own(self, site: Site, wide: Site, expanded: Expanded) -> Floats:
        """The values themselves, as in `Part`."""
        name = site.names[0]
        if name not in self.latents.first:
            return self.problem.values[name].reshape(-1)[site.places]
        self.lowering.expanded = expanded
        codes = self.lowering.codes_at(name, wide.places[:, 0], wide.rows)
        self.lowering.expanded = None
        return codes.reshape(-1, expanded.states).astype(np.float64)

    def _kinds(self, site: Site, reads: list[Floats] | None) -> tuple[Ints, Ints]:
        """The first row of each kind, and the kind of each row."""
        n = site.rows.n
        if reads is None:
            return np.arange(n), np.arange(n)
        if site.names[0] not in self.latents.first:
            own = self.problem.values[site.names[0]].reshape(-1)[site.places]
            reads = [*reads, *own.T]
        return alike(reads, n)

    def _law(self, site: Site) -> LawReader:
        """As for the flat form; which registers arguments became is kept."""
        reader = super()._law(site)

        def number(tree: ex.Expression) -> Jet:
            found = reader.number(tree)
            self._taken[tree] = found.value.register
            return found

        return replace(reader, number=number)

    def _direct(self, site: Site) -> dict[str, tuple[Direct, ...]]:
        """Arguments of a law that are single unknowns."""
        if site.law.family in WRAPPERS or site.law.family == "Table":
            return {}
        found = {}
        for key, tree in site.law.arguments:
            whole = next((a.shape for a in family(site.law.family).parameters if a.name == key), 0)
            if isinstance(tree, ex.Expression):
                one = direct(self.lowering, tree, site, self.asked, whole)
                if one is not None:
                    found[key] = one
        return found

    def value(self, site: Site) -> Jet:
        """The site's values; of latents their states."""
        name = site.names[0]
        if name not in self.latents.first:
            return super().value(site)
        codes = self.lowering.codes_at(name, site.places[:, 0], site.rows)
        register = self.recorder.constant(codes)
        self.jets.whole.add(register)
        return self.jets.of(register)

    # -- slices ------------------------------------------------------------------------------------

    def _sums(self, found: Slices, k: int, parts: tuple[Part, ...]) -> Sums:
        group = found.classes[k]
        uses: list[tuple[int, Ints, Ints, Ints]] = []  # part, slice and kind of each row, states
        moves: list[tuple[int, Ints, Ints, Ints]] = []
        for p, part in enumerate(parts):
            if part.known:
                continue
            mine = np.flatnonzero(found.group[part.touched[:, 0]] == k)
            if mine.size:
                _place(found, k, p, part, mine, uses, moves)
        if moves:
            return _chains(group, uses, moves, parts)
        if not group.start.all():
            raise NotLowered("a chain of discrete latents has elements that nothing ties to those before")
        weights, distinct, first = _alike(group.size, uses)
        return Sums(group, weights, distinct, tuple(_use(u, group.size, first, parts) for u in uses))


def _patterns(found: Touches, n: int) -> Iterator[tuple[Ints, Ints, list[str]]]:
    elements = np.zeros((n, 0), dtype=np.int64)
    if found.elements:
        elements = np.stack(found.elements, axis=1)
    touched = elements >= 0
    first, kinds = alike(touched.T, n)
    for k, columns in enumerate(touched[first]):
        at = np.flatnonzero(kinds == k)
        chosen = _distinct_columns(elements[at][:, columns])
        names = [name for name, c in zip(found.names, columns, strict=True) if c]
        yield at, elements[at][:, columns][:, chosen], [names[c] for c in chosen]


def _distinct_columns(elements: Ints) -> list[int]:
    """One of each set of equal columns."""
    kept: list[int] = []
    for c in range(elements.shape[1]):
        same = [k for k in kept if (elements[:, k] == elements[:, c]).any()]
        if any((elements[:, k] != elements[:, c]).any() for k in same):
            raise NotLowered("rows refer twice to the same latent, other rows to two: write two statements")
        if not same:
            kept.append(c)
    return kept


def _place(
    found: Slices, k: int, p: int, part: Part, mine: Ints,
    uses: list[tuple[int, Ints, Ints, Ints]], moves: list[tuple[int, Ints, Ints, Ints]],
) -> None:  # fmt: skip
    """Sort a part's rows into those of one slice and those that lead from the slice before."""
    group = found.classes[k]
    touched = part.touched[mine]
    if (found.group[touched] != k).any():
        raise NotLowered("a law touches latents of slices with different states: chains need equal slices")
    rows, slots = found.row[touched], found.slot[touched]
    last = rows.max(axis=1)
    back = last[:, None] - rows
    if (back > 1).any():
        raise NotLowered("a law reaches back over more than one element of a chain of discrete latents")
    key = np.concatenate([back, slots], axis=1)
    first, which = alike(key.T, len(key))
    patterns = key[first]
    j = touched.shape[1]
    counts = tuple(int(c) for c in part.expanded.digits.max(axis=0) + 1)
    for q, pattern in enumerate(patterns):
        at = np.flatnonzero(which == q)
        before, slot = pattern[:j] == 1, pattern[j:]
        now = group.digits[:, slot]
        if before.any():
            pairs = np.where(before, now[:, None, :], now[None, :, :])  # from, to
            states = np.ravel_multi_index(tuple(np.moveaxis(pairs, -1, 0)), counts).reshape(-1)
            moves.append((p, last[at], part.kind[mine[at]], states))
        else:
            states = np.ravel_multi_index(tuple(now.T), counts)
            uses.append((p, last[at], part.kind[mine[at]], states))


def _alike(size: int, uses: list[tuple[int, Ints, Ints, Ints]]) -> tuple[Floats, Ints, Ints]:
    """Slices with the same rows: how many each stands for, which stands for each, and where they are.

    Rows are compared by sums of random numbers of 64 bits, one a kind: two different slices among 10^6
    agree with a probability below 1e-7.
    """
    if any(np.unique(kind).size == kind.size > 1 for _, _, kind, _ in uses):
        return np.ones(size), np.arange(size), np.arange(size)
    rng = np.random.default_rng(20231)
    marks = np.zeros(size, dtype=np.uint64)
    for _, row, kind, _ in uses:
        numbers = rng.integers(0, 2**64, int(kind.max(initial=0)) + 1, dtype=np.uint64)
        np.add.at(marks, row, numbers[kind])
    _, first, distinct, counts = np.unique(marks, return_index=True, return_inverse=True, return_counts=True)
    return counts.astype(np.float64), distinct.reshape(-1), first


def _use(use: tuple[int, Ints, Ints, Ints], size: int, first: Ints, parts: tuple[Part, ...]) -> Use:
    """Rows of some slices as sparse counts."""
    p, row, kind, states = use
    if parts[p].kinds == 1 and row.size == size and np.array_equal(row, np.arange(size)):
        return Use(p, 1, states)
    if first.size == size == row.size and parts[p].kinds == size and np.array_equal(row, kind):
        return Use(p, None, states)
    return Use(p, _counts(row, kind, size, parts[p].kinds)[first], states)


def _counts(row: Ints, kind: Ints, size: int, kinds: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(row.size), (row, kind)), shape=(size, kinds))


def _chains(
    group: Any, uses: list[tuple[int, Ints, Ints, Ints]], moves: list[tuple[int, Ints, Ints, Ints]],
    parts: tuple[Part, ...],
) -> Sums:  # fmt: skip
    """Chains keep all their slices; steps whose transitions are alike share a table."""
    size = group.size
    keys = np.full((size, len(moves)), -1)
    for m, (_, row, kind, _) in enumerate(moves):
        if np.unique(row).size < row.size:
            raise NotLowered("a step of a chain of discrete latents has two rows of one statement")
        keys[row, m] = kind
    inner = np.flatnonzero(~group.start)
    if (keys[inner] < 0).all(axis=1).any():
        raise NotLowered("a chain of discrete latents has elements that nothing ties to those before")
    first, which = alike(keys[inner].T, inner.size)
    distinct = keys[inner[first]]
    table = np.zeros(size, dtype=np.int64)
    table[inner] = which
    tables = []
    for m, (p, _, _, states) in enumerate(moves):
        own = np.flatnonzero(distinct[:, m] >= 0)
        tables.append(Use(p, _counts(own, distinct[own, m], len(distinct), parts[p].kinds), states))
    every = np.arange(size)
    return Sums(
        group, np.ones(size), every, tuple(_use(u, size, every, parts) for u in uses), tuple(tables), table
    )


def build_mixture(problem: Problem, states: Mapping[str, int]) -> MixtureForm:
    """The log density of what is observed, discrete latents summed out.

    Parameters
    ----------
    problem : graph and data. states : discrete latent nodes (or partly missing ones) and how many states
        their elements have.

    Raises
    ------
    NotLowered, FitError : what cannot be summed out, with the nodes and the reason.
    """
    try:
        return MixtureBuilder(problem, states).build_form()
    except ModelError as error:
        raise NotLowered(str(error)) from error
