"""The device that trains, and what makes training fast there and leaves its results alone."""

from __future__ import annotations

import ctypes
import os
import sys

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from asd.cores import cores
from asd.errors import AsdError
from asd.experiment.trainer_options import TrainerOptions
from asd.models.detector import Detector

# A thread more for each so many floating-point operations of a step: below, a second thread was
# measured to cost more than it brings (docs/performance.md).
_FLOP_A_THREAD = 1e9
# On a CPU channels_last was faster for nets up to this many filters, slower for wider ones.
_CPU_CHANNELS_LAST = 64
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


def choose_device(options: TrainerOptions) -> torch.device:
    """The device of ``trainer.accelerator``, which can do what the other options ask of it.

    Raises:
        AsdError: there is no GPU and one is needed; or bf16 on a CPU (without arithmetic of its
            own for it, 7 to 17 times slower than float32 as measured).
    """
    gpu = torch.cuda.is_available()
    if options.accelerator == "gpu" and not gpu:
        raise AsdError("trainer.accelerator=gpu: torch sees no GPU; use auto or cpu")
    if gpu and options.accelerator != "cpu":
        return torch.device("cuda")
    if options.cuda_graphs:
        raise AsdError("trainer.cuda_graphs=true: for GPUs only")
    if options.precision == "bf16-mixed":
        text = "for GPUs, on a CPU many times slower; use trainer.precision=32-true"
        raise AsdError(f"trainer.precision=bf16-mixed: {text}")
    return torch.device("cpu")


def step_flop(detector: Detector, batch_size: int) -> float:
    """Floating-point operations of a training step, as it is executed.

    Three times those of the network on a batch: the backward pass costs two forward passes.
    """
    network = detector.network
    training, device = network.training, next(network.parameters()).device
    window = torch.zeros(1, detector.recipe["frames"], detector.recipe["bands"], device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(window)
    network.train(training)
    return 3.0 * batch_size * float(counter.get_total_flops())


def set_threads(threads: int | None, flop: float) -> None:
    """Give torch so many threads on a CPU.

    None: one for each 1e9 ``flop`` of a step, at most ``OMP_NUM_THREADS`` or this process's cores.
    """
    if threads is None:
        threads = max(1, min(cores(), int(flop / _FLOP_A_THREAD)))
    torch.set_num_threads(threads)


def set_determinism(deterministic: bool) -> None:
    """Same seed, same numbers, on a GPU too; for this process, whether it trains or only scores.

    Args:
        deterministic: ``trainer.deterministic``; False: the fastest algorithms are sought.
    """
    # Read when CUDA's linear algebra is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    # That mode also has every new tensor filled, which nothing here needs.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic


def prepare(detector: Detector, options: TrainerOptions, device: torch.device) -> None:
    """Lay out and, where asked for, compile the network for training, in place.

    The names in its state stay. ``memory_format`` orders the weights of convolutions in memory, and
    so decides how images are laid out; ``auto``: channels_last on a GPU, and on a CPU where no
    layer has more than 64 filters.
    """
    last = options.memory_format == "channels_last"
    if options.memory_format == "auto":
        layers = [m for m in detector.network.modules() if isinstance(m, nn.Conv2d)]
        widest = max((layer.out_channels for layer in layers), default=0)
        last = device.type == "cuda" or widest <= _CPU_CHANNELS_LAST
    torch_format = torch.channels_last if last else torch.contiguous_format
    detector.network.to(memory_format=torch_format)  # type: ignore[call-overload]
    if device.type == "cpu":
        keep_freed_memory()
    if options.cuda_graphs or options.compile:
        # A process may train many models, and dynamo counts what it has compiled for all of them.
        torch._dynamo.reset()  # type: ignore[no-untyped-call]
        # "reduce-overhead" is torch's name for compiling with CUDA graphs.
        mode = "reduce-overhead" if options.cuda_graphs else "default"
        detector.network.compile(mode=mode, dynamic=False)


def resident(values: np.ndarray, device: torch.device, share: float) -> torch.Tensor:
    """Features [frames, bands] as one tensor, on a GPU if this share of its free memory holds them.

    Otherwise they stay where they are.
    """
    tensor = torch.from_numpy(values)
    if device.type == "cuda" and tensor.nbytes < share * torch.cuda.mem_get_info(device)[0]:
        return tensor.to(device)
    return tensor


def keep_freed_memory() -> None:
    """Have glibc, where it is the C library, keep what this process frees, now and later.

    By default it gives blocks of 32 MB and more back to the system at once. A step's tensors of
    that size then come as new pages, each of which the system fills with zeros when it is first
    written: a third of a step of the paper's model on a CPU (docs/performance.md). The
    process stays at its peak of memory until ``give_back_memory``.
    """
    for threshold in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        _call_glibc("mallopt", threshold, _NEVER)


def give_back_memory() -> None:
    """Return to the system what is free now: a process that trains many runs starts each small.

    On a GPU too, where the next model asks the driver what is free.
    """
    torch.cuda.empty_cache()
    _call_glibc("malloc_trim", 0)


def _call_glibc(name: str, *arguments: int) -> None:
    if sys.platform.startswith("linux") and (function := getattr(ctypes.CDLL(None), name, None)):
        function(*arguments)
