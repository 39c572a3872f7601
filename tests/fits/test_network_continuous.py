"""Networks of discrete and linear Gaussian nodes against sums over all states and dense normal laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.fits.network import blocks

WASTE = """model waste
plate burning = "stable", "unstable"
plate kind = "industrial", "household"
plate filter = "intact", "defect"
constant ce[filter, kind] = [[-3.9, -3.2], [-0.4, -0.5]]
constant ve[filter] = [0.00002, 0.0001]
constant cd[burning, kind] = [[6.5, 6.0], [7.5, 7.0]]
constant vd[burning, kind] = [[0.03, 0.04], [0.1, 0.1]]
constant cc[burning] = [-2, -1]
constant vc[burning] = [0.1, 0.3]
constant cm[kind] = [0.5, -0.5]
constant vm[kind] = [0.01, 0.005]
b in burning ~ Table([0.85, 0.15])
f in filter ~ Table([0.95, 0.05])
w in kind ~ Table([2/7, 5/7])
e ~ Normal(ce[f, w], sqrt(ve[f]))       # filter efficiency
d ~ Normal(cd[b, w] + e, sqrt(vd[b, w]))  # dust emission
c ~ Normal(cc[b], sqrt(vc[b]))          # carbon dioxide
l ~ Normal(3 - d/2, 0.5)                # light
mi ~ Normal(cm[w], sqrt(vm[w]))         # metals in the waste
mo ~ Normal(d + mi, sqrt(0.002))        # metals emitted
"""


def told(action) -> list[str]:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


class Random:
    """A random network, and its answers from the precision matrix of every combination of states."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.sizes = rng.integers(2, 4, 4).tolist()
        self.parents = [
            sorted(rng.choice(i, min(i, int(rng.integers(0, 3))), False).tolist()) for i in range(4)
        ]
        self.tables = [
            rng.dirichlet(np.ones(s), [self.sizes[p] for p in ps])
            for s, ps in zip(self.sizes, self.parents, strict=True)
        ]
        self.reads = [sorted(rng.choice(4, int(rng.integers(0, 3)), False).tolist()) for _ in range(4)]
        self.above = [
            sorted(rng.choice(i, min(i, int(rng.integers(0, 3))), False).tolist()) for i in range(4)
        ]
        shape = lambda i: [self.sizes[p] for p in self.reads[i]]  # noqa: E731
        self.a = [rng.normal(0, 2, shape(i)) for i in range(4)]
        self.s = [rng.uniform(0.5, 2, shape(i)) for i in range(4)]
        self.c = [[rng.normal(0, 1, shape(i)) for _ in self.above[i]] for i in range(4)]

    def graph(self) -> dm.Graph:
        lines = ["model random"]
        lines += [f"plate p{i} = " + ", ".join(f'"s{k}"' for k in range(s)) for i, s in enumerate(self.sizes)]
        plain = lambda x: np.round(x, 12).tolist()  # noqa: E731
        for i in range(4):
            plates = ", ".join(f"p{p}" for p in self.parents[i])
            lines.append(f"constant t{i}[{plates}{', ' if plates else ''}p{i}] = {plain(self.tables[i])}")
            index = "".join(f"z{p}, " for p in self.parents[i])
            lines.append(f"z{i} in p{i} ~ Categorical(t{i}[{index}p{i}])")
        for i in range(4):
            own = f"[{', '.join(f'p{p}' for p in self.reads[i])}]" if self.reads[i] else ""
            at = f"[{', '.join(f'z{p}' for p in self.reads[i])}]" if self.reads[i] else ""
            mean = f"a{i}{at}"
            lines += [f"constant a{i}{own} = {plain(self.a[i])}", f"constant s{i}{own} = {plain(self.s[i])}"]
            for k, j in enumerate(self.above[i]):
                lines.append(f"constant c{i}{j}{own} = {plain(self.c[i][k])}")
                mean += f" + c{i}{j}{at}*x{j}"
            lines.append(f"x{i} ~ Normal({mean}, s{i}{at})")
        return dm.read("\n".join(lines))

    def answers(self, states: dict[int, int], values: dict[int, float]):
        """Probability of all evidence, joint table of the discrete, and by states the hidden x's law."""
        table = np.zeros(self.sizes)
        hidden = [i for i in range(4) if i not in values]
        shown = [i for i in range(4) if i in values]
        at = np.array([values[i] for i in shown])
        means = np.zeros((*self.sizes, len(hidden)))
        covariances = np.tile(np.eye(len(hidden)), (*self.sizes, 1, 1))
        for z in itertools.product(*map(range, self.sizes)):
            if any(z[i] != s for i, s in states.items()):
                continue
            w = np.prod(
                [
                    t[(*(z[p] for p in ps), z[i])]
                    for i, (t, ps) in enumerate(zip(self.tables, self.parents, strict=True))
                ]
            )
            own = lambda x, i: x[tuple(z[p] for p in self.reads[i])]  # noqa: B023, E731
            b = np.eye(4)
            for i in range(4):
                for k, j in enumerate(self.above[i]):
                    b[i, j] = -own(self.c[i][k], i)
            d = np.array([1 / own(self.s[i], i) ** 2 for i in range(4)])
            precision = b.T @ (d[:, None] * b)
            mean = np.linalg.solve(b, np.array([own(self.a[i], i) for i in range(4)]))
            whole = np.linalg.inv(precision)
            away = at - mean[shown]
            inner = whole[np.ix_(shown, shown)]
            w *= np.exp(-0.5 * away @ np.linalg.solve(inner, away)) / np.sqrt(
                np.linalg.det(2 * np.pi * inner)
            )
            table[z] = w
            part = np.linalg.inv(precision[np.ix_(hidden, hidden)])
            means[z] = mean[hidden] - part @ precision[np.ix_(hidden, shown)] @ away
            covariances[z] = part
        return table, hidden, means, covariances


@pytest.mark.parametrize("seed", range(15))
def test_random_networks_against_all_states(seed: int):
    rng = np.random.default_rng([77, seed])
    net = Random(rng)
    g = net.graph()
    states = {int(i): int(rng.integers(net.sizes[i])) for i in rng.choice(4, int(rng.integers(0, 3)), False)}
    values = {int(i): float(rng.normal()) for i in rng.choice(4, int(rng.integers(0, 4)), False)}
    evidence = {f"z{i}": f"s{s}" for i, s in states.items()} | {f"x{i}": v for i, v in values.items()}
    table, hidden, means, covariances = net.answers(states, values)
    assert g.probability(evidence) == pytest.approx(table.sum(), rel=1e-9)
    p = table / table.sum()
    answer = g.query(evidence)
    for i in range(4):
        margin = p.sum(axis=tuple(k for k in range(4) if k != i))
        assert list(answer[f"z{i}"].values()) == pytest.approx(margin, abs=1e-10)
    for k, i in enumerate(hidden):
        mean = np.sum(p * means[..., k])
        spread = np.sum(p * (covariances[..., k, k] + (means[..., k] - mean) ** 2))
        assert answer[f"x{i}"].mean == pytest.approx(mean, abs=1e-9)
        assert answer[f"x{i}"].sd == pytest.approx(np.sqrt(spread), abs=1e-9)
        x = mean + 0.3
        density = np.exp(-0.5 * (x - means[..., k]) ** 2 / covariances[..., k, k])
        density = np.sum(p * density / np.sqrt(2 * np.pi * covariances[..., k, k]))
        assert float(answer[f"x{i}"].density(x)) == pytest.approx(density, rel=1e-9)
        more = g.probability({**evidence, f"x{i}": x}) / g.probability(evidence)
        assert more == pytest.approx(density, rel=1e-9)
    if len(hidden) > 1:
        ((_, both),) = g.query(evidence, [tuple(f"x{i}" for i in hidden)]).items()
        mean = np.einsum("abcd,abcdk->k", p, means)
        away = means - mean
        spread = np.einsum("abcd,abcdkl->kl", p, covariances + away[..., None] * away[..., None, :])
        assert both.mean == pytest.approx(mean, abs=1e-9)
        assert both.covariance == pytest.approx(spread, abs=1e-9)
    found, log = g.mpe(evidence)
    best = np.unravel_index(int(np.argmax(table)), table.shape)
    assert log == pytest.approx(np.log(table.max()), abs=1e-9)
    assert [found[f"z{i}"] for i in range(4)] == [f"s{k}" for k in best]
    found, log = g.mpe(evidence, ["z1", "z2"])
    assert log == pytest.approx(np.log(table.sum(axis=(0, 3)).max()), abs=1e-9)


def test_the_waste_incinerator():
    """Lauritzen (1992), tables 2 and 3: means and standard deviations to the digits printed."""
    g = dm.read(WASTE)
    prior = g.query()
    printed = {
        "e": (-3.25, 0.71),
        "d": (3.04, 0.77),
        "c": (-1.85, 0.51),
        "l": (1.48, 0.63),
        "mi": (-0.21, 0.46),
        "mo": (2.83, 0.86),
    }
    for name, (mean, sd) in printed.items():
        assert prior[name].mean == pytest.approx(mean, abs=0.006)
        assert prior[name].sd == pytest.approx(sd, abs=0.006)
    found = g.query({"w": "industrial", "l": 1.1, "c": -0.9})
    assert found["b"]["stable"] == pytest.approx(0.0122, abs=6e-5)
    assert found["f"]["intact"] == pytest.approx(0.9995, abs=6e-5)
    printed = {"e": (-3.90, 0.076), "d": (3.61, 0.326), "mi": (0.50, 0.1), "mo": (4.11, 0.344)}
    for name, (mean, sd) in printed.items():
        assert found[name].mean == pytest.approx(mean, abs=0.006)
        assert found[name].sd == pytest.approx(sd, abs=6e-4)


def test_evidence_of_other_laws_and_computed_nodes():
    """Counts and waiting times are likelihoods of the states; a mean through a computed node."""
    g = dm.read("""model plant
plate kind = "a", "b"
constant rate[kind] = [2, 5]
k in kind ~ Table([0.3, 0.7])
n ~ Poisson(rate[k])
t ~ Gamma(2, rate[k])
level = 1 + 2*x
x ~ Normal(0, 1)
y ~ Normal(if_else(k == "a", level, -level), 0.5)
""")
    weights = np.array([0.3, 0.7]) * np.exp(-np.array([2.0, 5.0])) * np.array([2.0, 5.0]) ** 3 / 6
    weights *= np.array([4, 25.0]) * 0.8 * np.exp(-0.8 * np.array([2.0, 5.0]))
    assert g.probability({"n": 3, "t": 0.8}) == pytest.approx(weights.sum(), rel=1e-10)
    assert list(g.query({"n": 3, "t": 0.8}, "k")["k"].values()) == pytest.approx(weights / weights.sum())
    found = g.query({"y": 3.0, "k": "a"}, "x")["x"]
    assert found.mean == pytest.approx(2 * (3 - 1) / (4 + 0.25), rel=1e-10)
    assert found.probability(upper=found.mean) == pytest.approx(0.5)
    assert "normal" in repr(found)


def test_what_has_no_exact_answer_says_why(monkeypatch: pytest.MonkeyPatch):
    g = dm.read("""model odd
plate kind = "a", "b"
k in kind ~ Table([0.3, 0.7])
r ~ Gamma(2, 2)
x ~ Normal(0, 1)
y ~ Normal(x**2, 1)
s ~ Normal(0, exp(x))
u ~ Bernoulli(expit(x))
""")
    assert told(lambda: g.query({"y": 1.0}, "x")) == [
        "the mean of 'y' is not linear in 'x' "
        "(exact answers need linear means: give these values as evidence)"
    ]
    assert "the spread of 's' depends on 'x'" in told(lambda: g.query({"s": 1.0}, "x"))[0]
    assert "'r' is Gamma" in told(lambda: g.query({}, "r"))[0]
    assert "'u' depends on 'x', which is continuous and not seen" in told(lambda: g.query({}, "u"))[0]
    assert g.query({"x": 0.0}, "u")["u"][1] == pytest.approx(0.5)
    assert g.query({"x": 2.0, "y": 1.0}, "k")["k"]["a"] == pytest.approx(0.3)
    assert "'x' is 'high'" in told(lambda: g.query({"x": "high"}))[0]
    assert "'z' is no node of the network" in told(lambda: g.query({"z": 1}, "k"))[0]
    assert "has discrete and continuous nodes" in told(lambda: g.query({}, [("k", "x")]))[0]
    assert "answers one set of evidence at a time" in told(lambda: g.query({"x": [1, 2]}))[0]
    monkeypatch.setattr(blocks, "LARGEST", 10)
    with pytest.raises(dm.FitError, match=r"differ by the states of 2 discrete nodes .* combinations"):
        dm.read(WASTE).query({"l": 1.0, "w": "industrial"}, "d")


def test_a_switching_chain_by_elements():
    """A level that drifts or jumps; the answer at three days against all paths of the switch."""
    g = dm.read("""model drift
plate day = 1..3 ordered
plate mode = "calm", "rough"
constant noise[mode] = [0.5, 2]
m[day] in mode ~ Table([0.8, 0.2])
x[day first] ~ Normal(0, 1)
x[day] ~ Normal(0.9*x[day-1], noise[m])
observed y[day] ~ Normal(x, 0.7)
""")
    y = np.array([0.5, 2.5, 2.0])
    total, mean = 0.0, 0.0
    for path in itertools.product((0.5, 2.0), repeat=2):
        s = np.zeros((3, 3))
        s[0, 0] = 1
        for t in (1, 2):
            s[t, :t] = s[:t, t] = 0.9 * s[t - 1, :t]
            s[t, t] = 0.81 * s[t - 1, t - 1] + path[t - 1] ** 2
        whole = s + 0.49 * np.eye(3)
        w = np.prod([0.8 if p == 0.5 else 0.2 for p in path])
        w *= np.exp(-0.5 * y @ np.linalg.solve(whole, y)) / np.sqrt(np.linalg.det(2 * np.pi * whole))
        total += w
        mean += w * (s @ np.linalg.solve(whole, y))[2]
    evidence = {f"y[{k + 1}]": v for k, v in enumerate(y.tolist())}
    assert g.probability(evidence) == pytest.approx(total, rel=1e-10)
    assert g.query(evidence, "x[3]")["x[3]"].mean == pytest.approx(mean / total, rel=1e-10)
