"""A fit as a record: the JSON and CSV that other tools rely on."""

from __future__ import annotations

import csv as csv_module
import io
import json as json_module
import math
import os
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.writing import Target, write_files

if TYPE_CHECKING:
    from dagmodels.results.fit import Columns, Fit


def fit_record(fit: Fit) -> dict[str, Any]:
    """The agreed record of a fit: plain Python values, None for what is unknown or not finite."""
    return {
        "model": fit.graph.name,
        "backend": fit.backend,
        "exact": bool(fit.exact),
        "converged": bool(fit.converged),
        "log_likelihood": plain(fit.log_likelihood),
        "n_parameters": int(fit.n_parameters),
        "aic": plain(fit.aic),
        "bic": plain(fit.bic),
        "estimates": rows(fit.estimate_columns),
        "measures": plain(fit.measures),
        "diagnostics": plain(fit.diagnostics),
    }


def rows(columns: Columns) -> list[dict[str, Any]]:
    """Columns as one dict a row."""
    names = list(columns)
    return [
        {name: plain(v) for name, v in zip(names, cells, strict=True)}
        for cells in zip(*columns.values(), strict=True)
    ]


def plain(value: Any) -> Any:
    """A value that JSON can say: numpy's become Python's, numbers that are not finite None."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def to_csv(columns: Columns) -> str:
    """A table as CSV text with a header line; numbers keep all their digits, unknown ones are empty."""
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for cells in zip(*columns.values(), strict=True):
        writer.writerow(["" if (p := plain(c)) is None else p for c in cells])
    return text.getvalue()


def save(fit: Fit, json: Target | None = None, csv: Target | None = None) -> None:
    """Write what was asked for, all files whole or none (see `writing.write_files`).

    Raises ModelErrors where a target is no path, or cannot be written.
    """
    targets = {"json": json, "csv": csv}
    raise_all(
        [
            ModelError(f"{name} is {target!r}, which is no path", hint=f"give a file's name: 'fit.{name}'")
            for name, target in targets.items()
            if target is not None and not (isinstance(target, str | os.PathLike) and str(target))
        ],
        "the output files",
    )
    files: dict[Target, str] = {}
    if json is not None:
        record = json_module.dumps(fit_record(fit), indent=2, ensure_ascii=False, allow_nan=False)
        files[json] = record + "\n"
    if csv is not None:
        files[csv] = to_csv(fit.estimate_columns)
    write_files(files)
