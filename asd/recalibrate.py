"""Confirmed normal clips calibrate a model anew: ``python -m asd.recalibrate MODEL CLIPS ...``"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.score import add_model_options, scorer_of, sound_files

if TYPE_CHECKING:
    import pandas as pd

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
    from soundfile import info

    from asd.models.detector import save_detector
    from asd.scoring.calibration import commission, left_out, scores_by_id
    from asd.scoring.error_maps import normal_clips

    scorer = scorer_of(options)
    detector, known = scorer.detector, scorer.recipe["trained_on"]
    if not known:
        print("this model does not say which clips trained it: give it others", file=sys.stderr)
    out, _ = left_out([*map(str, files)], Path(), scorer.channel, options.clipped, known)
    files = sorted((file for file in files if str(file) not in out), key=scorer.whose)
    if not files:
        raise AsdError("no clip is left to calibrate with: record others")
    tables: list[pd.DataFrame] = []
    pictured: dict[str, Any] = {}

    def take(table: pd.DataFrame, scored: ScoredClips | None) -> None:
        for row in table[table["score"].isna()].itertuples():
            raise AsdError(f"{row.file}: no score, as asd.score says: {row.state}")
        if scored is not None:
            tables.append(scored.table)
            name = f"{scored.table['machine'][0]}/{scored.table['id'][0]}"
            pictured.setdefault(name, normal_clips(scored))  # of its first clips

    for _, own in groupby(files, scorer.whose):
        scorer.score(list(own), take)
    clips = pd.concat(tables).assign(samples=[info(file).duration for file in files], rate=1)
    if (clips[["machine", "id"]] == "").any(axis=None):
        ids = ", ".join(map("/".join, scorer.machine_ids))
        raise AsdError(f"{clips['file'].iloc[0]}: of which machine? --class MACHINE/ID, of {ids}")
    scores = {name: torch.from_numpy(own) for name, own in scores_by_id(clips).items()}
    detector.calibration |= scores
    for name, (profiles, spectra) in pictured.items():
        others = {k: own for k, own in detector.spectra.items() if not k.startswith(f"{name}/")}
        detector.profiles |= {k: own for k, own in profiles.items() if k == name}
        detector.spectra = others | spectra
    detector.recipe["recalibrated_from"] = scorer.hash
    promises = commission(clips, detector.calibration, scorer.calibration_options())
    try:
        save_detector(detector, new)
    except OSError as error:
        raise AsdError(f"{new}: cannot be written: {error.strerror}; --out DIR") from error
    kept = [f"{name}: as before" for name in detector.calibration if name not in scores]
    print(*promises, *kept, new, sep="\n")


if __name__ == "__main__":
    program(main)
