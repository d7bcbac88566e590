"""Tables, comparisons, claims and pictures of finished runs: no model, no audio, no torch.

python -m asd.report [runs=runs] [data=...] [by=trainer.batch_size] [compare=[u,ss_0.5]]
"""

from __future__ import annotations

import argparse
import csv
import shlex
import shutil
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.options import hint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asd.documents.blocks import Block
    from asd.reporting.sections import Section

_PICTURES = "report_files"  # a folder of the report's own, beside files that may be anyone's


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
        bare = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
        items = [item.strip(" '") for item in next(csv.reader([bare], skipinitialspace=True), [""])]
        if sign and (flag := "--" + name.replace("_", "-")) in flags:
            words += [flag, *items]
        elif sign and name.replace(".", "_").isidentifier():
            wanted.setdefault(name, []).extend(items)
        else:
            words.append(argument)
    return parser.parse_args(words), wanted


def report(options: argparse.Namespace, wanted: dict[str, list[str]], words: Sequence[str]) -> None:
    """Collect, compute, print and write what ``parse`` made of ``words``.

    Raises:
        AsdError: an option or a file is at fault, or no run is as wanted.
    """
    from asd.documents import terminal
    from asd.documents.blocks import Heading, Text
    from asd.reporting.bootstrap import Resampling
    from asd.reporting.content import provenance, section_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.preregistration import Preregistration
    from asd.reporting.runs import collect_folder
    from asd.reporting.sections import add_comparison, sections

    declared = declaration(name := options.sweep or "paper")
    resampling = Resampling(options.resamples, options.confidence)
    collection = collect_folder(Path(options.runs))
    runs = [run for run in collection.runs if run.matches(wanted)]
    plan = Preregistration(options.plan) if options.plan else None
    runs = plan.of(runs) if plan else runs
    filters = [f"{key}={','.join(values)}" for key, values in wanted.items()]
    asked = [f"Runs with {', '.join(filters)}."] * bool(filters)
    unused = [f"Not used: {'; '.join(collection.notes)}."] * bool(collection.notes)
    if not runs:
        lacking = f"{options.runs}: no finished run of {len(collection.runs)} is as asked for"
        names = sorted({option for run in collection.runs for option in run.options})
        unused += [f"No run has {key}{hint(key, names)}." for key in wanted if key not in names]
        remedy = f"This trains the table's: python -m asd.train -m +sweep={name}"
        raise AsdError(" ".join([f"{lacking}; nothing is written.", *asked, *unused, remedy]))
    where = [f"runs={options.runs}"] * (options.runs != "runs")
    again = shlex.join(["python", "-m", "asd.report", *where, *filters])
    parts, said = sections(runs, declared, options.by, options.sweep is not None, resampling, again)
    for pair in options.compare:
        add_comparison(parts, *pair)

    simulated = ", SIMULATED data" if all(part.simulated for part in parts) else ""
    used = f"{sum(len(part.runs) for part in parts)} runs used"
    title = " and ".join(dict.fromkeys(part.declared.title for part in parts))
    head: list[Block] = [Heading(f"{title}: {used} of {len(collection.runs)}{simulated}", 1)]
    head += map(Text, [*asked, *unused, *said])
    head += plan.blocks(parts, runs) if plan else []
    body = [section_blocks(part) for part in parts]
    foot = provenance(parts, words, Path(options.out))
    terminal.show([*head, *chain(*body), *foot], terminal.open_console())
    if options.no_write:
        return
    pictures = Path(options.out) / _PICTURES
    shutil.rmtree(pictures, ignore_errors=True)
    if not options.no_pictures:
        from asd.reporting.figures import section_figures

        for number, part in enumerate(parts):
            body[number] += section_figures(part, pictures / str(number + 1))
    _write([*head, *chain(*body), *foot], parts, Path(options.out))


def _write(blocks: list[Block], parts: list[Section], out: Path) -> None:
    import pandas as pd

    from asd.documents import rendering
    from asd.files import write_text
    from asd.reporting.faults import fault_results
    from asd.reporting.results import spreadsheet

    def joined(frames: Callable[[Section], Sequence[pd.DataFrame]]) -> pd.DataFrame:
        """Of all sections, with what the data is in the first columns."""
        keys = [(part.label, part.simulated) for part in parts]
        own = [pd.concat(frames(part)) for part in parts]
        return pd.concat(own, keys=keys, names=["data", "simulated"]).reset_index([0, 1])

    frame = joined(lambda part: [part.results])
    if len(compared := joined(lambda part: [*part.comparisons, part.pairs])):
        compared = compared.query("reason == ''").drop(columns=["reason", "sign"], errors="ignore")
    of_types = ["published", "published_std", "difference", "fill_command"]
    tables = {
        "tables.csv": frame[frame["id"] == ""].drop(columns="id"),
        "per_id.csv": frame[frame["id"] != ""].drop(columns=of_types),
        "costs.csv": joined(lambda part: [part.costs]),
        "comparisons.csv": compared,
        "faults.csv": joined(lambda part: [fault_results(part.systems)]),
    }
    files = {
        "report.html": rendering.html(blocks),
        "report.md": rendering.markdown(blocks, out),
        "tables.tex": rendering.latex(blocks),
        **{name: spreadsheet(table) * bool(len(table)) for name, table in tables.items()},
    }
    for name, text in files.items():
        if text:
            write_text(out / name, text)
        else:  # an earlier report's
            (out / name).unlink(missing_ok=True)
    print(f"wrote {out / 'report.html'} and {sum(map(bool, files.values())) - 1} files beside it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asd.report",
        description="Tables, comparisons, claims and pictures of finished runs.",
        epilog="Flags may also be written as in asd.train: compare=[u,ss_0.5] out=DIR; any other "
        "name=value chooses runs by a tag or option: data=dcase2020 experiment=[u,b] scale=small",
    )
    add = parser.add_argument
    add("--sweep", help="whose rows and published numbers, sweeps/NAME.yaml (default: paper)")
    add("--by", nargs="+", action="extend", default=[], metavar="OPTION",
        help="a row a setting of these options: by=trainer.batch_size")  # fmt: skip
    add("--plan", type=Path, help="of asd.preregister: its runs alone, and whether it was kept")
    add("--runs", default="runs", help="folder of run folders (default: runs)")
    add("--compare", nargs=2, action="append", default=[], metavar=("A", "B"), help="two systems")
    add("--resamples", type=int, default=1000, help="bootstrap resamples (default: 1000)")
    add("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    add("--out", default="report", help="folder for the files (default: report)")
    add("--no-pictures", action="store_true", help="draw nothing")
    add("--no-write", action="store_true", help="print only")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    words = sys.argv[1:] if arguments is None else arguments
    options, wanted = parse(words)
    return exit_status(lambda: report(options, wanted, words))


if __name__ == "__main__":
    program(main)
