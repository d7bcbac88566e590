"""What of the machine this process may use, being one of several or alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Set by a launcher in processes that train beside others on this machine.
BESIDE_OTHERS = "ASD_BESIDE_OTHERS"


def cores() -> int:
    """Cores for this process's threads: its share where it is one of several, at least 1.

    ``OMP_NUM_THREADS`` is what launchers of several processes set (ours, joblib's, Slurm
    scripts); without it, the cores that the system lets the process run on.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if given.isdigit() and int(given) > 0:
        return int(given)
    return allowed_cores()


def allowed_cores() -> int:
    """Cores that the system lets this process run on; where it does not say (macOS), all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True).stdout
    except OSError:  # there is no such program
        return []
    return [name for name in said.split() if name.isdigit()]


def beside_others() -> bool:
    """Whether this process trains beside others that a launcher of ours has started here."""
    return BESIDE_OTHERS in os.environ


def share(threads: int) -> dict[str, str]:
    """The environment of a process that may use so many threads, before it imports torch."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "passive"}


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """While a pool of ours runs in parallel: torch's own threads would only get in its way."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
