"""The order of elimination: children before parents, chains backwards, large plates first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.analysis.roles import roles
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator
from dagmodels.forms.ordering import Group, elimination_order
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED
from tests.forms.test_field_oracle import point
from tests.oracle.cases import problem_of
from tests.oracle.dense import dense


def groups(*sizes: int, kinds: Any = None) -> list[Group]:
    found, start = [], 0
    for k, size in enumerate(sizes):
        kind = SCALED if kinds is None else kinds[k]
        found.append(Group(f"g{k}", start, size, kind))
        start += size
    return found


def edges(made: list[Group], parents: dict[int, set[int]]) -> Any:
    """Every element of a group on every element of its parent groups."""
    pairs = [
        (c, p)
        for g, ps in parents.items()
        for h in ps
        for c in range(made[g].start, made[g].start + made[g].size)
        for p in range(made[h].start, made[h].start + made[h].size)
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def order_of(made: list[Group], parents: dict[int, set[int]]) -> Any:
    child, parent = edges(made, parents)
    return elimination_order(made, child, parent, FREE, PROFILED)


def lagged(time: Any, *starts: int) -> Any:
    """Every group's elements on all groups' elements one step before."""
    pairs = [
        (a + i, b + j)
        for a in starts
        for b in starts
        for i, t in enumerate(time)
        for j, u in enumerate(time)
        if u == t - 1
    ]
    return np.array(pairs, dtype=np.int64).T


def positions(order: Any) -> Any:
    found = np.empty(order.size, np.int64)
    found[order] = np.arange(order.size)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_children_before_parents(seed: int) -> None:
    """Random directed graphs of groups without cycles, in random numbering."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 9))
    made = groups(*rng.integers(1, 6, k))
    rank = rng.permutation(k)
    parents = {g: {h for h in range(k) if rank[h] > rank[g] and rng.random() < 0.4} for g in range(k)}
    order = order_of(made, parents)
    assert sorted(order.tolist()) == list(range(sum(g.size for g in made)))
    at = positions(order)
    for g, ps in parents.items():
        for p in ps:
            last = at[made[g].start : made[g].start + made[g].size].max()
            assert last < at[made[p].start : made[p].start + made[p].size].min()


def test_scaled_then_free_then_profiled() -> None:
    made = groups(1, 2, 50, 3, kinds=(PROFILED, FREE, SCALED, SCALED))
    order = order_of(made, {2: {1, 0}})
    kinds = np.concatenate([np.full(g.size, g.kind) for g in made])[order]
    want = np.concatenate([np.full(53, SCALED), np.full(2, FREE), np.full(1, PROFILED)])
    np.testing.assert_array_equal(kinds, want)


def test_larger_first_among_the_ready() -> None:
    order = order_of(groups(3, 10, 5), {})
    np.testing.assert_array_equal(order, [*range(3, 13), *range(13, 18), *range(3)])


def test_a_parent_waits_for_its_children_however_large_it_is() -> None:
    order = order_of(groups(2, 100, 1), {0: {1}, 2: {1}})
    assert set(order[:3].tolist()) == {0, 1, 102}


def test_chains_run_backwards() -> None:
    """Two chains of unequal length in one group, their elements in a shuffled order."""
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(8)
    chain, time = np.array([0] * 5 + [1] * 3)[shuffled], np.array([0, 1, 2, 3, 4, 0, 1, 2])[shuffled]
    pairs = [(i, j) for i in range(8) for j in range(8) if chain[i] == chain[j] and time[j] == time[i] - 1]
    child, parent = np.array(pairs).T
    order = elimination_order(groups(8), child, parent, FREE, PROFILED)
    for which in (0, 1):
        own = [time[e] for e in order if chain[e] == which]
        assert own == sorted(own, reverse=True)


def test_groups_tied_by_lags_are_interleaved() -> None:
    """a[t] on a[t-1] and b[t-1], b[t] on b[t-1] and a[t-1]: latest first."""
    time = np.array([2, 0, 1])
    child, parent = lagged(time, 0, 3)
    order = elimination_order(groups(3, 3), child, parent, FREE, PROFILED)
    both = np.concatenate([time, time])[order]
    np.testing.assert_array_equal(both, [2, 2, 1, 1, 0, 0])


def test_no_groups() -> None:
    assert order_of([], {}).size == 0


# Whole models: the order is good when the field form can be built, and right when it agrees with the
# dense law.  Edges within a time step and edges through lags are not the same thing.
TIED = {
    "within a step": """
a[t first] ~ Normal(b[t], sa)
a[t] ~ Normal(b[t], sa)
b[t first] ~ Normal(0, sb)
b[t] ~ Normal(phi*a[t-1], sb)
""",
    "within a step, the other way": """
b[t first] ~ Normal(a[t], sa)
b[t] ~ Normal(a[t], sa)
a[t first] ~ Normal(0, sb)
a[t] ~ Normal(phi*b[t-1], sb)
""",
    "both lagged": """
a[t first] ~ Normal(0, sa)
a[t] ~ Normal(phi*b[t-1], sa)
b[t first] ~ Normal(0, sb)
b[t] ~ Normal(a[t-1], sb)
""",
    "three in a ring": """
c[t first] ~ Normal(b, sa)
c[t] ~ Normal(b[t], sa)
b[t first] ~ Normal(a, sa)
b[t] ~ Normal(a[t], sa)
a[t first] ~ Normal(0, sb)
a[t] ~ Normal(phi*c[t-1], sb)
""",
    "three in a ring, the other way": """
a[t first] ~ Normal(0, sb)
a[t] ~ Normal(phi*c[t-1], sb)
b[t first] ~ Normal(a, sa)
b[t] ~ Normal(a[t], sa)
c[t first] ~ Normal(b, sa)
c[t] ~ Normal(b[t], sa)
""",
    "own lags too": """
b[t first] ~ Normal(0, sb)
b[t] ~ Normal(0.3*b[t-1] + phi*a[t-1], sb)
a[t first] ~ Normal(b, sa)
a[t] ~ Normal(0.5*a[t-1] + b[t], sa)
""",
}
FRAME = """
model tied
plate t ordered
parameter phi, sa, sb, s > 0
{body}
observed y[t] ~ Normal(a + b, s)
"""


def agreement(text: str, data: dict[str, Any], theta: dict[str, Any]) -> None:
    """The form's log likelihood against the dense law's, 1e-8."""
    problem = problem_of(text, data)
    field = build_field(problem, roles(problem.graph, problem))
    values = {name: np.asarray(v) for name, v in theta.items()}
    deviance = Evaluator(field).criterion(point(problem, field, values)).deviance
    want = float(dense(problem, values).loglik("declared"))
    assert -0.5 * deviance == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("name", TIED)
@pytest.mark.parametrize("turned", [False, True])
def test_nodes_tied_by_lags(name: str, turned: bool) -> None:
    """In either order of the statements."""
    lines = TIED[name].strip().split("\n")
    body = "\n".join(reversed(lines) if turned else lines)
    data = {"t": [3, 1, 2, 5, 4], "y": np.array([0.3, -1.0, 0.4, 2.0, 0.1])}
    agreement(FRAME.format(body=body), data, {"phi": 0.7, "sa": 0.5, "sb": 1.1, "s": 0.8})


@pytest.mark.parametrize("lagged", ["year", "month"])
@pytest.mark.parametrize("plates", ["year, month", "month, year"])
def test_two_ordered_plates_with_a_lag_along_one(lagged: str, plates: str) -> None:
    """The chain runs along the plate of the lag, whichever of the two is written first."""
    before = ", ".join(f"{p}-1" if p == lagged else p for p in plates.split(", "))
    first = ", ".join(f"{p} first" if p == lagged else p for p in plates.split(", "))
    text = f"""
model two_ways
plate year ordered
plate month ordered
plate row in year, month
parameter s, sx > 0
x[{first}] ~ Normal(0, sx)
x[{plates}] ~ Normal(0.6*x[{before}], sx)
observed y[row] ~ Normal(x[{plates}], s)
"""
    year, month = (v.reshape(-1) for v in np.meshgrid([1, 2, 3], [1, 2, 3, 4]))
    data = {"row": np.arange(12), "year": year, "month": month, "y": np.sin(np.arange(12.0))}
    agreement(text, data, {"s": 0.7, "sx": 1.2})


def test_lags_along_both_of_two_ordered_plates() -> None:
    text = """
model lattice
plate year ordered
plate month ordered
plate row in year, month
parameter s, sx > 0
x[year first, month] ~ Normal(0, sx)
x[year, month first] ~ Normal(0, sx)
x[year, month] ~ Normal(0.3*x[year-1, month] + 0.4*x[year, month-1], sx)
observed y[row] ~ Normal(x[year, month], s)
"""
    year, month = (v.reshape(-1) for v in np.meshgrid([1, 2, 3], [1, 2, 3]))
    data = {"row": np.arange(9), "year": year, "month": month, "y": np.sin(np.arange(9.0))}
    agreement(text, data, {"s": 0.7, "sx": 1.2})
