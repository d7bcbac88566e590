"""Clip vectors of the user's own: a ``.npy`` a clip, or an ONNX network that makes them."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import check_regular
from asd.options import check_whole

if TYPE_CHECKING:
    from torch import Tensor


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
        except (OSError, ValueError, TypeError) as error:
            text = f"{path}: cannot be read as an array of numbers: {error}"
            raise AsdError(f"{name}: scoring.vectors: {text}") from error
        if not values.size or values.ndim not in (1, 2):
            raise AsdError(f"{path}: has shape {list(values.shape)}; [size] or [n, size] is needed")
        return values


@dataclass(frozen=True)
class VectorNetwork:
    """A clip vector that an ONNX file makes of samples; ``AsdError`` of one that cannot.

    ``file`` takes float32 [samples], full scale 1, at ``rate`` Hz, which such files do not say, and
    gives [size], or [n, size] in the order of time; before either there may be dimensions of 1.
    """

    file: str
    rate: int

    def __post_init__(self) -> None:
        check_whole("scoring.vectors.rate", self.rate, 1)
        _network(self.file, 1)

    @property
    def version(self) -> str:
        """Hash of the file: another network makes another run."""
        return _content(self.file)

    def __call__(self, frames: Tensor, windows: object) -> Tensor:
        """What it gives of samples [samples, 1]: an ``asd.scoring.clip_vectors.ClipVector``."""
        import torch

        network, taken = _network(self.file, torch.get_num_threads())
        shape = [1] * (len(taken.shape) - 1) + [-1]
        try:
            made = network.run(None, {taken.name: frames.float().numpy().reshape(shape)})[0]
            return frames.new_tensor(np.atleast_1d(made.reshape(made.shape[-2:])))
        except Exception as error:  # onnxruntime's have no common class
            text = f"takes {taken.shape}, and makes no vector of {len(frames)} samples"
            raise AsdError(f"{self.file}: {text}: {error!s:.300}") from error


@functools.cache
def _network(file: str, threads: int) -> tuple[Any, Any]:
    """The session of an ONNX file, and its input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        check_regular(Path(file))
        network = onnxruntime.InferenceSession(Path(file).read_bytes(), options)
        (taken,) = network.get_inputs()
        return network, taken
    except Exception as error:  # likewise
        text = f"cannot be used as an ONNX network of one input: {error!s:.300}"
        raise AsdError(f"scoring.vectors.file={file}: {text}") from error


@functools.cache
def _content(place: str) -> str:
    root, digest = Path(place), hashlib.blake2b(digest_size=8)
    for path in sorted(root.rglob("*.npy")) if root.is_dir() else [root]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()
