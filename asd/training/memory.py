"""What a network takes at least; and what a step has freed stays for the next step."""

from __future__ import annotations

import ctypes
import sys

import torch

from asd.errors import AsdError

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


# A weight, its gradient, and Adam's two moments of it.
_COPIES = 4


def check_memory(model: torch.nn.Module, device: torch.device) -> None:
    """Refuse a network whose weights alone cannot be trained here, before anything is computed.

    Args:
        model: may be on torch's meta device, which takes no memory.
        device: on which it would train.

    Raises:
        AsdError: says what it takes at least, and what there is.
    """
    import psutil

    sizes = [weights.numel() * weights.element_size() for weights in model.parameters()]
    needed, total = _COPIES * sum(sizes), psutil.virtual_memory().total
    if device.type == "cuda":
        total = torch.cuda.mem_get_info(device)[1]
    if needed > total:
        raise AsdError(
            f"model: to train its weights takes {needed / 2**30:.3g} GiB or more, and there are "
            f"{total / 2**30:.3g}: smaller model.*, frontend.bands or window.* take less"
        )


def keep_freed_memory() -> bool:
    """Have the C library keep what this process frees, now and later.

    By default glibc gives blocks of 32 MB and more back to the system at once. A step's tensors of
    that size then come as new pages, each of which the system fills with zeros when it is first
    written: a third of a step of the paper's model on a CPU (docs/performance.md). The
    process stays at its peak of memory until ``give_back_memory``.

    Returns:
        Whether there is a glibc that can be told so.
    """
    thresholds = (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    return all(_call_glibc("mallopt", threshold, _NEVER) for threshold in thresholds)


def give_back_memory() -> None:
    """Return to the system what is free now: a process that trains many runs starts each small.

    On a GPU too, where the next model asks the driver what is free.
    """
    torch.cuda.empty_cache()
    _call_glibc("malloc_trim", 0)


def _call_glibc(name: str, *arguments: int) -> bool:
    """Whether the C library has this function, and the function succeeds."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
    return function is not None and bool(function(*arguments))
