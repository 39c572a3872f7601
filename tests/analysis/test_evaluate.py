"""Trees evaluated on bound rows, against sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.evaluate import CannotEvaluate, evaluate, head_rows
from dagmodels.graph.statement import Deterministic

TEXT = """
plate group
plate row in group
plate t ordered
plate arm = "control", "drug"
covariate x[row], z[group], w[t]
covariate given[row] in arm
covariate partner[row] in group
constant effect[arm] = [0.5, 2]
{statement}
observed y[row] ~ Normal(0, 1)
observed v[t] ~ Normal(0, 1)
"""
GROUP = np.array([0, 0, 1, 2, 2, 2])
X = np.array([1.0, 2.0, -1.0, 0.5, 4.0, -3.0])
Z = np.array([10.0, 20.0, 30.0])
W = np.array([3.0, 1.0, 2.0, 5.0])
GIVEN = np.array([0, 1, 1, 0, 1, 0])
PARTNER = np.array([1, 2, 0, 0, 1, 2])
EFFECT = np.array([0.5, 2.0])


@pytest.fixture
def value(read, bound):
    """`value("d[row] = x + z[group]")`: the deterministic node `d` at all its rows."""

    def compute(statement):
        dag = read(TEXT.format(statement=statement))
        labels = np.array(["a", "b", "c"])
        frame = {
            "group": labels[GROUP],
            "x": X,
            "z": Z[GROUP],
            "given": np.array(["control", "drug"])[GIVEN],
            "partner": labels[PARTNER],
            "y": np.zeros(6),
        }
        problem = bound(dag, {"row": frame, "t": {"t": np.arange(4), "w": W, "v": np.zeros(4)}})
        given = {n: v[..., None] for n, v in problem.values.items()}
        result = np.full(problem.shape("d"), np.nan).reshape(-1)
        for part in dag.nodes["d"].statements:
            assert isinstance(part, Deterministic)
            rows, named = head_rows(part.head, problem)
            found = evaluate(part.expression, rows, given, problem)
            result[named] = np.broadcast_to(found, (rows.n, 1))[named, 0]
        return result

    return compute


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("d[row] = x + z[group]", X + Z[GROUP]),
        ("d[row] = -x*2 - 3/z[group]**2", -X * 2 - 3 / Z[GROUP] ** 2),
        ("d[row] = exp(x) + sqrt(abs(x))", np.exp(X) + np.sqrt(np.abs(X))),
        ("d[row] = if_else(x > 1, x, z[group])", np.where(X > 1, X, Z[GROUP])),
        ("d[row] = max(x, 1) + min(x, 0)", np.maximum(X, 1) + np.minimum(X, 0)),
        ('d[row] = given == "drug"', (GIVEN == 1) * 1.0),
        ('d[row] = given != "drug"', (GIVEN != 1) * 1.0),
        ("d[row] = effect[given]", EFFECT[GIVEN]),
        ('d[row] = effect["drug"]*x', EFFECT[1] * X),
        ("d[row] = z[partner]", Z[PARTNER]),
        ("d[group] = sum(x for row)", np.bincount(GROUP, X)),
        ("d[group] = mean(x for row)", np.bincount(GROUP, X) / np.bincount(GROUP)),
        ("d[group] = prod(x for row)", np.array([2.0, -1.0, -6.0])),
        ("d = sum(x*z[group] for row)", np.array([np.sum(X * Z[GROUP])])),
        ("d[t] = w**2", W**2),
        ("d[t first] = w; d[t] = w - w[t-1]", np.array([3.0, -2.0, 1.0, 3.0])),
        ("d[t first 2] = 10*w; d[t] = w[t-2]", np.array([30.0, 10.0, 3.0, 1.0])),
        ('d["drug"] = 7; d[arm] = effect', np.array([0.5, 7.0])),
    ],
)
def test_expressions(value, statement, expected):
    np.testing.assert_allclose(value(statement), expected, rtol=1e-15)


def test_what_is_no_number_a_row_is_refused_with_a_reason(value):
    with pytest.raises(CannotEvaluate, match="no single number"):
        value("d[arm] = softmax(effect)")
