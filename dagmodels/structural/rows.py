"""A frame's rows as the variables of a model: which are there, which are fitted, which are new."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.data.column import Column, NotNumbers
from dagmodels.data.covariances import Covariances
from dagmodels.data.frames import Table, table
from dagmodels.errors import ModelError, raise_all
from dagmodels.structural.settings import Settings

if TYPE_CHECKING:
    from dagmodels.readers.lavaan import Reading
    from dagmodels.readers.lavaan.variables import Variables
    from dagmodels.results.sem.scores import GivenRows


def frame_of(data: Any) -> Table:
    from dagmodels.data.files import is_file_name, read

    if is_file_name(data):
        data = read(data)
    try:
        return table(data)
    except ModelError as error:
        raise_all([error], "the data")
        raise


def labels_of(frame: Table, settings: Settings) -> tuple[str, ...]:
    """Groups in the order of the rows, as lavaan numbers them."""
    if settings.group is None:
        return ()
    if settings.group not in frame:
        raise_all([_no_column(settings.group, frame, "the grouping column")], "the data")
    factor = frame.column(settings.group).factor()
    codes = np.asarray(factor.codes)
    seen, first = np.unique(codes[codes >= 0], return_index=True)
    return tuple(str(factor.labels[int(c)]) for c in seen[np.argsort(first)])


def levels_of(frame: Table, ordered: Any, variables: Callable[[], Variables]) -> Any:
    """`ordered` with the number of levels that the data have, where names alone are given.

    ordered : names, True for all variables that the model explains, or None for those of them that are
        ordered categoricals in the data. variables : of the model.
    """
    if isinstance(ordered, Mapping):
        return ordered
    if ordered is None or isinstance(ordered, bool):
        if ordered is False:
            return None
        v = variables()
        names = [n for n in v.observed if n in frame and n not in v.exogenous]
        if ordered is None and not (names := [n for n in names if frame.column(n).ordered]):
            return None
    else:
        names = [ordered] if isinstance(ordered, str) else list(ordered)
    if not all(isinstance(n, str) for n in names):
        return ordered
    raise_all([_no_column(n, frame, "the variable") for n in names if n not in frame], frame.source)
    found = {n: categories(frame.column(n))[1] for n in names}
    raise_all([_too_few(n, seen) for n, seen in found.items() if len(seen) < 2], frame.source)
    return {n: len(seen) for n, seen in found.items()}


def _too_few(name: str, seen: tuple[object, ...]) -> ModelError:
    if not seen:
        return ModelError(f"'{name}' has no values", node=name, hint="leave it out")
    told = f"'{name}' is ordered and has one category, {seen[0]!s}, in every row"
    return ModelError(told, node=name, hint="leave it out")


def categories(column: Column) -> tuple[NDArray[np.float64], tuple[object, ...]]:
    """Each row's category from 0, nan where there is none, and the categories that occur, in order."""
    factor = column.factor()
    codes = np.asarray(factor.codes)
    seen = np.unique(codes[codes >= 0])
    place = np.full(len(factor.labels) + 1, np.nan)  # the last is that of missing values
    place[seen] = np.arange(seen.size)
    return place[codes], tuple(factor.labels[int(c)] for c in seen)


def _no_column(name: str, frame: Table, what: str) -> ModelError:
    near = difflib.get_close_matches(name, frame.names, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(frame.names[:12])}"
    return ModelError(f"{what} '{name}' is not in {frame.source}", node=name, hint=hint)


def columns_of(
    reading: Reading, settings: Settings, frame: Table
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    faults: list[ModelError] = []
    values, _ = _values(reading, frame, faults)
    faults += _categories_told(reading, frame)
    raise_all(faults, frame.source)
    keep = _kept(reading, settings, frame, values)
    found: dict[str, Any] = {}
    if reading.provenance.group is not None and settings.group is not None:
        factor = frame.column(settings.group).factor()
        codes = np.asarray(factor.codes)
        labels = np.array([str(level) for level in factor.labels], dtype=object)
        found[reading.provenance.group] = labels[codes[keep]]
    if not keep.any():
        raise_all(_no_rows(settings, frame, values), frame.source)
    if reading.provenance.cluster is not None:
        found[reading.provenance.cluster] = _clusters(settings, frame)[keep]
        faults += _between(reading, settings, values, found[reading.provenance.cluster], keep)
    whole = bool(keep.all())
    for name, v in values.items():
        column = v if whole else v[keep]
        found[name] = column
        group = None if reading.provenance.group is None else found.get(reading.provenance.group)
        faults += _constant(name, column, group, cut=name in reading.provenance.responses)
    raise_all(faults, frame.source)
    return found, keep


def _constant(name: str, column: NDArray[np.float64], group: Any, *, cut: bool) -> list[ModelError]:
    """Whether a variable says nothing, in all rows or in those of one group.

    cut : an ordered variable, whose categories in each group its thresholds look at.
    """
    there = ~np.isnan(column)
    here = column if there.all() else column[there]
    if not here.size:
        return [ModelError(f"'{name}' has no values", node=name, hint="leave it out")]
    if here.min() == here.max():
        return [ModelError(f"'{name}' is constant ({here[0]:g})", node=name, hint="leave it out")]
    if group is None or cut:
        return []
    found = []
    for label in dict.fromkeys(group.tolist()):
        own = column[there & (group == label)]
        if own.size and own.min() == own.max():
            told = f"'{name}' is constant ({own[0]:g}) in group '{label}'"
            found.append(ModelError(told, node=name, hint="leave the variable out, or the group"))
    return found


def unplaced(settings: Settings, frame: Table) -> list[str]:
    """Sentences that count the rows without a group or a cluster, which no model can place."""
    found = []
    for name, what in ((settings.group, "group"), (settings.choice.cluster, "cluster")):
        if name and name in frame:
            gone = int((np.asarray(frame.column(name).factor().codes) < 0).sum())
            if gone:
                rows = "1 row has" if gone == 1 else f"{gone} rows have"
                found.append(f"{rows} no value of '{name}', the {what}, and {_left(gone)} left out")
    return found


def _left(count: int) -> str:
    return "is" if count == 1 else "are"


def _no_rows(settings: Settings, frame: Table, values: Mapping[str, NDArray[np.float64]]) -> list[ModelError]:
    """Why no row is left."""
    if not frame.n:
        return [ModelError("there are no rows", hint="is a filter too narrow?")]
    empty = [n for n, v in values.items() if np.isnan(v).all()]
    if empty:
        return [ModelError(f"'{n}' has no values", node=n, hint="leave it out") for n in empty]
    if settings.missing == "listwise":
        told, hint = "no row has a value for every variable", "missing='fiml' uses rows with gaps"
        return [ModelError(told, hint=hint)]
    return [ModelError("no row has any value", hint="check the columns of the group and the clusters")]


def _category(
    name: str, frame: Table, fitted: Mapping[str, tuple[object, ...]] | None, faults: list[ModelError]
) -> NDArray[np.float64]:
    """Each row's category, among those of the rows that were fitted."""
    own, labels = categories(frame.column(name))
    if fitted is None:
        return own
    known = {label: float(k) for k, label in enumerate(fitted[name])}
    odd = [label for label in labels if label not in known]
    if odd:
        told = f"'{name}' has the category '{odd[0]}', which was not fitted"
        faults.append(ModelError(told, node=name, hint=f"there are {', '.join(map(str, known))}"))
    place = np.array([*(known.get(label, np.nan) for label in labels), np.nan])
    return place[np.where(np.isnan(own), len(labels), own).astype(np.int64)]


def _categories_told(reading: Reading, frame: Table) -> list[ModelError]:
    """Ordered variables whose thresholds are not as many as their categories ask for."""
    found = []
    for name in reading.provenance.responses:
        if name not in frame:
            continue
        cuts = len([r for r in reading.table.rows if r.op == "|" and r.lhs == name and r.group == 1])
        seen = len(categories(frame.column(name))[1])
        if seen != cuts + 1:
            told = f"'{name}' has {seen} categories in the data, and {cuts} thresholds in the model"
            found.append(ModelError(told, node=name, hint=f"{seen} categories have {seen - 1} thresholds"))
    return found


def _clusters(settings: Settings, frame: Table) -> NDArray[Any]:
    """The cluster of every row, by its label."""
    factor = frame.column(settings.choice.cluster).factor()
    labels = np.array([str(level) for level in factor.labels], dtype=object)
    return labels[np.asarray(factor.codes)]


def _between(
    reading: Reading, settings: Settings, values: Mapping[str, NDArray[np.float64]], clusters: Any,
    keep: NDArray[np.bool_],
) -> list[ModelError]:  # fmt: skip
    """Variables of clusters that differ between the rows of one."""
    elements = reading.table.elements
    lower, upper = ({n for r in elements if r.level == k for n in (r.lhs, r.rhs)} for k in (1, 2))
    _, first, of = np.unique(clusters.astype(str), return_index=True, return_inverse=True)
    found = []
    for name in (n for n in reading.table.observed if n in upper - lower and n in values):
        column = values[name][keep]
        odd = np.flatnonzero(column != column[first][of])
        if odd.size:
            told = f"'{name}' stands at level 2 alone, but differs within '{settings.choice.cluster}' "
            told += str(clusters[odd[0]])
            hint = "write it at level 1 too, or give each cluster one value"
            found.append(ModelError(told, node=name, hint=hint))
    return found


def _values(
    reading: Reading,
    frame: Table,
    faults: list[ModelError],
    absent: bool = False,
    fitted: Mapping[str, tuple[object, ...]] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """The variables of the model as numbers, and those that the frame has not; `absent` ones may miss.

    fitted : the categories of ordered variables, where those of another frame count.
    """
    values: dict[str, NDArray[np.float64]] = {}
    missing: list[str] = []
    for name in reading.table.observed:
        parts = reading.provenance.products.get(name, (name,)) if name not in frame else (name,)
        gone = [p for p in parts if p not in frame]
        if gone:
            missing.append(name)
            if not absent:
                faults.append(_no_column(gone[0], frame, "the variable"))
            continue
        if name in reading.provenance.responses:
            values[name] = _category(name, frame, fitted, faults)
            continue
        columns = [_numbers(p, frame.column(p), faults) for p in parts]
        values[name] = columns[0] if len(columns) == 1 else columns[0] * columns[1]
    return values, missing


def _kept(
    reading: Reading, settings: Settings, frame: Table, values: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """The rows that are fitted."""
    keep = np.ones(frame.n, dtype=bool)
    if settings.missing == "listwise":
        for v in values.values():
            keep &= ~np.isnan(v)
    else:
        keep &= ~np.all([np.isnan(v) for v in values.values()], axis=0)
        for name in reading.table.exogenous:  # fixed covariates are never missing
            if name in values and reading.dag.nodes[name].kind == "covariate":
                keep &= ~np.isnan(values[name])
    if reading.provenance.group is not None and settings.group is not None:
        keep &= np.asarray(frame.column(settings.group).factor().codes) >= 0
    cluster = settings.choice.cluster
    if cluster:
        if cluster not in frame:
            raise_all([_no_column(cluster, frame, "the clusters' column")], "the data")
        keep &= np.asarray(frame.column(cluster).factor().codes) >= 0
    return keep


def _numbers(name: str, column: Column, faults: list[ModelError]) -> NDArray[np.float64]:
    try:
        return column.floats()
    except NotNumbers as error:
        hint = f"code it as numbers, or say ordered=['{name}'] if its categories have an order"
        told = f"'{name}' is not numeric: row {error.row + 1} holds {error.value!r}"
        faults.append(ModelError(told, node=name, hint=hint))
        return np.zeros(len(column))


def given_rows(
    reading: Reading,
    settings: Settings,
    fitted: Any,
    levels: Mapping[str, tuple[object, ...]],
    new: Any,
) -> GivenRows:
    """Rows for a fit's scores and predictions: the labels of those fitted, or new ones."""
    from dagmodels.results.sem.scores import GivenRows

    if new is None:
        return GivenRows(fitted, None, None)
    index = getattr(new, "index", None)
    frame = frame_of(new)
    faults: list[ModelError] = []
    values, _ = _values(reading, frame, faults, absent=True, fitted=levels)
    group = np.zeros(frame.n, dtype=np.int64)
    if settings.group is not None:
        if settings.group not in frame:
            faults.append(_no_column(settings.group, frame, "the grouping column"))
        else:
            factor = frame.column(settings.group).factor()
            number = {label: g for g, label in enumerate(reading.table.groups)}
            odd = [str(v) for v in factor.labels if str(v) not in number]
            if odd:
                told = f"'{settings.group}' has the group '{odd[0]}', which was not fitted"
                faults.append(ModelError(told, hint=f"there are {', '.join(number)}"))
            codes = np.asarray(factor.codes)
            if (codes < 0).any():
                told = f"'{settings.group}' has missing values"
                faults.append(ModelError(told, hint="say which group each new row belongs to"))
            group = np.array([number.get(str(v), 0) for v in factor.labels], dtype=np.int64)[codes]
    clusters = None
    if reading.provenance.cluster is not None:
        clusters = _new_clusters(settings.choice.cluster, frame, faults)
    raise_all(faults, frame.source)
    return GivenRows(index if hasattr(index, "take") else np.arange(frame.n), values, group, clusters)


def _new_clusters(
    name: str, frame: Table, faults: list[ModelError]
) -> tuple[tuple[object, ...], NDArray[np.int64]] | None:
    """Labels of the clusters that new rows lie in, and each row's."""
    if name not in frame:
        faults.append(_no_column(name, frame, "the clusters' column"))
        return None
    factor = frame.column(name).factor()
    codes = np.asarray(factor.codes)
    if (codes < 0).any():
        told = f"'{name}' has missing values"
        faults.append(ModelError(told, hint="say which cluster each new row belongs to"))
        return None
    seen, of = np.unique(codes, return_inverse=True)
    return tuple(factor.labels[int(c)] for c in seen), of.reshape(-1).astype(np.int64)


def check_given(reading: Reading, given: Covariances) -> None:
    """The variables and means that the model needs are there."""
    faults: list[ModelError] = []
    for name in reading.table.observed:
        if name not in given.names:
            near = difflib.get_close_matches(name, given.names, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(given.names[:12])}"
            told = f"the variable '{name}' is not in the covariance matrix"
            faults.append(ModelError(told, node=name, hint=hint))
    if reading.table.meanstructure and given.mean is None:
        faults.append(ModelError("the model has means and sample_mean is missing", hint="give sample_mean"))
    raise_all(faults, "the covariance matrices")


def check_latent(reading: Reading, names: Sequence[str], where: str) -> None:
    """No latent variable is called as a variable of the data, which the text may have meant, as in lavaan."""
    own, there = reading.table.variables, set(names)
    hint = "call the latent variable something else, or drop the column; check_lv_names=False ignores it"
    raise_all(
        [
            ModelError(f"the latent variable '{n}' is called as a column of {where}", node=n, hint=hint)
            for n in own.latent
            if n in there and n not in own.products
        ],
        "the model",
    )


def stand_ins(reading: Reading, given: Covariances) -> dict[str, Any]:
    """One row for each group, whose values nobody reads: statistics stand in their place."""
    found: dict[str, Any] = {name: np.zeros(len(given.n)) for name in reading.table.observed}
    if reading.provenance.group is not None:
        found[reading.provenance.group] = np.array(given.groups, dtype=object)
    return found
