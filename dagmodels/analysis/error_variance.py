"""Berkson errors as they are said, and what would tell an unknown error of a covariate."""

from __future__ import annotations

from dataclasses import replace

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.measurement import berkson, covariates_with_error
from dagmodels.graph.dag import Dag


def berkson_notes(dag: Dag) -> tuple[str, ...]:
    """What graphs with Berkson errors say, in case the other arrow was meant."""
    return tuple(
        f"'{b.node}' scatters about the column '{b.column}' (Berkson error: slopes of linear outcomes are "
        f"not attenuated); if '{b.column}' is a reading of '{b.node}' with error, write "
        f"`{b.node} ~ Normal(mu, s)` and `observed {b.column} ~ Normal({b.node}, ...)`"
        for b in berkson(dag)
    )


def would_identify(dag: Dag, finding: Finding) -> Finding:
    """The finding with what identifies an unknown error of a covariate, where it is about such an error."""
    for m in covariates_with_error(dag):
        if any({*reading.unknown} & {*finding.nodes} for reading in m.readings):
            ways = (
                f"what would tell the error of '{m.node}': a known error variance or reliability, a "
                "replicate, an instrument, a validation sample in which it is seen, or the ratio of the "
                "error variances where nothing else scatters about the line"
            )
            return replace(finding, hint=f"{finding.hint}; {ways}")
    return finding


__all__ = ["berkson_notes", "would_identify"]
