"""A fit in words and an aligned table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from dagmodels.results.fit import Columns, Fit

LATENT_ROWS = 10
_HEADINGS = {"lower": "2.5 %", "upper": "97.5 %", "what": "how", "estimate": "estimate", "se": "se"}


def summary(fit: Fit) -> str:
    """Method, criterion, estimates (variances at zero marked), certificate, warnings."""
    table = text_table(estimate_table(fit), indent="  ")
    return "\n\n".join((heading(fit), criterion(fit), table, *endings(fit)))


def endings(fit: Fit) -> list[str]:
    """What follows the estimates: latents, certificate, warnings."""
    parts = [certificate(fit), *(f"Warning: {w}" for w in fit.warnings)]
    if len(fit.latent_table["name"]):
        parts.insert(0, latents(fit.latent_table))
    return parts


def heading(fit: Fit) -> str:
    """Which backend, and how."""
    kind = "exact" if fit.exact else "approximate"
    return f"{fit.graph.name}: fitted by {fit.backend} ({kind})\n{fit.method}"


def criterion(fit: Fit) -> str:
    """Log likelihood, measures and counts, on one or two lines."""
    items: list[tuple[str, Any]] = []
    if fit.log_likelihood is not None:
        items.append(("log likelihood", fit.log_likelihood))
    items.extend((k.upper() if k in ("aic", "bic") else k, v) for k, v in fit.measures.items())
    counts = f"observations {fit.n_observations}   parameters {fit.n_parameters}"
    values = "   ".join(f"{name} {format_number(value, 10)}" for name, value in items)
    return f"{values}\n{counts}" if values else counts


def estimate_table(fit: Fit) -> Columns:
    """The estimates with readable headings; rows on the boundary say so."""
    columns = {_HEADINGS.get(k, k): list(v) for k, v in fit.estimate_columns.items()}
    if fit.boundary:
        names = fit.estimate_columns["name"]
        columns[""] = ["at the boundary" if n in fit.boundary else "" for n in names]
    return columns


def latents(columns: Columns) -> str:
    """The first latents, and how many there are."""
    count = len(columns["name"])
    shown = {k: v for k, v in columns.items() if k in ("name", "estimate", "sd")}
    title = f"Latents ({count}; estimate and sd given the parameters)"
    return f"{title}\n{text_table(shown, indent='  ', limit=LATENT_ROWS)}"


def certificate(fit: Fit) -> str:
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
    if fit.boundary:
        line += f"\nOn the boundary: {', '.join(fit.boundary)}"
    return line
