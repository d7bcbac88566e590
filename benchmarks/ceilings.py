"""What a device can do at most, and the clocks and counters that benchmarks share."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def now(device: torch.device) -> tuple[float, float]:
    """Wall and processor seconds, when the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def peak_bytes(device: torch.device) -> float:
    """Most memory used so far: the GPU's, or this process's."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def best_seconds(call: Callable[[], object], device: torch.device, repeats: int = 6) -> float:
    """The shortest of several calls."""
    times = []
    for _ in range(repeats):
        start, _ = now(device)
        call()
        times.append(now(device)[0] - start)
    return min(times)


def matmul_flop(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """FLOP/s of a large matrix product of random numbers, the best of several."""
    size = 8192 if device.type == "cuda" else 1536
    a = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / best_seconds(lambda: a @ a, device)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second of a large copy, those read and those written; the best of several."""
    source = torch.rand(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / best_seconds(lambda: target.copy_(source), device)


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


def moved_bytes(call: Callable[[], object]) -> int:
    """Bytes that the operations of a call read and write, each alone."""
    with Bytes() as count:
        call()
    return int(count.total)
