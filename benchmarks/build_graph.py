"""CPU time to read, build and check a graph of 2,000 nodes; the target is 1 s.

Run: python benchmarks/build_graph.py
"""

from __future__ import annotations

import time

NODES = 2_000


def text() -> str:
    """A chain of regressions with its parameters, written out node by node."""
    lines = ["model big", "plate i", "covariate x0[i]"]
    steps = NODES // 4
    for k in range(1, steps):
        lines.append(f"observed x{k}[i] ~ Normal(a{k} + b{k}*x{k - 1}, s{k})")
        lines.append(f"a{k}, b{k} ~ Normal(0, 10)")
        lines.append(f"s{k} ~ HalfNormal(5)")
    lines += [f"extra{k} = a1*b1 + {k}" for k in range(NODES - 1 - 4 * (steps - 1))]
    return "\n".join(lines)


def main() -> None:
    from dagmodels.graph import parsing
    from dagmodels.graph.build import build, from_parse

    source = text()
    begin = time.process_time()
    parsed = parsing.statements(source)
    middle = time.process_time()
    dag = from_parse(parsed)
    end = time.process_time()
    again = build(dag.name, dag.plates, dag.statements)
    last = time.process_time()
    printed = str(dag)
    printing = time.process_time()
    assert len(dag.nodes) == NODES, len(dag.nodes)
    assert again == dag
    print(f"{'step':<34}{'CPU s':>8}")
    print(f"{'parse 2,000 nodes (lark loaded)':<34}{middle - begin:>8.3f}")
    print(f"{'build and check them':<34}{end - middle:>8.3f}")
    print(f"{'build and check resolved statements':<34}{last - end:>8.3f}")
    print(f"{'print them':<34}{printing - last:>8.3f}")
    begin = time.process_time()
    order = dag.order
    hash(dag)
    end = time.process_time()
    print(f"{'order and hash':<34}{end - begin:>8.3f}   ({len(order)} nodes, {printed.count(chr(10))} lines)")


if __name__ == "__main__":
    main()
