"""What `check` hands back: sentences to print, findings to act upon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from dagmodels.analysis.facts import Facts
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.sentences import describe


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """sentences : what is true; findings : what is wrong, which the last sentences say too."""

    sentences: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    __repr__ = __str__  # an interactive session shows the sentences

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<ul>{''.join(f'<li>{escape(s)}</li>' for s in self.sentences)}</ul>"

    def __iter__(self) -> Iterator[str]:
        return iter(self.sentences)

    def __len__(self) -> int:
        return len(self.sentences)


def report(facts: Facts) -> Report:
    """All sentences about a graph, or about a graph with its data."""
    return Report(tuple(describe(facts)), facts.findings)
