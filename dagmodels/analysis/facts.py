"""What is true of a graph, or of a graph with its data; every answer is found when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from dagmodels.analysis import laws
from dagmodels.analysis.error_variance import berkson_notes, would_identify
from dagmodels.analysis.finding import Finding
from dagmodels.analysis.form_choice import FormChoice, form_choice
from dagmodels.analysis.gaussianity import GaussianNode, conditionally_gaussian, gaussian_nodes
from dagmodels.analysis.identification import identification, identification_by_data
from dagmodels.analysis.improper import improper
from dagmodels.analysis.known_scales import known_scales
from dagmodels.analysis.label_symmetry import LabelSymmetry, label_symmetries
from dagmodels.analysis.loops import loops
from dagmodels.analysis.nesting import Nesting, nesting
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.reading_checks import reading_doubts, reading_findings
from dagmodels.analysis.readings import told
from dagmodels.analysis.replicates import apart, equal_replicates
from dagmodels.analysis.separation import ancestors, stochastic_parents
from dagmodels.analysis.unknown_laws import is_estimated, with_unknown_law
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.plate import Plate
from dagmodels.graph.statement import Parameter


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is true of one node.

    kind, role : as the graph has them ("observed" or "latent" for stochastic nodes).
    families : of all its statements, wrappers before what they wrap.
    gaussian : every law is Normal, MvNormal or flat, and one is not flat.
    discrete : it takes counted values.
    latent : a stochastic node without data, or with some values missing.
    prior : how an unknown enters: "proper", "flat" or "parameter" (none); None for what is known.
    size, missing : how many elements it has and how many have no value; None without data.
    """

    name: str
    kind: str
    role: str
    families: tuple[str, ...]
    gaussian: bool
    discrete: bool
    latent: bool
    prior: str | None
    size: int | None = None
    missing: int | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts about `graph`, and about `problem` where data are bound; see `facts`.

    options : the user's, of the fit; they may decide on the numeric form.
    by_moments : finds what the means and covariances of a problem leave unidentified, where it is fitted from
        these (`forms.moment_identification`).
    told_apart : whoever made the graph from these data has seen to it that no combination of coefficients
        leaves all means as they are.
    """

    graph: Dag
    problem: Problem | None = None
    told_apart: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by_moments: Callable[[Problem], tuple[Finding, ...]] | None = None

    @cached_property
    def nodes(self) -> Mapping[str, NodeFacts]:
        """One entry a node, in the order of the model."""
        if self.problem is None:
            return MappingProxyType({n: _node_facts(node) for n, node in self.graph.nodes.items()})
        problem = self.problem
        return MappingProxyType({n: _with_data(f, problem) for n, f in self.structure.nodes.items()})

    @cached_property
    def structure(self) -> Facts:
        """The facts of the graph alone; kept for the graphs seen last."""
        return self if self.problem is None else _structure(self.graph)

    @cached_property
    def reach(self) -> Reach:
        """Which unknowns each tree depends on."""
        return Reach(self.graph) if self.problem is None else self.structure.reach

    @cached_property
    def _kept(self) -> dict[tuple[tuple[str, object], ...], tuple[str, ...]]:
        return {}

    def _where(self, **wanted: object) -> tuple[str, ...]:
        """Nodes with these facts, none of which hangs on data."""
        if self.problem is not None:
            return self.structure._where(**wanted)
        key = tuple(wanted.items())
        if key not in self._kept:
            self._kept[key] = tuple(
                n for n, f in self.nodes.items() if all(getattr(f, what) == value for what, value in key)
            )
        return self._kept[key]

    @cached_property
    def stochastic(self) -> tuple[str, ...]:
        """Nodes with a distribution."""
        return self._where(kind="stochastic")

    @cached_property
    def observed(self) -> tuple[str, ...]:
        """Stochastic nodes that data are given for."""
        return self._where(role="observed")

    @cached_property
    def gaussian(self) -> tuple[str, ...]:
        """Stochastic nodes that are Gaussian given their parents."""
        return self._where(kind="stochastic", gaussian=True)

    @cached_property
    def discrete(self) -> tuple[str, ...]:
        """Stochastic nodes with counted values."""
        return self._where(kind="stochastic", discrete=True)

    @cached_property
    def continuous(self) -> tuple[str, ...]:
        """Stochastic nodes that are not discrete."""
        return self._where(kind="stochastic", discrete=False)

    @cached_property
    def latent(self) -> tuple[str, ...]:
        """Stochastic nodes without data, or with missing values."""
        return tuple(n for n, f in self.nodes.items() if f.latent)

    @cached_property
    def discrete_latents(self) -> tuple[str, ...]:
        """Latent nodes with counted values, but for missing ones of observed nodes on which nothing depends:
        these integrate to one."""
        return tuple(n for n in self.discrete if self.nodes[n].latent and not self._barren(n))

    @cached_property
    def label_symmetries(self) -> tuple[LabelSymmetry, ...]:
        """Plates of values of discrete unknowns whose labels may be exchanged."""
        return label_symmetries(self.graph, self.problem)

    def _barren(self, name: str) -> bool:
        """Whether an observed node misses some values, and no other node depends on it."""
        f = self.nodes[name]
        return (
            f.role == "observed"
            and f.missing is not None
            and f.size is not None
            and f.missing < f.size
            and not self.graph.children[name]
        )

    @cached_property
    def unknowns(self) -> tuple[str, ...]:
        """Parameters and stochastic nodes that are not observed."""
        if self.problem is not None:
            return self.structure.unknowns
        return tuple(n for n, f in self.nodes.items() if f.prior is not None)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Unknowns without a prior: they are maximised."""
        return self._where(prior="parameter")

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """Unknowns with a flat prior (of some of their levels at least)."""
        return self._where(prior="flat")

    @cached_property
    def proper(self) -> tuple[str, ...]:
        """Unknowns with a proper prior."""
        return self._where(prior="proper")

    @cached_property
    def hierarchical(self) -> tuple[str, ...]:
        """Unobserved stochastic nodes whose law depends on other unknowns."""
        return tuple(
            n
            for n, f in self.nodes.items()
            if f.role == "latent" and any(self.is_unknown(p) for p in _sources(self.graph, n))
        )

    def is_unknown(self, name: str) -> bool:
        """Whether a node is a parameter, unobserved, or partly missing."""
        return self.nodes[name].prior is not None or self.nodes[name].latent

    @cached_property
    def unknown_tables(self) -> tuple[str, ...]:
        """Nodes with a `Table` whose numbers are not stated."""
        if self.problem is not None:
            return self.structure.unknown_tables
        found = (
            (n, laws.distribution_of(s)) for n, node in self.graph.nodes.items() for s in node.statements
        )
        return tuple(dict.fromkeys(n for n, law in found if law is not None and laws.table_is_unknown(law)))

    @cached_property
    def unknown_laws(self) -> tuple[str, ...]:
        """Nodes whose distribution is itself estimated (`NPMLE`, `GModel`, `Unimodal`)."""
        return self.structure.unknown_laws if self.problem is not None else with_unknown_law(self.graph)

    @cached_property
    def unknown_numbers(self) -> tuple[str, ...]:
        """What keeps a discrete network from being known: parameters, unknown tables, continuous unknowns."""
        if self.problem is not None:
            return self.structure.unknown_numbers
        numbers = (n for n in self.unknowns if n in self.parameters or n not in self.discrete)
        return tuple(dict.fromkeys((*numbers, *self.unknown_tables)))

    @cached_property
    def gaussian_nodes(self) -> Mapping[str, GaussianNode]:
        """For each Gaussian node in which unknowns its mean is linear, and what its scale depends on."""
        if self.problem is not None:
            return self.structure.gaussian_nodes
        return MappingProxyType(dict(gaussian_nodes(self.reach)))

    @cached_property
    def conditionally_gaussian(self) -> tuple[str, ...]:
        """Nodes whose full conditional, given everything else, is Gaussian."""
        if self.problem is not None:
            return self.structure.conditionally_gaussian
        return conditionally_gaussian(self.reach, self.gaussian_nodes)

    @cached_property
    def nesting(self) -> Nesting:
        """How the plates lie to one another."""
        return nesting(self.graph, self.problem)

    @cached_property
    def ordered(self) -> tuple[Plate, ...]:
        """Plates whose elements have an order."""
        return tuple(p for p in self.graph.plates if p.ordered)

    @cached_property
    def aliases(self) -> tuple[Plate, ...]:
        """Second names of plates."""
        return tuple(p for p in self.graph.plates if p.alias_of is not None)

    @cached_property
    def loops(self) -> tuple[tuple[str, ...], ...]:
        """Nodes that depend on one another's earlier elements."""
        return loops(self.graph) if self.problem is None else self.structure.loops

    @cached_property
    def form(self) -> FormChoice:
        """The numeric form of a linear Gaussian graph of units, and why."""
        return form_choice(self.graph, self.problem, self.options)

    @cached_property
    def identification(self) -> tuple[Finding, ...]:
        """Unidentified parameters, named, with what would fix them."""
        if self.problem is None:
            return identification(self.reach)
        known = self.structure.identification
        if self.form.form == "moments":
            # collinear columns are seen in the covariance matrix itself
            return known if known or self.by_moments is None else self.by_moments(self.problem)
        return (*known, *identification_by_data(self.problem, self.reach, known, self.told_apart))

    @cached_property
    def improper(self) -> tuple[Finding, ...]:
        """Flat priors that leave the posterior improper; collinear flat coefficients are among them."""
        doubtful = tuple(f for f in self.identification if set(f.nodes) & set(self.flat))
        return (*improper(self.graph, self.problem), *doubtful)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All that is wrong, each once."""
        scales = () if self.problem is None else self._scales(self.problem)
        found = (would_identify(self.graph, f) for f in self.identification)
        return tuple(dict.fromkeys((*scales, *self.improper, *found)))

    @staticmethod
    def _scales(problem: Problem) -> tuple[Finding, ...]:
        """Errors that data leave no size for."""
        return (*known_scales(problem), *equal_replicates(problem), *reading_findings(problem))

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What a user must know of errors as large as what was observed, and of samples without overlap."""
        return () if self.problem is None else (*reading_doubts(self.problem), *apart(self.problem))

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """How covariates measured with error are read, and errors of Berkson's kind."""
        return (*told(self.graph), *berkson_notes(self.graph), *self.doubts)

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """The findings as sentences."""
        flat = set(self.improper)
        return tuple(
            f"the posterior is improper, as {finding}"
            if finding in flat and finding.kind != "improper"
            else str(finding)
            for finding in self.findings
        )


def facts(of: Dag | Problem, told_apart: bool = False) -> Facts:
    """Facts of a graph, or of a graph bound to data (`told_apart`: see `Facts`).

    Cheap: nothing is computed before it is asked for, and each answer is kept.
    """
    return Facts(of) if isinstance(of, Dag) else Facts(of.graph, of, told_apart)


def _sources(dag: Dag, name: str) -> set[str]:
    """Parameters and stochastic nodes a node depends on, through deterministic ones too."""
    parameters = {p for p in dag.parents[name] if dag.nodes[p].kind == "parameter"}
    through = [p for p in dag.parents[name] if dag.nodes[p].kind == "deterministic"]
    below = ancestors(dag, through) if through else set[str]()
    return parameters | stochastic_parents(dag, name) | {n for n in below if dag.nodes[n].kind == "parameter"}


@lru_cache(maxsize=32)
def _structure(graph: Dag) -> Facts:
    return Facts(graph)


def _with_data(found: NodeFacts, problem: Problem) -> NodeFacts:
    """A node's facts with its size and what is missing of it."""
    size = 1
    for n in problem.shape(found.name):
        size *= n
    f, missing = found, None
    if f.role == "observed":
        seen = problem.observed.get(f.name)
        missing = size if seen is None else size - int(np.count_nonzero(seen))
    latent = f.latent if missing is None else missing > 0
    return NodeFacts(
        f.name, f.kind, f.role, f.families, f.gaussian, f.discrete, latent, f.prior, size, missing
    )


def _node_facts(node: Node) -> NodeFacts:
    found = [d for s in node.statements if (d := laws.distribution_of(s)) is not None]
    gaussian = bool(found) and all(laws.is_gaussian(d) or d.family == "Flat" for d in found)
    return NodeFacts(
        name=node.name,
        kind=node.kind,
        role=node.role,
        families=tuple(f for d in found for f in laws.families(d)),
        gaussian=gaussian and any(laws.is_gaussian(d) for d in found),
        discrete=node.values_in is not None or any(laws.is_discrete(d) for d in found),
        latent=node.role == "latent",
        prior=_prior(node),
    )


def _prior(node: Node) -> str | None:
    if any(isinstance(s, Parameter) for s in node.statements):
        return "parameter"
    if node.role != "latent":
        return None
    found = [d for s in node.statements if (d := laws.distribution_of(s)) is not None]
    if any(is_estimated(d) for d in found):
        return "unknown law"
    return "flat" if any(laws.is_flat(d) for d in found) else "proper"
