"""Which backend is tried first: a table read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagmodels.analysis.facts import Facts


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: when it holds, the backends in order of preference, and why.

    name : a few words for the row.
    holds : whether the facts are of this kind.
    prefers : backends in order; the first that is installed and accepts is chosen.
    because : the reason, as a clause after "because".
    substitutes : for a backend that is not the first choice, what its answer then is.
    """

    name: str
    holds: Callable[[Facts], bool]
    prefers: tuple[str, ...]
    because: str
    substitutes: tuple[tuple[str, str], ...] = ()

    def note(self, backend: str) -> str:
        """What must be said when this backend answers under this rule, or ""."""
        return dict(self.substitutes).get(backend, "")


def known_discrete(facts: Facts) -> bool:
    """Every stochastic node is discrete and every number of its table is stated."""
    return bool(facts.stochastic) and not facts.continuous and not facts.unknown_numbers


def all_priors_proper(facts: Facts) -> bool:
    """Something is unknown and everything unknown has a proper prior."""
    estimated = facts.unknown_tables or facts.unknown_laws
    return bool(facts.unknowns) and not facts.parameters and not facts.flat and not estimated


def continuous_latents(facts: Facts) -> bool:
    """No latent node is discrete and no distribution is unknown (no latents at all included)."""
    return not facts.discrete_latents and not facts.unknown_tables and not facts.unknown_laws


def discrete_latents(facts: Facts) -> bool:
    """Some latent node is discrete, or a distribution is unknown."""
    return True


POLICY: tuple[Rule, ...] = (
    Rule(
        "known network",
        known_discrete,
        ("em",),
        "every node is discrete and every number is known: sums over the network are exact",
    ),
    Rule(
        "proper priors",
        all_priors_proper,
        ("gibbs", "laplace"),
        "every unknown has a proper prior, so there is a posterior to draw from",
        (("laplace", "marginal mode, not a posterior: posterior=True gives means and quantiles"),),
    ),
    Rule(
        "continuous latents",
        continuous_latents,
        ("laplace",),
        "what is unknown is continuous: latents are integrated out and the rest is maximised",
    ),
    Rule(
        "discrete latents",
        discrete_latents,
        ("em",),
        "discrete latents or unknown distributions are summed out step by step",
    ),
)


def rule_for(facts: Facts) -> Rule:
    """The first row that holds."""
    return next(rule for rule in POLICY if rule.holds(facts))
