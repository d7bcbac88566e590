"""Confirmed normal clips calibrate a model anew: ``python -m asd.recalibrate MODEL CLIPS ...``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError, first_lines
from asd.exit_status import exit_status, program
from asd.score import add_model_options, scorer_of, sound_files

if TYPE_CHECKING:
    import pandas as pd

    from asd.scoring.recordings import RecordingScorer
    from asd.scoring.scorer import ScoredClips


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.recalibrate",
        description="Clips confirmed as normal, which the model was not trained on, take the place "
        "of its calibration in a new version; network and scores stay (docs/deploy.md).",
    )
    add_model_options(parser, verdicts=False)
    parser.add_argument("file", type=Path, nargs="+", help="normal clips, or folders of them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the new version")
    options = parser.parse_args(arguments)
    return exit_status(lambda: _recalibrate(options))


def _recalibrate(options: argparse.Namespace) -> None:
    new = options.out / "model.ckpt"
    if new.exists():
        raise AsdError(f"{new}: is there already; a new version needs a folder of its own: --out")
    files = list(dict.fromkeys(file for path in options.file for file in sound_files(path)))
    import pandas as pd
    import torch

    from asd.models.detector import save_detector
    from asd.scoring.calibration import commission, scores_by_id
    from asd.scoring.error_maps import normal_clips

    scorer = scorer_of(options)
    detector, given = scorer.detector, _confirmed(files, scorer)
    tables: list[pd.DataFrame] = []
    bad: list[str] = []
    pictured: dict[str, Any] = {}

    def take(table: pd.DataFrame, scored: ScoredClips | None) -> None:
        lacking = table[table["score"].isna()]
        bad.extend(f"  {row.file}: {row.state}" for row in lacking.itertuples())
        if scored is not None:
            tables.append(scored.table)
            name = f"{scored.table['machine'][0]}/{scored.table['id'][0]}"
            pictured.setdefault(name, normal_clips(scored))  # of its first clips

    for _, own in given.groupby(["machine", "id"]):
        scorer.score(list(own["path"]), take)
    if bad:
        raise AsdError(f"{len(bad)} of {len(files)} clips have no score:\n{first_lines(bad)}")
    scores = {k: torch.from_numpy(own) for k, own in scores_by_id(pd.concat(tables)).items()}
    detector.calibration |= scores
    for name, (profiles, spectra) in pictured.items():
        others = {k: own for k, own in detector.spectra.items() if not k.startswith(f"{name}/")}
        detector.profiles |= {k: own for k, own in profiles.items() if k == name}
        detector.spectra = others | spectra
    detector.recipe["recalibrated_from"] = scorer.hash
    promises = commission(given, detector.calibration, scorer.calibration_options())
    try:
        save_detector(detector, new)
    except OSError as error:
        raise AsdError(f"{new}: cannot be written: {error.strerror}; --out DIR") from error
    kept = [f"{name}: as before" for name in detector.calibration if name not in scores]
    print(*promises, *kept, new, sep="\n")


def _confirmed(files: list[Path], scorer: RecordingScorer) -> pd.DataFrame:
    """A row a clip that may calibrate: path, machine, id, samples, rate; says which may not."""
    import pandas as pd

    from asd.data.audio import Recording
    from asd.scoring.calibration import left_out

    known = dict.fromkeys(scorer.recipe["trained_on"], "trained on: its p-value would be too small")
    if not known:
        print("this model does not say which clips trained it: give it others", file=sys.stderr)
    rows: list[Any] = []
    reasons: dict[str, str] = {}
    for file in files:
        recording = Recording.read(file, scorer.channel)
        facts, fault = recording.facts, recording.fault(scorer.options.clipped)
        content = int(facts.hash, 16)
        if reason := known.get(content, fault):
            reasons[str(file)] = reason
        else:
            known[content] = f"twice: it is a copy of {file}"
            rows.append((file, *scorer.whose(file), facts.samples, facts.rate))
    print(left_out(reasons, len(files)), end="\n" * bool(reasons), file=sys.stderr)
    clips = pd.DataFrame(rows, columns=["path", "machine", "id", "samples", "rate"])
    if clips.empty:
        raise AsdError("no clip is left to calibrate with: record others")
    if (clips[["machine", "id"]] == "").any(axis=None):
        ids = ", ".join(map("/".join, scorer.machine_ids))
        raise AsdError(f"{clips['path'].iloc[0]}: of which machine? --class MACHINE/ID, of {ids}")
    return clips


if __name__ == "__main__":
    program(main)
