"""AUCs of one system under every speed option, against the spread over seeds.

    python -m benchmarks.aucs [--seeds 0 1 2 3 4] [--jobs 2] [--only bfloat16] [overrides ...]

Trains U on the SIMULATED corpus at demo scale, each option with each seed, and prints the mean AUC
over machine IDs: the difference that an option makes at the same seed, beside how far apart seeds
are. Runs are kept in --folder, so that a call that was stopped goes on. Without a GPU, bfloat16 is
PyTorch's autocast on a CPU that has no such arithmetic, which asd.train refuses as too slow:
the numbers are those of bfloat16, the time is not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from asd.cores import cores

AS_TRAINED = "float32, all defaults"


@dataclass(frozen=True)
class Option:
    """A way to train: its name, its overrides, and whether it needs a GPU."""

    name: str
    overrides: tuple[str, ...] = ()
    gpu_only: bool = False


OPTIONS = (
    Option(AS_TRAINED),
    Option("bfloat16 autocast", ("trainer.precision=bf16-mixed",)),
    Option("contiguous", ("trainer.memory_format=contiguous",)),
    Option("Adam not fused", ("trainer.fused_adam=false",)),
    Option("compiled", ("trainer.compile=true",)),
    Option("CUDA graphs", ("trainer.cuda_graphs=true",), gpu_only=True),
    Option(
        "bfloat16, CUDA graphs", ("trainer.precision=bf16-mixed", "trainer.cuda_graphs=true"), True
    ),
)

# What a child runs: asd.train, which may use bfloat16 wherever it is.
CHILD = """
import sys
import asd.train
from asd.training import speed
speed.cpu_has_bfloat16 = lambda: True
asd.train.main()
"""


def train(option: Option, seed: int, folder: Path, threads: int, overrides: list[str]) -> float:
    """Mean AUC over machine IDs of one run; a finished one is read again."""
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.roc import area, roc_counts

    place = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', option.name)}-{seed}"
    done = list(place.glob("*/scores.csv"))
    if not done:
        common = ["+experiment=u", "tracking=off", "pictures=off", "trainer.progress=off"]
        paths = [f"paths.data={folder}/data", f"paths.cache={folder}/cache", f"paths.runs={place}"]
        command = [sys.executable, "-c", CHILD, *common, *paths, f"seed={seed}", *option.overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(
            [*command, *overrides], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        done = list(place.glob("*/scores.csv"))
    scores = read_scores(done[0])
    return mean(
        area(*roc_counts(part["label"].to_numpy(), part["score"].to_numpy()))
        for _, part in scores.groupby(["machine", "id"])
    )


def lines(found: dict[str, list[float]]) -> list[str]:
    """The table, in percent."""
    base = found[AS_TRAINED]
    spread = stdev(base) if len(base) > 1 else float("nan")
    head = f"{'option':36}{'mean AUC':>9}{'± seeds':>9}{'difference at the same seed':>29}"
    rows = [head]
    for name, values in found.items():
        differences = [100 * (a - b) for a, b in zip(values, base, strict=True)]
        own = 100 * stdev(values) if len(values) > 1 else float("nan")
        row = f"{name:36}{100 * mean(values):9.2f}{own:9.2f}"
        if name != AS_TRAINED:
            each = " ".join(f"{d:+.2f}" for d in differences)
            row += f"   mean {mean(differences):+.2f}: {each}"
        rows.append(row)
    rows.append(f"Spread over seeds of the first: {100 * spread:.2f}. SIMULATED data, demo scale.")
    return rows


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, help="runs at a time; default: a core each, a GPU one")
    parser.add_argument("--only", help="options whose name begins so")
    parser.add_argument("--folder", type=Path, default=Path("runs/aucs"))
    options, overrides = parser.parse_known_args()
    import torch

    gpu = torch.cuda.is_available()
    jobs = options.jobs or (1 if gpu else cores())
    chosen = [
        o
        for o in OPTIONS
        if (gpu or not o.gpu_only)
        and (o.name == AS_TRAINED or not options.only or o.name.startswith(options.only))
    ]
    folder, threads = options.folder.absolute(), max(1, cores() // jobs)
    # Alone, so that one process makes the corpus and its features.
    train(chosen[0], options.seeds[0], folder, threads, overrides)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            o.name: [
                pool.submit(train, o, seed, folder, threads, overrides) for seed in options.seeds
            ]
            for o in chosen
        }
        found = {name: [f.result() for f in futures] for name, futures in waiting.items()}
    where = torch.cuda.get_device_name() if gpu else "CPU"
    print(f"U on {where}, torch {torch.__version__}, seeds {options.seeds}")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
