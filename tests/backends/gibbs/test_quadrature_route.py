"""Random effects and item response by quadrature: posteriors of JAGS, to 5 standard errors of both.

About 20 numbers a model at |z| < 5: all pass but for 1e-5 by chance; sd within 10 % are 4 standard errors
and more of an effective size of 600.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_bulk
from dagmodels.results.draws.fit import DrawsFit

BUGS = Path(__file__).parents[2] / "references" / "bugs"


@pytest.mark.parametrize("example", ["seeds", "salm", "lsat", "seeds_uni", "salm_pareto"])
def test_posteriors_are_those_of_jags(example: str) -> None:
    name, _, variant = example.partition("_")
    files = [BUGS / name / f"{f}{'_' * bool(variant)}{variant}" for f in ("model", "data", "reference")]
    model = dm.read(files[0].with_suffix(".bug"), files[1].with_suffix(".json"))
    wanted = json.loads(files[2].with_suffix(".json").read_text())["parameters"]
    nodes = sorted({n.partition("[")[0] for n in wanted})
    fit = model.fit(method="gibbs", monitor=nodes)
    assert isinstance(fit, DrawsFit)
    assert "quadrature" in str(model.plan(method="gibbs"))
    for label, known in wanted.items():
        node, _, place = label.rstrip("]").partition("[")
        at = tuple(int(k) - 1 for k in place.split(",")) if place else ()
        x = fit.samples.values[node][(slice(None), slice(None), *at)]
        error = np.hypot(known["mcse"], x.std() / np.sqrt(ess_bulk(x)))
        assert abs(x.mean() - known["mean"]) < 5.0 * error, label
        assert x.std() == pytest.approx(known["sd"], rel=0.1), label
