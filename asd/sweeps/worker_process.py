"""A worker's process: ``python -m asd.sweeps.worker_process MODULE ARGUMENT ...``.

Runs the module as ``python -m MODULE`` does, and ends when the process that started it has.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

from asd.sweeps.workers import GLANCE, GRACE

#: The process that a worker must not outlive; set by launchers on the same machine.
PARENT = "ASD_WORKER_PARENT"


def _guard(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(GLANCE)
    os.kill(os.getpid(), signal.SIGTERM)  # the run closes
    time.sleep(GRACE)
    os._exit(1)


def main() -> None:
    """Guard, then run."""
    if PARENT in os.environ:
        parent = int(os.environ[PARENT])
        threading.Thread(target=_guard, args=(parent,), daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
