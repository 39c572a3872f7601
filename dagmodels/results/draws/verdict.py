"""Whether draws may be trusted, in sentences: what is wrong, of which nodes, and what to try next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.improper import flat_unknowns
from dagmodels.analysis.label_symmetry import label_symmetries
from dagmodels.analysis.laws import is_discrete
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic, Stochastic
from dagmodels.numerics.chains.diagnose import LEAST, Diagnosis, bfmi
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.remedies import reparameterise
from dagmodels.results.draws.stored import column_blocks

RHAT = 1.01
FAR = 1.1  # R-hat of chains that are not in one place
ESS_A_CHAIN = 100
"""Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), section 4: R-hat below 1.01, and 50 effective
draws for each of the two halves of a chain."""
BFMI = 0.3
SHOWN = 5
BLAMED = 2  # nodes of which a sentence says how they are drawn


@dataclass(frozen=True, slots=True)
class Judgement:
    """sentences : what is wrong, empty where all is well. figures : for `Fit.diagnostics`."""

    sentences: tuple[str, ...]
    figures: Mapping[str, float | int | None]

    @property
    def holds(self) -> bool:
        return not self.sentences


def judge(
    graph: Dag,
    draws: Draws,
    names: Sequence[str],
    found: Diagnosis,
    blamed: Mapping[str, int] | None = None,
    updates: Mapping[str, str] | None = None,
    moved: Collection[str] | None = None,
    *,
    independent: bool = False,
) -> Judgement:
    """The verdict on all reported quantities.

    names, found : the quantities and what `diagnose` says of them.
    blamed : divergences by node, where the sampler knows which update diverged. updates : how each node was
        drawn, in words.
    moved : nodes that trajectories move, as they are written; None: all unknowns. What is integrated out, or
        stands in standard units already, is none of them, and needs no other way of writing.
    independent : draws that are no chain (exact or weighted): effective sizes and R-hat need no threshold.
    """
    moving = found.sd > 0
    sentences: list[str] = []
    single = draws.chains * draws.draws == 1  # of which there is no sd
    broken = np.isnan(found.mean) | (np.isnan(found.sd) & (not single))
    if broken.any():
        told = _named(names, broken, None)
        sentences.append(
            f"draws of {told} are not numbers; give proper priors, or initial values inside the domains"
        )
    stuck = [] if draws.draws < LEAST else _stuck(graph, names, moving | broken)
    if stuck:
        sentences.append(
            f"{_list(stuck)} never moved; give other initial values, or simplify what it updates with"
        )
    if single:
        sentences.append(f"one draw tells no spread and no error; draw at least {10 * ESS_A_CHAIN} a chain")
    elif not independent:
        sentences += _mixing(draws, names, found, moving, updates or {})
        sentences += _flat(graph, names, moving & (found.rhat > FAR))
    sentences += [f"{s}; {s.remedy(graph)}" for s in label_symmetries(graph)]
    nodes = [n for n, c in sorted((blamed or {}).items(), key=lambda pair: -pair[1]) if c]
    advice = reparameterise(graph, nodes or None if moved is None else moved)
    sentences += _divergences(draws, nodes, advice)
    sentences += _energy(draws, advice)
    return Judgement(tuple(sentences), _figures(draws, found, moving))


def _mixing(
    draws: Draws,
    names: Sequence[str],
    found: Diagnosis,
    moving: NDArray[np.bool_],
    updates: Mapping[str, str],
) -> list[str]:
    if draws.draws < LEAST:
        told = "1 draw a chain is" if draws.draws == 1 else f"{draws.draws} draws a chain are"
        return [f"{told} too few to judge; draw at least {10 * ESS_A_CHAIN} a chain"]
    sentences: list[str] = []
    apart = moving & ~(found.rhat < RHAT)
    need = ESS_A_CHAIN * draws.chains
    if apart.any():
        worst = float(np.nanmax(found.rhat[apart], initial=1.0))
        advice = (
            "the chains are in different places: other initial values, tighter priors, or one of several "
            "equal labellings made the only one (an ordered node)"
            if worst > 1.5
            else f"draw more ({_more(found.ess_bulk[moving], need, draws.draws)})"
        )
        drawn = _drawn(names, apart, found.rhat, updates)
        sentences.append(f"R-hat is {RHAT} or more for {_named(names, apart, found.rhat)}{drawn}; {advice}")
    for kind, size in (("bulk", found.ess_bulk), ("tail", found.ess_tail)):
        few = moving & ~(size >= need)
        if few.any():
            told = _named(names, few, size, most=False)
            enough = _more(size[moving], need, draws.draws)
            sentences.append(f"{kind} ESS is below {need} for {told}; draw more ({enough})")
    return sentences


def _flat(graph: Dag, names: Sequence[str], apart: NDArray[np.bool_]) -> list[str]:
    """Flat priors of what the chains do not agree on."""
    nodes = {names[i].partition("[")[0].partition(" ")[0] for i in np.flatnonzero(apart).tolist()}
    flat = [n for n in flat_unknowns(graph) if n in nodes]
    if not flat:
        return []
    told = f"{_list(flat)} {'has a flat prior' if len(flat) == 1 else 'have flat priors'}"
    return [
        f"{told}: where the data do not make up for that the posterior has no integral, and more draws "
        "do not help; give a proper one"
    ]


def _drawn(
    names: Sequence[str], at: NDArray[np.bool_], values: NDArray[np.float64], updates: Mapping[str, str]
) -> str:
    """How the worst of these were drawn: " ('tau' by slice, 4.2 evaluations a draw)"."""
    places = np.flatnonzero(at)
    worst = places[np.argsort(-np.nan_to_num(values[places], nan=np.inf), kind="stable")]
    nodes = dict.fromkeys(names[i].partition("[")[0].partition(" ")[0] for i in worst.tolist())
    told = [f"'{n}' by {updates[n]}" for n in nodes if n in updates][:BLAMED]
    return f" ({'; '.join(told)})" if told else ""


def _more(size: NDArray[np.float64], need: float, now: int) -> str:
    """How many draws a chain would do, at the present rate, in round numbers."""
    least = float(np.nanmin(size, initial=np.inf))
    factor = min(max(need / max(least, 1.0), 1.5), 1e4)
    digits = 10 ** max(len(str(int(now * factor))) - 1, 0)
    return f"draws={int(np.ceil(now * factor / digits)) * digits:,}".replace(",", "_")


def _divergences(draws: Draws, nodes: Sequence[str], advice: str) -> list[str]:
    diverging = draws.statistics.get("diverging")
    count = 0 if diverging is None else int(np.count_nonzero(diverging))
    if diverging is None or not count:
        return []
    where = _where(draws, np.asarray(diverging, dtype=bool))
    of = f" in updates of {_list(nodes)}" if nodes else ""
    lie = f", where {where}" if where else ""
    verb = "transition" if count == 1 else "transitions"
    return [f"{count} {verb} diverged{of}{lie}: parts of the posterior were not reached; {advice}"]


def _where(draws: Draws, diverging: NDArray[np.bool_]) -> str:
    """The quantities that are extreme in draws that diverged: "tau is small"."""
    told: list[tuple[float, str]] = []
    for names, table in column_blocks(draws):
        at = table[diverging]
        for i, name in enumerate(names):
            ordered = np.sort(table[:, :, i], axis=None)
            share = float(np.median(np.searchsorted(ordered, at[:, i]))) / ordered.size
            if ordered[0] < ordered[-1] and not 0.1 < share < 0.9 and " == " not in name:
                told.append((min(share, 1 - share), f"{name} is {'small' if share < 0.5 else 'large'}"))
    return " and ".join(t for _, t in sorted(told)[:2])


def _energy(draws: Draws, advice: str) -> list[str]:
    energy = draws.statistics.get("energy")
    if energy is None:
        return []
    found = bfmi(np.asarray(energy))
    low = np.flatnonzero(found < BFMI)
    if not low.size:
        return []
    chains = "chain" if low.size == 1 else "chains"
    which = f"{chains} {', '.join(str(i + 1) for i in low)}"
    value = f"{float(found[low].min()):.2f}"
    return [f"E-BFMI is {value} in {which}: tails are explored slowly; {advice}"]


def _stuck(graph: Dag, names: Sequence[str], fine: NDArray[np.bool_]) -> list[str]:
    """Unknowns that have one value in all draws, though nothing fixes it."""
    found: list[str] = []
    for i in np.flatnonzero(~fine).tolist():
        node = graph.nodes.get(names[i].partition("[")[0].partition(" ")[0])
        if node is None or " == " in names[i] or any(isinstance(s, Deterministic) for s in node.statements):
            continue
        if any(isinstance(s, Stochastic) and is_discrete(s.distribution) for s in node.statements):
            continue  # its probability may be next to 1
        found.append(names[i])
    return found


def _named(
    names: Sequence[str], at: NDArray[np.bool_], values: NDArray[np.float64] | None, *, most: bool = True
) -> str:
    """The worst of these with their values, and how many more there are."""
    places = np.flatnonzero(at)
    if values is not None:
        key = np.where(np.isnan(values[places]), np.inf, values[places] if most else -values[places])
        places = places[np.argsort(-key, kind="stable")]
    digits = 3 if most else 0
    told: list[str] = [
        names[i] if values is None else f"{names[i]} ({values[i]:.{digits}f})"
        for i in places[:SHOWN].tolist()
    ]
    return _list(told, len(places) - len(told))


def _list(told: Sequence[str], more: int = 0) -> str:
    shown = list(told[:SHOWN])
    more += len(told) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _figures(draws: Draws, found: Diagnosis, moving: NDArray[np.bool_]) -> dict[str, float | int | None]:
    """Largest R-hat, smallest effective sizes, divergences and smallest E-BFMI; None where there is none."""

    def least(x: NDArray[np.float64]) -> float | None:
        known = x[moving & ~np.isnan(x)]
        return float(known.min()) if known.size else None

    rhat = found.rhat[moving & ~np.isnan(found.rhat)]
    figures: dict[str, float | int | None] = {
        "chains": draws.chains,
        "draws": draws.draws,
        "warmup": draws.warmup,
        "thin": draws.thin,
        "rhat": float(rhat.max()) if rhat.size else None,
        "ess_bulk": least(found.ess_bulk),
        "ess_tail": least(found.ess_tail),
    }
    if "diverging" in draws.statistics:
        figures["divergences"] = int(np.count_nonzero(draws.statistics["diverging"]))
    if "energy" in draws.statistics:
        figures["bfmi"] = float(np.min(bfmi(np.asarray(draws.statistics["energy"]))))
    return figures
