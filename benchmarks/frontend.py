"""Time of the front ends against the gammatone package's, all in one run.

    python -m benchmarks.frontend [--clips 16] [--seconds 10] [--repeats 9] [--cores 2]

One core: processor time, medians over rounds in which the rows take turns. gtgram spends much
system time on fresh memory, how much varies with the machine, so the ratio of user time alone is
shown as well; it is the lower and steadier one. Several cores: wall time of a thread pool over
clips against a pool of one right before it; that needs a machine with nothing else to do.
spafe and nnAudio are measured where they are installed; they are approximations on other scales,
here with the same bands and hop.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ROUND_SECONDS = 0.1  # each row works about so long in a round
REFERENCE = "gammatone.gtgram (float64)"


@dataclass
class Row:
    """A front end under test: ``call`` takes one clip's index."""

    name: str
    call: Callable[[int], Any]
    gammatone: bool = False  # the quantity that gtgram computes, so errors can be told
    clips: int = 1  # a round
    one: list[float] = field(default_factory=list)  # seconds a clip
    user: float = 0.0  # user seconds a clip, mean: the system counts them in steps of some ms
    many: list[float] = field(default_factory=list)  # the same of a pool
    gain: list[float] = field(default_factory=list)  # of the pool over a pool of one


def frontend_rows(waves: np.ndarray, rate: int, folder: Path) -> tuple[list[Row], list[str]]:
    """All rows that can run here, and the names of those that cannot."""
    import numpy as np
    import soundfile
    from gammatone.fftweight import fft_gtgram
    from gammatone.gtgram import gtgram

    from asd.frontends.gammatone import Gammatone
    from asd.frontends.mel import Mel

    fast, exact = Gammatone(rate=rate), Gammatone(rate=rate, precision="float64")
    mel = Mel(rate=rate)
    window, hop, bands = fast.window_seconds, fast.hop_seconds, fast.bands
    doubles = waves.astype(np.float64)
    files = []
    for number, wave in enumerate(waves):
        files.append(folder / f"{number}.wav")
        soundfile.write(files[-1], wave, rate, subtype="PCM_16")

    def package(clip: int) -> Any:
        return 20 * np.log10(gtgram(doubles[clip], rate, window, hop, bands, 0.0).T + fast.eps)

    def package_fft(clip: int) -> Any:
        return 20 * np.log10(fft_gtgram(doubles[clip], rate, window, hop, bands, 0.0).T + fast.eps)

    def read(clip: int) -> Any:
        samples, _ = soundfile.read(files[clip], dtype="int16")
        return samples.astype(np.float32) / 32768

    rows = [
        Row(REFERENCE, package, gammatone=True),
        Row("asd gammatone float32", lambda clip: fast.features(waves[clip]), gammatone=True),
        Row("asd gammatone float64", lambda clip: exact.features(waves[clip]), gammatone=True),
        Row("gammatone.fft_gtgram (float64)", package_fft),
        Row("asd mel (torchaudio)", lambda clip: mel.features(waves[clip])),
        Row("read WAV (soundfile int16)", read),
    ]
    missing = []
    for name, make in [
        ("librosa mel", _librosa_mel),
        ("spafe erb_spectrogram", _spafe),
        ("nnAudio Gammatonegram", _nnaudio),
    ]:
        try:
            rows.append(Row(name, make(waves, rate, fast, mel)))
        except ImportError:
            missing.append(name)
    return rows, missing


def _librosa_mel(waves: np.ndarray, rate: int, _: Any, mel: Any) -> Callable[[int], Any]:
    import librosa
    import numpy as np

    def call(clip: int) -> np.ndarray:
        level = librosa.feature.melspectrogram(
            y=waves[clip],
            sr=rate,
            n_fft=mel.n_fft,
            hop_length=mel.hop,
            n_mels=mel.bands,
            power=mel.power,
            pad_mode=mel.pad_mode,
        )
        return np.asarray(10 * np.log10(level.T + mel.eps))

    return call


def _spafe(waves: np.ndarray, rate: int, gammatone: Any, _: Any) -> Callable[[int], Any]:
    from spafe.fbanks.gammatone_fbanks import gammatone_filter_banks
    from spafe.features.gfcc import erb_spectrogram
    from spafe.utils.preprocessing import SlidingWindow

    window = SlidingWindow(gammatone.window_seconds, gammatone.hop_seconds, "hanning")
    banks, _ = gammatone_filter_banks(gammatone.bands, 1024, rate, 0, rate / 2)
    return lambda clip: erb_spectrogram(
        waves[clip],
        rate,
        pre_emph=False,
        window=window,
        nfilts=gammatone.bands,
        nfft=1024,
        fbanks=banks,
    )


def _nnaudio(waves: np.ndarray, rate: int, gammatone: Any, _: Any) -> Callable[[int], Any]:
    import torch
    from nnAudio.features import Gammatonegram

    layer = Gammatonegram(
        sr=rate, n_fft=1024, n_bins=gammatone.bands, hop_length=gammatone.hop, verbose=False
    )

    def call(clip: int) -> torch.Tensor:
        with torch.inference_mode():
            spectrogram: torch.Tensor = layer(torch.from_numpy(waves[clip]))
        return spectrogram

    return call


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep the process on so many cores, where the system can (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(rows: list[Row], clips: int, repeats: int, cores: int) -> None:
    """Fill the rows' times, in turns."""
    for row in rows:  # first calls compile, import and plan
        row.call(0)
        start = time.perf_counter()
        row.call(0)
        row.clips = max(1, min(clips, int(ROUND_SECONDS / (time.perf_counter() - start))))
    for _ in range(repeats):
        for row in rows:
            with on_cores(1):
                start, user = time.process_time(), _user_seconds()
                for clip in range(row.clips):
                    row.call(clip)
                row.one.append((time.process_time() - start) / row.clips)
                row.user += (_user_seconds() - user) / row.clips / repeats
            if cores > 1:
                alone = _pool_seconds(row, clips, 1)
                row.many.append(_pool_seconds(row, clips, cores))
                row.gain.append(alone / row.many[-1])


def _user_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def _pool_seconds(row: Row, clips: int, cores: int) -> float:
    """Wall seconds a clip of a thread pool."""
    count = max(1, row.clips) * cores
    with on_cores(cores), ThreadPoolExecutor(cores) as pool:
        list(pool.map(row.call, range(cores)))  # starts the threads
        start = time.perf_counter()
        list(pool.map(row.call, (clip % clips for clip in range(count))))
        return (time.perf_counter() - start) / count


def print_table(rows: list[Row], missing: list[str], seconds: float, cores: int) -> None:
    """Print what was measured."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    reference = next(row for row in rows if row.name == REFERENCE)
    exact = reference.call(0)
    table = Table(title=f"Front ends, clips of {seconds:g} s")
    table.add_column("front end")
    heads = ["ms/clip", "clips/s", "x real time", "x gtgram", "user time"]
    heads += [f"clips/s, {cores} cores", "x of 1 core"] if cores > 1 else []
    for head in [*heads, "max dB error", "mean"]:
        table.add_column(head, justify="right")
    for row in rows:
        one = median(row.one)
        ratios = [a / b for a, b in zip(reference.one, row.one, strict=True)]
        cells = [f"{1000 * one:.2f}", f"{1 / one:,.0f}", f"{seconds / one:,.0f}"]
        cells += [f"{median(ratios):.1f}", f"{reference.user / row.user:.1f}" if row.user else "?"]
        if cores > 1:
            many = median(row.many)
            cells += [f"{1 / many:,.0f}", f"{median(row.gain):.2f}"]
        if row.gammatone and row is not reference:
            error = np.abs(row.call(0)[: len(exact)] - exact)
            cells += [f"{error.max():.1e}", f"{error.mean():.1e}"]
        else:
            cells += ["", ""]
        table.add_row(row.name, *cells)
    for name in missing:
        table.add_row(name, "not installed")
    Console(width=max(150, Console().width)).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Front ends against gammatone.gtgram.")
    parser.add_argument("--clips", type=int, default=16, help="different clips (noise)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--repeats", type=int, default=9, help="rounds; medians are shown")
    parser.add_argument("--cores", type=int, default=2, help="threads of the pool; 1: none")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when numpy and torch are imported, which is below
    import numpy as np
    import torch

    torch.set_num_threads(1)
    rate = 16000
    shape = (options.clips, int(options.seconds * rate))
    waves = (0.1 * np.random.default_rng(0).normal(size=shape)).astype(np.float32)
    start = time.perf_counter()
    from asd.frontends.gammatone import Gammatone

    Gammatone(rate=rate).features(waves[0])
    first = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        rows, missing = frontend_rows(waves, rate, Path(folder))
        measure(rows, options.clips, options.repeats, options.cores)
        print_table(rows, missing, options.seconds, options.cores)
    print(
        f"first clip with imports and compiling, or with the kernel from its cache: {first:.1f} s"
    )


if __name__ == "__main__":
    main()
