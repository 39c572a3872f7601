"""`python -m benchmarks [part ...]`: one table of CPU seconds.

Parts are process, fit, calls, structural, graph, scale, crossed, mixed, collapsed, gibbs, network, em,
measurement and compile; all of them when none is named.
"""

from __future__ import annotations

import os
import sys

from benchmarks.common import ONE_THREAD, table

PARTS = (
    *("process", "fit", "calls", "structural", "graph", "scale", "crossed", "mixed", "collapsed"),
    *("gibbs", "network", "em", "measurement", "compile"),
)


def main(names: list[str]) -> int:
    """Run the parts named, or all; the status is 1 when a bound is not met, 2 for a name that is none."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    os.environ.update(ONE_THREAD)  # before numpy is imported
    from benchmarks import (
        calls,
        collapsed,
        crossed,
        em,
        fits,
        gibbs,
        graphs,
        measurement,
        mixed,
        networks,
        processes,
        scale,
        structural,
    )

    runs = dict(
        zip(
            PARTS,
            (
                processes.rows,
                fits.rows,
                calls.rows,
                structural.rows,
                graphs.rows,
                scale.rows,
                crossed.rows,
                mixed.rows,
                collapsed.rows,
                gibbs.rows,
                networks.rows,
                em.rows,
                measurement.rows,
                processes.compile_rows,
            ),
            strict=True,
        )
    )
    rows = []
    for name in names or PARTS:
        for row in runs[name]():
            print(f"  {row.case} ...", file=sys.stderr)
            rows.append(row)
    print(table(rows))
    print("\nCPU seconds of one thread, medians; kernels compiled before, unless the case says otherwise.")
    return int(any(row.state == "OVER" for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
