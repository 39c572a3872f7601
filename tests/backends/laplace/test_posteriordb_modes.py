"""Modes of posteriordb's posteriors against its draws: where a posterior is symmetric its mode is its mean.

Five Monte Carlo errors: one of these comparisons fails in 1e-5 of all sets of draws.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

import dagmodels as dm

POSTERIORDB = Path(__file__).parents[2] / "references" / "posteriordb"
COLUMNS = {"kidiq_momiq": ["mom_iq"], "kidiq_interaction": ["mom_hs", "mom_iq", "both"]}


def stored(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = POSTERIORDB / name
    reference = json.loads((folder / "reference.json").read_text())
    return json.loads((folder / "data.json").read_text()), reference["parameters"]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.filterwarnings("ignore:these are modes")
def test_children(name: str) -> None:
    """Coefficients are t given the data; the mode and the mean of sigma are integrals in one dimension."""
    data, reference = stored(name)
    frame = {"y": np.array(data["kid_score"], dtype=float)}
    frame |= {c: np.array(data[c], dtype=float) for c in COLUMNS[name] if c != "both"}
    if "both" in COLUMNS[name]:
        frame["both"] = frame["mom_hs"] * frame["mom_iq"]
    slopes = [f"b{k + 2}" for k in range(len(COLUMNS[name]))]
    mean = " + ".join(["b1", *(f"{b}*{c}" for b, c in zip(slopes, COLUMNS[name], strict=True))])
    lines = ["model children", "plate child", *(f"covariate {c}[child]" for c in COLUMNS[name])]
    lines += [f"observed y[child] ~ Normal({mean}, sigma)", "sigma ~ HalfCauchy(2.5)"]
    table = dm.read("\n".join([*lines, *(f"{b} ~ Flat()" for b in ["b1", *slopes])])).fit(
        frame, method="laplace"
    )
    found = table.estimates.set_index("name")
    for k, b in enumerate(["b1", *slopes]):
        r = reference[f"beta[{k + 1}]"]
        assert found.estimate[b] == pytest.approx(r["mean"], abs=5 * r["mcse"])
        assert found.se[b] == pytest.approx(r["sd"], rel=0.05)
    x = np.column_stack([np.ones(frame["y"].size), *(frame[c] for c in COLUMNS[name])])
    rss = float(np.linalg.lstsq(x, frame["y"], rcond=None)[1][0])
    free = x.shape[0] - x.shape[1]

    def log(s: float) -> float:
        return -free * np.log(s) - rss / (2 * s**2) - np.log1p((s / 2.5) ** 2)

    mode = minimize_scalar(lambda s: -log(s), bounds=(10, 30), method="bounded", options={"xatol": 1e-9}).x
    assert found.estimate["sigma"] == pytest.approx(mode, rel=1e-6)
    mass, moment = (quad(lambda s, k=k: s**k * np.exp(log(s) - log(mode)), 12, 28)[0] for k in (0, 1))
    assert moment / mass == pytest.approx(reference["sigma"]["mean"], abs=5 * reference["sigma"]["mcse"])


@pytest.mark.filterwarnings("ignore:these are modes")
def test_radon() -> None:
    """Counties' means are nearly symmetric; scales lean to the right, their modes lie below their means.

    Their own uncertainty is not in the counties' standard deviations: up to a tenth."""
    data, reference = stored("radon_mn_partially_pooled")
    text = """model radon
plate county
plate house in county
alpha[county] ~ Normal(mu_alpha, sigma_alpha)
observed y[house] ~ Normal(alpha[county], sigma_y)
mu_alpha ~ Normal(0, 10)
sigma_alpha, sigma_y ~ HalfNormal(1)
"""
    county = [f"c{k:02d}" for k in data["county_idx"]]
    fit = dm.read(text).fit({"y": data["log_radon"], "county": county}, method="laplace")
    found = fit.estimates.set_index("name")
    r = reference["mu_alpha"]
    assert found.estimate["mu_alpha"] == pytest.approx(r["mean"], abs=0.01 * r["sd"] + 5 * r["mcse"])
    for name in ("sigma_alpha", "sigma_y"):
        r = reference[name]
        assert 0 < (r["mean"] - found.estimate[name]) / r["sd"] < 0.2
        assert found.se[name] == pytest.approx(r["sd"], rel=0.05)
    for k, (mean, sd) in enumerate(zip(fit.latents.estimate, fit.latents.sd, strict=True)):
        r = reference[f"alpha[{k + 1}]"]
        assert mean == pytest.approx(r["mean"], abs=0.02 * r["sd"] + 5 * r["mcse"])
        assert sd == pytest.approx(r["sd"], rel=0.1)
