"""Which options a composed config may have: those of the files in ``conf/``.

A part that is built from its options refuses others itself, so that a part from outside brings its
own; what no part is built from is checked here, and whether a list, number or switch is one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asd.composition import folder_of
from asd.errors import AsdError
from asd.experiment.identity import flat
from asd.options import check_names, hint

# Groups that no part is built from, and the file that lists their options; None: that of ``name``.
_PLAIN = {"paths": "default", "tracking": "mlflow", "release": None, "scale": None, "scope": None}
_KINDS: dict[Any, str] = {
    bool: "true or false", list: "a list", int | float: "a number", str: "a text",
    object: "anything",
}  # fmt: skip
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def check_schema(config: Mapping[str, Any]) -> None:
    """Refuse options that nothing reads, and the lack of those that something does.

    Raises:
        AsdError: names the option, and the nearest that there is.
    """
    conf = folder_of("conf")
    root = _content(conf / "config.yaml")
    entries = [entry for entry in root["defaults"] if isinstance(entry, dict)]
    groups = {name for entry in entries for name in entry if " " not in name}
    options = set(root) - {"defaults", "hydra"} | groups
    check_names("", config, options)
    for name in sorted(options):
        if not isinstance(config[name], dict) and (name in groups or isinstance(root[name], dict)):
            raise AsdError(f"{name}={config[name]}: must be a group of options, not a value")
        if name in _PLAIN:
            choice = _PLAIN[name] or config[name].get("name")
            if not isinstance(choice, str):
                raise AsdError(f"{name}.name={choice}: must be a text")
            file = conf / name / f"{choice}.yaml"
            if file.exists():  # or it is the user's, with options of theirs
                _check_options(config, name, flat(config[name]), flat(_content(file)))
        elif name in groups:
            for known in map(_content, (conf / name).glob("*.yaml")):
                if "_target_" in known and known["_target_"] == config[name].get("_target_"):
                    _check_options(config, name, config[name], known)
        elif name != "listeners" and isinstance(root[name], dict):
            check_names(f"{name}.", flat(config[name]), flat(root[name]))


def refusal(error: Exception) -> str:
    """What Hydra says of an override that does not compose; of an unknown option in our words.

    Hydra proposes to add it. Ours name the nearest that a file of ``conf/`` has.
    """
    unknown = re.match(r"Could not override '([^']+)'", str(error))
    if unknown is None:
        return str(error)
    conf = folder_of("conf")
    known = list(flat(_content(conf / "config.yaml")))
    for file in conf.glob("*/*.yaml"):
        if file.parent.name not in ("experiment", "hydra"):
            known += [f"{file.parent.name}.{name}" for name in flat(_content(file))]
    return f"{unknown[1]}: no such option{hint(unknown[1], known)}; --help lists them"


def _check_options(
    config: Mapping[str, Any], group: str, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """Refuse other options than a file of the group has, and values of another kind.

    The group's class would refuse them too, but to ask it torch must be imported.
    """
    check_names(f"{group}.", given, defaults)
    everything = flat(config)
    for name, default in defaults.items():
        if isinstance(default, str) and (reference := _REFERENCE.fullmatch(default)):
            default = everything.get(reference[1])
        elif "${" in str(default) and ":" in str(default):  # what a resolver gives
            continue
        kind = next(kind for kind in _KINDS if isinstance(default, kind))
        needed = group in ("paths", "release") or kind is list or "${" in str(default)
        if not isinstance(given[name], kind if needed else kind | None):
            raise AsdError(f"{group}.{name}={given[name]}: must be {_KINDS[kind]}, as {default}")


@functools.cache
def _content(file: Path) -> dict[str, Any]:
    import yaml

    content = yaml.safe_load(file.read_text())
    content.pop("defaults", None) if file.name != "config.yaml" else None
    return dict(content)
