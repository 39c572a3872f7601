"""The flat form of random models: the density of an independent reading, or a refusal that names a node."""

from __future__ import annotations

import random

import numpy as np

from dagmodels.analysis.laws import is_discrete
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.lower import NotLowered
from dagmodels.graph.dag import Node
from dagmodels.graph.statement import Joint, Stochastic
from tests.oracle.cases import problem_of
from tests.oracle.generate import EXTRA, KINDS, linear_gaussian_case
from tests.simulate.test_random_models import inputs
from tests.strategies import Maker

from .flat_oracle import drawn, log_joint

MODELS = 150


def outcome(seed: int) -> str:
    """ "same", "refused", "not drawn", "impossible" (density zero at the values drawn), or what differs."""
    dag = Maker(random.Random(seed)).model()
    if "chol=[[2, 0.1]" in str(dag):  # no triangle: the law's two readings of it differ
        return "not drawn"
    try:
        problem, values = drawn(dag, **inputs(dag))
    except ModelErrors:
        return "not drawn"
    try:
        return compared(problem, values)
    except (NotLowered, ModelErrors) as error:
        return "refused" if "'" in str(error) else f"refused without a name: {error}"


def compared(problem: Problem, values: dict[str, np.ndarray]) -> str:
    """The density where all is continuous, else its change in the continuous nodes, the others given."""
    unknown = [
        n for n, node in problem.graph.nodes.items()
        if node.kind in ("stochastic", "parameter") and not node.observed
    ]  # fmt: skip
    chosen = [n for n in unknown if not discrete(problem.graph.nodes[n])]
    flat = build_flat(problem, None if chosen == unknown else chosen)
    space = flat.workspace({n: values[n].reshape(problem.shape(n)) for n in flat.given})
    try:
        y = flat.unconstrain({n: values[n].reshape(problem.shape(n)) for n in flat.nodes}, at=space)
    except FitError as error:
        return "impossible" if "not inside" in str(error) else str(error)
    moved = {**values, **flat.constrain(y + 0.01, at=space)}
    found = np.array([flat.log_density(p, jacobian=False, at=space) for p in (y, y + 0.01)])
    expected = np.array([log_joint(problem, v) for v in (values, moved)])
    if not np.isfinite(expected).all():
        return "impossible" if flat.chosen or not np.isfinite(found).all() else f"{found} for {expected}"
    if flat.chosen is not None:
        found, expected = found - found[0], expected - expected[0]
    same = np.abs(found - expected) <= 1e-8 * np.maximum(1.0, np.abs(expected).max())
    return "same" if same.all() else f"{found} for {expected}"


def discrete(node: Node) -> bool:
    laws = [s.distribution for s in node.statements if isinstance(s, Stochastic | Joint)]
    return any(is_discrete(law) or law.family == "Censored" for law in laws)


def test_random_models() -> None:
    outcomes = {seed: outcome(seed) for seed in range(7000, 7000 + MODELS)}
    strange = {s: o for s, o in outcomes.items() if o not in ("same", "refused", "not drawn", "impossible")}
    assert strange == {}
    assert sum(o == "same" for o in outcomes.values()) >= 0.5 * MODELS


def test_random_linear_gaussian_models() -> None:
    """All kinds of the oracle's generator, at points near their outer values, gradients included."""
    rng = np.random.default_rng(0)
    count = 0
    for kind in (*KINDS, *EXTRA):
        for seed in range(4):
            case = linear_gaussian_case(seed, kind)
            problem = problem_of(case.text, case.data)
            flat = build_flat(problem)
            y = rng.normal(0, 0.3, flat.size)
            dag = problem.graph
            values = {n: v.reshape(-1) for n, v in flat.constrain(y).items()}
            values |= {n: np.zeros(int(np.prod(problem.shape(n)))) for n in dag.order
                       if n not in values and n not in problem.values}  # fmt: skip
            expected = log_joint(problem, values)
            found = flat.log_density(y, jacobian=False)
            if "chol=" in case.text and not np.isfinite(found):
                continue  # a factor with a negative diagonal, which the law refuses and its product forgives
            if not np.isfinite(expected):
                assert not np.isfinite(found), (kind, seed)
                continue
            assert abs(found - expected) <= 1e-10 * max(1, abs(expected)), (kind, seed, found, expected)
            along = rng.normal(size=flat.size)
            along /= np.linalg.norm(along) * max(1.0, float(np.linalg.norm(flat.gradient(y))))
            slope = sum(
                w / 3e-3 * (flat.log_density(y + k * 3e-3 * along) - flat.log_density(y - k * 3e-3 * along))
                for k, w in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
            )
            rounding = 1e-13 * abs(found) / 3e-3
            assert abs(slope - flat.gradient(y) @ along) <= 1e-7 + rounding, (kind, seed)
            count += 1
    assert count >= 3 * len((*KINDS, *EXTRA))
