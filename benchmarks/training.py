"""Time of training: the Trainer's loop against a bare PyTorch loop, and against the usual way.

    python -m benchmarks.training [--cases demo b_demo b paper] [--steps 30] [--threads N]

The rows of a case take turns step by step in one process: after each step of the Trainer (the one
of ``asd.training.fit``, with its callbacks) the bare loops make theirs. Ratios are medians of the
ratios within a turn, so that load on the machine cancels; "CPU" is processor time. The usual way,
one .npy a clip, a DataLoader with two workers, ``self.log`` in each step, takes turns by epochs.
Four steps of the paper's model take one and a half minutes on two cores; the others seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as asd.train does

import pytorch_lightning as pl
import torch

from asd.training.batches import windows_view
from asd.training.fit import choose_device, fit
from asd.training.speed import set_memory_format, set_threads, step_flop
from benchmarks.cases import TEST_CLIPS, Bare, Case

if TYPE_CHECKING:
    from rich.table import Table

# Steps of the paper's model take seconds on a CPU: so many at most, and no more of its usual way.
SLOW_STEPS, SLOW_SECONDS = 4, 1.0


def now(device: torch.device) -> tuple[float, float]:
    """Wall and processor seconds, when the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


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


def peak_bytes(device: torch.device) -> float:
    """Most memory used so far: the GPU's, or this process's."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def matmul_flop(device: torch.device, size: int) -> float:
    """FLOP/s of a large float32 matrix product, the best of several."""
    a = torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(6):
        start, _ = now(device)
        a @ a
        end, _ = now(device)
        best = min(best, end - start)
    return 2 * size**3 / best


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


def scoring_seconds(bare: Bare, device: torch.device, steps: int) -> float:
    """Median processor seconds (wall on a GPU) of the errors of one batch."""
    times, clock = [], 0 if device.type == "cuda" else 1
    bare.network.eval()
    with torch.inference_mode():
        for _ in range(steps):
            before = now(device)
            batch = bare.data()
            (bare.network(batch)[0] - batch).square().flatten(1).mean(1)
            times.append(now(device)[clock] - before[clock])
    bare.network.train()
    return median(times)


class Usual(pl.LightningModule):
    """The usual LightningModule: plain Adam, a log line in each step."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        """Mean squared error."""
        loss = torch.nn.functional.mse_loss(self.network(batch)[0], batch)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Files(torch.utils.data.Dataset[Any]):
    """One .npy a clip."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: int) -> Any:
        import numpy as np

        return np.load(self.files[item])


def usual_ratio(case: Case, bare: Bare, device: torch.device, steps: int, epochs: int) -> float:
    """Wall time of an epoch in the usual way over that of as many steps of the bare loop."""
    import numpy as np
    from pytorch_lightning.loggers import CSVLogger

    ratios: list[float] = []

    class EpochTurns(pl.Callback):
        def on_train_epoch_start(self, *args: Any) -> None:
            self.began = now(device)[0]

        def on_train_epoch_end(self, *args: Any) -> None:
            middle = now(device)[0]
            for _ in range(steps):
                bare.step()
            ratios.append((middle - self.began) / (now(device)[0] - middle))

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for n in range(steps * case.batch_size):
            files.append(Path(folder) / f"{n}.npy")
            np.save(files[-1], bare.windows[n % len(bare.windows)].cpu().numpy())
        loader = torch.utils.data.DataLoader(
            Files(files), batch_size=case.batch_size, shuffle=True, num_workers=2
        )
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=1,
            max_epochs=epochs,
            logger=CSVLogger(folder),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[EpochTurns()],
        )
        trainer.fit(Usual(case.detector(upsampling_form="plain").network), loader)
    return median(ratios)


def measure(case: Case, device: torch.device, steps: int, usual: bool) -> dict[str, Any]:
    """All figures of one case."""
    options = case.config["trainer"]
    ours = case.detector()
    flop = step_flop(ours, case.batch_size)
    set_threads(options["threads"], flop)
    matmul = matmul_flop(device, 8192 if device.type == "cuda" else 1536)
    like = case.detector()
    set_memory_format(like, options["memory_format"], device)
    # B's model has no upsampling and so no such option
    form = {} if case.name.startswith("b") else {"upsampling_form": "plain"}
    plain = case.detector(**form)
    probe = Bare(like.network.to(device), *_windows(case, device), options["fused_adam"])
    start, _ = now(device)
    probe.step()
    slow = now(device)[0] - start > SLOW_SECONDS
    if slow:
        steps = min(steps, SLOW_STEPS)
    simple = Bare(plain.network.to(device), *_windows(case, device), False)
    turns = Turns({"bare": probe.step, "simple": simple.step}, device)
    options["max_epochs"] = 1
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        # a step more, for the first is not counted
        data = case.data(steps + 1)
        fit(ours, data, options, 0, Path(folder), case.name, lambda e, v: None, [turns])
    parts = part_seconds(probe, device, min(steps, 2) if slow else steps)
    figures = {
        "turns": turns,
        "flop": flop,
        "matmul": matmul,
        "parts": parts,
        "threads": torch.get_num_threads(),
        "scoring": scoring_seconds(probe, device, 2 if slow else steps),
        "steps": len(turns.times["asd"]),
    }
    if usual and case.windows_a_clip == 1:
        count = 1 if slow else steps
        figures["usual"] = usual_ratio(case, probe, device, count, 1 if slow else 3)
    return figures


def _windows(case: Case, device: torch.device) -> tuple[torch.Tensor, int]:
    values = torch.from_numpy(case.data(2).features.values).to(device)
    step = 1 if case.windows_a_clip > 1 else case.frames
    return windows_view(values, case.frames)[::step], case.batch_size


def ratio(turns: Turns, a: str, b: str, clock: int) -> float:
    """Median over turns of the time of ``a`` over that of ``b``."""
    pairs = zip(turns.times[a], turns.times[b], strict=True)
    return median(x[clock] / y[clock] for x, y in pairs)


def row(case: Case, f: dict[str, Any], device: torch.device) -> list[str]:
    """The cells of a case."""
    turns: Turns = f["turns"]
    wall = {name: median(t[0] for t in times) for name, times in turns.times.items()}
    cpu = {name: median(t[1] for t in times) for name, times in turns.times.items()}
    step = wall["asd"]
    epoch = step * case.steps_an_epoch
    clips = case.batch_size / case.windows_a_clip / step
    unit = wall if device.type == "cuda" else cpu
    lightning = max(0.0, ratio(turns, "asd", "bare", int(unit is cpu)) - 1)
    whole = sum(f["parts"].values()) * (1 + lightning)
    shares = [f"{f['parts'][p] / whole:.0%}" for p in Bare.PARTS]
    batches = TEST_CLIPS * case.windows_a_clip / case.batch_size
    train = unit["asd"] * case.steps_an_epoch
    return [
        case.name,
        f"{case.batch_size}",
        f"{f['threads']}",
        f"{1000 * step:,.1f}",
        f"{1000 * cpu['asd']:,.1f}",
        f"{ratio(turns, 'asd', 'bare', 0):.2f}",
        f"{ratio(turns, 'asd', 'bare', 1):.2f}",
        f"{ratio(turns, 'simple', 'asd', 0):.2f}",
        f"{f['usual'] * ratio(turns, 'bare', 'asd', 0):.2f}" if "usual" in f else "",
        f"{clips:,.1f}",
        f"{epoch / 60:,.1f}",
        f"{f['flop'] / step / 1e9:,.0f}",
        f"{f['flop'] / step / f['matmul']:.0%}",
        f"{turns.peak / 1e6:,.0f}",
        " ".join([*shares, f"{lightning / (1 + lightning):.0%}"]),
        f"{f['scoring'] * batches / train:.0%}",
        f"{f['steps']}",
    ]


HEADS = (
    "case", "batch", "threads", "step ms", "CPU ms", "/bare", "/bare CPU", "simple/", "usual/",
    "clips/s", "epoch min", "GFLOP/s", "of matmul", "peak MB", "data fwd bwd opt Lightning",
    "score/epoch", "steps",
)  # fmt: skip


def table(title: str) -> Table:
    """An empty table."""
    from rich.table import Table

    made = Table(title=title)
    for head in HEADS:
        made.add_column(head, justify="left" if head == "case" else "right")
    return made


BUSY = "while True: pass"
PROBE = """
import time, torch
from benchmarks.cases import Bare
from benchmarks.training import Case, _windows
case = Case.of("{case}", [])
torch.set_num_threads({threads})
bare = Bare(case.detector().network, *_windows(case, torch.device("cpu")), True)
times = []
for _ in range({steps}):
    start = time.perf_counter()
    bare.step()
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2], sum(times) / len(times))
"""


def contention(case: str, threads: int, steps: int) -> list[str]:
    """What a busy process beside training costs, by wait policy of idle threads."""
    lines = [f"{case}, {threads} threads, beside busy processes: ms a step, median (mean)"]
    for policy in ("passive", "active"):
        cells = []
        for busy in (0, 1, 2):
            others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
            try:
                code = PROBE.format(case=case, threads=threads, steps=steps)
                run = subprocess.run(
                    [sys.executable, "-c", code],
                    env={**os.environ, "OMP_WAIT_POLICY": policy},
                    capture_output=True,
                    text=True,
                    check=True,
                )
            finally:
                for other in others:
                    other.kill()
                    other.wait()
            middle, mean = (1000 * float(x) for x in run.stdout.split())
            cells.append(f"{busy} busy: {middle:,.1f} ({mean:,.1f})")
        lines.append(f"  OMP_WAIT_POLICY={policy:8}{'; '.join(cells)}")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Training against a bare loop.")
    parser.add_argument("--cases", nargs="+", default=["b_demo", "b", "demo", "paper"])
    parser.add_argument("--steps", type=int, default=30, help="turns; 4 where a step takes 1 s")
    parser.add_argument("--threads", type=int, help="of torch; default: as trainer.threads=null")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    parser.add_argument("--no-usual", action="store_true", help="leave out the usual way")
    parser.add_argument("--contention", metavar="CASE", help="only: beside busy processes")
    options, overrides = parser.parse_known_args()
    if options.contention:
        for line in contention(options.contention, options.threads or 2, options.steps):
            print(line)
        return
    from rich.console import Console

    device = choose_device(options.accelerator)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    if options.threads:
        overrides.append(f"trainer.threads={options.threads}")
    made = table(f"Training on {name}, torch {torch.__version__}, {load} at the start")
    for case_name in options.cases:
        case = Case.of(case_name, overrides)
        figures = measure(case, device, options.steps, not options.no_usual)
        made.add_row(*row(case, figures, device))
    Console(width=190).print(made)
    print(
        "/bare: over the bare loop of the same network; simple/, usual/: over asd's time, of a\n"
        "bare loop without our choices of form, layout and optimiser, and of files through a\n"
        "DataLoader; shares of processor time (wall on a GPU); score/epoch: scoring all test\n"
        "clips over training an epoch of 20,119 clips less a tenth. "
        f"Load average at the end: {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
