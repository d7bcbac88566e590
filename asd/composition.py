"""Where the configs are, the resolvers they use, and the checks that need no data and no torch."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asd.data.manifest import RELEASES
from asd.errors import AsdError
from asd.search.objectives import OBJECTIVES

_PACKAGE = Path(__file__).resolve().parent


def folder_of(name: str) -> Path:
    """The folder ``conf`` or ``sweeps``: inside the package in a wheel, beside it in a checkout.

    Raises:
        AsdError: neither is there.
    """
    for candidate in (_PACKAGE / "share" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise AsdError(f"{_PACKAGE.parent / name}: folder missing; install the project again")


def command_of(overrides: Sequence[str]) -> str:
    """What a user types to start or resume the run with these overrides."""
    return shlex.join(["python", "-m", "asd.train", *overrides])


def register_resolvers() -> None:
    """Resolvers of the configs: ``one_minus`` (rounded, so that 1 - 0.7 is 0.3)."""
    OmegaConf.register_new_resolver("one_minus", lambda x: round(1.0 - float(x), 12), replace=True)


def plain(cfg: Any) -> Any:
    """A config as plain Python values, interpolations resolved.

    Raises:
        AsdError: a value is missing or refers to one that is not there.
    """
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise AsdError(f"config: {str(error).splitlines()[0]}") from error


def build(cfg: Any, option: str) -> Any:
    """The object that a config with ``_target_`` describes.

    Args:
        cfg: the config node (or plain dict).
        option: the node's name, for messages.

    Raises:
        AsdError: the target cannot be imported, or refuses a value or a name.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(cfg, _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, AsdError):
            raise cause from None
        raise AsdError(f"{option}: {str(cause).splitlines()[0]}") from error


def one_of(option: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a value that is not one of those allowed.

    Raises:
        AsdError: names the option, the values allowed, and the nearest of them.
    """
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise AsdError(f"{option}={value}: must be one of {', '.join(map(str, allowed))}{hint}")


def _number(option: str, value: object, low: float, high: float, integer: bool = False) -> None:
    kinds = (int,) if integer else (int, float)
    ok = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
    if not ok:
        kind = "a whole number" if integer else "a number"
        top = "or more" if high == float("inf") else f"to {high:g}"
        raise AsdError(f"{option}={value}: must be {kind}, {low:g} {top}")


def _check_devices(trainer: dict[str, Any]) -> None:
    devices = trainer["devices"]
    _number("trainer.devices", devices, 1, float("inf"), integer=True)
    if devices > trainer["batch_size"]:
        raise AsdError(
            f"trainer.devices={devices}: a batch is shared out, and one of "
            f"trainer.batch_size={trainer['batch_size']} leaves devices without a window; "
            "choose fewer devices"
        )
    for option in ("compile", "cuda_graphs"):
        if devices > 1 and trainer[option]:
            raise AsdError(
                f"trainer.{option}=true with trainer.devices={devices}: only on one device; "
                f"use trainer.{option}=false or trainer.devices=1"
            )


def check(cfg: DictConfig | dict[str, Any]) -> None:
    """Refuse what cannot work, before anything is computed and without torch.

    The components' own options are checked by their constructors; here is what concerns several of
    them or none.

    Raises:
        AsdError: names the option and the values allowed.
    """
    values = plain(cfg) if isinstance(cfg, DictConfig) else cfg
    trainer, scope = values["trainer"], values["scope"]["name"]
    inf = float("inf")
    one_of("if_running", values["if_running"], ("refuse", "wait"))
    objectives = values["search"]["objectives"]
    if not isinstance(objectives, list) or not objectives:
        raise AsdError("search.objectives: must be a list, such as [validation_loss]")
    for objective in objectives:
        one_of("search.objectives", objective, tuple(OBJECTIVES))
    one_of("scope", scope, ("shared", "per_machine"))
    one_of("data.test", values["data"]["test"], ("development", "evaluation"))
    for release in values["release"]["train"]:
        one_of("release.train", release, RELEASES[:2])
    _number("seed", values["seed"], 0, 2**32 - 1, integer=True)
    _number("trainer.max_epochs", trainer["max_epochs"], 1, inf, integer=True)
    _number("trainer.batch_size", trainer["batch_size"], 2, inf, integer=True)
    _number("trainer.learning_rate", trainer["learning_rate"], 1e-12, inf)
    _number("trainer.validation_fraction", trainer["validation_fraction"], 1e-6, 0.9)
    if trainer["plateau"] is not None:
        _number("trainer.plateau.factor", trainer["plateau"]["factor"], 1e-6, 1 - 1e-6)
        _number("trainer.plateau.patience", trainer["plateau"]["patience"], 0, inf, integer=True)
    if trainer["stop_patience"] is not None:
        _number("trainer.stop_patience", trainer["stop_patience"], 1, inf, integer=True)
    if trainer["threads"] is not None:
        _number("trainer.threads", trainer["threads"], 1, inf, integer=True)
    _check_devices(trainer)
    one_of("trainer.weights", trainer["weights"], ("best", "last"))
    one_of("trainer.accelerator", trainer["accelerator"], ("auto", "cpu", "gpu"))
    one_of("trainer.precision", trainer["precision"], ("32-true", "bf16-mixed", "64-true"))
    one_of(
        "trainer.memory_format",
        trainer["memory_format"],
        ("auto", "contiguous", "channels_last"),
    )
    for switch in ("deterministic", "keep_freed_memory", "fused_adam", "compile", "cuda_graphs"):
        one_of(f"trainer.{switch}", trainer[switch], (True, False))
    background = trainer["checkpoint_in_background"]
    one_of("trainer.checkpoint_in_background", background, ("auto", True, False))
    _number("trainer.gpu_share", trainer["gpu_share"], 0, 1)
    one_of("trainer.progress", trainer["progress"], ("auto", "bar", "lines", "off"))
    one_of("features.dtype", values["features"]["dtype"], ("float32", "float16"))
    one_of("features.shared", values["features"]["shared"], ("auto", True, False))
    one_of("scoring.score", values["scoring"]["score"], ("mse", "mse_db", "combined"))
    _number("scoring.batch_frames", values["scoring"]["batch_frames"], 1, inf, integer=True)
    one_of("scoring.form", values["scoring"]["form"], ("auto", "plain"))
    _number("scoring.max_fpr", values["scoring"]["max_fpr"], 1e-9, 1.0)
    classes = values["loss"].get("classes")
    if classes == "machine" and scope == "per_machine":
        raise AsdError(
            "loss=semi_supervised with scope=per_machine: one machine type is a single class, so "
            "there is nothing to classify; choose scope=shared or loss.classes=id"
        )
    if values["scoring"]["score"] == "combined" and classes is None:
        raise AsdError("scoring=combined needs a classifier: choose loss=semi_supervised")
