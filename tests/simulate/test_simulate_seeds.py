"""Random numbers: one seed, one result; statements may be reordered; priors are followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from dagmodels.graph.build import build
from dagmodels.readers import read
from dagmodels.simulate import Simulated, simulate

from .chance import follows, near
from .model_cases import CASES, model


def observed_values(found: Simulated) -> dict[str, Any]:
    """All data and the truth, as arrays."""
    columns = {
        f"{plate}.{name}": frame[name].to_numpy() for plate, frame in found.frames.items() for name in frame
    }
    return {**columns, **found.truth}


def same(one: Simulated, two: Simulated) -> bool:
    first, second = observed_values(one), observed_values(two)
    return first.keys() == second.keys() and all(np.array_equal(first[n], second[n]) for n in first)


def test_a_seed_gives_one_result_and_others_others() -> None:
    case, dag = CASES["radon"], model("radon")
    call: dict[str, Any] = {"data": case.data, "sizes": case.sizes}
    one, two = (simulate(dag, **call, seed=5) for _ in range(2))
    assert same(one, two)
    several = simulate(dag, **call, draws=3, seed=5)
    assert isinstance(several, list)
    assert same(several[0], one)
    numbers = {float(s.truth["tau"]) for s in (*several, simulate(dag, **call, seed=6))}
    assert len(numbers) == 4
    tree = np.random.SeedSequence(5)
    assert same(simulate(dag, **call, seed=tree), one)


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_statements_means_nothing(name: str) -> None:
    case, dag = CASES[name], model(name)
    order = np.random.default_rng(1).permutation(len(dag.statements))
    shuffled = build(dag.name, dag.plates, [dag.statements[i] for i in order])
    call: dict[str, Any] = {"data": case.data, "sizes": case.sizes, "values": case.values, "seed": 3}
    assert same(simulate(dag, **call), simulate(shuffled, **call))


def test_values_given_for_one_node_leave_the_others_numbers() -> None:
    case, dag = CASES["eight_schools"], model("eight_schools")
    free = simulate(dag, data=case.data, values={"mu": 1.0, "tau": 2.0}, seed=3)
    fixed = simulate(dag, data=case.data, values={"mu": 1.0}, seed=3)
    z_free = (free.truth["theta"] - 1) / 2
    z_fixed = (fixed.truth["theta"] - 1) / fixed.truth["tau"]
    np.testing.assert_allclose(z_free, z_fixed)


def test_draws_and_nodes_are_independent_of_one_another() -> None:
    dag = read("model m\nplate i\na[i] ~ Normal(0, 1)\nb[i] ~ Normal(0, 1)")
    one, two = simulate(dag, sizes={"i": 20_000}, draws=2, seed=1)
    arrays = [one.truth["a"], one.truth["b"], two.truth["a"], two.truth["b"]]
    for k, first in enumerate(arrays):
        for second in arrays[:k]:
            near(first @ second, 0, np.sqrt(first.size))


def test_parameters_follow_their_priors() -> None:
    dag = read(
        """model m
        mu ~ Normal(1, 5)
        tau ~ HalfCauchy(5)
        sigma ~ HalfNormal(2)
        rate ~ Gamma(2, 3)
        share ~ Beta(2, 5)
        gamma ~ Uniform(0.5, 1)
        life ~ Weibull(1.5, 2)
        phi ~ Truncated(Normal(0, 1), lower=-1, upper=1)
        """
    )
    found = simulate(dag, draws=2000, seed=7)
    laws = {
        "mu": stats.norm(1, 5),
        "tau": stats.halfcauchy(0, 5),
        "sigma": stats.halfnorm(0, 2),
        "rate": stats.gamma(2, scale=1 / 3),
        "share": stats.beta(2, 5),
        "gamma": stats.uniform(0.5, 0.5),
        "life": stats.weibull_min(1.5, scale=2),
        "phi": stats.truncnorm(-1, 1),
    }
    for name, law in laws.items():
        follows([one.truth[name] for one in found], law.cdf)


def test_simulated_is_a_mapping_of_what_fit_takes() -> None:
    case = CASES["rats"]
    found = simulate(model("rats"), data=case.data, sizes=case.sizes, values=case.values)
    assert isinstance(found, Simulated)
    assert list(found) == ["rat", "week", "y"]
    assert len(found) == 3
    assert list(found.frames) == ["rat", "week", "rat_week"]
    assert list(found.frames["rat_week"].columns) == ["rat", "week", "y"]
    assert found.levels["week"] == ("0", "1", "2", "3", "4")
    assert "rat: 30 rows of rat" in repr(found)
    with pytest.raises(AttributeError):
        found.truth = {}  # type: ignore[misc]
