"""A PostgreSQL cluster for tests (the fixture ``postgres``)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "the-database's-own"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _newest() -> Path | None:
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if found:
        return max(found, key=lambda p: int(p.parent.name))
    return Path(on_path).parent if on_path else None


class Postgres:
    """A running cluster with a user ``mlflow``."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self.programs = programs
        self.folder = folder
        self.user = user
        self.port = free_port()

    def run(self, *command: str | Path) -> None:
        """A program of the cluster, as its user."""
        # Not through pipes: the server that pg_ctl starts would keep them open.
        with (self.folder / "said.txt").open("a+") as said:
            done = subprocess.run(
                command, user=self.user, stdout=said, stderr=said, cwd=self.folder,
                env={**os.environ, "PGPASSWORD": PASSWORD},
            )  # fmt: skip
            assert done.returncode == 0, (self.folder / "said.txt").read_text()

    def psql(self, database: str, *arguments: str | Path) -> None:
        """SQL as the user ``mlflow``."""
        self.run(
            self.programs / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "mlflow",
            "-d", database, *arguments,
        )  # fmt: skip

    def own(self, path: Path) -> Path:
        """A copy of a file that the cluster's user may read."""
        copy = Path(shutil.copy(path, self.folder))
        if self.user is not None:
            shutil.chown(copy, self.user)
        return copy


@contextmanager
def cluster() -> Iterator[Postgres]:
    """A cluster of our own, gone afterwards."""
    programs = _newest()
    if programs is None:
        pytest.skip("PostgreSQL's server programs are not installed (apt-get install postgresql)")
    user = None
    if os.geteuid() == 0:
        # The server refuses to run as root.
        if "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
            pytest.skip("run by root, and there is no user postgres to run PostgreSQL as")
        user = "postgres"
    folder = Path(tempfile.mkdtemp(prefix="asd-postgres-"))
    made = Postgres(programs, folder, user)
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        if user is not None:
            for path in (folder, password):
                shutil.chown(path, user)
        data = folder / "data"
        made.run(
            programs / "initdb", "-D", data, "-U", "mlflow", "--auth=scram-sha-256",
            f"--pwfile={password}", "--no-sync",
        )  # fmt: skip
        options = f"-p {made.port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        made.run(programs / "pg_ctl", "-D", data, "-w", "-o", options, "start")
        try:
            yield made
        finally:
            made.run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
