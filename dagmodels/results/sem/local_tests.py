"""What a graph implies, tested piece by piece beside the global chi-square.

Independences given other observed variables by partial correlations (Fisher 1924, Metron 3:329: z =
artanh(r) sqrt(n - |given| - 3)); with latent variables, tetrads that vanish for all values of the parameters
(Wishart 1928, Proc. R. Soc. Edinb. 48:258, for their variance; Bollen and Ting 1993, Sociol. Methodol.
23:147). All p values together are adjusted by Holm (1979, Scand. J. Stat. 6:65).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
MOST = 2000  # tetrads looked at; of more variables a part, spread evenly
ZERO = 1e-8


def local_tests(fit: SemFit) -> DataFrame:
    """kind ("independence" or "tetrad"), test, group, estimate, se, z, pvalue, holm; the least likely first.

    Of numbers. Independences of observed variables given others are read from the moments that the model
    implies at a random point of its parameters, so that those that latent variables bring with them are seen
    too.
    """
    from pandas import DataFrame
    from scipy.special import ndtr

    form = fit.solution.form
    if not form.sample.complete:
        raise FitError("local tests need complete rows; fit with missing='listwise'")
    if form.template.thresholds is not None:
        raise FitError(
            "local tests take the sampling law of numbers, and there are ordered variables; "
            "residuals('standardized') and modindices() tell where the model fails"
        )
    sigma = generic_covariances(fit)
    names = [form.variables[v][0] for v in form.structure.observed]
    given = form.template.given
    rows: list[dict[str, Any]] = []
    for g, label in enumerate(fit.naming.groups):
        (cell,) = np.flatnonzero(form.sample.group == g)
        s, n = form.sample.cov[cell], float(form.sample.n[cell])
        latent = bool(set(fit.naming.latent))
        for a, b, c in independences(sigma[:, g], given):
            r = partial(s, a, b, c)
            left = max(n - len(c) - 3, 1.0)
            text = f"{names[a]} ⊥ {names[b]}" + (f" | {', '.join(names[k] for k in c)}" if c else "")
            z = math.atanh(r) * math.sqrt(left)
            rows.append({"kind": "independence", "test": text, "group": label, "estimate": r,
                         "se": (1 - r * r) / math.sqrt(left), "z": z})  # fmt: skip
        if latent:
            for i, j, k, m in tetrads(sigma[:, g]):
                t = s[i, j] * s[k, m] - s[i, k] * s[j, m]
                se = math.sqrt(wishart_variance(s, i, j, k, m, n))
                left, right = (f"{names[a]} {names[b]}" for a, b in ((i, j), (k, m)))
                other = f"{names[i]} {names[k]} · {names[j]} {names[m]}"
                text = f"{left} · {right} = {other}"
                rows.append({"kind": "tetrad", "test": text, "group": label, "estimate": t, "se": se,
                             "z": t / se})  # fmt: skip
    table = DataFrame(rows, columns=["kind", "test", "group", "estimate", "se", "z"])
    table["pvalue"] = 2 * ndtr(-np.abs(table["z"].to_numpy(dtype=float)))
    table["holm"] = holm(table["pvalue"].to_numpy(dtype=float))
    return table.sort_values("pvalue", kind="stable").reset_index(drop=True)


def holm(p: Floats) -> Floats:
    """Adjusted p values: the k-th smallest times (m - k + 1), made increasing, at most one."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size))) if p.size else p
    found = np.empty_like(p)
    found[order] = np.minimum(steps, 1.0)
    return found


def generic_covariances(fit: SemFit) -> Floats:
    """Implied covariances of observed variables at two random points, (2, groups, p, p), unit-free."""
    form = fit.solution.form
    s, t = form.structure, form.template
    found = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        x = fit.solution.optimum.x
        x = x + rng.uniform(0.2, 0.6, size=x.size) * np.maximum(np.abs(x), 0.3)
        x = np.clip(x, t.lower, t.upper)
        w = form.workspace(x)
        a, p, _ = s.filled(t.data * w[t.source])
        each = []
        for g in range(s.groups):
            b = np.linalg.inv(np.eye(s.order) - a[g])
            sigma = (b @ p[g] @ b.T)[np.ix_(s.observed, s.observed)]
            d = 1 / np.sqrt(np.abs(np.diag(sigma)))
            each.append(sigma * d[:, None] * d)
        found.append(each)
    return np.array(found)


def independences(sigma: Floats, given: NDArray[np.bool_]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Pairs with the smallest set of other variables (of at most three) that separates them generically.

    sigma : (points, p, p). given : covariates, whose own relations the model says nothing of.
    """
    p = sigma.shape[1]
    for a, b in combinations(range(p), 2):
        if given[a] and given[b]:
            continue
        others = [k for k in range(p) if k not in (a, b)]
        sets = (c for size in range(min(3, len(others)) + 1) for c in combinations(others, size))
        if p > 12:
            sets = (c for c in sets if len(c) <= 1)
        for c in sets:
            if all(abs(partial(one, a, b, c)) < ZERO for one in sigma):
                yield a, b, c
                break


def partial(s: Floats, a: int, b: int, c: tuple[int, ...]) -> float:
    """Correlation of a and b given c."""
    if c:
        pair, rest = [a, b], list(c)
        s = s[np.ix_(pair, pair)] - s[np.ix_(pair, rest)] @ np.linalg.solve(
            s[np.ix_(rest, rest)], s[np.ix_(rest, pair)]
        )
        a, b = 0, 1
    return float(s[a, b] / math.sqrt(abs(s[a, a] * s[b, b])))


def tetrads(sigma: Floats) -> Iterator[tuple[int, int, int, int]]:
    """(i, j, k, m) with s_ij s_km = s_ik s_jm at every point, unless all of these covariances vanish.

    Of the three tetrads of four variables each two imply the third, which is left out.
    """
    p = sigma.shape[1]
    quads = list(combinations(range(p), 4))
    step = max(1, len(quads) // MOST)
    for i, j, k, m in quads[::step]:
        found = 0
        for a, b, c, d in ((i, j, k, m), (i, k, m, j), (i, m, j, k)):
            one, two = sigma[:, a, b] * sigma[:, c, d], sigma[:, a, c] * sigma[:, b, d]
            if found < 2 and (np.abs(one - two) < ZERO).all() and (np.abs(one) > ZERO).all():
                found += 1
                yield a, b, c, d


def wishart_variance(s: Floats, i: int, j: int, k: int, m: int, n: float) -> float:
    """Asymptotic variance of the tetrad s_ij s_km - s_ik s_jm under normality.

    The delta method with n cov(s_ab, s_cd) = s_ac s_bd + s_ad s_bc, which is Wishart's formula to order 1/n.
    """
    pairs = ((i, j), (k, m), (i, k), (j, m))
    slope = np.array([s[k, m], s[i, j], -s[j, m], -s[i, k]])
    cov = np.array([[s[a, c] * s[b, d] + s[a, d] * s[b, c] for c, d in pairs] for a, b in pairs])
    return float(slope @ cov @ slope / n)
