"""Every model that the generator makes is simulated, or refused for its numbers in words."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.cells import cells
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Domain, Parameter, Stochastic
from dagmodels.simulate.arguments import leaves
from tests.strategies import SIZE, Maker

MODELS = 250

# what random expressions may come to: arguments outside their domains, and nothing else
UNDRAWN = re.compile(r"Flat|NPMLE|GModel|Unimodal")  # laws without draws: values are given
SEVERAL = re.compile(r"level .* of plate .* is \d+ elements")
NUMBERS = re.compile(
    r"(is|was drawn as) (nan|-?inf|[-+.e0-9]+), (but must|beyond)|must be a finite number|cannot be drawn"
    r"|make no covariance matrix|must be symmetric|must hold probabilities|must increase"
)


def inputs(dag: Dag) -> dict[str, Any]:
    """Sizes of all plates, data for all covariates, values for all that has no law to be drawn from."""
    sizes = {p.name: SIZE for p in dag.plates if p.alias_of is None and p.levels is None}
    problem = bind(dag, sizes=sizes, require_covariates=False)
    data: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, node in dag.nodes.items():
        shape = problem.shape(name)
        if node.kind == "covariate":
            level = problem.plates[node.values_in].levels[-1] if node.values_in else 1
            data[name] = np.full(shape, level, dtype=object if node.values_in else float)
        for statement in {share.statement for share in cells(problem, name)}:
            if isinstance(statement, Parameter):
                values[name] = of_domain(statement.domain, shape)
            elif isinstance(statement, Stochastic) and UNDRAWN.search(str(leaves(statement.distribution))):
                kind = "ordered" if statement.distribution.family == "Ordered" else "none"
                values[name] = of_domain(Domain(kind), shape)
    return {"sizes": sizes, "data": data, "values": values}


def of_domain(domain: Domain | None, shape: tuple[int, ...]) -> Any:
    match domain.kind if domain is not None else "none":
        case "interval":
            assert domain is not None
            return float(np.clip(0.5, domain.lower, domain.upper))
        case "ordered":
            return np.broadcast_to(np.arange(1.0, shape[-1] + 1), shape)
        case "simplex":
            return np.full(shape, 1 / shape[-1])
        case "covariance" | "correlation":
            return np.broadcast_to(np.eye(shape[-1]), shape)
        case _:
            return 0.5


def outcome(seed: int) -> str:
    """ "drawn", or why not."""
    dag = Maker(random.Random(seed)).model()
    graph = dm.Graph.of(dag)
    try:
        found = graph.simulate(seed=1, **inputs(dag))
    except dm.ModelErrors as error:
        if all(SEVERAL.match(str(e)) for e in error.exceptions):
            return "a label without its parent"
        wrong = [str(e) for e in error.exceptions if not NUMBERS.search(str(e)) or e.node is None]
        return wrong[0] if wrong else "refused for its numbers"
    latent = [n for n, node in dag.nodes.items() if node.role not in ("observed", "covariate", "constant")]
    assert set(latent) <= set(found.truth)
    return "drawn"


def test_random_models_are_drawn():
    outcomes = {seed: outcome(seed) for seed in range(5000, 5000 + MODELS)}
    known = ("drawn", "refused for its numbers", "a label without its parent")
    strange = {s: o for s, o in outcomes.items() if o not in known}
    assert strange == {}
    assert sum(o == "drawn" for o in outcomes.values()) >= 0.8 * MODELS
