"""Whole calls of `lmer` and `glmer` on small and middling data: from formula and frame to summary.

Peers: CPU medians of one thread, lme4 1.1-31 (with Debian's BLAS), mixedlm 1.3.0, lme-python 0.2.7 (whose
radon fit ends elsewhere than the optimum, and whose GLMMs are not Laplace's). For simulated data they are
figures for real data of the same size and design (verbagg, grouseticks, contraception); lme4's own 285
evaluations on cbpp end short of the optimum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import ROOT, Row, median_cpu

if TYPE_CHECKING:
    import pandas as pd

Case = tuple[str, "pd.DataFrame", dict[str, Any]]


def _read(*parts: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(ROOT.joinpath(*parts))


def sleepstudy() -> Case:
    return "Reaction ~ Days + (Days | Subject)", _read("examples", "sleepstudy.csv"), {}


def radon() -> Case:
    return "log_radon ~ floor + u + (1 | county)", _read("examples", "radon.csv"), {}


def cbpp(nodes: int = 1) -> Case:
    frame = _read("tests", "references", "cbpp", "data.csv").astype({"period": str})
    options = {"family": "binomial", "nAGQ": nodes}
    return "cbind(incidence, size - incidence) ~ period + (1 | herd)", frame, options


def cbpp_by_quadrature() -> Case:
    return cbpp(9)


def answers() -> Case:
    """316 people answer 24 items yes or no."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    people, items = 316, 24
    p, i = np.repeat(np.arange(people), items), np.tile(np.arange(items), people)
    anger, gender = rng.normal(20, 5, people), rng.integers(0, 2, people)
    kind, situation = rng.integers(0, 3, items), rng.integers(0, 2, items)
    eta = 0.2 + 0.05 * (anger[p] - 20) + 0.3 * gender[p] - kind[i] - situation[i]
    eta += 1.3 * rng.normal(size=people)[p] + 0.5 * rng.normal(size=items)[i]
    frame = pd.DataFrame({"anger": anger[p], "gender": gender[p], "situation": situation[i], "p": p, "i": i})
    frame["kind"] = np.array(["curse", "scold", "shout"])[kind[i]]
    frame["y"] = (rng.random(eta.size) < 1 / (1 + np.exp(-eta))).astype(int)
    return "y ~ anger + gender + kind + situation + (1 | p) + (1 | i)", frame, {"family": "binomial"}


def ticks() -> Case:
    """403 counts in 118 broods at 63 places, with a deviation each."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    n, broods, places = 403, 118, 63
    brood = np.arange(n) % broods
    place = brood % places
    height, year = rng.normal(size=n), np.arange(n) % 3
    eta = 0.4 - 0.8 * height + np.array([0.0, 0.9, -1.0])[year] + 0.75 * rng.normal(size=broods)[brood]
    eta += 0.5 * rng.normal(size=places)[place] + 0.55 * rng.normal(size=n)
    frame = pd.DataFrame({"h": height, "year": year.astype(str), "brood": brood, "place": place})
    frame["row"], frame["y"] = np.arange(n), rng.poisson(np.exp(eta))
    formula = "y ~ h + year + (1 | brood) + (1 | place) + (1 | row)"
    return formula, frame, {"family": "poisson"}


def districts() -> Case:
    """1,934 yes or no in 60 districts, where the intercept and a slope vary."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    n, count = 1_934, 60
    d, urban, age, children = (
        rng.integers(0, count, n),
        rng.integers(0, 2, n),
        rng.normal(size=n),
        np.arange(n) % 2,
    )
    z = rng.multivariate_normal([0, 0], [[0.4, -0.4], [-0.4, 0.65]], count)[d]
    eta = -1 + 0.05 * age - 0.3 * age**2 + 0.9 * children + 0.8 * urban + z[:, 0] + z[:, 1] * urban
    frame = pd.DataFrame({"age": age, "urban": urban, "children": children, "d": d})
    frame["y"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    return "y ~ age + I(age**2) + children + urban + (urban | d)", frame, {"family": "binomial"}


CASES = (
    ("lmer, sleepstudy", sleepstudy, 40, 0.004, "lme4 19 ms, mixedlm 5.5 ms, lme-python 2.4 ms"),
    ("lmer, radon", radon, 40, 0.005, "lme4 26 ms, mixedlm 4.0 ms, lme-python 3.3 ms (false optimum)"),
    ("glmer, cbpp", cbpp, 20, 0.010, "lme4 71 ms, mixedlm 115 ms, lme-python 4 ms (not Laplace's)"),
    ("glmer, cbpp, nAGQ = 9", cbpp_by_quadrature, 10, 0.1, ""),
    ("glmer, 7,584 rows, 316 x 24 crossed", answers, 5, 0.28, "lme4 2.9 s, mixedlm 0.95 s"),
    ("glmer, 403 counts, three intercepts", ticks, 10, 0.15, "mixedlm 0.44 s"),
    ("glmer, 1,934 rows, random slopes", districts, 10, 0.2, "mixedlm 0.61 s"),
)


def rows() -> Iterator[Row]:
    import dagmodels as dm

    for name, make, repeats, bound, peer in CASES:
        formula, frame, options = make()

        def call(formula: str = formula, frame: pd.DataFrame = frame, options: dict = options) -> None:
            fit = dm.glmer(formula, frame, **options) if options else dm.lmer(formula, frame)
            if not fit.converged:
                raise RuntimeError(f"{formula}: {fit.message}")
            fit.summary()

        yield Row(f"{name}, with summary", median_cpu(call, repeats=repeats), bound, "s", peer)
