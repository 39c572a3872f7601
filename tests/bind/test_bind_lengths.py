"""Vectors, matrices and tables must fit the plates whose sizes only the data or `sizes` tell."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm

FREE = [
    (
        "x[p] ~ MvNormal([0, 1], [[2, 0.1], [0.1, 2]])",
        [
            (
                "mu in the MvNormal law of 'x' has 2 entries, but plate 'p' has 3 elements",
                "give it 3 entries, or give plate 'p' 2 elements by stating its levels",
            ),
            (
                "cov in the MvNormal law of 'x' is 2 x 2, but plate 'p' has 3 elements",
                "make it 3 x 3, or give plate 'p' 2 elements by stating its levels",
            ),
        ],
    ),
    (
        "x[p, q] ~ InverseWishart(4, [[2, 0.1], [0.1, 2]])",
        [
            (
                "Psi in the InverseWishart law of 'x' is 2 x 2, but plate 'q' has 3 elements",
                "make it 3 x 3, or give plate 'q' 2 elements by stating its levels",
            )
        ],
    ),
    (
        "x[p] ~ Multinomial(5, [0.5, 0.5])",
        [
            (
                "p in the Multinomial law of 'x' has 2 entries, but plate 'p' has 3 elements",
                "give it 3 entries, or give plate 'p' 2 elements by stating its levels",
            )
        ],
    ),
    (
        "x in p ~ Categorical([0.2, 0.8])",
        [
            (
                "p in the Categorical law of 'x' has 2 entries, but plate 'p' has 3 elements",
                "give it 3 entries, or give plate 'p' 2 elements by stating its levels",
            )
        ],
    ),
    (
        "x in p ~ Table([1])",
        [
            (
                "the row in the Table of 'x' has 1 entry, but plate 'p' has 3 elements",
                "give it 3 entries, or give plate 'p' 1 element by stating its levels",
            )
        ],
    ),
    (
        "x in p ~ OrderedLogistic(0, [-1, 0, 1])",
        [
            (
                "cutpoints in the OrderedLogistic law of 'x' has 3 entries, but plate 'p' has 3 elements",
                "give it 2 entries, one less than there are levels, or give plate 'p' 4 elements by stating "
                "its levels",
            )
        ],
    ),
    (
        "c[r] ~ Ordered(Normal(0, 1))\nx in p ~ OrderedLogistic(0, c)",
        [
            (
                "cutpoints in the OrderedLogistic law of 'x' has 4 entries (one for each element of plate "
                "'r'), but plate 'p' has 3 elements",
                "give it 2 entries, one less than there are levels, or give plate 'p' 5 elements by stating "
                "its levels",
            )
        ],
    ),
    (
        "w[r] ~ Dirichlet(1)\nx ~ Mixture(w, [Normal(0, 1), Laplace(0, 1)])",
        [
            (
                "weights in the Mixture law of 'x' has 4 entries (one for each element of plate 'r'), but "
                "its place takes 2",
                "give it 2 entries",
            )
        ],
    ),
    (
        "V[p, q] ~ Wishart(5, 1)\n(a, b) ~ MvNormal(0, V)".replace("Wishart(5, 1)", "LKJCorr(1)"),
        [
            (
                "cov in the MvNormal law of 'a' is 3 x 3 (one for each element of plate 'q'), but its place "
                "takes 2",
                "make it 2 x 2",
            )
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), FREE)
def test_lengths_are_compared_once_sizes_are_known(text, expected):
    graph = dm.read(f"model m\nplate p\nplate q as p\nplate r\n{text}")
    with pytest.raises(dm.ModelErrors) as caught:
        graph.simulate(sizes={"p": 3, "r": 4})
    lines = 5 + text.count("\n")
    assert [(e.message, e.hint) for e in caught.value.exceptions] == expected
    assert {e.line for e in caught.value.exceptions} == {lines}
    assert {e.node for e in caught.value.exceptions} <= {"x", "a"}


OUTCOME = """model m
plate i
plate p
parameter a
observed y[i, p] ~ MvNormal(a, [[2, 0.1], [0.1, 2]])
"""


def told(action):
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize("verb", ["fit", "check", "plan"])
def test_every_verb_with_data_says_so(verb):
    data = {"y": np.random.default_rng(0).normal(size=(9, 3))}
    message = told(lambda: getattr(dm.read(OUTCOME), verb)(data))
    assert "line 5, column 10: cov in the MvNormal law of 'y' is 2 x 2, but plate 'p' has 3 elem" in message
    assert dm.read(OUTCOME).fit_quietly({"y": data["y"][:, :2]}).converged


NETWORK = """model m
plate answer
plate i
observed x[i] in answer ~ Categorical([0.5, 0.5])
observed y[i] in answer ~ Table(x, {"no": [0.9, 0.1], "yes": [0.2, 0.8]})
"""


def test_states_of_tables_name_the_levels():
    drawn = dm.read(NETWORK).simulate(sizes={"answer": 2, "i": 40})
    assert set(drawn["i"]["x"]) == {"no", "yes"}


def test_a_state_without_its_row_is_told():
    text = NETWORK.replace("[0.5, 0.5]", "[0.5, 0.3, 0.2]")
    text = text.replace("[0.9, 0.1]", "[0.9, 0.1, 0]").replace("[0.2, 0.8]", "[0.2, 0.8, 0]")
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text).check({"x": ["no", "yes", "?"], "y": ["no", "no", "yes"]})
    assert [e.message for e in caught.value.exceptions] == ["the Table of 'y' has no row for (?)"]
    message = told(lambda: dm.read(NETWORK).check({"x": ["no", "maybe"], "y": ["no", "maybe"]}))
    assert "'y' names the level 'yes', which plate 'answer' does not have" in message


def test_stated_levels_of_a_nested_plate_stand_in_every_parent():
    text = 'model m\nplate g = 1..2\nplate c in g = "a", "b"\n'
    vector = "constant m[c] = [1, 2, 3, 4]\nx[c] ~ Dirichlet([1, 2, 3, 4])\ny[c] = m\n"
    drawn = dm.read(text + vector).simulate()
    assert drawn.truth["x"].shape == (4,)
    assert drawn.truth["y"].tolist() == [1, 2, 3, 4]
    message = told(lambda: dm.read(f"{text}x[c] ~ Dirichlet([1, 2])").simulate())
    assert "a in the Dirichlet law of 'x' has 2 entries, but plate 'c' has 4 elements" in message


def test_numbers_that_the_model_names_stay_when_a_text_takes_the_place_of_one():
    graph = dm.read('model m\nplate k\nx[k] ~ Normal(0, 1)\nx[1] = 5\nx["b"] = 7\nx[2] = 9')
    assert graph.simulate(sizes={"k": 3}).levels["k"] == ("b", "1", "2")
