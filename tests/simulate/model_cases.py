"""Sizes, covariates and parameter values with which each model of the language's page is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dagmodels.graph.dag import Dag
from dagmodels.readers import read

FOLDER = Path(__file__).parent.parent / "models"


@dataclass(frozen=True)
class Case:
    """What `simulate` is given for one model."""

    sizes: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)


def model(name: str) -> Dag:
    """One of the models of the language's page."""
    return read((FOLDER / f"{name}.dag").read_text(encoding="utf-8"))


_rng = np.random.default_rng(8)


def _normal(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape)


CASES: dict[str, Case] = {
    "eight_schools": Case(
        {"school": 8}, {"sigma": [15.0, 10, 16, 11, 9, 11, 10, 18]}, {"mu": 4.0, "tau": 3.0}
    ),
    "radon": Case(
        {"county": 85, "house": 919},
        {"floor": _rng.integers(0, 2, 919), "uranium": _normal(85)},
        {"g0": 1.5, "g1": 0.7, "beta": -0.6, "tau": 0.3, "sigma": 0.7},
    ),
    "rats": Case(
        {"rat": 30},
        {"x": [8.0, 15, 22, 29, 36]},
        {"alpha_c": 240.0, "beta_c": 6.0, "alpha_tau": 0.005, "beta_tau": 4.0, "tau_c": 0.03},
    ),
    "pump": Case(
        {"pump_no": 10},
        {"t": [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]},
        {"alpha": 0.8, "beta": 1.3},
    ),
    "seeds": Case(
        {"dish": 21},
        {
            "n": _rng.integers(4, 80, 21),
            "seed": np.repeat([0, 1], [11, 10]),
            "extract": _rng.integers(0, 2, 21),
        },
        {"a0": -0.5, "a1": 0.1, "a2": 1.3, "a12": -0.8, "tau": 10.0},
    ),
    "salm": Case(
        {"dish": 3},
        {"x": [0.0, 10, 33, 100, 333, 1000]},
        {"alpha_star": 3.5, "beta": 0.3, "gamma": -0.001, "tau": 15.0},
    ),
    "lsat": Case({"student": 200}, None, {"alpha": [-1.2, 0.1, 0.9, -0.4, -1.3], "beta": 0.75}),
    "dugongs": Case(
        {}, {"age": np.linspace(1, 31, 27)}, {"alpha": 2.7, "beta": 1.0, "gamma": 0.86, "tau": 100.0}
    ),
    "stagnant": Case(
        {},
        {"x": np.linspace(-1.4, 1.1, 29)},
        {"k": 15, "alpha": 0.5, "beta": {"before": -0.4, "after": -1.0}, "sigma": 0.1},
    ),
    "alligators": Case(
        {"lake": ["Hancock", "Oklawaha", "Trafford", "George"], "size": ["small", "large"]},
        {"n": [[39, 16], [20, 31], [22, 29], [38, 22]]},
        {
            "alpha": {"invertebrate": -0.5, "reptile": -1.5, "bird": -2.0, "other": -0.8},
            "beta": 0.5,
            "gamma": -0.3,
        },
    ),
    "epil": Case(
        {"subject": 59},
        {
            "base": _rng.integers(6, 100, 59),
            "trt": np.repeat([0, 1], [28, 31]),
            "age": _rng.integers(18, 42, 59),
            "v4": [0, 0, 0, 1],
        },
        {
            "a0": 1.6,
            "a_base": 0.9,
            "a_trt": -0.9,
            "a_bt": 0.3,
            "a_age": 0.5,
            "a_v4": -0.1,
            "sd1": 0.5,
            "sd2": 0.4,
        },
    ),
    "birats": Case(
        {"rat": 30},
        {"x": [8.0, 15, 22, 29, 36]},
        {"mu": [107.0, 6.2], "omega": [[0.01, -0.02], [-0.02, 4.0]], "tau_c": 0.03},
    ),
    "cfa3": Case(
        {"pupil": 301},
        None,
        {
            **{f"nu{i}": float(i) for i in range(1, 10)},
            **dict.fromkeys(("l2", "l3", "l5", "l6", "l8", "l9"), 0.8),
            **{f"e{i}": 0.5 + 0.1 * i for i in range(1, 10)},
            "s_v": 0.9,
            "s_t": 1.0,
            "s_s": 0.6,
            "c_vt": 0.4,
            "c_vs": 0.26,
            "c_ts": 0.17,
            "c_78": 0.3,
        },
    ),
    "mediation": Case(
        {},
        {"x": _normal(100)},
        {"i_m": 0.2, "i_y": -0.5, "a": 0.7, "b": 0.4, "c": 0.1, "s_m": 1.0, "s_y": 0.8},
    ),
    "growth": Case(
        {"subject": 400},
        {"x1": _normal(400), "x2": _normal(400), "c": _normal(400, 4)},
        {
            "i0": 0.6,
            "i1": 0.6,
            "i2": 0.5,
            "s0": 1.0,
            "s1": 0.25,
            "s2": 0.5,
            "gamma": [0.1, 0.3, 0.2, 0.4],
            "psi_is": 0.1,
            "sd_i": 0.8,
            "sd_s": 0.5,
            "e": [0.7, 0.6, 0.7, 0.5],
        },
    ),
    "equal_loadings": Case(
        {"school": ["Pasteur", "Grant-White"], "pupil": [156, 145]},
        {
            "item": pd.DataFrame(
                {
                    "item": [f"x{i}" for i in range(1, 10)],
                    "factor": np.repeat(["visual", "textual", "speed"], 3),
                }
            )
        },
        {
            "lambda": 0.8,
            "nu": np.arange(18.0).reshape(9, 2),
            "e": 0.7,
            "phi": np.array([np.eye(3) + 0.3, 2 * np.eye(3) + 0.5]),
        },
    ),
    "replicates": Case(
        {"subject": 50, "replicate": 120},
        {"z": _normal(50)},
        {"b0": 0.1, "bx": 1.0, "bz": 0.5, "g0": 0.3, "g1": 0.7, "s_x": 1.0, "s_w": 0.5},
    ),
    "misclassified": Case(
        {},
        {"z": _normal(100)},
        {"b0": 0.1, "bx": 1.0, "bz": 0.5, "g0": 0.3, "g1": 0.7, "sens": 0.9, "spec": 0.8},
    ),
    "gaussian_mixture": Case({"obs": 150}, None, {"w": [0.3, 0.7], "mu": [-1.0, 2.0], "sigma": [0.5, 1.5]}),
    "hmm": Case({"t": 200}, None, {"p": [[0.9, 0.1], [0.3, 0.7]], "mu": [3.0, 10.0]}),
    "local_level": Case({"year": 100}, None, {"level": {0: 1100.0}, "s_level": 38.0, "s_obs": 120.0}),
    "stochastic_volatility": Case({"day": 100}, None, {"mu": -1.0, "phi": 0.95, "s": 0.2}),
    "asia": Case(),
    "sigmoid_belief_net": Case({"image": 50, "pixel": 12}),
    "gp_regression": Case({}, {"x": np.linspace(0, 10, 40)}, {"rho": 2.0, "a": 1.5, "sigma": 0.3}),
    "stepped_wedge": Case(
        {"cluster": 12, "period": 5, "person": 600},
        {"start": [1, 2, 3, 4] * 3},
        {"b": [0.0, 0.1, 0.2, 0.3, 0.4], "theta": 0.8, "s_u": 0.5, "s_v": 0.2},
    ),
}
