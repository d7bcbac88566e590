"""Memory that a step has freed stays with the process for the next step."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

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
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def give_back_memory() -> None:
    """Return to the system what is free now: a process that trains many runs starts each small."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Any:
    """A function of the C library; None where it has no such."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):  # another C library
        return None
