"""Models as texts and files, by format: the ending of the file says which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag
from dagmodels.results.writing import write_files

if TYPE_CHECKING:
    from dagmodels.bind.problem import Problem

ENDINGS = {".dag": "dag", ".json": "json", ".bug": "bugs", ".bugs": "bugs", ".jags": "bugs", ".lav": "lavaan"}


def text_of(dag: Dag, format: str = "dag", problem: Problem | None = None) -> str:
    """The model in a language: "dag", "json", "bugs" or "lavaan".

    problem : the model with its data, which tell "bugs" where levels stand that a statement names.

    Raises
    ------
    ModelErrors : another format; every node that the language cannot say.
    """
    if format not in _TEXTS:
        hint = f"there are {', '.join(_TEXTS)}"
        raise_all(
            [ModelError(f"no format is called {format!r}", hint=hint)], f"the text of model '{dag.name}'"
        )
    return _TEXTS[format](dag, problem)


def write(
    dag: Dag, path: str | os.PathLike[str], format: str | None = None, problem: Problem | None = None
) -> Path:
    """Write the model's text; format None goes by the ending.

    In BUGS' language the data of `problem` go into a file beside it (`rats.bug`, `rats.data.json`), where
    `read` and JAGS' users look for them. Both files are written whole, or none.
    """
    target = Path(path)
    chosen = ENDINGS.get(target.suffix.lower()) if format is None else format
    if chosen is None:
        hint = f"use {', '.join(ENDINGS)}, or give format="
        raise_all([ModelError(f"'{target}' has no ending that says a format", hint=hint)], "the output files")
    assert chosen is not None
    files: dict[str | os.PathLike[str], str | bytes] = {target: text_of(dag, chosen, problem)}
    if chosen == "bugs" and problem is not None:
        from dagmodels.writers.bugs import bugs_data

        data = json.dumps(bugs_data(problem), allow_nan=False)
        files[target.with_name(f"{target.stem}.data.json")] = f"{data}\n"
    write_files(files)
    return target


def _dag(dag: Dag, problem: Problem | None) -> str:
    from dagmodels.writers.dag import to_text

    return to_text(dag)


def _json(dag: Dag, problem: Problem | None) -> str:
    from dagmodels.writers.json import to_json

    return to_json(dag)


def _bugs(dag: Dag, problem: Problem | None) -> str:
    from dagmodels.writers.bugs import dag_to_bugs
    from dagmodels.writers.bugs.data import levels_of

    return dag_to_bugs(dag, None if problem is None else levels_of(problem))


def _lavaan(dag: Dag, problem: Problem | None) -> str:
    from dagmodels.writers.lavaan import dag_to_lavaan

    return dag_to_lavaan(dag)


_TEXTS: dict[str, Callable[[Dag, Problem | None], str]] = {
    "dag": _dag,
    "json": _json,
    "bugs": _bugs,
    "lavaan": _lavaan,
}

__all__ = ["text_of", "write"]
