"""Flat priors that leave the posterior improper."""

from __future__ import annotations

import numpy as np

from dagmodels.analysis.facts import facts


def test_a_flat_unknown_without_data_below(read):
    dag = read("plate r; a, b ~ Flat(); observed y[r] ~ Normal(a, 1); c = 2*b")
    (finding,) = facts(dag).improper
    assert finding.nodes == ("b",)
    assert "no observed node depends on it" in str(finding)


def test_a_node_whose_data_are_all_missing_gives_none(read, bound):
    dag = read("plate r; a ~ Flat(); observed y[r] ~ Normal(a, 1)")
    assert facts(dag).improper == ()
    given = bound(dag, {"y": [1.0, 2.0]})
    assert facts(given).improper == ()


def test_a_flat_scale_needs_three_levels(read, bound):
    dag = read("""
    plate c; plate r in c
    t ~ HalfFlat(); a ~ Flat(); parameter s > 0
    u[c] ~ Normal(a, t)
    observed y[r] ~ Normal(u[c], s)
    """)
    rng = np.random.default_rng(1)

    def found(levels):
        return facts(
            bound(dag, {"c": np.repeat(np.arange(levels), 3), "y": rng.normal(size=3 * levels)})
        ).improper

    (finding,) = found(2)
    assert finding.nodes == ("t", "u")
    assert "only 2 elements" in str(finding)
    assert found(3) == ()
