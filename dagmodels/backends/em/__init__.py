"""The `em` backend: expectation and maximisation, over tables of networks, discrete latents, latents of
units on nodes of quadrature, unknown distributions, moments of units, or a Gaussian field.

For the last two it is a second route to the optimum that `laplace` finds by Newton's steps, with the same
certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagmodels.errors import FitError

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.bind.problem import Problem
    from dagmodels.data.partitions import Partitions
    from dagmodels.plugin import Plan, Verdict
    from dagmodels.results.fit import Fit


class Em:
    """See the module."""

    name = "em"

    def judge(self, facts: Facts) -> Verdict:
        """Whether a latent's distribution is unknown, the graph is a network of cases, has discrete latents,
        or is fitted from moments."""
        from dagmodels.analysis.discrete_latents import all_discrete
        from dagmodels.analysis.table_unit import NoTableUnit, TableUnit, table_unit

        if facts.unknown_laws:
            from dagmodels.backends.em.mixing.judge import judge as judge_mixing

            return judge_mixing(facts)
        network = table_unit(facts.graph)
        if isinstance(network, TableUnit):
            from dagmodels.backends.em.tables.judge import judge as judge_tables

            return judge_tables(facts, network)
        if isinstance(network, NoTableUnit) and network.is_single:
            from dagmodels.backends.em.tables.judge import judge_single

            return judge_single(facts)
        from dagmodels.backends.em.linear.judge import is_linear
        from dagmodels.backends.em.linear.judge import judge as judge_linear

        if is_linear(facts.graph, facts.problem):
            return judge_linear(facts)
        if facts.discrete_latents or facts.unknown_tables or all_discrete(facts.graph):
            from dagmodels.backends.em.mixture.judge import judge as judge_mixture

            return _or_on_nodes(facts, judge_mixture(facts), first=not facts.discrete_latents)
        return _or_on_nodes(facts, _gaussian(facts))

    def fit(self, problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Maximise the likelihood by EM; see `fit` of the folders, and of this one."""
        from dagmodels.analysis.discrete_latents import all_discrete, discrete_latents
        from dagmodels.analysis.table_unit import NoTableUnit, TableUnit, table_unit
        from dagmodels.analysis.unknown_laws import with_unknown_law
        from dagmodels.backends.em.quadrature.judge import on_nodes

        if with_unknown_law(problem.graph):
            from dagmodels.backends.em.mixing.fit import fit as fit_mixing

            return fit_mixing(problem, plan, options)
        network = table_unit(problem.graph)
        if isinstance(network, TableUnit):
            from dagmodels.backends.em.tables.fit import fit as fit_tables

            return fit_tables(problem, plan, network, options)
        if isinstance(network, NoTableUnit) and network.is_single:
            told = "one case estimates no tables: give columns, one row a case; `query` asks about one case"
            raise FitError(f"em: {told}")
        if (names := on_nodes(plan)) and options.get("estep") is not None:
            from dagmodels.backends.em.sampled.continuous import fit as fit_drawn

            return fit_drawn(problem, plan, names, options)
        if names:
            from dagmodels.backends.em.quadrature.fit import fit as fit_on_nodes

            return fit_on_nodes(problem, plan, names, options)
        from dagmodels.backends.em.linear.judge import is_linear

        if options.get("estep") is not None:
            from dagmodels.backends.em.sampled.fit import fit as fit_sampled

            return fit_sampled(problem, plan, options)
        if is_linear(problem.graph, problem):
            from dagmodels.backends.em.linear.fit import fit as fit_linear

            return fit_linear(problem, plan, options)
        if discrete_latents(problem.graph, problem).nodes or all_discrete(problem.graph):
            from dagmodels.backends.em.mixture.fit import fit as fit_mixture

            return fit_mixture(problem, plan, options)
        from dagmodels.backends.em.field.judge import on_field

        if on_field(plan):
            from dagmodels.backends.em.field.fit import fit as fit_on_field

            return fit_on_field(problem, plan, options)
        from dagmodels.backends.em.fit import fit

        return fit(problem, plan, options)

    def fit_pieces(self, problem: Problem, parts: Partitions, plan: Plan, options: Mapping[str, Any]) -> Fit:
        """Data in pieces whose rows differ too much to be counted; see `mixture.pieces`."""
        from dagmodels.analysis.discrete_latents import discrete_latents
        from dagmodels.analysis.table_unit import TableUnit, table_unit
        from dagmodels.analysis.unknown_laws import with_unknown_law

        plain = not isinstance(table_unit(problem.graph), TableUnit)
        if plain and not with_unknown_law(problem.graph) and discrete_latents(problem.graph, problem).nodes:
            from dagmodels.backends.em.mixture.pieces import fit_pieces

            return fit_pieces(problem, parts, plan, options)
        raise FitError(
            "em: the rows differ too much to be counted (round them), and only mixtures go through pieces "
            "again and again: give the data as one frame"
        )


def _gaussian(facts: Facts) -> Verdict:
    """That of units by their moments, or of the field."""
    from dagmodels.backends.em.field.judge import judge as judge_field
    from dagmodels.backends.em.judge import judge

    verdict = judge(facts)
    if verdict.accepts or (facts.form.form == "moments" and not facts.form.either):
        return verdict
    other = judge_field(facts)
    return other if other.accepts or facts.form.form == "field" else verdict


def _or_on_nodes(facts: Facts, verdict: Verdict, first: bool = False) -> Verdict:
    """The verdict, or that of latents on nodes where it refuses and they can be integrated so.

    first : latents of units are put on nodes though the verdict accepts, which would maximise over them.
    """
    if verdict.accepts and not first:
        return verdict
    from dagmodels.analysis.quadrature_latents import quadrature_latents
    from dagmodels.backends.em.quadrature.judge import judge as judge_on_nodes

    other = judge_on_nodes(facts)
    if other.accepts:
        return other
    if verdict.accepts:
        return verdict
    told = quadrature_latents(facts.graph, facts.problem).because
    return replace(verdict, because=(*verdict.because, *([f"not on nodes: {told}"] if "'" in told else [])))


backend = Em()
