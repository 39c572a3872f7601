"""Questions to nodes in plates, element by element; fits with discrete latents answer them too."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

WEATHER = """model weather
plate day = 1..5 ordered
plate state = "dry", "wet"
plate to as state
constant p[state, to] = [[0.9, 0.1], [0.3, 0.7]]
z[day first] in state ~ Categorical([0.5, 0.5])
z[day] in state ~ Categorical(p[z[day-1], to])
umbrella[day] ~ Bernoulli(if_else(z == "wet", 0.8, 0.1))
"""
P = np.array([[0.9, 0.1], [0.3, 0.7]])


def told(action) -> list[str]:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


def test_a_chain_against_all_paths():
    g = dm.read(WEATHER)
    evidence = {"umbrella[1]": 1, "umbrella[2]": 1, "umbrella[4]": 0}
    found, total = {n: np.zeros(2) for n in range(5)}, 0.0
    best = (-1.0, ())
    for path in itertools.product(range(2), repeat=5):
        w = 0.5 * np.prod([P[a, b] for a, b in itertools.pairwise(path)])
        w *= np.prod([(0.1, 0.8)[path[0]], (0.1, 0.8)[path[1]], (0.9, 0.2)[path[3]]])
        total += w
        for n, s in enumerate(path):
            found[n][s] += w
        unseen = np.prod([max(0.9, 0.1) if s == 0 else 0.8 for s in (path[2], path[4])])
        best = max(best, (w * unseen, path))
    answer = g.query(evidence, "z")
    assert list(answer) == [f"z[{n}]" for n in range(1, 6)]
    for n in range(5):
        assert list(answer[f"z[{n + 1}]"].values()) == pytest.approx(found[n] / total, abs=1e-12)
    assert g.probability(evidence) == pytest.approx(total, rel=1e-12)
    states, log = g.mpe(evidence)
    assert log == pytest.approx(np.log(best[0]), abs=1e-12)
    assert [states[f"z[{n}]"] for n in range(1, 6)] == [("dry", "wet")[s] for s in best[1]]
    ((_, both),) = g.query(evidence, [("z[1]", "z[5]")]).items()
    assert sum(both.values()) == pytest.approx(1)


def test_sizes_covariates_sums_and_labels():
    """Two rooms by name, a covariate, a sum over what is not known, a computed node between."""
    g = dm.read("""model rooms
plate room
plate lamp in room
covariate old[lamp]
broken[lamp] ~ Bernoulli(expit(-1 + old))
number[room] = sum(broken for lamp)
observed dark[room] ~ Bernoulli(1 - 0.9*exp(-0.5*number))
""")
    frame = pd.DataFrame(
        {"room": ["a", "a", "b", "b", "b"], "lamp": [1, 2, 1, 2, 3], "old": [0.0, 2.0, 1.0, -1.0, 0.5]}
    )
    rate = dict(
        zip(
            ["1:a", "2:a", "1:b", "2:b", "3:b"],
            1 / (1 + np.exp(1 - frame["old"].to_numpy())),
            strict=True,
        )
    )
    answer = g.query({"dark[b]": 1}, ["broken", "dark[a]"], data=frame)
    weights = np.zeros((2, 2, 2))
    for s in itertools.product(range(2), repeat=3):
        w = np.prod([rate[f"{k + 1}:b"] if x else 1 - rate[f"{k + 1}:b"] for k, x in enumerate(s)])
        weights[s] = w * (1 - 0.9 * np.exp(-0.5 * sum(s)))
    weights /= weights.sum()
    for k in range(3):
        other = tuple(i for i in range(3) if i != k)
        assert answer[f"broken[{k + 1}:b]"][1] == pytest.approx(weights.sum(axis=other)[1], abs=1e-12)
        if k < 2:
            assert answer[f"broken[{k + 1}:a]"][1] == pytest.approx(rate[f"{k + 1}:a"], abs=1e-12)
    some = g.query({"broken[1:b]": 0}, "dark[b]", data=frame.assign(broken=[None, None, None, 1, None]))
    p = [1 - 0.9 * np.exp(-0.5 * (1 + x)) for x in (0, 1)]
    third = rate["3:b"]
    assert some["dark[b]"][1] == pytest.approx((1 - third) * p[0] + third * p[1], abs=1e-12)


def test_bad_questions_say_what_is_lacking():
    g = dm.read(WEATHER.replace("plate day = 1..5 ordered", "plate day ordered"))
    (message,) = told(lambda: g.query())
    assert "how many elements plate 'day' has is not known (give sizes={'day': 3}" in message
    assert set(g.query(sizes={"day": 2}, targets="z")) == {"z[0]", "z[1]"}
    (message,) = told(lambda: g.query({"umbrella[7]": 1}, sizes={"day": 3}))
    assert "'umbrella[7]' is no node of the network" in message
    (message,) = told(lambda: g.query({"z[0]": "damp"}, sizes={"day": 3}))
    assert "'damp' is no state of 'z[0]'" in message
    g = dm.read(
        WEATHER.replace("constant p[state, to] = [[0.9, 0.1], [0.3, 0.7]]", "p[state, to] ~ Dirichlet(1)")
    )
    assert any("'p' is unknown" in m for m in told(lambda: g.query()))


@pytest.fixture(scope="module")
def chain():
    """A hidden Markov chain of two towns, fitted."""
    g = dm.read("""model weather
plate town
plate day in town ordered
plate state = "dry", "wet"
plate to as state
parameter first[state], p[state, to] simplex
parameter rate[state] > 0
z[day first] in state ~ Categorical(first)
z[day] in state ~ Categorical(p[z[day-1], to])
observed drops[day] ~ Poisson(rate[z])
""")
    rng = np.random.default_rng(5)
    days = pd.DataFrame({"town": np.repeat(["a", "b", "c"], [40, 1, 60])})
    days["day"] = np.concatenate([np.arange(n) for n in (40, 1, 60)])
    days["drops"] = rng.poisson(np.where((np.arange(101) // 7) % 2, 5.0, 1.0))
    return g.fit_quietly(days), days


def test_a_fitted_chain_answers_as_its_forward_and_backward_passes(chain):
    fit, _ = chain
    answer, known = fit.query(None, "z"), fit.probabilities("z")
    found = np.array([[answer[n]["dry"], answer[n]["wet"]] for n in known.index])
    assert found == pytest.approx(known.to_numpy(), abs=1e-12)
    assert np.log(fit.probability()) == pytest.approx(fit.log_likelihood, abs=1e-8)
    states, path = fit.states(), fit.mpe()[0]
    assert [path[n] for n in states["name"]] == states["path"].tolist()


def test_a_fitted_chain_with_more_evidence(chain):
    """Seeing a state more: Bayes' rule with the joint probability of both."""
    fit, _ = chain
    ((_, both),) = fit.query(None, [("z[3:a]", "z[4:a]")]).items()
    given = fit.query({"z[3:a]": "dry"}, "z[4:a]")["z[4:a]"]
    dry = both["dry", "dry"] + both["dry", "wet"]
    assert given["wet"] == pytest.approx(both["dry", "wet"] / dry, abs=1e-12)
    (message,) = told(lambda: fit.query({"drops[3:a]": 10**6}, "z[4:a]"))
    assert "in the data" in message


def test_a_fitted_chain_elsewhere(chain):
    """Elements of which nothing is seen: the chain's own law; new data: their own passes."""
    fit, _ = chain
    p = np.array([[fit[f"p[{a}, {b}]"] for b in ("dry", "wet")] for a in ("dry", "wet")])
    answer = fit.query({"z[0]": "dry"}, "z[2]", sizes={"town": 1, "day": 3})["z[2]"]
    assert list(answer.values()) == pytest.approx((p @ p)[0], abs=1e-12)
    new = pd.DataFrame({"town": ["d"] * 3, "day": [0, 1, 2], "drops": [0, 7, 6]})
    answer, known = fit.query(None, ["z[0:d]", "z[1:d]", "z[2:d]"], data=new), fit.probabilities("z", new)
    assert [answer[n]["wet"] for n in known.index] == pytest.approx(known["wet"].to_numpy(), abs=1e-12)


def test_latent_classes_answer_for_a_new_subject():
    g = dm.read("""model classes
plate subject
plate class = 1..2
plate item = 1..3
parameter w[class] simplex
parameter q[class, item] in (0, 1)
k[subject] in class ~ Categorical(w)
observed x[subject, item] ~ Bernoulli(q[k, item])
""")
    rng = np.random.default_rng(2)
    own = rng.integers(0, 2, 300)
    x = (rng.random((300, 3)) < np.where(own[:, None], 0.9, 0.2)).astype(int)
    fit = g.fit({"x": x})
    w = np.array([fit["w[1]"], fit["w[2]"]])
    q = np.array([[fit[f"q[{c}, {i}]"] for i in (1, 2, 3)] for c in (1, 2)])
    seen = w * q[:, 0] * (1 - q[:, 1])
    answer = fit.query({"x[0,1]": 1, "x[0, 2]": 0}, ["k", "x[0, 3]"], sizes={"subject": 1})
    assert list(answer["k[0]"].values()) == pytest.approx(seen / seen.sum(), abs=1e-12)
    assert answer["x[0, 3]"][1] == pytest.approx(seen @ q[:, 2] / seen.sum(), abs=1e-12)
    known = fit.probabilities("k").iloc[7].to_numpy()
    assert list(fit.query(None, "k[7]")["k[7]"].values()) == pytest.approx(known, abs=1e-12)
