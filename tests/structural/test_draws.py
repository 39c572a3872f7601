"""lavaan's texts drawn from: priors in the graph, lavaan's rows, agreement with maximum likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.graph.statement import Deterministic, Stochastic
from dagmodels.readers.lavaan import read
from dagmodels.structural.priors import informed
from tests.structural.references import data

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
VAGUE = {
    "lambda": "Normal(0, 1000)", "nu": "Normal(0, 1000)", "theta": "Uniform(0, 1000)[var]",
    "psi": "Uniform(0, 1000)[var]",
}  # fmt: skip


@pytest.fixture(scope="module")
def pupils():
    return data("sem_holzinger_cfa")


def faults(action) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return str(caught.value)


def laws(dag) -> dict[str, str]:
    found = {}
    for s in dag.statements:
        if isinstance(s, Stochastic) and not s.head.slots:
            found[s.head.name] = str(s.distribution)
        elif isinstance(s, Deterministic) and not s.head.slots:
            found[s.head.name] = str(s.expression)
    return found


def test_defaults_are_blavaans_and_told():
    made = informed(read(FACTORS + "\nvisual ~~ 0*speed", model_type="cfa", meanstructure=True))
    found = laws(made.dag)
    assert found["visual=~x2"] == "Normal(0, 10)"
    assert found["x1~1"] == "Normal(0, 32)"
    assert found["sd(x1)"] == found["sd(visual)"] == "Gamma(1, 0.5)"
    assert found["x1~~x1"] == "`sd(x1)`**2"
    assert found["cor(visual,textual)"] == "Uniform(-1, 1)"
    scale = "sqrt(`visual~~visual`*`textual~~textual`)"
    assert found["visual~~textual"] == f"`cor(visual,textual)`*{scale}"
    assert "cor(visual,speed)" not in found
    assert "Normal(0, 10) for loadings" in made.told
    assert "Uniform(-1, 1)[cor] for covariances" in made.told


def test_priors_by_kind_label_and_name():
    text = "f =~ x1 + a*x2 + x3 + x4\nx1 ~~ x2\nx3 ~~ c*x4\nx1 ~~ c*x4\na > 0"
    given = {"lambda": "Normal(1, 2)", "x1~~x1": "InverseGamma(2, 1)[var]", "f=~x3": "Normal(0, 5)"}
    made = informed(read(text, model_type="cfa"), given)
    found = laws(made.dag)
    assert found["a"] == "Truncated(Normal(1, 2), lower=0)"
    assert found["f=~x3"] == "Normal(0, 5)"
    assert found["f=~x4"] == "Normal(1, 2)"
    assert found["x1~~x1"] == "InverseGamma(2, 1)"
    assert found["x1~~x2"] == "`cor(x1,x2)`*sqrt(`x1~~x1`*`x2~~x2`)"
    assert found["c"] == "Normal(0, 10)"  # of two covariances: it has no one correlation
    assert "Normal(0, 5) for 'f=~x3'" in made.told


def test_priors_by_group_lie_on_its_plate():
    made = informed(read(FACTORS, model_type="cfa", groups=("a", "b"), std_lv=True))
    by_name = {s.head.name: s for s in made.dag.statements if isinstance(s, Stochastic)}
    assert [s.plate for s in by_name["sd(x1)"].head.slots] == ["group"]
    assert str(by_name["cor(visual,textual)"].distribution) == "Uniform(-1, 1)"
    texts = {s.head.name: str(s.expression) for s in made.dag.statements if isinstance(s, Deterministic)}
    assert texts["visual~~textual"] == "`cor(visual,textual)`[group]"


@pytest.mark.parametrize(
    ("text", "priors", "told"),
    [
        ("f =~ x1 + x2 + x3", {"lamda": "Normal(0, 1)"}, "did you mean 'lambda'"),
        ("f =~ x1 + x2 + x3", {"f=~x9": "Normal(0, 1)"}, "no parameter or kind 'f=~x9'"),
        ("f =~ x1 + x2 + x3", {"lambda": 3}, "the prior of 'lambda' is 3"),
        ("f =~ x1 + x2 + x3", {"lambda": "Nrmal(0, 1)"}, "is no law"),
        ("f =~ x1 + x2 + x3", {"lambda": "Gamma(1, 1)[sd]"}, "that of a sd"),
        ("f =~ x1 + x2 + x3", {"theta": "Normal(0, 1)[cor]"}, "take [sd] or [var]"),
        ("f =~ x1 + a*x2 + x3\nx1 ~~ a*x1", {}, "one parameter of several kinds"),
        ("f =~ x1 + x2 + x3\nx1 ~~ v*x1\nv > 0.1", {}, "has bounds, and its prior is that of its sd"),
        ("f =~ x1 + a*x2 + b*x3\na*b == 1", {}, "cannot keep the constraint"),
        ("x1 | t1\nf =~ x1 + x2 + x3", {}, "'x1' are ordered"),
        ("level: 1\nf =~ x1 + x2 + x3\nlevel: 2\nx1 ~~ x2 + x3\nx2 ~~ x3", {}, "two levels"),
    ],
)
def test_what_cannot_have_priors_is_told(text, priors, told):
    assert told in faults(lambda: informed(read(text, model_type="cfa"), priors))


def test_what_draws_do_not_take_is_told(pupils):
    assert "no likelihood to draw from" in faults(
        lambda: dm.cfa(FACTORS, pupils, method="gibbs", estimator="MLR")
    )
    cov = pupils.iloc[:, -9:].cov()
    assert "draws need the rows" in faults(
        lambda: dm.cfa(FACTORS, sample_cov=cov, sample_nobs=301, method="gibbs")
    )
    assert "identification" in faults(lambda: dm.cfa("f =~ x1 + x2", pupils, method="gibbs"))
    assert "bootstraps" in faults(lambda: dm.cfa(FACTORS, pupils, method="gibbs", se="bootstrap"))


def simulated(n=3000):
    rng = np.random.default_rng(1)
    f = rng.normal(size=(n, 1))
    y = 0.5 + f * np.array([1.0, 0.8, 0.9, 0.7]) + np.sqrt(0.5) * rng.normal(size=(n, 4))
    return pd.DataFrame(y, columns=["y1", "y2", "y3", "y4"])


def test_posteriors_under_vague_priors_are_maximum_likelihood_in_many_rows():
    """Means within 0.25 standard errors (Monte Carlo error, at most 0.05 of them four times, and O(1/n)),
    deviations within 12 %, of 12 parameters and a product."""
    frame, text = simulated(), "f =~ y1 + a*y2 + b*y3 + y4\nab := a*b"
    drawn = dm.cfa(text, frame, method="gibbs", draws=700, warmup=150, priors=VAGUE, monitor=())
    fit = dm.cfa(text, frame, meanstructure=True)
    ours, theirs = (t.estimates.set_index("name") for t in (drawn, fit))
    assert drawn.converged, drawn.message
    for name, row in theirs.iterrows():
        if row["se"] > 0 and name in ours.index:
            assert abs(ours.loc[name, "estimate"] - row["estimate"]) < 0.25 * row["se"], name
            assert ours.loc[name, "se"] == pytest.approx(row["se"], rel=0.12), name
    a, b = drawn.row_draws("a"), drawn.row_draws("b")
    np.testing.assert_allclose(drawn.row_draws("ab"), a * b, rtol=1e-12)


@pytest.fixture(scope="module")
def drawn(pupils):
    text = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\ntextual ~ b*visual"
    return dm.sem(
        text, pupils.head(120), method="gibbs", draws=150, warmup=100, chains=2, std_lv=True, seed=4
    )


def test_the_table_has_lavaans_rows(drawn, pupils):
    text = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\ntextual ~ b*visual"
    fit = dm.sem(text, pupils.head(120), std_lv=True)
    rows = ["lhs", "op", "rhs", "label"]
    pd.testing.assert_frame_equal(drawn.estimates[rows], fit.estimates[rows])
    fixed = drawn.estimates["what"] == "fixed"
    assert (drawn.estimates.loc[fixed, "se"] == 0).all()
    assert drawn["visual=~x2"] == pytest.approx(drawn.row_draws("visual=~x2").mean())
    assert "prior: Normal(0, 10) for loadings, regressions" in drawn.summary()
    assert drawn.latents["name"].str.startswith(("visual[", "textual[")).all()
    with pytest.raises(dm.DagmodelsError, match="no draws of 'visual~~visual'"):
        drawn.row_draws("visual~~visual")


def test_latent_variables_keep_one_sign(drawn):
    """All loadings of a scale are positive here, so turned draws have none on the other side."""
    told = str(drawn.plan)
    assert "'visual' is not told from its negative" in told
    assert (drawn.row_draws("textual=~x5") > 0).all()
    scores = drawn.samples["textual"].mean(axis=(0, 1))
    means = data("sem_holzinger_cfa").head(120)[["x4", "x5", "x6"]].mean(axis=1)
    assert np.corrcoef(scores, means)[0, 1] > 0.9


def test_more_draws_go_on(drawn):
    longer = drawn.extend(50)
    assert longer.samples.draws == 200
    assert list(longer.estimates["lhs"]) == list(drawn.estimates["lhs"])
    np.testing.assert_array_equal(longer.row_draws("b")[:, :150], drawn.row_draws("b"))


def test_data_given_later_draw_too(pupils):
    model = dm.read("f =~ x1 + x2 + x3", format="lavaan", model_type="cfa")
    fit = model.fit_quietly(pupils.head(80), "gibbs", draws=40, warmup=40, chains=1, monitor="f")
    assert list(fit.estimates["lhs"][:3]) == ["f", "f", "f"]
    assert fit.samples["f"].shape == (1, 40, 80)


@pytest.mark.long
def test_political_democracy_and_holzinger_are_near_maximum_likelihood(pupils):
    """75 and 301 rows: means within 0.6 standard errors, deviations within 40 % (priors and skewness)."""
    from tests.structural.references import text as text_of

    democracy = data("sem_political_democracy_sem")
    cases = [(dm.sem, text_of("sem_political_democracy_sem", "main"), democracy), (dm.cfa, FACTORS, pupils)]
    for verb, text, frame in cases:
        drawn, fit = verb(text, frame, method="gibbs", draws=1000), verb(text, frame)
        assert drawn.converged, drawn.message
        free = fit.estimates["se"] > 0
        z = (drawn.estimates["estimate"] - fit.estimates["estimate"])[free] / fit.estimates["se"][free]
        assert z.abs().max() < 0.75
        assert (drawn.estimates["se"] / fit.estimates["se"])[free].between(0.8, 1.8).all()
