"""Every speed option of training on a GPU, checked and timed in one call of under 10 minutes.

    python -m benchmarks.gpu [--case paper] [--steps 50] [--minutes 6] [--auc]

Checked: with the same weights, the errors that make anomaly scores against those of float32 in the
plain form, largest relative difference over a batch; the loss after ten steps of a training that
starts alike; and that no step of the Trainer's loop waits for the GPU. Timed: a step of a bare loop
with each option, then the Trainer's loop, whole epochs and scoring with the best of them. Beside
them the floors: the step's arithmetic at the rate of a large matrix product, and the bytes that its
operations read and write, each alone, at the rate of a large copy. ``--auc`` also runs
``benchmarks.aucs`` with three seeds. Without a GPU it runs its smallest case, to show that it runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks it of deterministic runs

import pytorch_lightning as pl
import torch

from asd.training.fit import fit
from asd.training.speed import prepare, step_flop
from benchmarks.cases import CASES, Bare, Case
from benchmarks.ceilings import copy_bandwidth, matmul_flop, now
from benchmarks.training import MEANING, Figures, measure, row, step_bytes, table

LAST = "channels_last"
BF16 = "bf16-mixed"
# The goal for 500 epochs of U, in minutes.
GOAL = 16


@dataclass(frozen=True)
class Option:
    """One way to run a step. The names are those of the config values."""

    name: str
    form: str = "fused"
    memory_format: str = "contiguous"
    fused_adam: bool = True
    precision: str = "32-true"
    compile: bool = False
    cuda_graphs: bool = False
    deterministic: bool = True
    tf32: bool = True

    @property
    def gpu_only(self) -> bool:
        """Whether a CPU cannot run it, or only after minutes of compiling."""
        return self.compile or self.cuda_graphs or self.precision != "32-true"


OPTIONS = [
    Option("float32, nothing else", form="plain", fused_adam=False, tf32=False),
    Option("+ TF32 convolutions (torch's default)", form="plain", fused_adam=False),
    Option("+ fused Adam", form="plain"),
    Option("+ transposed convolutions"),
    Option("+ channels_last", memory_format=LAST),
    Option("+ cuDNN's choice, not deterministic", memory_format=LAST, deterministic=False),
    Option("bf16", form="plain", precision=BF16),
    Option("bf16 + channels_last", form="plain", precision=BF16, memory_format=LAST),
    Option("bf16 + channels_last + transposed", precision=BF16, memory_format=LAST),
    Option(
        "  the same, not deterministic", precision=BF16, memory_format=LAST, deterministic=False
    ),
    Option("  and compiled", "plain", LAST, True, BF16, True, False, False),
    Option("  and compiled, transposed", "fused", LAST, True, BF16, True, False, False),
    Option("  and CUDA graphs", "fused", LAST, True, BF16, False, True, False),
]

# The Trainer's loop: float32 as it is by default, then ever more.
LOOPS = [
    ["trainer.precision=32-true"],
    [f"trainer.precision={BF16}"],
    [f"trainer.precision={BF16}", "trainer.deterministic=false"],
    [f"trainer.precision={BF16}", "trainer.deterministic=false", "trainer.compile=true"],
    [f"trainer.precision={BF16}", "trainer.deterministic=false", "trainer.cuda_graphs=true"],
]


def bare_of(case: Case, option: Option, device: torch.device) -> Bare:
    """The loop under an option, from the same weights and, after seeding, the same batches."""
    deterministic = option.deterministic
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = option.tf32
    detector = case.detector(plain=option.form == "plain").to(device)
    options = replace(
        case.options,
        memory_format=option.memory_format,
        compile=option.compile,
        cuda_graphs=option.cuda_graphs,
    )
    prepare(detector, options, device)
    return Bare.of(case, detector, device, option.fused_adam, option.precision)


def errors(bare: Bare) -> torch.Tensor:
    """[n] errors of the first windows, with the batch's statistics."""
    batch = bare.windows[: bare.batch_size]
    with (
        torch.no_grad(),
        torch.autocast(batch.device.type, torch.bfloat16, enabled=bare.amp),
    ):
        reconstruction, _ = bare.network(batch)
    found: torch.Tensor = (reconstruction.float() - batch).square().flatten(1).mean(1)
    return found


def time_option(
    case: Case, option: Option, device: torch.device, steps: int, reference: dict[str, Any]
) -> list[str]:
    """The cells of an option; fills ``reference`` from the first, and with the best step."""
    torch.manual_seed(0)
    bare = bare_of(case, option, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began, _ = now(device)
    of_scores = errors(bare)
    torch.manual_seed(1)
    losses = [bare.step().detach().clone() for _ in range(10)]
    first = now(device)[0] - began
    reference.setdefault("errors", of_scores)
    reference.setdefault("loss", losses[-1])
    difference = ((of_scores - reference["errors"]) / reference["errors"]).abs().max()
    drift = (losses[-1] - reference["loss"]) / reference["loss"]
    times = []
    for _ in range(5):
        start, _ = now(device)
        for _ in range(steps):
            bare.step()
        times.append((now(device)[0] - start) / steps)
    step = median(times)
    reference.setdefault("step", step)
    reference["best"] = min(step, reference.get("best", step))
    peak = torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else float("nan")
    return [
        option.name,
        f"{1000 * step:,.2f}",
        f"{reference['step'] / step:.2f}",
        f"{step * case.steps_an_epoch:,.1f}",
        f"{float(difference):.1e}",
        f"{float(drift):+.1e}",
        f"{peak:,.0f}",
        f"{first:,.1f}",
    ]


def floors(case: Case, device: torch.device, step: float) -> list[str]:
    """The least time that the arithmetic and the memory traffic of a step need, and its own."""
    flop = step_flop(case.detector(), case.batch_size)
    gpu = device.type == "cuda"
    moved, bandwidth = step_bytes(case, device, BF16 if gpu else "32-true"), copy_bandwidth(device)
    dtype = torch.bfloat16 if gpu else torch.float32
    rate = matmul_flop(device, dtype)
    arithmetic, traffic = flop / rate, moved / bandwidth
    name = str(dtype).removeprefix("torch.")
    floor = max(arithmetic, traffic)
    return [
        f"arithmetic: {flop / 1e9:,.0f} GFLOP a step, {1000 * arithmetic:,.2f} ms at the "
        f"{rate / 1e12:,.2f} TFLOP/s of a large {name} product",
        f"traffic: {moved / 1e9:,.2f} GB a step in {name} if every operation runs "
        f"alone, {1000 * traffic:,.2f} ms at the {bandwidth / 1e9:,.0f} GB/s of a large copy",
        f"the best bare step, {1000 * step:,.2f} ms, over the larger: {step / floor:.2f}; over "
        f"the arithmetic: {step / arithmetic:.2f}",
    ]


class SyncWatch(pl.Callback):
    """Has torch warn wherever a training step waits for the GPU."""

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """From the second step on: the first one allocates."""
        if batch_idx == 1:
            torch.cuda.set_sync_debug_mode("warn")

    def on_validation_start(self, *args: Any) -> None:
        """An epoch's losses are read once, on purpose."""
        torch.cuda.set_sync_debug_mode("default")


def syncs(case: Case, device: torch.device) -> str:
    """Where the steps of the Trainer's loop wait for the GPU."""
    if device.type != "cuda":
        return "waits for the GPU in a step: needs a GPU"
    options = replace(case.options, max_epochs=1, precision=BF16)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = case.data(10)
        fit(case.detector(), data, options, 0, Path(folder), lambda *a: None, [SyncWatch()])
    found = {
        f"{w.filename}:{w.lineno}" for w in caught if "called a synchronizing" in str(w.message)
    }
    return "waits for the GPU in a step: " + (", ".join(sorted(found)) or "none")


def whole_run(figures: Figures, epochs: int = 500) -> str:
    """What a run takes by this loop."""
    minutes = epochs * figures.epoch / 60
    return (
        f"{epochs} epochs by that loop: {minutes:,.1f} min (an epoch {figures.epoch:,.2f} s, its "
        f"end {figures.end:,.2f} s); the goal on an H200 for the paper's model is {GOAL}"
    )


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(description="Every speed option on a GPU.")
    parser.add_argument("--case", choices=list(CASES), help="default: paper; tiny without a GPU")
    parser.add_argument("--steps", type=int, default=50, help="in each of five rounds")
    parser.add_argument("--minutes", type=float, default=6, help="nothing is begun after")
    parser.add_argument("--auc", action="store_true", help="AUCs of the options too")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    options, overrides = parser.parse_known_args()
    from rich.console import Console
    from rich.table import Table

    began = time.perf_counter()

    def late() -> bool:
        return bool(time.perf_counter() - began > 60 * options.minutes)

    gpu_wanted = options.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu_wanted else "cpu")
    gpu = device.type == "cuda"
    case = Case.of(options.case or ("paper" if gpu else "tiny"), overrides)
    where = torch.cuda.get_device_name() if gpu else "no GPU: the CPU"
    made = Table(title=f"Training steps of {case.name} on {where}, torch {torch.__version__}")
    heads = ["option", "step ms", "x first", "epoch s", "errors differ", "loss after 10", "MB"]
    for head in [*heads, "first s"]:
        made.add_column(head, justify="left" if head == "option" else "right")
    reference: dict[str, Any] = {}
    for option in OPTIONS:
        if option.gpu_only and not gpu:
            made.add_row(option.name, "needs a GPU")
        elif late():
            made.add_row(option.name, "no time left")
        else:
            try:
                made.add_row(*time_option(case, option, device, options.steps, reference))
            except (RuntimeError, ImportError) as error:
                # one option that this torch cannot do must not cost the others
                made.add_row(option.name, f"failed: {type(error).__name__}")
                print(f"{option.name}: {error}", file=sys.stderr)
    Console(width=150).print(made)
    torch.use_deterministic_algorithms(False)
    for line in [*floors(case, device, reference["best"]), syncs(case, device)]:
        print(line)
    loops = table("The Trainer's loop")
    best: Figures | None = None
    for extra in LOOPS if gpu else LOOPS[:1]:
        if late():
            print(f"{' '.join(extra)}: no time left")
            continue
        again = Case.of(case.name, [*overrides, *extra])
        again.name = " ".join(e.removeprefix("trainer.") for e in extra)
        figures = measure(again, device, options.steps, usual=extra == LOOPS[0])
        loops.add_row(*row(figures))
        if best is None or figures.epoch < best.epoch:
            best = figures
    Console(width=220).print(loops)
    print(MEANING)
    if best is not None:
        print(f"the fastest, {best.case.name}: {whole_run(best)}")
    if options.auc:
        jobs = ["--jobs", "4"] if gpu else []
        command = [sys.executable, "-m", "benchmarks.aucs", "--seeds", "0", "1", "2", *jobs]
        subprocess.run(command, check=True)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
