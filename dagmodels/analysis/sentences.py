"""Facts as sentences for `check`: what the graph is, what the data are, what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dagmodels.analysis.facts import Facts
from dagmodels.analysis.laws import is_flat
from dagmodels.analysis.nesting import Crossing
from dagmodels.graph.statement import Stochastic

MOST_NAMES = 12


def describe(facts: Facts) -> list[str]:
    """Sentences that name nodes and plates: structure first, then data, then what is wrong."""
    parts = (_counts, _plates, _crossings, _laws, _unknowns, _gaussian, _loops, _data, _wrong)
    return [sentence for part in parts for sentence in part(facts)]


def listed(names: Iterable[str]) -> str:
    """'a', 'b' and 'c'; long lists end in a count."""
    quoted = [f"'{n}'" for n in names]
    if len(quoted) > MOST_NAMES:
        return f"{', '.join(quoted[:MOST_NAMES])} and {len(quoted) - MOST_NAMES} more"
    return joined(quoted)


def joined(parts: list[str]) -> str:
    """ "has 3 elements", "has 3 elements and is ordered", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def plural(count: int, word: str) -> str:
    """ "1 plate", "2 plates"; "is" and "are" are the caller's."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def be(names: tuple[str, ...]) -> str:
    """ "is" or "are"."""
    return "is" if len(names) == 1 else "are"


def _counts(facts: Facts) -> Iterator[str]:
    count = plural(len(facts.nodes), "node")
    yield f"Model '{facts.graph.name}' has {count} on {plural(len(facts.graph.plates), 'plate')}."
    if facts.observed:
        yield f"Observed: {listed(facts.observed)}."
    else:
        yield "No node is observed: the model can be simulated, not fitted."


def _plates(facts: Facts) -> Iterator[str]:
    for plate in facts.graph.plates:
        size = ""
        if facts.problem is not None and plate.name in facts.problem.plates:
            size = f" has {plural(facts.problem.plates[plate.name].size, 'element')}"
        elif plate.levels is not None:
            size = f" has {plural(len(plate.levels), 'stated level')}"
        relations: list[str] = []
        if plate.alias_of is not None:
            relations.append(f"is another name of '{plate.alias_of}'")
        if len(plate.parents) == 1:
            relations.append(f"is nested in '{plate.parents[0]}'")
        elif plate.parents:
            relations.append(f"belongs to one element of each of {listed(plate.parents)}")
        if plate.ordered:
            relations.append("is ordered")
        said = [size.strip(), *relations] if size else relations
        if said:
            yield f"Plate '{plate.name}' {joined(said)}."


def _crossings(facts: Facts) -> Iterator[str]:
    for c in facts.nesting.crossings:
        yield f"Plates '{c.first}' and '{c.second}' {_crossing(c)}."


def _crossing(c: Crossing) -> str:
    same = " (the same elements under two names)" if c.aliased else ""
    if c.kind == "nested":
        return (
            f"are nested in the data though not declared so: each element of '{c.first}' meets one of "
            f"'{c.second}' in '{c.where}'"
        )
    if c.pairs is None:
        return f"are crossed in '{c.where}'{same}"
    return f"are {c.kind} in '{c.where}'{same}: {c.pairs} of {c.possible} pairs occur"


def _laws(facts: Facts) -> Iterator[str]:
    if facts.gaussian:
        yield f"Gaussian given their parents: {listed(facts.gaussian)}."
    if facts.discrete:
        yield f"Discrete: {listed(facts.discrete)}."
    known = (*facts.gaussian, *facts.flat, *facts.unknown_laws)
    other = [n for n in facts.continuous if n not in known]
    if other:
        yield f"Continuous and not Gaussian: {listed(other)}."


def _unknowns(facts: Facts) -> Iterator[str]:
    if facts.parameters:
        yield f"Without prior, to be maximised: {listed(facts.parameters)}."
    whole = tuple(n for n in facts.flat if _wholly_flat(facts, n))
    if whole:
        yield f"With a flat prior: {listed(whole)}."
    part = tuple(n for n in facts.flat if n not in whole)
    if part:
        yield f"With a flat prior for some levels: {listed(part)}."
    latent = tuple(n for n in facts.unknowns if n in facts.hierarchical and n not in facts.unknown_laws)
    if latent:
        yield f"Latent, with a law given other unknowns: {listed(latent)}."
    prior = tuple(n for n in facts.proper if n not in facts.hierarchical)
    if prior:
        yield f"With a proper prior: {listed(prior)}."
    if facts.unknown_tables:
        yield f"Tables without numbers: {listed(facts.unknown_tables)}."
    if facts.unknown_laws:
        yield f"Latent, with an unknown distribution: {listed(facts.unknown_laws)}."
    if not facts.unknowns and not facts.unknown_tables:
        yield "Nothing is unknown."


def _wholly_flat(facts: Facts, name: str) -> bool:
    """Whether every statement of the node is a flat law."""
    statements = facts.graph.nodes[name].statements
    return all(isinstance(s, Stochastic) and is_flat(s.distribution) for s in statements)


def _gaussian(facts: Facts) -> Iterator[str]:
    chosen = facts.conditionally_gaussian
    latent = tuple(n for n in chosen if n in facts.unknowns)
    if latent:
        yield f"Gaussian given everything else: {listed(latent)}."
    for name, node in facts.gaussian_nodes.items():
        for a, b in node.products:
            if facts.is_unknown(a) and facts.is_unknown(b):
                yield f"The mean of '{name}' multiplies '{a}' and '{b}'."
        bent = tuple(n for n in node.nonlinear_in if facts.is_unknown(n))
        if bent:
            yield f"The mean of '{name}' is not linear in {listed(bent)}."


def _loops(facts: Facts) -> Iterator[str]:
    for group in facts.loops:
        if len(group) == 1:
            yield f"'{group[0]}' depends on its own earlier elements."
        else:
            yield f"{listed(group)} depend on one another's earlier elements."


def _data(facts: Facts) -> Iterator[str]:
    if facts.problem is None:
        return
    for name in facts.observed:
        known = facts.nodes[name]
        if known.size is None or known.missing is None:
            continue
        if known.missing == known.size:
            yield f"'{name}' has no data."
        elif known.missing:
            yield f"'{name}' has {plural(known.size, 'value')}, {known.missing} of them missing."
        else:
            yield f"'{name}' has {plural(known.size, 'value')}, none missing."
    yield from facts.problem.notes
    unused = facts.problem.unused
    if unused:
        word = "column" if len(unused) == 1 else "columns"
        yield f"The model does not use the {word} {listed(unused)} of the data."


def _wrong(facts: Facts) -> Iterator[str]:
    for remark in facts.remarks:
        yield f"{remark[0].upper()}{remark[1:]}."
    for caution in facts.cautions:
        yield caution[0].upper() + caution[1:]
