"""Being told to stop by a signal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asd.errors import Terminated


@contextmanager
def stopped_by(*signals: signal.Signals) -> Iterator[list[int]]:
    """Meanwhile, let the first of these signals raise ``Terminated``, and the rest do nothing.

    Schedulers repeat themselves, and closing a run must not be cut short by that.

    Yields:
        what has arrived, so far.
    """
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) == 1:
            raise Terminated

    previous = {number: signal.signal(number, stop) for number in signals}
    try:
        yield told
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
