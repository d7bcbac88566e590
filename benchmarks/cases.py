"""The systems that benchmarks train, as the presets compose them, on noise for features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asd.composition import build, folder_of, plain, register_resolvers
from asd.data.windows import Windows
from asd.experiment.trainer_options import TrainerOptions
from asd.features.part import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.options import from_config
from asd.training.fit import TrainingSet

# The preset, what is overridden, and the length of a clip in seconds.
CASES: dict[str, tuple[list[str], float]] = {
    "paper": (["+experiment=u", "data=dcase2020"], 10.0),
    "demo": (["+experiment=u"], 2.0),
    "b": (["+experiment=b", "data=dcase2020"], 10.0),
    "b_demo": (["+experiment=b"], 2.0),
    "adacos": (["+experiment=adacos", "data=dcase2020"], 11.0),
    "adacos_demo": (["+experiment=adacos"], 2.0),
    "tiny": (["+experiment=u", "scale=tiny"], 1.0),
    "adacos_tiny": (["+experiment=adacos", "scale=tiny"], 1.0),
}
# Machine IDs of the development and additional training data.
IDS = 41
# Clips that the development data have to train on, and to score; a tenth of the first validates.
TRAIN_CLIPS, TEST_CLIPS = 20_119, 10_868


@dataclass
class Case:
    """A composed preset: ``config``, the network's input [``frames``, ``bands``], clip lengths."""

    name: str
    config: dict[str, Any]
    frames: int
    bands: int
    clip_frames: int

    @classmethod
    def of(cls, name: str, overrides: list[str]) -> Case:
        """Compose the preset with these overrides."""
        from hydra import compose, initialize_config_dir

        register_resolvers()
        preset, seconds = CASES[name]
        with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
            config = plain(compose("config", [*preset, "trainer.progress=off", *overrides]))
        frontend = build(config["frontend"], "frontend")
        samples = int(seconds * frontend.rate)
        length = build(config["window"], "window").length(frontend, samples)
        return cls(name, config, length, frontend.bands, frontend.n_frames(samples))

    @property
    def windows(self) -> Windows:
        """How its clips are cut."""
        made: Windows = build(self.config["window"], "window")
        return made

    @property
    def batch_size(self) -> int:
        """Windows a step."""
        return int(self.config["trainer"]["batch_size"])

    @property
    def windows_a_clip(self) -> int:
        """1 for U, hundreds for B."""
        every = self.config["window"]["cover"] == "every"
        return self.clip_frames - self.frames + 1 if every else 1

    @property
    def steps_an_epoch(self) -> int:
        """Of the first release's training clips."""
        windows = round(0.9 * TRAIN_CLIPS) * self.windows_a_clip
        return -(-windows // self.batch_size)

    @property
    def classes(self) -> list[str]:
        """Names for a classifier of machine IDs; none where there is none."""
        named = build(self.config["loss"], "loss").classes is not None
        return [f"fan/{number:02}" for number in range(IDS)] if named else []

    @property
    def options(self) -> TrainerOptions:
        """How it is trained."""
        return from_config(TrainerOptions, "trainer", self.config["trainer"])

    def detector(self, plain: bool = False, **model: Any) -> Detector:
        """A fresh one, plain: without forms of ours; ``model`` overrides options of its network."""
        parts = {part: self.config[part] for part in ("frontend", "window", "loss", "scoring")}
        recipe = {
            "bands": self.bands,
            "frames": self.frames,
            "classes": self.classes,
            "model": {**self.config["model"], **model},
            **parts,
        }
        torch.manual_seed(0)
        made = Detector(recipe, Standardiser.identity(self.bands))
        if plain and "filters" in self.config["model"]:
            made.network.upsampling_fused = False  # type: ignore[assignment]
        return made

    def data(self, steps: int) -> TrainingSet:
        """Noise for ``steps`` training steps and one of validation."""
        clips = -(-steps * self.batch_size // self.windows_a_clip)
        held = max(1, self.batch_size // self.windows_a_clip)
        frames = np.full(clips + held, self.clip_frames)
        noise = np.random.default_rng(0).standard_normal(
            (int(frames.sum()), self.bands), dtype=np.float32
        )
        index = self.windows.starts(self.frames, frames, [""] * len(frames))
        training = np.arange(len(frames)) < clips
        classes = np.arange(len(frames)) % max(1, len(self.classes))
        drawn = self.windows.training(index, frames)
        return TrainingSet(
            Features(noise, frames), drawn.of_clips(training), drawn.of_clips(~training), classes
        )


class Bare:
    """A training loop of nothing but PyTorch: network, mean squared error, Adam.

    With a head the loss is the cross entropy of labels drawn at random, of mixed windows where the
    objective mixes them.

    Args:
        detector: its network and head are trained.
        windows: [n, frames, bands], drawn at random, on the device.
        options: of the batches and the optimiser's weight decay.
        fused: Adam in one kernel.
        precision: ``bf16-mixed`` or ``32-true``.
    """

    @classmethod
    def of(
        cls,
        case: Case,
        detector: Detector,
        device: torch.device,
        fused: bool,
        precision: str = "32-true",
    ) -> Bare:
        """On a case's noise, on the device."""
        values = torch.from_numpy(case.data(2).features.values).to(device)
        step = 1 if case.windows_a_clip > 1 else case.frames
        windows = values.unfold(0, case.frames, step).transpose(1, 2)
        return cls(detector.to(device), windows, case.options, fused, precision)

    PARTS = ("data", "forward", "backward", "optimiser")

    def __init__(
        self,
        detector: Detector,
        windows: Tensor,
        options: TrainerOptions,
        fused: bool,
        precision: str = "32-true",
    ) -> None:
        self.network, self.head = detector.network.train(), detector.classifier
        self.classes = len(detector.recipe["classes"])
        self.mixup: float = getattr(detector.loss, "mixup", 0.0)
        self.windows = windows
        self.batch_size = options.batch_size
        trained = torch.nn.ModuleList(filter(None, [self.network, self.head]))
        self.optimiser = torch.optim.AdamW(
            trained.parameters(),
            lr=1e-3, weight_decay=options.weight_decay, fused=fused or None,
        )  # fmt: skip
        self.amp = precision == "bf16-mixed"

    def data(self) -> Tensor:
        """A batch."""
        chosen = torch.randint(len(self.windows), (self.batch_size,), device=self.windows.device)
        return self.windows.index_select(0, chosen)

    def forward(self, batch: Tensor) -> Tensor:
        """Its loss, in float32."""
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.amp):
            if self.head is None:
                reconstruction, _ = self.network(batch)
                return F.mse_loss(reconstruction.float(), batch)
            labels = torch.randint(self.classes, (len(batch),), device=batch.device)
            shares = F.one_hot(labels, self.classes).float()
            if self.mixup:
                chance, weight = torch.rand(2, len(batch), 1, device=batch.device)
                weight = torch.where(chance < self.mixup, weight, 1.0)
                other = torch.randperm(len(batch), device=batch.device)
                shares = weight * shares + (1 - weight) * shares[other]
                weight = weight.unsqueeze(2)
                batch = weight * batch + (1 - weight) * batch[other]
            logits = self.head(self.network(batch)[1], shares)
        return F.cross_entropy(logits.float(), shares)

    def step(self) -> Tensor:
        """One step."""
        self.optimiser.zero_grad()
        loss = self.forward(self.data())
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss
