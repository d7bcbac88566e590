"""What can be refused before a corpus is made or read."""

from __future__ import annotations

from typing import Any

from asd.composition import build
from asd.experiment.experiment import Experiment
from asd.options import from_config
from asd.scoring.window_scores import window_score
from asd.training.trainer_options import TrainerOptions

# Where the window is as long as the shortest clip, which is not known yet: any length does.
_SOME_SECONDS = 10


def checked_experiment(config: dict[str, Any], delta: dict[str, Any], command: str) -> Experiment:
    """The experiment of a composed config, all of its options checked; torch is not needed.

    Args:
        config: all options as plain values.
        delta: those that differ from the base config.
        command: what a user types to start or resume it.

    Raises:
        AsdError: an option is refused by the part that owns it, or the corpus is not on disk.
    """
    from_config(TrainerOptions, "trainer", config["trainer"])
    return Experiment.of(config, delta, command)


def check_model(experiment: Experiment) -> None:
    """Refuse a device, a score or a model that cannot be, without memory for its weights.

    Raises:
        AsdError: names the option.
    """
    import torch

    from asd.training.devices import choose_device

    choose_device(from_config(TrainerOptions, "trainer", experiment.config["trainer"]))
    window_score(experiment.scoring.score)
    frontend = experiment.frontend
    frames = experiment.windows.length(frontend, _SOME_SECONDS * frontend.rate)
    shape = {"bands": frontend.bands, "frames": frames}
    with torch.device("meta"):
        build({**experiment.config["model"], **shape}, "model")
