"""The files that pictures of a model are drawn from: ``examples.npz`` and ``embeddings.npz``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES, EMBEDDINGS = "examples.npz", "embeddings.npz"
TEXTS = ("machine", "id", "file", "label", "score")  # of a clip in either

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """A clip as the network saw it.

    Args:
        role: ``median normal`` or ``most anomalous``.
        input, reconstruction: [frames, bands] in dB.
        error: [frames, bands], squared, in the domain of the score.
    """

    role: str
    machine: str
    id: str
    file: str
    label: int
    score: float
    input: Floats
    reconstruction: Floats
    error: Floats


@dataclass(frozen=True)
class Examples:
    """Content of ``examples.npz``: the clips, and their axes."""

    centre_hz: npt.NDArray[np.float64]
    hop_seconds: float
    clips: list[Example]


@dataclass(frozen=True)
class Embeddings:
    """Content of ``embeddings.npz``: ``values`` [clips, dimensions], and a row a clip."""

    values: Floats
    clips: pd.DataFrame


def write_examples(path: Path, examples: Examples) -> Path:
    """Write ``examples.npz`` in one step.

    Raises:
        AsdError: it cannot be written.
    """
    arrays: dict[str, Any] = {}
    about = []
    for number, clip in enumerate(examples.clips):
        for name in ("input", "reconstruction", "error"):
            arrays[f"{name}_{number}"] = getattr(clip, name)
        names = ("role", "machine", "id", "file", "label", "score")
        about.append({name: getattr(clip, name) for name in names})
    arrays["centre_hz"] = examples.centre_hz
    return _write(path, arrays, {"hop_seconds": examples.hop_seconds, "clips": about})


def read_examples(path: Path) -> Examples:
    """Read ``examples.npz``.

    Raises:
        AsdError: it is missing or damaged.
    """
    arrays, about = _read(path)
    try:
        clips = [
            Example(**clip, **{k: arrays[f"{k}_{i}"] for k in ("input", "reconstruction", "error")})
            for i, clip in enumerate(about["clips"])
        ]
        return Examples(arrays["centre_hz"], float(about["hop_seconds"]), clips)
    except (KeyError, TypeError) as error:
        raise AsdError(f"{path}: not a file of examples ({error}); remove it") from error


def write_embeddings(path: Path, embeddings: Embeddings) -> Path:
    """Write ``embeddings.npz`` in one step.

    Raises:
        AsdError: it cannot be written.
    """
    table = {name: embeddings.clips[name].tolist() for name in TEXTS}
    return _write(path, {"values": embeddings.values}, table)


def read_embeddings(path: Path) -> Embeddings:
    """Read ``embeddings.npz``.

    Raises:
        AsdError: it is missing or damaged.
    """
    import pandas as pd

    arrays, about = _read(path)
    try:
        return Embeddings(arrays["values"], pd.DataFrame({name: about[name] for name in TEXTS}))
    except (KeyError, ValueError) as error:
        raise AsdError(f"{path}: not a file of embeddings ({error}); remove it") from error


def _write(path: Path, arrays: dict[str, Any], about: dict[str, Any]) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise AsdError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about: dict[str, Any] = json.loads(str(arrays.pop("about")))
    except FileNotFoundError as error:
        raise AsdError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise AsdError(f"{path}: damaged ({error}); remove it and score again") from error
    return arrays, about
