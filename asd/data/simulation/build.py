"""Brings the folder of a simulated corpus to completeness, and reads its manifests."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asd.cores import cores
from asd.data.manifest import COLUMNS, content_hash, sorted_manifest
from asd.data.simulation.clip import PlannedClip, SoundSettings, draw_fault, render
from asd.data.threads import in_threads
from asd.errors import AsdError
from asd.files import locked, replacing, write_text

if TYPE_CHECKING:
    import pandas as pd

    from asd.data.simulated import Simulated

MANIFEST = "manifest.csv"  # written last: without it the release is not complete
CAUSES = "causes.csv"
HEADER_BYTES = 44  # of a mono 16-bit PCM WAV as libsndfile writes it
TEMPORARY = ".partial"  # how the name of a file ends that `asd.files.replacing` is writing
README = """SIMULATED sounds: none of these files is a recording of a real machine.

Made by the package asd (asd.data.simulated.Simulated), in the shape of the DCASE 2020 task 2 data:
<release>/<machine>/{train,test}/{normal,anomaly}_id_<ID>_<number>.wav
Each release has a manifest.csv (the clips and the hashes of their contents) and a causes.csv (what
is wrong in each anomalous clip, and how strongly, from 0 to 1). What is deleted is made again.

What defines this corpus:
"""


def ready_manifest(corpus: Simulated, release: str) -> pd.DataFrame:
    """The manifest of a release of a corpus, after making what is not there.

    One process at a time makes clips; others wait for it and then find them there.

    Raises:
        AsdError: the folder cannot be written to, or the disk is full.
    """
    folder, clips = corpus.folder, list(corpus.clips([release]))
    table = _complete(folder / release, clips)
    if table is not None:
        return table
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock"), "makes this corpus"):
            table = _complete(folder / release, clips)
            return _make(corpus, release, clips) if table is None else table
    except OSError as error:
        raise AsdError(
            f"{folder}: the simulated corpus cannot be made there ({error.strerror or error});"
            " free some space or set data.root to another folder. What is made so far is kept"
        ) from error


def _make(corpus: Simulated, release: str, clips: Sequence[PlannedClip]) -> pd.DataFrame:
    """Make what is missing of a release; the caller holds the lock."""
    import pandas as pd

    folder, settings = corpus.folder, corpus.settings
    for left_over in folder.glob(f"{release}/*/*/.*{TEMPORARY}"):  # of a process that was killed
        left_over.unlink(missing_ok=True)
    write_text(folder / "README.txt", README + json.dumps(corpus.definition, indent=1) + "\n")
    (folder / release / MANIFEST).unlink(missing_ok=True)

    make, hashes = partial(make_clip, folder, settings), list[str]()
    label, workers = f"simulated corpus, {release}", corpus.workers or cores()
    in_threads(make, {release: clips}, workers, label, lambda _, made: hashes.extend(made))
    rows = [
        asdict(clip) | {"path": clip.path, "rate": settings.rate, "hash": digest}
        for clip, digest in zip(clips, hashes, strict=True)
    ]
    faults = {clip.path: draw_fault(settings, clip) for clip in clips}
    causes = [(p, fault.cause, f"{fault.strength:.4f}") for p, fault in faults.items() if fault]
    table = pd.DataFrame(causes, columns=["path", "cause", "strength"])
    write_text(folder / release / CAUSES, table.to_csv(index=False))
    table = sorted_manifest(folder, rows).clips
    write_text(folder / release / MANIFEST, table.to_csv(index=False))
    return table


def wav_bytes(samples: int) -> int:
    """Size of the file of a clip of so many samples."""
    return HEADER_BYTES + 2 * samples


def encode_wav(samples: NDArray[np.int16], rate: int) -> bytes:
    """The WAV file of these samples, [n] at ``rate`` Hz."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def make_clip(folder: Path, settings: SoundSettings, clip: PlannedClip) -> str:
    """Make one clip, or leave it if it is there with the right size; its content's hash.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / clip.path
    if path.exists() and path.stat().st_size == wav_bytes(clip.samples):
        return content_hash(path.read_bytes())
    data = encode_wav(render(settings, clip), settings.rate)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return content_hash(data)


def _complete(folder: Path, clips: Sequence[PlannedClip]) -> pd.DataFrame | None:
    """The manifest of a release if it lists exactly its clips and all are there in full size."""
    import pandas as pd

    wanted, text = {clip.path: clip.samples for clip in clips}, {"id": str, "hash": str}
    try:
        (folder / CAUSES).stat()
        table = pd.read_csv(folder / MANIFEST, dtype=text, keep_default_na=False)
        if list(table.columns) != COLUMNS or any(
            (folder.parent / path).stat().st_size != wav_bytes(samples)
            for path, samples in wanted.items()
        ):
            return None
    except (FileNotFoundError, NotADirectoryError, pd.errors.ParserError, pd.errors.EmptyDataError):
        return None
    listed = dict(zip(table["path"], table["samples"], strict=True))
    return table if listed == wanted and len(table) == len(wanted) else None
