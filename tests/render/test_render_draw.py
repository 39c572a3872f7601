"""What Graphviz makes of the text: nothing overlaps or is cut, letters are letters, no PATH, no fonts."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from render_models import JOINT, NAMES, dags, model

from dagmodels.graph.dag import Dag
from dagmodels.readers import read
from dagmodels.render import RenderError, _graphviz_worker, draw, to_dot
from dagmodels.render.fonts import environment

drawing = sys.modules["dagmodels.render.draw"]


def layout(text: str) -> Any:
    """The layout that is drawn, titles already moved, as Graphviz's JSON."""
    (command,) = [c for c in drawing._commands("json0") if c[0] == sys.executable]
    done = subprocess.run(command, input=text.encode(), capture_output=True, env=environment(), check=True)
    return json.loads(done.stdout)


def corners(text: str) -> tuple[float, float, float, float]:
    left, bottom, right, top = (float(x) for x in text.split(","))
    return left, bottom, right, top


def rectangle(node: Any) -> tuple[float, float, float, float]:
    x, y = (float(v) for v in node["pos"].split(","))
    wide, high = 36 * float(node["width"]), 36 * float(node["height"])
    return x - wide, y - high, x + wide, y + high


def apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def within(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] >= b[0] - 0.1 and a[1] >= b[1] - 0.1 and a[2] <= b[2] + 0.1 and a[3] <= b[3] + 0.1


def check_places(found: Any) -> None:
    """Nodes are apart, inside their boxes and outside of others; boxes nest or are apart."""
    whole = corners(found["bb"])
    objects = found.get("objects", [])
    nodes = {o["_gvid"]: rectangle(o) for o in objects if "pos" in o}
    frames = {o["name"]: (corners(o["bb"]), set(o.get("nodes", ()))) for o in objects if "bb" in o}
    for a, b in combinations(nodes.values(), 2):
        assert apart(a, b)
    for place in nodes.values():
        assert within(place, whole)
    for frame, members in frames.values():
        assert within(frame, whole)
        for identity, place in nodes.items():
            assert within(place, frame) if identity in members else apart(place, frame)
    for (a, inside_a), (b, inside_b) in combinations(frames.values(), 2):
        assert within(a, b) or within(b, a) or apart(a, b)
        assert apart(a, b) == (not inside_a & inside_b)


SHOWN = {n: to_dot(model(n), style="bn" if n == "asia" else "bayes") for n in NAMES} | {
    "joint": to_dot(read(JOINT))
}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_nothing_overlaps_in_the_classical_models(name: str) -> None:
    found = layout(SHOWN[name])
    check_places(found)
    assert not any(_graphviz_worker.crossings(found).values()), "an arrow crosses the title of a plate"


def test_titles_are_crossed_unless_they_are_moved() -> None:
    """The check above can fail: without the search for free places some titles are crossed."""
    import pygraphviz

    first = json.loads(pygraphviz.AGraph(string=SHOWN["birats"]).draw(format="json0", prog="dot"))
    assert any(_graphviz_worker.crossings(first).values())


def test_nothing_overlaps_with_estimates() -> None:
    for name in ("radon", "mediation", "cfa3"):
        dag = model(name)
        given_ = {n: (0.5, 0.123) for n, node in dag.nodes.items() if node.role in ("latent", "parameter")}
        check_places(layout(to_dot(dag, estimates=given_)))


@given(dags())
@settings(max_examples=15, deadline=None)
def test_any_model_is_drawn(dag: Dag) -> None:
    check_places(layout(to_dot(dag)))


def test_a_large_network_is_drawn() -> None:
    lines = ["model chain", 'plate answer = "yes", "no"', "x0 in answer ~ Table([0.5, 0.5])"]
    lines += [f"x{i} in answer ~ Table(x{(i - 1) // 2})" for i in range(1, 40)]
    found = layout(to_dot(read("\n".join(lines)), style="bn"))
    check_places(found)
    assert sum("pos" in o for o in found["objects"]) == 40


# -- SVG ---------------------------------------------------------------------------------------


def texts(svg: bytes) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_svg_has_every_name_and_lowers_subscripts_in_a_way_all_viewers_know() -> None:
    svg = draw(SHOWN["rats"], "svg")
    shown = ["".join(t.itertext()) for t in texts(svg)]
    assert {"αc", "βc", "τc", "α", "β", "σ", "α0", "xbar", "rat × week"} <= set(shown)
    assert b"baseline-shift" not in svg
    (label,) = [t for t in texts(svg) if "".join(t.itertext()) == "τc"]
    letter, subscript = label
    assert letter.get("font-style") == "italic"
    assert float(subscript.get("dy", "0")) > 0
    assert float(subscript.get("font-size", "99")) < float(letter.get("font-size", "0"))
    assert label.get("text-anchor") == "middle"


def test_a_line_goes_on_at_its_height_after_a_subscript() -> None:
    svg = draw(to_dot(model("radon"), show="distributions"), "svg")
    (line,) = [t for t in texts(svg) if "".join(t.itertext()).startswith("~ Normal(g0 +")]
    heights = np.cumsum([float(part.get("dy", "0")) for part in line])
    assert heights[0] == 0
    assert max(heights) > 0
    assert heights[-1] == 0


@pytest.mark.parametrize("format", ["svg", "png"])
def test_equal_text_gives_equal_pictures(format: str) -> None:
    assert draw(SHOWN["birats"], format) == draw(SHOWN["birats"], format)


# -- no PATH, no fonts, no pygraphviz ------------------------------------------------------------

_LETTERS = """
import json, sys
from dagmodels.render import draw
text = 'digraph { node [shape=plain, fontname="%s", fontsize=40]; a [label=%s] }'
pictures = {}
for name, label in json.loads(sys.argv[1]).items():
    picture = draw(text % ("DejaVu Serif,Georgia,serif", label), "png")
    open(f"{sys.argv[2]}/{name}.png", "wb").write(picture)
"""
_LABELS = {"i": '"i"', "W": '"W"', "l": '"l"', "beta": "<<I>β</I>>", "Omega": "<<I>Ω</I>>", "dot": '"."'}


def bare_environment(folder: Path) -> dict[str, str]:
    """No PATH, an empty home, and a fontconfig that knows one empty folder."""
    fonts = folder / "no fonts"
    fonts.mkdir()
    config = folder / "fonts.conf"
    config.write_text(
        f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>{fonts}</dir>'
        f"<cachedir>{folder / 'font cache'}</cachedir></fontconfig>"
    )
    return {"PATH": "", "HOME": str(folder), "FONTCONFIG_FILE": str(config), "PYTHONDONTWRITEBYTECODE": "1"}


def ink(png: bytes) -> tuple[int, int, float]:
    """Width and height of what is drawn, and how much of that is dark; zeros when nothing is."""
    from matplotlib.image import imread

    dark = np.asarray(imread(io.BytesIO(png), format="png"))[..., :3].mean(axis=2) < 0.5
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not rows.size:
        return 0, 0, 0.0
    box = dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return box.shape[1], box.shape[0], float(box.mean())


def test_letters_are_letters_without_path_and_fonts(tmp_path: Path) -> None:
    """Empty boxes, which Graphviz draws when it has no font, are all of one size."""
    environment_ = bare_environment(tmp_path)
    command = [sys.executable, "-c", _LETTERS, json.dumps(_LABELS), str(tmp_path)]
    subprocess.run(command, env=environment_, check=True, capture_output=True)
    size = {name: ink((tmp_path / f"{name}.png").read_bytes()) for name in _LABELS}
    assert size["W"][0] > 2 * size["i"][0]
    assert size["Omega"][0] > 1.2 * size["beta"][0] or size["beta"][1] > 1.2 * size["Omega"][1]
    assert size["dot"][1] < 0.4 * size["l"][1]
    assert size["dot"][2] > 0.6, "a full stop is full, a box is empty"
    assert len(set(size.values())) == len(size)


def test_the_bare_environment_has_no_letters_by_itself(tmp_path: Path) -> None:
    """The test above can fail: without our fonts the same environment draws boxes, or nothing."""
    environment_ = bare_environment(tmp_path)
    script = (
        "import pygraphviz, sys\n"
        'for name, label in (("i", "i"), ("W", "W")):\n'
        "    text = 'digraph { node [shape=plain, fontsize=40]; a [label=' + label + '] }'\n"
        "    g = pygraphviz.AGraph(string=text)\n"
        "    open(f'{sys.argv[1]}/{name}.png', 'wb').write(g.draw(format='png', prog='dot'))\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment_, check=True, capture_output=True
    )
    i, w = (ink((tmp_path / f"{name}.png").read_bytes()) for name in ("i", "W"))
    assert i == w


def test_fonts_are_found_when_the_home_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    environment_ = bare_environment(tmp_path) | {"XDG_CACHE_HOME": str(blocked), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _LETTERS, json.dumps({"W": '"W"', "i": '"i"'}), str(tmp_path)]
    subprocess.run(command, env=environment_, check=True, capture_output=True)
    i, w = (ink((tmp_path / f"{name}.png").read_bytes()) for name in ("i", "W"))
    assert w[0] > 2 * i[0]


def hide_pygraphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    real = drawing.importlib.util.find_spec
    monkeypatch.setattr(
        drawing.importlib.util, "find_spec", lambda name, *a: None if name == "pygraphviz" else real(name, *a)
    )


def fake_dot(folder: Path) -> None:
    """A program called dot that prints its arguments and what it reads."""
    path = folder / "dot"
    path.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:], sys.stdin.read())\n")
    path.chmod(0o755)


def test_dot_on_the_path_is_used_where_pygraphviz_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dot(tmp_path)
    hide_pygraphviz(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw("digraph {}", "png").decode().split("\n")[0] == "['-Tpng', '-Gdpi=144'] digraph {}"


def test_dot_on_the_path_is_used_where_pygraphviz_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "site" / "pygraphviz"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libgvc.so: cannot open shared object file')\n")
    fake_dot(tmp_path)
    real = drawing.importlib.util.find_spec
    spec = drawing.importlib.util.spec_from_file_location("pygraphviz", broken / "__init__.py")
    monkeypatch.setattr(
        drawing.importlib.util, "find_spec", lambda name, *a: spec if name == "pygraphviz" else real(name, *a)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw("digraph {}", "pdf").decode().startswith("['-Tpdf'] digraph {}")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RenderError, match="cannot open shared object file"):
        draw("digraph {}", "pdf")


def test_no_graphviz_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_pygraphviz(monkeypatch)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RenderError, match="pip install pygraphviz"):
        draw("digraph {}", "svg")


def test_importing_pictures_loads_no_drawing_library() -> None:
    heavy = "pygraphviz graphviz matplotlib numpy scipy pandas networkx lark"
    script = f"import sys, dagmodels.render; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- the worker's geometry -----------------------------------------------------------------------


def test_an_arrow_is_followed_from_its_tail_to_its_head() -> None:
    points = list(_graphviz_worker.polyline("s,0,0 e,40,0 10,0 20,0 20,0 30,0"))
    assert points[0] == (0, 0)
    assert points[-1] == (40, 0)
    assert points[1] == (10, 0)
    assert points[-2] == (30, 0)
    assert all(a[0] <= b[0] for a, b in pairwise(points))


@pytest.mark.parametrize(
    ("a", "b", "meets"),
    [
        ((0, 0), (10, 10), True),
        ((0, 6), (10, 6), True),
        ((0, 0), (10, 0), False),
        ((5, 5), (5.5, 5.5), True),
        ((0, 5), (3, 5), False),
        ((0, 8), (8, 0), True),
        ((0, 7.9), (3.9, 12), False),
    ],
)
def test_a_line_meets_a_rectangle(a: tuple[float, float], b: tuple[float, float], meets: bool) -> None:
    assert _graphviz_worker._cuts(a, b, (4, 4, 6, 6)) is meets
    assert _graphviz_worker._cuts(b, a, (4, 4, 6, 6)) is meets


def test_the_environment_of_the_caller_is_left_alone() -> None:
    before = dict(os.environ)
    draw("digraph { a }", "svg")
    assert dict(os.environ) == before
    assert re.search(r"fonts-\w+\.conf$", environment()["FONTCONFIG_FILE"])


RADON = {
    "g0": (1.5, 0.04),
    "g1": (0.7, 0.09),
    "beta": (-0.64, 0.07),
    "tau": (0.15, 0.05),
    "sigma": (0.73, 0.02),
}


def laid_out(text: str) -> Any:
    import pygraphviz

    return json.loads(pygraphviz.AGraph(string=text).draw(format="json0", prog="dot"))


def test_no_arrow_crosses_another_in_the_picture_of_the_demo() -> None:
    """As written g0 stands left of the boxes, and its arrow would cross floor -> log_radon."""
    text = to_dot(model("radon"), estimates=RADON)
    assert _graphviz_worker.tangles(laid_out(text)) > 0
    assert _graphviz_worker.tangles(laid_out(_graphviz_worker.untangled(text, laid_out))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_another_order_of_nodes_is_the_same_graph(name: str) -> None:
    text = to_dot(model(name))
    for trial in _graphviz_worker.orders(text):
        assert sorted(trial.splitlines()) == sorted(text.splitlines())
    chosen = _graphviz_worker.untangled(text, laid_out)
    first, last = laid_out(text), laid_out(chosen)
    assert _graphviz_worker.tangles(last) <= _graphviz_worker.tangles(first)
    wide = [float(found["bb"].split(",")[2]) for found in (first, last)]
    assert wide[1] <= 1.25 * wide[0]


@pytest.mark.parametrize(
    "text",
    [
        "digraph { a -> b }",
        'digraph "m" {\n  "a" [x="1"];\n  "b" [x="1"];\n  "a" -> "b";\n}\n',
        'digraph "m" {\n  "a" [x="1"];\n  subgraph "c" {\n    "b" [];\n  }\n  rank=same;\n  "a" -> "b";\n'
        '  "b" -> "a";\n}\n',
        "",
    ],
)
def test_a_text_of_another_make_is_drawn_as_it_is(text: str) -> None:
    assert _graphviz_worker.orders(text) == [text]


def test_crossings_are_counted_by_hand() -> None:
    def edge(*points: str) -> dict[str, str]:
        return {"pos": " ".join(points)}

    straight = edge("0,0", "1,1", "2,2", "3,3")
    across = edge("0,2.7", "1,1.7", "2,0.7", "3,-0.3")
    beside = edge("10,3", "11,2", "12,1", "13,0")
    from_its_end = edge("3,3", "4,3", "5,3", "6,3")
    assert _graphviz_worker.tangles({"edges": [straight, across]}) == 1
    assert _graphviz_worker.tangles({"edges": [straight, beside, from_its_end]}) == 0
    assert _graphviz_worker.tangles({"edges": [straight, across, straight, beside]}) == 2
