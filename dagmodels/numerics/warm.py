"""Compile every kernel now, so that no model waits later."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable

MODULES = (
    *(
        "tape_kernels",
        "tail_kernels",
        "symbolic_kernels",
        "elimination_kernels",
        "field_kernels",
        "objective_kernels",
    ),
    *(
        "dense_blocks",
        "wide_blocks",
        "right_sides",
        "minimum_degree",
    ),  # loaded when the first long tail comes
    "mode_steps",  # loaded for leaves that are not Normal and linear
    "quadrature_steps",  # loaded for adaptive quadrature
    "unit_steps",  # loaded for units integrated by quadrature
    *("unit_values", "unit_tangents", "unit_draws", "unit_summands", "summand_draws"),
    "trajectory_steps",  # loaded for the no-U-turn sampler
    "posterior_steps",  # loaded for draws
    "lattice_steps",  # loaded for draws by grids
    "elimination_complex",  # loaded for sensitivities
    "chain_loops",  # loaded for tables of draws
    "many_points",  # loaded for draws of whole graphs
    "backward_steps",  # loaded for draws of hidden chains
    "junction_steps",  # loaded for queries to discrete networks
    "table_steps",  # loaded for the tables of networks with hidden nodes
    "random_laws",
    "cut_laws",
    "mixture_steps",
    *("program_steps", "sweep_steps"),  # loaded for draws element by element
    "state_sums",
    "normal_columns",  # loaded for discrete latents
)


def warm(report: Callable[[str], None] = print) -> float:
    """Compile or load all kernels; returns the CPU seconds it took.

    report : takes one sentence a group of kernels.
    """
    began = time.process_time()
    for name in MODULES:
        start = time.process_time()
        importlib.import_module(f"dagmodels.numerics.{name}")
        report(f"{name.replace('_', ' ')}: {time.process_time() - start:.1f} s")
    return time.process_time() - began
