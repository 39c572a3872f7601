"""Data whose covariance matrix has no inverse: which variables it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import MomentsForm
from dagmodels.numerics.saturated_moments import Singular

REGULAR = 1e-12  # smallest eigenvalue of a correlation matrix, for each variable, that counts as regular
SHARE = 0.1  # of a variable in the eigenvector, from which on it is named


def refuse_singular(form: MomentsForm, groups: tuple[str, ...]) -> None:
    """Saturated moments have no likelihood where a variable is a combination of others in a group.

    Raises
    ------
    FitError : the variables of each such group, or its rows where they are too few. Not for rows with gaps.
    """
    sample = form.sample
    if not sample.complete:
        return
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    told = []
    for cell, g in enumerate(sample.group.tolist()):
        where = f" of group '{groups[g]}'" if len(groups) > 1 else ""
        cov, rows = sample.cov[cell], int(sample.n[cell])
        sd = np.sqrt(np.diagonal(cov))
        if not (sd > 0).all():
            flat = ", ".join(f"'{n}'" for n, s in zip(names, sd, strict=True) if not s > 0)
            told.append(f"{flat} is constant in the rows{where}; leave it out")
            continue
        correlation = cov / np.outer(sd, sd)
        if np.linalg.eigvalsh(correlation)[0] > REGULAR * len(names):
            continue
        matrix = f"the covariance matrix{where or ' of the data'} is not positive definite"
        if form.values.size and rows <= len(names):
            told.append(f"{matrix}: there are {rows} rows and {len(names)} variables; give more rows")
            continue
        told.append(f"{matrix}: {_tied(correlation, names)}")
    if told:
        raise FitError("; ".join(told))


def singular(form: MomentsForm, groups: tuple[str, ...], found: Singular) -> FitError:
    """The same of rows with gaps, whose unrestricted moments were searched for and lost a direction."""
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    where = f" of group '{groups[found.group]}'" if len(groups) > 1 else " of the data"
    matrix = f"the covariance matrix{where} is not positive definite"
    sd = np.sqrt(np.diagonal(found.cov))
    if not (sd > 0).all():
        flat = ", ".join(f"'{n}'" for n, s in zip(names, sd, strict=True) if not s > 0)
        return FitError(f"{flat} does not vary{where}; leave it out")
    most = int(form.sample.n[form.sample.group == found.group].sum())
    if most <= len(names):
        return FitError(f"{matrix}: there are {most} rows and {len(names)} variables; give more rows")
    return FitError(f"{matrix}: {_tied(found.cov / np.outer(sd, sd), names)}")


def _tied(correlation: NDArray[np.float64], names: list[str]) -> str:
    """The variables in the direction that is lost."""
    shares = np.abs(np.linalg.eigh(correlation)[1][:, 0])
    tied = ", ".join(f"'{names[k]}'" for k in np.argsort(-shares)[:6] if shares[k] > SHARE)
    return f"{tied} are combinations of one another; leave one of them out"
