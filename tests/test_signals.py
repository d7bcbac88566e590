"""Being told to stop by a signal."""

from __future__ import annotations

import os
import signal
import time
import weakref

import pytest

from asd.errors import Terminated
from asd.signals import ENDINGS, stopped_by


class _Collected:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_garbage_collection_is_not_lost(number: signal.Signals) -> None:
    expected = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    with pytest.raises(expected), stopped_by(signal.SIGTERM):
        collected = _Collected()
        reference = weakref.ref(collected, lambda _: os.kill(os.getpid(), number))
        del collected
        assert reference() is None
        for _ in range(200):
            time.sleep(0.05)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by(*ENDINGS):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_repeated_signal_does_not_cut_the_closing_short() -> None:
    closed = False
    with pytest.raises(Terminated), stopped_by(signal.SIGTERM):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            closed = True
    assert closed
