"""Declared sweeps: which runs ``sweeps/NAME.yaml`` names, and the table they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asd.composition import folder_of
from asd.errors import AsdError


def sweep_files() -> list[Path]:
    """All declared sweeps."""
    return sorted(folder_of("sweeps").glob("*.yaml"))


def load_sweep(name: str) -> dict[str, Any]:
    """A sweep's declaration: title, overrides, rows, columns and published numbers.

    ``like: NAME`` takes from another sweep what the file does not say itself.

    Raises:
        AsdError: there is no such sweep, or its file cannot be read.
    """
    import yaml

    path = folder_of("sweeps") / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(path.stem for path in sweep_files())
        raise AsdError(f"+sweep={name}: no such sweep; there are {names}")
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
