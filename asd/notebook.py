"""What ``import asd`` offers: a trained model to score arrays with, and the results of runs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from asd.scoring.recordings import RecordingScorer

log = logging.getLogger(__name__)
_TAGS = ("experiment", "system", "seed", "data", "scale")


@dataclass(frozen=True)
class TrainedModel:
    """Scores samples as ``python -m asd.score`` does a file of them; ``asd.load`` makes it."""

    scorer: RecordingScorer

    def score(self, samples: np.ndarray, rate: int) -> dict[str, Any]:
        """Score, percentile, p_value, verdict and state (docs/deploy.md); None is not known.

        Args:
            samples: [samples] or [samples, channels], int16, or floats whose full scale is 1.
            rate: in Hz.

        Raises:
            AsdError: they can be no sound file, or the model must be told of which machine.
        """
        return self.scorer.score_samples(samples, rate)[0]

    def explain(self, samples: np.ndarray, rate: int, picture: str | Path) -> str:
        """Draw why samples have their ``score``, beside normal clips; the name of the nearest.

        Raises:
            AsdError: as ``score`` does; or they have no score, or ``picture`` cannot be written.
        """
        from asd.pictures.explanation import explain

        answer, scored = self.scorer.score_samples(samples, rate)
        if scored is None:
            raise AsdError(f"{picture}: not drawn, as there is no score: {answer['state']}")
        return explain(
            self.scorer, {**answer, "file": Path(picture).stem}, scored, 0, Path(picture)
        )


def load(
    model: str | Path, *, class_name: str | None = None, channel: int | str | None = None,
    resample: bool = False, false_alarms: float | None = None, rule: str | None = None,
    clipped: float = 0.001, tracking_uri: str | None = None, allow: Sequence[str] = (),
) -> TrainedModel:  # fmt: skip
    """A trained model: a run's folder, a ``model.ckpt`` or its folder, or ``models:/NAME@ALIAS``.

    The other arguments are options of ``python -m asd.score``, whose help says what they mean
    (``class_name`` is ``--class``).

    Raises:
        AsdError: there is no such model, or it cannot be used so.
    """
    from asd.score import scorer_of

    return TrainedModel(scorer_of(argparse.Namespace(**{**locals(), "model": str(model)})))


def results(runs: str | Path = "runs") -> pd.DataFrame:
    """The figures of all finished runs in a folder; what is not used is said in the log.

    Returns:
        A row a run and machine ID: run (its folder's name), experiment, system, seed, data,
        scale, converged, machine, id; auc, pauc and pauc_eq3 as fractions, NaN where undefined;
        n_normal, n_anomaly, n_unknown (clips) and max_fpr (of pauc).

    Raises:
        AsdError: there is no such folder, or no finished run with test clips in it.
    """
    import pandas as pd

    from asd.reporting.runs import collect_folder
    from asd.scoring.metrics import evaluate_scores

    found = collect_folder(Path(runs))
    for note in found.notes:
        log.warning("not among the results: %s", note)
    tables = []
    for run in found.runs:
        about: dict[str, Any] = {"run": run.folder.name, **{tag: run.tags[tag] for tag in _TAGS}}
        about |= {"seed": run.seed, "converged": not run.not_converged}
        metrics = evaluate_scores(run.scores, run.config["scoring"]["max_fpr"])
        keys = pd.DataFrame(about, index=metrics.per_id.index)
        tables.append(keys.join(metrics.per_id).assign(max_fpr=metrics.max_fpr))
    if not tables:
        raise AsdError(f"{runs}: no finished run with test clips in this folder")
    return pd.concat(tables, ignore_index=True)
