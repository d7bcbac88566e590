"""What is drawn of a run: the options, and a few clips as a model sees them, kept while it scores.

``examples.npz`` holds these, so that pictures need neither the model nor the audio.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import check_regular, replacing
from asd.options import check_choice, check_whole

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("roc", "scores", "training", "clips")
EXAMPLES = "examples.npz"
COLUMNS = ["machine", "id", "file", "label", "score"]  # of a clip in it
MAPS = ("input", "reconstruction", "error")


@dataclass(frozen=True)
class PictureOptions:
    """The config group ``pictures``. Cannot change a result.

    Args:
        enabled: false: no pictures, and no files for them.
        in_sweeps: of ``KINDS``, those that are drawn at the end of a run of a sweep.
        anomalous: how many of the highest-scoring clips of a machine type are shown.
    """

    enabled: bool
    in_sweeps: Sequence[str]
    anomalous: int

    def __post_init__(self) -> None:
        check_choice("pictures.enabled", self.enabled, (True, False))
        for kind in self.in_sweeps:
            check_choice("pictures.in_sweeps", kind, KINDS)
        check_whole("pictures.anomalous", self.anomalous, 0)


@dataclass(frozen=True)
class KeptClips:
    """Content of ``examples.npz``.

    Args:
        clips: a row a clip, with ``COLUMNS`` and ``role``: ``median normal`` or
            ``most anomalous``.
        arrays: ``centre_hz`` [bands], ``hop_seconds``, and [frames, bands] of each clip, by its
            row: ``input_0`` and ``reconstruction_0`` in dB, and ``error_0``, squared, in the domain
            of the score.
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


def chosen(scores: pd.DataFrame, anomalous: int) -> list[tuple[str, int]]:
    """(role, row) of the clips to show: the median normal, then those of the highest scores.

    Where no clip is known to be normal, the median of all stands for it.
    """
    if scores.empty:
        return []
    scores = scores.reset_index(drop=True)
    normal = scores[scores["label"] == 0]["score"]
    role, among = ("median normal", normal) if len(normal) else ("median", scores["score"])
    median = among.sort_values(kind="stable").index[(len(among) - 1) // 2]
    top = scores["score"].sort_values(kind="stable", ascending=False).index[:anomalous]
    return [(role, int(median)), *(("most anomalous", int(row)) for row in top)]
