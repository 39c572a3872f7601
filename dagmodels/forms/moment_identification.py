"""Which unknowns means and covariances tell apart: the rank of their exact Jacobian.

The rank at a random point is the rank almost everywhere (Wald 1950; Bekker, Merckens and Wansbeek 1994,
Identification, Equivalent Models and Computer Algebra, chapter 2), so that two points settle it but for
events of probability zero. The null space names the unknowns; the graph says what would fix them.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.clusters import exchangeable
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.paths import Paths, paths
from dagmodels.analysis.unit import Unit, unit
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_moments import template_of
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.implied import Implied, ordered_space
from dagmodels.forms.levels import random_point, split
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.moments import Template, Thresholds
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Structure
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
SMALL = 1e-9  # of the largest singular value
SHARE = 1e-6  # of a unit vector, below which an unknown is no part of it


def moment_findings(problem: Problem) -> tuple[Finding, ...]:
    """What the means and covariances of a problem leave unidentified; remembered with its graph."""
    dag = problem.graph
    found = exchangeable(dag)
    if not isinstance(found, Unit):
        return ()
    own = {found.plate, found.inner}
    others = tuple((n, p.size) for n, p in problem.plates.items() if n not in own)
    known = all(own & set(dag.nodes[n].plates) or dag.nodes[n].kind == "constant" for n in problem.values)
    key = ("moments identification", others)
    if known and key in dag.memo:
        return cast(tuple[Finding, ...], dag.memo[key])
    try:
        template, _ = template_of(problem, found)
    except NotLowered:  # the backend says so itself
        return ()
    result = _findings(dag, template)
    if known:
        dag.memo[key] = result
    return result


def _findings(dag: Dag, template: Template) -> tuple[Finding, ...]:
    if template.prior_places.size or not template.x_places.size:
        return ()  # a prior tells apart what the data do not
    null = null_space(template)
    if not null.shape[1]:
        return ()
    names, nodes = _names(template)
    moments = count_of_moments(template)
    return tuple(
        _finding(dag, [names[i] for i in part], [nodes[i] for i in part], size, names, moments)
        for part, size in _parts(null)
    )


def count_of_moments(template: Template) -> int:
    """Means and covariances that the data give beyond those of covariates."""
    given = template.given
    if template.thresholds is not None:
        return template.structure.groups * ordered_space(template).parts.kind.size
    if not template.inner_units:
        return template.structure.groups * (_with_means(given.size) - _with_means(int(given.sum())))
    inner = template.inner[template.structure.observed]
    both = split(template)
    each = 0
    for here in (inner, both | ~inner):
        each += _with_means(int(here.sum())) - _with_means(int((here & given).sum()))
    return template.structure.groups * (each - int(both.sum()))  # a variable of both levels has one mean


def _with_means(p: int) -> int:
    """Covariances and means of p variables."""
    return p * (p + 3) // 2


def null_space(template: Template) -> Floats:
    """Directions of the unknowns, (k, d), that leave all moments as they are, at two random points."""
    found = []
    for seed in (1, 2):
        jacobian = moment_jacobian(template, np.random.default_rng(seed))
        size = np.sqrt((jacobian**2).sum(axis=0))
        scaled = jacobian / np.where(size > 0, size, 1.0)
        wide = scaled.shape[0] < scaled.shape[1]  # else all right vectors come without a square left matrix
        _, values, right = np.linalg.svd(scaled, full_matrices=wide)
        rank = int((values > SMALL * values.max(initial=1e-300)).sum())
        null = right[rank:].T / np.where(size > 0, size, 1.0)[:, None]
        if not null.shape[1]:
            return null
        found.append(null / np.sqrt((null**2).sum(axis=0)))
    return min(found, key=lambda n: n.shape[1])


def moment_jacobian(template: Template, rng: np.random.Generator) -> Floats:
    """Derivatives of all means and covariances of observed variables in the coordinates, (q, k), at a random
    point; moments of covariates are random numbers."""
    s, w = template.structure, random_point(template, rng)
    entries = template.jacobian(w)
    a, p, m = s.filled(template.data * w[template.source])
    if template.thresholds is not None:
        return _threshold_jacobian(template, template.thresholds, w, entries, (a, p, m))
    given = s.observed[template.given]
    blocks = []
    for g in range(s.groups):
        if given.size:
            root = rng.normal(size=(given.size, given.size))
            level = template.inner[given]
            p[g][np.ix_(given, given)] = (root @ root.T + np.eye(given.size)) * (level[:, None] == level)
            m[g][given] = rng.normal(size=given.size)
        at = s.members[g]
        for cov, mean, scale in _views(template, p[g], m[g]):
            blocks.append((_group_slopes(s, a[g], cov, mean, at) * scale[at]) @ entries[at])
    return np.concatenate(blocks)


def _threshold_jacobian(
    template: Template, thresholds: Thresholds, w: Floats, entries: Floats, at: tuple[Floats, Floats, Floats]
) -> Floats:
    """Of thresholds, slopes and correlations of latent responses, which have no scale of their own."""
    space, s = ordered_space(template), template.structure
    cuts = thresholds.values(w)
    moved = np.zeros((*cuts.shape, entries.shape[1]))
    slopes = template.place_slopes(w, thresholds.source)
    np.add.at(moved, (thresholds.group, thresholds.slot), thresholds.data[:, None] * slopes)
    blocks = []
    for g, (a, p, m) in enumerate(zip(*at, strict=True)):
        b = np.linalg.inv(np.eye(s.order) - a)
        implied = Implied(space, s, g, b, b @ p @ b.T, b @ m, cuts[g])
        block = implied.slopes() @ entries[s.members[g]]
        rows, slots, by = implied.threshold_slopes()
        block[rows] += by[:, None] * moved[g, slots]
        blocks.append(block)
    return np.concatenate(blocks)


def _views(template: Template, p: Floats, m: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """P and a of what the data show, and which entries are part of it: one unit; where units are clusters
    their elements' own parts, and then the clusters'."""
    s, inner = template.structure, template.inner
    if not template.inner_units:
        return [(p, m, np.ones(s.kind.size))]
    own = inner[s.row]
    covariance = s.kind == COVARIANCE
    within = np.where((covariance & ~own) | (s.kind == MEAN), 0.0, 1.0)
    between = np.where(covariance & own, 0.0, 1.0)
    return [
        (np.outer(inner, inner) * p, np.zeros_like(m), within),
        (np.outer(~inner, ~inner) * p, m, between),
    ]


def _group_slopes(s: Structure, a: Floats, p: Floats, m: Floats, at: NDArray[np.int64]) -> Floats:
    """Derivatives of a group's moments in its entries `at`, (q, entries)."""
    rows, columns = lower_triangle(s.observed.size)
    b = np.linalg.inv(np.eye(s.order) - a)
    sigma, mu = b @ p @ b.T, b @ m
    bo, so = b[s.observed], sigma[s.observed]
    i, j, kind = s.row[at], s.column[at], s.kind[at]
    left = bo[:, i]  # (p, m)
    right = np.where(kind == PATH, so[:, j], np.where(kind == COVARIANCE, bo[:, j], 0.0))
    half = np.where((kind == COVARIANCE) & (i == j), 0.5, 1.0)
    cov = half * (left[rows] * right[columns] + right[rows] * left[columns])
    mean = left * np.where(kind == PATH, mu[j], np.where(kind == MEAN, 1.0, 0.0))
    return np.concatenate([cov, mean])


def _names(template: Template) -> tuple[list[str], list[str]]:
    names: list[str] = []
    nodes: list[str] = []
    for c in template.coordinates:
        if c.order:
            names.extend([c.node] * c.length)
        else:
            places = free_places(template.small, c.node)
            names.extend(element_label(template.small, c.node, int(p)) for p in places)
        nodes.extend([c.node] * c.length)
    return names, nodes


def _parts(null: Floats) -> list[tuple[list[int], int]]:
    """Unknowns that hang together in the null space, with the dimension of each part."""
    basis, _ = np.linalg.qr(null)
    projector = basis @ basis.T
    inside = np.flatnonzero(np.diag(projector) > SHARE)
    linked = np.abs(projector[np.ix_(inside, inside)]) > SHARE
    left, found = set(range(inside.size)), []
    while left:
        part, queue = set(), [min(left)]
        while queue:
            k = queue.pop()
            if k not in part:
                part.add(k)
                queue.extend(np.flatnonzero(linked[k]).tolist())
        left -= part
        members = [int(inside[k]) for k in sorted(part)]
        found.append((members, round(float(np.trace(projector[np.ix_(members, members)])))))
    return found


def _finding(
    dag: Dag, names: list[str], nodes: list[str], size: int, everything: list[str], moments: int
) -> Finding:
    listed = ", ".join(f"'{n}'" for n in dict.fromkeys(names[:8]))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    if len(names) == 1:
        told = f"{listed} is not identified: it changes no mean and no covariance of the data"
    else:
        told = f"{listed}{more} are not identified: other values give the same means and covariances"
    short = len(everything) - moments
    if short > 0:
        told += f" ({len(everything)} unknowns, {moments} means and covariances)"
    hint = ""
    if isinstance(unit(dag), Unit):  # rules and hints are those of one level
        hint = _hint(paths(dag), set(nodes), size) or _by_rule(dag, set(nodes), size)
    hint = hint or f"{_either(size)}, or make some equal"
    return Finding("moments", tuple(dict.fromkeys(nodes)), told, hint)


def _by_rule(dag: Dag, nodes: set[str], size: int) -> str:
    """What a rule of the path diagram that speaks against their equations proposes, "" where none does."""
    from dagmodels.analysis.identify.rules import rules
    from dagmodels.analysis.identify.verdict import NOT

    ends = {a.child for a in paths(dag).arrows if _named(a.coefficient, nodes)}
    for row in reversed(rules(dag)):
        if row.verdict == NOT and ends & set(row.nodes):
            return f"{row.remedy}; or {_either(size)}"
    return ""


def _either(size: int) -> str:
    return "fix one of them" if size == 1 else f"fix {size} of them"


def _named(tree: Any, nodes: set[str]) -> bool:
    return isinstance(tree, ex.Expression) and any(r.name in nodes for r in ex.references(tree))


def _hint(p: Paths, nodes: set[str], size: int) -> str:
    """What would identify them: a scale, an indicator, an instrument; "" where none of these is missing."""
    which = "one of them" if size == 1 else f"{size} of them"

    def named(tree: Any) -> bool:
        return _named(tree, nodes)

    for f in p.variables:
        if f in p.observed:
            continue
        loadings = [a for a in p.arrows if a.parent == f]
        touched = [a for a in loadings if named(a.coefficient)]
        own = named(p.variances.get(f))
        free = all(not isinstance(a.coefficient, ex.Number) for a in loadings)
        if free and own and touched:
            return f"fix one loading of '{f}' at 1, or its variance"
        items = [a.child for a in loadings if a.child in p.observed]
        if len(items) == len(loadings) <= 2 and (own or touched):
            few = {1: "one indicator", 2: "two indicators"}.get(len(items), "no indicator")
            also = ", make their loadings equal" if len(items) == 2 else ""
            return f"'{f}' has {few}: add one{also}, or fix {which} (an error variance known from elsewhere)"
    ends = [a for a in p.arrows if a.child in p.observed and named(a.coefficient)]
    for a in ends:
        tied = any({c.left, c.right} == {a.parent, a.child} for c in p.arcs)
        if tied or a.child in p.parents(a.parent):
            return (
                f"'{a.child} ~ {a.parent}' needs an instrument: a variable that '{a.parent}' depends on and "
                f"'{a.child}' does not; or fix {which}"
            )
    return ""
