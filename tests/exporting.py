"""Detectors on disk, small and never trained, and clips to export them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from parts import DENSE, MSE, scoring_of

from asd.composition import build, compose_config, plain
from asd.deployment.onnx_export import OnnxExport
from asd.frontends.mel import Mel
from asd.models.detector import Detector, save_detector
from asd.models.standardiser import Standardiser
from asd.scoring.back_ends import Interquartile, fit_banks
from asd.scoring.recordings import RecordingOptions, RecordingScorer

NUMBERS = {"tolerance": 1e-5, "tail": 1e-12, "most_auc_loss": 0.02}
MACHINES = [("fan", "00"), ("fan", "02"), ("pump", "00")]


class Unheard(Mel):
    """A front end that is none of ours."""


def frontend(name: str, **options: Any) -> dict[str, Any]:
    parts = {"gammatone": "Gammatone", "mel": "Mel"}
    return {"_target_": f"asd.frontends.{name}.{parts[name]}", "bands": 8, **options}


def recipe(
    front: dict[str, Any], model: dict[str, Any], cover: str, frames: int, **changes: Any
) -> dict[str, Any]:
    window = {"_target_": "asd.data.windows.Windows", "seconds": None, "frames": frames,
              "cover": cover}  # fmt: skip
    return {
        "bands": 8, "frames": frames, "classes": [], "model": model, "loss": MSE,
        "frontend": front, "window": window, "longest_seconds": 10.0,
        **changes, "scoring": scoring_of(**changes.get("scoring", {})),
    }  # fmt: skip


def preset(name: str) -> dict[str, Any]:
    """What a run of ``+experiment=NAME scale=tiny`` would write into its checkpoint."""
    config = plain(compose_config([f"+experiment={name}", "scale=tiny"]))
    parts = {part: config[part] for part in ("frontend", "window", "model", "loss", "scoring")}
    front, windows = build(config["frontend"], "frontend"), build(config["window"], "window")
    classes = {"machine": ["fan", "pump"], "id": ["/".join(one) for one in MACHINES], None: []}
    return {
        **parts, "bands": front.bands, "frames": windows.length(front, 16000),
        "classes": classes[build(config["loss"], "loss").classes], "longest_seconds": 10.0,
        "standardise": config["standardise"],
    }  # fmt: skip


B = recipe(frontend("mel"), DENSE, "every", 5)


def write_clips(folder: Path, seconds: float = 1.3, number: int = 2) -> list[Path]:
    """Of each machine: noise with a tone of its own, anomalies louder; in the corpus's layout."""
    random = np.random.default_rng(0)
    files = []
    for row, (machine, machine_id) in enumerate(MACHINES):
        for n in range(2 * number):
            label = "anomaly" if n >= number else "normal"
            time = np.arange(round(16000 * seconds) + 37 * n) / 16000
            wave = 0.05 * random.standard_normal(len(time)) * (1 + n // number)
            wave += 0.1 * np.sin(2 * np.pi * 300 * (row + 1) * time)
            file = folder / machine / "test" / f"{label}_id_{machine_id}_{n}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, wave, 16000)
            files.append(file)
    return files


def write_detector(
    path: Path, recipe: dict[str, Any], clips: int = 19, alarms: float = 0.1
) -> Detector:
    """A detector with random weights, and ``clips`` random calibration scores a machine but one."""
    torch.manual_seed(0)
    random = np.random.default_rng(1)
    about = {
        "channel": None, "machines": ["fan", "pump"], "ids": MACHINES, "data_label": "noise",
        "calibration": {"fraction": 0.2, "rule": "conformal", "false_alarms": alarms},
    }  # fmt: skip
    bands = recipe["bands"]
    standardiser = Standardiser(random.normal(-60, 3, bands), random.uniform(2, 6, bands))
    if not recipe.get("standardise", True):
        standardiser = Standardiser.identity(bands)
    detector = Detector({**about, **recipe}, standardiser)
    for module in detector.modules():  # as after training
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    fit_banks_of(detector, random)
    detector.calibration = {
        "/".join(one): torch.from_numpy(np.sort(random.gamma(4, 2, clips)))
        for one in MACHINES[:2] if clips
    }  # fmt: skip
    save_detector(detector.eval(), path)
    return detector


def fit_banks_of(detector: Detector, random: np.random.Generator) -> None:
    """Fit what the recipe asks for to random vectors, another number of each bank."""
    scoring = detector.recipe["scoring"]
    names = [f"{m}/{i}" if scoring["bank"] == "id" else m for m, i in MACHINES]
    names = np.repeat(np.array(names, object), [90, 95, 100])
    bands, embedding = detector.recipe["bands"], getattr(detector.network, "embedding_size", 0)
    sizes = {"embedding": embedding, "spectrum": bands, "error_statistics": 3,
             "band_statistics": 2 * bands}  # fmt: skip
    vectors = random.normal(-50, 4, (len(names), sizes.get(str(scoring["vectors"]), 1)))
    if scoring["vectors"] == "residual":  # mean and second moments
        each = random.normal(0, 1, (len(names), 300, bands))
        moments = np.einsum("cfi,cfj->cij", each, each) / 300
        vectors = np.concatenate([each.mean(1), moments.reshape(-1, bands**2)], axis=1)
    if scoring["back_end"]:
        detector.banks = fit_banks(build(scoring["back_end"], ""), vectors, names)
    if scoring["per_id"]:
        ids = np.repeat(np.array(["/".join(one) for one in MACHINES], object), [5, 6, 7])
        detector.scales = fit_banks(Interquartile(), random.gamma(4, 2, (18, 1)), ids)


def export_of(checkpoint: Path, **numbers: float) -> OnnxExport:
    """An export that takes clips as their paths say."""
    return OnnxExport(RecordingScorer(checkpoint, RecordingOptions(0.001)), NUMBERS | numbers)
