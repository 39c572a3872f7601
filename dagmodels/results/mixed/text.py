"""The summary of a mixed model in lme4's layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.mixed.ddf import method_name
from dagmodels.results.mixed.rformat import abbreviate, r_format, r_pvalues, zapsmall
from dagmodels.results.mixed.structure import printed
from dagmodels.results.mixed.tests import contrast_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dagmodels.results.mixed.fit import MixedFit

DIGITS = 4
MOST_CORRELATED = 12  # lme4 prints correlations of at most so many coefficients


def summary(fit: MixedFit, ddf: str | None = None) -> str:
    """Header, criterion, scaled residuals, random effects, fixed effects, and what is to be known."""
    parts = [header(fit, method_name(ddf)), criterion(fit), residuals(fit), random_effects(fit)]
    if fit.naming.structure is not None:
        parts.append(printed(fit.naming.structure, fit.components))
    if fit.naming.coefficients:
        parts.append(fixed_effects(fit, ddf))
        if 1 < len(fit.naming.coefficients) <= MOST_CORRELATED:
            parts.append(correlations(fit))
    blocks = (
        ("threshold", "Threshold coefficients:"),
        ("zi", "Zero-inflation model (logit of a structural zero):"),
        ("disp", f"Dispersion model (log of {_spread_name(fit)}):"),
    )
    parts.extend(extra_coefficients(fit, kind, title) for kind, title in blocks)
    parts.append(dispersion(fit))
    return "\n\n".join(p for p in (*parts, endings(fit)) if p)


def header(fit: MixedFit, ddf: str | None = None) -> str:
    naming = fit.naming
    if naming.call == "lmer":
        how = "REML" if naming.reml else "maximum likelihood "
        if ddf is not None:
            told = f"Linear mixed model fit by {how.strip()}. t-tests use {ddf}'s method ['lmerModLmerTest']"
            return f"{told}\nFormula: {naming.formula}"
        return f"Linear mixed model fit by {how} ['lmerMod']\nFormula: {naming.formula}"
    how = "REML" if naming.reml else "maximum likelihood"
    title = f"Generalized linear mixed model fit by {how} (Laplace\n  Approximation)"
    if "Laplace" not in fit.method:
        title = f"Generalized linear mixed model fit by {fit.method}"
    return f"{title} ['glmerMod']\n Family: {naming.family}  ( {naming.link} )\nFormula: {naming.formula}"


def criterion(fit: MixedFit) -> str:
    measures = fit.measures
    if "REML" in measures:
        return f"REML criterion at convergence: {round(measures['REML'], 1):.7g}"
    if "partly_restricted" in measures:
        value = round(measures["partly_restricted"], 1)
        return f"REML criterion at convergence (over the coefficients of the mean alone): {value:.7g}"
    if fit.log_likelihood is None:
        return ""
    numbers = [measures["aic"], measures["bic"], fit.log_likelihood, -2 * fit.log_likelihood]
    values = [*(f"{v:.1f}" for v in numbers), f"{measures['df_resid']:.0f}"]
    names = ("AIC", "BIC", "logLik", "deviance", "df.resid")
    width = max(map(len, (*names, *values)))
    return "\n".join(" ".join(cell.rjust(width) for cell in line) for line in (names, values))


def extra_coefficients(fit: MixedFit, kind: str, title: str) -> str:
    """Cut points, or coefficients of another predictor than the mean's; those with Wald tests."""
    at = [i for i, r in enumerate(fit.components) if r.kind == kind]
    if not at:
        return ""
    lead = "" if kind == "threshold" else f"{kind}~"
    names = ["", *(fit.components[i].name.removeprefix(lead) for i in at)]
    estimate = np.array([fit.components[i].estimate for i in at])
    se = np.sqrt(np.maximum(np.diag(fit.sampling_covariance)[at], 0.0))  # nan stays nan
    texts = r_format([round(float(v), DIGITS) for v in (*estimate, *se)], DIGITS)
    k = len(at)
    with np.errstate(divide="ignore"):
        z = (estimate / se).tolist()
    columns = [["Estimate", *texts[:k]], ["Std. Error", *texts[k:]]]
    columns.append(["z value", *r_format([round(v, DIGITS - 1) for v in z], DIGITS)])
    if kind != "threshold":
        p = [math.erfc(abs(v) / math.sqrt(2)) for v in z]
        columns.append(["Pr(>|z|)", *r_pvalues(p, DIGITS - 1)])
    return "\n".join((title, *_right(names, columns)))


def dispersion(fit: MixedFit) -> str:
    """The family's own parameters, but for a Normal residual, which stands among the random effects."""
    rows = [r for r in fit.components if r.kind in ("dispersion", "shape")]
    if not rows:
        return ""
    told = ", ".join(f"{r.name} = {r.estimate:.{DIGITS}g}" for r in rows)
    return f"Parameter{'s' if len(rows) > 1 else ''} of the {fit.naming.family} family: {told}"


def _spread_name(fit: MixedFit) -> str:
    """What the dispersion model is of."""
    named = {"gaussian": "sigma", "t": "sigma", "nbinom1": "dispersion", "truncated_nbinom1": "dispersion"}
    named |= dict.fromkeys(("Gamma", "inverse.gaussian"), "shape")
    return named.get(fit.naming.family, "phi" if "beta" in fit.naming.family else "theta")


def residuals(fit: MixedFit) -> str:
    """Quartiles of the residuals, divided by their standard deviations; grades have none."""
    if fit.naming.levels:
        return ""
    scaled = fit.residuals("scaled")
    finite = scaled[np.isfinite(scaled)]
    if not finite.size:  # a separated outcome: every row is predicted without error
        return ""
    values = r_format(zapsmall(_quartiles(finite), DIGITS + 1), DIGITS)
    names = ("Min", "1Q", "Median", "3Q", "Max")
    width = max(map(len, (*names, *values)))
    lines = (" ".join(cell.rjust(width) for cell in line) + " " for line in (names, values))
    return "Scaled residuals: \n" + "\n".join(lines)


def _quartiles(x: NDArray[np.float64]) -> list[float]:
    """Ends, quartiles and median as R has them (type 7; Hyndman and Fan 1996, Am. Stat. 50, 361-365)."""
    ordered = np.sort(x)
    found = []
    for quarter in range(5):
        place, rest = divmod((x.size - 1) * quarter, 4)
        low, high = ordered[place], ordered[min(place + 1, x.size - 1)]
        found.append(float(low + (high - low) * (rest / 4)))
    return found


def random_effects(fit: MixedFit) -> str:
    rows = fit.components
    spreads = [r for r in rows if r.kind in ("sd", "sigma")]
    variances = r_format([r.estimate**2 for r in spreads], DIGITS)
    deviations = r_format([r.estimate for r in spreads], DIGITS)
    most = max((len(t.effects) for t in fit.naming.terms if t.structure != "scalar"), default=1)
    cells: list[list[str]] = [
        ["Groups", "Name", "Variance", "Std.Dev.", *(["Corr"] + [""] * (most - 2))[: most - 1]]
    ]
    decimals = max(2, DIGITS - 2)
    at = 0
    previous = None
    for term in fit.naming.terms:
        for j, effect in enumerate(term.effects):
            cors = [r for r in rows if r.kind == "cor" and r.group == term.group]
            width = decimals + 2 + any(r.estimate < 0 for r in cors)
            told = [f"{r.estimate:{width}.{decimals}f}" for r in cors if r.term2 == effect]
            told_group = term.group if term.part == "cond" else f"{term.group} ({term.part})"
            group = told_group if (term.group, j) != (previous, j) and j == 0 else ""
            cells.append([group, effect, variances[at], deviations[at], *told])
            at += 1
        previous = term.group
    if fit.naming.of_kind("sigma"):
        cells.append(["Residual", "", variances[at], deviations[at]])
    counts = dict.fromkeys(t.factor for t in fit.naming.terms)
    sizes = {t.factor: len(t.levels) for t in fit.naming.terms}
    groups = "; ".join(f"{g}, {sizes[g]}" for g in counts)
    lines = "\n".join(" " + line for line in _left(cells))
    text = f"Random effects:\n{lines}\nNumber of obs: {fit.n_observations}, groups:  {groups}"
    lost = fit.n_missing
    if lost:
        text += f"\n{lost} missing response{'s' if lost > 1 else ''} predicted, not counted"
    return text


def fixed_effects(fit: MixedFit, ddf: str | None = None) -> str:
    """Coefficients as lme4 prints them; with degrees of freedom as lmerTest does."""
    names = ["", *fit.naming.coefficients]
    is_lmer = fit.naming.call == "lmer"
    rows = len(fit.naming.coefficients)
    told = contrast_columns(fit.judge(ddf), fit.beta, np.eye(rows))
    spread = [told["estimate"], told["se"], *([] if ddf is None else [told["df"]])]
    every = [v for column in spread for v in column]
    sizes = [abs(v) for v in every if math.isfinite(v) and v != 0]
    least = 1 + math.floor(math.log10(min(sizes))) if sizes else 0
    texts = r_format([round(v, max(1, DIGITS - least)) for v in every], DIGITS)
    heads = ("Estimate", "Std. Error", "df")
    columns = [[heads[i], *texts[i * rows : (i + 1) * rows]] for i in range(len(spread))]
    ratio = r_format([round(v, DIGITS - 1) for v in told["statistic"]], DIGITS)
    columns.append(["t value" if is_lmer else "z value", *ratio])
    if is_lmer and ddf is None:
        return "Fixed effects:\n" + "\n".join(_right(names, columns))
    p = told["p"]
    columns.append(["Pr(>|t|)" if is_lmer else "Pr(>|z|)", *r_pvalues(p, DIGITS - 1)])
    lines = [f"{line} {_stars(v)}" for line, v in zip(_right(names, columns), [math.nan, *p], strict=True)]
    legend = "---\nSignif. codes:  0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1"
    return "\n".join(("Fixed effects:", *(line.rstrip() for line in lines), legend))


def _stars(p: float) -> str:
    return next((s for limit, s in ((1e-3, "***"), (0.01, "**"), (0.05, "*"), (0.1, ".")) if p < limit), "")


def correlations(fit: MixedFit) -> str:
    """Of the estimated coefficients."""
    names = fit.naming.coefficients
    k = len(names)
    c = fit.sampling_covariance[:k, :k]
    scale = np.sqrt(np.diag(c))
    r = c / np.outer(scale, scale)
    columns = [[n, *("" for _ in range(k - 1))] for n in abbreviate(names, 6)[:-1]]
    for i in range(1, k):
        for j in range(i):
            columns[j][i] = f"{round(r[i, j], 3) + 0.0:6.3f}"  # no minus before zero
    widths = [max(map(len, column)) for column in columns]
    rows = ["", *abbreviate(names, 11)[1:]]
    width = max(map(len, rows))
    lines = []
    for i, row in enumerate(rows):
        cells = (column[i].ljust(w) for column, w in zip(columns, widths, strict=True))
        lines.append(f"{row.ljust(width)} {' '.join(cells)}".rstrip())
    return "Correlation of Fixed Effects:\n" + "\n".join(lines)


def endings(fit: MixedFit) -> str:
    """Certificate, and what else must be read."""
    from dagmodels.results.summary import certificate_line

    return "\n".join((certificate_line(fit), *fit.warnings))


def _left(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells under one another, to the left; short rows are filled."""
    count = max(map(len, rows))
    full = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [max(len(row[j]) for row in full) for j in range(count)]
    return [" ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in full]


def _right(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """Names to the left, cells to the right."""
    width = max(map(len, names))
    widths = [max(map(len, column)) for column in columns]
    return [
        " ".join([name.ljust(width), *(c[i].rjust(w) for c, w in zip(columns, widths, strict=True))])
        for i, name in enumerate(names)
    ]
