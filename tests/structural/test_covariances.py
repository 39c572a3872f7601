"""Covariance matrices in place of rows: the same fits, checked input, published matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
NAMES = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


def _same(a, b, columns=("estimate", "se", "std_all")):
    assert list(a.estimates["lhs"]) == list(b.estimates["lhs"])
    for column in columns:
        np.testing.assert_allclose(a.estimates[column], b.estimates[column], rtol=1e-6, atol=1e-8)
    for key, value in a.measures.items():
        assert b.measures[key] == pytest.approx(value, rel=1e-7, abs=1e-7, nan_ok=True), key


@pytest.mark.parametrize("means", [False, True])
def test_the_fit_of_rows_from_their_covariances(pupils, means):
    s, n = pupils[NAMES].cov(), len(pupils)
    more = {"sample_mean": pupils[NAMES].mean(), "meanstructure": True} if means else {}
    _same(dm.cfa(FACTORS, sample_cov=s, sample_nobs=n, **more), dm.cfa(FACTORS, pupils, meanstructure=means))


def test_covariates_and_defined_quantities(pupils):
    text = "x3 ~ b*x2 + x1\nx2 ~ a*x1\nindirect := a*b"
    mixed = [*NAMES[::-1]]
    a = dm.sem(text, sample_cov=pupils[mixed].cov(), sample_nobs=len(pupils))
    _same(a, dm.sem(text, pupils))
    boot = a.bootstrap(50, kind="parametric")
    assert not boot.failures
    with pytest.raises(dm.ModelErrors) as error:
        a.bootstrap(50)
    assert "without rows" in str(error.value.exceptions[0])


@pytest.mark.parametrize("equal", [[], ["loadings", "intercepts"]])
def test_groups(pupils, equal):
    parts = {str(k): g for k, g in pupils.groupby("school", sort=False)}
    given = {
        "sample_cov": [g[NAMES].cov() for g in parts.values()],
        "sample_mean": [g[NAMES].mean() for g in parts.values()],
        "sample_nobs": [len(g) for g in parts.values()],
        "group_label": list(parts),
    }
    a = dm.cfa(FACTORS, group_equal=equal, **given)
    _same(a, dm.cfa(FACTORS, pupils, group="school", group_equal=equal))
    assert list(dict.fromkeys(a.estimates["group"])) == list(parts)


def test_triangles_and_scales(pupils):
    s = pupils[NAMES].cov()
    a = dm.cfa(FACTORS, sample_cov=s, sample_nobs=301)
    triangle = s.where(np.tri(9, dtype=bool))
    _same(dm.cfa(FACTORS, sample_cov=triangle, sample_nobs=301), a)
    text = "\n".join(" ".join(f"{v:.15g}" for v in s.to_numpy()[i, : i + 1]) for i in range(9))
    _same(dm.cfa(FACTORS, sample_cov=dm.get_cov(text, NAMES), sample_nobs=301), a)
    sd = np.sqrt(np.diag(s))
    below = [list((s / np.outer(sd, sd)).to_numpy()[i, :i]) for i in range(1, 9)]
    _same(dm.cfa(FACTORS, sample_cov=dm.get_cov(below, NAMES, diagonal=False, sds=sd), sample_nobs=301), a)
    plain = dm.cfa(FACTORS, sample_cov=s * 300 / 301, sample_nobs=301, sample_cov_rescale=False)
    _same(plain, a)


def test_published_stability_of_alienation():
    """Wheaton et al. (1977) as in Joereskog and Soerbom: chi-square 4.73 on 4, stability 0.607 (0.051)."""
    lower = """
      11.834
       6.947   9.364
       6.819   5.091  12.532
       4.783   5.028   7.495   9.986
      -3.839  -3.889  -3.841  -3.625  9.610
     -21.899 -18.831 -21.748 -18.775 35.522 450.288
    """
    s = dm.get_cov(lower, "anomia67 powerless67 anomia71 powerless71 education sei")
    text = """
      ses =~ education + sei
      alien67 =~ anomia67 + powerless67
      alien71 =~ anomia71 + powerless71
      alien71 ~ alien67 + ses
      alien67 ~ ses
      anomia67 ~~ anomia71
      powerless67 ~~ powerless71
    """
    fit = dm.sem(text, sample_cov=s, sample_nobs=932)
    assert fit.measures["chisq"] == pytest.approx(4.735, abs=1e-3)
    assert fit.measures["df"] == 4
    e = fit.estimates.set_index(["lhs", "op", "rhs"])
    assert e.loc[("alien71", "~", "alien67"), "estimate"] == pytest.approx(0.607, abs=5e-4)
    assert e.loc[("alien71", "~", "alien67"), "se"] == pytest.approx(0.051, abs=5e-4)
    assert e.loc[("alien67", "~", "ses"), "estimate"] == pytest.approx(-0.575, abs=5e-4)


def test_faults_are_named_all_at_once(pupils):
    s = pupils[NAMES].cov()

    def told(**options):
        with pytest.raises(dm.ModelErrors) as error:
            dm.cfa(FACTORS, **{"sample_cov": s, "sample_nobs": 301, **options})
        return "\n".join(map(str, error.value.exceptions))

    skew = s.copy()
    skew.loc["x1", "x2"] += 0.1
    flat = s.copy()
    flat["x9"] = flat["x8"]
    flat.loc["x9"] = flat.loc["x8"]
    flat.loc["x9", "x9"] = flat.loc["x8", "x8"]
    assert "not symmetric at 'x1' and 'x2'" in told(sample_cov=skew)
    assert "not positive definite, along 'x" in told(sample_cov=flat)
    assert "did you mean" in told(sample_cov=s.rename(columns={"x9": "x99"}, index={"x9": "x99"}))
    assert "does not name its variables" in told(sample_cov=s.to_numpy())
    assert "sample_nobs is missing" in told(sample_nobs=None)
    assert "sample_nobs is 0" in told(sample_nobs=0)
    assert "sample_mean has 3 numbers" in told(sample_mean=[1, 2, 3])
    assert "sample_mean is missing" in told(meanstructure=True)
    assert "both data and sample_cov" in told(data=pupils)
    assert "does not fit 2 groups" in told(sample_cov=[s, s])
    assert "variance of 'x1'" in told(sample_cov=s - 10 * np.eye(9))
    with pytest.raises(dm.ModelErrors):
        dm.get_cov("1 2 3 4")


def test_covariances_do_not_tell_robust_errors() -> None:
    S = np.array([[2.0, 0.8, 0.7], [0.8, 1.5, 0.6], [0.7, 0.6, 1.2]])
    frame = pd.DataFrame(S, index=list("abc"), columns=list("abc"))
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa("f =~ a + b + c", sample_cov=frame, sample_nobs=100, estimator="MLR")
    assert "fourth moments" in str(error.value.exceptions[0])
