"""What the rules of identification answer: a row each, and all of them with the final verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

IDENTIFIED, NOT, SILENT = "identified", "not identified", "silent"


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """One rule's answer.

    rule : its name. verdict : "identified", "not identified" or "silent".
    nodes : whom it speaks of. because : the reason, a sentence without its full stop.
    remedy : where something is not identified, what would fix it, else "".
    """

    rule: str
    verdict: str
    nodes: tuple[str, ...]
    because: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.because}: {self.remedy}" if self.remedy else self.because


@dataclass(frozen=True, slots=True, repr=False)
class Identification:
    """The rules' answers and the final verdict, which is the Jacobian's, the last row; prints as a table.

    An identified model is so almost everywhere: at special values (a loading of zero) it may not be.
    Rules of the path diagram speak of covariances; means are in the count and in the rank.

    unidentified : unknowns that means and covariances do not tell apart. notes : what was left out.
    """

    rows: tuple[RuleVerdict, ...]
    unidentified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Of the last row, the rank of the Jacobian; "silent" where the model has none."""
        return self.rows[-1].verdict

    @property
    def identified(self) -> bool:
        return self.verdict == IDENTIFIED

    def __getitem__(self, rule: str) -> RuleVerdict:
        """The row of a rule."""
        for row in self.rows:
            if row.rule == rule:
                return row
        raise KeyError(f"no rule {rule!r}; there are {', '.join(r.rule for r in self.rows)}")

    def __iter__(self) -> Iterator[RuleVerdict]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        left = max(len(r.rule) for r in self.rows)
        lines = [f"{r.rule:<{left}}  {r.verdict:<{len(NOT)}}  {r}" for r in self.rows]
        return "\n".join([*lines, f"verdict: {self.verdict}", *self.notes])

    __repr__ = __str__  # an interactive session shows the table

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        cells = "".join(
            f"<tr><td>{escape(r.rule)}</td><td>{escape(r.verdict)}</td><td>{escape(str(r))}</td></tr>"
            for r in self.rows
        )
        return f"<table>{cells}</table><p>verdict: {escape(self.verdict)}</p>"


def listed(names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    """'a', 'b' and 3 more."""
    every = [f"'{n}'" for n in names]
    more = f" and {len(every) - 6} more" if len(every) > 6 else ""
    return ", ".join(every[:6]) + more
