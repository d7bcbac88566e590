"""The bookkeeping of a run: ``run.json`` says what it is, how far it is, and how it ended."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from asd.data.manifest import RELEASES, Manifest
from asd.errors import Pruned
from asd.experiment.clips import Clips
from asd.experiment.environment import environment, peak_memory_mb
from asd.experiment.experiment import Experiment
from asd.experiment.listener import Listeners, RunListener
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.experiment.run_labels import run_name, run_params, user_name
from asd.files import write_text

log = logging.getLogger(__name__)


@contextmanager
def recorded(
    experiment: Experiment,
    clips: Clips,
    folder: RunFolder,
    device_type: str,
    models: Sequence[str],
    listeners: Listeners,
) -> Iterator[None]:
    """Keep the record of a run while it is computed, and tell listeners of its start and end.

    The caller has locked the folder; ``models`` are the names of those that the run trains.
    Whatever ends the block is in the record before it is raised on: FAILED with the error, KILLED
    if the user, the system or a search ended the run.
    """
    earlier = folder.record()
    about = environment(device_type)
    write_text(folder.config, yaml.safe_dump(experiment.config, sort_keys=False))
    write_text(folder.path / "environment.json", json.dumps(about, indent=2) + "\n")
    folder.update(
        status=RUNNING,
        error=None,
        pruned=None,
        starts=earlier.get("starts", 0) + 1,
        pid=os.getpid(),
        host=socket.gethostname(),
        **_description(experiment, clips, about, earlier.get("tags", {})),
    )
    start = time.perf_counter()
    status = FAILED
    try:
        listeners.tell(RunListener.started, folder, models)
        yield
        folder.check_ours()
        status = FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = KILLED
        raise
    except Pruned as pruned:
        status = KILLED
        folder.update(pruned=pruned.epoch)
        log.info("%s", pruned)
        raise
    except Exception as error:
        log.debug("the run failed", exc_info=True)
        if folder.is_ours():
            folder.update(error={"message": str(error)})
        raise
    finally:
        wall = earlier.get("wall_seconds", 0.0) + time.perf_counter() - start
        resources = {"wall_seconds": wall, **peak_memory_mb(device_type)}
        ended = int(time.time() * 1000)
        if folder.is_ours():
            folder.update(status=status, wall_seconds=wall, resources=resources, ended=ended)
        listeners.tell(RunListener.ended, folder, status)


def record_threads(folder: RunFolder, model: str, threads: int) -> None:
    """Note with how many threads a model is trained: another number rounds differently.

    ``threads`` in ``run.json`` has all that its epochs were trained with, over all starts.
    """
    known: dict[str, list[int]] = folder.record().get("threads", {})
    if threads not in known.get(model, []):
        folder.update(threads={**known, model: [*known.get(model, []), threads]})


def _description(
    experiment: Experiment, clips: Clips, about: dict[str, Any], tags: dict[str, str]
) -> dict[str, Any]:
    """What the run is, for ``run.json``. Tags that a listener gave it earlier stay."""
    config, command = experiment.config, experiment.command
    data_hash = clips.data_hash()
    identity = experiment.identity(data_hash)
    return {
        "identity": identity,
        "training": experiment.training_identity(clips.train.data_hash()),
        "versions": experiment.versions,
        "data_hash": data_hash,
        "title": experiment.title,
        "data_label": experiment.data_label,
        "warnings": list(clips.warnings),  # said of its data
        "unseen": clips.unseen(),
        "max_fpr": experiment.scoring.max_fpr,
        "command": command,
        "mlflow_experiment": experiment.tracking_name,
        "run_name": f"{run_name(config, command)}, {experiment.data_label}",
        "tags": {
            **tags,
            # What runs are filtered by, in MLflow and in reports.
            "experiment": config["experiment_name"],
            "system": config["system"],
            "release": config["release"]["name"],
            "frontend": experiment.frontend.name,
            "scope": experiment.scope,
            "data": experiment.corpus.name,
            "seed": str(config["seed"]),
            "scale": config["scale"]["name"],
            "simulated": str(experiment.corpus.simulated).lower(),
            "test": experiment.test_release if len(clips.test) else "none",
            "data_hash": data_hash,
            "identity": identity,
            "device": about["device"],
            "mlflow.source.name": command,
            "mlflow.user": user_name(),
            "mlflow.source.git.commit": about["git_commit"],
        },
        "params": run_params(config, command),
        "datasets": [
            describe(part, experiment.corpus.name, context)
            for part, context in ((clips.train, "training"), (clips.test, "testing"))
            if len(part)
        ],
    }


def describe(clips: Manifest, corpus: str, context: str) -> dict[str, Any]:
    """Clips of a corpus as plain values, without any machine's paths.

    ``context`` is ``training`` or ``testing``. The same recordings have the same ``digest``
    (``Manifest.data_hash``), wherever they lie.
    """
    table = clips.clips
    releases = [release for release in RELEASES if (table["release"] == release).any()]
    splits = list(dict.fromkeys(table["split"]))
    source = {"corpus": corpus, "releases": releases, "splits": splits, "machines": clips.machines}
    labels = {"normal": 0, "anomaly": 1, "unknown": -1}
    return {
        "name": " ".join([corpus, "+".join(releases), "+".join(splits)]),
        "digest": clips.data_hash(),
        "context": context,
        "source": source,
        "profile": {
            "clips": len(table),
            **{name: int((table["label"] == label).sum()) for name, label in labels.items()},
            "machine IDs": len(table[["machine", "id"]].drop_duplicates()),
            "hours": round(float((table["samples"] / table["rate"]).sum()) / 3600, 4),
        },
    }
