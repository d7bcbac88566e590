"""Time of training: the Trainer's loop against a bare PyTorch loop, and against the usual way.

    python -m benchmarks.training [--cases demo b_demo b paper adacos_demo adacos] [--steps 30]

The rows of a case take turns step by step in one process: after each step of the Trainer (the one
of ``asd.training.fit``, with its callbacks and MLflow) the bare loops make theirs. Ratios are
medians of the ratios within a turn, so that load on the machine cancels; "CPU" is processor time.
The usual way (benchmarks.usual) takes turns by epochs. Scoring is that of a run
(``asd.scoring.scorer``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as asd.train does

import pytorch_lightning as pl
import torch

from asd.experiment.run_folder import FINISHED, RunFolder
from asd.training.fit import fit
from asd.training.speed import prepare, set_threads, step_flop
from benchmarks.cases import TEST_CLIPS, TRAIN_CLIPS, Bare, Case
from benchmarks.ceilings import copy_bandwidth, matmul_flop, moved_bytes, now, peak_bytes
from benchmarks.epoch import EpochEnd, scoring_seconds, tracker
from benchmarks.usual import usual_ratio

if TYPE_CHECKING:
    from rich.table import Table

# Steps of the paper's model take seconds on a CPU: so many at most, and no more of its usual way.
SLOW_STEPS, SLOW_SECONDS = 6, 1.0
# Scored to time scoring: so many clips, or so many frames' worth of short ones.
SCORED_CLIPS, SCORED_FRAMES = 64, 30_000


class Turns(pl.Callback):
    """After each step of the Trainer, one of each of the others; notes what all took.

    ``times`` has, for each name, a list of (wall, processor) seconds; the Trainer's is "asd".
    """

    def __init__(self, others: dict[str, Callable[[], Any]], device: torch.device) -> None:
        self.others = others
        self.device = device
        self.times: dict[str, list[tuple[float, float]]] = {n: [] for n in ("asd", *others)}
        self.peak = 0.0
        self._since: tuple[float, float] | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch's first step also sets the epoch up: not a step's time."""
        self._since = None

    def on_train_batch_end(self, *args: Any) -> None:
        """Close the Trainer's step, let the others make theirs."""
        done = now(self.device)
        if not self.peak:
            self.peak = peak_bytes(self.device)
        if self._since is not None:
            self.times["asd"].append((done[0] - self._since[0], done[1] - self._since[1]))
        for name, call in self.others.items():
            before = now(self.device)
            call()
            after = now(self.device)
            if self._since is not None:
                self.times[name].append((after[0] - before[0], after[1] - before[1]))
        self._since = now(self.device)

    def of(self, name: str, clock: int) -> float:
        """Median seconds of a step; clock 0: wall, 1: processor."""
        return median(t[clock] for t in self.times[name])

    def ratio(self, a: str, b: str, clock: int) -> float:
        """Median over turns of the time of ``a`` over that of ``b``."""
        pairs = zip(self.times[a], self.times[b], strict=True)
        return median(x[clock] / y[clock] for x, y in pairs)


@dataclass
class Figures:
    """What was measured of a case; seconds, bytes, operations.

    Args:
        matmul: FLOP/s of a large matrix product.
        of_copy: bytes that a step's operations move, each alone, in a step's time, over a large
            copy's; on a GPU only.
        parts: shares of a bare step.
        validation, end: of an epoch.
        scoring: of a clip.
        usual: time of the usual way over a bare loop's.
    """

    case: Case
    device: torch.device
    turns: Turns
    flop: float
    matmul: float
    of_copy: float | None
    parts: dict[str, float]
    threads: int
    validation: float
    end: float
    scoring: float
    usual: float | None

    @property
    def epoch(self) -> float:
        """Seconds of an epoch of the first release's 20,119 clips, a tenth of which validates."""
        held = round(0.1 * TRAIN_CLIPS) * self.case.windows_a_clip / self.case.batch_size
        steps = self.turns.of("asd", 0) * self.case.steps_an_epoch
        return steps + self.validation * held + self.end

    def shares(self) -> str:
        """Percent of an epoch: data, forward, backward, optimiser, Lightning, validation, end."""
        clock = 0 if self.device.type == "cuda" else 1
        lightning = max(0.0, self.turns.ratio("asd", "bare", clock) - 1)
        whole = sum(self.parts.values()) * (1 + lightning)
        steps = self.turns.of("asd", 0) * self.case.steps_an_epoch / self.epoch
        of_step = [*(self.parts[p] / whole for p in Bare.PARTS), lightning / (1 + lightning)]
        end = self.end / self.epoch
        rest = [1 - steps - end, end]
        return " ".join(f"{100 * share:.0f}" for share in [*(s * steps for s in of_step), *rest])


def part_seconds(bare: Bare, device: torch.device, steps: int) -> dict[str, float]:
    """Median processor seconds (wall on a GPU) of the parts of a bare step."""
    times: dict[str, list[float]] = {part: [] for part in Bare.PARTS}
    clock = 0 if device.type == "cuda" else 1
    for _ in range(steps):
        marks = [now(device)]
        batch = bare.data()
        marks.append(now(device))
        loss = bare.forward(batch)
        marks.append(now(device))
        bare.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        marks.append(now(device))
        bare.optimiser.step()
        marks.append(now(device))
        for part, a, b in zip(Bare.PARTS, marks, marks[1:], strict=False):
            times[part].append(b[clock] - a[clock])
    return {part: median(values) for part, values in times.items()}


def step_bytes(case: Case, device: torch.device, precision: str) -> int:
    """Bytes that a step's operations read and write, each alone, in the layers' own forms."""
    bare = Bare.of(case, case.detector(plain=True), device, True, precision)
    bare.step()
    return moved_bytes(bare.step)


def measure(case: Case, device: torch.device, steps: int, usual: bool) -> Figures:
    """All figures of one case."""
    # An epoch of the whole corpus has more steps than trainer.exact_norm_steps: no second pass.
    case.config["trainer"] |= {"max_epochs": 2, "exact_norm_steps": 0}
    options = case.options
    ours = case.detector()
    flop = step_flop(ours, case.batch_size)
    set_threads(options.threads, flop)
    matmul = matmul_flop(device)
    slow = 2 * flop / matmul > SLOW_SECONDS
    # Two epochs, of each of which the first step is not counted.
    steps = max(2, min(steps, SLOW_STEPS) if slow else steps)
    precision = options.precision
    like = case.detector()
    prepare(like, options, device)
    bare = Bare.of(case, like, device, options.fused_adam, precision)
    plain = case.detector(plain=True)
    simple = Bare.of(case, plain, device, False, precision)
    turns, ends = Turns({"bare": bare.step, "simple": simple.step}, device), EpochEnd(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        run = tracker(case, Path(folder))
        trained = fit(
            ours,
            case.data(steps // 2 + 1),
            options,
            0,
            RunFolder(Path(folder) / "run").model("shared"),
            lambda epoch, values: run.epoch_ended("shared", epoch, values),
            [turns, ends],
        )
        ended = RunFolder(Path(folder) / "run")
        ended.update(status=FINISHED)
        run.ended(ended, FINISHED)
    step = turns.of("asd", 0)
    of_copy = None
    if device.type == "cuda":
        of_copy = step_bytes(case, device, precision) / step / copy_bandwidth(device)
    parts = part_seconds(bare, device, 2 if slow else steps)
    threads = torch.get_num_threads()
    ratio = None
    if usual and case.windows_a_clip == 1 and not case.classes:
        ratio = usual_ratio(case, bare, device, 1 if slow else steps, 1 if slow else 3)
    clips = max(SCORED_CLIPS, SCORED_FRAMES // case.clip_frames)
    scoring = scoring_seconds(case, trained, device, clips)
    return Figures(
        case, device, turns, flop, matmul, of_copy, parts, threads,
        min(ends.validation), median(ends.end), scoring, ratio,
    )  # fmt: skip


def row(f: Figures) -> list[str]:
    """The cells of a case."""
    turns, case = f.turns, f.case
    step = turns.of("asd", 0)
    usual = "" if f.usual is None else f"{f.usual * turns.ratio('bare', 'asd', 0):.2f}"
    return [
        case.name,
        f"{case.batch_size}",
        f"{f.threads}",
        f"{1000 * step:,.1f}",
        f"{1000 * turns.of('asd', 1):,.1f}",
        f"{turns.ratio('asd', 'bare', 0):.2f}",
        f"{turns.ratio('asd', 'bare', 1):.2f}",
        f"{turns.ratio('simple', 'asd', 0):.2f}",
        usual,
        f"{case.batch_size / case.windows_a_clip / step:,.1f}",
        f"{f.epoch / 60:,.2f}",
        f"{f.flop / step / 1e9:,.0f}",
        f"{f.flop / step / f.matmul:.0%}",
        "" if f.of_copy is None else f"{f.of_copy:.0%}",
        f"{turns.peak / 1e6:,.0f}",
        f.shares(),
        f"{1000 * f.scoring:,.2f}",
        f"{TEST_CLIPS * f.scoring / f.epoch:.1%}",
        f"{len(turns.times['asd'])}",
    ]


HEADS = (
    "case", "batch", "thr", "step ms", "CPU ms", "/bare", "in CPU", "simple/", "usual/", "clips/s",
    "epoch min", "GFLOP/s", "of mm", "of copy", "peak MB", "% data fwd bwd opt Li val end",
    "score ms", "/epoch", "steps",
)  # fmt: skip

MEANING = """\
/bare: over the bare loop of the same network, in CPU: of processor time; simple/, usual/: over
asd's time, of a bare loop without our choices of form, layout and optimiser, and of files through a
DataLoader. of mm, of copy: operations over a large float32 matrix product's, bytes over a large
copy's. %: of an epoch of 20,119 clips: data, forward, backward, optimiser, Lightning in each step,
validation on a tenth, and the end (losses, history, checkpoint, MLflow). score: a clip; all 10,868
over an epoch."""


def table(title: str) -> Table:
    """An empty table."""
    from rich.table import Table

    made = Table(title=title)
    for head in HEADS:
        made.add_column(head, justify="left" if head == "case" else "right")
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Training against a bare loop.")
    parser.add_argument(
        "--cases", nargs="+", default=["b_demo", "b", "demo", "paper", "adacos_demo", "adacos"]
    )
    parser.add_argument("--steps", type=int, default=30, help="turns; 6 where a step takes 1 s")
    parser.add_argument("--threads", type=int, help="of torch; default: as trainer.threads=null")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    parser.add_argument("--no-usual", action="store_true", help="leave out the usual way")
    options, overrides = parser.parse_known_args()
    from rich.console import Console

    gpu_wanted = options.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu_wanted else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    if options.threads:
        overrides.append(f"trainer.threads={options.threads}")
    made = table(f"Training on {name}, torch {torch.__version__}, {load} at the start")
    for case_name in options.cases:
        figures = measure(
            Case.of(case_name, overrides), device, options.steps, not options.no_usual
        )
        made.add_row(*row(figures))
    Console(width=200).print(made)
    print(f"{MEANING} Load average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
