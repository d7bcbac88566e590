"""Composed configs: where they are, as plain values, and the objects that they describe."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asd.errors import AsdError

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


def search_path(overrides: Iterable[str]) -> list[str]:
    """Of Hydra's own overrides that which says where else configs are."""
    return [override for override in overrides if override.startswith("hydra.searchpath=")]


def option_text(value: Any) -> str:
    """A plain value in the syntax of overrides.

    >>> [option_text(v) for v in (None, True, 1e-05, "mel", ["fan", "00"], {"fan": [[2, 5]]})]
    ['null', 'true', '1e-05', 'mel', '[fan,"00"]', '{fan:[[2,5]]}']
    """
    text = json.dumps(value, separators=(",", ":"), default=str)
    return re.sub(r'"([A-Za-z_][\w.]*)"', r"\1", text)


def register_resolvers() -> None:
    """Resolvers of the configs: ``one_minus`` (rounded, so that 1 - 0.7 is 0.3)."""
    OmegaConf.register_new_resolver("one_minus", lambda x: round(1.0 - float(x), 12), replace=True)


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """The config that ``conf/`` and these overrides give; nothing is resolved yet.

    Raises:
        AsdError: an override does not compose.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    register_resolvers()
    try:
        if GlobalHydra.instance().is_initialized():  # inside of a run
            return compose("config", list(overrides))
        with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
            return compose("config", list(overrides))
    except HydraException as error:
        raise AsdError(str(error)) from error


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


def function_of(name: str, option: str, known: Mapping[str, Any] | None = None) -> Any:
    """The function of a dotted name, or of a short one among those known.

    Raises:
        AsdError: there is no such function; names the option.
    """
    if known and name in known:
        return known[name]
    from hydra.utils import get_method

    try:
        return get_method(name)
    except Exception as error:  # Hydra raises many kinds, of importing and of finding
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AsdError(f"{option}={name}: {reason}") from error
