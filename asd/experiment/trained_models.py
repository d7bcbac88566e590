"""Models that other runs have trained: scoring them in another way needs no second training."""

from __future__ import annotations

import logging
from pathlib import Path

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.experiment.run_folder import SET_ASIDE, RunFolder

log = logging.getLogger(__name__)


def trained_model(runs: Path, training: str, group: str) -> Path | None:
    """The folder of a model that is trained to the end, in whichever run; None: there is none.

    Args:
        runs: folder of all run folders. Runs that were set aside do not count: ``force`` did it.
        training: see ``asd.experiment.identity.training_identity``.
        group: ``shared``, or a machine type.

    One whose record, checkpoint or history is damaged is left alone, with a warning.
    """
    from asd.models.detector import read_checkpoint

    for path in sorted(runs.glob("*/run.json")):
        folder = RunFolder(path.parent)
        model = folder.model(group)
        if SET_ASIDE in folder.path.name or not (model / "model.ckpt").exists():
            continue
        try:
            if folder.record().get("training") != training:
                continue
            read_checkpoint(model / "model.ckpt")
            if read_history(model / "history.csv"):
                return model
            log.warning("%s has no history and is not taken", model)
        except AsdError as error:
            log.warning("not taken: %s", error)
    return None
