"""The registry: names, signatures, suggestions, and that looking one up loads no heavy library."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import dagmodels.distributions as distributions
from dagmodels.distributions import WRAPPERS, families, family
from dagmodels.errors import ModelError

SIGNATURES = """
Normal(mu, sigma) StudentT(nu, mu, sigma) Laplace(mu, b) Logistic(mu, s) HalfNormal(sigma) HalfCauchy(beta)
HalfStudentT(nu, sigma) Cauchy(alpha, beta) Exponential(lam) Gamma(alpha, beta) InverseGamma(alpha, beta)
LogNormal(mu, sigma) Weibull(alpha, beta) Beta(alpha, beta) Uniform(lower, upper) Bernoulli(p) Binomial(n, p)
BetaBinomial(n, alpha, beta) Poisson(mu) NegativeBinomial(mu, alpha) Geometric(p) Categorical(p)
OrderedLogistic(eta, cutpoints) OrderedProbit(eta, cutpoints, sigma) OrderedCloglog(eta, cutpoints)
ZeroInflatedPoisson(psi, mu) ZeroInflatedBinomial(psi, n, p) ZeroInflatedNegativeBinomial(psi, mu, alpha)
HurdlePoisson(psi, mu) HurdleNegativeBinomial(psi, mu, alpha) Wald(mu, lam)
Multinomial(n, p) Dirichlet(a) MvNormal(mu, cov) MvStudentT(nu, mu, scale) Simultaneous(mu, B, cov)
Wishart(nu, V) InverseWishart(nu, Psi) LKJCorr(eta) VonMises(mu, kappa) Pareto(alpha, m) Flat() HalfFlat()
FisherF(nu1, nu2) NoncentralChiSquared(nu, lam) Hypergeometric(n1, n2, m, psi)
GeneralizedGamma(alpha, beta, power)
NPMLE(points) GModel(df, c0, points) Unimodal(mode, nullweight, points)
"""


def test_names_and_signatures():
    shown = {f"{m.name}({', '.join(a.name for a in m.parameters)})" for m in families().values()}
    assert shown == {s.strip() + ")" for s in SIGNATURES.split(")") if s.strip()}


def test_each_file_holds_the_family_of_its_name():
    folder = Path(distributions.__file__).parent
    for name, member in families().items():
        assert member is family(name)
        assert member.doc
        stem = inspect.getmodule(member.log_density).__name__.rsplit(".", 1)[1]
        path = folder / ((name.lower() if member.estimated else stem) + ".py")
        assert path.stem.replace("_", "") == name.lower()
        assert f'name="{name}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("Nomal", "Normal"), ("normal", "Normal"), ("Gama", "Gamma"), ("truncate", "Truncated")],
)
def test_a_misspelt_name_gets_a_suggestion(wrong: str, right: str):
    with pytest.raises(ModelError, match=f"'{wrong}'") as caught:
        family(wrong)
    assert right in str(caught.value.hint)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ModelError) as caught:
        family("zzzz")
    assert "Bernoulli" in str(caught.value.hint)
    assert "Wishart" in str(caught.value.hint)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_is_no_family(name: str):
    with pytest.raises(ModelError, match="wraps"):
        family(name)


@pytest.mark.parametrize("name", ["supports", "truncated", "Family", "_numeric", "numeric", ""])
def test_helper_modules_are_no_families(name: str):
    with pytest.raises(ModelError):
        family(name)


def test_alternatives_and_signatures_name_canonical_parameters():
    for member in families().values():
        names = {a.name for a in member.parameters}
        for alternative, (target, _) in member.alternatives.items():
            assert target in names
            assert alternative not in names
        for spelled in member.direct:
            known = names | set(member.alternatives) | {n for s in member.signatures for n in s}
            assert set(spelled) <= known


def test_the_registry_loads_no_scientific_library():
    code = (
        "import sys, dagmodels.distributions as d; d.families(); import dagmodels.graph.calculus;"
        "from dagmodels.distributions import _numeric, supports, truncated, censored, ordered, mixture;"
        "print([m for m in ('scipy', 'numba', 'pandas', 'networkx', 'lark') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_documentation_lists_every_family_with_its_parameters():
    text = (Path(__file__).parents[2] / "docs" / "distributions.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [c.strip() for c in line.strip("|").split("|")]
            name = cells[0].split("`")[1]
            rows[name] = (
                cells[0].endswith("#"),
                [p.split(" =")[0].strip() for p in cells[1].split(",") if p.strip()],
            )
    assert set(rows) == set(families())
    for name, (discrete, parameters) in rows.items():
        member = family(name)
        assert discrete == member.discrete
        assert parameters == [a.name for a in member.parameters]
