"""Time, memory and disk of the feature store.

    python -m benchmarks.store [--clips 1000] [--share 0.1] [--cores 2] [--audio DIR] [--folder DIR]

Building: from WAV files that nothing is known of to stored features (found, read, decoded, checked,
read again, computed, written), which are then read back and their checksums compared; the
files are in the system's cache. Processor time hardly depends on what else the machine does. Each
clip is one of the recordings in ``--audio`` shifted by another number of samples, or noise where
there are none.
Loading: a store of ``--share`` of the DCASE 2020 corpus' clips, train and test apart; not cached is
after the system was told to forget the files. Each loading runs in a process of its own, so that
its greatest memory can be told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asd.data.folder import Folder
    from asd.data.manifest import Manifest
    from asd.features.store import FeatureStore
    from asd.frontends.frontend import FrontEnd

RATE, SECONDS = 16000, 10
TRAIN, TEST = 20_119, 10_868  # clips of the corpus: development training and test
MACHINES = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
AUDIO = Path(__file__).resolve().parents[1].parent / "shared" / "audio"


def make_clips(root: Path, audio: Path, count: int) -> str:
    """Write so many different clips of ten seconds in the folder layout; says of what."""
    import numpy as np
    import soundfile

    paths = sorted(audio.rglob("*.wav")) if audio.is_dir() else []
    waves = [soundfile.read(path, dtype="int16", always_2d=True)[0][:, 0] for path in paths[:40]]
    waves = [wave for wave in waves if len(wave) == RATE * SECONDS]
    kind = f"{len(waves)} recordings, shifted"
    if not waves:
        draw = np.random.default_rng(0)
        waves, kind = [(3000 * draw.normal(size=RATE * SECONDS)).astype(np.int16)], "noise, shifted"
    folder = root / "fan" / "train"
    folder.mkdir(parents=True)
    for number in range(count):
        wave = np.roll(waves[number % len(waves)], 16 * number)
        soundfile.write(folder / f"normal_id_00_{number:08d}.wav", wave, RATE, subtype="PCM_16")
    return kind


def corpus_like(clips: Manifest, count: int, split: str) -> Manifest:
    """So many rows in six machine types; clips come several times where there are too few."""
    import pandas as pd

    from asd.data.manifest import Manifest

    table = pd.concat([clips.clips] * -(-count // len(clips)), ignore_index=True)[:count]
    table["machine"] = [MACHINES[i * len(MACHINES) // count] for i in range(count)]
    table["split"] = split
    return Manifest(clips.root, table)


@dataclass(frozen=True)
class Loaded:
    """What loading took: seconds, MB of features, MB of memory beyond what the process had."""

    seconds: float
    features: float
    memory: float


def measure_load(store: FeatureStore, clips: Manifest, mapped: bool, cold: bool) -> Loaded:
    """Load in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_load, (store, clips, mapped, cold))


def _load(store: FeatureStore, clips: Manifest, mapped: bool, cold: bool) -> Loaded:
    import pandas as pd  # noqa: F401 - not to be counted

    from asd.data.manifest import parts_of

    if cold:
        for path in store.folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the greatest memory from here on
    before = _peak()
    began = time.perf_counter()
    if mapped:
        size = sum(store.part(part).values.nbytes for part in parts_of(clips))
    else:
        size = store.load(clips).values.nbytes
    seconds = time.perf_counter() - began
    return Loaded(seconds, size / 1e6, _peak() - before)


def _peak() -> float:
    """Greatest resident memory of this process in MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def random_access(store: FeatureStore, clips: Manifest) -> list[tuple[str, float]]:
    """Microseconds a clip, clips in random order, 64 at a time."""
    import numpy as np
    import torch

    from asd.data.manifest import parts_of

    def once(values: np.ndarray, frames: int) -> float:
        count = len(values) // frames
        windows = torch.from_numpy(values).view(count, frames, -1)
        order = torch.from_numpy(np.random.default_rng(0).permutation(count))
        began = time.perf_counter()
        for first in range(0, count, 64):
            torch.index_select(windows, 0, order[first : first + 64])
        return 1e6 * (time.perf_counter() - began) / count

    clips = next(parts_of(clips))
    memory, part = store.load(clips), store.part(clips)
    frames = int(memory.frames[0])
    return [
        ("in memory, as training reads", min(once(memory.values, frames) for _ in range(9))),
        ("memory-mapped part", min(once(part.values, frames) for _ in range(9))),
    ]


def timed(call: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time, memory and disk of the feature store.")
    parser.add_argument("--clips", type=int, default=1000, help="to build features of")
    parser.add_argument("--share", type=float, default=0.1, help="of the corpus' clips, to load")
    parser.add_argument("--cores", type=int, default=2, help="threads")
    parser.add_argument("--repeats", type=int, default=3, help="of loading; the fastest is shown")
    parser.add_argument("--audio", type=Path, default=AUDIO, help="folder of 10 s recordings")
    parser.add_argument("--folder", type=Path, help="for the temporary files")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        _measure(options, Path(folder))


def _measure(options: argparse.Namespace, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from asd.data.folder import Folder
    from asd.features.store import FeatureStore
    from asd.frontends.gammatone import Gammatone
    from asd.frontends.mel import Mel

    os.environ["OMP_NUM_THREADS"] = str(options.cores)
    console = Console(width=max(100, Console().width))
    kind = make_clips(folder / "wav", options.audio, options.clips)
    corpus = Folder(folder / "wav", None, None, RATE, None, "error", None)
    scan = timed(lambda: corpus.manifest(["development"]))
    clips = corpus.manifest(["development"])
    load = os.getloadavg()[0]
    print(f"{options.clips} clips of {SECONDS} s ({kind}), {options.cores} threads", end="")
    print(f" on {os.cpu_count()} cores; load average before: {load:.1f}")
    print(f"finding, reading and checking the files alone: {scan:.1f} s")

    frontends: list[tuple[FrontEnd, str]] = [
        (Gammatone(), "float32"),
        (Gammatone(), "float16"),
        (Mel(), "float32"),
    ]
    table = Table(title="From WAVs to stored, checked features")
    for head in ("front end", "stored as", "s", "s of CPU", "clips/s", "x real time", "kB/clip"):
        table.add_column(head, justify="right")
    _warm(frontends)
    for number, (frontend, dtype) in enumerate(frontends):
        store = FeatureStore(folder / f"built{number}", frontend, dtype, None)
        begin = time.process_time()
        seconds = timed(lambda store=store: build(corpus, store))  # type: ignore[misc]
        size = sum(path.stat().st_size for path in store.folder.iterdir()) / len(clips)
        rate = len(clips) / seconds
        processor = time.process_time() - begin
        cells = [
            f"{seconds:.2f}",
            f"{processor:.2f}",
            f"{rate:,.0f}",
            f"{rate * SECONDS:,.0f}",
            f"{size / 1e3:.1f}",
        ]
        table.add_row(frontend.name, dtype, *cells)
    console.print(table)

    store = FeatureStore(folder / "features", Gammatone(), "float32", None)
    train = corpus_like(clips, round(options.share * TRAIN), "train")
    test = corpus_like(clips, round(options.share * TEST), "test")
    store.build(train, test)
    table = Table(title=f"Loading gammatone float32 features, {options.share:g} of the corpus")
    for head in (
        "what",
        "clips",
        "files",
        "s",
        "MB of features",
        "MB of memory",
        "s, whole corpus",
    ):
        table.add_column(head, justify="right")
    for what, rows, mapped in (
        ("train, in memory", train, False),
        ("test, mapped", test, True),
    ):
        for cold in (False, True):
            runs = [measure_load(store, rows, mapped, cold) for _ in range(options.repeats)]
            got = min(runs, key=lambda run: run.seconds)
            cells = [f"{got.seconds:.2f}", f"{got.features:,.0f}", f"{got.memory:,.0f}"]
            cells.append(f"{got.seconds / options.share:.1f}")
            table.add_row(what, f"{len(rows):,}", "not cached" if cold else "cached", *cells)
    console.print(table)
    for what, microseconds in random_access(store, train):
        print(f"random access, {what}: {microseconds:.0f} us a clip")
    print(f"load average after: {os.getloadavg()[0]:.1f}")


def build(corpus: Folder, store: FeatureStore) -> None:
    """From files that nothing is known of to features that are compared with their checksum."""
    store.part(corpus.manifest(["development"]))


def _warm(frontends: list[tuple[FrontEnd, str]]) -> None:
    """Import and compile what the front ends need, which is not to be counted."""
    import numpy as np

    for frontend, _ in frontends:
        frontend.features(np.zeros(RATE, np.float32))


if __name__ == "__main__":
    main()
