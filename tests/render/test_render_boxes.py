"""Which box a node sits in, and what the box says."""

from collections.abc import Iterator

from hypothesis import given
from render_models import JOINT, dags, model

from dagmodels.graph.dag import Dag
from dagmodels.readers import read
from dagmodels.render.boxes import Box, boxes


def all_boxes(box: Box, outer: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Box]]:
    """Every box with the titles of those around it."""
    yield outer, box
    for inner in box.boxes:
        yield from all_boxes(inner, (*outer, box.title) if box.plates else outer)


def by_title(dag: Dag, **sizes: int) -> dict[str, tuple[tuple[str, ...], Box]]:
    return {box.title: (outer, box) for outer, box in all_boxes(boxes(dag, sizes))}


def test_a_nested_plate_lies_in_its_parent_and_sizes_are_shown_when_given() -> None:
    found = by_title(model("radon"), county=85, house=919)
    assert found["house (919)"][0] == ("county (85)",)
    assert found["house (919)"][1].nodes == ("floor", "log_radon")
    assert found["county (85)"][1].nodes == ("uranium", "alpha")
    assert set(by_title(model("radon"))) == {"", "county", "house"}


def test_crossed_plates_have_a_box_of_their_own() -> None:
    found = by_title(model("salm"), dose=6, dish=3)
    assert found["dose (6) × dish (3)"][0] == ()
    assert found["dose (6) × dish (3)"][1].nodes == ("lambda", "y")
    assert "dish (3)" not in found, "a plate without nodes is not drawn"


def test_a_plate_in_several_plates_names_them() -> None:
    outer, box = by_title(model("stepped_wedge"))["person in cluster, period"]
    assert outer == ()
    assert box.nodes == ("y",)
    match = by_title(read(JOINT))["match in home, away"][1]
    assert match.note == "home as team, away as team"


def test_aliases_are_named_and_alone_they_stand_for_their_base() -> None:
    found = by_title(model("birats"))
    assert found["coef (2) × coef2 (2)"][1].note == "coef2 as coef"
    assert found["coef (2)"][1].nodes == ("mu",)
    home = read("model m\nplate team\nplate home as team\nparameter a[home]\n")
    assert by_title(home)["team"][1].nodes == ("a",)


def test_memberships_that_nesting_cannot_show_are_named() -> None:
    found = by_title(model("equal_loadings"))
    assert found["pupil × item"] == ((), found["pupil × item"][1])
    assert found["pupil × item"][1].note == "pupil in school, item in factor"
    # a pupil lies in one school, so the box of pupil × factor may stand inside the school's
    assert found["pupil × factor (3)"][0] == ("school",)
    assert found["pupil × factor (3)"][1].note == ""


def test_nodes_of_a_joint_statement_are_grouped() -> None:
    assert by_title(read(JOINT))["subject"][1].joints == (("MvNormal", ("a", "b")),)


@given(dags())
def test_every_node_is_in_one_box_and_no_box_is_empty(dag: Dag) -> None:
    found = list(all_boxes(boxes(dag)))
    names = [name for _, box in found for name in box.nodes]
    assert sorted(names) == sorted(dag.nodes)
    assert all(list(box.members()) for _, box in found if box.plates)


@given(dags())
def test_a_box_inside_another_belongs_to_it(dag: Dag) -> None:
    """Nesting is drawn only where every element of the inner plates lies in one of the outer."""
    root = boxes(dag)

    def check(box: Box) -> None:
        for inner in box.boxes:
            if box.plates:
                (outer,) = box.plates
                above = {q for p in inner.plates for q in _above(dag, p)}
                assert outer in above
            check(inner)

    check(root)


def _above(dag: Dag, plate: str) -> set[str]:
    """Bases of all plates that a plate lies in."""
    base = dag.base(plate)
    found: set[str] = set()
    for parent in dag.plate[base].parents:
        found |= {dag.base(parent)} | _above(dag, parent)
    return found
