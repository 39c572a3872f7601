"""Models of the reference data sets, written for these tests, and how lme4 names their numbers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCES = Path(__file__).parents[2] / "references"


@cache
def reference(name: str) -> dict[str, Any]:
    return json.loads((REFERENCES / name / "reference.json").read_text())


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCES / name / "data.csv")


RADON_INTERCEPT = """model radon
plate county
plate house in county
covariate floor[house], u[county]
parameter tau, sigma > 0
g0, g1, beta ~ Flat()
alpha[county] ~ Normal(g0 + g1*u, tau)
observed log_radon[house] ~ Normal(alpha[county] + beta*floor, sigma)
"""

RADON_SLOPES = """model radon_slopes
plate county
plate house in county
plate coef = "(Intercept)", "floor"
plate coef2 as coef
covariate floor[house], u[county]
parameter Sigma[coef, coef2] covariance
parameter sigma > 0
g0, g1, g2 ~ Flat()
b[county, coef] ~ MvNormal([g0 + g1*u, g2], Sigma)
observed log_radon[house] ~ Normal(b[county, "(Intercept)"] + b[county, "floor"]*floor, sigma)
"""

SLEEPSTUDY = """model sleepstudy
plate Subject
plate obs in Subject
plate coef = "(Intercept)", "Days"
plate coef2 as coef
covariate Days[obs]
parameter Sigma[coef, coef2] covariance
parameter sigma > 0
mu[coef] ~ Flat()
b[Subject, coef] ~ MvNormal(mu, Sigma)
observed Reaction[obs] ~ Normal(b[Subject, "(Intercept)"] + b[Subject, "Days"]*Days, sigma)
"""

SLEEPSTUDY_TIED = """model sleepstudy_tied
plate Subject
plate obs in Subject
covariate Days[obs]
parameter s_a, s_b, sigma > 0
parameter c
mu_a, mu_b ~ Flat()
a[Subject] ~ Normal(mu_a, s_a)
b[Subject] ~ Normal(mu_b, s_b)
a ~~ b = c
observed Reaction[obs] ~ Normal(a[Subject] + b[Subject]*Days, sigma)
"""

SLEEPSTUDY_ZEROCORR = SLEEPSTUDY_TIED.replace("parameter c\n", "").replace("a ~~ b = c\n", "")

SLEEPSTUDY_INTERCEPT = """model sleepstudy_intercept
plate Subject
plate obs in Subject
covariate Days[obs]
parameter s_a, sigma > 0
parameter mu_a, mu_b
a[Subject] ~ Normal(mu_a, s_a)
observed Reaction[obs] ~ Normal(a[Subject] + mu_b*Days, sigma)
"""

PENICILLIN = """model penicillin
plate `plate`
plate sample
plate assay in `plate`, sample
parameter s_plate, s_sample, sigma > 0
mu ~ Flat()
a[`plate`] ~ Normal(mu, s_plate)
b[sample] ~ Normal(0, s_sample)
observed diameter[assay] ~ Normal(a[`plate`] + b[sample], sigma)
"""

PASTES = """model pastes
plate batch
plate cask in batch
plate assay in cask
parameter s_batch, s_cask, sigma > 0
mu ~ Flat()
b[batch] ~ Normal(mu, s_batch)
c[cask] ~ Normal(b[batch], s_cask)
observed strength[assay] ~ Normal(c[cask], sigma)
"""

EIGHT_SCHOOLS = """model eight_schools
plate school
covariate sigma[school]
theta[school] ~ Normal(mu, tau)
observed y[school] ~ Normal(theta, sigma)
"""


CBPP = """model cbpp
plate herd
plate row in herd
covariate size[row], p2[row], p3[row], p4[row]
b[herd] ~ Normal(0, tau)
parameter tau > 0
parameter b1, b2, b3, b4
observed incidence[row] ~ Binomial(size, expit(b1 + b2*p2 + b3*p3 + b4*p4 + b[herd]))
"""


def cbpp() -> pd.DataFrame:
    """The data of `CBPP`: periods as columns of zeros and ones."""
    found = data("cbpp")
    return found.assign(**{f"p{k}": (found["period"] == k).astype(float) for k in (2, 3, 4)})


def maximum_likelihood(text: str) -> str:
    """The same model with its flat coefficients as parameters."""
    lines = []
    for line in text.splitlines():
        if line.endswith("~ Flat()"):
            line = "parameter " + line.removesuffix(" ~ Flat()")
        lines.append(line)
    return "\n".join(lines) + "\n"
