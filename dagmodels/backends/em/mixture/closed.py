"""Maximisation in closed form: which unknowns have it, and the sums that give it.

An unknown whose every use in a law is by one rule is maximised given the others: a parameter with a
conjugate kernel (`distributions._conjugate`), the mean of a Normal, the probabilities of a Categorical, mean
and covariance of a MvNormal. Others are left to steps on the exact gradient. Rules follow one another, each
with the newest values of the rest (Meng and Rubin 1993, Biometrika 80:267), so that no step lowers the
expectation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.priors import Prior, prior
from dagmodels.distributions import _numeric, family
from dagmodels.distributions._family import Conjugacy
from dagmodels.forms.cells import element_label
from dagmodels.forms.direct import Direct
from dagmodels.forms.leaves import NormalLeaf, VectorLeaf
from dagmodels.forms.mixture import MixtureForm, Part
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import distribution_expressions
from dagmodels.graph.statement import Distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-14  # of probabilities: zero has no unconstrained number
SINGULAR = 1e-6  # of a standard deviation, in units of that of all values
ANGLES = {"mu": "direction", "kappa": "concentration"}
SHRUNK = 1e-4  # the same where a search ended, and not at an optimum


class Singular(ArithmeticError):
    """A component that shrinks onto its values, where the likelihood has no bound: the element's name."""


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One use of an unknown.

    part : position. key : the law's argument. element : where.
    """

    part: int
    key: str
    element: Direct

    @property
    def by_state(self) -> Ints | None:
        """Its places by state of the part, where all rows agree."""
        return self.element.places if self.element.by_state else None


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """How one unknown is maximised.

    kind : "kernel", "mean", "categories", "vector", "matrix", "direction" or "concentration".
    conjugacy : of a kernel.
    """

    node: str
    kind: str
    prior: Prior
    terms: tuple[Term, ...]
    kernel: str = ""
    power: float = 1.0


def rules(form: MixtureForm) -> tuple[Rule, ...]:
    """The rules that hold, means before scales."""
    uses: dict[str, list[Term]] = {n: [] for n in form.flat.unknown}
    barred: set[str] = set()
    for p, part in enumerate(form.parts):
        barred |= _beside(form, part)
        for key, elements in part.direct.items():
            for element in elements:
                uses[element.node].append(Term(p, key, element))
    found = []
    for name, terms in uses.items():
        if name in barred or not terms:
            continue
        rule = _rule(form, name, tuple(terms))
        if rule is not None:
            found.append(rule)
    order = ("categories", "mean", "vector", "direction", "kernel", "matrix", "concentration")
    return tuple(sorted(found, key=lambda r: order.index(r.kind)))


def _beside(form: MixtureForm, part: Part) -> set[str]:
    """Unknowns that a part's law uses otherwise than as single elements."""
    dag = form.flat.problem.graph
    law = part.site.law
    trees = [
        t
        for key, value in law.arguments
        if key not in part.direct
        for t in ([value] if isinstance(value, ex.Expression) else _inside(value))
    ]
    queue = [r.name for tree in trees for r in ex.references(tree)]
    found: set[str] = set()
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        if name in dag.nodes and dag.nodes[name].kind == "deterministic":
            queue.extend(dag.parents[name])
    return found & set(form.flat.unknown)


def _inside(value: object) -> Iterable[ex.Expression]:
    return distribution_expressions(Distribution("", (("", value),)))  # type: ignore[arg-type]


def _rule(form: MixtureForm, name: str, terms: tuple[Term, ...]) -> Rule | None:
    problem = form.flat.problem
    if any(name in problem.graph.parents[n] for n in form.flat.unknown):
        return None  # another unknown's law hangs on it
    kinds = {_kind(form.parts[t.part], t) for t in terms}
    if len(kinds) != 1 or None in kinds:
        return None
    ((kind, kernel, power),) = kinds  # type: ignore[misc]
    stated = prior(problem, name)
    suits = {
        "kernel": ("none", kernel if power == 1.0 else "none"),
        "mean": ("none", "normal"),
        "categories": ("none", "dirichlet"),
    }
    if stated.kind not in suits.get(kind, ("none",)) or (
        kind in ("categories", "vector", "matrix") and not stated.free.all()
    ):
        return None
    return Rule(name, kind, stated, terms, kernel, power)


def _kind(part: Part, term: Term) -> tuple[str, str, float] | None:
    law = part.site.law
    found = family(law.family)
    keys = {key for key, _ in law.arguments}
    if keys != {a.name for a in found.parameters}:
        return None
    if law.family == "Categorical" and term.key == "p":
        return "categories", "", 1.0
    if law.family == "MvNormal":
        if not isinstance(part.leaf, VectorLeaf):
            return None  # components that differ by row
        return ("vector" if term.key == "mu" else "matrix"), "", 1.0
    if law.family == "VonMises":
        return None if term.element.swapped else (ANGLES[term.key], "", 1.0)
    if law.family == "Normal" and term.key == "mu":
        return None if term.element.swapped else ("mean", "", 1.0)
    rule = _conjugacy(law.family, term.key)
    if rule is None or (term.element.swapped and rule.kernel != "beta"):
        return None
    return "kernel", rule.kernel, rule.power


def _conjugacy(name: str, key: str) -> Conjugacy | None:
    return next(
        (c for c in family(name).conjugacies if c.argument == key and not c.signature and not c.times), None
    )


@dataclass(eq=False, slots=True)
class Point:
    """Values of the unknowns on their way through a maximisation.

    values : by node, flat. w : the tape's numbers at the point where it began, for arguments that are neither
        single unknowns nor data; made anew where rules have moved what they hang on.
    """

    form: MixtureForm
    values: dict[str, Floats]
    w: Floats | None
    stale: bool = False
    kept: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
    vectors: dict[int, tuple[Floats, tuple[Floats, Floats, Floats]]] = field(default_factory=dict)

    def sums(self, p: int, leaf: NormalLeaf, weights: Floats) -> tuple[Floats, Floats]:
        """Means by state where the maximisation began, and sums about these; made once."""
        if p not in self.kept:
            mean = np.array(np.broadcast_to(self.argument(p, "mu"), (1, leaf.states))[0])
            self.kept[p] = mean, leaf.sums(weights, mean)
        return self.kept[p]

    def y(self) -> Floats:
        """The unconstrained numbers."""
        problem = self.form.flat.problem
        return self.form.flat.unconstrain({n: v.reshape(problem.shape(n)) for n, v in self.values.items()})

    def argument(self, p: int, key: str) -> Floats:
        """An argument of a part's law, broadcasting to (kinds, states)."""
        part = self.form.parts[p]
        elements = part.direct.get(key)
        s = part.expanded.states
        if elements is not None:
            if len(elements) == 1 and elements[0].at is None:
                return elements[0].values(self.values[elements[0].node], s)
            found = np.empty(part.kinds * s)
            for e in elements:
                value = self.values[e.node][e.places]
                found[e.at] = 1 - value if e.swapped else value
            return found.reshape(part.kinds, s)
        if isinstance(part.leaf, NormalLeaf):
            known = part.leaf.mean if key == "mu" else part.leaf.sd
            return np.broadcast_to(np.asarray(known, dtype=np.float64), (1, s))
        if self.w is None or self.stale:
            self.w, self.stale = self.form.workspace(self.y()), False
        value = self.w[part.arguments[key]]
        return value.reshape(1, 1) if value.size == 1 else value.reshape(part.kinds, s)


def apply(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    """Maximise over one unknown, in place."""
    match rule.kind:
        case "kernel":
            _kernel(rule, point, weights)
        case "mean":
            _mean(rule, point, weights)
        case "categories":
            _categories(rule, point, weights)
        case "direction" | "concentration":
            from dagmodels.backends.em.mixture.angles import angle_rule

            angle_rule(rule, point, weights)
        case _:
            from dagmodels.backends.em.mixture.vectors import vector_rule

            vector_rule(rule, point, weights)
    point.stale = True


def summed(form: MixtureForm, term: Term, size: int, *columns: Floats) -> list[Floats]:
    """Sums of (kinds, states) columns by place of an unknown with so many elements."""
    part = form.parts[term.part]
    shape = (part.kinds, part.expanded.states)
    found = []
    for column in columns:
        if term.by_state is not None:
            total = column.sum(axis=0) if column.shape[0] == shape[0] else column[0] * shape[0]
            total = np.broadcast_to(total, shape[1:])
            found.append(np.bincount(term.by_state, total, size))
            continue
        flat = np.broadcast_to(column, shape).reshape(-1)
        at = term.element.at
        found.append(np.bincount(term.element.places, flat if at is None else flat[at], size))
    return found


def _kernel(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    form, old = point.form, point.values[rule.node]
    a, b = rule.prior.first.copy(), rule.prior.second.copy()
    spread = 0.0
    for term in rule.terms:
        part, w = form.parts[term.part], weights[term.part]
        if isinstance(part.leaf, NormalLeaf):
            more_a, more_b = _squares(point, term, w)
            a = a + np.bincount(term.element.places, more_a, a.size)
            b = b + np.bincount(term.element.places, more_b, a.size)
            spread = max(spread, float(np.var(part.own)))
            continue
        found = family(part.site.law.family)
        conjugacy = _conjugacy(found.name, term.key)
        assert conjugacy is not None
        others = [point.argument(term.part, x.name) for x in found.parameters if x.name != term.key]
        more_a, more_b, _ = conjugacy.terms(_numeric, part.own, *others)
        more = summed(form, term, a.size, w * more_a, w * more_b)
        if term.element.swapped:
            more.reverse()
        a, b = a + more[0], b + more[1]
        spread = max(spread, float(np.var(part.own)))
    live = rule.prior.free & (a + b > 0 if rule.kernel == "beta" else (a > 0) | (b > 0))
    new = old.copy()
    with np.errstate(all="ignore"):
        r = a / (a + b) if rule.kernel == "beta" else a / b
        value = r ** (1.0 / rule.power)
    new[live] = value[live]
    if rule.kernel == "beta":
        new = np.clip(new, LEAST, 1 - LEAST)
    elif rule.power == -2.0:
        small = live & ~(new > SINGULAR * np.sqrt(spread)) & (a > 0)
        if small.any():
            raise Singular(element_label(form.flat.problem, rule.node, int(np.flatnonzero(small)[0])))
    else:
        new = np.maximum(new, 1e-100)
    point.values[rule.node] = inside_domain(rule, new, old)


def _squares(point: Point, term: Term, weights: Floats) -> tuple[Floats, Floats]:
    """Half the weights, and half the weighted squares about the newest means, by state."""
    leaf = point.form.parts[term.part].leaf
    assert isinstance(leaf, NormalLeaf)
    mean, (total, first, second) = point.sums(term.part, leaf, weights)
    moved = point.argument(term.part, "mu")[0] - mean
    return 0.5 * total, 0.5 * np.maximum(second - 2 * moved * first + total * moved**2, 0.0)


def inside_domain(rule: Rule, new: Floats, old: Floats) -> Floats:
    """Within the stated ends: what is maximised has one peak along each element."""
    low, high = rule.prior.lower, rule.prior.upper
    if np.isfinite(low) and low != 0.0:
        new = np.where(new <= low, 0.5 * (low + np.maximum(old, np.nextafter(low, np.inf))), new)
    elif low == 0.0:
        new = np.where(new <= 0, 0.5 * np.maximum(old, 1e-100), new)
    if np.isfinite(high):
        new = np.where(new >= high, 0.5 * (high + old), new)
    return np.where(rule.prior.free, new, old)


def _mean(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    form, old = point.form, point.values[rule.node]
    precision, product = rule.prior.first.copy(), rule.prior.second.copy()
    for term in rule.terms:
        part = form.parts[term.part]
        if isinstance(part.leaf, NormalLeaf):
            mean, (total, first, _) = point.sums(term.part, part.leaf, weights[term.part])
            w = 1.0 / np.broadcast_to(point.argument(term.part, "sigma"), (1, mean.size))[0] ** 2
            precision = precision + np.bincount(term.element.places, w * total, old.size)
            product = product + np.bincount(term.element.places, w * (first + total * mean), old.size)
            continue
        w = weights[term.part] / point.argument(term.part, "sigma") ** 2
        more = summed(form, term, old.size, w, w * part.own)
        precision, product = precision + more[0], product + more[1]
    live = precision > 0
    new = np.where(live, product / np.where(live, precision, 1.0), old)
    point.values[rule.node] = inside_domain(rule, new, old)


def _categories(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    form, old = point.form, point.values[rule.node]
    length = form.flat.problem.shape(rule.node)[-1]
    counts = rule.prior.first.copy()
    for term in rule.terms:
        part = form.parts[term.part]
        shape = (part.kinds, part.expanded.states)
        places = term.element.places.reshape(-1, shape[1]) + part.own.astype(np.int64)
        flat = np.broadcast_to(weights[term.part], shape).reshape(-1)
        counts += np.bincount(np.broadcast_to(places, shape).reshape(-1), flat, counts.size)
    counts = np.maximum(counts, 0.0).reshape(-1, length)
    total = counts.sum(axis=1, keepdims=True)
    new = np.where(total > 0, counts / np.where(total > 0, total, 1.0), old.reshape(-1, length))
    new = np.maximum(new, LEAST)
    point.values[rule.node] = (new / new.sum(axis=1, keepdims=True)).reshape(-1)


def shrunk(form: MixtureForm, found: Iterable[Rule], y: Floats) -> str:
    """The first scale next to nothing beside the spread of its values (or concentration as large), or ""."""
    values = form.flat.constrain(y)
    for rule in found:
        value = np.asarray(values[rule.node]).reshape(-1)
        if rule.kind == "concentration":
            small = np.flatnonzero(~(value < SHRUNK**-2))
        elif rule.kind == "kernel" and rule.power == -2.0:
            spread = max(float(np.std(form.parts[t.part].own)) for t in rule.terms)
            small = np.flatnonzero(~(value > SHRUNK * spread))
        else:
            continue
        if small.size:
            return element_label(form.flat.problem, rule.node, int(small[0]))
    return ""


def closed_nodes(found: Iterable[Rule]) -> frozenset[str]:
    """The unknowns that rules maximise."""
    return frozenset(r.node for r in found)


__all__ = [
    "Mapping",
    "Point",
    "Rule",
    "Singular",
    "apply",
    "closed_nodes",
    "inside_domain",
    "rules",
    "shrunk",
    "summed",
]
