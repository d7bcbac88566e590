"""Who works on which trial, and who of them is dead: a killed worker's trials are taken up again.

A trial's user attribute ``worker`` names the process that has it. On the same machine the process
table says whether it lives; of other machines their heartbeat does, an attribute of the study.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from asd.search.store import storage_errors

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)

CLAIM = "worker"
_BEAT = "heartbeat "
# Seconds by which two readings of when a process began may differ.
_SAME = 2.0


class Worker:
    """This process among those that work on a study; a context in which its heart beats.

    Args:
        study: the study.
        heartbeat_seconds: between two signs of life.
        dead_after_seconds: without one, a worker of another machine is dead.
    """

    def __init__(self, study: Study, heartbeat_seconds: float, dead_after_seconds: float) -> None:
        import psutil

        self.study = study
        self.heartbeat_seconds = heartbeat_seconds
        self.dead_after_seconds = dead_after_seconds
        self.me: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "began": psutil.Process().create_time(),
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Worker:
        self._sign(time.time())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._sign(0.0)

    def claim(self, trial: Trial) -> None:
        """This trial is ours."""
        trial.set_user_attr(CLAIM, self.me)

    def is_orphan(self, trial: FrozenTrial) -> bool:
        """Whether nobody works on this unfinished trial: its worker is dead, or went away.

        Of a trial that this worker has in hand the caller need not ask; another that it has claimed
        is one that a storage in trouble cost it.
        """
        claim = trial.user_attrs.get(CLAIM)
        if claim is None or claim == self.me:
            return True
        if claim["host"] == self.me["host"]:
            return not _lives(claim)
        seen = float(self.study.user_attrs.get(_BEAT + _name(claim), 0.0))
        return time.time() - seen > self.dead_after_seconds

    def _beat(self) -> None:
        while not self._stop.wait(self.heartbeat_seconds):
            self._sign(time.time())

    def _sign(self, when: float) -> None:
        try:
            self.study.set_user_attr(_BEAT + _name(self.me), when)
        except storage_errors():
            log.debug("no heartbeat: the storage does not answer", exc_info=True)


def _name(claim: dict[str, Any]) -> str:
    return f"{claim['host']} {claim['pid']}"


def _lives(claim: dict[str, Any]) -> bool:
    """Whether the very process that made this claim runs, not another with its number."""
    import psutil

    try:
        process = psutil.Process(claim["pid"])
        began = process.create_time()
    except psutil.NoSuchProcess:
        return False
    ended = process.status() == psutil.STATUS_ZOMBIE
    return abs(began - claim["began"]) < _SAME and not ended
