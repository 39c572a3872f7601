"""Generated chains in time."""

from __future__ import annotations

import numpy as np

from .draft import Draft


def lags(d: Draft) -> None:
    """Chains in time: stationary, diffuse start, in groups, coupled, two lags, and observed ones."""
    d.pick(_stationary, _random_walk, _grouped, _coupled, _two_lags, _observed_chain)(d)


def _times(d: Draft, low: int = 8, high: int = 25) -> int:
    n = int(d.rng.integers(low, high))
    d.plate("t ordered")
    d.data["t"] = np.cumsum(d.rng.integers(1, 3, n)) + 1990
    return n


def _stationary(d: Draft) -> None:
    n = _times(d)
    phi, s = d.loading("phi", -0.9, 0.9), d.deviation("s")
    m = d.coefficient("m")
    d.covariate("x", "t", np.arange(n))
    d.say(
        f"h[t first] ~ Normal({m}, {s}/sqrt(1 - {phi}**2))", f"h[t] ~ Normal({m} + {phi}*(h[t-1] - {m}), {s})"
    )
    d.say(f"observed y[t] ~ Normal(h + {d.coefficient('b')}*x, {d.scale('e')})")
    d.observe("y", np.arange(n), missing=d.pick(0.0, 0.2))


def _random_walk(d: Draft) -> None:
    n = _times(d)
    d.say("level[t first] ~ Flat()")
    drift = f" + {d.coefficient('drift')}" if d.chance() else ""
    d.say(f"level[t] ~ Normal(level[t-1]{drift}, {d.scale('s')})")
    d.covariate("x", "t", np.arange(n))
    d.say(f"observed y[t] ~ Normal(level + {d.coefficient('b')}*x, {d.scale('e')})")
    d.observe("y", np.arange(n), missing=d.pick(0.0, 0.2))


def _grouped(d: Draft) -> None:
    of_group = d.within(int(d.rng.integers(4, 7)), 1, 9, 45)
    d.plate("g")
    d.plate("t in g ordered")
    d.labels("g", of_group, "g")
    d.data["t"] = np.concatenate([np.arange(k) for k in np.bincount(of_group)])
    d.covariate("x", "t", np.arange(len(of_group)))
    m, phi, s = d.coefficient("m"), d.loading("phi", -0.9, 0.9), d.deviation("s")
    stationary = f"Normal({m} + a[g], {s}/sqrt(1 - {phi}**2))"
    start = stationary if d.chance() else f"Normal({m}, {d.deviation('s0')})"
    d.say(f"a[g] ~ Normal(0, {d.scale('s_a')})")
    d.say(f"h[t first] ~ {start}", f"h[t] ~ Normal({m} + a[g] + {phi}*(h[t-1] - {m} - a[g]), {s})")
    d.say(f"observed y[t] ~ Normal(h + {d.coefficient('b')}*x, {d.scale('e')})")
    d.observe("y", np.arange(len(of_group)), missing=d.pick(0.0, 0.15))


def _coupled(d: Draft) -> None:
    n = _times(d)
    p, q, r = d.loading("p", -0.8, 0.8), d.loading("q", -0.8, 0.8), d.loading("r")
    now = d.pick("x[t-1]", "x[t]")
    d.say(f"x[t first] ~ Normal({d.coefficient('m')}, 1.5)", f"x[t] ~ Normal({p}*x[t-1], {d.scale('s_x')})")
    d.say("z[t first] ~ Normal(0, 2)", f"z[t] ~ Normal({q}*z[t-1] + {r}*{now}, {d.scale('s_z')})")
    d.say(f"observed u[t] ~ Normal(x, {d.scale('e_x')})")
    d.say(f"observed v[t] ~ Normal({d.coefficient('c')} + z, {d.scale('e_z')})")
    d.observe("u", np.arange(n), missing=d.pick(0.0, 0.2))
    d.observe("v", np.arange(n), missing=d.pick(0.0, 0.2))


def _two_lags(d: Draft) -> None:
    n = _times(d)
    p1, p2 = d.loading("p1", -0.6, 0.9), d.loading("p2", -0.5, 0.5)
    d.say(f"h[t first 2] ~ Normal({d.coefficient('m')}, 1.2)")
    d.say(f"h[t] ~ Normal({d.coefficient('c')} + {p1}*h[t-1] + {p2}*h[t-2], {d.scale('s')})")
    d.say(f"observed y[t] ~ Normal(h, {d.scale('e')})")
    d.observe("y", np.arange(n), missing=d.pick(0.0, 0.2))


def _observed_chain(d: Draft) -> None:
    n = _times(d)
    missing = d.pick(0.0, 0.2)
    d.covariate("x", "t", np.arange(n))
    c, b = d.coefficient("c"), d.coefficient("b")
    phi = d.loading("phi", -0.9, 0.9) if missing else d.coefficient("phi")
    d.say(f"y[t first] ~ {d.pick('Flat()', 'Normal(2, 3)')}".replace("y[", "observed y[", 1))
    d.say(f"observed y[t] ~ Normal({c} + {phi}*y[t-1] + {b}*x, {d.scale('s')})")
    d.observe("y", np.arange(n), missing)
