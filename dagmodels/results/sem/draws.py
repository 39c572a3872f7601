"""Draws from the posterior of a structural equation model under lavaan's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.draws.fit import DrawsFit
from dagmodels.results.sem.naming import SemNaming, SemRow
from dagmodels.results.sem.table import levels_of, name_of
from dagmodels.results.shown import Shown

Floats = NDArray[np.float64]
NUMBERS = ("estimate", "se", "lower", "upper", "mean", "sd", "mcse", "ess_bulk", "ess_tail", "rhat")


@dataclass(frozen=True, eq=False, repr=False)
class SemDraws(DrawsFit):
    """A fit of `cfa`, `sem` or `growth` by draws.

    `estimates` has lavaan's rows: lhs, op, rhs, group, label, the posterior mean as `estimate`, its standard
    deviation as `se`, limits (2.5 and 97.5 %), and how well they are known. `draws`, `loo`, `extend`,
    `plot_trace` and the like are those of all draws; nodes are called as in the graph.

    naming : the table's rows. priors : in words, by kind of parameter.
    """

    naming: SemNaming = field(default=None, repr=False)  # type: ignore[assignment]  # always given
    priors: tuple[str, ...] = ()

    def extend(self, draws: int, **options: Any) -> SemDraws:
        """A fit of these draws and so many more of each chain, as of every fit by draws."""
        return sem_draws(super().extend(draws, **options), self.naming, self.priors)

    def row_draws(self, name: str) -> Floats:
        """(chains, draws) of a row by its name, such as "f=~x2" or its label; see `estimates`."""
        from dagmodels.results.fit import UnknownName

        for r in self.naming.rows:
            if name_of(r, self.naming) == name and (found := _of(self, r)) is not None:
                return found
        raise UnknownName(f"there are no draws of '{name}': `estimates` has the names of what varies")

    def summary(self) -> str:
        """The table with the priors and the verdict, as text."""
        table = self.estimates
        shown = ["lhs", "op", "rhs", *(["group"] if len(self.naming.groups) > 1 else []), "label"]
        shown += ["estimate", "se", "lower", "upper", "ess_bulk", "rhat"]
        lines = [
            f"dagmodels: {self.samples.chains} chains of {self.samples.draws} draws",
            f"  {self.message}",
            *(f"  prior: {p}" for p in self.priors),
            "",
            table[shown].to_string(index=False, na_rep="", float_format=lambda v: f"{v:.3f}"),
            *(f"Warning: {w}" for w in self.warnings),
        ]
        return Shown("\n".join(lines))


def sem_draws(inner: DrawsFit, naming: SemNaming, priors: tuple[str, ...]) -> SemDraws:
    """A fit by draws of a graph that a lavaan text made -> the same with lavaan's rows."""
    own = {f.name: getattr(inner, f.name) for f in fields(DrawsFit)}
    columns = inner.estimate_columns
    at = [i for i, n in enumerate(columns["name"]) if n.partition("[")[0] in naming.latent]
    latents = {"name": "name", "estimate": "mean", "sd": "sd"}
    changed: dict[str, Any] = {
        "estimate_columns": _columns(columns, inner, naming),
        "latent_columns": {k: [columns[of][i] for i in at] for k, of in latents.items()} if at else None,
    }
    return SemDraws(**{**own, **changed}, naming=naming, priors=priors)


def _columns(columns: Mapping[str, Any], inner: DrawsFit, naming: SemNaming) -> dict[str, Any]:
    at = {name: i for i, name in enumerate(columns["name"])}
    rows = naming.rows
    places = [at.get(_element(inner, r, naming)) if _varies(r) else None for r in rows]
    numbers = {
        key: [
            float(columns[key][p]) if p is not None else _fixed(r, key)
            for r, p in zip(rows, places, strict=True)
        ]
        for key in NUMBERS
    }
    return {
        "name": [name_of(r, naming) for r in rows],
        **{key: numbers[key] for key in NUMBERS[:4]},
        "lhs": [r.lhs for r in rows],
        "op": [r.op for r in rows],
        "rhs": ["" if r.op == "~1" else r.rhs for r in rows],
        "group": [naming.groups[r.group] for r in rows],
        **levels_of(naming),
        "label": [r.label for r in rows],
        **{key: numbers[key] for key in NUMBERS[4:]},
        "what": ["defined" if r.op == ":=" else "drawn" if r.free else "fixed" for r in rows],
    }


def _varies(r: SemRow) -> bool:
    return r.free or r.op == ":="


def _fixed(r: SemRow, key: str) -> float:
    if key in ("estimate", "mean", "lower", "upper"):
        return r.value
    return 0.0 if key in ("se", "sd") else float("nan")


def _element(inner: DrawsFit, r: SemRow, naming: SemNaming) -> str:
    """How the draws call a row's number."""
    plates = inner.samples.plates.get(r.node, ())
    return f"{r.node}[{naming.groups[r.group]}]" if plates else r.node


def _of(fit: SemDraws, r: SemRow) -> Floats | None:
    if not _varies(r) or r.node not in fit.samples:
        return None
    found = fit.samples[r.node]
    return found[:, :, r.group] if found.ndim == 3 else found
