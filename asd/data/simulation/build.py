"""Brings the folder of a simulated corpus to completeness, and reads its manifests."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.data.manifest import COLUMNS, sorted_manifest
from asd.data.simulation.clip import PlannedClip, SoundSettings, draw_fault
from asd.data.simulation.making import TEMPORARY, clip_hashes, wav_bytes
from asd.errors import AsdError
from asd.files import write_text
from asd.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"  # written last: without it the release is not complete
CAUSES = "causes.csv"
README = """SIMULATED sounds: none of these files is a recording of a real machine.

Made by the package asd (asd.data.simulated.Simulated), in the shape of the DCASE 2020 task 2 data:
<release>/<machine>/{train,test}/{normal,anomaly}_id_<ID>_<number>.wav
Each release has a manifest.csv (the clips and the hashes of their contents) and a causes.csv (what
is wrong in each anomalous clip, and how strongly, from 0 to 1). Files may be deleted: what is
missing is made again, the same, on the next use.

What defines this corpus:
"""


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus to be brought to completeness."""

    folder: Path  # the corpus's own
    settings: SoundSettings
    definition: dict[str, Any]  # everything that defines the corpus, for its README.txt
    workers: int | None  # processes; None: all cores for long work, else this process


def ready_manifest(plan: CorpusPlan, release: str, clips: Sequence[PlannedClip]) -> pd.DataFrame:
    """The manifest of a release, after making what is not there.

    One process at a time makes clips; others wait for it and then find them there.

    Raises:
        AsdError: the folder cannot be written to, the disk is full, or worker processes die.
    """
    from filelock import FileLock, Timeout

    table = _complete(plan.folder / release, clips)
    if table is not None:
        return table
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # a worker process that imports the user's program: waiting for the lock would never end
        raise AsdError(
            "the simulated corpus is asked for while a program is imported by its own worker"
            ' process; put what the program does under `if __name__ == "__main__":`'
        )
    lock = FileLock(plan.folder.with_name(plan.folder.name + ".lock"))
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another process makes this corpus; waiting for it", plan.folder)
            lock.acquire()
        table = _complete(plan.folder / release, clips)
        return _make(plan, release, clips) if table is None else table
    except OSError as error:
        raise AsdError(
            f"{plan.folder}: the simulated corpus cannot be made there ({error.strerror or error});"
            " free some space or set data.root to another folder. What is made so far is kept"
        ) from error
    except BrokenProcessPool as error:
        raise AsdError(
            "the worker processes that make the simulated corpus were killed (out of memory?);"
            " set data.workers=1. What is made so far is kept"
        ) from error
    finally:
        lock.release()


def _make(plan: CorpusPlan, release: str, clips: Sequence[PlannedClip]) -> pd.DataFrame:
    """Make what is missing of a release; the caller holds the lock."""
    import pandas as pd

    for folder in {(plan.folder / clip.path).parent for clip in clips}:
        for left_over in folder.glob(f".*{TEMPORARY}"):  # of a process that was killed
            left_over.unlink(missing_ok=True)
    write_text(plan.folder / "README.txt", README + json.dumps(plan.definition, indent=1) + "\n")
    (plan.folder / release / MANIFEST).unlink(missing_ok=True)

    rows = []
    with progress_bar(f"simulated corpus, {release}", len(clips)) as advance:
        hashes = clip_hashes(plan.folder, plan.settings, clips, plan.workers)
        for clip, digest in zip(clips, hashes, strict=True):
            path, rate = clip.path, plan.settings.rate
            rows.append(asdict(clip) | {"path": path, "rate": rate, "hash": digest})
            advance(1)

    faults = {clip.path: draw_fault(plan.settings, clip) for clip in clips}
    causes = [(p, fault.cause, f"{fault.strength:.4f}") for p, fault in faults.items() if fault]
    table = pd.DataFrame(causes, columns=["path", "cause", "strength"])
    write_text(plan.folder / release / CAUSES, table.to_csv(index=False))
    table = sorted_manifest(plan.folder, rows).clips
    write_text(plan.folder / release / MANIFEST, table.to_csv(index=False))
    return table


def _complete(folder: Path, clips: Sequence[PlannedClip]) -> pd.DataFrame | None:
    """The manifest of a release if it lists exactly its clips and all are there in full size."""
    import pandas as pd

    wanted = {clip.path: clip.samples for clip in clips}
    try:
        table = pd.read_csv(
            folder / MANIFEST, dtype={"id": str, "hash": str}, keep_default_na=False
        )
        if list(table.columns) != COLUMNS or any(
            (folder.parent / path).stat().st_size != wav_bytes(samples)
            for path, samples in wanted.items()
        ):
            return None
    except (FileNotFoundError, NotADirectoryError, pd.errors.ParserError, pd.errors.EmptyDataError):
        return None
    listed = dict(zip(table["path"], table["samples"], strict=True))
    return table if listed == wanted and len(table) == len(wanted) else None
