"""Random models read back exactly from text and JSON, and the generator leaves nothing out."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as hs

from dagmodels.distributions import families
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.functions import FUNCTIONS
from dagmodels.graph.signatures import WRAPPERS
from dagmodels.readers import read
from dagmodels.writers import to_json, to_text
from tests.strategies import Maker, dags

EXAMPLES = 150
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(dags())
def test_round_trips_are_exact(dag: Dag):
    text = to_text(dag)
    from_text = read(text)
    assert from_text == dag
    assert to_text(from_text) == text
    json = to_json(from_text)
    from_json = read(json)
    assert from_json == dag
    assert hash(from_json) == hash(dag)
    assert to_json(from_json) == json


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(dags(), hs.randoms(use_true_random=False))
def test_order_means_nothing(dag: Dag, rng: random.Random):
    statements, plates = list(dag.statements), list(dag.plates)
    rng.shuffle(statements)
    rng.shuffle(plates)
    shuffled = build(dag.name, plates, statements, dag.data_file)
    assert shuffled == dag
    assert hash(shuffled) == hash(dag)


def emitted(dag: Dag) -> set[str]:
    """Names of everything the model uses."""
    found = {f"kind {type(s).__name__}" for s in dag.statements}
    found |= {f"node {n.kind}" for n in dag.nodes.values()} | {f"role {n.role}" for n in dag.nodes.values()}
    found |= {"data file"} if dag.data_file else set()
    for plate in dag.plates:
        found.add(f"plate with {len(plate.parents)} parents")
        found |= {"plate ordered"} if plate.ordered else set()
        found |= {"plate alias"} if plate.alias_of else set()
        found |= {f"plate levels {type(v).__name__}" for v in plate.levels or ()}
        found |= {"plate in alias" for p in plate.parents if dag.plate[p].alias_of}
        found |= {"plate nested twice" for p in plate.parents if dag.plate[p].parents}
    for statement in dag.statements:
        found |= {"note"} if statement.note else set()
        found |= {f"{type(statement).__name__} values_in"} if getattr(statement, "values_in", None) else set()
        match statement:
            case st.Parameter(domain=domain, start=start):
                found.add(f"domain {domain.kind if domain else None}")
                found |= {"start"} if start is not None else set()
            case st.Stochastic(head=head, distribution=law):
                found |= {f"crossed {len(head.slots)}"} | _slots(head) | _law(law)
            case st.Deterministic(head=head):
                found |= _slots(head)
            case st.Joint(distribution=law):
                found |= _law(law)
            case _:
                pass
        for tree in expressions(statement):
            for part in ex.walk(tree):
                found |= _part(part)
    return found


def _slots(head: st.Head) -> set[str]:
    found = {"slot level" for s in head.slots if s.label is not None}
    return found | {f"slot first {s.first}" for s in head.slots if s.first}


def _law(law: st.Distribution) -> set[str]:
    found = {f"law {law.family}"}
    for key, value in law.arguments:
        found.add(f"argument {law.family} {key}")
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, st.Distribution):
                found |= _law(inner)
            elif isinstance(inner, st.Rows):
                found |= {f"rows {len(r.labels)}" for r in inner.rows}
    return found


def _part(part: ex.Expression) -> set[str]:
    match part:
        case ex.Unary(op) | ex.Binary(op):
            return {f"{type(part).__name__} {op}"}
        case ex.Call(function):
            return {f"call {function}"}
        case ex.Reduction(kind, _, plates):
            return {f"reduction {kind}", f"reduction over {len(plates)}"}
        case ex.Reference(_, indices):
            return {"reference"} | {f"index {type(i).__name__}" for i in indices or ()}
        case _:
            return {f"part {type(part).__name__}"}


def expected() -> set[str]:
    """Everything the language has."""
    kinds = ("Stochastic", "Joint", "Deterministic", "Covariate", "Constant", "Parameter", "Covariance")
    binary = ("+", "-", "*", "/", "**", "==", "!=", "<", "<=", ">", ">=")
    found = {f"kind {k}" for k in kinds} | {f"Binary {op}" for op in binary} | {"Unary +", "Unary -"}
    found |= {f"node {k}" for k in ("stochastic", "deterministic", "covariate", "constant", "parameter")}
    found |= {"role observed", "role latent", "data file", "note", "start", "reference"}
    found |= {f"domain {d}" for d in (None, "interval", "ordered", "simplex", "covariance", "correlation")}
    found |= {f"plate with {n} parents" for n in (0, 1, 2)} | {
        "plate ordered",
        "plate alias",
        "plate in alias",
    }
    found |= {
        "plate nested twice",
        "plate levels int",
        "plate levels str",
        "crossed 0",
        "crossed 1",
        "crossed 2",
    }
    found |= {"slot level", "slot first 1", "slot first 2", "rows 1", "rows 2"}
    found |= {"Stochastic values_in", "Covariate values_in"}
    found |= {f"index {k}" for k in ("PlateIndex", "LagIndex", "LevelIndex", "NodeIndex")}
    found |= {f"reduction {k}" for k in ("sum", "prod", "mean")} | {"reduction over 1", "reduction over 2"}
    found |= {f"part {k}" for k in ("Number", "Text", "Vector")}
    found |= {f"call {n}" for n, f in FUNCTIONS.items() if f.public}
    found |= {f"law {w}" for w in WRAPPERS} | {
        f"argument {w} {a}" for w, names in WRAPPERS.items() for a in names
    }
    for name, family in families().items():
        found.add(f"law {name}")
        names = [p.name for p in family.parameters] + list(family.alternatives)
        found |= {f"argument {name} {a}" for a in [*names, *(n for s in family.signatures for n in s)]}
    return found


def test_the_generator_emits_everything():
    """The draws are fixed by their seeds; the rarest item is in several of them."""
    found: set[str] = set()
    for seed in range(1300):
        found |= emitted(Maker(random.Random(seed)).model())
    assert expected() - found == set()
