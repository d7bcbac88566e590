"""What a detector costs: parameters, operations and time of a clip, energy of its training."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from asd.cores import one_torch_thread
from asd.data.audio import Recording
from asd.experiment.experiment import Experiment
from asd.features.store import clip_features
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.scorer import ClipSet, score_clips
from asd.scoring.vector_files import VectorFiles
from asd.training.speed import step_flop

# Of the clip whose latency is measured, after a first one that warms up; whichever comes first.
_REPEATS, _SECONDS = 15, 1.0


def costs(
    experiment: Experiment, detector: Detector, clips: ClipSet, root: Path
) -> dict[str, float]:
    """``parameters``; of a clip ``multiply_adds``, the mean, and ``latency_ms``.

    That is the median from the first one's file, under ``root``, to its score, alone, on one
    thread; not of ``scoring=files``, whose vectors something else makes.
    """
    found = {"parameters": sum(p.numel() for p in detector.parameters()), "multiply_adds": 0}
    if experiment.trains:  # a step is three passes, of two operations each
        flop = step_flop(detector, len(clips.windows.starts))
        found["multiply_adds"] = round(flop / 6 / len(clips.table))
    if isinstance(experiment.scoring.function(), VectorFiles):
        return {**found}
    first = clips.part(clips.windows.of_clips(np.arange(len(clips.table)) == 0))
    ready, times, file = scoring_form(detector), list[float](), root / first.table["path"][0]
    with one_torch_thread():
        while len(times) <= _REPEATS and sum(times) < _SECONDS:
            start = time.perf_counter()
            recording = Recording.read(file, experiment.corpus.channel)
            clip_features(experiment.frontend, recording, "float32")  # which ``first`` has already
            score_clips(ready, experiment.scoring, first)
            times.append(time.perf_counter() - start)
    return {**found, "latency_ms": 1000 * median(times[1:] or times)}


def gpu_joules() -> float | None:
    """What the GPU has used since it was started, for whomever; None: nvidia-ml-py does not say."""
    try:
        import pynvml

        handle = torch.cuda._get_pynvml_handler()  # type: ignore[no-untyped-call]
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except Exception:  # of NVML, too
        return None
