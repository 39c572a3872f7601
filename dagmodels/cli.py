"""The command line: `dagmodels fit | plan | check | render | simulate | backends | warm`.

Exit status: 0 done; 1 the statistics failed (not converged, or nothing can fit the model); 2 the
input is bad; 130 interrupted. Heavy imports stand inside the commands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dagmodels import __version__
from dagmodels.errors import DagmodelsError, FitError, ModelError, ModelErrors, raise_all

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from dagmodels.api import Graph

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main() -> NoReturn:
    """Entry point of the console script."""
    app()


def app(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status; `arguments` are the process's own when None."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    if not arguments:
        parser.print_help(sys.stderr)
        sys.exit(BAD_INPUT)
    options = vars(parser.parse_args(arguments))
    sys.exit(_answer(options.pop("command"), options))


def _answer(command: Callable[..., int], options: dict[str, Any]) -> int:
    """Errors raised on purpose become a message and an exit status, without a traceback."""
    try:
        status = command(**options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("interrupted; nothing was written in part")
        return INTERRUPTED
    except FitError as error:
        _complain(str(error))
        return FAILED
    except DagmodelsError as error:
        _complain(str(error))
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        _silence()
        return DONE
    except OSError as error:  # a full disk behind `> file`; other files are named by their own messages
        what = f"cannot use '{error.filename}'" if error.filename else "cannot write to the standard output"
        if not error.filename:
            _silence()
        _complain(f"{what}: {error.strerror or error}")
        return BAD_INPUT
    return status


def _silence() -> None:
    """Let what is still to be printed go nowhere, or closing the output would fail again."""
    with contextlib.suppress(OSError, ValueError):  # an output that is no file has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fit(
    model: Path,
    data: list[str] | None,
    format: str | None,
    method: str,
    seed: int,
    se: str | None,
    json: Path | None,
    csv: Path | None,
) -> int:
    """Fit a model to data; print the plan and the summary."""
    from dagmodels.results.writing import check_writable

    outputs = {name: path for name, path in (("--json", json), ("--csv", csv)) if path is not None}
    check_writable(outputs.values())
    _check_method(method)
    graph = _read(model, format)
    given = _data(graph, data)
    _keep_inputs(_inputs(model, graph, given), outputs)
    with _working(f"fitting {graph.dag.name}"):
        result = graph.fit_quietly(given, method, seed, **({} if se is None else {"se": se}))
    _print_plan(result.plan)
    print()
    _print_fit(result)
    if json is not None or csv is not None:
        sys.stdout.flush()  # one of them may be /dev/stdout
        result.save(json=json, csv=csv)
    return DONE if result.converged else FAILED


def plan(model: Path, data: list[str] | None, format: str | None, method: str) -> int:
    """Say which backend would fit the model, why, and what each other answers."""
    _check_method(method)
    graph = _read(model, format)
    chosen = graph.plan(_data(graph, data, needed=False), method)
    _print_plan(chosen)
    return FAILED if chosen.backend is None else DONE


def check(model: Path, data: list[str] | None, format: str | None) -> int:
    """Say what is true of the model (and its data), and what is wrong with it."""
    graph = _read(model, format)
    report = graph.check(_data(graph, data, needed=False))
    print("\n".join(report))
    return BAD_INPUT if report.findings else DONE


def render(
    model: Path, output: Path, data: list[str] | None, format: str | None, style: str, estimates: bool
) -> int:
    """Draw the model."""
    from dagmodels.results.writing import check_writable

    check_writable([output])
    graph = _read(model, format)
    found = _data(graph, data, needed=estimates)
    _keep_inputs(_inputs(model, graph, found), {"the picture": output})
    result = graph.fit_quietly(found) if estimates else None
    written = graph.render(output, style=style, data=found, fit=result)
    print(f"wrote {written}")
    return DONE


def simulate(
    model: Path,
    output: Path | None,
    data: list[str] | None,
    format: str | None,
    value: list[str] | None,
    size: list[str] | None,
    draws: int,
    truth: bool,
    seed: int,
) -> int:
    """Draw data from the model, from values given or from its priors.

    What is not observed is left out unless --truth asks for it, or no node of the model is observed.
    The model's data line gives covariates and levels, unless --data or --size do.
    """
    from dagmodels.results.simulated import write_simulated

    values = _pairs(value or [], "--value", _value, "name=number or name=label")
    sizes = _pairs(size or [], "--size", int, "name=number")
    graph = _read(model, format)
    found = _data(graph, data) if data else None
    if output is not None:
        _keep_inputs(_inputs(model, graph, found), {"--output": output})
    result = graph.simulate(data=found, values=values, sizes=sizes or None, draws=draws, seed=seed)
    nothing_observed = not any(node.observed for node in graph.dag.nodes.values())
    for line in write_simulated(result, output, truth or nothing_observed):
        print(line)
    return DONE


def backends() -> int:
    """List the backends that are installed."""
    from dagmodels.dispatch.registry import backends as registered
    from dagmodels.results.tables import text_table

    found = registered()
    origins = [type(b).__module__ for b in found.values()]
    about = [(sys.modules[m].__doc__ or "").strip().split("\n")[0] for m in origins]
    _print_table({"name": list(found), "module": origins, "about": about}, text_table)
    return DONE


def warm() -> int:
    """Compile all numeric kernels now, so that no later fit waits."""
    from dagmodels.numerics.warm import warm as compile_all

    compile_all(lambda line: print(line, flush=True))
    return DONE


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, settings


MODEL = _option("model", type=Path, metavar="MODEL", help="The model: a .dag file, or another language's.")
DATA = _option(
    *("--data",),
    action="append",
    metavar="FILE",
    help="A CSV, Parquet or JSON file; repeat as plate=file for one file a plate.",
)
FORMAT = _option("--format", metavar="F", help="The model's language, when not its ending's.")
METHOD = _option("--method", default="auto", metavar="M", help="A backend's name, or auto.")
SEED = _option("--seed", type=int, default=1, metavar="S", help="Seed of all random numbers.")

COMMANDS: tuple[tuple[Callable[..., int], tuple[tuple[tuple[str, ...], dict[str, Any]], ...]], ...] = (
    (
        fit,
        (
            *(MODEL, DATA, FORMAT, METHOD, SEED),
            _option("--se", metavar="S", help="conditional, or joint: with the means' share (laplace)."),
            _option("--json", type=Path, metavar="OUT", help="Write the result here as JSON."),
            _option("--csv", type=Path, metavar="OUT", help="Write the estimates here as CSV."),
        ),
    ),
    (plan, (MODEL, DATA, FORMAT, METHOD)),
    (check, (MODEL, DATA, FORMAT)),
    (
        render,
        (
            MODEL,
            _option(
                "output", type=Path, metavar="PICTURE", help="The picture: .svg, .png, .pdf, .dot or .mmd."
            ),
            *(DATA, FORMAT),
            _option("--style", default="bayes", help="bayes or bn."),
            _option("--estimates", action="store_true", help="Fit first; write estimates on the edges."),
        ),
    ),
    (
        simulate,
        (
            MODEL,
            _option("--output", type=Path, help="A .json file, a .csv file or a folder of CSV files."),
            *(DATA, FORMAT),
            _option("--value", action="append", metavar="N=V", help="name=number, or name=label, of a node."),
            _option("--size", action="append", metavar="P=N", help="plate=number of elements."),
            _option("--draws", type=int, default=1, metavar="N", help="How many data sets."),
            _option("--truth", action="store_true", help="Also what is not observed."),
            SEED,
        ),
    ),
    (backends, ()),
    (warm, ()),
)


def _parser() -> ArgumentParser:
    """One sub-command a row of the table; its options bear the names of the function's arguments."""
    from argparse import ArgumentParser

    about = "Fit hierarchical models stated as directed graphs."
    parser = ArgumentParser("dagmodels", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"dagmodels {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command, options in COMMANDS:
        text = command.__doc__ or ""
        one = commands.add_parser(
            command.__name__, help=text.split("\n")[0], description=text, allow_abbrev=False
        )
        for names, settings in options:
            one.add_argument(*names, **settings)
        one.set_defaults(command=command)
    return parser


def _read(model: Path, format: str | None) -> Graph:
    from dagmodels.api import read

    if not model.is_file():
        raise ModelErrors(
            "1 problem in the arguments",
            [ModelError(f"there is no model file '{model}'", hint="give the path of a .dag file")],
        )
    return read(model, format=format)


def _check_method(method: str) -> None:
    """A name that no backend bears is bad input, not a failure of statistics."""
    from dagmodels.dispatch.plan import nearest
    from dagmodels.dispatch.registry import backends as registered

    if method != "auto" and method not in registered():
        hint = f"installed: {', '.join(registered()) or 'none'}"
        near = nearest(method, registered())
        hint += f"; {near}" if near else ""
        raise_all([ModelError(f"no backend is named '{method}'", hint=hint)], "the arguments")


def _data(graph: Graph, given: list[str] | None, needed: bool = True) -> Any:
    """What `fit` takes: a path, or a dict of plate -> path; the model's own `data` line by default."""
    if not given:
        return graph.data_or_file() if needed or graph.dag.data_file is not None else None
    if len(given) == 1 and not _names_plate(graph, given[0]):
        return Path(given[0])
    faults = [
        ModelError(f"--data {text}: several files need their plates", hint="write --data plate=file")
        for text in given
        if "=" not in text
    ]
    raise_all(faults, "the arguments")
    return {plate: Path(file) for plate, file in (text.split("=", 1) for text in given)}


def _inputs(model: Path, graph: Graph, data: Any) -> list[Path]:
    """The files that are read: the model, the data given, and the file of the model's data line."""
    files = list(data.values()) if isinstance(data, Mapping) else [data]
    if graph.dag.data_file is not None:
        files.append(graph.data_or_file())
    return [model, *(f for f in files if isinstance(f, Path))]


def _keep_inputs(inputs: Iterable[Path], outputs: Mapping[str, Path]) -> None:
    """Refuse to write over what is read, and to write two outputs into one file.

    An output that is a folder would hold tables; those among its files that are inputs are kept too.
    """
    faults: list[ModelError] = []
    written: dict[str, Path] = {}
    for name, path in outputs.items():
        for known in inputs:
            beside = path.is_dir() and known.suffix in (".csv", ".json") and _same(known.parent, path)
            if _same(known, path) or beside:
                what = f"'{known}', which is read" + (f", lies in '{path}'" if beside else "")
                faults.append(ModelError(f"{name}: {what}", hint="name another file or folder"))
                break
        faults += [
            ModelError(f"{name} and {other} are both '{path}'", hint="name two files")
            for other, earlier in written.items()
            if _same(earlier, path)
        ]
        written[name] = path
    raise_all(faults, "the output files")


def _same(a: Path, b: Path) -> bool:
    """Whether two paths are one file or folder, by whatever links or spellings; streams overwrite nothing."""
    if a.exists() and b.exists():
        return a.samefile(b) and (a.is_file() or a.is_dir())
    return a.resolve() == b.resolve()


def _names_plate(graph: Graph, text: str) -> bool:
    """Whether `text` is plate=file; a file whose name holds '=' is still a file."""
    return "=" in text and (text.split("=", 1)[0] in graph.dag.plate or not Path(text).exists())


def _pairs(texts: list[str], option: str, convert: Callable[[str], Any], form: str) -> dict[str, Any]:
    """name=value options as a dict; all that cannot be read are named at once."""
    found: dict[str, Any] = {}
    faults: list[ModelError] = []
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            if not (name and equals):
                raise ValueError
            found[name] = convert(value)
        except ValueError:
            example = "tau=2" if option == "--value" else "county=85"
            faults.append(ModelError(f"{option} {text}: not {form}", hint=f"such as {option} {example}"))
    raise_all(faults, "the arguments")
    return found


def _value(text: str) -> Any:
    """A number, a list or a dict by label in JSON's way, else a label."""
    import json

    if text[:1] in ("[", "{", '"'):
        return json.loads(text)
    try:
        return float(text)
    except ValueError:
        if not text:
            raise
        return text


def _terminal() -> bool:
    return sys.stdout.isatty()


class _working:
    """A spinner on a terminal while something runs, nothing when piped."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.status: Any = None

    def __enter__(self) -> None:
        if _terminal():
            from rich.console import Console

            self.status = Console(stderr=True).status(f"{self.doing} ...")
            self.status.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self.status is not None:
            self.status.__exit__(*error)


def _complain(message: str) -> None:
    print(f"dagmodels: {message}", file=sys.stderr)


def _print_plan(chosen: Any) -> None:
    print(chosen)


def _print_fit(result: Any) -> None:
    """The summary; on a terminal its tables are drawn by rich."""
    if not _terminal():
        print(result.summary())
        return
    from dagmodels.results import summary

    print(f"{summary.heading(result)}\n\n{summary.criterion(result)}\n")
    _print_table(summary.estimate_table(result), None)
    for part in summary.endings(result):
        print(f"\n{part}")


def _print_table(columns: Any, plain: Callable[[Any], str] | None) -> None:
    """A rich table on a terminal, plain text when piped."""
    from dagmodels.results.tables import format_numbers, is_number, text_table

    if not _terminal():
        print((plain or text_table)(columns))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    texts: list[list[str]] = []
    for name, cells in columns.items():
        values = list(cells)
        numeric = all(is_number(v) or v is None for v in values) and any(is_number(v) for v in values)
        table.add_column(str(name), justify="right" if numeric else "left")
        texts.append(format_numbers(values) if numeric else ["" if v is None else str(v) for v in values])
    for row in zip(*texts, strict=True):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
