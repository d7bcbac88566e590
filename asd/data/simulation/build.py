"""Makes the clips of a simulated corpus, and reads its manifests."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from asd.cores import cores
from asd.data.manifest import content_hash, sorted_manifest
from asd.data.simulation.clip import PlannedClip, draw_fault, render
from asd.data.threads import in_threads
from asd.errors import AsdError
from asd.files import locked, replacing, write_text

if TYPE_CHECKING:
    import pandas as pd

    from asd.data.simulated import Simulated

MANIFEST = "manifest.csv"  # written last: without it the release is not complete
CAUSES = "causes.csv"
README = """SIMULATED sounds: none of these files is a recording of a real machine.

Made by the package asd (asd.data.simulated.Simulated), in the shape of the DCASE 2020 task 2 data:
<release>/<machine>/{train,test}/{normal,anomaly}_id_<ID>_<number>.wav
Each release has a manifest.csv (the clips and the hashes of their contents) and a causes.csv (what
is wrong in each anomalous clip, and how strongly, from 0 to 1). To have clips made again that you
deleted, delete manifest.csv too.

What defines this corpus:
"""


def ready_manifest(corpus: Simulated, release: str) -> pd.DataFrame:
    """The manifest of a release of a corpus, after making what is not there.

    One process at a time makes clips; others wait for it and then find them there.

    Raises:
        AsdError: the folder cannot be written to, or the disk is full.
    """
    import pandas as pd

    folder, manifest = corpus.folder, corpus.folder / release / MANIFEST
    try:
        if not manifest.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder.with_name(f"{folder.name}.lock"), "makes this corpus"):
                if not manifest.exists():
                    _make(corpus, release)
        return pd.read_csv(manifest, dtype={"id": str, "hash": str}, keep_default_na=False)
    except OSError as error:
        raise AsdError(
            f"{folder}: the simulated corpus cannot be made there ({error.strerror or error});"
            " free some space or set data.root to another folder. What is made so far is kept"
        ) from error


def _make(corpus: Simulated, release: str) -> None:
    """Make what is missing of a release; the caller holds the lock."""
    import pandas as pd

    folder, clips = corpus.folder, list(corpus.clips([release]))
    write_text(folder / "README.txt", README + json.dumps(corpus.definition, indent=1) + "\n")
    make, hashes = partial(make_clip, corpus), list[str]()
    label = f"simulated corpus, {release}"
    in_threads(make, {release: clips}, cores(), label, lambda _, made: hashes.extend(made))
    rows = [
        asdict(clip) | {"path": clip.path, "rate": corpus.rate, "hash": digest}
        for clip, digest in zip(clips, hashes, strict=True)
    ]
    faults = {clip.path: draw_fault(corpus, clip) for clip in clips}
    causes = [(p, fault.cause, f"{fault.strength:.4f}") for p, fault in faults.items() if fault]
    table = pd.DataFrame(causes, columns=["path", "cause", "strength"])
    write_text(folder / release / CAUSES, table.to_csv(index=False))
    table = sorted_manifest(folder, rows).clips
    write_text(folder / release / MANIFEST, table.to_csv(index=False))


def make_clip(corpus: Simulated, clip: PlannedClip) -> str:
    """Make one clip, or leave it if it is there (OSError: it cannot be); its content's hash."""
    import soundfile

    path, buffer = corpus.folder / clip.path, io.BytesIO()
    if path.exists():
        return content_hash(path.read_bytes())
    soundfile.write(buffer, render(corpus, clip), corpus.rate, subtype="PCM_16", format="WAV")
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return content_hash(buffer.getvalue())
