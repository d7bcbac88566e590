"""Score new recordings with a trained model: ``python -m asd.score model.ckpt clip.wav ...``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from asd.errors import AsdError, first_lines, shown
from asd.exit_status import exit_status, program


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.score",
        description="Anomaly scores of recordings, as CSV on standard output: higher is stranger.",
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a model's model.ckpt, or its folder runs/NAME/models/GROUP"
    )
    parser.add_argument("file", type=Path, nargs="+", help="sound files, or folders of them")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="package.module.NAME",
        help="a class or function of yours that the checkpoint may name; it is imported",
    )  # fmt: skip
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME",
        help="of the recordings, if the score asks: fan, or with the machine ID fan/00",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_status(
        lambda: _score(options.checkpoint, options.file, options.class_name, options.allow)
    )


def _score(checkpoint: Path, paths: list[Path], class_name: str | None, allowed: list[str]) -> None:
    files = [file for path in paths for file in sound_files(path)]
    from asd.scoring.recordings import score_recordings

    model = checkpoint / "model.ckpt" if checkpoint.is_dir() else checkpoint
    score_recordings(model, files, class_name, allowed).to_csv(sys.stdout, index=False)


def sound_files(path: Path) -> list[Path]:
    """The sound files of a folder and those in it; says what else lies there."""
    if not path.is_dir():
        return [path]
    from asd.data.clip_files import is_sound, unused_files

    everything = unused_files(path, ())
    files = [file for file in everything if is_sound(file)]
    if not files:
        raise AsdError(f"{path}: no sound file in this folder")
    if others := [f"  {shown(file)}" for file in everything if not is_sound(file)]:
        lines = first_lines(others)
        print(f"{shown(path)}: {len(others)} other files:\n{lines}", file=sys.stderr)
    return files


if __name__ == "__main__":
    program(main)
