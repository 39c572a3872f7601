"""Which labels may be exchanged: found where, and only where, relabelling leaves the density as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.label_symmetry import label_symmetries
from dagmodels.bind.bind import bind
from dagmodels.forms.build_summed import build_summed

HEAD = "model m\nplate i\nplate c = 1..2\nplate d as c\n"
MIXTURE = (
    "z[i] in c ~ Categorical(w)\nobserved y[i] ~ Normal(mu[z], s)\n"
    "w[c] ~ Dirichlet({w})\n{mu}\ns ~ HalfNormal(1)"
)
SYMMETRIC = {
    "mixture": MIXTURE.format(w=1, mu="mu[c] ~ Normal(0, 2)"),
    "equal weights": MIXTURE.format(w="[2, 2]", mu="mu[c] ~ Normal(m, 2)\nm ~ Normal(0, 1)"),
    "two nodes": "z[i] in c ~ Categorical([0.5, 0.5])\nobserved y[i] ~ Normal(mu[z], s[z])\n"
    "mu[c] ~ Normal(0, 1)\ns[c] ~ HalfNormal(1)",
    "chain": "plate t ordered\nz[t first] in c ~ Categorical([0.5, 0.5])\n"
    "z[t] in c ~ Categorical(p[z[t-1], d])\nobserved y[t] ~ Normal(mu[z], 1)\n"
    "p[c, d] ~ Dirichlet(1)\nmu[c] ~ Normal(0, 1)",
}
TOLD_APART = {
    "ordered": MIXTURE.format(w=1, mu="mu[c] ~ Ordered(Normal(0, 2))"),
    "unequal weights": MIXTURE.format(w="[1, 2]", mu="mu[c] ~ Normal(0, 2)"),
    "a level fixed": MIXTURE.format(w=1, mu="mu[1] = 0\nmu[c] ~ Normal(0, 2)"),
    "a constant": MIXTURE.format(w=1, mu="constant m[c] = [0, 1]\nmu[c] ~ Normal(m, 2)"),
    "a comparison": "z[i] in c ~ Categorical(w)\nobserved y[i] ~ Normal(if_else(z == 2, a, 0), 1)\n"
    "w[c] ~ Dirichlet(1)\na ~ Normal(0, 1)",
    "an index by level": MIXTURE.format(w=1, mu="mu[c] ~ Normal(0, 2)\nr = mu[1]\nq ~ Normal(r, 1)"),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_exchangeable_labels_are_found_and_change_no_density(name: str) -> None:
    dag = dm.read(HEAD + SYMMETRIC[name]).dag
    (found,) = label_symmetries(dag)
    assert found.plate == "c"
    assert found.discrete == ("z",)
    rows = {"i": [1, 2, 3], "t": [1, 2, 3], "y": [0.3, -1.0, 2.0]}
    del rows["i" if "t" in dag.plate else "t"]
    flat = build_summed(bind(dag, pd.DataFrame(rows)))
    values = flat.constrain(np.random.default_rng(1).normal(size=flat.size))
    turned = dict(values)
    for node in found.nodes:
        for axis, plate in enumerate(dag.nodes[node].plates):
            if plate in ("c", "d"):
                turned[node] = np.flip(turned[node], axis)
    before, after = (flat.log_density(flat.unconstrain(v), jacobian=False) for v in (values, turned))
    assert abs(before - after) < 1e-12 * abs(before)
    assert "label switching" in str(found)


@pytest.mark.parametrize("name", TOLD_APART)
def test_labels_that_something_tells_apart_are_not_exchangeable(name: str) -> None:
    assert not label_symmetries(dm.read(HEAD + TOLD_APART[name]).dag)


def test_known_labels_tell_apart() -> None:
    text = HEAD + SYMMETRIC["mixture"].replace("z[i] in c", "observed z[i] in c")
    dag = dm.read(text).dag
    some = pd.DataFrame({"y": [1.0, 2.0], "z": [1, None]})
    assert not label_symmetries(dag, bind(dag, some))


def test_the_remedy_orders_a_location() -> None:
    dag = dm.read(HEAD + SYMMETRIC["mixture"]).dag
    (found,) = label_symmetries(dag)
    assert found.remedy(dag).startswith("write mu[c] ~ Ordered(Normal(0, 2))")
