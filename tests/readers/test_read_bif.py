"""BIF texts: what they mean, what is said of malformed ones, and that no text does worse than that."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.graph.build import build
from dagmodels.readers.bif import from_bif
from dagmodels.writers.bif import to_bif

from ..networks import random_network

BN = Path(__file__).parents[1] / "references" / "bn"
FILES = sorted(BN.glob("*.bif"))
SMALL = """network pets { property author = "Smith; Jones"; }
// a comment with a quotation mark "
variable weight { type discrete [ 3 ] { <5, 12+, 1-3_Days }; property position = (1, 2); }
variable "big dog" { type discrete [2] { yes no } ; } /* no comma,
two lines */
probability ( weight ) { table 0.2, 0.3 0.5; }
probability ( "big dog" | weight ) { (<5) 0.1, 0.9; (12+) 0.8 0.2; default 0.5 0.5; }
"""


def told(read: str | Callable[[], object]) -> list[str]:
    """All that is complained of."""
    with pytest.raises(dm.ModelErrors) as caught:
        from_bif(read) if isinstance(read, str) else read()
    return [str(e) for e in caught.value.exceptions]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_networks_are_what_the_language_would_make_of_them(path: Path):
    dag = dm.read(path).dag
    assert build(dag.name, dag.plates, dag.statements) == dag
    assert dm.read(str(dag)) == dag
    assert from_bif(to_bif(dag)) == dag
    assert to_bif(from_bif(to_bif(dag))) == to_bif(dag)
    assert dm.read(path.read_text()) == dag  # the text begins as BIF does


def test_names_states_comments_and_default_rows():
    g = dm.read(SMALL, format="bif")
    assert g.dag.plate["weight_states"].levels == ("<5", "12+", "1-3_Days")
    assert g.query({"weight": "12+"})["big dog"] == {"yes": pytest.approx(0.8), "no": pytest.approx(0.2)}
    assert g.query({"weight": "1-3_Days"})["big dog"]["yes"] == 0.5
    assert from_bif(g.to_bif()) == g.dag
    assert [s.place.line for s in g.dag.statements] == [6, 7]


def test_a_whole_table_has_the_own_states_slowest():
    """As the format's own example has it: light-on given family-out is 0.6, 0.05."""
    g = dm.read(
        """network d { }
        variable f { type discrete [ 2 ] { true, false }; }
        variable l { type discrete [ 2 ] { true, false }; }
        probability ( f ) { table 0.15 0.85; }
        probability ( l f ) { table 0.6 0.05 0.4 0.95; }
        """
    )
    assert g.query({"f": "true"})["l"]["true"] == pytest.approx(0.6)
    assert g.query({"f": "false"})["l"]["true"] == pytest.approx(0.05)


def network(table: str = "0.2, 0.8", rows: str = "(a) 0.3, 0.7; (b) 0.4, 0.6;") -> str:
    return f"""network n {{ }}
variable x {{ type discrete [ 2 ] {{ a, b }}; }}
variable y {{ type discrete [ 2 ] {{ a, b }}; }}
probability ( x ) {{ table {table}; }}
probability ( y | x ) {{ {rows} }}
"""


def test_sums_that_are_nearly_one():
    exact = from_bif(network())
    assert [s.note for s in exact.statements] == ["", ""]
    near = from_bif(network(rows="(a) 0.3, 0.7000001; (b) 0.4, 0.6;"))
    assert near.nodes["y"].statements[0].note == "rows divided by their sums, which were off by up to 1e-07"
    assert dm.Graph.of(near).query({"x": "a"})["y"]["a"] == pytest.approx(0.3 / 1.0000001, rel=1e-14)
    assert from_bif(to_bif(near)) == near
    with pytest.warns(dm.FitWarning, match=r"line 5: The row \(b\) of `y` sums to 1.0001; it is divided"):
        from_bif(network(rows="(a) 0.3, 0.7; (b) 0.4, 0.6001;"))
    (only,) = told(network(rows="(a) 0.3, 0.7; (b) 0.4, 0.65;"))
    assert only.startswith("line 5, column 39: The row (b) of `y` sums to 1.05, not to 1.")


MALFORMED = {
    "nothing": ("", ["line 1, column 1: The text has no `network` block."]),
    "open block": ("network n {", ["line 1, column 12: The text ends within a block. (close it with `}`)"]),
    "no block": ("network n { } x", ["line 1, column 15: `x` begins no block."]),
    "three for two": (
        network("0.2, 0.8, 0.1"),
        ["line 4, column 21: The table of `x` has 3 numbers, not 2."],
    ),
    "letter": (network("0.2, o.8"), ["line 4, column 32: `o.8` is no number."]),
    "nan": (network("nan, 0.8"), ["line 4, column 21: The row of `x` has nan, which is no probability."]),
    "underscore": (network("1_0, 0.8"), ["line 4, column 27: `1_0` is no number."]),
    "negative": (network("-0.2, 1.2"), ["line 4, column 21: The row of `x` has -0.2, which is no"]),
    "row lacks": (network(rows="(a) 1, 0;"), ["line 5, column 15: `y` has no row for (b)."]),
    "state": (network(rows="(a) 1, 0; (c) 1, 0;"), ["line 5, column 36: `c` in a row of `y` is no state of"]),
    "twice": (network(rows="(a) 1, 0; (a) 1, 0; (b) 1, 0;"), ["line 5, column 35: The row (a) of `y` is"]),
    "two states": (
        network(rows="(a, b) 1, 0;"),
        ["line 5, column 25: A row of `y` names 2 states; it has 1"],
    ),
    "bracket": (network(rows="(a) 1, 0; (b 1, 0;"), ["line 5, column 35: After `(` there is no `)`."]),
    "semicolon": (network(rows="(a) 1, 0; (b) 1, 0"), ["line 5, column 39: After `1` there is no `;`."]),
    "count": (network().replace("[ 2 ]", "[ 3 ]", 1), ["line 2, column 30: `x` has 2 states, not 3."]),
    "same states": (
        network().replace("{ a, b }", "{ a, a }", 1),
        ["line 2, column 10: `x` has the state `a`"],
    ),
    "type": (network().replace("discrete", "continuous", 1), ["line 2, column 19: `x` has the type"]),
    "declared twice": (
        network().replace("le y", "le x"),
        ["line 3, column 10: `x` is declared twice.", "`y`"],
    ),
    "undeclared": (
        network().replace("( x )", "( z )"),
        ["`x` has no probability block.", "`z` is no variable"],
    ),
    "loop": (network("1, 0").replace("( x ) { table", "( x | y ) { default"), ["a loop: x <- y <- x"]),
    "own parent": (network().replace("y | x", "y | y"), ["`y` stands twice in the head of a probability"]),
}


@pytest.mark.parametrize(("text", "messages"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_texts_are_told_with_their_place(text: str, messages: list[str]):
    found = told(text)
    for message in messages:
        assert any(message in f for f in found), found


def test_a_file_is_named_in_its_faults(tmp_path: Path):
    path = tmp_path / "net.bif"
    path.write_text(network(rows="(a) 0.3, 0.7; (b) 0.4, 0.65;"))
    (only,) = told(lambda: dm.read(path))
    assert "net.bif:5:39: The row (b) of `y` sums to 1.05" in only


def test_random_damage_is_read_or_refused_and_nothing_else():
    """3000 texts with pieces cut out, doubled, swapped or replaced."""
    rng = random.Random(20240611)
    sources = [SMALL, (BN / "asia.bif").read_text(), network()]
    pieces = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        ",",
        "|",
        '"',
        "//",
        "/*",
        "0.5",
        "1e999",
        "-1",
        "yes",
        "`",
        "\0",
    ]
    read = refused = 0
    for _ in range(3000):
        text = rng.choice(sources)
        for _ in range(rng.randint(1, 3)):
            i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
            j = min(j, i + rng.randint(0, 30))
            match rng.randrange(4):
                case 0:
                    text = text[:i] + text[j:]
                case 1:
                    text = text[:j] + text[i:j] + text[j:]
                case 2:
                    text = text[:i] + rng.choice(pieces) + text[i:]
                case _:
                    text = text[:i] + rng.choice(pieces) + text[j:]
        try:
            dag = from_bif(text)
        except dm.ModelErrors:
            refused += 1
        else:
            read += 1
            assert build(dag.name, dag.plates, dag.statements) == dag
    assert read > 100
    assert refused > 1000


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_round_trip(seed: int):
    g = random_network(np.random.default_rng([77, seed]), 6)
    assert dm.read(g.to_bif()) == g


def test_what_bif_cannot_say_is_refused():
    g = dm.read('model m\nplate s = "a\\"b", "c"\nx in s ~ Table([0.5, 0.5])')
    assert "cannot be written in BIF" in told(g.to_bif)[0]
