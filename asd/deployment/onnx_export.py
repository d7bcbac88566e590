"""One ONNX file of a detector, proven on recordings to give its scores."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from asd.composition import build_known
from asd.data.audio import Recording
from asd.data.clip_files import parse_name
from asd.data.windows import Windows
from asd.deployment.onnx_runner import ClipError, OnnxRunner
from asd.deployment.scoring_graph import ScoringGraph
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.features import Features, clip_features
from asd.files import replacing
from asd.frontends.frontend import FrontEnd
from asd.models.detector import Detector, load_detector
from asd.options import check_choice, from_config
from asd.scoring.calibration import Calibration, CalibrationOptions
from asd.scoring.roc import auc
from asd.scoring.scorer import score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

_OUTPUTS = ("score", "p_value", "threshold", "alarm")
_LONGEST = 2**31  # samples


@dataclass(frozen=True)
class ExportOptions:
    """See ``conf/export.yaml``, whose names these are."""

    tolerance: float
    tail: float
    most_auc_loss: float


class OnnxExport:
    """A checkpoint on its way to an ONNX file.

    Args:
        checkpoint: a run's ``model.ckpt``.
        options: numbers of the export.

    Raises:
        AsdError: it cannot be read, or has a part of which there is no graph.
    """

    def __init__(self, checkpoint: Path, options: ExportOptions) -> None:
        self.checkpoint, self.options = checkpoint, options
        self.detector: Detector = load_detector(checkpoint)
        recipe = self.detector.recipe
        if not recipe["ids"] or "scoring" not in recipe:
            raise AsdError(f"{checkpoint}: written by an earlier version: train it again")
        self.scoring = from_config(ScoringOptions, "scoring", recipe["scoring"])
        self.frontend: FrontEnd = build_known(recipe["frontend"], "frontend")
        self.windows: Windows = build_known(recipe["window"], "window")
        self.machines = ["/".join(one) for one in recipe["ids"]]
        self.normals, self.thresholds, self.promises = self._decisions()
        self.graph = ScoringGraph(
            self.detector, self.scoring, self.frontend, self.windows, self.machines,
            self.normals, self.thresholds, options.tail,
        ).eval()  # fmt: skip

    def _decisions(self) -> tuple[list[np.ndarray], list[float], list[str]]:
        """Of each machine: normal scores, threshold or NaN, and what it promises or why not."""
        calibration = Calibration(self.detector.calibration)
        normals, thresholds, promises = [], [], []
        for machine, machine_id in self.detector.recipe["ids"]:
            scores, value = np.empty(0), np.nan
            try:
                scores = calibration.normals(machine, machine_id)[1]
                rule = from_config(
                    CalibrationOptions, "calibration", self.detector.recipe["calibration"]
                )
                found = calibration.threshold(machine, machine_id, rule.false_alarms, rule.rule)
                value, promise = found.value, found.promise
            except AsdError as error:
                promise = f"no threshold: {error}"
            normals.append(scores)
            thresholds.append(value)
            promises.append(promise)
        return normals, thresholds, promises

    def card(self, licence: str) -> dict[str, Any]:
        """What a user of the file should know, as plain values; it travels in its metadata."""
        recipe, folder = self.detector.recipe, RunFolder(self.checkpoint.absolute().parents[2])
        record = folder.record()

        def frames(samples: int) -> int:
            try:
                return self.frontend.n_frames(samples)
            except AsdError:
                return 0

        return {
            "format": 1,
            "licence": licence,
            "rate": self.frontend.rate,
            "channel": recipe["channel"],
            "shortest": bisect_left(range(_LONGEST), recipe["frames"], key=frames),
            "bands": recipe["bands"],
            "window": {"frames": recipe["frames"], "cover": self.windows.cover},
            "machines": self.machines,
            "needs_machine": self.scoring.score in OF_CLASSES
            or self.scoring.back_end is not None
            or any(len(scores) for scores in self.normals),
            "normals": [scores.tolist() for scores in self.normals],
            "promises": self.promises,
            "config": {name: recipe[name] for name in ("frontend", "model", "loss", "scoring")},
            "config_hash": record.get("identity"),
            "data_hash": record.get("data_hash"),
            "data_label": recipe.get("data_label"),
            "checkpoint_hash": hashlib.sha256(self.checkpoint.read_bytes()).hexdigest(),
        }

    def write(self, path: Path, clips: Sequence[Path], machine: str | None, licence: str) -> dict[
        str, Any
    ]:  # fmt: skip
        """Write the file, if it gives the detector's scores on these clips.

        Args:
            path: of the file.
            clips: recordings.
            machine: of all of them, ``fan/00``; None: as their paths say, or the only one.
            licence: of the model, in words.

        Returns:
            The card, with what the proof found: ``proof``.

        Raises:
            AsdError: the graph cannot be exported, or a score differs; no file is written.
        """
        names = [machine or machine_of(clip, self.machines) for clip in clips]
        for name in names:
            check_choice("--machine", name, self.machines)
        program = self._program()
        card = self.card(licence)
        with replacing(path) as temporary:
            program.model.metadata_props["asd"] = json.dumps(card)
            program.save(temporary, external_data=False)
            start = time.perf_counter()
            expected = self._scores(clips, names)
            seconds = time.perf_counter() - start
            runner = OnnxRunner(temporary, torch.get_num_threads())
            found, runner_seconds = runner_scores(runner, clips, names)
            scale = max(np.abs(expected).mean(), np.finfo(np.float64).tiny)
            apart = np.abs(found - expected) / scale
            if not apart.max() <= self.options.tolerance:
                raise AsdError(
                    f"{clips[int(apart.argmax())]}: {found[apart.argmax()]:.9g} from the graph, "
                    f"{expected[apart.argmax()]:.9g} from PyTorch: {apart.max():.1e} of the mean "
                    f"score apart, {self.options.tolerance:g} may be; no file is written"
                )
            card["proof"] = {
                "clips": len(clips),
                "largest_difference": float(apart.max()),
                "tolerance": self.options.tolerance,
                "seconds_a_clip": runner_seconds / len(clips),
                "pytorch_seconds_a_clip": seconds / len(clips),
                "threads": torch.get_num_threads(),
            }
            program.model.metadata_props["asd"] = json.dumps(card)
            program.save(temporary, external_data=False)
        return card

    def _program(self) -> Any:
        """The exported graph."""
        wave = torch.zeros(2 * self.frontend.rate * 10)
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.onnx.export(
                    self.graph, (wave, torch.tensor(0)), dynamo=True, verbose=False,
                    input_names=["wave", "machine"], output_names=_OUTPUTS,
                    dynamic_shapes={"wave": {0: torch.export.Dim("samples")}, "machine": None},
                )  # fmt: skip
        except ImportError as error:
            raise AsdError(f"{error}: pip install 'asd[onnx]'") from error
        except Exception as error:  # the exporter's are of all kinds
            raise AsdError(f"{self.checkpoint}: no ONNX graph: {error!s:.500}") from error

    def _scores(self, clips: Sequence[Path], names: Sequence[str]) -> np.ndarray:
        """The clips' scores as ``asd.score`` computes them."""
        recipe = self.detector.recipe
        values = [
            clip_features(self.frontend, Recording.read(clip, recipe["channel"]), "float32")
            for clip in clips
        ]
        frames = np.array([len(one) for one in values])
        index = self.windows.starts(recipe["frames"], frames, [str(clip) for clip in clips])
        table = pd.DataFrame([name.split("/") for name in names], columns=["machine", "id"])
        table = table.assign(path=[str(clip) for clip in clips], label=-1)
        classes = self.graph.classes.numpy()[[self.machines.index(name) for name in names]]
        features = Features(np.concatenate(values), frames)
        scored = score_clips(self.detector, self.scoring, table, features, index, classes)
        return scored.table["score"].to_numpy()


def machine_of(clip: Path, machines: Sequence[str]) -> str:
    """Whose recording it is, ``fan/00``: as ``fan/test/normal_id_00_1.wav`` says, or the only one.

    Raises:
        AsdError: it cannot be told.
    """
    parsed = parse_name(clip.name)
    named = f"{clip.absolute().parents[1].name}/{parsed[0]}" if parsed else ""
    if named not in machines and len(machines) > 1:
        raise AsdError(f"{clip}: of which machine? --machine, one of {', '.join(machines)}")
    return named if named in machines else machines[0]


def runner_scores(
    runner: OnnxRunner, clips: Iterable[Path], names: Iterable[str]
) -> tuple[np.ndarray, float]:
    """[clips] scores of an exported model, and the seconds that they took.

    Raises:
        AsdError: it refuses a clip.
    """
    start, scores = time.perf_counter(), []
    for clip, name in zip(clips, names, strict=True):
        try:
            scores.append(runner.score(runner.read(clip), name)["score"])
        except ClipError as error:
            raise AsdError(f"{clip}: {error}") from error
    return np.array(scores), time.perf_counter() - start
