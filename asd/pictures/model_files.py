"""The files that pictures of a model are drawn from: ``examples.npz`` and ``embeddings.npz``.

With these they need neither the model nor the audio.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError
from asd.files import replacing

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES, EMBEDDINGS = "examples.npz", "embeddings.npz"
COLUMNS = ["machine", "id", "file", "label", "score"]  # of a clip in either
_MAPS = ("input", "reconstruction", "error")

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


def write_examples(path: Path, examples: Examples) -> None:
    """Write ``examples.npz`` in one step.

    Raises:
        OSError: it cannot be written.
    """
    clips = [asdict(clip) for clip in examples.clips]
    arrays = {f"{name}_{i}": clip.pop(name) for i, clip in enumerate(clips) for name in _MAPS}
    facts = {"hop_seconds": examples.hop_seconds, "clips": clips}
    _write(path, {**arrays, "centre_hz": examples.centre_hz}, facts)


def read_examples(path: Path) -> Examples:
    """Read ``examples.npz``.

    Raises:
        AsdError: it is missing or damaged.
    """
    with _reading(path) as (arrays, facts):
        clips = [
            Example(**clip, **{name: arrays[f"{name}_{i}"] for name in _MAPS})
            for i, clip in enumerate(facts["clips"])
        ]
        return Examples(arrays["centre_hz"], float(facts["hop_seconds"]), clips)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write ``embeddings.npz`` in one step.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, {"values": embeddings.values}, embeddings.clips[COLUMNS].to_dict("list"))


def read_embeddings(path: Path) -> Embeddings:
    """Read ``embeddings.npz``.

    Raises:
        AsdError: it is missing or damaged.
    """
    import pandas as pd

    with _reading(path) as (arrays, facts):
        return Embeddings(arrays["values"], pd.DataFrame(facts)[COLUMNS])


def _write(path: Path, arrays: dict[str, Any], facts: dict[Any, Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, about=np.array(json.dumps(facts)), **arrays)


@contextmanager
def _reading(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Arrays and facts of a file; what does not fit in them is the file's fault."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        yield arrays, json.loads(str(arrays["about"]))
    except FileNotFoundError as error:
        raise AsdError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise AsdError(f"{path}: damaged ({error}); remove it and score again") from error
