"""Several small runs on one device: one after another, in processes side by side, or as one batch
of models in one process.

    python -m benchmarks.several [--models 3] [--seconds 10] [--case demo]

All train the same bare loop (forward, backward, Adam) on noise. The batch of models is torch.func's
vmap over stacked parameters; its batch norm has no running averages, which vmap refuses, and is
torch's own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asd.training.speed import prepare
from benchmarks.cases import Case


def network(case: Case, seed: int, device: torch.device) -> nn.Module:
    """The case's autoencoder as a run trains it."""
    torch.manual_seed(seed)
    detector = case.detector()
    prepare(detector, case.options, device)
    return detector.network.to(device)


def without_averages(network: nn.Module) -> nn.Module:
    """Batch norm without running averages."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return network


def batch_of(case: Case, device: torch.device) -> Tensor:
    """[batch, frames, bands] of noise."""
    return torch.randn(case.batch_size, case.frames, case.bands, device=device)


def _nothing() -> None:
    pass


def steps_a_second(step: Callable[[], None], seconds: float, device: torch.device) -> float:
    """How often ``step`` runs, after three to warm up."""
    for _ in range(3):
        step()
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else _nothing
    wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        wait()
        count += 1
    return count / (time.perf_counter() - began)


def alone(case: Case, seed: int, threads: int, seconds: float, device: torch.device) -> float:
    """Steps a second of one model."""
    torch.set_num_threads(threads)
    model, batch = network(case, seed, device), batch_of(case, device)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        optimiser.zero_grad()
        F.mse_loss(model(batch)[0], batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return steps_a_second(step, seconds, device)


def stacked(case: Case, models: int, threads: int, seconds: float, device: torch.device) -> float:
    """Steps a second of a batch of models, each on a batch of its own."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    torch.set_num_threads(threads)
    made = [without_averages(network(case, seed, device)) for seed in range(models)]
    parameters, buffers = stack_module_state(made)
    parameters = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    batches = torch.stack([batch_of(case, device) for _ in range(models)])
    optimiser = torch.optim.Adam(parameters.values(), fused=True)

    def loss(own: dict[str, Tensor], fixed: dict[str, Tensor], batch: Tensor) -> Tensor:
        return F.mse_loss(functional_call(made[0], (own, fixed), (batch,))[0], batch)

    slopes = vmap(grad(loss), randomness="different")

    def step() -> None:
        found = slopes({n: p.detach() for n, p in parameters.items()}, buffers, batches)
        for name, parameter in parameters.items():
            parameter.grad = found[name]
        optimiser.step()

    return steps_a_second(step, seconds, device)


def main() -> None:
    """Time all three and print model-steps a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.several")
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--case", default="demo")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    case, cores = Case.of(options.case, []), len(os.sched_getaffinity(0))
    rows: list[tuple[str, float]] = []
    for threads in sorted({1, cores}):
        one = alone(case, 0, threads, options.seconds, device)
        rows.append((f"one after another, {threads} threads", one))
    own = max(1, cores // options.models)
    with ProcessPoolExecutor(options.models, mp_context=get_context("spawn")) as pool:
        made = [
            pool.submit(alone, case, seed, own, options.seconds, device)
            for seed in range(options.models)
        ]
        together = sum(future.result() for future in made)
    rows.append((f"{options.models} processes of {own} threads", together))
    try:
        batch = stacked(case, options.models, cores, options.seconds, device)
        rows.append((f"one batch of {options.models} models", options.models * batch))
    except RuntimeError as error:
        print(f"a batch of models: {str(error).splitlines()[0]}")
    print(f"{options.case} on {device}: steps of one model a second, all models together")
    for name, rate in rows:
        print(f"  {name:36} {rate:8.2f}   {rate / rows[0][1]:5.2f} x")


if __name__ == "__main__":
    main()
