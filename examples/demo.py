"""The demo behind `make demo`: radon in the homes of Minnesota, from the model's text to answers.

Fits specs/radon.dag to examples/radon.csv, prints the plan and the results, and writes pictures and
tables to out/ (or the folder given by --out).
"""

from __future__ import annotations

import argparse
import sys
import time
from math import exp
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.api import Graph
    from dagmodels.results.fit import Fit

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "specs" / "radon.dag"
SHOWN = 8  # counties in the table of the most shrunken


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status is 0, 1 when the fit fails, 2 for bad input, 130 when interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder for pictures and tables")
    out = parser.parse_args(arguments).out
    try:
        return run(out)
    except KeyboardInterrupt:
        print("\ninterrupted; files already in the output folder are whole", file=sys.stderr)
        return 130


def run(out: Path) -> int:
    """All steps in order."""
    began = time.perf_counter()
    import dagmodels as dm

    try:
        out.mkdir(parents=True, exist_ok=True)
        graph = dm.read(SPEC)
        section("The model", f"specs/{SPEC.name}, as it was read")
        print(SPEC.read_text(encoding="utf-8").strip())
        data = load(graph)
        announce_compilation()
        fit = graph.fit_quietly(data)
        tell_plan(graph, fit)
        tell_estimates(fit)
        tell_variances(fit)
        counties = county_table(data, fit)
        tell_counties(counties)
        written = write_files(out, graph, data, fit, counties)
    except (dm.DagmodelsError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1 if isinstance(error, dm.FitError) else 2
    section("Files", "")
    width = max(len(str(shown(path))) for path in written)
    for path, what in written.items():
        print(f"  {shown(path)!s:<{width}}  {what}")
    print(f"\nDone in {time.perf_counter() - began:.1f} s. Next: README.md and docs/tutorial.md.")
    return 0 if fit.converged else 1


def section(title: str, about: str) -> None:
    print(f"\n{title}{': ' if about else ''}{about}\n{'-' * (len(title) + (len(about) + 2 if about else 0))}")


def shown(path: Path) -> Path:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def load(graph: Graph) -> Any:
    """The file that the model's `data` line names."""
    import pandas as pd

    path = graph.data_or_file().resolve()
    data = pd.read_csv(path)
    print(f"\n{shown(path)}: {len(data)} houses in {data['county'].nunique()} counties")
    return data


def announce_compilation() -> None:
    """A first fit waits for the compiler; nobody should wonder what for."""
    from dagmodels.numerics.compiled import is_warm

    if not is_warm():
        print(
            "\nFirst fit of this installation: waiting while its numerical kernels are compiled for this\n"
            "machine. It takes some ten seconds and happens once (`dagmodels warm` does it beforehand).",
            flush=True,
        )


def tell_plan(graph: Graph, fit: Fit) -> None:
    section("The plan", "which backend fits the model, why, and what each other one answers")
    print(fit.plan)
    others = [v for v in fit.plan.verdicts if v.backend != fit.backend]  # type: ignore[attr-defined]
    if not others:
        print(f"  '{fit.backend}' is the only backend installed; others register as plugins.")


def tell_estimates(fit: Fit) -> None:
    from dagmodels.results.summary import certificate, criterion, estimate_table
    from dagmodels.results.tables import text_table

    section("Estimates", fit.method)
    print(text_table(estimate_table(fit), indent="  "))
    print("\n" + indent(f"{criterion(fit)}\n{certificate(fit)}", "  "))
    print(
        f"\n  Read: on the first floor a house has {exp(fit['beta']):.2f} times the radon of its basement,\n"
        "  and counties on ground richer in uranium have more of it (g1 > 0)."
    )


def tell_variances(fit: Fit) -> None:
    from dagmodels.results.tables import text_table

    tau, sigma = fit["tau"], fit["sigma"]
    total = tau**2 + sigma**2
    section("Variance components", "what is left after floor and uranium")
    columns = {
        "level": ["county", "house", "sum"],
        "sd": [tau, sigma, None],
        "variance": [tau**2, sigma**2, total],
        "share": [tau**2 / total, sigma**2 / total, 1.0],
    }
    print(text_table(columns, indent="  "))
    print(
        f"\n  Intraclass correlation {tau**2 / total:.3f}: two houses of one county have that much in common."
    )


def county_table(data: Any, fit: Fit) -> Any:
    """One row a county: houses, own mean, the model's estimate; all for a basement, in log pCi/L.

    A county's own mean takes its houses alone, those measured on the first floor being brought to the
    basement by the estimated effect of the floor.
    """
    basement = data["log_radon"] - fit["beta"] * data["floor"]
    own = basement.groupby(data["county"]).agg(["size", "mean"]).set_axis(["houses", "own"], axis=1)
    latents = fit.latents.set_index("name")
    names = [f"alpha[{county}]" for county in own.index]
    own["model"] = latents.loc[names, "estimate"].to_numpy()
    own["sd"] = latents.loc[names, "sd"].to_numpy()
    own["moved"] = own["model"] - own["own"]
    return own


def tell_counties(counties: Any) -> None:
    from dagmodels.results.tables import text_table

    section("The most shrunken counties", "level in a basement, log pCi/L")
    most = counties.reindex(counties["moved"].abs().sort_values(ascending=False, kind="stable").index[:SHOWN])
    columns = {
        "county": list(most.index),
        "houses": most["houses"].tolist(),
        "own mean": most["own"].tolist(),
        "model": most["model"].tolist(),
        "sd": most["sd"].tolist(),
        "moved by": most["moved"].tolist(),
    }
    print(text_table(columns, indent="  "))
    print(
        "\n  Few houses say little about their county, so the model leans on what uranium and the other\n"
        f"  counties say: of {len(counties)} counties these moved farthest from their own mean."
    )


def write_files(out: Path, graph: Graph, data: Any, fit: Fit, counties: Any) -> dict[Path, str]:
    """Pictures and tables; each file is written whole or not at all."""
    from dagmodels.render import shrinkage

    graph.render(out / "radon.svg", data=data, fit=fit)
    graph.render(out / "radon.png", data=data, fit=fit)
    fit.save(json=out / "estimates.json", csv=out / "estimates.csv")
    shrinkage(
        out / "shrinkage.png",
        levels=list(counties.index),
        raw=counties["own"].tolist(),
        pooled=counties["model"].tolist(),
        sizes=counties["houses"].tolist(),
        title="Radon in Minnesota: counties, each alone and in the model",
        label="level of the county in a basement (log pCi/L)",
    )
    return {
        out / "radon.svg": "the diagram of the model with sizes and estimates",
        out / "radon.png": "the same as an image",
        out / "estimates.json": "everything about the fit, for programs",
        out / "estimates.csv": "the table of estimates",
        out / "shrinkage.png": "every county's own mean and where the model moved it",
    }


if __name__ == "__main__":
    sys.exit(main())
