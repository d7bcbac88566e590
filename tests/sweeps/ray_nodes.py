"""A Ray cluster of two nodes on this machine, started by Ray's own command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from postgres import free_port


@contextmanager
def ray_nodes() -> Iterator[str]:
    """The address of a cluster of our own, of two nodes with a core each; gone afterwards."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    folder = Path(tempfile.mkdtemp(prefix="asd-ray-", dir="/tmp"))  # sockets: a short path
    address = f"127.0.0.1:{free_port()}"
    program = Path(sys.executable).with_name("ray")
    common = ["--num-cpus=1", "--disable-usage-stats"]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    # Ray's workers step back for everything else on the machine, which here is other tests.
    environment["RAY_worker_niceness"] = "0"
    # Else a token that some other use of Ray has left in the home folder is asked for.
    environment["RAY_AUTH_MODE"] = "disabled"
    ours: list[psutil.Process] = []
    try:
        for arguments in (
            ["--head", f"--port={address.split(':')[1]}", f"--temp-dir={folder}",
             "--include-dashboard=false"],
            [f"--address={address}"],
        ):  # fmt: skip
            # A name in the environment, by which the processes that it leaves are found.
            subprocess.run(
                [program, "start", *arguments, *common], check=True, timeout=120,
                stdout=subprocess.DEVNULL, env={**environment, "ASD_TEST_RAY": str(folder)},
            )  # fmt: skip
        yield address
    finally:
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get("ASD_TEST_RAY") == str(folder):
                ours.append(process)
        for process in ours:
            _end(process, signal.SIGTERM)
        for process in psutil.wait_procs(ours, timeout=3)[1]:
            _end(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: psutil.Process, how: signal.Signals) -> None:
    try:
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return
