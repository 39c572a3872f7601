"""The builder in Python says what the text says, and is equal to it."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from dagmodels.distributions import families
from dagmodels.errors import DagmodelsError, ModelErrors
from dagmodels.graph import constructors as dist
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.builder import Builder, First, PlateName
from dagmodels.graph.expression import Binary, Reduction, Reference, equal
from dagmodels.graph.signatures import WRAPPERS
from dagmodels.readers import read

MODELS = Path(__file__).parents[1] / "models"


def radon(texts: bool) -> Builder:
    g = Builder("radon")
    county = g.plate("county")
    house = g.plate("house", within=county)
    floor = g.covariate("floor", plate=house)
    uranium = g.covariate("uranium", plate=county)
    g0, g1, beta = (g.node(n, dist.Normal(0, 10)) for n in ("g0", "g1", "beta"))
    tau, sigma = (g.node(n, dist.HalfNormal(5)) for n in ("tau", "sigma"))
    if texts:
        g.node("alpha", "Normal(g0 + g1*uranium, tau)", plate="county")
        law = dist.Normal("alpha[county] + beta*floor", sigma="sigma")
        g.node("log_radon", law, plate=house, observed=True)
    else:
        alpha = g.node("alpha", dist.Normal(g0 + g1 * uranium, tau), plate=county)
        law = dist.Normal(alpha[county] + beta * floor, sigma)
        g.node("log_radon", law, plate=[house], observed=True)
    return g


@pytest.mark.parametrize("texts", [True, False])
def test_radon_from_python_is_radon_from_text(texts: bool):
    g = radon(texts)
    dag = read(MODELS / "radon.dag")
    assert g == dag
    assert g.dag == dag
    assert hash(g) == hash(dag)
    assert read(str(g)) == dag


def test_texts_and_operators_build_equal_graphs():
    assert radon(True) == radon(False)
    assert len({radon(True), radon(False)}) == 1


def test_lags_first_elements_and_levels():
    g = Builder("local_level")
    year = g.plate("year", ordered=True)
    s_level, s_obs = g.parameter("s_level", "s_obs", lower=0)
    level = g.node("level", dist.Flat(), levels={year: First()})
    g.node("level", dist.Normal(level[year - 1], s_level), plate=year)
    g.node("flow", dist.Normal(level, s_obs), plate=year, observed=True)
    assert g == read(MODELS / "local_level.dag")


def test_matrices_aliases_and_constants():
    g = Builder("birats")
    rat, week = g.plate("rat"), g.plate("week")
    coef = g.plate("coef", levels=["intercept", "slope"])
    coef2 = g.plate("coef2", alias_of=coef)
    x = g.covariate("x", plate=week)
    v = g.constant("v", np.array([[0.005, 0], [0, 5]]), plate=[coef, coef2])
    mu, omega, tau_c = (g.node("mu", "Normal(0, 1000)", plate=coef), "omega", "tau_c")
    b = g.node("b", dist.MvNormal(mu, tau=omega), plate=[rat, coef])
    law = dist.Normal(b[rat, "intercept"] + b[rat, "slope"] * x[week], tau=tau_c)
    g.node("y", law, plate=[rat, week], observed=True)
    g.node("omega", dist.Wishart(2, v), plate=[coef, coef2])
    g.node("cov_b", "inverse(omega)", plate=[coef, coef2])
    g.node("tau_c", dist.Gamma(0.001, 0.001))
    g.node("sigma", "1/sqrt(tau_c)")
    assert g == read(MODELS / "birats.dag")


def test_tables_from_dicts():
    g = Builder("asia")
    answer = g.plate("answer", levels=("yes", "no"))

    def node(name: str, *arguments: object) -> None:
        g.node(name, dist.Table(*arguments), values_in=answer)

    node("asia", [0.01, 0.99])
    node("smoke", np.array([0.5, 0.5]))
    node("tub", "asia", {"yes": [0.05, 0.95], "no": [0.01, 0.99]})
    node("lung", "smoke", {"yes": [0.1, 0.9], "no": [0.01, 0.99]})
    node("bronc", "smoke", {"yes": [0.6, 0.4], "no": [0.3, 0.7]})
    sure = {(a, b): [0, 1] if a == b == "no" else [1, 0] for a in ("yes", "no") for b in ("yes", "no")}
    node("either", "lung", "tub", sure)
    node("xray", "either", {"yes": [0.98, 0.02], "no": [0.05, 0.95]})
    rows = {("yes", "yes"): 0.9, ("yes", "no"): 0.8, ("no", "yes"): 0.7, ("no", "no"): 0.1}
    table = {key: np.array([p, 1 - p]).round(3) for key, p in rows.items()}
    node("dysp", "bronc", "either", table)
    assert g == read(MODELS / "asia.dag")


def test_covariances_domains_joints_and_comparisons():
    g = Builder("m")
    i, t = g.plate("i"), g.plate("t", levels=range(1, 4), ordered=True)
    k = g.plate("k", levels=["a", "b"])
    k2 = g.plate("k2", alias_of="k")
    c = g.covariate("c", plate=i, values_in=t)
    rho = g.parameter("rho", lower=-1, upper=1, start=0)
    g.parameter("w", plate=k, domain="simplex")
    g.parameter("S", plate=[k, k2], domain="covariance")
    x = g.node("x", "Normal(0, 1)", plate=i)
    g.node("y", "Normal(0, 1)", plate=i, note="kg")
    g.covariance(x, "y", rho)
    g.node("after", t >= c[i], plate=[i, t])
    g.node("same", equal(t, 2) + (c[i] > 1), plate=[i, t])
    g.joint(["u", "v"], dist.MvNormal([0, 1], "S"), plate=i, observed=True)
    q = g.node("q", dist.Normal(0, 1), plate=[i, k])
    g.covariance(q[i, "a"], 'q[i, "b"]', 0.5)
    g.node("p", dist.Normal(0, 1), plate=[i, k])
    g.node("p", 2, plate=[i, k], levels={k: "a"})
    parts = [dist.Normal(x, 1), dist.Truncated("Laplace(0, 1)", lower=0)]
    g.node("m1", dist.Mixture([0.5, 0.5], parts), plate=i)
    text = """model m
plate i
plate t = 1..3 ordered
plate k = "a", "b"
plate k2 as k
covariate c[i] in t
parameter rho in (-1, 1) start 0
parameter w[k] simplex
parameter S[k, k2] covariance
x[i], y[i] ~ Normal(0, 1)
x ~~ y = rho
after[i, t] = t >= c[i]
same[i, t] = (t == 2) + (c[i] > 1)
observed (u, v)[i] ~ MvNormal([0, 1], S)
q[i, k] ~ Normal(0, 1)
q[i, "a"] ~~ q[i, "b"] = 0.5
p[i, k] ~ Normal(0, 1)
p[i, "a"] = 2
m1[i] ~ Mixture([0.5, 0.5], [Normal(x, 1), Truncated(Laplace(0, 1), lower=0)])
"""
    assert g == read(text)
    assert next(s.note for s in g.dag.statements if s.note) == "kg"


def test_errors_name_the_node_without_a_place():
    g = Builder("m")
    g.node("y", dist.Normal("mu", -1))
    with pytest.raises(ModelErrors) as caught:
        _ = g.dag
    found = [(e.message, e.node, e.line) for e in caught.value.exceptions]
    assert found == [
        ("`mu` is not declared.", "y", None),
        ("sigma of Normal must be greater than 0; it is -1.", "y", None),
    ]


def test_nodes_may_be_used_before_they_are_defined():
    g = Builder("m")
    g.node("y", dist.Normal("mu", 1), observed=True)
    with pytest.raises(ModelErrors):
        _ = g.dag
    g.parameter("mu")
    assert g.dag.nodes["mu"].kind == "parameter"


def test_a_change_after_hashing_is_refused():
    g = radon(True)
    before = g.dag
    _ = {g}
    with pytest.raises(DagmodelsError, match="has been hashed"):
        g.parameter("more")
    assert g.dag is before
    other = g.copy()
    other.parameter("more")
    assert other != g
    assert "more" in other.dag.nodes


def test_a_builder_starts_from_a_dag():
    dag = read(MODELS / "hmm.dag")
    g = Builder.of(dag)
    assert g.dag is dag
    g.node("extra", "mu[1]")
    assert set(g.dag.nodes) - set(dag.nodes) == {"extra"}


def test_every_distribution_has_a_constructor_with_its_signature():
    for name, family in families().items():
        names = list(inspect.signature(getattr(dist, name)).parameters)
        assert names[: len(family.parameters)] == [p.name for p in family.parameters]
        assert set(family.alternatives) <= set(names)
        assert name in dir(dist)
    for name in WRAPPERS:
        assert getattr(dist, name).__name__ == name
    with pytest.raises(AttributeError, match="has no distribution 'Nrmal'"):
        _ = dist.Nrmal


def odd_models():
    """What only Python can say, and no text: it must be refused, or be printed as something equal."""
    x, z = Reference("x"), Reference("z")
    return {
        "an empty vector": lambda g: g.node("y", dist.Dirichlet([]), plate="i"),
        "an empty matrix": lambda g: g.node("y", dist.MvNormal(0, []), plate="i"),
        "an empty table": lambda g: g.node("y", dist.Table(z, {}), values_in="k"),
        "rows without parents": lambda g: g.node("y", dist.Table({"a": [1]}), values_in="k"),
        "a tuple of one": lambda g: g.joint(["y"], dist.MvNormal(0, [[1]]), plate="i"),
        "a level that is a truth value": lambda g: g.node("y", x[True]),
        "a fractional level": lambda g: g.plate("j", levels=[0.5]),
        "half a lag": lambda g: g.node("y", x[PlateName("i") - 1.5], plate="i"),  # type: ignore[operator]
        "infinity": lambda g: g.node("y", dist.Normal(float("inf"), 1)),
        "no number": lambda g: g.constant("c", float("nan")),
        "a name with a backquote": lambda g: g.parameter("a`b"),
        "an empty name": lambda g: g.parameter(" "),
        "a name of two lines": lambda g: g.plate("a\nb"),
        "a broken character": lambda g: g.plate("j", levels=["\ud800"]),
        "no plate to sum over": lambda g: g.node("y", Reduction("sum", x["a"], ())),
        "an unknown operator": lambda g: g.node("y", Binary("%", x["a"], x["a"])),
        "an unknown reduction": lambda g: g.node("y", Reduction("max", x["a"], ("k",))),
        "an unknown domain": lambda g: g.parameter("p", plate="i", domain="increasing"),
    }


@pytest.mark.parametrize("odd", odd_models())
def test_what_has_no_text_is_refused(odd: str):
    g = Builder("m")
    g.plate("i", ordered=True)
    k = g.plate("k")
    g.covariate("x", plate="i")
    g.covariate("z", values_in=k)
    assert g.dag.nodes
    odd_models()[odd](g)
    with pytest.raises(ModelErrors) as caught:
        _ = g.dag
    assert len(caught.value.exceptions) == 1
    assert all(e.hint for e in caught.value.exceptions)


def test_python_values_have_canonical_trees():
    g = Builder("m")
    g.node("y", dist.Normal(-1.5, np.float64(2)))
    g.node("z", ex.Number(-3) + ex.Number(-0.0))
    g.parameter("p", domain=st.Domain("interval"))
    assert read(str(g)) == g.dag
    g.constant("c", np.float64(0.1))
    g.node("w", dist.Normal(np.int64(3), np.array(0.5)))
    assert read(str(g)) == g.dag
    text = "y ~ Normal(-1.5, 2.0)\nz = -3 + 0.0\nparameter p\nconstant c = 0.1\nw ~ Normal(3, 0.5)\n"
    assert str(g) == f"model m\n\n{text}"


@pytest.mark.parametrize(
    "call",
    [
        lambda g: g.node("y", "a + b", observed=True),
        lambda g: g.constant("c", "text"),
        lambda g: g.joint(["a", "b"], "exp(x)"),
        lambda g: g.covariance("a + b", "c", 1),
    ],
)
def test_misuse_is_refused_at_once(call):
    with pytest.raises(DagmodelsError):
        call(Builder("m"))
