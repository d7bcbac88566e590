"""A detector as one torch module, from a clip's samples to its score and the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asd.composition import build_known
from asd.deployment.front_end_graph import front_end_graph
from asd.errors import AsdError
from asd.features.batches import Batch
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.back_ends import NearestNeighbours
from asd.scoring.recordings import RecordingScorer

_VECTORS = ("band_statistics", "level", "spectrum", "embedding")


class ScoringGraph(nn.Module):
    """What ``asd.scoring.scorer`` and ``asd.scoring.calibration`` compute, of one clip.

    Args:
        scorer: a trained model.
        tail: see ``front_end_graph``.

    Attributes:
        machines: ``fan/00``, ...: whose clips it scores, those that trained.
        normals_of: of each, scores of held-out normal clips, ascending, maybe none.
        promises: of each, what its threshold promises.

    Raises:
        AsdError: it has a part of which no graph is known; names it.
    """

    def __init__(self, scorer: RecordingScorer, tail: float) -> None:
        super().__init__()
        detector, options = scorer.detector, scorer.scoring
        self.front_end = front_end_graph(scorer.frontend, tail)
        self.detector = scoring_form(detector, options.form)
        # The exporter drops the divisor of the average pooling that the fused form takes.
        if getattr(self.detector.network, "upsampling_fused", False):
            self.detector.network.upsampling_fused = False  # type: ignore[assignment]
        self.options, self.cover = options, scorer.windows.cover
        self.length: int = detector.recipe["frames"]
        self.machines = ["/".join(one) for one in scorer.machine_ids]
        if not self.machines:
            raise AsdError(f"{scorer.checkpoint}: of an earlier version, train it again")
        if options.score is None and options.vectors not in _VECTORS:
            raise AsdError(f"scoring.vectors={options.vectors}: no ONNX graph of it is known")
        if getattr(options, "per_id", False):
            raise AsdError("scoring.per_id=true: no ONNX graph of it is known")
        pooling = getattr(options, "pooling", None)
        mean = partial(torch.mean, dim=0)
        self.pooling: Callable[[Tensor], Tensor] = (
            build_known(pooling, "scoring") if pooling else mean
        )
        self.back_end: Any = None
        if options.back_end is not None:
            self.back_end = build_known(options.back_end, "scoring")
            self._add_banks(detector)
        classes = detector.recipe["classes"]
        numbers = [_position(classes, name, name.split("/")[0]) for name in self.machines]
        self.classes = torch.tensor([number or 0 for number in numbers])  # none is asked for
        self._add_calibration(scorer)

    def _add_calibration(self, scorer: RecordingScorer) -> None:
        """All machines' normal scores one after another, and to which each belongs."""
        limits = [scorer.threshold(*one) for one in scorer.machine_ids]
        self.promises = [one.promise if one else "there is no threshold" for one in limits]
        values = [one.value if one else np.nan for one in limits]
        self.thresholds = torch.tensor(values, dtype=torch.float64)
        known = scorer.calibration if scorer.calibration.scores else None
        found = [known.normals(*one)[1] if known else np.empty(0) for one in scorer.machine_ids]
        self.normals_of = [scores.tolist() for scores in found]
        self.normals = torch.from_numpy(np.concatenate(found))
        sizes = torch.tensor([len(scores) for scores in found])
        self.owners = torch.arange(len(found)).repeat_interleave(sizes)

    def _add_banks(self, detector: Detector) -> None:
        """The banks' vectors one after another, and to which bank each belongs."""
        if not isinstance(self.back_end, NearestNeighbours):
            raise AsdError(f"scoring.back_end={self.back_end}: no ONNX graph of it is known")
        names, states = list(detector.banks), list(detector.banks.values())
        numbers = [_position(names, one, one.split("/")[0], "all") for one in self.machines]
        if None in numbers:
            raise AsdError(f"no training clips of {self.machines[numbers.index(None)]} in a bank")
        sizes = torch.tensor([len(state["vectors"]) for state in states])
        self.banks = torch.tensor(numbers)
        self.bank_of = torch.arange(len(states)).repeat_interleave(sizes)
        self.vectors = torch.cat([state["vectors"] for state in states])
        self.means = torch.stack([state["mean"] for state in states])
        self.deviations = torch.stack([state["std"] for state in states])
        densities = [state.get("density", torch.ones(len(state["vectors"]))) for state in states]
        self.densities = torch.cat(densities)

    def forward(self, wave: Tensor, machine: Tensor) -> tuple[Tensor, ...]:
        """A clip to score, p-value and threshold (float64), and alarm (bool), all [].

        Args:
            wave: float32 [samples] at the front end's rate, full scale 1.
            machine: int64 [], its number among ``machines``.
        """
        frames = self.front_end(wave)
        if self.cover == "first":
            frames = frames[: self.length]
        outputs = self._outputs(frames, machine) if self.detector.has_network else {}
        if self.options.score is not None:
            score = self.pooling(outputs["score"].double().flatten())
        else:
            vector = self._vector(frames.double(), outputs)
            score = vector[0] if self.back_end is None else self._distance(vector, machine)
        own = self.owners.eq(machine)
        above = (own & self.normals.ge(score)).sum()
        p_value = (1 + above).double() / (1 + own.sum())
        threshold = self.thresholds[machine]
        return score, p_value, threshold, score > threshold

    def _outputs(self, frames: Tensor, machine: Tensor) -> dict[str, Tensor]:
        """``embedding`` [windows, size], and ``score`` [windows] where it is of windows."""
        last = frames.shape[0] - self.length
        if self.cover == "every":
            starts = torch.arange(last + 1)
        else:  # side by side, the last one ending with the clip
            count = (frames.shape[0] + self.length - 1) // self.length
            starts = (torch.arange(count) * self.length).clamp(max=last)
        windows = frames[starts[:, None] + torch.arange(self.length)]
        classes = self.classes[machine].expand(windows.shape[0])
        made = self.detector.reconstruct(Batch(windows, classes))
        outputs = {"embedding": made.embedding}
        if self.options.score is not None:
            outputs["score"] = self.options.function()(self.detector, made)
        return outputs

    def _vector(self, frames: Tensor, outputs: Mapping[str, Tensor]) -> Tensor:
        """As ``asd.scoring.clip_vectors``, of frames [frames, bands] in float64."""
        if self.options.vectors == "embedding":
            return self.pooling(outputs["embedding"].double())
        if self.options.vectors == "spectrum":
            return self.pooling(frames)
        if self.options.vectors == "level":
            power = torch.pow(10.0, frames / 10).sum(1)
            return 10 * torch.log10(power.mean(0, keepdim=True))
        mean = frames.mean(0)
        return torch.cat([mean, (frames - mean).square().mean(0).sqrt()])

    def _distance(self, vector: Tensor, machine: Tensor) -> Tensor:
        """As ``asd.scoring.back_ends.NearestNeighbours``, to the machine's own bank."""
        bank = self.banks[machine]
        vector = (vector - self.means[bank]) / self.deviations[bank]
        if self.back_end.metric == "cosine":
            norms = self.vectors.square().sum(1).sqrt() * vector.square().sum().sqrt()
            distances = (1 - (self.vectors * vector).sum(1) / norms) / self.densities
        else:
            if self.back_end.metric == "unit":
                vector = vector / vector.square().sum().sqrt()
            distances = (self.vectors - vector).square().sum(1).sqrt() / self.densities
        distances = torch.where(self.bank_of.eq(bank), distances, torch.inf)
        return distances.topk(self.back_end.k, largest=False).values.mean()


def _position(names: Sequence[str], *wanted: str) -> int | None:
    """Of the first that is wanted and there is."""
    return next((list(names).index(name) for name in wanted if name in names), None)
