"""The rules that the path diagram answers, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable

from dagmodels.analysis.identify.bow_free import bow_free
from dagmodels.analysis.identify.diagram import diagram
from dagmodels.analysis.identify.half_trek import half_trek
from dagmodels.analysis.identify.measurement import Settlement, settle
from dagmodels.analysis.identify.path_model import PathModel, path_model
from dagmodels.analysis.identify.rank_condition import rank_condition
from dagmodels.analysis.identify.recursive import recursive
from dagmodels.analysis.identify.scale import scale
from dagmodels.analysis.identify.single_indicator import single_indicator
from dagmodels.analysis.identify.three_indicators import three_indicators
from dagmodels.analysis.identify.two_indicators import two_indicators
from dagmodels.analysis.identify.verdict import RuleVerdict
from dagmodels.graph.dag import Dag, remembered

MEASUREMENT: tuple[Callable[[Settlement], RuleVerdict], ...] = (
    scale,
    single_indicator,
    three_indicators,
    two_indicators,
)
STRUCTURE: tuple[Callable[[PathModel], RuleVerdict], ...] = (
    recursive,
    bow_free,
    rank_condition,
    half_trek,
)


@remembered
def rules(dag: Dag) -> tuple[RuleVerdict, ...]:
    """All answers about a graph.

    Raises
    ------
    ModelErrors : the graph is no model of exchangeable units.
    """
    s = settle(diagram(dag))
    m = path_model(s)
    return (*(rule(s) for rule in MEASUREMENT), *(rule(m) for rule in STRUCTURE))
