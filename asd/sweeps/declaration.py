"""Declared sweeps: ``+sweep=NAME`` stands for the overrides that ``sweeps/NAME.yaml`` lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asd.config import folder_of
from asd.errors import AsdError

#: How the program's own arguments begin that say which sweep they are of.
NAMED = "sweep.name="
_OPTIONS = ("+sweep=", "sweep=")


def load_sweep(name: str) -> dict[str, Any]:
    """A sweep's declaration: title, overrides, rows, columns and published numbers.

    ``like: NAME`` takes from another sweep what the file does not say itself.

    Raises:
        AsdError: there is no such sweep, or its file cannot be read.
    """
    import yaml

    folder = folder_of("sweeps")
    path = folder / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise AsdError(f"+sweep={name}: no such sweep; there are {there}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise AsdError(f"{path}: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not isinstance(content.get("overrides"), dict):
        raise AsdError(f"{path}: needs `overrides`, a mapping of options to lists of values")
    if "like" in content:
        other = load_sweep(str(content.pop("like")))
        overrides = {**other["overrides"], **content["overrides"]}
        content = {**other, **content, "overrides": overrides}
    return content


def expand(arguments: list[str]) -> list[str]:
    """Command-line arguments with ``+sweep=NAME`` replaced by what it declares.

    An option that the user gives as well is the user's. The sweep's runs share an MLflow experiment
    of its name.

    Raises:
        AsdError: no such sweep, or it is asked for without ``--multirun``.
    """
    named = [a for a in arguments if a.startswith(_OPTIONS)]
    if not named:
        return arguments
    if not {"-m", "--multirun"} & set(arguments):
        raise AsdError(f"{named[0]}: a sweep is several runs; add -m")
    rest = [a for a in arguments if a not in named]
    given = {a.split("=", 1)[0].lstrip("+") for a in rest if "=" in a}
    if len(named) > 1:
        raise AsdError(f"{' '.join(named)}: one sweep at a time")
    for argument in named:
        name = argument.split("=", 1)[1]
        for option, values in load_sweep(name)["overrides"].items():
            if option.lstrip("+") not in given:
                values = values if isinstance(values, list) else [values]
                rest.append(f"{option}={','.join(map(str, values))}")
        if "tracking.experiment" not in given:
            rest.append(f"tracking.experiment={name}")
        rest.append(f"{NAMED}{name}")
    return rest


def sweep_files() -> list[Path]:
    """All declared sweeps."""
    return sorted(folder_of("sweeps").glob("*.yaml"))
