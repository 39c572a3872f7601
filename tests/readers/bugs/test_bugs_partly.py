"""Arrays with holes, arrays whose elements have relations of their own, and data that a model transforms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.readers.bugs import read
from tests.readers.bugs.cases import CASES
from tests.readers.bugs.density import log_density
from tests.readers.bugs.test_bugs_capture import cells, compare, moments


def test_an_element_that_is_used_must_be_defined() -> None:
    with pytest.raises(dm.ModelErrors) as caught:
        read("model {\n  b[2] ~ dnorm(0, 1)\n  y ~ dnorm(b[1] + b[2], 1)\n}", {"y": 1.0})
    (error,) = caught.value.exceptions
    assert isinstance(error, dm.ModelError)
    assert (error.line, error.column, error.node) == (2, 3, "b")
    assert "'b[1]' is not defined, and the text uses it" in error.message


def test_what_nothing_defines_is_noted_and_changes_nothing() -> None:
    """Elements 3 to 6 of a random walk, seen from 4 on, beside the same walk counted from 1."""
    walk = """model {{
      x[{first}] ~ dnorm(0, 0.1)
      for (t in {second}:N) {{ x[t] ~ dnorm(x[t-1], tau) }}
      for (t in {second}:N) {{ y[t] ~ dnorm(x[t], 4) }}
      tau ~ dgamma(2, 1)
    }}"""
    y = [1.0, 2.5, 2.0]
    late = dm.read(walk.format(first=3, second=4), data={"N": 6, "y": [None] * 3 + y}, format="bugs")
    early = dm.read(walk.format(first=1, second=2), data={"N": 4, "y": [None, *y]}, format="bugs")
    assert late.provenance.undefined == {"x": (0, 1), "y": (0, 1, 2)}
    fits = [g.fit(method="laplace", posterior=True) for g in (late, early)]
    assert fits[0]["tau"] == pytest.approx(fits[1]["tau"], rel=1e-9)
    found = [dict(zip(f.latents["name"], f.latents["estimate"], strict=True)) for f in fits]
    for k in range(1, 5):
        assert found[0][f"x[{k + 2}]"] == pytest.approx(found[1][f"x[{k}]"], rel=1e-9)


def test_the_model_transforms_its_data_as_a_data_block_does() -> None:
    data = {"N": 3, "y": [1.0, 4.0, 9.0], "w": 2.0}
    inside = read(
        """model { for (i in 1:N) { z[i] <- sqrt(y[i]) ; z[i] ~ dnorm(mu, 1) }
                   v <- log(w) ; v ~ dnorm(mu, 1) ; mu ~ dnorm(0, 1) }""",
        data,
    )
    block = read(
        """data { for (i in 1:N) { z[i] <- sqrt(y[i]) } ; v <- log(w) }
           model { for (i in 1:N) { z[i] ~ dnorm(mu, 1) } ; v ~ dnorm(mu, 1) ; mu ~ dnorm(0, 1) }""",
        data,
    )
    assert inside.dag == block.dag
    assert inside.data is not None
    np.testing.assert_array_equal(inside.data["N"]["z"], [1, 2, 3])


def test_a_table_of_recaptures() -> None:
    """Its cells have four relations: on the diagonal, above it, below it, and in the last column."""
    text = """model {
      for (t in 1:(T-1)) {
        marr[t,1:T] ~ dmulti(pr[t,], r[t])
        phi[t] <- s ; p[t] <- c ; q[t] <- 1 - p[t]
        pr[t,t] <- phi[t]*p[t]
        for (j in (t+1):(T-1)) { pr[t,j] <- prod(phi[t:j])*prod(q[t:(j-1)])*p[j] }
        for (j in 1:(t-1)) { pr[t,j] <- 0 }
        pr[t,T] <- 1 - sum(pr[t,1:(T-1)])
      }
      s ~ dunif(0, 1)
      c ~ dunif(0, 1)
    }"""
    seen = np.array([[6, 3, 1, 10], [0, 8, 2, 9], [0, 0, 7, 12]])
    data = {"T": 4, "marr": seen, "r": seen.sum(axis=1)}
    fit = dm.read(text, data=data, format="bugs").fit(method="gibbs", seed=1, draws=2000, monitor=["s", "c"])
    grid = cells(80)
    s, c = np.meshgrid(grid, grid, indexing="ij")
    total = np.zeros_like(s)
    for t in range(3):
        each = [s ** (j - t + 1) * (1 - c) ** (j - t) * c for j in range(t, 3)]
        total += sum(n * np.log(x) for n, x in zip(seen[t, t:3], each, strict=True))
        total += seen[t, 3] * np.log(1 - sum(each))
    compare(fit, dict(zip(("s", "c"), moments(total, [grid, grid]), strict=True)))


def test_choices_among_different_numbers_of_things() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 5, 60)
    x, y = np.full((60, 4), np.nan), np.zeros(60)
    for i, size in enumerate(sizes):
        x[i, :size] = rng.normal(size=size)
        weight = np.exp(0.8 * x[i, :size])
        y[i] = rng.choice(size, p=weight / weight.sum()) + 1
    text = """model {
      for (i in 1:N) {
        y[i] ~ dcat(p[i,1:K[i]])
        for (k in 1:K[i]) { e[i,k] <- exp(b*x[i,k]); p[i,k] <- e[i,k]/sum(e[i,1:K[i]]) }
      }
      b ~ dnorm(0, 1)
    }"""
    model = dm.read(text, data={"N": 60, "K": sizes, "x": x, "y": y}, format="bugs")
    fit = model.fit(method="gibbs", seed=1, draws=2000, monitor=["b"])
    b = np.linspace(-3, 4, 1401)
    total = -0.5 * b**2
    for i, size in enumerate(sizes):
        utility = b[:, None] * x[i, :size]
        total += utility[:, int(y[i]) - 1] - np.log(np.exp(utility).sum(axis=1))
    compare(fit, dict(zip(("b",), moments(total, [b]), strict=True)))


def test_a_part_with_a_dirichlet_law() -> None:
    """The posterior of q[1, 1:3] is Dirichlet(2, 3, 2), that of q[1, 4] is of 1 - q[1, 1]."""
    text = """model {
      for (i in 1:4) { y[i] ~ dcat(q[1,1:3]) }
      q[1,1:3] ~ ddirch(a[1:3]); q[1,4] <- 1 - q[1,1]
    }"""
    fit = dm.read(text, data={"y": [1, 2, 2, 3], "a": [1, 1, 1, 5]}, format="bugs").fit(
        method="gibbs", seed=1, draws=2000
    )
    sd = [float(np.sqrt(k * (7 - k) / 7**2 / 8)) for k in (2, 3, 2, 2)]
    mean = [2 / 7, 3 / 7, 2 / 7, 5 / 7]
    compare(fit, {f"q[1, {k + 1}]": (mean[k], sd[k]) for k in range(4)})


def test_arms_of_one_trial_are_jointly_normal() -> None:
    """Conditional laws with means of the arms before give covariances of half the variance (Dias et al. 2013,
    Med. Decis. Making 33:607, appendix)."""
    case = next(c for c in CASES if c.name == "trials of several arms")
    reading = read(case.text, case.data)
    assert reading.provenance.pairs["delta"][2:6] == ((2, 1), (2, 2), (2, 3), (2, 4))
    tau, d = 3.0, np.array([0, 0.5, -0.3, 0.2])
    rest = {"mu": [0.1, -0.2, 0.3], "d": d, "tau": tau}
    rng = np.random.default_rng(5)
    found = []
    for delta in rng.normal(size=(4, 3)):
        every = np.array([0, 0.4, 0, *delta, 0, -0.1])
        ours = log_density(reading, {**rest, "delta": every})
        cov = (np.eye(3) + 1) / (2 * tau)
        theirs = stats.multivariate_normal(d[1:], cov).logpdf(delta)
        chance = 1 / (1 + np.exp(-(-0.2 + delta)))
        theirs += stats.binom([10, 10, 9], chance).logpmf([4, 5, 2]).sum()
        found.append(ours - theirs)
    np.testing.assert_allclose(found, found[0], rtol=0, atol=1e-10)


def test_a_flat_law_of_what_is_positive() -> None:
    """Given n observations with one mean, the variance is inverse gamma, of shape n/2 - 1 and scale S/2."""
    text = "model { for (i in 1:N) { y[i] ~ dnorm(mu, pow(s, -2)) } ; mu ~ dflat() ; s ~ dflat() T(0,) }"
    y = np.array([1.0, 2.5, 4.0, 3.0, 2.0, 3.5, 0.5, 2.2])
    fit = dm.read(text, data={"N": 8, "y": y}, format="bugs").fit(method="gibbs", seed=1, draws=2000)
    law = stats.invgamma((y.size - 2) / 2, scale=((y - y.mean()) ** 2).sum() / 2)
    mean = law.expect(np.sqrt)
    compare(fit, {"s": (mean, np.sqrt(law.mean() - mean**2))})
