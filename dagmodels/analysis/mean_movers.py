"""Which outer unknowns move means: slopes beside a latent, loadings, autoregressions.

Variances say next to nothing about coefficients, so that errors of coefficients are given "conditional" on
them (lme4's convention). A slope on a latent is different: the intercept beside it hangs on it as in any
regression, and an error that takes it for known is far too small.
"""

from __future__ import annotations

from collections.abc import Iterable

from dagmodels.analysis.laws import distribution_of, location
from dagmodels.analysis.reach import Reach
from dagmodels.graph.dag import Dag


def mean_movers(dag: Dag, outer: Iterable[str]) -> tuple[str, ...]:
    """Those of the `outer` unknowns that stand in the location of a law, in the order of the model.

    Scales and shapes do not count, nor rates and probabilities that are written without their link.
    """
    reach = Reach(dag)
    moved: set[str] = set()
    for node in dag.nodes.values():
        for statement in node.statements:
            law = distribution_of(statement)
            tree = None if law is None else location(law)
            if tree is not None:
                moved.update(reach.of(tree))
    wanted = set(outer)
    return tuple(name for name in dag.nodes if name in wanted and name in moved)


__all__ = ["mean_movers"]
