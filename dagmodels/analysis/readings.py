"""The three readings of a graph with covariates measured with error, and the graph that each stands for.

structural : the true values have the distribution that the graph states (Kendall 1951).
functional : each true value is an unknown constant; the likelihood is maximised over them (Deming, York).
flat : each true value has a flat prior and is integrated out.

The same data give different slopes under each; see Fuller (1987, section 1.1) and Gull (1989).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from dagmodels.analysis.laws import distribution_of
from dagmodels.analysis.measurement import Measured, covariates_with_error, measured
from dagmodels.analysis.reach import Reach
from dagmodels.errors import ModelError, raise_all, shortened
from dagmodels.graph.dag import Dag, defines
from dagmodels.graph.statement import Distribution, Head, Joint, Parameter, Slot, Statement, Stochastic

READINGS = ("structural", "functional", "flat")


def read_as(dag: Dag, reading: object) -> Dag:
    """The graph under a reading: itself, or with the distributions of true values replaced.

    Parameters of the replaced distributions that nothing else uses leave the graph with them.

    Raises
    ------
    ModelErrors : no such reading, nothing measured with error, or priors on what the reading would drop.
    """
    key = ("read as", reading)
    if reading in READINGS and key not in dag.memo:  # with all that is found out about it later
        dag.memo[key] = _read_as(dag, reading)
    return cast(Dag, dag.memo[key]) if reading in READINGS else _read_as(dag, reading)


def _read_as(dag: Dag, reading: object) -> Dag:
    where = f"the reading of model '{dag.name}'"
    if reading not in READINGS:
        hint = "'structural' (the graph's own distribution), 'functional' or 'flat'"
        raise_all([ModelError(f"reading is {shortened(repr(reading))}", hint=hint)], where)
    found = covariates_with_error(dag) or measured(dag)
    if not found:
        hint = "a latent that is the mean of an observed node, `observed w[i] ~ Normal(x, s)`, has readings"
        raise_all([ModelError(f"reading={reading!r}: no covariate is measured with error", hint=hint)], where)
    if reading == "structural":
        _refuse_undistributed(found, where)
        return dag
    replaced = {
        m.node for m in found if m.incidental is False or (m.law is None) != (reading == "functional")
    }
    _refuse_covariances(dag, replaced, where)
    statements = [s for s in dag.statements if not set(defines(s)) & replaced]
    statements += [_restated(dag, name, str(reading)) for name in dag.nodes if name in replaced]
    kept = _without_unused(dag, replaced, statements, str(reading), where)
    return Dag(dag.name, dag.plates, tuple(kept), dag.data_file, dag.source, dag.remarks)


def told(dag: Dag) -> tuple[str, ...]:
    """For each covariate measured with error a sentence that names its reading."""
    return tuple(f"reading: {_sentence(m)}" for m in covariates_with_error(dag))


def _sentence(m: Measured) -> str:
    if m.law is None:
        return f"functional, each '{m.node}' is a constant of its own (no distribution)"
    if m.law.family == "Flat":
        return f"flat, each '{m.node}' has a flat prior and is integrated out"
    return f"structural, '{m.node}' has the distribution {m.law!r}"


def _restated(dag: Dag, name: str, reading: str) -> Statement:
    node = dag.nodes[name]
    if reading == "functional":
        return Parameter(name, node.plates)
    return Stochastic(Head(name, tuple(Slot(p) for p in node.plates)), Distribution("Flat"))


def _refuse_undistributed(found: Iterable[Measured], where: str) -> None:
    faults = [
        ModelError(
            f"reading='structural', and '{m.node}' has no distribution",
            node=m.node,
            hint=f"state one, as in `{m.node}[...] ~ Normal(mu, s)`, or take reading="
            + ("'functional'" if m.law is None else "'flat'"),
        )
        for m in found
        if m.incidental
    ]
    raise_all(faults, where)


def _refuse_covariances(dag: Dag, replaced: set[str], where: str) -> None:
    faults = [
        ModelError(
            f"'{c.left.name} ~~ {c.right.name}' is a covariance of a distribution that the reading replaces",
            node=c.left.name,
            hint="leave it out, or take reading='structural'",
        )
        for c in dag.covariances
        if replaced & {c.left.name, c.right.name}
    ]
    faults += [
        ModelError(
            f"'{s.names[0]}' and '{s.names[1]}' have one joint distribution, and only some are measured",
            node=s.names[0],
            hint="take reading='structural'",
        )
        for s in dag.statements
        if isinstance(s, Joint) and 0 < len(set(s.names) & replaced) < len(s.names)
    ]
    raise_all(faults, where)


def _without_unused(
    dag: Dag, replaced: set[str], statements: list[Statement], reading: str, where: str
) -> list[Statement]:
    """Statements less the unknowns that only stood in replaced distributions; their priors are refused."""
    reach = Reach(dag)
    candidates = {n for name in replaced for n in reach.unknowns_of(name)}
    deterministic = {n for n, through in reach.through.items() if through & candidates}
    changed = True
    while changed:
        changed = False
        used = {n for s in statements for n in _uses(s)}
        for name in (candidates | deterministic) - used:
            if any(name in defines(s) for s in statements) and not _reported(dag, name, candidates):
                statements = [s for s in statements if name not in defines(s)]
                changed = True
                if any(distribution_of(s) is not None for s in dag.nodes[name].statements):
                    hint = f"leave '{name}' out, or take reading='structural'"
                    told = f"reading={reading!r} replaces the distribution of "
                    told += ", ".join(f"'{n}'" for n in sorted(replaced))
                    fault = ModelError(f"{told}, and the prior of '{name}' with it", node=name, hint=hint)
                    raise_all([fault], where)
    return statements


def _uses(statement: Statement) -> set[str]:
    from dagmodels.graph.dag import expressions
    from dagmodels.graph.expression import references

    return {r.name for tree in expressions(statement) for r in references(tree)}


def _reported(dag: Dag, name: str, candidates: set[str]) -> bool:
    """A defined quantity that holds something besides what is dropped stays, and its parents with it."""
    if dag.nodes[name].kind != "deterministic":
        return False
    return not set(Reach(dag).through.get(name, ())) <= candidates


__all__ = ["READINGS", "read_as", "told"]
