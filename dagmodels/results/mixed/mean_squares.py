"""Mean squares of each source of variation, and what they are expected to be.

Sums of squares are sequential (type I): fixed terms as written, then random factors from few levels to many,
then the rest. The mean y'A y/df of a source is expected to be sum_t tr(A Z_t Z_t')/df sigma_t^2 + sigma^2,
and a quadratic form in the fixed terms where the source is one (Hartley 1967, Biometrics 23; Searle, Casella
and McCulloch, Variance Components, section 5.3). In balanced designs these are the textbooks' tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.variances import fixed_matrix, seen

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Floats

LIMIT = 1 << 30  # bytes of the dense design
TINY = 1e-8
RESIDUAL = "Residual"


def mean_squares(fit: MixedFit) -> DataFrame:
    """See `MixedFit.mean_squares`."""
    from pandas import DataFrame

    _refuse(fit)
    rows = seen(fit)
    n, X = int(rows.sum()), fixed_matrix(fit)[rows]
    assert fit.rows.response is not None
    y = fit.rows.response[rows] - (0.0 if fit.rows.offset is None else fit.rows.offset[rows])
    sources: list[tuple[str, Floats]] = [(t.name, X[:, list(t.places)]) for t in fit.design.fixed_terms()]
    within = {place for t in fit.design.fixed_terms() for place in t.places}
    basis = _beyond(np.zeros((n, 0)), X[:, [j for j in range(X.shape[1]) if j not in within]])
    order = sorted(range(len(fit.naming.terms)), key=lambda t: len(fit.naming.terms[t].levels))
    indicators = {fit.naming.terms[t].group: _indicators(fit.rows.random[t][0][rows]) for t in order}
    fixed = {name for name, _ in sources}
    table: list[tuple[Any, ...]] = []
    for name, columns in (*sources, *indicators.items()):
        own = _beyond(basis, columns)
        basis = np.concatenate([basis, own], axis=1)
        df = own.shape[1]
        square = float(((own.T @ y) ** 2).sum())
        shares = [float(((own.T @ Z) ** 2).sum()) / df if df else np.nan for Z in indicators.values()]
        told = f"Q({name})" if name in fixed else ""
        table.append((df, square, square / df if df else np.nan, told, *_clean(shares), 1.0))
    rest = y - basis @ (basis.T @ y)
    df = n - basis.shape[1]
    square = float(rest @ rest)
    left = [float((Z**2).sum() - ((basis.T @ Z) ** 2).sum()) / max(df, 1) for Z in indicators.values()]
    table.append((df, square, square / df if df else np.nan, "", *_clean(left), 1.0))
    names = [*(name for name, _ in sources), *indicators, RESIDUAL]
    head = ["Df", "Sum Sq", "Mean Sq", "fixed", *indicators, RESIDUAL]
    return DataFrame(table, index=names, columns=head)


def _refuse(fit: MixedFit) -> None:
    errors = []
    if fit.naming.call != "lmer":
        errors.append(ModelError("mean squares are for fits of lmer", hint="fit.anova() tests other models"))
    if fit.rows.weights is not None:
        errors.append(ModelError("mean squares are for rows of equal weight", hint="leave out weights="))
    if fit.naming.structure is not None:
        told = "mean squares are for independent residuals of one scale"
        errors.append(ModelError(told, hint="leave out variance= and correlation="))
    errors += [
        ModelError(
            f"'{', '.join(t.effects)}' varies by '{t.factor}': mean squares are for random intercepts",
            hint="fit.anova() tests any mixed model",
        )
        for t in fit.naming.terms
        if t.structure != "scalar" or t.effects != ("(Intercept)",)
    ]
    need = 16 * fit.n_observations * sum(len(t.levels) for t in fit.naming.terms)
    if need > LIMIT:
        told = f"the dense design would take {need / 2**30:.1f} GiB, and the limit is {LIMIT / 2**30:.0f} GiB"
        errors.append(ModelError(told, hint="mean squares are for designed experiments"))
    raise_all(errors, "the mean squares")


def _indicators(codes: Any) -> Floats:
    found = np.zeros((codes.size, int(codes.max()) + 1))
    found[np.arange(codes.size), codes] = 1.0
    return found


def _beyond(basis: Floats, columns: Floats) -> Floats:
    """An orthonormal basis of what columns add to the space of a basis."""
    length = np.sqrt((columns**2).sum(axis=0))
    left = columns / np.where(length > 0, length, 1.0)
    for _ in range(2):  # twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6-9)
        left = left - basis @ (basis.T @ left)
    u, size, _ = np.linalg.svd(left, full_matrices=False)
    return u[:, size > TINY]


def _clean(shares: list[float]) -> list[float]:
    """Numbers that are integers but for rounding, as such."""
    return [float(round(v)) if abs(v - np.round(v)) < TINY else v for v in shares]
