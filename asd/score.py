"""Score new recordings with a trained model: ``python -m asd.score runs/NAME clip.wav ...``"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError, first_lines, shown
from asd.exit_status import exit_status, program
from asd.experiment.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from asd.scoring.recordings import RecordingScorer
    from asd.scoring.scorer import ScoredClips


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.score",
        description="Anomaly scores and verdicts of recordings, on standard output: a higher score "
        "is stranger. Verdicts need a model trained with calibration.fraction (docs/deploy.md).",
    )
    add_model_options(parser)
    add = parser.add_argument
    add("file", type=Path, nargs="+", help="sound files, or folders of them")
    add("--skip-bad", action="store_true", help="leave out files that cannot be used, and say so")
    add("--format", choices=("csv", "jsonl"), default="csv", help="jsonl: JSON, a line a recording")
    add("--explain", type=Path, metavar="DIR", help="draw there why each recording has its score")
    options = parser.parse_args(arguments)
    return exit_status(lambda: _score(options))


def add_model_options(
    parser: argparse.ArgumentParser, verdicts: bool = True, resample: bool = True
) -> None:
    """What ``scorer_of`` reads: the model, what the recordings are, and what is an alarm."""
    parser.set_defaults(resample=False, false_alarms=None, rule=None)
    add = parser.add_argument
    add("model", help="a run's folder, a model.ckpt or its folder, or models:/NAME@ALIAS")
    add("--class", dest="class_name", metavar="NAME",
        help="what the recordings are of, fan or fan/00, where their paths do not say")  # fmt: skip
    add("--channel", type=lambda text: int(text) if text.isdigit() else text,
        help="of files with several: 0, 1, ... or mean; as in training")  # fmt: skip
    if resample:
        add("--resample", action="store_true", help="take clips of a lower rate than the model's")
    add("--clipped", type=float, default=0.001, metavar="PART",
        help="of the samples at full scale; with more there is no score (%(default)s)")  # fmt: skip
    add("--tracking-uri", help="of the registry; as conf/tracking/mlflow.yaml says")
    add("--allow", action="append", default=[], metavar="package.module.NAME",
        help="a class or function of yours that the model may name; it is imported")  # fmt: skip
    if not verdicts:
        return
    add("--false-alarms", type=float, metavar="RATE",
        help="at most this part of normal clips, such as 0.01; as the model was told")  # fmt: skip
    add("--rule", choices=("conformal", "gamma", "quantile"), help="of the threshold; likewise")


def scorer_of(options: argparse.Namespace) -> RecordingScorer:
    """The model that these options name, wherever it lies; says if it gives no verdicts."""
    from asd.scoring.recordings import RecordingOptions, RecordingScorer

    given = {field.name: getattr(options, field.name) for field in fields(RecordingOptions)}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = checkpoint_of(options.model, options.tracking_uri, Path(folder))
        scorer = RecordingScorer(checkpoint, RecordingOptions(**given), options.allow)
    if not scorer.detector.calibration:
        print("scores alone: this model has no calibration (docs/deploy.md)", file=sys.stderr)
    return scorer


def _score(options: argparse.Namespace) -> None:
    """Print a line a recording."""
    files = [file for path in options.file for file in sound_files(path)]
    from asd.scoring.recordings import COLUMNS, ERROR

    scorer = scorer_of(options)
    bad: list[str] = []
    if options.format == "csv":
        print(",".join(COLUMNS))

    def write(table: pd.DataFrame, scored: ScoredClips | None) -> None:
        if options.explain is not None and scored is not None:
            from asd.pictures.explanation import explain

            for at, clip in enumerate(table[table["score"].notna()].to_dict("records")):
                name = "_".join(Path(clip["file"]).parts[-4:]).lstrip("/")
                explain(scorer, clip, scored, at, options.explain / f"{name}.png")
        broken = table["state"].str.startswith(ERROR)
        bad.extend(table["state"][broken].str.replace(ERROR, "  ", n=1))
        rows = table[~broken] if options.skip_bad else table
        if options.format == "csv":
            rows.to_csv(sys.stdout, index=False, header=False)
        for row in rows.to_dict("records") if options.format == "jsonl" else ():
            known = {name: value for name, value in row.items() if value == value and value != ""}
            print(json.dumps(dict.fromkeys(COLUMNS) | known))

    scorer.score(files, write)
    said = f"{len(bad)} of {len(files)} recordings cannot be used:\n{first_lines(bad)}"
    if bad and not options.skip_bad:
        raise AsdError(said)
    if bad:
        print(f"left out: {said}", file=sys.stderr)


def checkpoint_of(model: str, tracking_uri: str | None, folder: Path) -> Path:
    """The model's file: as it is, in a model's or a run's folder, or copied to ``folder``."""
    if model.startswith("models:/"):
        from asd.tracking.mlflow_store import registered_checkpoint

        return registered_checkpoint(model, tracking_uri, folder)
    path = Path(model)
    if not (models := RunFolder(path).models()):
        return path / "model.ckpt" if path.is_dir() else path
    if len(models) > 1:
        choices = "\n".join(f"  {shown(one)}" for one in models)
        raise AsdError(f"{path}: this run has several models; choose one:\n{choices}")
    return models[0] / "model.ckpt"


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
        text = f"{shown(path)}: {len(others)} other files:\n{first_lines(others)}"
        print(text, file=sys.stderr)
    return files


if __name__ == "__main__":
    program(main)
