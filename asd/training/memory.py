"""Memory that a step has freed stays with the process for the next step."""

from __future__ import annotations

import ctypes
import sys

import torch

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


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
