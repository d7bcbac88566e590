"""Being told to stop by a signal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asd.errors import Terminated


@contextmanager
def stopped_by(*signals: signal.Signals) -> Iterator[None]:
    """Meanwhile, let the first of these signals raise ``Terminated``, and the rest do nothing.

    Schedulers repeat themselves, and closing a run must not be cut short by that.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, lambda *_: None)
        raise Terminated

    previous = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
