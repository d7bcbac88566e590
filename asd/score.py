"""Score new recordings with a trained model: ``python -m asd.score model.ckpt clip.wav ...``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from asd.errors import AsdError
from asd.exit_status import exit_status


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.score",
        description="Anomaly scores of recordings, as CSV on standard output: higher is stranger.",
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a model's model.ckpt, or its folder runs/NAME/models/GROUP"
    )
    parser.add_argument("file", type=Path, nargs="+", help="WAV files, or folders of them")
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME",
        help="of the recordings, if the score asks: fan, or with the machine ID fan/00",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_status(lambda: _score(options.checkpoint, options.file, options.class_name))


def _score(checkpoint: Path, paths: list[Path], class_name: str | None) -> None:
    files = [file for path in paths for file in _expand(path)]
    from asd.scoring.recordings import score_recordings

    model = checkpoint / "model.ckpt" if checkpoint.is_dir() else checkpoint
    score_recordings(model, files, class_name).to_csv(sys.stdout, index=False)


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".wav")
    if not files:
        raise AsdError(f"{path}: no WAV file in this folder")
    return files


if __name__ == "__main__":
    sys.exit(main())
