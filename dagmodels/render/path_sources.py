"""Path diagrams from what there is: a fit under lavaan's names, any fit from moments, or a graph alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dagmodels.analysis.linearity import ZERO
from dagmodels.analysis.paths import paths
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.printing import expression_text
from dagmodels.render.estimates import read_estimates
from dagmodels.render.labels import as_text, number, symbol
from dagmodels.render.path_diagram import Line, PathDiagram

SHOWS = ("estimates", "standardized", "names")


@dataclass(frozen=True, slots=True)
class PathOptions:
    """What a path diagram shows: see `Graph.render`."""

    show: str = "estimates"
    stars: bool = False
    intervals: bool = False
    means: bool = False
    residuals: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One number of a diagram: kind is "path", "arc", "own" or "mean"; a path goes from j to i.

    given : it is the data's, of covariates.
    """

    kind: str
    group: int
    i: str
    j: str
    fixed: bool
    name: str = ""
    value: float = math.nan
    se: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    given: bool = False


def diagrams(dag: Dag, fit: Any, options: PathOptions, naming: Any = None) -> tuple[PathDiagram, ...]:
    """One diagram for each group (and level), from the fit where there is one.

    naming : lavaan's rows of the graph, for a graph that a lavaan text made.
    """
    if options.show not in SHOWS:
        choices = " or ".join(f'"{s}"' for s in SHOWS)
        fault = ModelError(f"show '{options.show}' is not known", hint=f"use {choices}")
        raise_all([fault], "the picture")
    naming = getattr(fit, "naming", None) or naming
    moments = getattr(fit, "moments", None)
    if naming is not None:
        rows = fit.standardized() if fit is not None and options.show == "standardized" else None
        elements, latent, groups = _from_rows(naming, fit, rows), naming.latent, naming.blocks
        variables = _order_of(elements, latent)
    elif moments is not None:
        elements, variables, latent, groups = _from_moments(fit, moments, options.show == "standardized")
    else:
        elements, variables, latent = _from_graph(dag, fit)
        groups = ("",)
    return tuple(
        _diagram(
            str(title), [e for e in elements if e.group == g], variables, frozenset(latent), options, fit
        )
        for g, title in enumerate(groups)
    )


def _diagram(
    title: str, elements: list[Element], variables: Iterable[str], latent: frozenset[str],
    options: PathOptions, fit: Any,
) -> PathDiagram:  # fmt: skip
    def line(e: Element) -> Line:
        settled = e.fixed and not (options.show == "standardized" and e.se > 0)  # it varies with others
        return Line(e.j, e.i, _label(e, options, fit is not None), settled, e.given)

    names = tuple(variables)
    here = {n for e in elements for n in (e.i, e.j)}
    order = tuple(n for n in names if n in here)
    paths_ = tuple(line(e) for e in elements if e.kind == "path" and not (e.fixed and e.value == 0))
    arcs = tuple(line(e) for e in elements if e.kind == "arc" and not (e.fixed and e.value == 0))
    own = {e.i: line(e) for e in elements if e.kind == "own" and not (e.fixed and e.value == 0)}
    level = {e.i: line(e) for e in elements if e.kind == "mean" and not (e.fixed and e.value == 0)}
    return PathDiagram(
        title, order, latent & set(order), paths_, arcs,
        own if options.residuals else {}, level if options.means else {},
    )  # fmt: skip


def _label(e: Element, options: PathOptions, fitted: bool) -> tuple[str, ...]:
    if options.show == "names" or not fitted:
        if e.name:
            return (e.name,)
        return (_plain(e.value),) if e.fixed and not math.isnan(e.value) else ()
    if math.isnan(e.value):
        return (e.name,) if e.name else ()
    show = _two if options.show == "standardized" else number
    if e.fixed and options.show == "estimates":
        return (_plain(e.value),)
    stars = ""
    if options.stars and e.se > 0:
        p = math.erfc(abs(e.value / e.se) / math.sqrt(2))
        stars = "*" * sum(p < limit for limit in (0.05, 0.01, 0.001))
    lines = [show(e.value) + stars]
    if options.intervals and e.se > 0:
        lines.append(f"[{show(e.lower)}, {show(e.upper)}]")
    return tuple(lines)


def _plain(value: float) -> str:
    """A number that was stated."""
    return f"{value:g}".replace("-", "−") if value == round(value) else number(value)


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else number(value)


def _order_of(elements: list[Element], latent: Iterable[str]) -> tuple[str, ...]:
    """Latent variables first, then the others as they occur."""
    return tuple(dict.fromkeys((*latent, *(n for e in elements for n in (e.i, e.j)))))


def _from_rows(naming: Any, fit: Any, rows: Any) -> list[Element]:
    kinds = {"=~": "path", "~": "path", "<~": "path", "~~": "arc", "~1": "mean"}
    table = None if fit is None else (fit.estimates if rows is None else rows)

    def column(key: str) -> list[float]:
        return [math.nan] * len(naming.rows) if table is None else list(table[key])

    values = zip(naming.rows, *(column(k) for k in ("estimate", "se", "lower", "upper")), strict=True)
    found = []
    for r, value, se, lower, upper in values:
        if r.op not in kinds or (r.exogenous and (r.op != "~~" or r.lhs == r.rhs)):
            continue  # moments of covariates are the data's
        kind = "own" if r.op == "~~" and r.lhs == r.rhs else kinds[r.op]
        i, j = (r.rhs, r.lhs) if r.op == "=~" else (r.lhs, r.lhs if r.op == "~1" else r.rhs)
        if math.isnan(value) and not r.free:
            value = r.value
        numbers = (float(value), float(se), float(lower), float(upper))
        found.append(Element(kind, naming.block(r), i, j, not r.free, r.label, *numbers, given=r.exogenous))
    return found


def _from_graph(dag: Dag, fit: Any) -> tuple[list[Element], tuple[str, ...], frozenset[str]]:
    p = paths(dag)
    shown = read_estimates(dag, fit).estimates

    def element(kind: str, i: str, j: str, tree: ex.Expression | None) -> Element:
        if isinstance(tree, ex.Number):
            return Element(kind, 0, i, j, True, value=float(tree.value))
        text = "" if tree is None else expression_text(tree)
        if isinstance(tree, ex.Reference):
            text = as_text(symbol(tree.name))
            estimate = shown.get(tree.name)
            if estimate is not None:
                se = estimate.se or math.nan
                low, high = estimate.value - 1.959964 * se, estimate.value + 1.959964 * se
                return Element(kind, 0, i, j, False, text, estimate.value, se, low, high)
        return Element(kind, 0, i, j, False, text)

    found = [element("path", a.child, a.parent, a.coefficient) for a in p.arrows]
    found += [element("arc", a.right, a.left, a.value) for a in p.arcs]
    given = [n for n in p.variables if n in p.given]
    found += [Element("arc", 0, b, a, False, given=True) for k, b in enumerate(given) for a in given[:k]]
    found += [element("own", n, n, t) for n, t in p.variances.items() if t != ZERO]
    found += [element("mean", n, n, t) for n, t in p.levels.items()]
    latent = frozenset(n for n in p.variables if n not in p.observed)
    return found, p.variables, latent


def _from_moments(
    fit: Any, solution: Any, standardised: bool
) -> tuple[list[Element], tuple[str, ...], frozenset[str], tuple[str, ...]]:
    """Every number of the structure with its standard error, components of plates by their levels."""
    import numpy as np

    form, s = solution.form, solution.form.structure
    names = tuple(_variable(form, v) for v in range(s.order))
    covariance = np.nan_to_num(fit.coordinate_covariance)
    jacobian = solution.at.jacobian
    places: dict[tuple[int, int, int, int], Any] = {}
    for e, key in enumerate(
        zip(s.kind.tolist(), s.group.tolist(), s.row.tolist(), s.column.tolist(), strict=True)
    ):
        k, g, i, j = key
        key = (k, g, max(i, j), min(i, j)) if k == 1 else (k, g, i, 0 if k == 2 else j)
        places[key] = places.get(key, 0.0) + jacobian[e]
    filled = s.filled(solution.at.entries)
    total = np.sqrt(np.diagonal(solution.at.moments.covariance, axis1=1, axis2=2))
    found = []
    for k, (kind, matrix) in enumerate(zip(("path", "arc", "mean"), filled, strict=True)):
        for at in np.argwhere(matrix != 0).tolist():
            g, i, j = (*at, 0)[:3] if k == 2 else at
            if k == 1 and j > i:
                continue
            slope = places.get((k, g, i, j))
            value = float(matrix[tuple(at)])
            se = 0.0 if slope is None else math.sqrt(max(float(slope @ covariance @ slope), 0.0))
            if standardised:
                scale = _scale(k, g, i, j, total, filled[1])
                value, se = value * scale, se * scale
            names_of = (names[i], names[i] if k == 2 else names[j])
            what = "own" if k == 1 and i == j else kind
            low, high = value - 1.959964 * se, value + 1.959964 * se
            found.append(Element(what, g, *names_of, slope is None, "", value, se, low, high))
    seen = {names[v] for v in s.observed.tolist()}
    if s.groups == 1:
        groups: tuple[str, ...] = ("",)
    else:
        plate = form.small.plates[form.units]
        codes = [(p, c) for p, c in plate.parents.items()]
        groups = tuple(
            ", ".join(str(form.small.plates[p].levels[int(c[g])]) for p, c in codes) for g in range(s.groups)
        )
    return found, names, frozenset(n for n in names if n not in seen), groups


def _scale(k: int, g: int, i: int, j: int, total: Any, residual: Any) -> float:
    if k == 0:
        return float(total[g, j] / total[g, i])
    if k == 2:
        return float(1 / total[g, i])
    if i == j:
        return float(1 / total[g, i] ** 2)
    return 1 / math.sqrt(residual[g, i, i] * residual[g, j, j])


def _variable(form: Any, v: int) -> str:
    name, part = form.variables[v]
    plates = [p for p in form.problem.graph.nodes[name].plates if p != form.units]
    if not plates:
        return str(name)
    import numpy as np

    where = np.unravel_index(part, [form.problem.plates[p].size for p in plates])
    levels = (str(form.problem.labels[p][int(i)]) for p, i in zip(plates, where, strict=True))
    return f"{name}[{', '.join(levels)}]"
