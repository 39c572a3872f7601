"""A latent of which each element is seen once: two scales are not told apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.laws import location
from dagmodels.analysis.linearity import depends
from dagmodels.analysis.uses import (
    Use,
    has_covariances,
    only_used_by,
    scale_parameter,
)
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution


def one_observation(
    dag: Dag, problem: Problem | None, latent: str, law: Distribution, uses: list[Use]
) -> Iterator[Finding]:
    """One Gaussian observation an element: only the sum of both variances is identified."""
    if len(uses) != 1 or len(dag.children[latent]) != 1:
        return
    use = uses[0]
    scale, residual = scale_parameter(dag, law), scale_parameter(dag, use.law)
    constant = all(isinstance(t.coefficient, ex.Number | ex.Unary) for t in use.form.terms)
    unlike = scale is None or residual is None or scale == residual or not constant
    if unlike or len(use.form.terms) != 1 or use.law.family != law.family or has_covariances(dag, latent):
        return
    if has_covariances(dag, use.child) or len(dag.nodes[use.child].statements) != 1:
        return
    same_plates = dag.nodes[str(scale)].plates == dag.nodes[str(residual)].plates
    own = only_used_by(dag, str(scale), {latent}) and only_used_by(dag, str(residual), {use.child})
    means = [use.form.offset, *(m for m in (location(law),) if m is not None)]
    if not (same_plates and own) or any(depends(m, {str(scale), str(residual)}) for m in means):
        return
    if not _one_each(dag, problem, latent, use):
        return
    yield Finding(
        "residual",
        (str(scale), str(residual), latent, use.child),
        f"'{scale}' and '{residual}' are not identified: each element of '{latent}' has one value of "
        f"'{use.child}', which tells only the sum of the two variances",
        f"give replicates, make one of them known, or drop '{latent}'",
    )


def _one_each(dag: Dag, problem: Problem | None, latent: str, use: Use) -> bool:
    """Whether no element of the latent is seen more than once, by the plates or by the data."""
    reference = use.form.terms[0].reference
    plates = tuple(i.plate for i in reference.indices or () if isinstance(i, ex.PlateIndex))
    if len(plates) != len(reference.indices or ()):
        return False
    child = dag.nodes[use.child].plates
    if set(plates) == set(child):
        return True
    if problem is None or not set(plates) <= {o for p in child for o in dag.lies_in(p)}:
        return False
    codes = problem.rows(child).codes
    element = np.zeros(1, dtype=np.int64)
    for plate in plates:
        element = element * problem.plates[plate].size + codes[plate]
    seen = problem.observed.get(use.child)
    if seen is not None:
        element = element[seen.reshape(-1)]
    return element.size > 0 and int(np.bincount(element).max()) <= 1
