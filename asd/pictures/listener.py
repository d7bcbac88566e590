"""Pictures of a run, drawn at its end."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.pictures import model_files
from asd.pictures.examples import KINDS, PictureOptions, embeddings, examples
from asd.pictures.model_files import Embeddings, Example, Examples
from asd.pictures.run_pictures import run_pictures

if TYPE_CHECKING:
    import pandas as pd

    from asd.frontends.frontend import FrontEnd
    from asd.scoring.metrics import Metrics
    from asd.scoring.score import ScoredClips

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
        self._examples: list[Example] = []
        self._embeddings: list[Embeddings] = []

    def clips_scored(self, scored: ScoredClips) -> None:
        """Keep a few clips as the network sees them, and the bottleneck of many."""
        if self.options.enabled:
            self._examples += examples(scored, self.options.anomalous)
            self._embeddings += embeddings(scored, self.options.embedding_clips)

    def model_scored(self, model: str, folder: Path) -> None:
        """Write ``examples.npz`` and ``embeddings.npz``; nothing where nothing was kept."""
        import pandas as pd

        shown, parts = self._examples, self._embeddings
        self._examples, self._embeddings = [], []
        try:
            if shown:
                centre = np.asarray(self.frontend.centre_frequencies(), dtype=np.float64)
                kept = Examples(centre, float(self.frontend.hop_seconds), shown)
                model_files.write_examples(folder / model_files.EXAMPLES, kept)
            if parts:
                values = np.concatenate([part.values for part in parts])
                clips = pd.concat([part.clips for part in parts], ignore_index=True)
                bottleneck = Embeddings(values, clips)
                model_files.write_embeddings(folder / model_files.EMBEDDINGS, bottleneck)
        except OSError as error:
            log.warning("pictures: %s: what they need of %s is lost: %s", folder, model, error)

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """Draw."""
        if not self.options.enabled:
            return
        began = time.perf_counter()
        kinds = self.options.in_sweeps if self.in_sweep else KINDS
        try:
            run_pictures(folder.path, self.options, kinds=kinds, scores=scores)
        except AsdError as error:
            log.warning("pictures: %s", error)
        log.info("pictures in %.1f s", time.perf_counter() - began)
