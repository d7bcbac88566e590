"""How loops that are too slow in Python are compiled; imports numba at its top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(loop: Callable[..., None], **options: Any) -> Callable[..., None]:
    """A loop compiled on its first call, and run without Python's lock.

    What is compiled is kept on disk where a cache folder can be written.

    Args:
        loop: over NumPy arrays.
        options: more of ``numba.njit``.
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        made: Callable[..., None] = njit(cache=True, **options)(loop)
    except RuntimeError:  # numba's "no locator available": nowhere to write
        made = njit(**options)(loop)
    return made


# Multiply-add in one instruction; nothing else is reordered.
CONTRACT = {"contract"}
