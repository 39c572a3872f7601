"""All that a third party's backend imports: the protocol, the verdict, the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.results.fit import Fit


@dataclass(frozen=True, slots=True)
class Role:
    """How one unknown is treated: "integrated", "profiled" or "outer", and why."""

    node: str
    role: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A pass applied to the problem, such as "compress" or "collapse", and why it holds."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One backend's answer to the facts.

    accepts : whether it can fit them.
    exact : whether its answer is exact (no approximation of an integral, no Monte Carlo error).
    because : sentences that name nodes: why, or why not.
    method : what it would do, in a few words, such as "exact marginal likelihood (REML)".
    cost : guess of the CPU seconds, None when unknown.
    by_name : it would answer another question than the graph asks (draws where nothing has a prior), or what
        others answer better, and so only where `method=` names it.
    """

    backend: str
    accepts: bool
    exact: bool = False
    because: tuple[str, ...] = ()
    method: str = ""
    cost: float | None = None
    roles: tuple[Role, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The choice and everything that led to it; `print(plan)` is the explanation.

    backend : the one chosen; None when none accepts, or the one asked for refuses.
    reason : why this one, or what would be needed.
    verdicts : every backend's answer.
    notes : what else the user should know, such as "marginal mode, not a posterior".
    options : what the user passed on to the backend.
    model : the model's name.
    method : what was asked for: "auto" or a backend's name.
    rule : the row of the policy that held.
    text : the explanation in full, which `str` and `print` show, or a function of the plan that gives it.
    """

    backend: str | None
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    method: str = "auto"
    rule: str = ""
    text: str | Callable[[Plan], str] = field(default="", repr=False, compare=False)

    @property
    def verdict(self) -> Verdict | None:
        """The chosen backend's verdict."""
        return next((v for v in self.verdicts if v.backend == self.backend), None)

    def __str__(self) -> str:
        text = self.text(self) if callable(self.text) else self.text
        return text or f"{self.backend or 'no backend'}: {self.reason}"

    def __repr__(self) -> str:
        model = f" for {self.model}" if self.model else ""
        return f"<Plan{model}: {self.backend or 'no backend'}; print it for the reasons>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<pre>{escape(str(self))}</pre>"


@runtime_checkable
class Backend(Protocol):
    """What the entry-point group `dagmodels.backends` holds.

    A backend may also have `describe(plan)`, which gives the plan in the words of its options, and
    `query(asked, evidence, targets, joint)`, which answers questions to networks (`Graph.query`).
    """

    name: str

    def judge(self, facts: Facts) -> Verdict:
        """Can this backend fit these facts? Cheap; imports nothing heavy."""
        ...

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Do it."""
        ...
