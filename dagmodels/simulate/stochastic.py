"""Draws the nodes of one stochastic statement at its rows, or takes the values given for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import family
from dagmodels.errors import ModelError
from dagmodels.forms.cells import element_label
from dagmodels.graph.statement import Joint, Stochastic
from dagmodels.simulate.arguments import Law, law
from dagmodels.simulate.domains import beyond
from dagmodels.simulate.evaluate import Evaluator, Scope
from dagmodels.simulate.jobs import Job
from dagmodels.simulate.tables import probabilities, table_keys

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Inputs:
    """What a statement may need beside its random numbers.

    given : values of the user by node, flat, NaN where there are none.
    tables : numbers of tables that the model leaves unknown. shocks : residuals of tied nodes.
    """

    evaluator: Evaluator
    given: Mapping[str, Floats]
    tables: Mapping[str, Floats]
    shocks: Mapping[str, Floats]

    def label(self, job: Job, row: int) -> str:
        """The element that a row of a job draws, or the first of its vector."""
        return element_label(self.evaluator.problem, job.names[0], int(job.places[row, 0]))


def draw_job(job: Job, inputs: Inputs, rng: np.random.Generator) -> dict[str, Floats]:
    """Numbers by node, each of the shape of the job's places.

    Raises `ModelError` for arguments outside their domains, given values outside the support, vectors
    given in part, and draws beyond the range of numbers.
    """
    given = _given(job, inputs)
    fixed = None if given is None else ~np.isnan(given)
    if job.names[0] in inputs.shocks:
        found = _with_residual(job, inputs)
    else:
        found = _from_law(job, inputs, rng, given, fixed)
    if given is not None and fixed is not None:
        found = np.where(fixed, given, found)
    _finite(job, inputs, found)
    if len(job.names) == 1:
        return {job.names[0]: found}
    return {name: found[:, [k]] for k, name in enumerate(job.names)}


def _source(job: Job, inputs: Inputs) -> str | None:
    """A hint that names the unknowns which an argument follows from."""
    nodes = inputs.evaluator.graph.nodes
    unknown = sorted(n for n in job.reads if nodes[n].kind not in ("covariate", "constant"))
    drawn = [n for n in unknown if nodes[n].kind == "stochastic" and n not in inputs.given]
    if drawn:
        shown = ", ".join(f'"{n}": ...' for n in drawn)
        return f"it follows from values drawn; give values={{{shown}}}"
    return f"it follows from {', '.join(unknown)}" if unknown else None


def _given(job: Job, inputs: Inputs) -> Floats | None:
    """(rows, entries of one draw), None where nothing is given."""
    found = [inputs.given[n][job.places] for n in job.names if n in inputs.given]
    if not found:
        return None
    if len(job.names) == 1:
        return found[0]
    none = np.full(job.places.shape, np.nan)
    return np.concatenate(
        [inputs.given[n][job.places] if n in inputs.given else none for n in job.names], axis=1
    )


def _sizes(job: Job) -> tuple[int, ...]:
    return (len(job.names),) if isinstance(job.statement, Joint) else job.target.sizes


def _law(job: Job, inputs: Inputs) -> Law:
    statement = job.statement
    assert isinstance(statement, Stochastic | Joint)
    scope = Scope(job.rows, job.head)
    if isinstance(statement, Stochastic) and statement.distribution.family == "Table":
        unknown = table_keys(inputs.evaluator.graph).items()
        drawn = next((inputs.tables[key] for key, s in unknown if s is statement), None)
        return Law(family("Categorical"), (probabilities(inputs.evaluator, statement, scope, drawn),))
    return law(statement.distribution, inputs.evaluator, scope, job.target)


def _from_law(
    job: Job, inputs: Inputs, rng: np.random.Generator, given: Floats | None, fixed: NDArray[np.bool_] | None
) -> Floats:
    found = _law(job, inputs)
    fault = found.faults()
    if given is not None and fixed is not None:
        _allowed(job, inputs, found, given, fixed, lawful=fault is None)
        if fixed.all():
            return given
    if fault is not None:
        argument, row, what = fault
        message = f"{argument} of '{inputs.label(job, row)}' {what}"
        raise ModelError(message, node=job.names[0], hint=_source(job, inputs))
    try:
        drawn = found.family.draw(rng, *found.arguments, size=(job.rows.n, *_sizes(job)))
    except (ValueError, OverflowError) as error:  # numpy's generators: an argument beyond what they take
        message = f"'{job.names[0]}' cannot be drawn: {error}"
        raise ModelError(message, node=job.names[0], hint=_source(job, inputs)) from None
    return np.asarray(drawn, dtype=np.float64).reshape(job.rows.n, -1)


def _allowed(
    job: Job, inputs: Inputs, found: Law, given: Floats, fixed: NDArray[np.bool_], *, lawful: bool
) -> None:
    """Refuse given values outside the support, and vectors given in part."""
    part = np.flatnonzero(fixed.any(axis=1) & ~fixed.all(axis=1))
    if part.size:
        label = inputs.label(job, int(part[0]))
        told = f"the vector of '{label}'" if len(job.names) == 1 else f"({', '.join(job.names)})"
        message = f"values: {told} is given in part"
        raise ModelError(message, node=job.names[0], hint="give all of it or nothing")
    rows = np.flatnonzero(fixed.all(axis=1))
    if not lawful or not rows.size:
        return
    values = given[rows].reshape(rows.size, *_sizes(job))
    wrong, rule = beyond(values, found.family.support, found.at(rows), len(_sizes(job)))
    if wrong.any():
        row = int(rows[int(np.argmax(wrong))])
        shown = "" if _sizes(job) else f"is {given[row, 0]:g}, but "
        hint = f"give a value that {found.family.name} can take, or leave it out to draw it"
        raise ModelError(f"values: '{inputs.label(job, row)}' {shown}{rule}", node=job.names[0], hint=hint)


def _with_residual(job: Job, inputs: Inputs) -> Floats:
    """A Normal node tied by `~~`: its mean, and the residual drawn with the others'."""
    mean = _law(job, inputs).arguments[0]
    wrong = ~np.isfinite(mean)
    if wrong.any():
        row = int(np.argmax(wrong))
        message = f"mu of '{inputs.label(job, row)}' is {mean[row]:g}, but must be a finite number"
        raise ModelError(message, node=job.names[0], hint=_source(job, inputs))
    return mean[:, None] + inputs.shocks[job.names[0]][job.places]


def _finite(job: Job, inputs: Inputs, found: Floats) -> None:
    wrong = ~np.isfinite(found).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        told = f"'{inputs.label(job, row)}' was drawn as {found[row].reshape(-1)[0]:g}"
        message = f"{told}, beyond the range of numbers"
        raise ModelError(message, node=job.names[0], hint=_source(job, inputs))
