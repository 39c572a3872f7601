"""Trees lowered to the tape against a naive interpreter, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.evaluate import Evaluation
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.numerics.tape import Recorder
from dagmodels.readers import read
from tests.numerics.tapes import complex_step, reverse, run
from tests.numerics.trees import Naive

HEAD = """
model trees
plate district
plate school in district
plate pupil in school
plate item
plate item2 as item
plate rating in pupil, item
plate grp = "a", "b", "c"
plate grp2 as grp
plate year ordered
plate arm = 1..3
plate team
plate home as team
plate away as team
plate match in home, away
covariate x[pupil], g[pupil] in grp, z[item], r[rating], t[year], start[school] in year
covariate cross[district, item], unit[year], goals[match]
constant m[arm] = [2, 3, 5]
parameter a[school], b[item], c[grp], d[school, grp], e[grp, school], V[grp, grp2], h[year, item]
parameter q[district], k[team], s, u, w[arm], y2[year], p[school]
"""

TREES = [
    # arithmetic, functions, scalars
    # (labels in single quotes here, double ones in the text)
    "n0 = s + 2*u - s/u + s**2 - (-u) + (+s)",
    "n1[school] = exp(a) + log(abs(a) + 1) + sqrt(a**2 + 1) + s*a",
    "n2[school] = logit(p) + expit(a) + Phi(a) + cloglog(p) + icloglog(a) + probit(p)",
    "n3[school] = min(a, s) + max(a, max(s, u)) + min(min(s, a), min(u, 0.5))",
    "n4 = 2**-1 + 3*(1 - 2)**2",
    "n5[arm] = m*w[arm] + m[arm]**2 + w[2] + m[3]",
    # one plate, nested, crossed
    "p1[pupil] = x*s + a[school] + q[district]",
    "p2[rating] = r + b[item] + x[pupil]*a[school] + cross[district, item]",
    "p3[school, item] = a*b + a[school] - b[item]",
    "p4[item, school] = a*b + cross[district, item]",
    "p5[year, item] = h[year, item]*b + t",
    "p6[item, year] = h[year, item]",
    "p7[district, item] = cross*b",
    "p8[school] = e['b', school] + d[school, 'c']",
    "p9[grp, school] = e[grp, school] - d[school, grp]",
    # indices that are data, levels
    "i1[pupil] = c[g] + d[school, g]*x",
    "i2[pupil] = if_else(g == 'b', x, -x) + (g != 'a')",
    "i3[rating] = d[school, g[pupil]]*b[item]",
    "i4[pupil] = e[g, school] + c['a']",
    "i5[match] = k[home] - 2*k[away] + goals",
    "i6[school] = y2[start]",
    # comparisons of plates
    "c1[grp, grp2] = if_else(grp == grp2, s**2, V[grp, grp2])",
    "c2[item, item2] = exp(-(z[item] - z[item2])**2) + (item != item2)*u",
    "c3[year] = if_else(year > 2, s, u)",
    "c4[year] = (year >= 3) + 10*(year < 2) + 100*(year <= 4) + 1000*(2 < year)",
    "c5[school, year] = if_else(year >= start[school], s, 0)",
    "c6[school] = (start == 3) + 2*(start < 3)",
    "c7[item, item2] = b[item]*b[item2]",
    # lags
    "l1[year first] = t\nl1[year] = t - t[year-1]",
    "l2[year first 2] = 0\nl2[year] = y2[year-1]*s + y2[year-2]",
    "l3[year first, item] = h\nl3[year, item] = h[year, item] + h[year-1, item]*b",
    "l4[year first] = h['1', 2]\nl4[year] = h[year-1, 1]",
    # heads that name levels
    "f1[school, 'a'] = 0\nf1[school, grp] = d",
    "f2['b'] = s\nf2['c'] = u\nf2[grp] = c",
    "f3[grp, school] = e\nf3['a', school] = 1\nf3['a', 0] = 7",
    # sums
    "s1[school] = sum(x for pupil)",
    "s2[district] = sum(x*a[school] for pupil)",
    "s3 = sum(x for pupil)",
    "s4[item] = sum(r for rating)",
    "s5[pupil] = sum(r*b[item] for rating)",
    "s6[school, item] = sum(r for rating)",
    "s7[school] = sum(b*z for item)*a",
    "s8[school] = sum(a[school]*b for item)",
    "s9 = sum(a*b for school, item)",
    "sa[district] = sum(a*b for school, item)",
    "sb[school, item] = sum(V[grp, grp2]*d[school, grp] for grp, grp2) + b",
    "sc = sum(sum(r*x[pupil] for rating) for item)",
    "sd[district] = sum(a*sum(x for pupil) for school)",
    "se[year] = sum(h*b for item)",
    "sf[year first] = 0\nsf[year] = sum(h[year-1, item] for item)",
    "sg[home] = sum(goals*k[away] for match)",
    "sh[pupil] = sum(c[grp]*(g[pupil] == grp) for grp)",
    "si[school] = mean(x for pupil) + mean(b for item)",
    "sj = mean(x*a[school] for pupil)",
    "sk[district] = sum(if_else(x > 0, x, s) for pupil)",
    "sl[school] = sum(s for item)",
    "sm = sum(1 for pupil)",
    "sn[district] = sum(sum(x[pupil]*a[school] for pupil) for school)",
    "so[item] = sum(cross[district, item]*q for district)",
    # products
    "r1[school] = prod(exp(x) for pupil)",
    "r2 = prod(b for item)",
    "r3[year] = prod(h for item)",
    "r4[school] = prod(if_else(g[pupil] == 'a', 0, x) for pupil)",
    # vectors and matrices
    "v1[school, grp] = softmax(d)",
    "v2[school, grp] = softmax(d + a)",
    "v3[school, grp] = softmax(a[school]*c[grp])",
    "v4[grp] = softmax(c)",
    "v5[pupil, grp] = softmax(d[school, grp] + x)",
    "v6[school, grp] = softmax(s*e[grp, school])",
    "v7[grp, grp2] = inverse(V)",
    "v8[school, grp, grp2] = inverse(a[school]*V[grp, grp2] + if_else(grp == grp2, 9, 0))",
    "v9[grp, grp2] = inverse(V[grp2, grp])",
    "va[grp, grp2] = inverse(s*V[grp, grp2] + if_else(grp == grp2, 9, 0))",
    "vb[school, grp] = softmax(log(exp(d)))*2",
    # nodes of nodes
    "d1[school] = a*2\nd2[pupil] = d1 + x\nd3 = sum(d2 for pupil)\nd4[school] = d3*d1",
    "d5[school] = sum(x for pupil)\nd6[pupil] = x - d5[school]",
    "d7[year] = t*s\nd8[year first] = d7\nd8[year] = d7 - d7[year-1]",
]  # fmt: skip


def problem_of(tree: str, seed: int = 0) -> Problem:
    """Schools and years in a shuffled order, schools of unequal size, some ratings missing."""
    rng = np.random.default_rng(seed)
    school = rng.permutation(np.repeat(np.arange(4), [1, 3, 2, 4]))
    n = school.size
    pairs = [(i, j) for i in range(n) for j in range(3) if rng.random() < 0.7 or i == j]
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    years = rng.permutation(5)
    return bind(
        read(HEAD + tree.replace("'", '"')),
        {
            "school": {"school": np.arange(4), "district": [1, 0, 1, 0], "start": [3, 1, 5, 2]},
            "pupil": {
                "pupil": np.arange(n),
                "school": school,
                "x": rng.normal(size=n),
                "g": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            },
            "item": {"item": np.arange(1, 4), "z": rng.normal(size=3)},
            "rating": {
                "pupil": [i for i, _ in pairs],
                "item": [j + 1 for _, j in pairs],
                "r": rng.normal(size=len(pairs)),
            },
            "year": {"year": years + 1, "t": rng.normal(size=5), "unit": np.ones(5)},
            "match": {"home": [0, 0, 1, 2, 3, 3], "away": [1, 2, 0, 3, 1, 2], "goals": rng.normal(size=6)},
            "cross": rng.normal(size=(2, 3)),
        },
        sizes={"team": 4},
    )


def unknowns(problem: Problem, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, node in problem.graph.nodes.items():
        if node.kind == "parameter":
            size = int(np.prod(problem.shape(name), dtype=int))
            found[name] = rng.uniform(0.1, 0.9, size) if name == "p" else rng.normal(size=size)
    return found


def derived(problem: Problem) -> list[str]:
    return [name for name, node in problem.graph.nodes.items() if node.kind == "deterministic"]


@pytest.mark.parametrize("tree", TREES)
def test_known_numbers(tree: str) -> None:
    """Everything known: constant folding alone evaluates."""
    problem = problem_of(tree)
    values = unknowns(problem)
    evaluation, naive = Evaluation(problem, values), Naive(problem, values)
    names = derived(problem)
    assert names
    for name in names:
        want = naive.node(name)
        np.testing.assert_allclose(evaluation.node(name), want, rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("tree", TREES)
def test_unknown_numbers(tree: str) -> None:
    """Parameters are inputs: the compiled tape gives the same, and its gradient is that of complex steps."""
    problem = problem_of(tree, seed=1)
    values = unknowns(problem, seed=1)
    recorder = Recorder()
    lowering = Lowering(problem, recorder, lambda name: recorder.input(name, values[name].size))
    registers = {name: lowering.node(name) for name in derived(problem)}
    for register in registers.values():
        recorder.start(register)
    tape = recorder.finish()
    used = {name: values[name] for name in tape.inputs}
    w = run(tape, used)
    naive = Naive(problem, values)
    rng = np.random.default_rng(0)
    for name, register in registers.items():
        want = naive.node(name)
        at = tape.place(register)
        np.testing.assert_allclose(w[at], want, rtol=1e-11, atol=1e-12, err_msg=name)
        seed = rng.normal(size=want.size)
        got, slopes = (f(tape, used, register, seed) for f in (reverse, complex_step))
        for key in used:
            np.testing.assert_allclose(got[key], slopes[key], rtol=1e-8, atol=1e-9, err_msg=f"{name}, {key}")


@pytest.mark.parametrize(
    "tree",
    [
        "acc[year first] = t\nacc[year] = 0.5*acc[year-1] + t",
        "acc[year first] = s\nacc[year] = u*acc[year-1] + t",
        "even[year first] = t\neven[year] = odd[year-1]\nodd[year] = even + 1",
    ],
)
def test_recursions_of_deterministic_nodes(tree: str) -> None:
    """A recursion is computed, or refused by name; Python's stack is not the answer."""
    problem = problem_of(tree)
    values = unknowns(problem)
    for name in derived(problem):
        try:
            got = Evaluation(problem, values).node(name)
        except NotLowered as error:
            refusal = str(error)
        else:
            np.testing.assert_allclose(got, Naive(problem, values).node(name), rtol=1e-12)
            continue
        assert any(f"'{n}'" in refusal for n in derived(problem))


def test_values_keep_the_smallest_domain() -> None:
    """exp(a[school])*x[pupil]: the exponential is taken once a school."""
    problem = problem_of("n[pupil] = exp(a[school])*x")
    recorder = Recorder()
    lowering = Lowering(problem, recorder, lambda name: recorder.input(name, 4))
    lowering.node("n")
    tape = recorder.finish()
    code, out, length = tape.operations[0], tape.operations[1], tape.operations[7]
    (exponential,) = np.flatnonzero(code == 21)
    assert length[out[exponential]] == 4


def test_equal_subtrees_are_recorded_once() -> None:
    problem = problem_of("n[school] = exp(a)*exp(a) + exp(a)\nn2[school] = exp(a)")
    recorder = Recorder()
    lowering = Lowering(problem, recorder, lambda name: recorder.input(name, 4))
    assert lowering.node("n") != lowering.node("n2")
    assert np.sum(recorder.finish().operations[0] == 21) == 1


def test_missing_values_are_not_taken_for_numbers() -> None:
    """A node without a value says so."""
    problem = problem_of("n[school] = a")
    with pytest.raises(FitError, match="'a' has no value"):
        Evaluation(problem, {}).node("n")


def test_a_lag_before_the_first_element_is_refused() -> None:
    """Without a `first` statement there is nothing before the first year."""
    from dagmodels.errors import DagmodelsError

    with pytest.raises(DagmodelsError) as caught:
        Evaluation(problem_of("n[year] = t[year-1]"), {}).node("n")
    assert "first" in str(caught.value)


def test_sums_over_no_elements_are_zero() -> None:
    """A school without pupils: the sum is 0, the product 1."""
    text = """
model empty
plate school
plate pupil in school
covariate x[pupil]
parameter s
total[school] = sum(s*x for pupil)
all[school] = prod(exp(s*x) for pupil)
"""
    data = {
        "school": {"school": [0, 1, 2]},
        "pupil": {"school": [0, 0, 2], "x": [1.0, 2.0, 3.0]},
    }
    problem = bind(read(text), data)
    found = Evaluation(problem, {"s": np.array([2.0])})
    assert problem.plates["school"].size == 3
    np.testing.assert_allclose(found.node("total"), [6.0, 0.0, 6.0])
    np.testing.assert_allclose(found.node("all"), np.exp([6.0, 0.0, 6.0]))
