"""What needs torch to be checked, before a corpus is made or read."""

from __future__ import annotations

import torch

from asd.composition import build
from asd.experiment.experiment import Experiment
from asd.training.fit import check_devices, check_precision, choose_device

# Where the window is as long as the shortest clip, which is not known yet: any length does.
_SOME_SECONDS = 10


def check_model(experiment: Experiment) -> None:
    """Refuse a device, a precision or a model that cannot be, without memory for its weights.

    Raises:
        AsdError: names the option.
    """
    options = experiment.config["trainer"]
    device = choose_device(options["accelerator"])
    check_devices(options["devices"], device)
    check_precision(options["precision"], device)
    frontend = experiment.frontend
    frames = experiment.windows.length(frontend, _SOME_SECONDS * frontend.rate)
    shape = {"bands": frontend.bands, "frames": frames}
    with torch.device("meta"):
        build({**experiment.config["model"], **shape}, "model")
