"""The pictures of a run: drawn at its end, or later from the files in its folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.options import check_choice, check_whole
from asd.pictures.spectrograms import COLUMNS, EXAMPLES, KeptClips, chosen, triptychs
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import machine_order

if TYPE_CHECKING:
    import pandas as pd

    from asd.frontends.frontend import FrontEnd
    from asd.scoring.metrics import Metrics
    from asd.scoring.scorer import ScoredClips

FOLDER = "pictures"
KINDS = ("roc", "scores", "training", "clips")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureOptions:
    """The config group ``pictures``. Cannot change a result.

    Args:
        enabled: false: no pictures, and no files for them.
        in_sweeps: of ``KINDS``, those that are drawn at the end of a run of a sweep.
        anomalous: how many of the highest-scoring clips of a machine type are shown.
    """

    enabled: bool
    in_sweeps: Sequence[str]
    anomalous: int

    def __post_init__(self) -> None:
        check_choice("pictures.enabled", self.enabled, (True, False))
        for kind in self.in_sweeps:
            check_choice("pictures.in_sweeps", kind, KINDS)
        check_whole("pictures.anomalous", self.anomalous, 0)


class PictureListener(RunListener):
    """Keeps what pictures need of a model while it scores, and draws them when all have.

    A picture that cannot be drawn is warned of and costs the run nothing.
    """

    def __init__(self, options: PictureOptions, frontend: FrontEnd, in_sweep: bool) -> None:
        self.options = options
        self.frontend = frontend
        self.kinds = options.in_sweeps if in_sweep else KINDS
        self._clips: list[dict[Any, Any]] = []
        self._maps: dict[str, Any] = {}

    def clips_scored(self, scored: ScoredClips) -> None:
        """Keep a few clips as the network, if any, sees them."""
        if scored.embeddings is None:
            return
        if not scored.detector.reconstructs:
            log.info("pictures: none of example clips, for this system reconstructs nothing")
            return
        from asd.scoring.error_maps import error_maps  # with torch, which has been imported by now

        clips = scored.table[COLUMNS].to_dict("records")
        for role, row in chosen(scored.table, self.options.anomalous):
            maps = error_maps(scored, row)
            self._maps |= {f"{name}_{len(self._clips)}": values for name, values in maps.items()}
            self._clips.append({"role": role, **clips[row]})

    def model_scored(self, model: str, folder: Path) -> None:
        """Write ``examples.npz``; nothing where nothing was kept."""
        import pandas as pd

        clips, maps, self._clips, self._maps = self._clips, self._maps, [], {}
        if not clips:
            return
        centre = np.asarray(self.frontend.centre_frequencies(), np.float64)
        axes = {"centre_hz": centre, "hop_seconds": float(self.frontend.hop_seconds)}
        try:
            KeptClips(pd.DataFrame(clips), {**maps, **axes}).write(folder / EXAMPLES)
        except OSError as error:
            log.warning("pictures: %s: what they need of %s is lost: %s", folder, model, error)

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """Draw."""
        self._draw(folder, set())

    def finished_before(self, folder: RunFolder) -> None:
        """Draw what is not there: in a sweep a run draws only some."""
        self._draw(folder, {f.stem.partition("_")[0] for f in (folder.path / FOLDER).glob("*.png")})

    def _draw(self, folder: RunFolder, drawn: set[str]) -> None:
        try:
            run_pictures(folder.path, [kind for kind in self.kinds if kind not in drawn])
        except AsdError as error:
            log.warning("pictures: %s", error)


def run_pictures(run_folder: Path, kinds: Sequence[str] = KINDS) -> None:
    """Draw ROC, score distributions, training curves and example clips into its ``pictures/``.

    Not drawn is what a run lacks: spectrograms without ``examples.npz``, ROC without test clips.

    Raises:
        AsdError: a file is missing or damaged, or a picture cannot be written.
    """
    import pandas as pd

    from asd.pictures.score_pictures import curves, distributions, roc

    folder, out = RunFolder(run_folder), run_folder / FOLDER
    record, scores = folder.record(), read_scores(folder.scores)
    about = record.get("title", run_folder.name)  # says what the data is
    models = {path.name: path for path in folder.models()}
    if "roc" in kinds and len(scores):
        roc(scores, float(record.get("max_fpr", 0.1)), f"ROC. {about}", out / "roc.png")
    if "scores" in kinds and len(scores):
        distributions(scores, f"Anomaly scores. {about}", out / "scores.png")
    if "training" in kinds:
        files = {m: models[m] / "history.csv" for m in machine_order(models)}
        histories = {m: pd.DataFrame(read_history(file)) for m, file in files.items()}
        curves(histories, f"Training. {about}", out / "training.png")
    for path in models.values() if "clips" in kinds else ():
        if (path / EXAMPLES).exists():
            examples = KeptClips.read(path / EXAMPLES)
            for machine in examples.clips["machine"].unique():
                triptychs(examples, machine, f"{machine}. {about}", out / f"clips_{machine}.png")
