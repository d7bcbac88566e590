from __future__ import annotations

from typing import Any

import pytest
from tiny import TRAINER, options

from asd.errors import AsdError
from asd.experiment.trainer_options import TrainerOptions
from asd.options import from_config


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_epochs": 0}, r"trainer\.max_epochs=0: must be a whole number 1 or more"),
        ({"batch_size": 1}, r"trainer\.batch_size=1: must be a whole number 2 or more"),
        ({"learning_rate": 0}, r"trainer\.learning_rate=0: must be a number above 0"),
        ({"validation_fraction": 0.95}, r"trainer\.validation_fraction=0\.95"),
        ({"adam_epsilon": 0}, r"trainer\.adam_epsilon=0: must be a number above 0"),
        ({"validation_seed": -1}, r"trainer\.validation_seed=-1"),
        ({"plateau": {"factor": 1.0, "patience": 3}}, r"trainer\.plateau\.factor=1"),
        # it would lower the rate after epochs that improve
        ({"plateau": {"factor": 0.5, "patience": 0}}, r"plateau\.patience=0: .* 1 or more"),
        ({"plateau": {"factor": 0.5, "patience": 1}}, r"trainer\.plateau\.min_delta=None"),
        ({"plateau": {"factor": 0.5}}, r"trainer\.plateau\.patience=None"),
        ({"plateau": {"faktor": 0.5}}, r"trainer\.plateau=faktor.*did you mean factor"),
        ({"stop_patience": 0}, r"trainer\.stop_patience=0"),
        ({"threads": 0}, r"trainer\.threads=0"),
        ({"weights": "worst"}, r"trainer\.weights=worst: must be one of best, last"),
        ({"accelerator": "tpu"}, r"trainer\.accelerator=tpu: must be one of auto, cpu, gpu"),
        ({"precision": "16"}, r"trainer\.precision=16: must be one of 32-true"),
        ({"deterministic": 1}, r"trainer\.deterministic=1: must be one of True, False"),
        ({"late_share": 2}, r"trainer\.late_share=2: must be a number from 0 to 1"),
        ({"exact_norm_steps": -1}, r"trainer\.exact_norm_steps=-1: must be a whole number"),
        ({"gpu_share": 2}, r"trainer\.gpu_share=2: must be a number from 0 to 1"),
        ({"progress": "on"}, r"trainer\.progress=on"),
        ({"memory_format": "rows"}, r"trainer\.memory_format=rows"),
        ({"max_epoch": 3}, r"trainer\.max_epoch: .*did you mean max_epochs"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(AsdError, match=message):
        options(**changed)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(AsdError, match=r"trainer\.threads: not set"):
        from_config(TrainerOptions, "trainer", {k: v for k, v in TRAINER.items() if k != "threads"})
