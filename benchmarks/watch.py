"""How many channels one core watches in real time.

    python -m benchmarks.watch MODEL CLIP [--repeats 30]

Processor time of a clip as it comes from a pipe: checked, features computed, scored, compared with
the normal clips. The quartiles tell how steady it is; the first clip, which imports, is left out.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"


def processor_times(model: Path, clip: Path, repeats: int) -> tuple[float, list[float]]:
    """Seconds of sound, and of the processor for each repetition."""
    import soundfile

    import asd

    trained = asd.load(model)
    samples, rate = soundfile.read(clip, dtype="int16")
    times = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        answer = trained.score(samples, rate)
        times.append(time.process_time() - begin)
        assert answer["score"] is not None, answer["state"]
    return len(samples) / rate, times[1:]


def main() -> None:
    """Print one line."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    seconds, times = processor_times(options.model, options.clip, options.repeats)
    low, middle, high = 1000 * np.quantile(times, [0.25, 0.5, 0.75])
    channels = int(1000 * seconds / middle)
    print(
        f"{middle:.0f} ms (quartiles {low:.0f} to {high:.0f}) of one core a clip of {seconds:g} s: "
        f"{channels} channels in real time"
    )


if __name__ == "__main__":
    main()
