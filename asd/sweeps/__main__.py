"""What sweeps there are and how far they are: ``python -m asd.sweeps status sweep=paper``."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

from asd.exit_status import exit_status, program
from asd.experiment.sweep_files import load_sweep, sweep_files
from asd.sweeps.arguments import composed_sweep
from asd.sweeps.display import PERIOD


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.sweeps",
        description="list: the declared sweeps. status: which runs of a sweep are done, running, "
        "cut, failed or missing, and why; of a search, its trials; with --watch again and again "
        "until all have ended.",
    )
    parser.add_argument("question", choices=["list", "status"])
    options = "sweep=NAME option=value ...: of status, those that the sweep was started with"
    parser.add_argument("options", nargs=argparse.REMAINDER, help=options)
    given = parser.parse_args(arguments)
    return exit_status(_list if given.question == "list" else partial(_status, given.options))


def _list() -> None:
    for path in sweep_files():
        print(f"{path.stem:14} {load_sweep(path.stem).get('title', '')}")


def _status(arguments: list[str]) -> None:
    from hydra.utils import get_class, get_method

    options = [a for a in arguments if a not in ("-m", "--multirun", "--watch")]
    with composed_sweep(options) as (loader, master), suppress(KeyboardInterrupt):
        sweeper: Any = get_class(master.hydra.sweeper._target_)
        # As long as there is something to wait for.
        while get_method(sweeper.status)(loader, master) and "--watch" in arguments:
            time.sleep(PERIOD)
            print("\033[H\033[2J" if sys.stdout.isatty() else "")  # from the screen's top


if __name__ == "__main__":
    program(main)
