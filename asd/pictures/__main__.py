"""Draw the pictures of runs from their files: ``python -m asd.pictures runs/NAME ...``.

A run of a sweep draws only some at its end (``pictures.in_sweeps``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from asd.errors import AsdError


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.pictures",
        description="Draw the pictures of finished runs, from their files alone.",
        epilog="python -m asd.tracking.sync RUN copies them to MLflow.",
    )
    parser.add_argument("run", nargs="+", type=Path, help="a run's folder")
    parser.add_argument("--projection", choices=("pca", "tsne"), default="pca")
    options = parser.parse_args(arguments)
    from asd.pictures.examples import PictureOptions
    from asd.pictures.run_pictures import run_pictures

    try:
        for folder in options.run:
            if not (folder / "scores.csv").is_file():
                raise AsdError(f"{folder}: no scores.csv in it; is it a finished run's folder?")
            for path in run_pictures(
                folder, PictureOptions.configured(projection=options.projection)
            ):
                print(path)
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
