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
            "checkpoint_hash": file_hash(self.checkpoint),
        }

    def write(
        self,
        path: Path,
        clips: Sequence[Path],
        machine: str | None,
        licence: str,
        labelled: Sequence[Path] = (),
    ) -> dict[str, Any]:
        """Write the file, if it gives the detector's scores on these clips.

        Args:
            path: of the file.
            clips: recordings; normal ones, where the network is to have 8 bits.
            machine: of all of them, ``fan/00``; None: as their paths say, or the only one.
            licence: of the model, in words.
            labelled: ``normal_*`` and ``anomaly_*``; given, the network gets weights and
                activations of 8 bits, unless its AUC on them falls too far.

        Returns:
            The card, with ``proof``, and ``int8`` where there are labelled clips.

        Raises:
            AsdError: the graph cannot be exported, or a score differs; no file is written.
        """
        names = [machine or machine_of(clip, self.machines) for clip in clips]
        for name in names:
            check_choice("--machine", name, self.machines)
        program, card = self._program(), self.card(licence)
        with replacing(path) as temporary:
            program.save(temporary, external_data=False)
            _stamp(temporary, card)
            card["proof"] = self._proof(temporary, clips, names)
            if labelled:
                card["int8"] = self._quantised(temporary, clips, names, labelled, card)
            _stamp(temporary, card)
        return card

    def _proof(self, path: Path, clips: Sequence[Path], names: Sequence[str]) -> dict[str, Any]:
        """That the file gives the detector's scores, and how long both take.

        Raises:
            AsdError: it does not.
        """
        start = time.perf_counter()
        expected = self._scores(clips, names)
        seconds, threads = time.perf_counter() - start, torch.get_num_threads()
        found, runner_seconds = runner_scores(OnnxRunner(path, threads), clips, names)
        apart = np.abs(found - expected) / max(np.abs(expected).mean(), np.finfo(float).tiny)
        worst, most = int(apart.argmax()), self.options.tolerance
        if not apart.max() <= most:
            raise AsdError(
                f"{clips[worst]}: scores {found[worst]:.9g} by the graph and {expected[worst]:.9g} "
                f"by PyTorch, {apart.max():.1e} of the mean score apart; at most {most:g} may be "
                "(export.tolerance), so no file is written"
            )
        return {
            "clips": len(clips), "largest_difference": float(apart.max()), "tolerance": most,
            "seconds_a_clip": runner_seconds / len(clips),
            "pytorch_seconds_a_clip": seconds / len(clips), "threads": threads,
            "bytes": path.stat().st_size, "pytorch_bytes": self.checkpoint.stat().st_size,
        }  # fmt: skip

    def _quantised(
        self,
        path: Path,
        clips: Sequence[Path],
        names: Sequence[str],
        labelled: Sequence[Path],
        card: dict[str, Any],
    ) -> dict[str, Any]:
        """Bring the network in the file to 8 bits; what that costs.

        The front end stays as it is. Ranges of activations are those of ``clips``.

        Raises:
            AsdError: there is no network, or the AUC falls too far.
        """
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, quantize_static

        if not self.detector.has_network:
            raise AsdError("--int8: this detector has no network whose weights could be rounded")
        before, runner = _mean_auc(path, labelled, self.machines), OnnxRunner(path)
        inputs = iter([runner.inputs(runner.read(c), n) for c, n in zip(clips, names, strict=True)])

        class Clips(CalibrationDataReader):  # type: ignore[misc]
            def get_next(self) -> Any:
                return next(inputs, None)

        model = onnx.load(path)
        of_network = [
            node.name
            for node in model.graph.node
            if node.op_type in ("Conv", "Gemm", "MatMul")
            and any("'detector" in entry.value for entry in node.metadata_props)
        ]
        logging.disable(logging.WARNING)  # onnxruntime's advice goes to the root logger
        try:
            quantize_static(
                model, path, Clips(), per_channel=True, nodes_to_quantize=of_network
            )
        finally:
            logging.disable(logging.NOTSET)
        _stamp(path, card)
        after, loss = _mean_auc(path, labelled, self.machines), self.options.most_auc_loss
        if before - after > loss:
            raise AsdError(
                f"--int8: the AUC on {len(labelled)} labelled clips falls from {100 * before:.2f} "
                f"to {100 * after:.2f} %, more than {100 * loss:g} points; no file is written"
            )
        return {"labelled": len(labelled), "auc": after, "auc_before": before,
                "bytes": path.stat().st_size}  # fmt: skip

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


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stamp(path: Path, card: dict[str, Any]) -> None:
    """Put the card into the file's metadata."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"asd": json.dumps(card)})
    onnx.save(model, path)


def _mean_auc(path: Path, clips: Sequence[Path], machines: Sequence[str]) -> float:
    """AUC on labelled clips, mean over the machines."""
    names = [machine_of(clip, machines) for clip in clips]
    labels = [(parse_name(clip.name) or ("", -1))[1] for clip in clips]
    scores, _ = runner_scores(OnnxRunner(path), clips, names)
    table = pd.DataFrame({"machine": names, "label": labels, "score": scores})
    groups = table[table["label"] >= 0].groupby("machine")
    areas = [auc(group["label"], group["score"]) for _, group in groups]
    if not np.isfinite(areas).any():
        raise AsdError("--int8: needs clips called normal_* and anomaly_* of one machine at least")
    return float(np.nanmean(areas))
