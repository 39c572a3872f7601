"""Ordered variables: rows as lavaan's, latent responses in the graph."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.graph import statement as st
from dagmodels.readers.lavaan import read
from dagmodels.readers.lavaan.provenance import Held
from tests.readers.lavaan.cases import checked, refused
from tests.readers.lavaan.moments import implied, settled

ITEMS = {"u1": 2, "u2": 3, "u3": 4}


def test_rows_are_in_lavaans_order():
    """Thresholds, variances, scales, intercepts (lav_partable_flat 0.6)."""
    made = read("f =~ u1 + u2 + u3", model_type="cfa", ordered=ITEMS).table
    assert [r.name for r in made][3:] == [
        *("u1|t1", "u2|t1", "u2|t2", "u3|t1", "u3|t2", "u3|t3"),
        *("u1~~u1", "u2~~u2", "u3~~u3", "f~~f"),
        *("u1~*~u1", "u2~*~u2", "u3~*~u3"),
        *("u1~1", "u2~1", "u3~1", "f~1"),
    ]
    assert made.free == 2 + 6 + 1
    assert [r.value for r in made if r.op == "~*~"] == [1.0] * 3


def test_equal_thresholds_free_scales_and_means():
    options = {"groups": 2, "group_equal": ["loadings", "thresholds"], "ordered": ITEMS}
    made = read("f =~ u1 + u2 + u3", **options).table
    assert [r.lhs for r in made if r.op == "~*~" and r.free] == ["u2", "u3"], "not the binary one"
    assert [r.group for r in made if r.op == "~1" and r.free] == [2]
    theta = read("f =~ u1 + u2 + u3", parameterization="theta", **options).table
    assert [r.name for r in theta if r.op == "~~" and r.lhs[0] == "u" and r.free] == ["u2~~u2", "u3~~u3"]


def test_theta_says_residual_variances():
    text = str(checked("f =~ u1 + u2", ordered={"u1": 2, "u2": 3}, parameterization="theta").dag)
    assert "plate u2_level ordered" in text
    assert "`u2*`[row] ~ Normal(`f=~u2`*f, 1)" in text
    assert (
        "observed u2[row] in u2_level ~ Categorical([`u2*` <= `u2|t1`, "
        "(`u2|t1` < `u2*`)*(`u2*` <= `u2|t2`), `u2*` > `u2|t2`])"
    ) in text


MODELS = [
    "f =~ u1 + u2 + u3",
    "f =~ u1 + y1 + y2\ng =~ u2 + u3 + y3\ng ~ f\nu1 ~~ u2\ny1 ~~ u3",
    "f =~ y1 + y2 + u1\nu2 ~ f + y1\nu3 ~ u2 + f\ny1 ~~ u1",
    "h =~ f + g + k\nf =~ u1 + y1\ng =~ u2 + y2\nk =~ u3 + y3\nu1 ~~ u3",
]


@pytest.mark.parametrize("text", MODELS)
@pytest.mark.parametrize("groups", [1, 2])
def test_delta_gives_responses_their_whole_variance(text: str, groups: int):
    """At random values every response has variance 1/delta**2, whatever the structure."""
    options = {"groups": groups, "group_equal": ["loadings", "thresholds"]} if groups > 1 else {}
    reading = checked(text, ordered=ITEMS, auto_cov_y=False, **options)
    rng = np.random.default_rng(len(text))
    values: dict[tuple[str, str | None], float] = {}
    for s in reading.dag.statements:
        if isinstance(s, st.Parameter):
            for level in reading.table.groups if s.plates else [None]:
                values[s.name, level] = rng.uniform(0.1, 0.3)
    settled(reading.dag, values, "row", reading.table.groups)
    responses = tuple(reading.provenance.responses[u] for u in ITEMS)
    for number, label in enumerate(reading.table.groups, 1):
        _, cov = implied(reading, values, {}, label, responses)
        whole = []
        for u in ITEMS:
            row = reading.table.row(u, "~*~", u, number)
            assert row is not None
            held = reading.provenance.rows[row.id - 1]
            delta = values[held.node, held.level] if held.node else held.value
            whole.append(1 / (delta or math.nan) ** 2)
        np.testing.assert_allclose(np.diag(cov), whole, rtol=1e-9)


def test_data_drawn_from_the_graph_pass_the_thresholds():
    """20,000 rows: shares of levels are those of the Normal. Five standard errors: 1 alarm in 10^6."""
    reading = checked("f =~ u1 + u2 + u3", ordered=ITEMS, std_lv=True)
    cuts = {"u1|t1": 0.3, "u2|t1": -0.5, "u2|t2": 0.8, "u3|t1": -1.0, "u3|t2": 0.0, "u3|t3": 1.0}
    loadings = {"f=~u1": 0.7, "f=~u2": 0.5, "f=~u3": 0.8}
    drawn = dm.read(str(reading.dag)).simulate(
        values={**cuts, **loadings}, sizes={"row": 20000, "u1_level": 2, "u2_level": 3, "u3_level": 4}, seed=3
    )
    frame = drawn.frame if hasattr(drawn, "frame") else drawn["row"]
    for name, levels in ITEMS.items():
        codes = np.asarray(frame[name]).astype(int)
        inner = [cuts[f"{name}|t{k}"] for k in range(1, levels)]
        below = [0.5 * math.erfc(-c / math.sqrt(2)) for c in inner]
        for k, share in enumerate(below, 1):
            error = math.sqrt(share * (1 - share) / 20000)
            assert abs(np.mean(codes < k) - share) < 5 * error


def test_rows_know_where_they_are():
    reading = checked("f =~ u1 + u2 + u3", ordered=ITEMS, groups=["a", "b"])
    rows = dict(zip(((r.name, r.group) for r in reading.table), reading.provenance.rows, strict=True))
    assert rows["u2|t1", 2] == Held("u2|t1", "b")
    assert rows["u2~~u2", 1] == Held("u2~~u2", "a")
    assert rows["u2~*~u2", 1] == Held(value=1.0)


def test_ordered_needs_a_number_of_levels():
    assert "ordered={'u1': 3}" in refused("f =~ u1 + y2 + y3", ordered=["u1"])
    assert "u1 | t1" in refused("f =~ u1 + y2 + y3", ordered="u1")


def test_thresholds_may_be_written():
    reading = checked("f =~ u1 + u2\nu1 | 0*t1 + b*t2 + t3\nu2 | b*t1\nx := b^2")
    assert reading.table.row("u1", "|", "t1").value == 0.0  # type: ignore[union-attr]
    assert "`u1*` <= 0" in str(reading.dag)
    assert reading.provenance.rows[3] == reading.provenance.rows[5] == Held("b")


def test_a_circle_has_no_delta():
    text = "u1 ~ y + x\ny ~ u1 + z\nu1 | t1"
    assert 'parameterization="theta"' in refused(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("f =~ u + y\nf | t1", "'f' has thresholds or a scale, but is latent"),
        ("y ~ u\nu | t1", "'u' has thresholds or a scale, but is exogenous"),
        ("u ~ x\nu | t1\nu ~~ u", "no parameter in the delta parameterization"),
    ],
)
def test_what_cannot_be_ordered(text: str, words: str):
    assert words in refused(text)
