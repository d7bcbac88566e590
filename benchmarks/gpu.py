"""Every speed option of training on a GPU, checked and timed in one call of under 10 minutes.

    python -m benchmarks.gpu [--case paper] [--steps 50] [--minutes 8] [--auc]

Checked: with the same weights, the errors that make anomaly scores against those of float32 in the
plain form, largest relative difference over a batch; and the loss after the steps of a training
that starts alike. Timed: a step of a bare loop with the option, then the Trainer's loop with the
best of them. Beside them the floors: the step's arithmetic at the rate of a large matrix product,
and the bytes that its operations read and write, each alone, at the rate of a large copy.
``--auc`` also trains U on the simulated corpus at demo scale, in float32 with three seeds and in
bfloat16 with one, for the AUCs. Without a GPU it runs its smallest case, to show that it runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks it of deterministic runs

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from asd.training.fit import choose_device
from asd.training.speed import prepare, step_flop
from benchmarks.cases import CASES, Bare, Case
from benchmarks.training import _windows, matmul_flop, measure, now, row, table


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


LAST = "channels_last"
BF16 = "bf16-mixed"
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


class Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what operations read and write if each runs by itself; views move nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and "detach" not in str(func):
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, out))
            self.total += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
        return out


def bare_of(case: Case, option: Option, device: torch.device) -> Bare:
    """The loop under an option, from the same weights and, after seeding, the same batches."""
    deterministic = option.deterministic
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = option.tf32
    form = {"upsampling_form": option.form} if "filters" in case.config["model"] else {}
    detector = case.detector(**form).to(device)
    layout = {"memory_format": option.memory_format}
    prepare(
        detector,
        {**layout, "compile": option.compile, "cuda_graphs": option.cuda_graphs},
        device,
    )
    windows = _windows(case, device)
    return Bare(detector.network, *windows, option.fused_adam, option.precision)


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
    """The cells of an option; fills ``reference`` from the first."""
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


def floors(case: Case, device: torch.device) -> list[str]:
    """The least time that the arithmetic and the memory traffic of a step need."""
    flop = step_flop(case.detector(), case.batch_size)
    bare = bare_of(case, OPTIONS[3], device)
    bare.step()
    with Bytes() as count:
        bare.step()
    big = device.type == "cuda"
    source = torch.empty(2**28 if big else 2**24, device=device)
    target = torch.empty_like(source)
    copies, products = [], []
    half = torch.randn(8192 if big else 512, 8192 if big else 512, device=device).bfloat16()
    for _ in range(6):
        start, _ = now(device)
        target.copy_(source)
        copies.append(now(device)[0] - start)
        start, _ = now(device)
        half @ half
        products.append(now(device)[0] - start)
    bandwidth = 2 * source.nbytes / min(copies)
    lines = [
        f"copy: {bandwidth / 1e9:,.0f} GB/s; float32 product "
        f"{matmul_flop(device, 8192 if big else 1024) / 1e12:,.2f} TFLOP/s",
        f"a step moves {count.total / 1e9:,.2f} GB in float32 if every operation runs alone: "
        f"{1000 * count.total / bandwidth:,.2f} ms, half of that in bfloat16",
    ]
    if big:
        rate = 2 * len(half) ** 3 / min(products)
        lines.append(
            f"arithmetic: {flop / 1e9:,.0f} GFLOP a step, {1000 * flop / rate:,.2f} ms at the "
            f"{rate / 1e12:,.0f} TFLOP/s of a large bfloat16 product"
        )
    return lines


def aucs(runs: list[tuple[str, list[str]]]) -> list[str]:
    """Mean AUC and pAUC over machine types of U at demo scale, run by run."""
    from asd.scoring.clip_scores import read_scores

    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, overrides in runs:
            common = ["+experiment=u", "tracking=off", "trainer.progress=off"]
            places = [f"paths.{p}={folder}/{p}" for p in ("data", "cache")]
            place = Path(folder) / f"run{len(lines)}"
            command = [sys.executable, "-m", "asd.train", *common, *places, f"paths.runs={place}"]
            start = time.perf_counter()
            subprocess.run([*command, *overrides], check=True, capture_output=True)
            spent = time.perf_counter() - start
            scores = read_scores(next(place.glob("*/scores.csv")))
            lines.append(f"{name:34}{_mean_auc(scores)}  {spent:.0f} s")
    return lines


def _mean_auc(scores: Any) -> str:
    from asd.scoring.roc import auc

    values = [
        auc(part["label"].to_numpy(), part["score"].to_numpy())
        for _, part in scores.groupby(["machine", "id"])
    ]
    return f"mean AUC over machine IDs {sum(values) / len(values):.4f}"


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(description="Every speed option on a GPU.")
    parser.add_argument("--case", choices=list(CASES), help="default: paper; tiny without a GPU")
    parser.add_argument("--steps", type=int, default=50, help="in each of five rounds")
    parser.add_argument("--minutes", type=float, default=8, help="no option is begun after")
    parser.add_argument("--auc", action="store_true", help="train U at demo scale too")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    options, overrides = parser.parse_known_args()
    from rich.console import Console
    from rich.table import Table

    began = time.perf_counter()
    device = choose_device(options.accelerator)
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
        elif time.perf_counter() - began > 60 * options.minutes:
            made.add_row(option.name, "no time left")
        else:
            try:
                made.add_row(*time_option(case, option, device, options.steps, reference))
            except (RuntimeError, ImportError) as error:
                # one option that this torch cannot do must not cost the others
                made.add_row(option.name, f"failed: {type(error).__name__}")
                print(f"{option.name}: {error}", file=sys.stderr)
    console = Console(width=150)
    console.print(made)
    for line in floors(case, device):
        print(line)
    torch.use_deterministic_algorithms(False)
    loop = table("The Trainer's loop")
    for precision in ("32-true", BF16) if gpu else ("32-true",):
        again = Case.of(case.name, [*overrides, f"trainer.precision={precision}"])
        figures = measure(again, device, options.steps, usual=precision == "32-true")
        loop.add_row(*row(again, figures, device))
    Console(width=190).print(loop)
    if options.auc:
        runs = [(f"float32, seed {seed}", [f"seed={seed}"]) for seed in range(3)]
        if gpu:
            runs.append(("bfloat16, seed 0", ["trainer.precision=bf16-mixed"]))
            runs.append(("float32, channels first, seed 0", ["trainer.memory_format=contiguous"]))
        runs.append(("float32, plain upsampling, seed 0", ["model.upsampling_form=plain"]))
        for line in aucs(runs):
            print(line)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
