"""From a checkpoint and recordings to scores: what a plant runs on a new clip."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from asd.composition import build
from asd.cores import cores
from asd.data.audio import read_clip
from asd.data.windows import Windows
from asd.errors import AsdError
from asd.features import Features
from asd.frontends.frontend import FrontEnd
from asd.models.detector import load_detector
from asd.options import check_choice, from_config
from asd.scoring.scorer import score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

log = logging.getLogger(__name__)

# Of checkpoints from before they said how they score.
_EARLIER = {
    "score": "mse", "vectors": None, "back_end": None, "bank": None, "max_fpr": 0.1,
    "batch_frames": 8000, "form": "auto",
}  # fmt: skip


def score_recordings(
    checkpoint: Path, files: list[Path], class_name: str | None = None
) -> pd.DataFrame:
    """Anomaly scores of recordings, computed as the run that trained the detector computed its own.

    Args:
        checkpoint: ``model.ckpt`` of a run's model (``best.ckpt`` and ``last.ckpt`` do too).
        files: recordings of the machines that it was trained on.
        class_name: of which of the detector's classes they are, or of which machine, or
            ``machine/ID``; for scores that need it.

    Returns:
        A row a file: file, score.

    Raises:
        AsdError: the checkpoint or a file cannot be used, or the class is needed and not given;
            nothing is scored then.
    """
    detector = load_detector(checkpoint)
    recipe = detector.recipe
    if "scoring" not in recipe:
        log.warning("%s does not say how it scores (an earlier version): mse", checkpoint)
    options = from_config(ScoringOptions, "scoring", {**_EARLIER, **recipe.get("scoring", {})})
    number = -1
    if options.back_end is not None:
        banks = list(detector.banks)
        if not banks:
            raise AsdError(f"{checkpoint}: lacks its back end, which model.ckpt has")
        if class_name is None and len(banks) > 1:
            raise AsdError(
                "this detector compares recordings with the training clips of their machine: "
                f"--class NAME, one of {', '.join(banks)}"
            )
        class_name = class_name or banks[0]
    elif class_name is not None:
        check_choice("--class", class_name, recipe["classes"])
        number = recipe["classes"].index(class_name)
    elif options.score in OF_CLASSES:
        raise AsdError(
            f"this detector's score ({options.score}) needs to know of which class the recordings "
            f"are: --class NAME, one of {', '.join(recipe['classes'])}"
        )
    frontend: FrontEnd = build(recipe["frontend"], "frontend")
    windows: Windows = build(recipe["window"], "window")
    values = []
    for file in files:
        wave = read_clip(file, frontend.rate, recipe["channel"])
        try:
            values.append(frontend.features(wave))
        except AsdError as error:
            raise AsdError(f"{file}: {error}") from error
    frames = np.array([len(v) for v in values], dtype=np.int64)
    names = [str(file) for file in files]
    index = windows.starts(recipe["frames"], frames, names)
    machine, _, machine_id = (class_name or "").partition("/")
    clips = pd.DataFrame({"machine": machine, "id": machine_id, "path": names, "label": -1})
    features, classes = Features(np.concatenate(values), frames), np.full(len(files), number)
    scored = score_clips(detector, options, clips, features, index, classes, cores())
    return scored.table[["file", "score"]]
