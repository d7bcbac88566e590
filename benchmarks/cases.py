"""The systems that benchmarks train, as the presets compose them, on noise for features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asd.composition import build, folder_of, plain, register_resolvers
from asd.data.windows import Windows
from asd.experiment.trainer_options import TrainerOptions
from asd.features.batches import windows_view
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
    "tiny": (["+experiment=u", "scale=tiny"], 1.0),
}
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
    def options(self) -> TrainerOptions:
        """How it is trained."""
        return from_config(TrainerOptions, "trainer", self.config["trainer"])

    def detector(self, plain: bool = False, **model: Any) -> Detector:
        """A fresh one, plain: without forms of ours; ``model`` overrides options of its network."""
        parts = {part: self.config[part] for part in ("frontend", "window", "loss", "scoring")}
        recipe = {
            "bands": self.bands,
            "frames": self.frames,
            "classes": [],
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
        classes = np.zeros(len(frames), dtype=np.int64)
        return TrainingSet(
            Features(noise, frames), index.of_clips(training), index.of_clips(~training), classes
        )


class Bare:
    """A training loop of nothing but PyTorch: network, mean squared error, Adam.

    Args:
        network: trained on ``windows`` [n, frames, bands], drawn at random.
        windows: on the device.
        batch_size: of a step.
        fused: Adam in one kernel.
        precision: ``bf16-mixed`` or ``32-true``.
    """

    @classmethod
    def of(
        cls,
        case: Case,
        network: nn.Module,
        device: torch.device,
        fused: bool,
        precision: str = "32-true",
    ) -> Bare:
        """On a case's noise, on the device."""
        values = torch.from_numpy(case.data(2).features.values).to(device)
        step = 1 if case.windows_a_clip > 1 else case.frames
        windows = windows_view(values, case.frames)[::step]
        return cls(network.to(device), windows, case.batch_size, fused, precision)

    PARTS = ("data", "forward", "backward", "optimiser")

    def __init__(
        self,
        network: nn.Module,
        windows: Tensor,
        batch_size: int,
        fused: bool,
        precision: str = "32-true",
    ) -> None:
        self.network = network.train()
        self.windows = windows
        self.batch_size = batch_size
        self.optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused or None)
        self.amp = precision == "bf16-mixed"

    def data(self) -> Tensor:
        """A batch."""
        chosen = torch.randint(len(self.windows), (self.batch_size,), device=self.windows.device)
        return self.windows.index_select(0, chosen)

    def forward(self, batch: Tensor) -> Tensor:
        """Its loss, in float32."""
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.amp):
            reconstruction, _ = self.network(batch)
        return F.mse_loss(reconstruction.float(), batch)

    def step(self) -> Tensor:
        """One step."""
        self.optimiser.zero_grad()
        loss = self.forward(self.data())
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss
