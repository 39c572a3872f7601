"""Likelihood-ratio tests against lme4's table; explained variance against closed forms."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from tests.mixed.cases import data, reference, refused

SLOPES, PLAIN = "Reaction ~ Days + (Days | Subject)", "Reaction ~ Days + (1 | Subject)"


def test_the_table_is_lme4s():
    """lme4's criteria of both fits; its printed table has Chisq 42.139, Df 2, p 7.072e-10."""
    small = dm.lmer(PLAIN, data("sleepstudy"), REML=False)
    large = dm.lmer(SLOPES, data("sleepstudy"), REML=False)
    told = dm.anova(large, small)
    assert told.columns.tolist() == ["npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"]
    assert told.index.tolist() == ["fit2", "fit1"]
    assert told.attrs["models"] == {"fit2": PLAIN, "fit1": SLOPES}
    fits = reference("sleepstudy")["fits"]
    for row, name in (("fit2", "ML_intercept"), ("fit1", "ML")):
        want = fits[name]["reference"]
        np.testing.assert_allclose(
            told.loc[row, ["npar", "AIC", "BIC", "logLik", "deviance"]].astype(float),
            [want["df"], want["AIC"], want["BIC"], want["logLik"], want["minus2logLik"]],
            rtol=1e-7,
        )
    assert told["Chisq"].round(3).tolist()[1] == 42.139
    assert told["Df"].tolist()[1] == 2
    assert f"{told['Pr(>Chisq)'].tolist()[1]:.3e}" == "7.072e-10"
    assert math.isnan(told["Chisq"].tolist()[0])


def test_reml_fits_are_repeated_by_ml_and_say_so():
    fits = [dm.lmer(f, data("sleepstudy")) for f in (PLAIN, SLOPES)]
    with pytest.warns(dm.FitWarning, match=r"refitting model\(s\) with ML \(instead of REML\)"):
        told = dm.anova(*fits)
    want = dm.anova(*(dm.lmer(f, data("sleepstudy"), REML=False) for f in (PLAIN, SLOPES)))
    np.testing.assert_allclose(told, want, rtol=1e-8)
    large = dm.lmer(SLOPES, data("sleepstudy"), REML=False)
    with pytest.warns(dm.FitWarning, match="refitting"):
        mixed = dm.anova(fits[0], large)
    np.testing.assert_allclose(mixed, want, rtol=1e-8)
    assert [f.naming.reml for f in fits] == [True, True]


def test_refitting_keeps_weights_offsets_contrasts_and_missing_responses():
    d = data("sleepstudy").assign(w=lambda d: 1 + d.Days % 3, o=lambda d: 2.0 * d.Days)
    d["Group"] = np.where(d.Subject % 2, "odd", "even")
    d.loc[5, "Reaction"] = np.nan
    options = {"weights": "w", "offset": "o", "contrasts": {"Group": "contr.sum"}}
    formulas = (PLAIN, "Reaction ~ Days*Group + poly(Days, 2) + (1 | Subject)")
    with pytest.warns(dm.FitWarning, match="dropping"):
        fits = [dm.lmer(f, d, REML=reml, **options) for reml in (True, False) for f in formulas]
    with pytest.warns(dm.FitWarning, match="refitting"):
        told = dm.anova(*fits[:2])
    want = dm.anova(*fits[2:])
    np.testing.assert_allclose(told, want, rtol=1e-7)


def test_restricted_likelihoods_are_compared_where_fixed_parts_are_the_same():
    fits = [dm.lmer(f, data("sleepstudy")) for f in (PLAIN, SLOPES)]
    told = dm.anova(*fits, refit=False)
    assert told["Chisq"].tolist()[1] == pytest.approx(2 * (fits[1].log_likelihood - fits[0].log_likelihood))
    other = dm.lmer("Reaction ~ 1 + (1 | Subject)", data("sleepstudy"))
    with refused("restricted likelihoods of models with different fixed parts"):
        dm.anova(other, fits[0], refit=False)
    with refused("restricted likelihoods"):
        dm.anova(fits[0], dm.lmer(PLAIN, data("sleepstudy"), REML=False), refit=False)


def test_glmer_fits_are_compared():
    d = data("cbpp")
    fits = [
        dm.glmer(f"cbind(incidence, size - incidence) ~ {rest} + (1 | herd)", d) for rest in ("1", "period")
    ]
    told = dm.anova(*fits)
    gain = 2 * (fits[1].log_likelihood - fits[0].log_likelihood)
    assert told["Chisq"].tolist()[1] == pytest.approx(gain)
    assert told["Pr(>Chisq)"].tolist()[1] == pytest.approx(stats.chi2.sf(gain, 3))


def test_one_fit_gives_its_own_table():
    fit = dm.lmer(PLAIN, data("sleepstudy"))
    assert dm.anova(fit).equals(fit.anova())


def test_unlike_fits_are_refused():
    d = data("sleepstudy")
    fit = dm.lmer(PLAIN, d, REML=False)
    with refused("fit 2 has 170 observations, the first one 180"):
        dm.anova(fit, dm.lmer(SLOPES, d[:170], REML=False))
    with refused("the response of fit 2 is not that of the first one"):
        dm.anova(fit, dm.lmer("log(Reaction) ~ Days + (1 | Subject)", d, REML=False))
    with refused("the weights of fit 2 are not those of the first one"):
        dm.anova(fit, dm.lmer(SLOPES, d, REML=False, weights=1.0 + d.Days))
    with refused("the response of fit 2", "fit 2 is of another family"):
        counts = {"n": np.arange(180) % 7, "Subject": d.Subject}
        dm.anova(fit, dm.glmer("n ~ 1 + (1 | Subject)", counts, "poisson"))
    with refused("str is no fit of lmer or glmer"):
        dm.anova(fit, "fit")
    with refused("there is no fit"):
        dm.anova()


def test_r2_of_sleepstudy():
    """MuMIn's r.squaredGLMM and performance's r2 print 0.279 and 0.799 for this fit."""
    fit = dm.lmer(SLOPES, data("sleepstudy"))
    found = fit.r2()
    assert {k: round(v, 3) for k, v in found.items()} == {"marginal": 0.279, "conditional": 0.799}
    v = fit.VarCorr()["vcov"]
    days = np.arange(10)
    random = v[0] + 2 * v[2] * days.mean() + v[1] * (days**2).mean()
    fixed = np.var(fit.fixef()["Days"] * np.tile(days, 18), ddof=1)
    total = fixed + random + v[3]
    np.testing.assert_allclose(list(found.values()), [fixed / total, (fixed + random) / total], rtol=1e-9)


def test_intraclass_correlations_of_a_balanced_one_way_layout():
    """(MSB - MSW) / (MSB + (k - 1) MSW), Fisher's; the design effect of clusters of k is 1 + (k - 1) icc."""
    d = data("pastes").rename(columns={"batch": "g"})
    k = 6
    fit = dm.lmer("strength ~ 1 + (1 | g)", d)
    means = d.groupby("g")["strength"].transform("mean")
    between = ((means - d.strength.mean()) ** 2).sum() / 9
    within = ((d.strength - means) ** 2).sum() / 50
    want = (between - within) / (between + (k - 1) * within)
    told = fit.icc()
    np.testing.assert_allclose(
        told.loc["g"], [fit.VarCorr()["vcov"][0], want, k, 1 + (k - 1) * want], rtol=1e-5
    )
    assert told["icc"].sum() == pytest.approx(1)
    assert told.index.tolist() == ["g", "Residual"]


def test_design_effects_count_clusters_by_their_rows():
    d = pd.DataFrame({"g": np.repeat(np.arange(5), [1, 2, 3, 4, 10]), "y": np.sin(np.arange(20.0)) + 0})
    d["y"] += np.repeat([0.0, 2, -1, 3, 1], [1, 2, 3, 4, 10])
    row = dm.lmer("y ~ 1 + (1 | g)", d).icc().loc["g"]
    assert row["cluster_size"] == pytest.approx((1 + 4 + 9 + 16 + 100) / 20)
    assert row["design_effect"] == pytest.approx(1 + (row["cluster_size"] - 1) * row["icc"])


def test_explained_variance_of_other_families():
    d = data("cbpp")
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", d)
    random = fit.VarCorr()["vcov"][0]
    fixed = np.var(fit.predict(re_form="NA", type="link"), ddof=1)
    total = fixed + random + math.pi**2 / 3
    np.testing.assert_allclose(list(fit.r2().values()), [fixed / total, (fixed + random) / total], rtol=1e-9)
    assert fit.icc().loc["herd", "icc"] == pytest.approx(random / (random + math.pi**2 / 3))
    counts = dm.glmer("incidence ~ period + offset(log(size)) + (1 | herd)", d, "poisson")
    random = counts.VarCorr()["vcov"][0]
    mean = (counts.predict(re_form="NA") * math.exp(random / 2)).mean()
    assert counts.icc().loc["Residual", "variance"] == pytest.approx(math.log1p(1 / mean))
    odd = replace(counts, naming=replace(counts.naming, link="sqrt"))
    with refused("no variance on the scale of the link is known for poisson responses with link 'sqrt'"):
        odd.r2()


def test_fits_with_tests_pickle():
    fit = dm.lmer(SLOPES, data("sleepstudy"))
    again = pickle.loads(pickle.dumps(fit))
    assert again.anova("III", "KR").equals(fit.anova("III", "KR"))
    assert again.emmeans("Days").table.equals(fit.emmeans("Days").table)
