"""Two levels: parts of clusters are latent nodes on their plate."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.readers.lavaan.provenance import Held
from dagmodels.writers.lavaan import dag_to_lavaan, table_to_lavaan
from tests.readers.lavaan.cases import checked, refused

FACTORS = """
level: within
  f =~ y1 + y2 + y3
  y1 ~ b*y2 + z
level: between
  f =~ y1 + y2 + y3
  f ~ w
  y1 ~~ 0*y1
"""


def test_the_graph_of_two_levels():
    reading = checked(FACTORS, cluster="school", auto_fix_single=False)
    text = str(reading.dag).splitlines()
    assert text[1:3] == ["plate school", "plate row in school"]
    for line in (
        "covariate z[row]",
        "covariate w[school]",
        "f.between[school] ~ Normal(`f~w.l2`*w, sqrt(`f~~f.l2`))",
        "f[row] ~ Normal(0, sqrt(`f~~f`))",
        "y1.between[school] = `y1~1.l2` + f.between",
        "y2.between[school] ~ Normal(`y2~1.l2` + `f=~y2.l2`*f.between, sqrt(`y2~~y2.l2`))",
        "observed y1[row] ~ Normal(y1.between[school] + f + b*(y2 - y2.between[school]) + `y1~z`*z, "
        "sqrt(`y1~~y1`))",
        "observed y2[row] ~ Normal(y2.between[school] + `f=~y2`*f, sqrt(`y2~~y2`))",
    ):
        assert line in text
    provenance = reading.provenance
    assert provenance.cluster == "school"
    assert provenance.between == {n: f"{n}.between" for n in ("f", "y1", "y2", "y3")}
    rows = dict(zip(((r.name, r.level) for r in reading.table), provenance.rows, strict=True))
    assert rows["f=~y2", 1] == Held("f=~y2")
    assert rows["f=~y2", 2] == Held("f=~y2.l2")
    assert rows["y1~1", 1] == Held(value=0.0)
    assert rows["y1~1", 2] == Held("y1~1.l2")


def test_a_random_intercept_is_the_mixed_model():
    """The likelihood of lavaan's text is that of lmer's formula, to all digits of both optima."""
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(30), rng.integers(3, 9, 30))
    n = cluster.size
    x, w = rng.normal(size=n), rng.normal(size=30)[cluster]
    y = 1 + 0.5 * x + 0.7 * w + rng.normal(size=30)[cluster] + rng.normal(size=n)
    data = {"cluster": cluster, "x": x, "w": w, "y": y}
    mixed = dm.lmer("y ~ x + w + (1 | cluster)", data, REML=False)
    reading = checked("level: 1\ny ~ x\nlevel: 2\ny ~ w")
    fit = dm.read(str(reading.dag)).fit(data)
    assert fit.log_likelihood == pytest.approx(mixed.log_likelihood, rel=1e-9)


def test_groups_of_clusters():
    blocks = "level: 1\ny ~ x\nlevel: 2\ny ~ a*w"
    reading = checked(f"group: 1\n{blocks}\ngroup: 2\n{blocks}", groups=["p", "q"], cluster="class")
    text = str(reading.dag).splitlines()
    assert text[1:4] == ['plate group = "p", "q"', "plate class in group", "plate row in class"]
    assert "observed y[row] ~ Normal(y.between[class] + `y~x`[group]*x, sqrt(`y~~y`[group]))" in text
    assert "y.between[class] ~ Normal(`y~1.l2`[group] + a*w, sqrt(`y~~y.l2`[group]))" in text


def test_modelled_covariates_have_two_levels():
    reading = checked("level: 1\ny ~ b1*x\nlevel: 2\ny ~ b2*x\nd := b2 - b1", fixed_x=False)
    text = str(reading.dag)
    assert "y.between[cluster] ~ Normal(`y~1.l2` + b2*x.between, sqrt(`y~~y.l2`))" in text
    assert "b1*(x - x.between[cluster])" in text
    assert "d = b2 - b1" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("level: 1\ny ~ x\nlevel: 2\ny ~ x", "'x' is exogenous at both levels"),
        ("level: 1\nf =~ y1 + y2\ny1 ~~ 0*y1\nlevel: 2\ny1 ~~ y1\ny2 ~~ y2", "no residual variance within"),
        ("level: 1\ny ~ z\nz ~ y + x\nlevel: 2\ny ~~ y", "'y' has two levels"),
        ("level: 1\ny ~ x\nlevel: 2\ny ~ w\nlevel: 3\ny ~ v", "two levels are read"),
        ("level: 1\ny ~ x\nu | t1\nlevel: 2\ny ~ w", "'u' is ordered"),
        ("level: between\ny ~ x\nlevel: within\ny ~ w", "(or within) first"),
        ("y ~ x\nlevel: 1\ny ~ w\nlevel: 2\ny ~ v", "before the first block"),
    ],
)
def test_what_two_levels_cannot_have(text: str, words: str):
    assert words in refused(text)


@pytest.mark.parametrize("coding", [(), "loadings"])
def test_the_table_comes_back(coding: str):
    reading = checked(FACTORS, effect_coding=coding)
    text = table_to_lavaan(reading.table)
    assert checked(text, model_type="lavaan").dag == reading.dag
    with pytest.raises(dm.ModelErrors):
        dag_to_lavaan(reading.dag)
