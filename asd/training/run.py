"""One run, from its config to its tables: the data's way, in order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from asd.composition import build
from asd.cores import cores
from asd.data.manifest import Manifest, parts_of
from asd.data.split import validation_split
from asd.documents.rendering import markdown
from asd.experiment.clips import Clips, check_classes, class_names, class_numbers, machine_ids
from asd.experiment.experiment import Experiment
from asd.experiment.history import convergence, read_history
from asd.experiment.listener import Listeners, RunListener
from asd.experiment.record import record_threads, recorded
from asd.experiment.run_folder import FINISHED, RunFolder, set_aside
from asd.experiment.trained_models import trained_model
from asd.files import locked, write_text
from asd.models.detector import Detector, read_checkpoint, rebuilt, save_detector
from asd.models.standardiser import Standardiser
from asd.progress import progress_bar
from asd.scoring.back_ends import choices
from asd.scoring.calibration import commission, decisions, left_out, scores_by_id
from asd.scoring.clip_scores import joined, read_scores, write_scores
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.scorer import ClipSet, calibrate, fit_back_end, score_clips
from asd.scoring.tables import convergence_notes, document, remarks
from asd.training.detector_costs import costs
from asd.training.fit import TrainingSet, fit
from asd.training.proxy_listener import ProxyJudge, proxy_clips
from asd.training.speed import choose_device, give_back_memory, set_determinism

log = logging.getLogger(__name__)

# Where the window is as long as the shortest clip, which is not known yet: any length does.
_SOME_SECONDS = 10


def run(experiment: Experiment, listeners: Sequence[RunListener] = ()) -> tuple[RunFolder, Metrics]:
    """Train and score, or go on where the run stands; a finished run is left as it is.

    Listeners are told how it goes, in their order.

    Returns:
        The run's folder, and the metrics of its scores.

    Raises:
        AsdError: the input cannot be used.
        KeyboardInterrupt: the user stopped it; the same command resumes it.
        Pruned: a listener did; likewise.
    """
    config, events = experiment.config, Listeners(listeners)
    device = _check_model(experiment)
    events.tell(RunListener.check)
    clips = Clips.of(experiment)
    check_classes(experiment, clips)
    models = clips.groups(experiment.scope)
    few = _said_of_validation(experiment, models)
    clips = replace(clips, warnings=(*clips.warnings, *few))
    folder = experiment.folder(clips.data_hash())
    wait = config["if_running"] == "wait"
    if config["force"] and folder.record():
        with folder.lock(wait):
            set_aside(folder)
    training = experiment.training_identity(clips.train.data_hash())
    with folder.lock(wait), folder.logging_to_file():
        if folder.record().get("status") == FINISHED:
            log.info("%s is finished (force=true trains it again)", folder.path.name)
            events.tell(RunListener.finished_before, folder)
            return folder, evaluate_scores(read_scores(folder.scores), experiment.scoring.max_fpr)
        for warning in few:
            log.warning("%s", warning)
        lock = experiment.runs / f".training-{training}.lock"
        with (
            # Of all runs that differ in scoring, one at a time trains or scores this model.
            locked(lock, "trains the very model that this run scores"),
            recorded(experiment, clips, folder, device.type, list(models), events),
        ):
            metrics = _compute(experiment, clips, folder, training, events)
    return folder, metrics


def _check_model(experiment: Experiment) -> torch.device:
    """Refuse a score, a device or a model that cannot be; the model takes no memory."""
    experiment.scoring.function()
    frontend = experiment.frontend
    frames = experiment.windows.length(frontend, _SOME_SECONDS * frontend.rate)
    device = choose_device(experiment.trainer)
    if experiment.trains:
        parts = {part: experiment.config[part] for part in ("model", "loss")}
        recipe = {**parts, "bands": frontend.bands, "frames": frames, "classes": ["a/0", "b/0"]}
        with torch.device("meta"):
            Detector(recipe)
    return device


def _compute(
    experiment: Experiment, clips: Clips, folder: RunFolder, training: str, events: Listeners
) -> Metrics:
    """The data's way: from clips to metrics.

    Args:
        training: what the models are; one that another run has trained is taken from there.
    """
    config, frontend, options = experiment.config, experiment.frontend, experiment.trainer
    seed = config["seed"]
    store = experiment.feature_store()
    # All of them first: a clip that cannot be read stops the run before hours of training.
    store.build(clips.train, clips.test)
    groups = clips.groups(experiment.scope)
    lengths = {name: _window_length(experiment, group) for name, group in groups.items()}
    tables, ended = [], {}
    for name, group in groups.items():
        model = folder.model(name)
        history, scores_file = model / "history.csv", model / "scores.csv"
        trained = trained_model(experiment, folder, training, name)
        events.tell(RunListener.model_started, name, read_history(history))
        if scores_file.exists():  # by an earlier start of this run
            tables.append(read_scores(scores_file))
            if experiment.trains:
                ended[name] = convergence(history, options)
            continue

        # Windows of the training clips; a part of the clips is held out for validation.
        around = clips.around(group, experiment)
        own = around.clips["path"].isin(group.train.clips["path"]).to_numpy()
        features = store.load(around)
        length = lengths[name]
        paths = list(around.clips["path"])
        outliers = ~own & experiment.takes_outliers
        windows = experiment.windows.starts(length, features.frames, paths, own | outliers)
        held_out, calibrating = np.zeros((2, len(around)), dtype=np.bool_)
        for some in filter(np.any, (own, outliers)):
            rows = Manifest(around.root, around.clips[some].reset_index(drop=True))
            held_out[some], calibrating[some] = _held_out(experiment, rows)
        training_clips = (own | outliers) & ~held_out & ~calibrating
        model.mkdir(parents=True, exist_ok=True)
        held_out_clips = around.clips[["machine", "id", "path"]][held_out & own]
        held_out_clips.to_csv(model / "validation.csv", index=False)
        names = class_names(group.train, experiment.objective.classes)
        numbers = class_numbers(around, experiment.objective.classes, names)
        drawn = experiment.windows.training(windows, features.frames)
        learnt, validation = drawn.of_clips(training_clips), drawn.of_clips(held_out)
        data = TrainingSet(features, learnt, validation, numbers)
        windows = windows.of_clips(own)
        all_clips = ClipSet(around.clips, features, windows, numbers)
        bank, held_windows = windows.of_clips(training_clips), windows.of_clips(held_out)
        parts = all_clips.part(bank), all_clips.part(held_windows)
        threads = options.threads or cores()

        # Training: from the standardiser, fitted on what trains, to the weights that score.
        if config["standardise"]:
            standardiser = Standardiser.fit(features, training_clips)
        else:
            standardiser = Standardiser.identity(frontend.bands)
        torch.manual_seed(seed)
        seen = (own | outliers) & ~calibrating  # those held out may calibrate it anew
        used = list(around.clips["hash"][seen])
        detector = Detector(_recipe(experiment, group, length, names, used), standardiser)
        label = config["system"] if name == "shared" else f"{config['system']} {name}"

        def epoch_ended(epoch: int, values: dict[str, float], name: str = name) -> None:
            folder.check_ours()
            record_threads(folder, name, torch.get_num_threads())
            events.tell(RunListener.epoch_ended, name, epoch, values)

        if trained is not None:
            set_determinism(options.deterministic)
            detector = rebuilt(detector.recipe, trained / "model.ckpt").to(choose_device(options))
        elif experiment.trains:
            judges = []
            if experiment.proxy.chooses_epoch:
                told = experiment, detector, group.train.root, held_out_clips
                judges = [ProxyJudge(experiment, proxy_clips(*told), *parts)]
            detector = fit(detector, data, options, seed, model, epoch_ended, judges, label)
            judges.clear()
        if experiment.trains:
            ended[name] = convergence(history, options)
            level = logging.INFO if ended[name]["converged"] else logging.WARNING
            log.log(level, "%s", *convergence_notes({name: ended[name]}))
        fit_back_end(detector, experiment.scoring, *parts, threads)
        calibrating &= own
        chosen = list(around.clips["path"][calibrating])
        most, known = experiment.calibration.clipped, detector.recipe["trained_on"]
        unfit = left_out(chosen, clips.train.root, experiment.corpus.channel, most, known)
        calibrating &= ~around.clips["path"].isin(unfit[0]).to_numpy()
        if calibrating.any():
            held = all_clips.part(windows.of_clips(calibrating))
            table = calibrate(detector, experiment.scoring, held, threads)
            write_scores(model / "calibration.csv", table)
            del held
        save_detector(detector, model / "model.ckpt")
        found = costs(experiment, detector, all_clips.part(windows), group.train.root)
        of_model, record = {**found, "left_out": unfit[1]}, folder.record()
        folder.update(**{what: record.get(what, {}) | {name: n} for what, n in of_model.items()})
        del features, data, all_clips, parts

        # Scoring the test clips, a machine type at a time.
        scored_tables = []
        with progress_bar(f"{name}: test clips scored", len(group.test)) as advance:
            for part in parts_of(clips.test.select(machine=group.test.machines)):
                features = store.part(part)
                own = part.clips["path"].isin(group.test.clips["path"]).to_numpy()
                paths = list(part.clips["path"])
                windows = experiment.windows.starts(length, features.frames, paths, own)
                numbers = class_numbers(part, experiment.objective.classes, names)
                test_clips = ClipSet(part.clips, features, windows, numbers).part(windows)
                scored = score_clips(detector, experiment.scoring, test_clips, threads)
                events.tell(RunListener.clips_scored, scored)
                scored_tables.append(scored.table)
                advance(len(test_clips.table))
                del scored, features, test_clips
        events.tell(RunListener.model_scored, name, model)
        tables.append(joined(scored_tables))
        write_scores(scores_file, tables[-1])  # last: it says that the model is done
        del detector
        give_back_memory()

    scores = joined(tables)
    if experiment.corpus.simulated:
        scores = clips.with_causes(scores)
    write_scores(folder.scores, scores)
    metrics = evaluate_scores(scores, experiment.scoring.max_fpr)
    tags = folder.record()["tags"]
    if ended:
        tags["converged"] = str(all(told["converged"] for told in ended.values())).lower()
    thresholds = _thresholds(experiment, clips, folder, scores)
    fitted = experiment.scoring.back_end
    banks = (read_checkpoint(folder.model(name) / "model.ckpt")["asd"]["banks"] for name in groups)
    chosen = choices(fitted and build(fitted, "scoring.back_end"), banks)
    warnings = [*folder.record()["warnings"], *chosen]
    folder.update(
        convergence=ended, tags=tags, warnings=warnings, clips_scored=len(scores), **thresholds
    )
    page = document(metrics, experiment.title, **remarks(folder.record(), folder.path))
    write_text(folder.tables / "tables.md", markdown(page))
    events.tell(RunListener.scored, folder, scores, metrics)
    return metrics


def _window_length(experiment: Experiment, clips: Clips) -> int:
    """Frames in a window of a model, by its training clips alone; refuses clips shorter than it."""
    frontend, windows = experiment.frontend, experiment.windows
    table = clips.train.clips
    shortest = (table["samples"] * (frontend.rate / table["rate"])).min()
    length = windows.length(frontend, int(shortest))
    for part in (clips.train, clips.test):
        frames = experiment.feature_store().frames(part)
        windows.check(length, frames, list(part.clips["path"]))
    return length


def _held_out(experiment: Experiment, clips: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """[clips] whether each is for validation; and of the others, whether it is for thresholds."""
    options, share = experiment.trainer, experiment.calibration.fraction
    seed = int(experiment.config["seed"] if (own := options.validation_seed) is None else own)
    fraction, strata = options.validation_fraction, options.validation_strata
    validation = validation_split(clips, fraction, seed, strata)
    calibration = np.zeros_like(validation)
    if share:
        others = Manifest(clips.root, clips.clips[~validation].reset_index(drop=True))
        option = "calibration.fraction"
        calibration[~validation] = validation_split(others, share, seed, option=option)
    return validation, calibration


def _thresholds(
    experiment: Experiment, clips: Clips, folder: RunFolder, scores: pd.DataFrame
) -> dict[str, list[Any]]:
    """What thresholds promise, and make of the scores; nothing where no clips were held out."""
    files = [file for model in folder.models() if (file := model / "calibration.csv").exists()]
    faulty = list(filter(None, folder.record().get("left_out", {}).values()))
    if not files:
        return {"decisions": [], "commission": faulty}
    held_out = pd.concat(map(read_scores, files), ignore_index=True)
    given = scores_by_id(held_out), experiment.calibration
    promised = commission(clips.train.clips, *given)
    return {"decisions": decisions(scores, *given), "commission": promised + faulty}


def _said_of_validation(experiment: Experiment, models: dict[str, Clips]) -> list[str]:
    """What must stand beside the figures: few clips chose the epoch, or scale scores, too."""
    said = []
    if experiment.trains and experiment.scoring.per_id:
        said.append("scores are standardised per ID by the validation clips, which chose the epoch")
    if experiment.trains and experiment.trainer.weights == "best":
        for name, clips in models.items():
            few = int(_held_out(experiment, clips.train)[0].sum())
            if few < experiment.trainer.few_validation_clips:
                said.append(
                    f"{name}: {few} validation clips choose the epoch that scores, which leaves it "
                    "to chance; raise trainer.validation_fraction, or add training clips"
                )
    return said


def _recipe(
    experiment: Experiment, clips: Clips, length: int, classes: list[str], used: list[str]
) -> dict[str, Any]:
    """What a checkpoint needs besides weights to turn a WAV into a score."""
    parts = ("frontend", "window", "model", "loss", "scoring", "calibration")
    return {
        "bands": experiment.frontend.bands,
        "frames": length,
        "classes": classes,
        "trained_on": [int(content, 16) for content in used],
        "machines": clips.train.machines,
        "ids": machine_ids(clips.train),
        "data_label": experiment.data_label,
        "channel": experiment.corpus.channel,
        "vectors": experiment.versions.get("vectors"),
        "longest_seconds": float((clips.train.clips["samples"] / clips.train.clips["rate"]).max()),
        **{part: experiment.config[part] for part in parts},
    }
