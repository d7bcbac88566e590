"""Brings the folder of a simulated corpus to completeness, and reads its manifests."""

from __future__ import annotations

import csv
import io
import json
import logging
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.data.manifest import COLUMNS, sorted_manifest
from asd.data.simulation.clip import ClipName, SoundSettings, draw_fault
from asd.data.simulation.making import make_clips
from asd.data.simulation.wav import TEMPORARY, wav_bytes, write_whole
from asd.errors import AsdError
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
class Job:
    """A corpus to be brought to completeness.

    Attributes:
        folder: the corpus's folder.
        settings: of the sounds.
        clips: of each release asked for.
        samples: length of a clip of each machine type.
        definition: everything that defines the corpus, for its README.txt.
        workers: processes; None: all cores for long work, else this process.
    """

    folder: Path
    settings: SoundSettings
    clips: dict[str, list[ClipName]]
    samples: dict[str, int]
    definition: dict[str, Any]
    workers: int | None


def ready_manifests(job: Job) -> dict[str, pd.DataFrame]:
    """The manifest of each release, after making what is not there.

    One process at a time makes clips; others wait for it and then find them there.

    Raises:
        AsdError: the folder cannot be written to, or the disk is full.
    """
    from filelock import FileLock, Timeout

    ready = {release: _complete(job, release) for release in job.clips}
    if all(table is not None for table in ready.values()):
        return {release: table for release, table in ready.items() if table is not None}
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # a worker process that imports the user's program: waiting for the lock would never end
        raise AsdError(
            "the simulated corpus is asked for while a program is imported by its own worker"
            ' process; put what the program does under `if __name__ == "__main__":`'
        )
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(job.folder.with_name(job.folder.name + ".lock"))
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another process makes this corpus; waiting for it", job.folder)
            held = lock.acquire()
        with held:
            return {release: _make_release(job, release) for release in job.clips}
    except OSError as error:
        raise AsdError(
            f"{job.folder}: the simulated corpus cannot be made there ({error.strerror or error});"
            " free some space or set data.root to another folder. What is made so far is kept"
        ) from error


def _make_release(job: Job, release: str) -> pd.DataFrame:
    """Make what is missing of a release; the caller holds the lock."""
    table = _complete(job, release)
    if table is not None:
        return table
    clips = job.clips[release]
    for folder in {(job.folder / clip.path).parent for clip in clips}:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f".*{TEMPORARY}"):  # of a process that was killed
            left_over.unlink(missing_ok=True)
    text = README + json.dumps(job.definition, indent=1) + "\n"
    write_whole(job.folder / "README.txt", text.encode())
    (job.folder / release / MANIFEST).unlink(missing_ok=True)

    work = [(clip, job.samples[clip.machine]) for clip in clips]
    with progress_bar(f"simulated corpus, {release}", len(work)) as advance:
        hashes = make_clips(job.folder, job.settings, work, job.workers, advance)

    causes = []
    for clip in clips:
        fault = draw_fault(job.settings, clip)
        if fault is not None:
            causes.append([clip.path, fault.cause, f"{fault.strength:.4f}"])
    write_whole(job.folder / release / CAUSES, _csv(["path", "cause", "strength"], causes))
    rows = [
        {
            "release": release,
            "machine": clip.machine,
            "id": clip.id,
            "split": clip.split,
            "label": clip.label,
            "path": clip.path,
            "samples": samples,
            "rate": job.settings.rate,
            "hash": hashes[clip.path],
        }
        for clip, samples in work
    ]
    table = sorted_manifest(job.folder, rows).clips
    write_whole(job.folder / release / MANIFEST, _csv(COLUMNS, table.values.tolist()))
    return table


def _complete(job: Job, release: str) -> pd.DataFrame | None:
    """The manifest of a release if it lists exactly its clips and all are there in full size."""
    import pandas as pd

    try:
        table = pd.read_csv(
            job.folder / release / MANIFEST,
            dtype={"id": str, "hash": str},
            keep_default_na=False,
        )
    except (FileNotFoundError, NotADirectoryError, pd.errors.ParserError, pd.errors.EmptyDataError):
        return None
    wanted = {clip.path: job.samples[clip.machine] for clip in job.clips[release]}
    if list(table.columns) != COLUMNS or len(table) != len(wanted):
        return None
    if dict(zip(table["path"], table["samples"], strict=True)) != wanted:
        return None
    sizes: dict[str, int] = {}
    for folder in sorted({path.rpartition("/")[0] for path in wanted}):
        try:
            with os.scandir(job.folder / folder) as entries:
                sizes.update((f"{folder}/{e.name}", e.stat().st_size) for e in entries)
        except FileNotFoundError:
            return None
    if any(sizes.get(path) != wav_bytes(samples) for path, samples in wanted.items()):
        return None
    return table


def _csv(header: list[str], rows: list[list[Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().encode()
