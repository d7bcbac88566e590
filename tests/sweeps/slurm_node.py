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
    ports = {"control": free_port(), "node": free_port()}
    node.conf.write_text(CONF.format(host=host, user=user, folder=folder, **ports))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    files = {"key-file": "key", "socket": "munge.socket", "pid-file": "munge.pid",
             "log-file": "munge.log", "seed-file": "munge.seed"}  # fmt: skip
    daemons = {
        "munged": ["--foreground", "--force", *(f"--{o}={folder / f}" for o, f in files.items())],
        "slurmctld": ["-D", "-f", str(node.conf)],
        "slurmd": ["-D", "-f", str(node.conf)],
    }
    started: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "SLURM_CONF": str(node.conf)}
    try:
        for name, options in daemons.items():
            with (folder / f"{name}.log").open("w") as said:
                command = [str(where[name]), *options]
                process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
            started.append(process)
            while name == "munged" and not (folder / "munge.socket").exists():
                assert process.poll() is None, (folder / "munge.log").read_text()
                time.sleep(0.1)
        for _ in range(300):
            if "idle" in subprocess.getoutput(f"SLURM_CONF={node.conf} sinfo -h -o %T"):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"Slurm does not start: {(folder / 'slurmctld.log').read_text()[-2000:]}")
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
