"""Being told to stop by a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from asd.errors import Terminated

#: A scheduler takes the machine back; the terminal is closed, of which Windows has no signal.
ENDINGS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
# Seconds after which a signal is repeated that Python could not let through.
_REPEAT = 0.05


@contextmanager
def stopped_by(*signals: signal.Signals) -> Iterator[None]:
    """Meanwhile, let the first of these signals raise ``Terminated``, and the rest do nothing.

    Schedulers repeat themselves, and closing a run must not be cut short by that. What is raised in
    a destructor or a garbage collection is lost in Python; the signal then comes again, Ctrl-C too.
    """
    arrived: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) == 1:
            raise Terminated(number)

    def lost(report: Any) -> None:
        raised = report.exc_value
        if isinstance(raised, Terminated) and arrived:
            number = arrived[0]
            arrived.clear()
        elif isinstance(raised, KeyboardInterrupt) and not isinstance(raised, Terminated):
            number = signal.SIGINT
        else:
            unraisable(report)
            return
        threading.Timer(_REPEAT, os.kill, (os.getpid(), number)).start()

    unraisable, sys.unraisablehook = sys.unraisablehook, lost
    heard = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    previous = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        for number, handler in previous.items():
            signal.signal(number, handler)
