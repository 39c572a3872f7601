"""What the tests do with each model of specs/: how it is drawn from, and what its plan must say.

values : unknowns given to `simulate`; the rest is drawn from priors.
sizes : plates that no data tell; where this is None the model's own data give covariates and levels.
backend : the one that must be chosen; None where none can fit the model yet.
says : a sentence of the plan, or of the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPECS = Path(__file__).parents[2] / "specs"

REML = "exact restricted maximum likelihood (REML)"
ML = "exact maximum likelihood (ML)"
COLLAPSED = "draws from the collapsed posterior"


@dataclass(frozen=True)
class Case:
    """One model of the gallery."""

    says: str
    values: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Any] | None = None
    backend: str | None = "laplace"
    draws: int = 1


CASES = {
    "abilities": Case(
        ML,
        {
            **{f"n{k}": 3.0 for k in range(1, 10)},
            **dict.fromkeys(("l2", "l3", "l5", "l6", "l8", "l9", "s_v", "s_t", "s_s"), 1.0),
            **{f"e{k}": 0.7 for k in range(1, 10)},
            "c_vt": 0.4,
            "c_vs": 0.3,
            "c_ts": 0.2,
        },
        sizes={"pupil": 200},
    ),
    "anova": Case(REML, {"mu": 196.0, "tau": 0.05, "sigma": 0.1}),
    "asia": Case("exact sums over the network: g.query(evidence)", backend="em", draws=50),
    "eight_schools": Case(COLLAPSED, {"mu": 5.0, "tau": 8.0}, backend="gibbs"),
    "growth": Case(
        ML,
        {
            "i0": 0.6,
            "i1": 0.6,
            "i2": 0.6,
            "s0": 1.0,
            "s1": 0.3,
            "s2": 0.5,
            "gamma": [0.1, 0.2, 0.3, 0.3],
            "psi_is": 0.1,
            "sd_i": 1.0,
            "sd_s": 0.5,
            "e": [0.7, 0.7, 0.7, 0.7],
        },
    ),
    "hmm": Case(
        "'z' summed out along 't' by a forward recursion",
        {"p": [[0.9, 0.1], [0.2, 0.8]], "mu": [3.0, 10.0]},
        sizes={"t": 100},
        backend="gibbs",
    ),
    "latent_class": Case("maximum likelihood of the tables, by expectation", backend="em"),
    "local_level": Case(REML, {"level": {1871: 1100.0}, "s_level": 40.0, "s_flow": 120.0}),
    "pastes": Case(REML, {"mu": 60.0, "s_batch": 1.3, "s_cask": 2.9, "sigma": 0.8}),
    "penicillin": Case(REML, {"mu": 23.0, "s_dish": 0.8, "s_sample": 2.0, "sigma": 0.5}),
    "pump": Case(COLLAPSED, {"alpha": 1.0, "beta": 1.0}, backend="gibbs"),
    "radon": Case(REML, {"g0": 1.5, "g1": 0.7, "beta": -0.6, "tau": 0.15, "sigma": 0.7}),
    "radon_bayes": Case(COLLAPSED, backend="gibbs"),
    "radon_slopes": Case(
        REML, {"g0": 1.5, "g1": 0.7, "beta": -0.6, "Sigma": [[0.04, 0.01], [0.01, 0.1]], "sigma": 0.7}
    ),
    "radon_slopes_ml": Case(
        ML, {"g0": 1.5, "g1": 0.7, "beta": -0.6, "s_a": 0.2, "s_b": 0.3, "rho": 0.2, "sigma": 0.7}
    ),
    "rats": Case(
        COLLAPSED,
        {"alpha_c": 242.0, "beta_c": 6.2, "alpha_tau": 0.005, "beta_tau": 4.0, "tau_c": 0.03},
        backend="gibbs",
    ),
    "replicates": Case(
        ML,
        {
            "m1": 1.0,
            "g1": 0.4,
            "m2": 0.5,
            "g2": 0.2,
            "c12": 0.4,
            "b0": 2.0,
            "b1": 1.0,
            "b2": -0.6,
            "b3": 0.5,
            "s1": 1.0,
            "s2": 0.9,
            "e1": 0.6,
            "e2": 0.5,
            "s_y": 0.7,
        },
    ),
    "responders": Case(
        "'k': 2 states, summed element by element",
        {"share": [0.6, 0.4], "slope": [0.1, 1.0], "intercept": [1.5, 1.0], "sigma": 0.6},
        backend="em",
    ),
    "sleepstudy": Case(
        REML, {"b0": 250.0, "b1": 10.0, "Sigma": [[600.0, 10.0], [10.0, 35.0]], "sigma": 25.0}
    ),
}
