"""A Slurm of one node for tests, with its own configuration in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgres import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
# No cgroups, no systemd, no accounting: what a container has.
CONF = """
ClusterName=asd
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=60 State=UP
"""


class SlurmNode:
    """A running Slurm; its commands need ``SLURM_CONF``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"

    def run(self, *command: str) -> str:
        """One of Slurm's commands; gives what it prints."""
        environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """States of the jobs that wait or run, by number."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def start_requeued(self, job: str) -> None:
        """Let a requeued job start; by itself Slurm waits two minutes."""
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now")


@contextmanager
def slurm_node() -> Iterator[SlurmNode]:
    """A Slurm of our own, gone afterwards."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    where = {name: shutil.which(name, path=path) for name in PROGRAMS}
    if missing := [name for name in PROGRAMS if where[name] is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)")
    folder = Path(tempfile.mkdtemp(prefix="asd-slurm-"))
    node = SlurmNode(folder)
    host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.geteuid()).pw_name
    node.conf.write_text(
        CONF.format(host=host, user=user, folder=folder, control=free_port(), node=free_port())
    )
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> None:
        with (folder / f"{name}.log").open("w") as said:
            started.append(
                subprocess.Popen(
                    [str(where[name]), *arguments], stdout=said, stderr=said,
                    env={**os.environ, "SLURM_CONF": str(node.conf)},
                )
            )  # fmt: skip

    try:
        start(
            "munged", "--foreground", "--force", f"--key-file={key}",
            f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        _until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D", "-f", str(node.conf))
        start("slurmd", "-D", "-f", str(node.conf))
        environment = {**os.environ, "SLURM_CONF": str(node.conf)}
        asked = ["sinfo", "--noheader", "--format=%T"]
        _until(
            lambda: "idle" in subprocess.run(
                asked, capture_output=True, text=True, env=environment
            ).stdout,
            folder,
        )  # fmt: skip
        yield node
        node.run("scancel", "--quiet", f"--user={user}")
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _until(true, folder: Path) -> None:  # type: ignore[no-untyped-def]
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    said = "\n".join(f"{p.name}: {p.read_text()[-2000:]}" for p in folder.glob("*.log"))
    pytest.fail(f"Slurm does not start: {said}")
