"""Composed configs: where they are, as plain values, and the objects that they describe."""

from __future__ import annotations

import functools
import json
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asd.errors import AsdError
from asd.secrets import redacted

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
    return redacted(shlex.join(["python", "-m", "asd.train", *overrides]))


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
    """Resolvers of the configs: ``one_minus`` (rounded, so that 1 - 0.7 is 0.3), ``by_clips``."""
    OmegaConf.register_new_resolver("one_minus", lambda x: round(1.0 - float(x), 12), replace=True)
    OmegaConf.register_new_resolver("by_clips", _by_clips, replace=True)


def _by_clips(name: str, *, _root_: DictConfig) -> Any:
    """An option of the last rung of ``scale.rungs`` for which a model has the training clips."""
    data = {k: v for k, v in plain(_root_.data).items() if k != "test"}
    clips = _training_clips(json.dumps(data), tuple(_root_.release.train))
    fewest = min(clips, default=0) if _root_.scope.name != "shared" else sum(clips)
    rungs = plain(_root_.scale.rungs)
    return [rungs[0], *(rung for rung in rungs if rung["clips"] <= fewest)][-1][name]


@functools.cache
def _training_clips(data: str, releases: tuple[str, ...]) -> tuple[int, ...]:
    """Training clips of each machine type of a corpus, by their names; as of the first call."""
    with suppress(AsdError):  # whoever trains is told what is missing
        return tuple(build(json.loads(data), "data").check(list(releases)).values())
    return ()


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """The config that ``conf/`` and these overrides give; nothing is resolved yet.

    Raises:
        AsdError: an override does not compose, or would import a package: the overrides may be of
            another's run folder.
    """
    _check_search_path(overrides)
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    register_resolvers()
    try:
        if GlobalHydra.instance().is_initialized():  # inside of a run
            return compose("config", list(overrides))
        with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
            return compose("config", list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise AsdError(str(error)) from error


def _check_search_path(overrides: Sequence[str]) -> None:
    """Refuse folders of configs that Hydra would import to look into; ours are imported already.

    Raises:
        AsdError: names the first.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:  # as Hydra reads it: quotes and backslashes hide nothing
        parsed = OverridesParser.create().parse_overrides(search_path(overrides))
    except HydraException as error:
        raise AsdError(str(error)) from error
    for place in re.findall(r"\w+://[^\s,'\"\]]*", str([override.value() for override in parsed])):
        scheme, _, name = place.partition("://")
        if scheme != "file" and re.split(r"\W", name)[0] not in sys.modules:
            raise AsdError(f"hydra.searchpath: {place} is not imported; give file:///FOLDER")


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
    """The object that a config node (or plain dict) with ``_target_`` describes.

    Raises:
        AsdError: the target cannot be imported, or refuses a value or a name; ``option`` is the
            node's name there.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if not isinstance(cfg, Mapping | DictConfig) or "_target_" not in cfg:
        raise AsdError(f"{option}: must be options with a _target_, which names their class")
    try:
        return instantiate(cfg, _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, AsdError):
            cause = cause.__cause__
        if isinstance(cause, AsdError):
            raise cause from None
        said = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise AsdError(f"{option}: {said}") from error


@functools.cache
def known_names(group: str) -> frozenset[str]:
    """The classes that ``conf/<group>/*.yaml`` name, at whatever depth."""
    texts = [file.read_text() for file in (folder_of("conf") / group).rglob("*.yaml")]
    return frozenset(re.findall(r"^ *_target_: +([\w.]+\.\w+)", "\n".join(texts), re.MULTILINE))


def build_known(node: Any, group: str, allowed: Collection[str] = ()) -> Any:
    """The object that a checkpoint, a run folder or a database describes.

    Such content chooses among classes that ``conf/`` or the user name; no other is imported, and
    nothing within it is. (Hydra, for configs of the user's own, calls whatever is named.)

    Args:
        node: options as plain values, with ``_target_``.
        group: of ``conf/``, whose classes are known.
        allowed: dotted names of further ones, which the user's config or command line names.

    Raises:
        AsdError: another class is named, or this one refuses its options.
    """
    options = dict(node) if isinstance(node, Mapping) else {}
    name = options.pop("_target_", None)
    check_known(name, group, allowed)
    if _names_objects(options):
        raise AsdError(f"{group}: {name}: options from a file may not name objects of their own")
    try:
        return function_of(name, group)(**options)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise AsdError(f"{group}: {name}: {(str(error).splitlines() or [''])[0]}") from error


def check_known(name: object, group: str, allowed: Collection[str] = ()) -> None:
    """Refuse a dotted name from a file that neither ``conf/`` nor the user names.

    Raises:
        AsdError: says how to allow it.
    """
    if not isinstance(name, str) or name not in {*known_names(group), *allowed}:
        raise AsdError(
            f"{group}: the file names {name!r:.200}, which is not part of this program and could "
            "do anything; if you trust file and name: --allow NAME (python -m asd.score), or name "
            "it in your own config"
        )


def _names_objects(value: Any) -> bool:
    """Whether a key or text, however deep, is of those that Hydra and OmegaConf act on."""
    if isinstance(value, Mapping):
        return any(str(k).startswith("_") or _names_objects(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(map(_names_objects, value))
    return isinstance(value, str) and "${" in value


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
