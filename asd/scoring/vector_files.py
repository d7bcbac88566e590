"""Clip vectors that the user has computed, with a pre-trained network say, one ``.npy`` a clip."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asd.errors import AsdError


@dataclass(frozen=True)
class VectorFiles:
    """A clip vector (``asd.scoring.clip_vectors``) that goes by the clip's name.

    ``folder`` has a file for each, named like the column ``file`` of ``scores.csv``. It holds
    [size], or [n, size] in the order of time, of which ``scoring.pooling`` makes one.
    """

    folder: str

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str) or not Path(self.folder).is_dir():
            raise AsdError(f"scoring.vectors.folder={self.folder}: must be a folder of .npy files")

    @property
    def version(self) -> str:
        """Hash of names and contents: other vectors make another run."""
        return _content(self.folder)

    def of_clip(self, name: str) -> np.ndarray:
        """[size] or [n, size] floats; ``AsdError`` where no file holds them."""
        path = (Path(self.folder) / name).with_suffix(".npy")
        try:
            values = np.asarray(np.load(path, allow_pickle=False), np.float64)
        except FileNotFoundError as error:
            raise AsdError(f"{name}: has no vector; scoring.vectors needs {path}") from error
        except (OSError, ValueError, TypeError) as error:
            raise AsdError(f"{path}: cannot be read as an array of numbers: {error}") from error
        if not values.size or values.ndim not in (1, 2):
            raise AsdError(f"{path}: has shape {list(values.shape)}; [size] or [n, size] is needed")
        return values


@functools.cache
def _content(folder: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(folder).rglob("*.npy")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()
