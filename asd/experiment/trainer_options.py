"""The config group ``trainer``, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole

_SWITCH = (True, False)
_CHOICES = {
    "weights": ("best", "last"),
    "accelerator": ("auto", "cpu", "gpu"),
    "precision": ("32-true", "bf16-mixed", "64-true"),
    "memory_format": ("auto", "contiguous", "channels_last"),
    "deterministic": _SWITCH,
    "fused_adam": _SWITCH,
    "compile": _SWITCH,
    "cuda_graphs": _SWITCH,
    "progress": ("auto", "bar", "lines", "off"),
}


@dataclass(frozen=True)
class TrainerOptions:
    """See ``conf/trainer/paper.yaml``, whose names these are.

    Raises:
        AsdError: a value that cannot be; names the option.
    """

    max_epochs: int
    batch_size: int
    learning_rate: float
    adam_epsilon: float
    adam_beta1: float
    adam_beta2: float
    weight_decay: float
    rate_decay: float
    validation_fraction: float
    validation_strata: Sequence[str]
    few_validation_clips: int
    validation_seed: int | None
    plateau: Mapping[str, Any] | None
    stop_patience: int | None
    late_share: float
    late_gain: float
    exact_norm_steps: int
    weights: str
    accelerator: str
    precision: str
    deterministic: bool
    threads: int | None
    memory_format: str
    fused_adam: bool
    compile: bool
    cuda_graphs: bool
    gpu_share: float
    progress: str

    def __post_init__(self) -> None:
        check_whole("trainer.max_epochs", self.max_epochs, 1)
        check_whole("trainer.batch_size", self.batch_size, 2)
        for name in ("learning_rate", "adam_epsilon"):
            check_number(f"trainer.{name}", getattr(self, name), 0, above=True)
        for name in ("adam_beta1", "adam_beta2"):
            check_number(f"trainer.{name}", getattr(self, name), 0, 0.999999)
        check_number("trainer.weight_decay", self.weight_decay, 0)
        check_number("trainer.rate_decay", self.rate_decay, 0, 1, above=True)
        check_number("trainer.validation_fraction", self.validation_fraction, 0, 0.9, above=True)
        if self.validation_seed is not None:
            check_whole("trainer.validation_seed", self.validation_seed, 0, 2**32 - 1)
        if self.plateau is not None:
            if not isinstance(self.plateau, Mapping):
                raise AsdError(f"trainer.plateau={self.plateau}: must be options, or null")
            for name in self.plateau:
                check_choice("trainer.plateau", name, ("factor", "patience", "min_delta"))
            rule = self.plateau.get
            check_number("trainer.plateau.factor", rule("factor"), 0, 0.999999, above=True)
            check_whole("trainer.plateau.patience", rule("patience"), 1)
            check_number("trainer.plateau.min_delta", rule("min_delta"), 0)
        for name in ("stop_patience", "threads"):
            if getattr(self, name) is not None:
                check_whole(f"trainer.{name}", getattr(self, name), 1)
        for name in ("few_validation_clips", "exact_norm_steps"):
            check_whole(f"trainer.{name}", getattr(self, name), 0)
        for name in ("late_share", "late_gain", "gpu_share"):
            check_number(f"trainer.{name}", getattr(self, name), 0, 1)
        for name, allowed in _CHOICES.items():
            check_choice(f"trainer.{name}", getattr(self, name), allowed)
