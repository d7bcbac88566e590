"""One ONNX file of a detector, proven on recordings to give its scores."""

from __future__ import annotations

import copy
import json
import logging
import time
import warnings
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import torch
from onnxruntime.quantization import quantize_static

from asd.cores import cores
from asd.data.clip_files import parse_name
from asd.deployment.fourier_graph import MatrixFourier
from asd.deployment.onnx_runner import ClipError, OnnxRunner
from asd.deployment.scoring_graph import ScoringGraph
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.files import replacing
from asd.frontends.gammatone import Gammatone
from asd.scoring.metrics import evaluate_scores
from asd.scoring.recordings import RecordingScorer

_LONGEST = 2**31  # samples


@dataclass(frozen=True)
class OnnxExport:
    """A trained model on its way to an ONNX file, which is compared with its scorer."""

    scorer: RecordingScorer
    numbers: Mapping[str, float]  # those of ``conf/export.yaml``, by name

    def write(
        self, path: Path, clips: Sequence[Path], licence: str, labelled: Sequence[Path] = ()
    ) -> dict[str, Any]:
        """Write the file, if it gives the detector's scores on these clips.

        Args:
            clips: recordings; normal ones, where the network is to have 8 bits.
            licence: of the model, in words.
            labelled: ``normal_*`` and ``anomaly_*``. If there are any, the network gets weights
                and activations of 8 bits, unless its AUC on these falls too far.

        Returns:
            The card, with ``proof``, and ``int8`` where there are labelled clips.

        Raises:
            AsdError: there is no graph of a part of it, or a score differs; no file is written.
        """
        if labelled and not self.scorer.detector.has_network:
            raise AsdError("--int8: this detector has no network whose weights could be rounded")
        graph = ScoringGraph(self.scorer, self.numbers["tail"]).eval()
        model, card = self._model(graph), self._card(graph, licence)
        with replacing(path) as temporary:
            _save(model, card, temporary)
            card["proof"] = self._proof(temporary, clips)
            if labelled:
                card["int8"] = self._quantised(temporary, clips, labelled)
            _save(onnx.load(temporary), card, temporary)
        return card

    def _model(self, graph: ScoringGraph) -> Any:
        """The graph in ONNX's form."""
        wave = torch.zeros(20 * self.scorer.frontend.rate)
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(action="ignore"), MatrixFourier():
                program: Any = torch.onnx.export(
                    graph, (wave, torch.tensor(0)), dynamo=True, verbose=False,
                    input_names=["wave", "machine"], output_names=["score", "threshold", "alarm"],
                    dynamic_shapes={"wave": {0: torch.export.Dim.DYNAMIC}, "machine": None},
                )  # fmt: skip
        except Exception as error:  # the exporter's are of all kinds
            said = error.__cause__ or error  # the exporter's own message is advice to developers
            raise AsdError(f"{self.scorer.checkpoint}: no ONNX graph: {said!s:.500}") from error
        return program.model_proto

    def _card(self, graph: ScoringGraph, licence: str) -> dict[str, Any]:
        """What a user of the file should know, as plain values; it travels in its metadata."""
        scorer, recipe = self.scorer, self.scorer.recipe
        record = RunFolder(scorer.checkpoint.absolute().parents[2]).record()

        def frames(samples: int) -> int:
            try:
                return scorer.frontend.n_frames(samples)
            except AsdError:  # too short for one
                return 0

        heard = scorer.longest if scorer.windows.cover == "first" else np.inf
        return {
            "format": 1, "licence": licence, "rate": scorer.frontend.rate,
            "channel": scorer.channel, "clipped": scorer.options.clipped,
            "shortest": bisect_left(range(_LONGEST), recipe["frames"], key=frames),
            "longest": int(min(heard * scorer.frontend.rate, _LONGEST)),
            "bands": recipe["bands"], "frames": recipe["frames"], "machines": graph.machines,
            "normals": graph.normals, "promises": graph.promises,
            "config": {p: recipe[p] for p in ("frontend", "window", "model", "loss", "scoring")},
            "config_hash": record.get("identity"), "data_hash": record.get("data_hash"),
            "data_label": recipe.get("data_label"),
            "model_hash": scorer.hash,
        }  # fmt: skip

    def _proof(self, path: Path, clips: Sequence[Path]) -> dict[str, Any]:
        """How far the file's scores are from the detector's, and how long both take."""
        start = time.perf_counter()
        plain = _scores(self.scorer, clips)
        seconds = time.perf_counter() - start
        exact = copy.copy(self.scorer)
        if isinstance(frontend := exact.frontend, Gammatone):
            # Its filters in float32 err by more than the graph may: 1e-5 of a score of even noise.
            exact.frontend = replace(frontend, precision="float64")
        expected = plain if exact.frontend is frontend else _scores(exact, clips)
        found, own_seconds = self._runner_scores(path, clips)
        # Clips that trained have scores of 0 to a nearest neighbour: with those of normal ones.
        normals = [one.numpy() for one in self.scorer.detector.calibration.values()]
        mean = np.abs(np.concatenate([expected, *normals])).mean()
        apart = np.abs(found - expected) / mean
        worst, most = int(apart.argmax()), self.numbers["tolerance"]
        if not apart[worst] <= most:
            both = f"{found[worst]:.9g} by the graph and {expected[worst]:.9g} by PyTorch"
            text = f"scores {both}, {apart[worst]:.1e} of the mean score apart; at most {most:g}"
            raise AsdError(f"{clips[worst]}: {text} may be (tolerance), so no file is written")
        return {
            "clips": len(clips), "largest difference": float(apart[worst]), "tolerance": most,
            "from asd.score's, at float32": float(np.abs(found - plain).max() / mean),
            "MB": path.stat().st_size / 1e6, "MB, PyTorch": self.scorer.megabytes, "cores": cores(),
            "ms a clip": 1e3 * own_seconds / len(clips),
            "ms a clip, PyTorch": 1e3 * seconds / len(clips),
        }  # fmt: skip

    def _runner_scores(self, path: Path, clips: Sequence[Path]) -> tuple[np.ndarray, float]:
        """[clips] scores of an exported model, and the seconds that they took."""
        runner, scores, start = OnnxRunner(path, cores()), [], time.perf_counter()
        for clip in clips:
            try:
                said = runner.score(runner.read(clip), "/".join(self.scorer.whose(clip)))
            except ClipError as error:
                raise AsdError(f"{clip}: {error} (--class, where the path does not say)") from error
            scores.append(said["score"])
        return np.array(scores), time.perf_counter() - start

    def _quantised(
        self, path: Path, clips: Sequence[Path], labelled: Sequence[Path]
    ) -> dict[str, Any]:
        """Bring the network, not the front end, to 8 bits, activations by ``clips``; the cost."""
        before, runner = self._auc(path, labelled), OnnxRunner(path)
        whose = ["/".join(self.scorer.whose(clip)) for clip in clips]
        inputs = map(runner.inputs, map(runner.read, clips), whose)
        model = onnx.load(path)
        layers = [one for one in model.graph.node if one.op_type in ("Conv", "Gemm", "MatMul")]
        # By their weights: a Fourier transform within the network keeps its precision.
        of_network = [
            one.name for one in layers if any(i.startswith("detector.") for i in one.input)
        ]
        ranges = SimpleNamespace(get_next=lambda: next(inputs, None))
        logging.disable(logging.WARNING)  # advice that goes to the root logger
        try:
            quantize_static(model, path, ranges, per_channel=True, nodes_to_quantize=of_network)
        finally:
            logging.disable(logging.NOTSET)
        after, most = self._auc(path, labelled), self.numbers["most_auc_loss"]
        if before - after > most:
            fall = f"{100 * before:.2f} to {100 * after:.2f} %, more than {100 * most:g} points"
            text = f"the AUC on {len(labelled)} labelled clips falls from {fall}"
            raise AsdError(f"--int8: {text}; no file is written")
        size = path.stat().st_size / 1e6
        return {"labelled clips": len(labelled), "AUC": after, "AUC before": before, "MB": size}

    def _auc(self, path: Path, clips: Sequence[Path]) -> float:
        """AUC of a file on labelled clips, the mean over machine IDs, then over types."""
        table = pd.DataFrame(map(self.scorer.whose, clips), columns=["machine", "id"])
        table["label"] = [(parse_name(clip.name) or ("", -1))[1] for clip in clips]
        table = table.assign(file=list(map(str, clips)), score=self._runner_scores(path, clips)[0])
        area = evaluate_scores(table, 1.0).mean["auc"]
        if not np.isfinite(area):
            raise AsdError("--int8: needs clips called normal_* and anomaly_* of one machine")
        return area


def _scores(scorer: RecordingScorer, clips: Sequence[Path]) -> np.ndarray:
    """[clips] what ``asd.score`` says; refuses those that have no score."""
    tables: list[pd.DataFrame] = []
    scorer.score(clips, lambda table, _: tables.append(table))
    scored = pd.concat(tables)
    for file, state in scored.loc[scored["score"].isna(), ["file", "state"]].to_numpy():
        raise AsdError(f"{file}: {state}: the export is proven on clips that have a score")
    return scored["score"].to_numpy(float)


def _save(model: onnx.ModelProto, card: dict[str, Any], path: Path) -> None:
    """With the card in its metadata."""
    onnx.helper.set_model_props(model, {"asd": json.dumps(card)})
    onnx.save(model, path)
