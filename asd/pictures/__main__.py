"""Draw the pictures of runs from their files: ``python -m asd.pictures runs/NAME ...``.

A run of a sweep draws only some at its end (``pictures.in_sweeps``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from asd.exit_status import exit_status, program


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.pictures",
        description="Draw the pictures of finished runs, from their files alone.",
        epilog="python -m asd.tracking.sync RUN copies them to MLflow.",
    )
    parser.add_argument("run", nargs="+", type=Path, help="a run's folder")
    given = parser.parse_args(arguments)

    def draw() -> None:
        from asd.pictures.run_pictures import run_pictures

        for folder in given.run:
            print(*run_pictures(folder), sep="\n")

    return exit_status(draw)


if __name__ == "__main__":
    program(main)
