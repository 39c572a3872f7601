"""Generated linear-Gaussian graphs: draws against the exact joint law of all their stochastic nodes.

The exact mean and covariance come from an interpreter that takes the language's definition element by
element and shares no code with the simulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.forms.cells import cells
from dagmodels.graph.statement import Joint, Stochastic
from dagmodels.readers import read
from dagmodels.simulate import simulate
from tests.oracle.affine import Affine, as_affine
from tests.oracle.generate import EXTRA, KINDS, linear_gaussian_case
from tests.oracle.interpret import Interpreter
from tests.oracle.unknowns import Element, Free, Shock

from .chance import ALPHA, LIMIT

DRAWS = 150


def exact(
    problem: Problem, values: dict[str, Any], starts: dict[Element, float]
) -> tuple[list[Element], np.ndarray, np.ndarray]:
    """Elements that are drawn, with their mean and covariance.

    starts : values of elements with a flat law, which begin a chain.
    """
    of = Interpreter(problem, values, given=False)
    elements: list[Element] = []
    laws: list[Affine] = []
    for name, node in problem.graph.nodes.items():
        if name not in values and any(isinstance(s, Stochastic | Joint) for s in node.statements):
            for codes in np.ndindex(*problem.shape(name)):
                if of.is_stochastic(name, codes):
                    elements.append((name, codes))
                    laws.append(as_affine(of.law(name, codes)))
    shocks = list(dict.fromkeys(s for law in laws for s in law.coefficients if isinstance(s, Shock)))
    place = {s: i for i, s in enumerate(shocks)}
    design = np.zeros((len(laws), len(shocks)))
    mean = np.array([law.constant for law in laws])
    for row, law in enumerate(laws):
        for unknown, coefficient in law.coefficients.items():
            if isinstance(unknown, Free):
                mean[row] += coefficient * starts[unknown.name, unknown.codes]
            else:
                design[row, place[unknown]] = coefficient
    omega = np.array(
        [
            [of.blocks[a.group][a.member, b.member] if a.group == b.group else 0.0 for b in shocks]
            for a in shocks
        ]
    )
    return elements, mean, design @ omega @ design.T


def flat_starts(problem: Problem, values: dict[str, Any]) -> dict[Element, float]:
    """Values for elements with a flat law: their data, else 1.5."""
    found: dict[Element, float] = {}
    for name in problem.graph.nodes:
        for share in cells(problem, name) if name not in values else ():
            law = getattr(share.statement, "distribution", None)
            if law is not None and law.family == "Flat":
                for place in share.places:
                    codes = tuple(int(c) for c in np.unravel_index(place, problem.shape(name)))
                    found[name, codes] = float(problem.values[name][codes]) if name in problem.values else 1.5
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", [*KINDS, *EXTRA])
def test_draws_have_the_exact_mean_and_covariance(kind: str, seed: int) -> None:
    case = linear_gaussian_case(seed, kind)
    dag = read(case.text)
    data = pd.DataFrame(case.data)
    observed = [n for n, node in dag.nodes.items() if node.observed]
    data[observed] = data[observed].fillna(0.0)  # drawn whole: nothing is withheld
    problem = bind(dag, data)
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = dict(case.theta)
    for name, role in case.roles.items():
        if role in ("profiled", "flat"):
            values[name] = rng.normal(size=problem.shape(name)).round(2)
    starts = flat_starts(problem, values)
    elements, mean, covariance = exact(problem, values, starts)
    given = dict(values)
    for (name, codes), value in starts.items():
        given.setdefault(name, np.full(problem.shape(name), np.nan))[codes] = value
    found = simulate(dag, data=data, values=given, draws=DRAWS, seed=100 + seed)
    drawn = np.array([[_value(one, problem, e) for e in elements] for one in found])
    scales, vectors = np.linalg.eigh(covariance)
    proper = scales > 1e-9 * scales.max()
    centred = drawn - mean
    # directions of no variance (exact linear relations) hold exactly
    np.testing.assert_allclose(centred @ vectors[:, ~proper], 0, atol=1e-6 * np.sqrt(scales.max()))
    z = centred @ vectors[:, proper] / np.sqrt(scales[proper])
    total = float(np.sum(z**2))
    assert ALPHA < chi2.cdf(total, z.size) < 1 - ALPHA
    assert chi2.sf(DRAWS * np.sum(z.mean(axis=0) ** 2), z.shape[1]) > ALPHA
    products = z.T @ z / DRAWS
    off = products[np.triu_indices(z.shape[1], 1)]
    # the largest of several hundred correlations: LIMIT is raised by the count (Bonferroni)
    assert np.max(np.abs(off), initial=0) * np.sqrt(DRAWS) < LIMIT + 1.5


def _value(one: Any, problem: Problem, element: Element) -> float:
    name, codes = element
    if name in one.truth:
        return float(np.asarray(one.truth[name])[codes])
    plates = problem.graph.nodes[name].plates
    held = one[plates[0]][name].to_numpy() if len(plates) == 1 else np.asarray(one[name])
    return float(held[codes])
