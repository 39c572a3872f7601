"""Which factors of a flat form are not finite at a point, told with their nodes and the parents' values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_flat import Factor, FlatBuilder
from dagmodels.forms.build_summed import SummedBuilder
from dagmodels.forms.cells import element_label
from dagmodels.forms.flat import Flat, Workspace
from dagmodels.forms.jets import Jet
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]


def reasons(flat: Flat, y: Floats, space: Workspace) -> tuple[str, ...]:
    """A sentence for each factor that is not finite, naming its first element that is not.

    The form is recorded again with the parents' values kept, which a sampler does not need.
    """
    if flat.summed is None:
        builder = FlatBuilder(flat.problem, flat.chosen, flat.forward, flat.standard)
    else:
        builder = SummedBuilder(flat.problem, flat.forward, flat.standard)
    builder.record()
    recorder = builder.recorder
    if isinstance(builder, SummedBuilder):
        for table in builder.tables:
            recorder.start(table.register)
    parents = [list(parents_of(builder, f)) for f in builder.factors]
    values = [builder.value(f.site) for f in builder.factors]
    for jet in [*values, *(j for found in parents for _, j in found)]:
        recorder.start(jet.value.register)
    for register in [*(f.register for f in builder.factors), *(r for r, _ in builder.jacobian)]:
        recorder.start(register)
    tape = recorder.finish()
    w = tape.initial.copy()
    w[: flat.size] = y
    for name, given in flat.given.items():
        w[tape.place(builder.given[name][0])] = space.values[given.place]
    tape.forward(w)
    found = [
        text
        for factor, around, own in zip(builder.factors, parents, values, strict=True)
        if (text := _reason(builder, factor, around, own, tape, w)) is not None
    ]
    if isinstance(builder, SummedBuilder):
        found += _impossible(builder, tape, w)
    if not found and any(not np.isfinite(w[tape.place(r)]).all() for r, _ in builder.jacobian):
        far = int(np.argmax(np.abs(y)))
        found.append(f"'{flat.names[far]}' is too far out: its unconstrained number is {y[far]:g}")
    return tuple(found)


def _impossible(builder: SummedBuilder, tape: Tape, w: Floats) -> list[str]:
    """Sentences on laws, or units, that no state of the discrete unknowns makes possible."""
    problem, found = builder.problem, []
    for table, site in zip(builder.tables, builder.of, strict=True):
        logs = w[tape.place(table.register)].reshape(-1, table.states)
        bad = np.flatnonzero((np.isnan(logs).any(axis=1) | (logs.max(axis=1) == -np.inf))[table.block])
        if bad.size:
            node = element_label(problem, site.names[0], int(site.places[bad[0], 0]))
            read = [element_label(problem, *builder.latents.owner(int(e))) for e in table.elements[bad[0]]]
            what = (
                "has no log density" if np.isnan(logs[table.block[bad[0]]]).any() else "has probability zero"
            )
            more = f"; and {bad.size - 1} more of its elements" if bad.size > 1 else ""
            found.append(f"node {node} {what} in every state of {', '.join(read)}{more}")
    if not found:
        names = ", ".join(f"'{n}'" for n in builder.latents.first)
        found += [
            f"no states of {names} make all laws possible together"
            for register in builder.summation.terms
            if (w[tape.place(register)] == -np.inf).any()
        ][:1]
    return found


def parents_of(builder: FlatBuilder, factor: Factor) -> Iterator[tuple[str, Jet]]:
    """What a factor's law depends on that is a number by row, with its name."""
    site = factor.site
    for key, tree in _arguments(factor):
        if not isinstance(tree, ex.Vector) and not builder.trees.along(tree, site):
            yield key, builder.trees.number(tree, site.rows)


def _arguments(factor: Factor) -> Iterator[tuple[str, ex.Expression]]:
    """Arguments of a law by name, wrapped laws' included; of tied nodes their scales and covariances."""
    if factor.ties is None:
        yield from _of_law(factor.site.law)
        return
    names = factor.site.names
    for name, law in zip(names, factor.ties.marginals, strict=True):
        yield from ((f"{key} of {name}", tree) for key, tree in _of_law(law) if key != "mu")
    for i, j, tree in factor.ties.covariances:
        yield f"{names[i]} ~~ {names[j]}", tree


def _of_law(law: Distribution) -> Iterator[tuple[str, ex.Expression]]:
    for key, value in law.arguments:
        if isinstance(value, Distribution):
            yield from _of_law(value)
        elif isinstance(value, ex.Expression):
            yield key, value


def _reason(
    builder: FlatBuilder, factor: Factor, parents: list[tuple[str, Jet]], own: Jet, tape: Tape, w: Floats
) -> str | None:
    site = factor.site
    density = w[tape.place(factor.register)]
    bad = np.flatnonzero(~np.isfinite(density))
    if not bad.size:
        return None
    row = int(bad[0])

    def at(jet: Jet) -> float:
        entries = w[tape.place(jet.value.register)]
        return float(entries[0] if entries.size == 1 else entries[row])

    node = element_label(builder.problem, site.names[0], int(site.places[row, 0]))
    told = [f"{key} = {at(jet):g}" for key, jet in parents]
    if not site.event:
        told.append(f"{site.names[0]} = {at(own):g}")
    what = {True: "has no log density (it is not a number)"}.get(
        bool(np.isnan(density[row])), "has probability zero" if density[row] < 0 else "has infinite density"
    )
    under = " under its parents" if parents else ""
    if not told:
        told = ["its values are a vector"]
    shown = ", ".join(told) if site.event else " but ".join(p for p in (", ".join(told[:-1]), told[-1]) if p)
    more = f"; and {bad.size - 1} more of its elements" if bad.size > 1 else ""
    return f"node {node} {what}{under}: {shown}{more}"
