"""lavaan's printed summary: header, test, fit measures on request, estimates by kind and group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagmodels.results.sem.estimators import LABELS
from dagmodels.results.sem.naming import SemRow

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

WIDTH = 54
KINDS = (
    ("Latent Variables", "=~"),
    ("Regressions", "~"),
    ("Covariances", "~~"),
    ("Intercepts", "~1"),
    ("Thresholds", "|"),
    ("Variances", "~~"),
    ("Scales y*", "~*~"),
)
RESIDUAL = "Standardized Root Mean Square Residual:"
BLOCKS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Model Test Baseline Model:", (
        ("Test statistic", "baseline_chisq"),
        ("Degrees of freedom", "baseline_df"),
        ("P-value", "baseline_pvalue"),
    )),
    ("User Model versus Baseline Model:", (
        ("Comparative Fit Index (CFI)", "cfi"), ("Tucker-Lewis Index (TLI)", "tli"),
    )),
    ("Loglikelihood and Information Criteria:", (
        ("Loglikelihood user model (H0)", "logl"),
        ("Loglikelihood unrestricted model (H1)", "unrestricted_logl"),
        ("Akaike (AIC)", "aic"),
        ("Bayesian (BIC)", "bic"),
        ("Sample-size adjusted Bayesian (SABIC)", "bic2"),
    )),
    ("Root Mean Square Error of Approximation:", (
        ("RMSEA", "rmsea"),
        ("90 Percent confidence interval - lower", "rmsea_ci_lower"),
        ("90 Percent confidence interval - upper", "rmsea_ci_upper"),
        ("P-value H_0: RMSEA <= 0.050", "rmsea_pvalue"),
        ("P-value H_0: RMSEA >= 0.080", "rmsea_notclose_pvalue"),
    )),
    (RESIDUAL, (("SRMR", "srmr"),)),
)  # fmt: skip
AT_LEVELS = (
    ("SRMR (within covariance matrix)", "srmr_within"), ("SRMR (between covariance matrix)", "srmr_between"),
)  # fmt: skip
COUNTS = {"df", "baseline_df"}
MORE: dict[str, tuple[tuple[str, str], ...]] = {
    "Model Test Baseline Model:": (("Scaling correction factor", "baseline_chisq_scaling_factor"),),
    "User Model versus Baseline Model:": (
        ("Robust Comparative Fit Index (CFI)", "cfi_robust"),
        ("Robust Tucker-Lewis Index (TLI)", "tli_robust"),
    ),
    "Loglikelihood and Information Criteria:": (
        ("Scaling factor user model (H0)", "scaling_factor_h0"),
        ("Scaling factor unrestricted model (H1)", "scaling_factor_h1"),
    ),
    "Root Mean Square Error of Approximation:": (
        ("Robust RMSEA", "rmsea_robust"),
        ("90 Percent confidence interval - lower", "rmsea_ci_lower_robust"),
        ("90 Percent confidence interval - upper", "rmsea_ci_upper_robust"),
        ("P-value H_0: Robust RMSEA <= 0.050", "rmsea_pvalue_robust"),
        ("P-value H_0: Robust RMSEA >= 0.080", "rmsea_notclose_pvalue_robust"),
    ),
}  # fmt: skip


def summary(
    fit: SemFit, fit_measures: bool = False, standardized: bool = False, rsquare: bool = False
) -> str:
    """The text; the arguments add what lavaan's arguments of these names add."""
    lines = [
        *_header(fit),
        "",
        "Model Test User Model:",
        "" if fit.scaled is None else _two("", "Standard", "Scaled"),
    ]
    lines += _test(fit)
    if fit.resampled_test is not None:
        lines[-1] = _entry("P-value (Bollen-Stine bootstrap)", _number(fit.measures["pvalue"]))
    if fit_measures:
        for title, entries in BLOCKS:
            chosen = AT_LEVELS if title == RESIDUAL and fit.naming.levels else entries
            known = [(label, key) for label, key in chosen if key in fit.measures]
            if not known:
                continue
            lines += ["", title, ""]
            lines += [_measure(fit, label, key) for label, key in known]
            lines += _robust_lines(fit.measures, title)
    lines += ["", "Parameter Estimates:", ""]
    lines += _errors(fit)
    for g, label in enumerate(fit.naming.groups):
        if len(fit.naming.groups) > 1:
            lines += ["", "", f"Group {g + 1} [{label}]:"]
        for level in range(1, len(fit.naming.levels) + 1) or (0,):
            if level:
                lines += ["", "", f"Level {level} [{fit.naming.level_titles[level - 1]}]:"]
            lines += _group(fit, g, level, standardized)
            if rsquare:
                lines += _r2(fit, g, level)
    lines += _rows(
        fit, "Defined Parameters", [i for i, r in enumerate(fit.naming.rows) if r.op == ":="], standardized
    )
    lines += ["", _certificate(fit)]
    lines += [f"Warning: {w}" for w in fit.warnings]
    return "\n".join(lines)


def _header(fit: SemFit) -> Iterator[str]:
    state = "ended normally" if fit.converged else "did NOT end normally"
    yield f"dagmodels {state} after {fit.diagnostics['iterations']} iterations"
    yield ""
    yield _entry("Estimator", fit.naming.choice.weighting or fit.naming.estimator)
    yield _entry("Number of model parameters", str(fit.n_parameters))
    yield ""
    groups = fit.naming.groups
    if fit.given_rows > fit.n_observations:
        yield _two("", "Used", "Total")
        yield _two("Number of observations", str(fit.n_observations), str(fit.given_rows))
    if len(groups) == 1:
        if fit.given_rows <= fit.n_observations:
            yield _entry("Number of observations", str(fit.n_observations))
    else:
        yield "  Number of observations per group:"
        for label, n in _rows_of_groups(fit):
            yield _entry(f"  {label}", str(n))
    if fit.naming.levels:
        yield _entry(f"Number of clusters [{fit.naming.choice.cluster}]", f"{fit.measures['nclusters']:.0f}")
    if not fit.solution.form.sample.complete:
        yield _entry("Number of missing patterns", str(len(fit.solution.form.sample.n)))


def _test(fit: SemFit) -> Iterator[str]:
    m = fit.measures
    yield _measure(fit, "Test statistic", "chisq")
    yield _measure(fit, "Degrees of freedom", "df")
    if m["df"] > 0:
        yield _measure(fit, "P-value (Chi-square)", "pvalue")
    if fit.scaled is not None:
        yield _two("Scaling correction factor", "", _number(m["chisq_scaling_factor"]))
        if fit.scaled.test == "scaled.shifted":
            yield from _shift(fit)
        yield f"    {LABELS[fit.scaled.test]}"


def _shift(fit: SemFit) -> Iterator[str]:
    """The shift, and of several groups the part of each, in proportion to its rows."""
    assert fit.scaled is not None
    shift, groups = fit.scaled.of_model(fit.comparison).shift, fit.naming.groups
    yield _two("Shift parameter", "", _number(shift))
    if len(groups) > 1:
        rows = [float(n) for _, n in _rows_of_groups(fit)]
        for label, n in zip(groups, rows, strict=True):
            yield _two(f"  for group [{label}]", "", _number(shift * n / sum(rows)))


def _rows_of_groups(fit: SemFit) -> Iterator[tuple[str, int]]:
    sample = fit.solution.form.sample
    for g, label in enumerate(fit.naming.groups):
        yield label, int(sample.n[sample.group == g].sum())


def _measure(fit: SemFit, label: str, key: str) -> str:
    """A measure, with the scaled one in a second column."""
    m, whole = fit.measures, key in COUNTS
    if fit.scaled is None:
        return _entry(label, _number(m[key], whole))
    second = m.get(f"{key}_scaled", m[key])
    return _two(label, _number(m[key], whole), _number(second, whole and second == round(second)))


def _robust_lines(m: Mapping[str, float], title: str) -> Iterator[str]:
    """What follows a block where there are scaled measures."""
    if "chisq_scaled" not in m:
        return
    for label, key in MORE.get(title, ()):
        if key in m:
            yield _two(label, "", _number(m[key]))


def _ordered(fit: SemFit) -> set[str]:
    """Names of variables that have thresholds."""
    return {r.lhs for r in fit.naming.rows if r.op == "|"}


def _errors(fit: SemFit) -> Iterator[str]:
    if fit.resampled is not None:
        asked, failed = len(fit.resampled.draws), len(fit.resampled.failures)
        yield _entry("Standard errors", "Bootstrap")
        yield _entry("Number of requested bootstrap draws", str(asked))
        yield _entry("Number of successful bootstrap draws", str(asked - failed))
        return
    if _ordered(fit):
        yield _entry("Parameterization", "Delta" if fit.naming.delta else "Theta")
    choice = fit.naming.choice
    words = {"standard": "Standard", "robust.huber.white": "Sandwich"}
    yield _entry("Standard errors", words.get(choice.se, choice.se.capitalize()))
    yield _entry(
        "Information" if choice.se == "standard" else "Information bread", fit.naming.information.capitalize()
    )


def _two(label: str, first: str, second: str) -> str:
    return f"{_entry(label, first)}{second:>12}"


def _entry(label: str, value: str) -> str:
    return f"  {label}{value:>{max(1, WIDTH - 2 - len(label))}}"


def _number(value: float, whole: bool = False) -> str:
    if value is None or math.isnan(value):
        return "NA"
    return str(round(value)) if whole else f"{value:.3f}"


def _group(fit: SemFit, g: int, level: int, standardized: bool) -> Iterator[str]:
    rows = fit.naming.rows
    ordered = _ordered(fit)  # whose latent responses have no intercepts of their own, unless these are free
    for title, op in KINDS:
        chosen = [
            i for i, r in enumerate(rows)
            if r.group == g and r.level == level and r.op == op and not r.exogenous
            and (op != "~~" or (r.lhs == r.rhs) == (title == "Variances"))
            and (op != "~1" or r.free or r.value or r.lhs not in ordered)
        ]  # fmt: skip
        if ordered and op == "~1" and not any(rows[i].free or rows[i].value for i in chosen):
            continue
        yield from _rows(fit, title, chosen, standardized)


def _rows(fit: SemFit, title: str, chosen: Sequence[int], standardized: bool) -> Iterator[str]:
    if not chosen:
        return
    columns = fit.estimate_columns
    heads = ["Estimate", "Std.Err", "z-value", "P(>|z|)"] + (["Std.lv", "Std.all"] if standardized else [])
    keys = ["estimate", "se", "z", "pvalue"] + (["std_lv", "std_all"] if standardized else [])
    yield ""
    yield f"{title}:"
    yield " " * 19 + "".join(f"{h:>9}" for h in heads)
    before = None
    grouped = title in ("Latent Variables", "Regressions", "Covariances")
    for i in chosen:
        r = fit.naming.rows[i]
        if grouped and (r.lhs, r.op) != before:
            before = r.lhs, r.op
            yield f" {_dot(fit, r.lhs, r.level) if r.op == '~~' else ' '}{r.lhs} {r.op}"
        name = r.rhs if grouped else f"{r.lhs}|{r.rhs}" if r.op == "|" else r.lhs
        mark = _dot(fit, name, r.level) if r.op in ("~~", "~1") else " "
        label = f"({r.label[:6]})" if r.label and r.op != ":=" else ""
        lead = f"   {mark}{name}"
        yield f"{lead[:13]:<13}{label:<6}" + "".join(_cell(columns[k][i], k, columns["se"][i]) for k in keys)


def _cell(value: Any, key: str, se: float) -> str:
    if key in ("se", "z", "pvalue") and not se > 0:
        return " " * 9
    return f"{value:>9.3f}" if value is not None and not math.isnan(value) else f"{'NA':>9}"


def _dot(fit: SemFit, name: str, level: int) -> str:
    """A dot before the names whose variance or intercept is a residual one."""
    return "." if any(_ends(r) == name and r.level == level for r in fit.naming.rows) else " "


def _ends(r: SemRow) -> str | None:
    return r.rhs if r.op == "=~" else r.lhs if r.op == "~" else None


def _r2(fit: SemFit, g: int, level: int) -> Iterator[str]:
    found = fit.r2()
    several = len(fit.naming.groups) > 1
    if level:  # one column a level, and group of several
        label = fit.naming.level_titles[level - 1]
        found = found[fit.naming.groups[g], label] if several else found[label]
        found, several = found.dropna(), False
    yield ""
    yield "R-Square:"
    yield " " * 19 + f"{'Estimate':>9}"
    for name in found.index:
        value = found.loc[name].iloc[g] if several else found[name]
        yield f"    {name:<15}{value:>9.3f}"


def _certificate(fit: SemFit) -> str:
    d = fit.diagnostics
    if fit.converged:
        norm, count = d["gradient_norm"], d["evaluations"]
        return f"Converged: {fit.message} (gradient norm {norm:.2g}, {count} evaluations)"
    return f"NOT CONVERGED: {fit.message}"
