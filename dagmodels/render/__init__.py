"""Pictures: a Graph, with a fit's estimates or without, to DOT, SVG, PNG, PDF and Mermaid."""

from dagmodels.render.dot import SHOWS, STYLES, to_dot
from dagmodels.render.draw import FORMATS, RenderError, draw
from dagmodels.render.files import ENDINGS, write
from dagmodels.render.mermaid import to_mermaid
from dagmodels.render.notebook import svg_for_notebook
from dagmodels.render.path_dot import path_dot
from dagmodels.render.path_sources import PathOptions
from dagmodels.render.shrinkage import shrinkage

__all__ = [
    "ENDINGS",
    "FORMATS",
    "SHOWS",
    "STYLES",
    "PathOptions",
    "RenderError",
    "draw",
    "path_dot",
    "shrinkage",
    "svg_for_notebook",
    "to_dot",
    "to_mermaid",
    "write",
]
