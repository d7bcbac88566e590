"""Pictures of a run, drawn at its end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.pictures.examples import KINDS, PictureOptions, bottleneck, chosen, thinned
from asd.pictures.model_files import COLUMNS, EMBEDDINGS, EXAMPLES, KeptClips
from asd.pictures.run_pictures import run_pictures

if TYPE_CHECKING:
    import pandas as pd

    from asd.frontends.frontend import FrontEnd
    from asd.scoring.metrics import Metrics
    from asd.scoring.scorer import ScoredClips

log = logging.getLogger(__name__)


class PictureListener(RunListener):
    """Keeps what pictures need of a model while it scores, and draws them when all have.

    A picture that cannot be drawn is warned of and costs the run nothing.

    Args:
        options: what to keep and draw.
        frontend: gives the axes.
        in_sweep: whether the run is one of many.
    """

    def __init__(self, options: PictureOptions, frontend: FrontEnd, in_sweep: bool) -> None:
        self.options = options
        self.frontend = frontend
        self.in_sweep = in_sweep
        self._examples: list[tuple[dict[Any, Any], dict[str, Any]]] = []
        self._embeddings: list[tuple[dict[Any, Any], Any]] = []

    def clips_scored(self, scored: ScoredClips) -> None:
        """Keep a few clips as the network, if any, sees them, and the bottleneck of many."""
        if scored.embeddings is None:
            return
        clips: list[dict[Any, Any]] = scored.table[COLUMNS].to_dict("records")
        from asd.scoring.error_maps import error_maps  # with torch, which has been imported by now

        for role, row in chosen(scored.table, self.options.anomalous):
            self._examples.append(({"role": role, **clips[row]}, error_maps(scored, row)))
        rows = thinned(scored.table, self.options.embedding_clips)
        kept = [clips[row] for row in rows]
        self._embeddings += zip(kept, bottleneck(scored, rows), strict=True)

    def model_scored(self, model: str, folder: Path) -> None:
        """Write ``examples.npz`` and ``embeddings.npz``; nothing where nothing was kept."""
        import pandas as pd

        examples, embeddings = self._examples, self._embeddings
        self._examples, self._embeddings = [], []
        try:
            if examples:
                shown = {
                    f"{m}_{n}": x for n, (_, maps) in enumerate(examples) for m, x in maps.items()
                }
                shown["centre_hz"] = np.asarray(self.frontend.centre_frequencies(), np.float64)
                shown["hop_seconds"] = float(self.frontend.hop_seconds)
                KeptClips(pd.DataFrame([c for c, _ in examples]), shown).write(folder / EXAMPLES)
            if embeddings:
                arrays = {"values": np.array([values for _, values in embeddings])}
                clips = pd.DataFrame([clip for clip, _ in embeddings])
                KeptClips(clips, arrays).write(folder / EMBEDDINGS)
        except OSError as error:
            log.warning("pictures: %s: what they need of %s is lost: %s", folder, model, error)

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """Draw."""
        kinds = self.options.in_sweeps if self.in_sweep else KINDS
        try:
            run_pictures(folder.path, self.options, kinds=kinds, scores=scores)
        except AsdError as error:
            log.warning("pictures: %s", error)
