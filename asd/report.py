"""Tables, comparisons, claims and pictures of finished runs: no model, no audio, no torch.

python -m asd.report [sweep=paper] [runs=runs] [data=...] [compare=[u,ss_0.5]] [view=[auc,per_id]]
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.options import check_number

if TYPE_CHECKING:
    from asd.documents.blocks import Block
    from asd.reporting.runs import Collection
    from asd.reporting.sections import Section

VIEW_NAMES = ("auc", "pauc", "per_id", "harmonic", "pooled", "eq3", "faults")


def parse(arguments: list[str]) -> tuple[argparse.Namespace, dict[str, list[str]]]:
    """Options, and the tags or options by which runs are chosen.

    ``key=value`` and ``key=[a,b]`` are flags where there is such a flag, else they choose runs.

    >>> options, wanted = parse(["compare=[u,ss_0.5]", "data=simulated", "scale=small"])
    >>> options.compare, wanted
    ([['u', 'ss_0.5']], {'data': ['simulated'], 'scale': ['small']})
    """
    parser = _parser()
    flags = {flag for action in parser._actions for flag in action.option_strings}
    words: list[str] = []
    wanted: dict[str, list[str]] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        name = key.lstrip("+")
        items = [item.strip() for item in value.strip("[]").split(",")]
        if sign and (flag := "--" + name.replace("_", "-")) in flags:
            words += [flag, *items]
        elif sign and name.replace(".", "_").isidentifier():
            wanted.setdefault(name, []).extend(items)
        else:
            words.append(argument)
    return parser.parse_args(words), wanted


def report(options: argparse.Namespace, wanted: dict[str, list[str]]) -> None:
    """Collect, compute, print and write.

    Raises:
        AsdError: an option or a file is at fault, or no run is as wanted.
    """
    from asd.documents import terminal
    from asd.documents.blocks import Heading, Text
    from asd.reporting.bootstrap import Resampling
    from asd.reporting.content import WIDTH, section_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.sections import Section, add_comparison, corpora

    declared = declaration(options.sweep)
    if options.max_fpr is not None:
        check_number("max_fpr", options.max_fpr, 0, 1, above=True)
    resampling = Resampling(options.resamples, options.confidence, options.seed)
    collection = _collect(options)
    runs = [run for run in collection.runs if run.matches(wanted)]
    filters = ", ".join(f"{name}={'|'.join(values)}" for name, values in wanted.items())
    if not runs:
        place, notes = options.tracking_uri or options.runs, "; ".join(collection.notes)
        raise AsdError(
            f"{place}: no finished run{f' with {filters}' * bool(filters)} "
            f"({len(collection.runs)} finished{notes and f'; not used: {notes}'}); nothing is "
            f"written. This trains the table's: python -m asd.train -m +sweep={options.sweep}"
        )
    trials = not wanted.keys().isdisjoint(("study", "trial"))
    how = (declared, resampling, options.max_fpr, trials)
    parts = [Section(label, group, *how) for label, group in corpora(runs).items()]
    for pair in options.compare:
        add_comparison(parts, *pair)

    simulated = ", SIMULATED data" if all(part.simulated for part in parts) else ""
    used = f"{sum(part.used for part in parts)} runs used of {len(collection.runs)}"
    head: list[Block] = [Heading(f"{declared.title}: {used}{simulated}", 1)]
    if wanted:
        head.append(Text(f"Runs with {filters}."))
    if collection.notes:
        head.append(Text("Not used: " + "; ".join(collection.notes) + "."))
    body = [section_blocks(part, options.view) for part in parts]
    terminal.show([*head, *chain(*body)], terminal.open_console(WIDTH))
    if options.no_write:
        return
    if not options.no_pictures:
        from asd.reporting.figures import section_figures

        for number, part in enumerate(parts):
            folder = Path(options.out) / "figures" / str(number + 1)
            body[number] += section_figures(part, folder, options.projection)
    _write([*head, *chain(*body)], parts, Path(options.out))


def _write(blocks: list[Block], parts: list[Section], out: Path) -> None:
    import pandas as pd

    from asd.documents import rendering
    from asd.files import write_text
    from asd.reporting.faults import fault_results
    from asd.reporting.results import spreadsheet

    frame = pd.concat([part.labelled(part.results) for part in parts])
    of_types = ["published", "published_std", "difference", "fill_command"]
    files = {
        "report.html": rendering.html(blocks),
        "report.md": rendering.markdown(blocks, out),
        "tables.tex": rendering.latex(blocks),
        "tables.csv": spreadsheet(frame[frame["id"] == ""].drop(columns="id")),
        "per_id.csv": spreadsheet(frame[frame["id"] != ""].drop(columns=of_types)),
    }
    compared = [
        part.labelled(frame) for part in parts for frame in (*part.comparisons, *part.learning)
    ]
    if compared:
        rows = pd.concat(compared).query("reason == ''")
        files["comparisons.csv"] = spreadsheet(rows.drop(columns="reason"))
    if len(faults := pd.concat([part.labelled(fault_results(part)) for part in parts])):
        files["faults.csv"] = spreadsheet(faults)
    for name, text in files.items():
        write_text(out / name, text)
        print(f"wrote {out / name}")


def _collect(options: argparse.Namespace) -> Collection:
    from asd.reporting.runs import collect_folder

    if options.tracking_uri is None:
        return collect_folder(Path(options.runs))
    from tempfile import TemporaryDirectory

    from asd.reporting.mlflow_runs import collect_mlflow

    # A sweep's runs stand in an experiment of its name, single runs in that of conf/tracking.
    own = (options.sweep, "asd")
    names = options.tracking_experiment or [*own, *(f"{name} SIMULATED" for name in own)]
    pictures = not (options.no_write or options.no_pictures)
    with TemporaryDirectory() as temporary:  # the scores are read before it goes
        copies = Path(temporary) if options.no_write else Path(options.out) / "runs_from_mlflow"
        return collect_mlflow(options.tracking_uri, names, copies, pictures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asd.report",
        description="Tables, comparisons, claims and pictures of finished runs.",
        epilog="Flags may also be written as in asd.train: compare=[u,ss_0.5] out=DIR; any other "
        "name=value chooses runs by a tag or option: data=dcase2020 experiment=[u,b] scale=small",
    )
    add = parser.add_argument
    add("--sweep", default="paper", help="whose rows and published numbers (sweeps/NAME.yaml)")
    add("--runs", default="runs", help="folder of run folders (default: runs)")
    add("--tracking-uri", help="read the runs from this MLflow tracker instead")
    add("--tracking-experiment", nargs="+", help="experiments there (default: the sweep's and asd)")
    add("--compare", nargs=2, action="append", default=[], metavar=("A", "B"), help="two systems")
    add("--view", nargs="+", choices=VIEW_NAMES, default=["auc", "pauc"],
        help="tables to print (default: auc pauc)")  # fmt: skip
    add("--max-fpr", type=float, help="upper false-positive rate of pAUC (default: the runs' own)")
    add("--resamples", type=int, default=1000, help="bootstrap resamples (default: 1000)")
    add("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add("--projection", choices=("pca", "tsne"), default="pca", help="of the bottleneck")
    add("--out", default="report", help="folder for the files (default: report)")
    add("--no-pictures", action="store_true", help="draw nothing")
    add("--no-write", action="store_true", help="print only")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    words = sys.argv[1:] if arguments is None else arguments
    options, wanted = parse(words)
    return exit_status(lambda: report(options, wanted))


if __name__ == "__main__":
    program(main)
