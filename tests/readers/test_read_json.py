"""JSON that is no model's, field by field; deep and damaged JSON."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.readers import read
from dagmodels.readers.json import MAX_DEPTH, from_json
from dagmodels.writers import to_json

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.dag"))


def faults(text: str) -> list[str]:
    with pytest.raises(ModelErrors) as caught:
        from_json(text)
    return [e.message for e in caught.value.exceptions]


def model(**fields: Any) -> str:
    return json.dumps({"dagmodels": 1, "model": "m", **fields})


POWER = {"operator": "^", "left": 1, "right": 2}
NORMAL = {"family": "Normal", "arguments": {"mu": 0, "sigma": 1}}


def test_the_form_by_hand():
    node = {"kind": "stochastic", "node": "y", "slots": [{"plate": "i"}], "distribution": NORMAL}
    text = model(plates=[{"plate": "i", "levels": ["a", 2]}], statements=[node])
    assert from_json(text) == read('model m\nplate i = "a", 2\ny[i] ~ Normal(0, 1)\n')


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"plates": 3}, "plates must be a list of at most 200000 objects."),
        ({"plates": [3]}, "plates[0] must be an object."),
        ({"plates": [{}]}, "plates[0].plate must be given."),
        ({"plates": [{"plate": "i", "inn": []}]}, "plates[0].inn must be left out: the field is not known."),
        ({"plates": [{"plate": "i", "ordered": 1}]}, "plates[0].ordered must be true or false."),
        (
            {"plates": [{"plate": "i", "levels": [1.5]}]},
            "plates[0].levels[0] must be a level: text or a whole number.",
        ),
        ({"statements": [{"kind": "what"}]}, "statements[0].kind must be one of stochastic, joint, "
         "deterministic, covariate, constant, parameter, covariance."),
        ({"statements": [{"kind": "covariate", "node": 3}]}, "statements[0].node must be text."),
        (
            {"statements": [{"kind": "constant", "node": "c", "value": "x"}]},
            "statements[0].value must be a number.",
        ),
        (
            {"statements": [{"kind": "joint", "nodes": ["a"], "distribution": NORMAL}]},
            "statements[0].nodes must be a list of two or more names.",
        ),
        (
            {"statements": [{"kind": "deterministic", "node": "x", "expression": POWER}]},
            "statements[0].expression.operator must be one of + - * / ** == != < <= > >=.",
        ),
        (
            {"statements": [{"kind": "deterministic", "node": "x", "expression": True}]},
            "statements[0].expression must be a number.",
        ),
        ({"model": 3}, "model must be text."),
        ({"data": 3}, "data must be text."),
        ({"more": 3}, "The field 'more' is not known."),
        ({"dagmodels": 2}, "The model is in version 2 of the JSON form; this reads version 1."),
    ],
)  # fmt: skip
def test_fields_are_checked(fields: dict[str, Any], message: str):
    assert faults(model(**fields)) == [message]


def test_all_fields_are_checked_at_once():
    assert len(faults(model(plates=[3, {"plate": "i", "in": "j"}], statements=[{}]))) == 3


def test_static_faults_are_found_too():
    node = {"kind": "deterministic", "node": "x", "expression": {"node": "y"}}
    assert faults(model(statements=[node])) == ["`y` is not declared."]
    odd = {
        "kind": "stochastic",
        "node": "x",
        "distribution": {"family": "Normal", "arguments": {"mu": NORMAL}},
    }
    assert faults(model(statements=[odd])) == ["Normal needs sigma."]


def test_what_is_no_json_is_refused():
    assert faults('{"dagmodels": 1,') == [
        "The text is no JSON: Expecting property name enclosed in double quotes."
    ]
    assert faults("[]") == ["The JSON text holds no model."]
    assert faults('{"dagmodels": NaN}') == ["The text is no model's JSON: NaN must be a finite number."]
    assert faults('{"dagmodels": 1, "dagmodels": 1}') == [
        "The text is no model's JSON: The field 'dagmodels' must be given once."
    ]


def test_numbers_beyond_all_bounds_are_refused():
    huge = model(statements=[{"kind": "deterministic", "node": "x", "expression": 1}])
    assert faults(huge.replace('"expression": 1', '"expression": 1e999')) == ["inf is not a finite number."]
    assert len(faults(huge.replace('"expression": 1', f'"expression": {"9" * 5000}'))) == 1


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused(opening: str):
    text = '{"dagmodels": 1, "model": ' + opening * 100_000
    assert faults(text) == [f"Brackets are nested more than {MAX_DEPTH} deep."]


def test_deep_literals_and_indices_are_refused():
    literal: Any = 1
    index: Any = {"node": "z"}
    for _ in range(200):
        literal, index = [literal], {"node": "z", "index": [index]}
    statements = [
        {"kind": "constant", "node": "c", "value": literal},
        {"kind": "deterministic", "node": "x", "expression": index},
    ]
    assert faults(model(statements=statements)) == [
        "statements[0].value must be nested at most 50 deep.",
        "statements[1].expression must be nested at most 50 deep.",
    ]


def test_deep_trees_are_refused():
    tree: Any = 1
    for _ in range(300):
        tree = {"operator": "-", "operand": tree}
    text = model(statements=[{"kind": "deterministic", "node": "x", "expression": tree}])
    assert faults(text) == ["An expression is nested more than 200 deep."]


def test_the_deepest_text_has_a_json_form():
    dag = read("model m\nx = " + " + ".join(["exp(1)"] * 200) + "\n")
    assert from_json(to_json(dag)) == dag


def test_damaged_json_gives_models_or_model_errors():
    rng = random.Random(7)
    parts = [re.findall(r'"[^"]*"|\w+|\s+|.', to_json(read(p))) for p in MODELS]
    words = [w for p in parts for w in p if w.strip()]
    refused = 0
    for _ in range(150):
        tokens = list(rng.choice(parts))
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(tokens))
            tokens[at : at + rng.randint(0, 1)] = [rng.choice(words)] * rng.randint(0, 1)
        try:
            dag = from_json("".join(tokens))
        except ModelErrors:
            refused += 1
        else:
            assert from_json(to_json(dag)) == dag
    assert 50 < refused < 150
