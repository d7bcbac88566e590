"""What a run is called in MLflow, and which of its options are worth a column there."""

from __future__ import annotations

import getpass
import os
import shlex
from typing import Any

from asd.experiment.identity import flat

# Config groups whose choice belongs into a run's name where the command line makes it.
_GROUPS = ("release", "frontend", "window", "model", "loss", "scope", "trainer", "scoring")


def run_params(config: dict[str, Any], delta: dict[str, Any], command: str) -> dict[str, Any]:
    """The options in which runs differ: system, seed, what the command line sets, and the delta.

    What the command line sets counts even where it is the default, so that every run of a sweep
    has the sweep's axes. Left out are what cannot change a result (``identity.exclude``), and what
    only repeats ``scale``. A part's class goes by its short name: ``frontend: Mel``.

    Args:
        config: the composed config.
        delta: what differs from the base config.
        command: that started the run.
    """
    excluded = config["identity"]["exclude"]
    everything = flat(config)
    scale = {n.rsplit(".", 1)[-1]: v for n, v in everything.items() if n.startswith("scale.")}
    named = [name for name in _options(command) if name in everything]
    params = {"system": config["system"], "seed": config["seed"]}
    for name in [*named, *delta]:
        value, last = everything[name], name.rsplit(".", 1)[-1]
        if any(name == e or name.startswith(f"{e}.") for e in excluded):
            continue
        if name not in named and name != "scale.name":
            same = (last, f"{name.split('.')[0]}_{last}")
            if name.startswith("scale.") or any(n in scale and scale[n] == value for n in same):
                continue
        if last == "_target_":
            name, value = name.removesuffix("._target_"), str(value).rsplit(".", 1)[-1]
        params[name] = value
    return params


def run_name(base: str, command: str, params: dict[str, Any]) -> str:
    """The run's name: ``U seed 0``, and what else its command line sets of the science.

    >>> run_name("U seed 0", "python -m asd.train +experiment=u seed=0 trainer.batch_size=8",
    ...          {"seed": 0, "trainer.batch_size": 8})
    'U seed 0, batch_size 8'
    >>> run_name("U seed 0", "python -m asd.train +experiment=u frontend=mel", {"seed": 0})
    'U seed 0, frontend mel'
    """
    parts = [
        f"{name.rsplit('.', 1)[-1]} {value}"
        for name, value in _options(command).items()
        if ("." in name and name in params) or name in _GROUPS
    ]
    return ", ".join([base, *parts])


def user_name() -> str:
    """Who trains: as the tracking server knows them, else as the machine does."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"


def _options(command: str) -> dict[str, str]:
    """The options that a command line sets, without Hydra's leading plus signs."""
    words = [w.lstrip("+") for w in shlex.split(command) if "=" in w and not w.startswith("~")]
    return dict(w.split("=", 1) for w in words)
