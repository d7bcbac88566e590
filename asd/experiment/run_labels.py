"""What a run is called, and which of its options are worth a column in MLflow."""

from __future__ import annotations

import copy
import functools
import getpass
import os
import re
import shlex
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asd.composition import compose_config, option_text, plain
from asd.experiment.identity import MISSING, departures, flat, settings

# Config groups whose choice names a departure from a preset, where the command line makes it.
_GROUPS = (
    "release", "frontend", "window", "model", "loss", "scope", "trainer", "scoring",
    "scoring/pooling",
)  # fmt: skip
# What a command line starts from; all else of it departs from that.
_PRESET = ("hydra.searchpath", "experiment", "data", "scale")
# How many departures a label names, before it only counts the rest.
_MOST = 6
# Of a param that a run has no use for; without a network, of all in these groups.
_UNUSED, _OF_TRAINING = "none", ("model", "loss", "trainer")


def run_params(config: dict[str, Any], command: str) -> dict[str, Any]:
    """The options by which runs are compared: ``tracking.params``, and what the command line sets.

    Every run has the former, and every run of a sweep the sweep's axes, so that MLflow's parallel
    coordinates lack no value. Left out is what cannot change a result (``identity.exclude``). A
    part's class goes by its short name: ``frontend: Mel``. A loss of the reconstruction alone is
    eq. 1 at alpha = 1; an option that the run has no use for is ``none``.
    """
    everything = {"loss.alpha": 1.0, **flat(config)}
    trains, of_result = everything["model._target_"] is not None, settings(config)
    named = [name for name in options_of(command) if name in of_result]
    params = {"system": config["system"], "seed": config["seed"]}
    for name in [*config["tracking"]["params"], *named]:
        if name in everything and (trains or name.split(".")[0] not in _OF_TRAINING):
            params[name] = everything[name]
        else:
            params[name] = str(everything.get(f"{name}._target_") or _UNUSED).rsplit(".", 1)[-1]
    return params


def run_name(config: dict[str, Any], command: str, shared: Sequence[str] = ()) -> str:
    """A run's name in MLflow and sweeps: ``U seed 0``, and its ``variation``."""
    return ", ".join([config["tracking"]["run_name"], *variation(config, command, shared)])


def system_label(config: dict[str, Any], command: str, **given: Any) -> str:
    """What titles and tables call a run: its system, and its ``variation``."""
    return ", ".join([config["system"], *variation(config, command, **given)])


def variation(
    config: dict[str, Any], command: str, shared: Sequence[str] = (), **given: Any
) -> list[str]:
    """How a run departs from the preset that its command names; nothing if it does not.

    What follows from a departure by an interpolation is not repeated, nor what the system's name
    says already (``SS-${loss.alpha}-${one_minus:${loss.alpha}}``).

    Args:
        config: the run's, as plain values.
        command: that started it.
        shared: overrides of it that need not be said.
        given: as ``preset``.

    Returns:
        Such as ``["model dense_ae", "max_epochs 5"]``.

    Raises:
        AsdError: there is no such preset, or no such choice.
    """
    typed = options_of(command)
    start = [f"{'+' * (n == 'experiment')}{n}={typed[n]}" for n in _PRESET if n in typed]
    common = [o for o in shared if o.lstrip("+").split("=")[0] not in _PRESET]
    start += common
    base = preset(start, **given)
    # A name of the user's own hides what it is.
    named = plain(base)["system"]
    of = [f"settings of {named}"] if typed.get("system", named) != named else []
    if not (changed := departures(config, plain(base))):
        return of
    groups = [g for g in _GROUPS if g in typed and f"{g}={typed[g]}" not in common]
    groups = [g for g in groups if any(n.startswith(g.replace("/", ".") + ".") for n in changed)]
    base = preset([*start, *(f"{group}={typed[group]}" for group in groups)], **given)
    texts = [*of, *(f"{group.split('/')[-1]} {typed[group]}" for group in groups)]
    raw, ours = flat(OmegaConf.to_container(base)), flat(config)  # type: ignore[arg-type]
    said = [] if of else re.findall(r"\$\{([\w.]+)\}", raw["system"])
    short = [name.split(".", 1)[-1] for name in ours if not name.startswith("scale.")]
    # First what is set by value, then what does not follow from it.
    for follows in (False, True):
        for name in departures(config, plain(base)):
            if name not in ours or (not follows and "${" in str(raw.get(name))):
                continue
            OmegaConf.update(base, name, ours[name], force_add=True)
            group, _, last = name.partition(".")
            if last == "_target_":
                texts.append(f"{group} {ours[name].rsplit('.', 1)[-1]}")
            elif name not in said:
                option, value = last if short.count(last) == 1 else name, ours[name]
                digits = f"{value:.4g}" if isinstance(value, float) else option_text(value)
                texts.append(f"{option} {digits}")
    lacking = [n for n, value in departures(config, plain(base)).items() if value == MISSING]
    texts += [f"without {name}" for name in lacking]
    return texts if len(texts) <= _MOST else [*texts[:_MOST], f"{len(texts) - _MOST} options more"]


def preset(overrides: Sequence[str], **given: Any) -> DictConfig:
    """What these overrides compose to today, interpolations open; a copy.

    Args:
        overrides: such as ``+experiment=u data=dcase2020``.
        given: groups that are taken as they are, whatever is composed: ``data={...}``.

    Raises:
        AsdError: an override does not compose.
    """
    config = copy.deepcopy(_composed(tuple(overrides)))
    for name, value in given.items():
        OmegaConf.update(config, name, value, merge=False, force_add=True)
    return config


@functools.cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose_config(overrides)


def user_name() -> str:
    """Who trains: as the tracking server knows them, else as the machine does."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user need not have a name
        return "unknown"


def options_of(command: str) -> dict[str, str]:
    """The options that a command line sets, without Hydra's leading plus signs."""
    words = [w.lstrip("+") for w in shlex.split(command) if "=" in w and not w.startswith("~")]
    return dict(w.split("=", 1) for w in words)
