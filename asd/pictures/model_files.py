"""The files that pictures of a model are drawn from: ``examples.npz`` and ``embeddings.npz``.

With these they need neither the model nor the audio.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import check_regular, replacing

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES, EMBEDDINGS = "examples.npz", "embeddings.npz"
COLUMNS = ["machine", "id", "file", "label", "score"]  # of a clip in either
MAPS = ("input", "reconstruction", "error")


@dataclass(frozen=True)
class KeptClips:
    """Content of either file.

    Args:
        clips: a row a clip, with ``COLUMNS``. In ``examples.npz`` also ``role``: ``median normal``
            or ``most anomalous``.
        arrays: in ``embeddings.npz`` ``values`` [clips, dimensions]. In ``examples.npz``
            ``centre_hz`` [bands], ``hop_seconds``, and [frames, bands] of each clip, by its row:
            ``input_0`` and ``reconstruction_0`` in dB, and ``error_0``, squared, in the domain of
            the score.
    """

    clips: pd.DataFrame
    arrays: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file in one step.

        Raises:
            OSError: it cannot be written.
        """
        about = json.dumps({"clips": self.clips.to_dict("records")})
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, about=np.array(about), **self.arrays)

    @classmethod
    def read(cls, path: Path) -> KeptClips:
        """Read such a file.

        Raises:
            AsdError: it is missing or damaged.
        """
        import pandas as pd

        try:
            check_regular(path)
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            about = json.loads(str(arrays.pop("about")))
            return cls(pd.DataFrame(about["clips"]), arrays)
        except FileNotFoundError as error:
            raise AsdError(f"{path}: no such file") from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise AsdError(f"{path}: damaged ({error}); remove it and score again") from error
