"""Covariance matrices of random effects, and how much each random term adds to a response's variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.mixed.naming import Floats

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Naming, Rows

ALIKE = 1e3  # condition number of columns of length one from which they count as nearly dependent


def alike_effects(naming: Naming, rows: Rows) -> list[str]:
    """Advice for a fit that has not converged: random terms whose effects are nearly combinations of one
    another over the rows, such as an intercept beside a covariate far from zero."""
    found = []
    for term, (_, columns) in zip(naming.terms, rows.random, strict=True):
        if len(columns) < 2:
            continue
        Z = np.stack([np.ones(rows.n) if c is None else c for c in columns], axis=1)
        length = np.sqrt((Z**2).sum(axis=0))
        sizes = np.linalg.svd(Z / np.where(length > 0, length, 1.0), compute_uv=False)
        if sizes[-1] * ALIKE < sizes[0]:
            found.append(
                f"{', '.join(term.effects)} by {term.factor} are nearly combinations of one another: centre "
                "covariates that are far from zero (x - mean), or let fewer effects vary"
            )
    return found


def term_covariances(fit: MixedFit) -> list[Floats]:
    """For each random term the covariance matrix of its effects, (q, q); a correlation without meaning
    (beside a standard deviation of zero) counts as zero."""
    found = []
    for term in fit.naming.terms:
        rows = [r for r in fit.components if r.group == term.group]
        sd = {r.term: r.estimate for r in rows if r.kind == "sd"}
        matrix = np.diag([sd[e] ** 2 for e in term.effects])
        place = {e: i for i, e in enumerate(term.effects)}
        for r in rows:
            if r.kind == "cor" and not math.isnan(r.estimate):
                assert r.term is not None
                assert r.term2 is not None
                i, j = place[r.term], place[r.term2]
                matrix[i, j] = matrix[j, i] = r.estimate * sd[r.term] * sd[r.term2]
        found.append(matrix)
    return found


def effects_matrix(fit: MixedFit, term: int) -> Floats:
    """The columns that the effects of a random term multiply, rows by effects."""
    columns = fit.rows.random[term][1]
    return np.stack([np.ones(fit.rows.n) if c is None else c for c in columns], axis=1)


def fixed_matrix(fit: MixedFit) -> Floats:
    """The design of the coefficients, rows by coefficients."""
    columns = [np.ones(fit.rows.n) if c is None else c for c in fit.rows.fixed]
    return np.stack(columns, axis=1) if columns else np.zeros((fit.rows.n, 0))


def seen(fit: MixedFit) -> np.ndarray:
    """Which rows have a response."""
    assert fit.rows.response is not None
    return ~np.isnan(fit.rows.response)
