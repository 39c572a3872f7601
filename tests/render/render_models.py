"""Models that the tests of pictures share: the classical ones, odd ones, and random ones."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as some

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate
from dagmodels.readers import read
from tests import strategies

MODELS = Path(__file__).parent.parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.dag"))

JOINT = """
model joint
plate team = 1..20
plate home as team
plate away as team
plate match in home, away
plate subject
plate t ordered
parameter k, q_x, rho
parameter s_a, s_b > 0
skill[team] ~ Normal(0, 1)
observed score[match] ~ Normal(skill[home] - skill[away], s_a)
(a, b)[subject] ~ MvNormal([0, 0], [[1, rho], [rho, 1]])
observed y[subject] ~ Normal(a + b, s_b)
u[t] ~ Normal(0, 1)
x[t first] ~ Normal(0, 1)
x[t] ~ Normal(k*x[t-1] + q_x*u[t-1] + u, 1)
c[subject] ~ Normal(0, 1)
d[subject] ~ Normal(0, 1)
c ~~ d = rho*s_a*s_b
"""

ODD_NAMES = [
    'a "b"',
    "<i>tag</i>",
    "x & y",
    "&lt;",
    "back\\slash",
    "ends with \\",
    "{brace",
    "brace}",
    "semi; colon:",
    "a -> b",
    "[x]",
    "#1;",
    "|pipe|",
    "end",
    "subgraph",
    "node",
    "n0",
    "cluster_0",
    "ünïcode ☃",
    "new",
    "--",
    "1",
    "%d {}",
    "'quoted'",
    "'%",
]


def model(name: str) -> Dag:
    """A classical model by the name of its file."""
    return read(MODELS / f"{name}.dag")


def dags() -> some.SearchStrategy[Dag]:
    """Valid models of the whole language, and small ones that may hold any name."""
    return some.one_of(strategies.dags(), small_dags())


@some.composite
def small_dags(draw: some.DrawFn) -> Dag:
    """A small random model: plates nested, crossed and aliased; every role; lags; covariances; odd names.

    Built from statements directly, so that it can hold any name; pictures need no checked model.
    """
    letters = some.sampled_from(
        [*ODD_NAMES, *(f"v{i}" for i in range(12)), "tau_c", "beta1", "beta_1", "Sigma"]
    )
    plates = draw(_plates())
    names = draw(some.lists(letters, min_size=1, max_size=9, unique=True))
    statements: list[st.Statement] = []
    for i, name in enumerate(names):
        chosen = draw(some.lists(some.sampled_from([p.name for p in plates]), max_size=3, unique=True))
        earlier = [(n, s) for n, s in zip(names[:i], statements, strict=True)]
        parents = draw(some.lists(some.sampled_from(earlier), max_size=3)) if earlier else []
        lag = bool(chosen) and draw(some.booleans())
        statements.append(_statement(draw, name, tuple(chosen), [n for n, _ in parents], lag))
    if len(names) > 1 and draw(some.booleans()):
        left, right = st.Head(names[0]), st.Head(names[1])
        statements.append(st.Covariance(left, right, ex.Reference(names[-1], ())))
    return Dag("random", tuple(plates), tuple(statements))


@some.composite
def _plates(draw: some.DrawFn) -> list[Plate]:
    found: list[Plate] = []
    for i in range(draw(some.integers(1, 6))):
        known = [p.name for p in found]
        kind = draw(some.sampled_from(["top", "nested", "crossed", "alias"])) if known else "top"
        name = f"p{i}" if draw(some.booleans()) else f'plate "{i}" <&>'
        if kind == "alias":
            base = draw(some.sampled_from([p.name for p in found if p.alias_of is None]))
            found.append(Plate(name, alias_of=base))
            continue
        count = {"top": 0, "nested": 1, "crossed": min(2, len(known))}[kind]
        parents = draw(
            some.lists(some.sampled_from(known), min_size=count, max_size=count, unique=True)
            if count
            else some.just([])
        )
        levels = (1, 2, 3) if draw(some.booleans()) else None
        found.append(Plate(name, tuple(parents), levels=levels, ordered=draw(some.booleans())))
    return found


def _statement(
    draw: some.DrawFn, name: str, plates: tuple[str, ...], parents: list[str], lag: bool
) -> st.Statement:
    tree: ex.Expression = ex.Number(0)
    for parent in parents:
        tree = ex.Binary("+", tree, ex.Reference(parent, ()))
    if lag:
        tree = ex.Binary("+", tree, ex.Reference(name, (ex.LagIndex(plates[0], 1),)))
    head = st.Head(name, tuple(st.Slot(p) for p in plates))
    kind = draw(
        some.sampled_from(["latent", "observed", "deterministic", "parameter", "covariate", "constant"])
    )
    match kind:
        case "latent" | "observed":
            law = st.Distribution("Normal", (("mu", tree), ("sigma", ex.Number(1))))
            return st.Stochastic(head, law, observed=kind == "observed")
        case "deterministic":
            return st.Deterministic(head, tree)
        case "parameter":
            return st.Parameter(name, plates)
        case "covariate":
            return st.Covariate(name, plates)
        case _:
            return st.Constant(name, plates, 1)
