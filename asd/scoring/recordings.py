"""From a checkpoint and recordings to scores: what a plant runs on a new clip."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from asd.composition import build_known, check_known
from asd.cores import cores
from asd.data.audio import Recording
from asd.data.clip_files import parse_name
from asd.data.manifest import SPLITS
from asd.data.scan import warn_of
from asd.data.windows import Windows
from asd.errors import AsdError, first_lines, shown
from asd.features import Features, clip_features
from asd.frontends.frontend import FrontEnd
from asd.models.detector import load_detector
from asd.options import check_choice, check_whole, from_config
from asd.scoring.scorer import score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

log = logging.getLogger(__name__)

# Of checkpoints from before they said how they score.
_EARLIER = {
    "score": "mse", "vectors": None, "back_end": None, "bank": None, "max_fpr": 0.1,
    "batch_frames": 8000, "form": "auto", "pooling": {"_target_": "asd.scoring.pooling.Mean"},
    "per_id": False,
}  # fmt: skip


def score_recordings(
    checkpoint: Path,
    files: list[Path],
    class_name: str | None = None,
    allowed: Collection[str] = (),
) -> pd.DataFrame:
    """Anomaly scores of recordings, checked and computed as those of the run that trained it.

    Warnings say what is odd about the recordings, and which of them are of machine types or IDs
    that the detector was not trained on, as far as their paths tell.

    Args:
        checkpoint: ``model.ckpt`` of a run's model (``best.ckpt`` and ``last.ckpt`` do too).
        files: recordings of the machines that it was trained on.
        class_name: of which of the detector's classes they are, or of which machine, or
            ``machine/ID``; for scores that need it.
        allowed: classes and functions from outside this package that the checkpoint may name.

    Returns:
        A row a file: file, score.

    Raises:
        AsdError: the checkpoint or a file cannot be used, or the class is needed and not given;
            nothing is scored then.
    """
    detector = load_detector(checkpoint, allowed)
    recipe = detector.recipe
    if "scoring" not in recipe:
        log.warning("%s does not say how it scores (an earlier version): mse", checkpoint)
    if not isinstance(recipe.get("scoring", {}), dict):
        raise AsdError(f"{checkpoint}: cannot be used as a checkpoint: its recipe lacks scoring")
    scoring = {**_EARLIER, **recipe.get("scoring", {})}
    for part in (scoring[name] for name in ("score", "vectors", "back_end", "pooling")):
        if isinstance(part, dict):
            build_known(part, "scoring", allowed)
        elif "." in str(part):
            check_known(part, "scoring", allowed)
    options = from_config(ScoringOptions, "scoring", scoring)
    number, banks = -1, list[str]()
    if options.back_end is not None or options.per_id:
        banks = list(detector.scales if options.per_id else detector.banks)
        if not banks:
            raise AsdError(f"{checkpoint}: lacks its back end, which model.ckpt has")
        if class_name is None and len(banks) > 1:
            raise AsdError(
                "this detector compares recordings with the training clips of their machine: "
                f"--class NAME, one of {', '.join(banks)}"
            )
        class_name = class_name or banks[0]
    if options.score in OF_CLASSES and len(recipe["classes"]) == 1:
        class_name = class_name or recipe["classes"][0]
    if class_name is not None and (options.score in OF_CLASSES or not banks):
        known = class_name if class_name in recipe["classes"] else class_name.split("/")[0]
        check_choice("--class", known, recipe["classes"])
        number = recipe["classes"].index(known)
    elif options.score in OF_CLASSES:
        raise AsdError(
            f"this detector's score ({options.score}) needs to know of which class the recordings "
            f"are: --class NAME, one of {', '.join(recipe['classes'])}"
        )
    frontend: FrontEnd = build_known(recipe.get("frontend"), "frontend", allowed)
    windows: Windows = build_known(recipe.get("window"), "window", allowed)
    if (channel := recipe.get("channel")) not in (None, "mean"):
        check_whole(f"{checkpoint}: channel", channel, 0)
    names = [shown(file) for file in files]
    _warn_of_strangers(files, recipe)
    facts, values = {}, []
    for name, file in zip(names, files, strict=True):
        recording = Recording.read(file, channel)
        facts[name] = recording.facts
        with _as_it_says(checkpoint):
            values.append(clip_features(frontend, recording, "float32"))
    warn_of("these recordings", facts, frontend.rate)
    frames = np.array([len(v) for v in values], dtype=np.int64)
    index = windows.starts(recipe["frames"], frames, names)
    machine, _, machine_id = (class_name or "").partition("/")
    clips = pd.DataFrame({"machine": machine, "id": machine_id, "path": names, "label": -1})
    features, classes = Features(np.concatenate(values), frames), np.full(len(files), number)
    with _as_it_says(checkpoint):
        scored = score_clips(detector, options, clips, features, index, classes, cores())
    return scored.table[["file", "score"]]


@contextmanager
def _as_it_says(checkpoint: Path) -> Iterator[None]:
    """Around what is computed with a checkpoint's options and tensors, which may be any."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise AsdError(
            f"{checkpoint}: these recordings cannot be scored with it ({error!r:.300})"
        ) from error


def _warn_of_strangers(files: list[Path], recipe: dict[str, Any]) -> None:
    """Say which files lie in ``<machine>/{train,test}`` of machines that the detector is not of."""
    known = {tuple(map(str, one)) for one in recipe["ids"]}  # earlier checkpoints do not have them
    types, ids = [], []
    for file in files:
        split, machine = file.absolute().parent, file.absolute().parent.parent.name
        parsed = parse_name(file.name)
        if split.name not in SPLITS or parsed is None:
            continue
        if machine not in recipe["machines"]:
            types.append(f"  {shown(file)}: {machine}")
        elif known and (machine, parsed[0]) not in known:
            ids.append(f"  {shown(file)}: {machine} ID {parsed[0]}")
    trained = ", ".join(recipe["machines"])
    for lines, kind in ((types, "machine types"), (ids, "machine IDs")):
        if lines:
            text = "%d recordings are of %s that this detector (of %s) was not trained on:\n%s"
            log.warning(text, len(lines), kind, trained, first_lines(lines))
