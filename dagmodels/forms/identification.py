"""All verdicts about a graph of exchangeable units: the rules of its path diagram, counts, and the rank of
the exact Jacobian, which has the last word."""

from __future__ import annotations

import math

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.identify.counting import RULE as COUNTING
from dagmodels.analysis.identify.counting import Counts, counting
from dagmodels.analysis.identify.rules import rules
from dagmodels.analysis.identify.verdict import IDENTIFIED, NOT, SILENT, Identification, RuleVerdict
from dagmodels.analysis.paths import paths
from dagmodels.analysis.unit import Unit, unit
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_moments import template_of
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.moment_identification import count_of_moments, moment_findings, null_space
from dagmodels.forms.moments import Template
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag

RULE = "rank of the Jacobian"


def identification(problem: Problem) -> Identification:
    """Of a problem; its data count in nothing but the sizes of plates.

    Raises
    ------
    ModelErrors : the graph is no model of exchangeable units, saying why.
    """
    dag = problem.graph
    answers = rules(dag)
    found = unit(dag)
    assert isinstance(found, Unit)
    try:
        template, _ = template_of(problem, found)
    except NotLowered as error:
        last = [RuleVerdict(name, SILENT, (), str(error)) for name in (COUNTING, RULE)]
        return Identification((last[0], *answers, last[1]))
    count = _counts(problem, template)
    findings = moment_findings(problem)
    nodes = tuple(dict.fromkeys(n for f in findings for n in f.nodes))
    return Identification((counting(count), *answers, _rank(template, count, findings)), nodes)


def without_data(dag: Dag) -> Problem:
    """A graph of exchangeable units bound to sizes alone: plates whose levels only data tell get two.

    Raises
    ------
    ModelErrors : it is no such model, or data must tell more than sizes.
    """
    from dagmodels.bind.bind import bind

    paths(dag)  # refuses other graphs
    found = unit(dag)
    assert isinstance(found, Unit)
    sizes: dict[str, int] = {}
    for plate in dag.plates:
        outer = [dag.plate[p] for p in plate.parents]
        each = math.prod(len(p.levels) if p.levels else sizes.get(p.name, 2) for p in outer)
        if plate.levels is None and plate.alias_of is None and plate.name in dag.lies_in(found.plate):
            sizes[plate.name] = 2 * each
    return bind(dag, None, sizes=sizes, require_covariates=False)


def _rank(template: Template, count: Counts, findings: tuple[Finding, ...]) -> RuleVerdict:
    if template.prior_places.size:
        return RuleVerdict(RULE, SILENT, (), "priors tell apart what the data do not")
    if not findings:
        told = f"{count.unknowns} of {count.unknowns} at random values"
        return RuleVerdict(RULE, IDENTIFIED, tuple(c.node for c in template.coordinates), told)
    lost = null_space(template).shape[1]
    told = f"{count.unknowns - lost} of {count.unknowns} at random values; "
    told += "; ".join(f.message for f in findings)
    nodes = tuple(dict.fromkeys(n for f in findings for n in f.nodes))
    return RuleVerdict(RULE, NOT, nodes, told, "; ".join(dict.fromkeys(f.hint for f in findings)))


def _counts(problem: Problem, template: Template) -> Counts:
    p = paths(problem.graph)
    low = {r.name for tree in p.levels.values() for r in ex.references(tree)}
    trees = [*(a.coefficient for a in p.arrows), *(c.value for c in p.arcs), *p.variances.values()]
    low -= {r.name for tree in trees if tree is not None for r in ex.references(tree)}
    levels = sum(c.length for c in template.coordinates if c.node in low)
    means = int((~template.given).sum()) * template.structure.groups
    return Counts(
        template.x_places.size, count_of_moments(template), levels, means, template.structure.groups
    )
