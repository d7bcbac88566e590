"""A detector as one torch module, from a clip's samples to its score and the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from asd.composition import build_known
from asd.deployment.gammatone_graph import GammatoneGraph
from asd.errors import AsdError
from asd.features.batches import Batch
from asd.frontends.frontend import FrontEnd
from asd.frontends.gammatone import Gammatone
from asd.frontends.mel import Mel, NormalisedMel
from asd.frontends.waveform import Waveform
from asd.models.scoring_form import scoring_form
from asd.scoring.back_ends import BackEnd, Banks, Interquartile, bank_names
from asd.scoring.calibration import normals_of
from asd.scoring.clip_vectors import pooled, window_score
from asd.scoring.recordings import RecordingScorer
from asd.scoring.scorer import window_outputs
from asd.scoring.vector_files import VectorFiles, VectorNetwork


class ScoringGraph(nn.Module):
    """What ``asd.scoring`` computes of one clip, by its own functions (``tail``: GammatoneGraph's).

    Attributes:
        machines: ``fan/00``, ...: whose clips it scores, those that trained.
        normals: of each, scores of held-out normal clips, ascending, maybe none.
        promises: of each, what its threshold promises.

    Raises:
        AsdError: it has a part of which no graph is known; names it.
    """

    def __init__(self, scorer: RecordingScorer, tail: float) -> None:
        super().__init__()
        detector, options, ids = scorer.detector, scorer.scoring, scorer.machine_ids
        self.front_end = _front_end(scorer.frontend, tail)
        self.detector = scoring_form(detector)
        self.options, self.cover = options, scorer.windows.cover
        self.length: int = detector.recipe["frames"]
        self.ids = pd.DataFrame(ids, columns=["machine", "id"])
        self.machines = list(bank_names(self.ids, "id"))
        self.vector = window_score if options.vectors is None else options.function()
        if isinstance(self.vector, VectorFiles | VectorNetwork):
            raise AsdError("scoring.vectors: files of yours are no part of an ONNX graph")
        self.pooling = build_known(options.pooling, "scoring")
        self.back_ends: list[tuple[BackEnd, Banks, Tensor]] = []
        if options.back_end is not None:
            self._add(build_known(options.back_end, "scoring"), detector.banks, options.bank)
        if detector.scales:
            self._add(Interquartile(), detector.scales, "id")
        self.classes = torch.tensor([scorer.class_number(*one) for one in ids]).clamp(min=0)
        known = detector.calibration
        self.normals = [normals_of(known, *one).scores.tolist() if known else [] for one in ids]
        limits = [scorer.threshold(*one) for one in ids]
        self.promises = [one.promise if one else "there is no threshold" for one in limits]
        values = [one.value if one else torch.nan for one in limits]
        self.thresholds = torch.tensor(values, dtype=torch.float64)

    def _add(self, back_end: BackEnd, banks: Banks, bank: str | None) -> None:
        """Score by each machine's own bank what comes before."""
        wanted = bank_names(self.ids, bank)
        if missing := sorted(set(wanted) - set(banks)):
            raise AsdError(f"scoring.back_end: no training clips of {missing[0]} to compare with")
        numbers = [list(banks).index(name) for name in wanted]
        self.back_ends.append((back_end, banks, torch.tensor(numbers)))

    def forward(self, wave: Tensor, machine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A clip to score and threshold (float64), and alarm (bool), all [].

        Args:
            wave: float32 [samples] at the front end's rate, full scale 1.
            machine: int64 [], its number among ``machines``.
        """
        frames = self.front_end(wave)
        if self.cover == "first":
            frames = frames[: self.length]
        outputs = self._outputs(frames, machine) if self.detector.has_network else {}
        vector = pooled(self.vector(frames.double(), outputs), self.pooling)
        for back_end, banks, numbers in self.back_ends:
            scores = [back_end.scores(bank, vector[None]) for bank in banks.values()]
            vector = torch.stack(scores)[numbers[machine]]
        score, threshold = vector[0], self.thresholds[machine]
        return score, threshold, score > threshold

    def _outputs(self, frames: Tensor, machine: Tensor) -> Mapping[str, Tensor]:
        """What the network gives of the windows that ``asd.data.windows`` cuts."""
        last = frames.shape[0] - self.length
        if self.cover == "every":
            starts = torch.arange(last + 1)
        else:  # side by side, the last one ending with the clip
            count = (frames.shape[0] + self.length - 1) // self.length
            starts = (torch.arange(count) * self.length).clamp(max=last)
        windows = frames[starts[:, None] + torch.arange(self.length)]
        classes = self.classes[machine].expand(windows.shape[0])
        return window_outputs(self.detector, self.options, Batch(windows, classes))


def _front_end(frontend: FrontEnd, tail: float) -> Callable[[Tensor], Tensor]:
    """``frontend.features`` of a wave that was checked, by operations that ONNX has."""
    if type(frontend) is Gammatone:
        return GammatoneGraph(frontend, tail)
    if type(frontend) is Mel:
        return frontend.levels()
    if type(frontend) is NormalisedMel:
        levels = frontend.levels()
        return lambda wave: levels(_normalised(wave.double()).float())
    if type(frontend) is Waveform:
        return lambda wave: _repeated(wave, frontend.n_frames(1))[:, None]
    raise AsdError(f"frontend: no ONNX graph is known of {frontend}")


def _normalised(wave: Tensor) -> Tensor:
    return (wave - wave.mean()) / wave.std(correction=0)


def _repeated(wave: Tensor, least: int) -> Tensor:
    length: int = torch.sym_max(wave.shape[0], least)  # type: ignore[no-untyped-call]
    return wave[torch.arange(length) % torch.full((), wave.shape[0])]
