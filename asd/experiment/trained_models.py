"""Models that are trained already: scoring them in another way needs no second training."""

from __future__ import annotations

import logging
from pathlib import Path

from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.history import convergence, read_history, write_history
from asd.experiment.run_folder import SET_ASIDE, RunFolder

log = logging.getLogger(__name__)


def trained_model(
    experiment: Experiment, folder: RunFolder, training: str, name: str
) -> Path | None:
    """The folder of a model that an earlier start of this run or another run trained to the end.

    The history of another run's is copied, so that the run's folder says all of the model that it
    scores, and ``run.json`` says whose it is.

    Args:
        experiment: what is run.
        folder: the run's.
        training: see ``asd.experiment.identity.training_identity``.
        name: ``shared``, or a machine type.
    """
    own, found = folder.model(name), None
    if (own / "model.ckpt").exists():
        return own
    if not experiment.config["force"] and not (own / "last.ckpt").exists():
        found = _of_another_run(experiment, training, name)
    trained_by, threads = (folder.record().get(entry, {}) for entry in ("trained_by", "threads"))
    if trained_by.pop(name, None):  # an earlier start took another's model and broke off
        threads.pop(name, None)
    if found is not None:
        source = found.parent.parent
        record = RunFolder(source).record()
        trained_by[name] = record.get("trained_by", {}).get(name, source.name)
        threads[name] = record.get("threads", {}).get(name, [])
        log.info("%s: trained by %s, scored anew", name, trained_by[name])
        write_history(own / "history.csv", read_history(found / "history.csv"))
    folder.update(trained_by=trained_by, threads=threads)
    return found


def _of_another_run(experiment: Experiment, training: str, name: str) -> Path | None:
    """One whose record, checkpoint or history is damaged is left alone, with a warning."""
    from asd.models.detector import read_checkpoint

    for path in sorted(experiment.runs.glob("*/run.json")):
        folder = RunFolder(path.parent)
        model = folder.model(name)
        if SET_ASIDE in folder.path.name or not (model / "model.ckpt").exists():
            continue
        try:
            if folder.record().get("training") == training:
                read_checkpoint(model / "model.ckpt")
                convergence(model / "history.csv", experiment.trainer)
                return model
        except AsdError as error:
            log.warning("not taken: %s", error)
    return None
