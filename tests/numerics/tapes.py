"""Running a tape both ways: the kernels, and plain numpy with complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.numerics.tape import Recorder, Tape

STEP = 1e-30


def run(tape: Tape, inputs: dict[str, Any]) -> Any:
    """The workspace after a forward run of the kernel."""
    w = tape.initial.copy()
    for name, value in inputs.items():
        start, length = tape.inputs[name]
        w[start : start + length] = value
    tape.forward(w)
    return w


def reverse(tape: Tape, inputs: dict[str, Any], register: int, seed: Any) -> dict[str, Any]:
    """Derivatives of seed'register in every input, by the kernel."""
    w = run(tape, inputs)
    bar = np.zeros(w.size)
    bar[tape.place(register)] = seed
    tape.reverse(w, bar)
    return {name: bar[s : s + k].copy() for name, (s, k) in tape.inputs.items()}


def complex_step(tape: Tape, inputs: dict[str, Any], register: int, seed: Any) -> dict[str, Any]:
    """The same by complex steps through `Tape.values`, one input entry at a time."""
    found = {}
    for name, value in inputs.items():
        value = np.asarray(value, dtype=float)
        slopes = np.zeros(value.size)
        for k in range(value.size):
            moved = value.astype(complex)
            moved[k] += 1j * STEP
            w = tape.values({**inputs, name: moved})
            slopes[k] = float(np.imag(w[tape.place(register)]) @ seed) / STEP
        found[name] = slopes
    return found


def folded(build: Any, inputs: dict[str, Any]) -> Any:
    """What constant folding gives when the inputs are constants from the start."""
    recorder = Recorder()
    register = build(recorder, {name: recorder.constant(v) for name, v in inputs.items()})
    return recorder.constant_value(register)


def recorded(build: Any, inputs: dict[str, Any]) -> tuple[Tape, int]:
    """The tape of a function of inputs, and its result's register."""
    recorder = Recorder()
    register = build(recorder, {name: recorder.input(name, np.size(v)) for name, v in inputs.items()})
    recorder.start(register)
    return recorder.finish(), register
