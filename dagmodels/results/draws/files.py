"""Draws as files: NetCDF and Zarr, written beside their place and moved there whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.records import is_records, parts
from dagmodels.results.writing import check_writable

ENDINGS = {".nc": "h5netcdf", ".zarr": "zarr"}
NEEDED = {".nc": ("h5netcdf", "h5py"), ".zarr": ("zarr",)}


def save(draws: Draws, path: str | os.PathLike[str]) -> None:
    """See `Draws.save`.

    Raises ModelErrors for another ending, a place that cannot be written, a library that is not installed.
    """
    target = Path(path)
    check_place(target)
    if not (target.suffix == ".zarr" and target.is_dir()):
        check_writable([target])
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        made = folder / f"draws{target.suffix}"
        if target.suffix == ".nc":
            draws.to_arviz().to_netcdf(made, engine="h5netcdf")
        else:
            draws.to_arviz().to_zarr(made, zarr_format=2)  # format 3 has no fixed text yet
        if target.is_dir():
            os.replace(target, folder / "old")
        os.replace(made, target)
    except OSError as error:
        told = f"cannot write '{target}': {error.strerror or error}"
        raise_all([ModelError(told, hint="choose another place, or free some space")], "the output files")
    finally:
        shutil.rmtree(folder)


def load(path: str | os.PathLike[str]) -> Draws:
    """See `Draws.load`; everything is read into memory."""
    target = Path(path)
    if not is_records(target):
        check_place(target)
    if not target.exists():
        raise_all([ModelError(f"there are no draws at '{target}'")], "the draws")
    import xarray

    if is_records(target):
        with xarray.DataTree.from_dict(parts(target)) as found:
            return Draws.from_xarray(found.load())
    with xarray.open_datatree(target, engine=_engine(target)) as found:
        return Draws.from_xarray(found.load())


def opened(draws: Draws) -> Any:
    """The tree of a store, its draws read when asked for; groups made since are added."""
    import xarray

    from dagmodels.results.draws.trees import Tree, group_dataset

    assert draws.place is not None
    if is_records(draws.place):
        groups = parts(draws.place)
    else:
        found = xarray.open_datatree(draws.place, engine="zarr", consolidated=True)
        groups = {n: found[n].to_dataset() for n in found.children}
    stored = {n: g.isel(draw=slice(draws.draws), missing_dims="ignore") for n, g in groups.items()}
    made = {g: group_dataset(draws, g) for g in draws.groups if g not in stored}
    return Tree.from_dict({**stored, **made})


def _engine(target: Path) -> Any:
    return ENDINGS[target.suffix]


def check_place(target: Path) -> None:
    """The ending, and the library that it needs."""
    from importlib.util import find_spec

    faults: list[ModelError] = []
    if target.suffix not in ENDINGS:
        told = f"'{target}' has no ending that says a format"
        faults.append(ModelError(told, hint="use .nc (NetCDF) or .zarr"))
    elif absent := [p for p in NEEDED[target.suffix] if find_spec(p) is None]:
        told = f"'{target}' needs the package {' and '.join(absent)}"
        faults.append(ModelError(told, hint="pip install 'dagmodels[stores]'"))
    raise_all(faults, "the file of draws")
