"""Memory that a step has freed stays with the process for the next step."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, for as long as this process lives.

    By default glibc gives blocks of 32 MB and more back to the system at once. A step's tensors of
    that size then come as new pages, each of which the system fills with zeros when it is first
    written: a third of a step of the paper's model on a CPU (docs/performance.md). The process
    keeps its peak of memory.

    Returns:
        Whether there is a glibc that can be told so.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
