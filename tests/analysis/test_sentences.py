"""What `check` says."""

from __future__ import annotations

import numpy as np

from dagmodels.analysis.facts import facts
from dagmodels.analysis.report import report
from dagmodels.analysis.sentences import listed


def test_radon_in_sentences(models):
    assert list(report(facts(models["radon"]))) == [
        "Model 'radon' has 9 nodes on 2 plates.",
        "Observed: 'log_radon'.",
        "Plate 'house' is nested in 'county'.",
        "Gaussian given their parents: 'alpha', 'log_radon', 'g0', 'g1' and 'beta'.",
        "Continuous and not Gaussian: 'tau' and 'sigma'.",
        "Latent, with a law given other unknowns: 'alpha'.",
        "With a proper prior: 'g0', 'g1', 'beta', 'tau' and 'sigma'.",
        "Gaussian given everything else: 'alpha', 'g0', 'g1' and 'beta'.",
    ]


def test_data_in_sentences(models, bound):
    data = {
        "county": ["a", "a", "b", "c"],
        "floor": [0.0, 1.0, 0.0, 0.0],
        "uranium": [0.1, 0.1, 0.2, 0.3],
        "log_radon": [1.0, 2.0, np.nan, 0.5],
        "colour": ["red", "red", "blue", "red"],
    }
    text = str(report(facts(bound(models["radon"], data))))
    assert "Plate 'county' has 3 elements." in text
    assert "Plate 'house' has 4 elements and is nested in 'county'." in text
    assert "'log_radon' has 4 values, 1 of them missing." in text
    assert "The model does not use the column 'colour' of the data." in text


def test_flat_priors_of_all_and_of_some_levels(read):
    text = "plate r; b ~ Flat(); c[r] ~ Flat(); c[r first] = 0; observed y[r] ~ Normal(b + c[r], 1)"
    made = str(report(facts(read(text.replace("plate r", "plate r ordered")))))
    assert "With a flat prior: 'b'." in made
    assert "With a flat prior for some levels: 'c'." in made


def test_what_is_wrong_is_said_last(read):
    made = report(facts(read("plate r; b ~ Flat(); observed y[r] ~ Normal(0, 1)")))
    assert len(made.findings) == 1
    assert list(made)[-1] == (
        "The posterior is improper: 'b' is flat and no observed node depends on it: "
        "give it a proper prior or drop it."
    )


def test_lags_products_and_crossings(models):
    text = str(report(facts(models["stochastic_volatility"])))
    assert "'h' depends on its own earlier elements." in text
    assert "The mean of 'h' multiplies 'mu' and 'phi'." in text
    assert "multiplies 'b' and 'm'" not in str(report(facts(models["mediation"])))  # m is data
    assert "Plates 'rat' and 'week' are crossed in 'y'." in str(report(facts(models["rats"])))


def test_every_model_is_described_in_clear_sentences(models):
    for dag in models.values():
        made = report(facts(dag))
        assert all(s.endswith(".") and s[0] in "'MOPGDCLWTNR" for s in made), list(made)
        assert repr(made) == str(made)
        assert len(made) == len(list(made))


def test_long_lists_end_in_a_count():
    assert listed("a") == "'a'"
    assert listed("ab") == "'a' and 'b'"
    assert listed([f"n{i}" for i in range(15)]).endswith("'n11' and 3 more")
