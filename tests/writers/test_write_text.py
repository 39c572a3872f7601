"""The canonical text and the JSON form, as they look."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dagmodels.graph import parsing
from dagmodels.graph.dag import Remarks
from dagmodels.graph.printing import distribution_text, expression_text, statement_text
from dagmodels.readers import read
from dagmodels.writers import to_json, to_text

TEXT = """model canon
data "my file.csv"
plate i  # rows
plate k = 1..2
plate k2 as k
plate level = -5, 0, "z"
plate j in i, k ordered

covariate x[i], x1[i]  # both
covariate z[i] in level
constant v[k, k2] = [[1, -2], [0.5, 1e-9]]
constant half = 0.5
parameter a, b > 0 start 2
parameter lo < 0
parameter p in (0, 1)
parameter w[k] simplex
parameter S[k, k2] covariance
y[i], y3[i] ~ Normal(a + b*x, tau=half)  # a note
observed u[i], t[i] ~ StudentT(4, x, 1)
(e, f)[i] ~ MvNormal(0, [[1, half], [half, 1]])
y ~~ y3 = 0.1*a
g[j first 2] ~ Flat()
g[j] ~ Normal(g[j-2], 1)
h[k] ~ Ordered(Normal(0, 1))
c[i] in k ~ Categorical(w[k])
m[i] = -(a + b)*h[c]**2/(x - 1) + sum(w[k]*h[k] for k)
q["z"] = 1
r = 1
q[level] ~ Truncated(Normal(0, 1), lower=0, upper=Phi(2))
"""


def test_the_canonical_text_of_a_model():
    assert to_text(read(TEXT)) == TEXT


def test_normalisation():
    loose = """# a comment
model canon
y~Normal ( (a)+((b*x[i])), sigma = 1e-06 )   #    two   blanks
covariate x[i]
x2[i] = x[i]
plate i
parameter a
parameter b"""
    strict = """# a comment
model canon
plate i

y ~ Normal(a + b*sum(x[i] for i), 1e-6)  # two blanks
"""
    text = loose.replace("b*x[i]", "b*sum(x for i)")
    assert to_text(read(text)).startswith(strict)
    assert to_text(read(text)).endswith("x2[i] = x\nparameter a, b\n")


@pytest.mark.parametrize(
    "text",
    ["a - (b - c)", "a - b - c", "a/(b*c)", "a/b/c", "(a + b)*c", "-(a + b)", "-a**2", "(-a)**2", "a**-b"]
    + ["(a**b)**c", "a**b**c", "a*-b", "--a", "-(a*b)", "(a == b) + 1", "a + b == c*2", "(a < b) < c"]
    + [
        "exp(a + b)",
        "sum(a + b for i, j)",
        "x[i-1]",
        'x["a b", -2]',
        "mu[z[i-1], k]",
        "[a, [b, 1]]",
        "`a b` + 1",
    ],
)
def test_least_parentheses(text: str):
    assert expression_text(parsing.expression(text)) == text
    assert expression_text(parsing.expression(f"(({text}))")) == text


@pytest.mark.parametrize("number", ["0", "22", "0.1", "1e-6", "1e22", "123456789.125", "2.5e-300", "1e300"])
def test_numbers_are_exact(number: str):
    assert expression_text(parsing.expression(number)) == number


def test_brackets_are_dropped_where_plates_equal_the_heads():
    dag = read("model m\nplate t\nplate h as t\ncovariate s[t], v[t, h]\ny[h] ~ Normal(s[h], 1)\nx[t] = s\n")
    y, x = dag.nodes["y"].statements[0], dag.nodes["x"].statements[0]
    plates_of = {n: node.plates for n, node in dag.nodes.items()}
    assert statement_text(y, plates_of) == "y[h] ~ Normal(s[h], 1)"  # bare s means s[t]
    assert statement_text(x, plates_of) == "x[t] = s"
    assert statement_text(y) == "y[h] ~ Normal(s, 1)"  # for pictures: the nodes' own plates are not known
    assert distribution_text(y.distribution, (), plates_of) == "Normal(s[h], 1)"


def test_long_lists_go_on_in_new_lines():
    names = ", ".join(f"parameter_{i}" for i in range(30))
    text = to_text(read(f"model m\nparameter {names}\n"))
    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert sum(line.startswith("parameter ") for line in lines) > 1
    assert read(text) == read(f"model m\nparameter {names}\n")


def test_long_tables_have_a_row_a_line():
    keys = [(a, b) for a in range(1, 5) for b in range(1, 5)]
    rows = ", ".join(f"{key}: [0.25, 0.25, 0.25, 0.25]" for key in keys)
    text = f"model m\nplate s = 1..4\na, b in s ~ Table([1, 0, 0, 0])\nc in s ~ Table(a, b, {{{rows}}})\n"
    dag = read(text.replace("a, b in s", "a in s, b in s"))
    printed = to_text(dag)
    assert "c in s ~ Table(a, b, {\n    (1, 1): [0.25, 0.25, 0.25, 0.25],\n" in printed
    assert read(printed) == dag


def test_json_is_one_object_with_a_version():
    dag = read("model m\nplate i = 1..2\nx[i] = 2*(i == 1)  # note\n")
    assert json.loads(to_json(dag)) == {
        "dagmodels": 1,
        "model": "m",
        "plates": [{"plate": "i", "levels": [1, 2]}],
        "statements": [
            {
                "kind": "deterministic",
                "node": "x",
                "slots": [{"plate": "i"}],
                "note": "note",
                "expression": {
                    "operator": "*",
                    "left": 2,
                    "right": {"operator": "==", "left": {"node": "i"}, "right": 1},
                },
            }
        ],
    }


REMARKED = """# Radon in homes.
#
# Second paragraph: "quoted", with # in it
model canon  # what it is
data "a.csv"  # where it comes from
plate i

y[i] ~ Normal(0, 1)
"""


def test_comments_of_the_first_lines_are_kept():
    from dagmodels.readers.json import from_json

    dag = read(REMARKED)
    assert to_text(dag) == REMARKED
    assert to_text(from_json(to_json(dag))) == REMARKED
    bare = "\n".join(line.partition("  #")[0] for line in REMARKED.split("\n") if line[:1] != "#")
    assert read(bare) == dag
    assert hash(read(bare)) == hash(dag)


def test_comments_stay_comments():
    """Whatever line ends stand in them (a JSON text may hold any)."""
    dag = read("model m\nplate i\n")
    strange = replace(dag, remarks=Remarks("a\rplate z\n\u2028plate y\n", "b\nplate x", "c"))
    assert read(to_text(strange)) == dag
    assert to_text(read("\n\n# a\n\n# b\nmodel m\n")) == "# a\nmodel m\n"


def test_a_model_that_is_changed_keeps_its_comments():
    import dagmodels as dm

    g = dm.read(REMARKED)
    g.parameter("b")
    assert str(g).startswith("# Radon in homes.\n#\n")
    assert "model canon  # what it is" in str(g.copy())
