"""What is wrong is told all at once, each with its line, its column, a mark below it and what to try."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

import dagmodels as dm
from dagmodels.readers.bugs import read
from tests.readers.bugs.cases import CASES
from tests.readers.bugs.classic import CLASSIC

SLIPS: tuple[tuple[str, Any, int, int, str, str], ...] = (
    ("model {\n  x ~ dnorm(0, 1\n  y <- 3\n}", None, 3, 3, "')' is missing", "write )"),
    ("model {\n  x ~ dnrom(0, 1)\n}", None, 2, 7, "'dnrom'", "did you mean 'dnorm'"),
    ("model {\n  x ~ dnorm(0)\n}", None, 2, 7, "dnorm takes 2 arguments, not 1", "dnorm(mu, tau)"),
    ("model {\n  x ~ dsample(p, 2)\n}", None, 2, 7, "'dsample'", "dcat"),
    (
        "model {\n  y ~ dnorm(mu, 1)\n}",
        {"y": 1},
        2,
        13,
        "'mu' is neither defined nor in the data",
        "define it",
    ),
    ("model {\n  x ~ dnorm(0, 1)\n  x <- 2\n}", {}, 3, 3, "'x' is defined twice", "leave one"),
    (
        "model {\n  for (i in 1:N) {\n    x ~ dnorm(0, 1)\n  }\n}",
        {"N": 3},
        3,
        5,
        "once for each i",
        "index it",
    ),
    (
        "model {\n  for (i in 1:N {\n    x[i] ~ dnorm(0, 1)\n  }\n}",
        {"N": 3},
        2,
        17,
        "')' is missing",
        "before '{'",
    ),
    (
        "model {\n  for (i in 1:3) { x[i] ~ dnorm(0, 1) }\n  y <- x[4]\n}",
        {},
        3,
        10,
        "'x' has 3 elements",
        "count from 1",
    ),
    (
        "model {\n  y ~ dnorm(mean(x), 1)\n  x ~ dnorm(0, 1)\n}",
        {"y": 1},
        2,
        13,
        "mean takes one vector",
        "mean(x[])",
    ),
    (
        "model {\n  x <- bezier(2, a[], b[])\n}",
        {"a": [1, 2], "b": [1, 2]},
        2,
        8,
        "'bezier'",
        "known:",
    ),
    (
        "model {\n  x ~ dnorm(m, 1) I(0, )\n  m ~ dnorm(0, 1)\n}",
        {"x": 1},
        2,
        19,
        "truncation or censoring",
        "dinterval",
    ),
    ("model {\n  x <- y + 1\n  y <- x\n}", {}, 2, 3, "cycle", "itself"),
    ("model {\n  x <- 2 $ 3\n}", None, 2, 10, "'$' is no part", "spelling"),
    ("/* never closed\nmodel { x ~ dnorm(0, 1) }", None, 1, 1, "comment is not closed", "*/"),
    (
        "model {\n  y[1] ~ dnorm(0, 1)\n  z <- y[1, 2]\n}",
        None,
        3,
        8,
        "'y' has 1 indices elsewhere, 2 here",
        "same",
    ),
    ("model {\n  y ~ dnorm(0, 1)\n  z <- y\n}", {"y": 1, "z": 2}, 3, 3, "'z' is in the data", "leave it out"),
    (
        "model {\n  for (i in 1:2) { for (i in 1:2) { x[i] ~ dpois(1) } }\n}",
        {},
        2,
        20,
        "inside another loop over i",
        "another",
    ),
)


@pytest.mark.parametrize(("text", "data", "line", "column", "message", "hint"), SLIPS)
def test_slips(text: str, data: Any, line: int, column: int, message: str, hint: str) -> None:
    with pytest.raises(dm.ModelErrors) as caught:
        read(text, data)
    told = caught.value.exceptions[0]
    assert isinstance(told, dm.ModelError)
    assert message in told.message
    assert told.hint is not None
    assert hint in told.hint
    assert (told.line, told.column) == (line, column)
    *_, shown, mark = str(told).split("\n")
    assert shown == "      " + text.split("\n")[line - 1]
    assert mark == " " * (6 + column - 1) + "^"


def told(text: str, data: Any) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        read(text, data)
    return str(caught.value)


def test_all_slips_at_once() -> None:
    text = """model {
  x ~ dnorm(0, )
  y ~ dnorm(x 1)
  for (i in 1:3) { z[i] <- 2 * ; w[i] ~ }
  v + 2
}"""
    with pytest.raises(dm.ModelErrors) as caught:
        read(text)
    assert [e.line for e in caught.value.exceptions if isinstance(e, dm.ModelError)] == [2, 3, 4, 4, 5]


def test_meaning_is_checked_all_at_once() -> None:
    text = """model {
  x ~ dnrom(0, 1)
  y ~ dgamma(1)
  z <- loggamma(x)
}"""
    with pytest.raises(dm.ModelErrors) as caught:
        read(text)
    assert [e.line for e in caught.value.exceptions if isinstance(e, dm.ModelError)] == [2, 3, 4]


def test_what_needs_data_says_so() -> None:
    text = "model { for (i in 1:N) { for (j in 1:n[i]) { y[i,j] ~ dnorm(0, 1) } } }"
    assert "needs the data: its bound is n[i]" in told(text, None)


def test_elements_without_relation_are_named() -> None:
    text = "model { for (i in 2:N) { x[i] ~ dnorm(x[i-1], 1) } }"
    assert "'x[1]' is not defined" in told(text, {"N": 4})


@pytest.mark.parametrize("seed", range(8))
def test_damaged_texts_are_refused_in_words(seed: int) -> None:
    """Words of a text left out, doubled or exchanged, data taken away: a graph, or errors of ours."""
    rng = random.Random(seed)
    for _ in range(40):
        case = rng.choice([*CASES, *CLASSIC])
        words = re.findall(r"\s+|[\w.]+|<-|.", case.text)
        for _ in range(rng.randrange(1, 4)):
            at, other = rng.randrange(len(words)), rng.randrange(len(words))
            words[at] = rng.choice(["", words[other], words[at] + words[other]])
        data = {k: v for k, v in case.data.items() if rng.random() < 0.95}
        found = errors("".join(words), data if rng.random() < 0.8 else None, case.inits)
        assert all(isinstance(e, dm.ModelError) and e.message for e in found)


def errors(text: str, data: Any, inits: Any) -> tuple[Exception, ...]:
    try:
        read(text, data, inits)
    except dm.ModelErrors as told:
        return told.exceptions
    return ()
