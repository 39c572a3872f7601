"""Simulated data as files: one JSON file, one CSV file, or a folder with a CSV file a plate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagmodels.errors import ModelError, ModelErrors
from dagmodels.results.records import plain, to_csv
from dagmodels.results.tables import text_table
from dagmodels.results.writing import check_writable, write_files

SHOWN_ROWS = 10


def write_simulated(result: Any, output: Path | None, truth: bool = False) -> Iterable[str]:
    """Write what `simulate` returned; returns lines that say what was done (or the data, shortened).

    Parameters
    ----------
    result : one data set, or a list of them. A data set is a frame, or a dict whose entries are frames
        (by plate) and arrays (by node).
    output : a .json file; a .csv file, where a data set is one frame; any other name is a folder, with
        a file `plate.csv` for each frame (and `draw.plate.csv` where there are several draws). Arrays
        that belong to no frame go into `arrays.json` there. None shows the first rows.
    truth : also what is not observed, shown after the data or written beside them: `NAME.truth.json` for
        a file, `truth.json` in a folder. Where a data set is empty, the truth takes its place.
    """
    draws = result if isinstance(result, list) else [result]
    beside: list[Any] = []
    if truth and not any(map(_holds, draws)):
        draws = [draw.truth for draw in draws]
    elif truth:
        beside = [_plain_truth(draw) for draw in draws]
    if output is None:
        lines = [_shown(draw) for draw in draws]
        told = [_shown_truth(t) for t in beside] or [[] for _ in draws]
        return [line for pair in zip(lines, told, strict=True) for part in pair for line in part]
    if output.suffix == ".json":
        files = {output: _json([_record(draw) for draw in draws])}
    elif output.suffix == ".csv":
        files = {output: _one_table(draws, output)}
    else:
        files = _folder(draws, output)
    if beside:
        single = output.suffix in (".json", ".csv")
        files[output.with_suffix(".truth.json") if single else output / "truth.json"] = _json(beside)
    if output.suffix not in (".json", ".csv"):
        check_writable([output / "x"] if output.exists() else [output])
        output.mkdir(exist_ok=True)
    write_files(files)
    return [f"wrote {path}" for path in files]


def _holds(draw: Any) -> bool:
    """Whether a data set holds anything."""
    return hasattr(draw, "columns") or len(draw) > 0


def _plain_truth(draw: Any) -> dict[str, Any]:
    return {str(name): plain(value) for name, value in draw.truth.items()}


def _shown_truth(truth: Mapping[str, Any]) -> list[str]:
    return ["truth:", *(f"  {name} = {_short(value)}" for name, value in truth.items())] if truth else []


def _short(value: Any) -> str:
    """A value in one line; of a long list its beginning and its length."""
    if not isinstance(value, list) or len(value) <= SHOWN_ROWS:
        return f"{value}"
    return f"[{', '.join(map(str, value[:SHOWN_ROWS]))}, ... ({len(value)})]"


def _json(records: list[Any]) -> str:
    """One data set alone, several as a list."""
    return json.dumps(records if len(records) > 1 else records[0], ensure_ascii=False) + "\n"


def columns_of(frame: Any) -> dict[str, list[Any]]:
    """The columns of a frame (pandas, polars, a dict of columns) as lists."""
    return {str(name): list(frame[name]) for name in (frame if isinstance(frame, Mapping) else frame.columns)}


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") or isinstance(value, Mapping)


def _frames(draw: Any) -> dict[str, dict[str, list[Any]]]:
    """The frames of a data set by name; a data set that is one frame has the name ''."""
    if hasattr(draw, "columns"):
        return {"": columns_of(draw)}
    return {str(k): columns_of(v) for k, v in draw.items() if _is_frame(v)}


def _arrays(draw: Any) -> dict[str, Any]:
    if hasattr(draw, "columns"):
        return {}
    return {str(k): plain(v) for k, v in draw.items() if not _is_frame(v)}


def _record(draw: Any) -> Any:
    frames = {name: plain(columns) for name, columns in _frames(draw).items()}
    return frames[""] if "" in frames else {**frames, **_arrays(draw)}


def _one_table(draws: list[Any], output: Path) -> str:
    """One frame; or, where all that was drawn is one value a node, one row a draw."""
    if not any(isinstance(v, list) for d in draws for v in _arrays(d).values()):
        frames = _frames(draws[0])
        if not frames:
            return to_csv({name: [_arrays(d)[name] for d in draws] for name in _arrays(draws[0])})
        if len(draws) == 1 and len(frames) == 1 and not _arrays(draws[0]):
            return to_csv(next(iter(frames.values())))
    frames, arrays = len(_frames(draws[0])), len(_arrays(draws[0]))
    what = f"{frames} frames" + (f" and {arrays} arrays" if arrays else "")
    what = f"{len(draws)} data sets" if len(draws) > 1 else what
    raise ModelErrors(
        "1 problem in the output",
        [ModelError(f"{what} do not fit into one CSV file '{output}'", hint="give a folder or a .json file")],
    )


def _folder(draws: list[Any], output: Path) -> dict[Path, str]:
    files: dict[Path, str] = {}
    for number, draw in enumerate(draws, start=1):
        lead = f"{number}." if len(draws) > 1 else ""
        for name, columns in _frames(draw).items():
            files[output / f"{lead}{name or 'data'}.csv"] = to_csv(columns)
        if arrays := _arrays(draw):
            files[output / f"{lead}arrays.json"] = json.dumps(arrays, ensure_ascii=False) + "\n"
    return files


def _shown(draw: Any) -> list[str]:
    lines: list[str] = []
    for name, columns in _frames(draw).items():
        lines += [*([f"{name}:"] if name else []), text_table(columns, indent="  ", limit=SHOWN_ROWS)]
    return lines + [f"{name} = {_short(value)}" for name, value in _arrays(draw).items()]
