"""A fit in words and an aligned table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagmodels.analysis.readings import told as readings
from dagmodels.graph.statement import Statement, Stochastic
from dagmodels.results.ranges import bounds
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from dagmodels.results.draws.draws import Draws
    from dagmodels.results.fit import Columns, Fit

LATENT_ROWS = 10
DRAWN_ROWS = 60
_DRAWN = ("name", "mean", "sd", "mcse", "lower", "upper", "ess_bulk", "ess_tail", "rhat")
_HEADINGS = {"lower": "2.5 %", "upper": "97.5 %", "what": "how", "estimate": "estimate", "se": "se"}


def summary(fit: Fit) -> str:
    """Method, criterion, estimates (variances at zero marked), certificate, warnings."""
    limit = None if fit.sampled is None else DRAWN_ROWS
    table = text_table(estimate_table(fit), indent="  ", limit=limit)
    return "\n\n".join((heading(fit), criterion(fit), table, *endings(fit)))


def endings(fit: Fit) -> list[str]:
    """What follows the estimates: latents, certificate, warnings."""
    parts = [certificate(fit), *(f"Warning: {w}" for w in fit.warnings)]
    if fit.sampled is None and len(fit.latent_table["name"]):
        given = (
            "posterior mean and sd" if fit.marginals is not None else "estimate and sd given the parameters"
        )
        parts.insert(0, latents(fit.latent_table, given))
    return parts


def heading(fit: Fit) -> str:
    """Which backend, and how."""
    kind = "exact" if fit.exact else "approximate"
    told = "" if kind in fit.method else f" ({kind})"
    lines = (f"{fit.graph.name}: fitted by {fit.backend}{told}", fit.method, *readings(fit.graph))
    return "\n".join(lines)


def criterion(fit: Fit) -> str:
    """Log likelihood, measures and counts, on one or two lines."""
    if fit.sampled is not None:
        return _chains(fit.sampled, fit.n_observations)
    items: list[tuple[str, Any]] = []
    if fit.log_likelihood is not None:
        items.append(("log likelihood", fit.log_likelihood))
    items.extend((k.upper() if k in ("aic", "bic") else k, v) for k, v in fit.measures.items())
    counts = f"observations {fit.n_observations}   parameters {fit.n_parameters}"
    uncounted = _uncounted(fit)
    if uncounted and fit.log_likelihood is not None:
        counts += f" (not counted, having a proper prior: {', '.join(uncounted)})"
    values = "   ".join(f"{name} {format_number(value, 10)}" for name, value in items)
    return f"{values}\n{counts}" if values else counts


def _chains(draws: Draws, observations: int) -> str:
    """How the draws were made."""
    parts = [f"{draws.chains} chain{'s' * (draws.chains > 1)} of {draws.draws} draws"]
    parts += [f"after {draws.warmup} of warm-up"] * (draws.warmup > 0)
    parts += [f"thinned to one of {draws.thin}"] * (draws.thin > 1)
    parts += [f"seed {draws.seed}"] * (draws.seed is not None)
    return f"{', '.join(parts)}\nobservations {observations}"


def _uncounted(fit: Fit) -> list[str]:
    """Coefficients that aic and bic do not count: they are integrated over a proper prior."""
    integrated = _nodes(fit, "integrated")
    return [n for n in integrated if not all(_flat(s) for s in fit.graph.nodes[n].statements)]


def _nodes(fit: Fit, what: str) -> list[str]:
    """Nodes of the estimates that were obtained in this way."""
    columns = fit.estimate_columns
    rows = zip(columns["name"], columns.get("what", ()), strict=False)
    found = dict.fromkeys(str(name).partition("[")[0] for name, how in rows if how == what)
    return [n for n in found if n in fit.graph.nodes]


def _flat(statement: Statement) -> bool:
    if not isinstance(statement, Stochastic):
        return True
    return statement.distribution.family in ("Flat", "HalfFlat")


def estimate_table(fit: Fit) -> Columns:
    """The estimates with readable headings; rows on the boundary say so."""
    shown = fit.estimate_columns if fit.sampled is None else _DRAWN
    columns = {_HEADINGS.get(k, k): list(fit.estimate_columns[k]) for k in shown}
    if fit.boundary:
        names = fit.estimate_columns["name"]
        columns[""] = ["at the boundary" if n in fit.boundary else "" for n in names]
    return columns


def latents(columns: Columns, given: str = "estimate and sd given the parameters") -> str:
    """The first latents, what their numbers are, how many there are, and where the others are."""
    count = len(columns["name"])
    shown = {k: v for k, v in columns.items() if k in ("name", "estimate", "sd")}
    every = "" if count <= LATENT_ROWS else "; all in `fit.latents`"
    title = f"Latents ({count}; {given}{every})"
    return f"{title}\n{text_table(shown, indent='  ', limit=LATENT_ROWS)}"


def certificate(fit: Fit) -> str:
    """Whether the optimum is certified, by which figures, and what lies on a boundary."""
    return "\n".join((certificate_line(fit), *_boundary(fit)))


def certificate_line(fit: Fit) -> str:
    """Whether the optimum is certified, and by which figures."""
    found = fit.diagnostics
    figures: list[str] = []
    if found.get("gradient_norm") is not None:
        figures.append(f"gradient norm {format_number(found['gradient_norm'], 2)}")
    if found.get("evaluations") is not None:
        figures.append(f"{format_number(found['evaluations'])} evaluations")
    if found.get("seconds") is not None:
        figures.append(f"{format_number(found['seconds'], 3)} s")
    state = "Converged" if fit.converged else "NOT CONVERGED"
    line = f"{state}: {fit.message}" if fit.message else state
    if figures:
        line += f" ({', '.join(figures)})"
    return line


def _boundary(fit: Fit) -> list[str]:
    """The estimates on the edge of their domain, in words."""
    at = dict(zip(fit.estimate_columns["name"], fit.estimate_columns["estimate"], strict=True))
    lowest, _ = bounds(fit.graph, fit.boundary)
    zero = [n for n, low in zip(fit.boundary, lowest, strict=True) if low == 0 and at.get(n) == 0]
    singular = [n for n in fit.boundary if n not in at and n in fit.graph.nodes]
    other = [n for n in fit.boundary if n not in zero and n not in singular]
    lines: list[str] = []
    if zero:
        lines.append(f"Variances (or standard deviations) of zero: {', '.join(zero)}")
    if singular:
        lines.append(f"Singular, so that a combination has a variance of zero: {', '.join(singular)}")
    if other:
        lines.append(f"On the edge of the domain: {', '.join(other)}")
    return lines
