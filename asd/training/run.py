"""One run, from its config to its tables: the data's way, in order."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from asd.cores import beside_others
from asd.errors import AsdError, Pruned
from asd.experiment.clips import Clips, check_classes
from asd.experiment.experiment import Experiment
from asd.experiment.run_folder import (
    FAILED,
    FINISHED,
    KILLED,
    RUNNING,
    RunFolder,
    set_aside,
)
from asd.experiment.run_labels import run_name, run_params, user_name
from asd.features import FeatureStore
from asd.search.reports import Reports
from asd.search.tags import PRUNED, search_tags, tag_finished
from asd.tracking.datasets import describe
from asd.tracking.mlflow_run import MlflowRun
from asd.tracking.mlflow_store import Tracking, connect
from asd.tracking.sync import complete

log = logging.getLogger(__name__)


def run(experiment: Experiment) -> RunFolder:
    """Train and score, or go on where the run stands; a finished run is left as it is.

    Returns:
        The run's folder, with scores and tables.

    Raises:
        AsdError: the input cannot be used.
        KeyboardInterrupt: the user stopped it; the same command resumes it.
        Pruned: the search that it is a trial of did; likewise.
    """
    config = experiment.config
    tracking = Tracking.of(config["tracking"])
    if tracking.enabled and not tracking.embedded:
        connect(tracking)  # a server that is down is refused before anything is computed
    clips = Clips.of(experiment)
    check_classes(experiment, clips)
    data_hash = clips.data_hash()
    key, folder = experiment.identity(data_hash), experiment.folder(data_hash)
    wait = config["if_running"] == "wait"
    if config["force"] and folder.record():
        with folder.lock(wait):
            set_aside(folder)
    with folder.lock(wait), folder.logging_to_file():
        record = folder.record()
        if record.get("status") == FINISHED:
            _already(folder, record)
            tag_finished(folder, config["search"])
        else:
            _run(experiment, clips, folder, data_hash, key)
    return folder


def _already(folder: RunFolder, record: dict[str, Any]) -> None:
    log.info("%s is finished (force=true trains it again)", folder.path.name)
    if "mlflow" not in record or record.get("published", True):
        return
    log.info("its MLflow run: %s", complete(folder))


def _run(experiment: Experiment, clips: Clips, folder: RunFolder, data_hash: str, key: str) -> None:
    from asd.experiment.environment import environment, peak_memory_mb
    from asd.training.fit import choose_device

    config = experiment.config
    device = choose_device(config["trainer"]["accelerator"])
    spent = folder.record().get("wall_seconds", 0.0)
    params = run_params(config, experiment.delta, experiment.command)
    about = environment(device.type)
    of_search = search_tags(config["search"], folder.record().get("tags", {}))
    tags = {
        **experiment.tags(data_hash, key),
        **of_search,
        "device": about["device"],
        "mlflow.source.name": experiment.command,
        "mlflow.user": user_name(),
        "mlflow.source.git.commit": about["git_commit"],
    }
    folder.config.write_text(yaml.safe_dump(config, sort_keys=False))
    folder.update(
        status=RUNNING,
        pruned=None,
        pid=os.getpid(),
        host=socket.gethostname(),
        identity=key,
        data_hash=data_hash,
        title=experiment.title,
        data_label=experiment.data_label,
        max_fpr=config["scoring"]["max_fpr"],
        command=experiment.command,
        mlflow_experiment=config["tracking"]["experiment"],
        run_name=run_name(config["tracking"]["run_name"], experiment.command, params),
        tags=tags,
        params=params,
        datasets=[
            describe(clips.train, experiment.corpus.name, "training"),
            describe(clips.test, experiment.corpus.name, "testing"),
        ],
    )
    began = time.perf_counter()
    tracker = MlflowRun(Tracking.of(config["tracking"]), folder)
    status = FAILED
    try:
        (folder.path / "environment.json").write_text(json.dumps(about, indent=2) + "\n")
        tracker.start(folder.record()["run_name"], tags, params)
        tracker.tag({**of_search, PRUNED: None})
        losses = _models(experiment, clips, folder, tracker)
        _tables(folder, config["scoring"]["max_fpr"])
        _pictures(folder, experiment)
        folder.update(validation_loss=losses)
        status = FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = KILLED
        raise
    except Pruned as pruned:
        status = KILLED
        folder.update(pruned=pruned.epoch, tags={**tags, PRUNED: str(pruned)})
        tracker.tag({PRUNED: str(pruned)})
        log.info("%s", pruned)
        raise
    except Exception:
        log.debug("the run failed", exc_info=True)
        raise
    finally:
        wall = spent + time.perf_counter() - began
        resources = {"wall_seconds": wall, **peak_memory_mb(device.type)}
        ended = int(time.time() * 1000)
        folder.update(status=status, wall_seconds=wall, resources=resources, ended=ended)
        tracker.finish(status)


def _models(
    experiment: Experiment, clips: Clips, folder: RunFolder, tracker: MlflowRun
) -> dict[str, float]:
    """Train and score every model of the run; ``scores.csv`` is written when all have."""
    from asd.experiment.history import read_history
    from asd.scoring.clip_scores import read_scores, write_scores
    from asd.training.memory import give_back_memory
    from asd.training.one_model import OneModel

    config = experiment.config
    cache, shared = Path(config["paths"]["cache"]).absolute(), config["features"]["shared"]
    if shared == "auto":
        shared = beside_others()
    store = FeatureStore(
        cache / "features",
        experiment.frontend,
        config["features"]["dtype"],
        getattr(experiment.corpus, "channel", None),
        config["features"]["workers"],
        cache / "joined" if shared else None,
    )
    # All of them first: a clip that cannot be read stops the run before hours of training.
    store.build(clips.train, clips.test)
    losses, tables = {}, []
    groups, options = clips.groups(config["scope"]["name"]), config["trainer"]
    best = options["weights"] == "best"
    reports = Reports(config["search"], list(groups), options["max_epochs"], best)
    for group, own in groups.items():
        done = folder.model(group) / "scores.csv"
        reports.replay(group, read_history(folder.model(group) / "history.csv"))
        if not done.exists():
            model = OneModel(experiment, group, own, store, folder.model(group))
            with _timed(f"{group}: trained"):
                detector = model.train(tracker, reports)
            with _timed(f"{group}: scored"):
                model.score(detector)
            del detector
            give_back_memory()
        tables.append(read_scores(done))
        losses[group] = float((folder.model(group) / "validation_loss.txt").read_text())
    write_scores(folder.scores, pd.concat(tables, ignore_index=True))
    return losses


@contextmanager
def _timed(what: str) -> Iterator[None]:
    """Say in the log how long something took."""
    began = time.perf_counter()
    yield
    log.info("%s in %.1f s", what, time.perf_counter() - began)


def _tables(folder: RunFolder, max_fpr: float) -> None:
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores
    from asd.scoring.tables import write_tables

    record = folder.record()
    metrics = evaluate_scores(read_scores(folder.scores), max_fpr)
    write_tables(folder.tables, metrics, record["title"], record["data_label"])


def _pictures(folder: RunFolder, experiment: Experiment) -> None:
    """Draw what the files hold. A picture that cannot be drawn must not cost the run's numbers."""
    from asd.pictures.examples import KINDS
    from asd.pictures.run_pictures import run_pictures

    if not experiment.pictures.enabled:
        return
    options = experiment.pictures
    try:
        with _timed("pictures"):
            kinds = options.in_sweeps if experiment.in_sweep else KINDS
            run_pictures(folder.path, options, kinds=kinds)
    except AsdError as error:
        log.warning("pictures: %s", error)
