"""Draws against reference posteriors: JAGS' own long runs, posteriordb's gold draws, draws from a prior with
the likelihood for weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.results.draws.fit import DrawsFit

REFERENCES = Path(__file__).parents[2] / "references"
Z = 5.0  # standard errors of both: two-sided false alarm of 6e-7 a quantity
SD = 0.1
# sd over that of a normal law with the same 95 % interval: beyond HEAVY means do not settle, and beyond LONG
# sds (five points leave t laws of three degrees, whose sample sds have no variance)
HEAVY, LONG = 3.0, 1.02


def bugs(name: str, variant: str = "") -> tuple[Any, dict[str, Any]]:
    """A BUGS model with its data, and the reference by BUGS names."""
    folder, tag = REFERENCES / "bugs" / name, f"_{variant}" if variant else ""
    own = folder / f"model{tag}.bug"
    data = folder / f"data{tag}.json"
    model = dm.read(own if own.exists() else folder / "model.bug", data)
    return model, json.loads((folder / f"reference{tag}.json").read_text())["parameters"]


def by_bugs_name(model: Any, fit: DrawsFit) -> dict[str, NDArray[np.float64]]:
    """(chains, draws) of every element."""
    found = {}
    element = model.reading.provenance.element
    for node, value in fit.samples.values.items():
        for place in np.ndindex(value.shape[2:]):
            found[element(node, place)] = value[(slice(None), slice(None), *place)]
    return found


def assert_agrees(
    draws: Mapping[str, NDArray[np.float64]], reference: Mapping[str, Mapping[str, float]]
) -> None:
    """Means within five standard errors of both, standard deviations within a tenth.

    Where the reference says that tails are long, the width of the 95 % interval stands for the sd; where they
    are too heavy for a mean, the median is compared alone.
    """
    table = np.stack([draws[q] for q in reference], axis=2)
    effective = ess_mean(table)
    faults = []
    for k, (name, told) in enumerate(reference.items()):
        x, n = table[:, :, k], effective[k]
        normal = (told["q97.5"] - told["q2.5"]) / 3.92
        if told["sd"] > HEAVY * normal:
            low, high = np.quantile(x, [0.5 - 2.5 / math.sqrt(n), 0.5 + 2.5 / math.sqrt(n)])
            if not low < told["q50"] < high:
                faults.append(f"{name}: median {told['q50']} outside ({low}, {high})")
            continue
        z = (x.mean() - told["mean"]) / math.hypot(x.std() / math.sqrt(n), told["mcse"])
        ratio = x.std() / told["sd"]
        if told["sd"] > LONG * normal:
            ratio = (np.quantile(x, 0.975) - np.quantile(x, 0.025)) / (3.92 * normal)
        if abs(z) > Z or abs(ratio - 1) > SD:
            faults.append(f"{name}: {z:.1f} standard errors off, spread {ratio:.3f} times the reference's")
    assert not faults, faults


def compared(fit: DrawsFit, values: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> None:
    """Against weighted values: mean and shares below quantiles within 5 standard errors of both."""
    w = weights / weights.sum()
    size = 1 / (w**2).sum()
    table = fit.estimates.set_index("name")
    for name, x in values.items():
        own = np.asarray(fit.samples[name])
        columns = x[:, None] if x.ndim == 1 else x
        rows = [i for i in table.index if i == name or i.startswith(f"{name}[")]
        assert len(rows) == columns.shape[1]
        for k, row in enumerate(rows):
            mine = own.reshape(-1, columns.shape[1])[:, k]
            scale = np.log if (columns > 0).all() else np.asarray  # logarithms: their sds are the tails'
            at = scale(columns[:, k])
            mean = (w * at).sum()
            sd = np.sqrt((w * (at - mean) ** 2).sum())
            effective = min(table.loc[row, "ess_bulk"], mine.size)
            error = sd * np.sqrt(1 / effective + 1 / size)
            assert abs(scale(mine).mean() - mean) < 5 * error, row
            order = np.argsort(at)
            for share in (0.05, 0.5):
                point = at[order][np.searchsorted(np.cumsum(w[order]), share)]
                off = np.sqrt(
                    share * (1 - share) * (1 / min(table.loc[row, "ess_tail"], mine.size) + 1 / size)
                )
                assert abs((scale(mine) < point).mean() - share) < 5 * off, row
