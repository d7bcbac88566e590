"""What a run is called in MLflow, and which of its options are worth a column there."""

from __future__ import annotations

import shlex
from typing import Any


def run_params(config: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """The options in which runs differ: system, seed, and what is not as in the base config.

    Left out: what cannot change a result (``identity.exclude``), and the numbers of ``scale``,
    which stand again where they are used. A part's class goes by its short name: ``frontend: Mel``.
    """
    excluded = config["identity"]["exclude"]
    params = {"system": config["system"], "seed": config["seed"]}
    for name, value in delta.items():
        if any(name == e or name.startswith(f"{e}.") for e in excluded):
            continue
        if name.startswith("scale.") and name != "scale.name":
            continue
        if name.endswith("._target_"):
            name, value = name.removesuffix("._target_"), str(value).rsplit(".", 1)[-1]
        params[name] = value
    return params


def run_name(base: str, command: str, params: dict[str, Any]) -> str:
    """The run's name: ``U seed 0``, and what else its command line sets by value.

    >>> run_name("U seed 0", "python -m asd.train +experiment=u trainer.batch_size=8",
    ...          {"trainer.batch_size": 8})
    'U seed 0, batch_size 8'
    """
    options = dict(w.lstrip("+").split("=", 1) for w in shlex.split(command) if "=" in w)
    set_here = [name for name in options if "." in name and name in params]
    return ", ".join([base, *(f"{n.rsplit('.', 1)[-1]} {options[n]}" for n in set_here)])
