"""Where runs are logged, and reaching it: the embedded database, a server, or PostgreSQL."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from asd.errors import AsdError
from asd.tracking.experiment_page import experiment_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_SERVERS = ("http", "https")


@dataclass(frozen=True)
class Tracking:
    """The config group ``tracking``, with absolute addresses.

    Args:
        enabled: whether runs are logged at all.
        uri: of a server, or of a database.
        artifacts: folder of the embedded database's artifacts; a server has its own place.
        experiment: in which the runs are listed.
        system_metrics: whether to log the use of processor, memory, disk, network and GPU.
        timeout: seconds that a server may take to answer.
        retries: how often a server is asked again before it counts as gone.
        live_every: seconds between two copies of a run's losses while it trains.
    """

    enabled: bool
    uri: str
    artifacts: str
    experiment: str
    system_metrics: bool = False
    timeout: int = 10
    retries: int = 1
    live_every: int = 5

    @classmethod
    def of(cls, options: dict[str, Any]) -> Tracking:
        """From the composed options; relative paths start at the working directory.

        Raises:
            AsdError: the address cannot be used, or holds a password.
        """
        if not options["enabled"]:
            return cls(False, "", "", "")
        return cls(
            True,
            absolute_uri(str(options["uri"])),
            str(Path(options["artifacts"]).absolute()),
            str(options["experiment"]),
            bool(options.get("system_metrics", cls.system_metrics)),
            _at_least("timeout", options.get("timeout", cls.timeout), 1),
            _at_least("retries", options.get("retries", cls.retries), 0),
            _at_least("live_every", options.get("live_every", cls.live_every), 0),
        )

    @property
    def embedded(self) -> bool:
        """True if the tracker is a file of our own, not a service that may be down."""
        return self.uri.startswith(_SQLITE)

    @property
    def ui_command(self) -> str | None:
        """The line that opens the UI of an embedded database; None for a server."""
        if not self.embedded:
            return None
        program = "mlflow" if shutil.which("mlflow") else _short(_program("mlflow"))
        return f"{program} ui --backend-store-uri {_SQLITE}{_short(self.uri[len(_SQLITE) :])}"


def _program(name: str) -> str:
    """A program of this environment, which need not be activated."""
    return str(Path(sys.executable).with_name(name))


def absolute_uri(uri: str) -> str:
    """The tracker's address; a database file's path made absolute.

    Raises:
        AsdError: the address is a folder, or holds a password.
    """
    if uri.startswith(_SQLITE):
        return _SQLITE + str(Path(uri[len(_SQLITE) :]).absolute())
    if "://" not in uri:
        raise AsdError(
            f"tracking.uri={uri}: must be a server (http://...) or a database "
            "(sqlite:///FILE, postgresql://...); MLflow no longer accepts folders"
        )
    parts = urlsplit(uri)
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise AsdError(
            "tracking.uri: holds a password, which every run would store; give it in "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (a server), or in PGPASSWORD or "
            "~/.pgpass (PostgreSQL)"
        )
    return uri


def _at_least(name: str, value: Any, low: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise AsdError(f"tracking.{name}={value}: must be a whole number, {low} or more")
    return value


def _short(path: str) -> str:
    """Relative to the working directory where that is shorter to read."""
    here = str(Path.cwd()) + os.sep
    return path.removeprefix(here)


def connect(tracking: Tracking) -> tuple[MlflowClient, str]:
    """Open the tracker, making database and experiment where they are not there yet.

    Processes that start together on a fresh database would trip over each other's tables, so one
    makes them and the others wait.

    Returns:
        The client and the experiment's id.

    Raises:
        AsdError: the tracker cannot be reached, or refuses us.
    """
    # MLflow's own defaults try a dead server for minutes. What the user has set stays.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(tracking.retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(tracking.timeout))
    from filelock import FileLock

    if not tracking.embedded:
        if urlsplit(tracking.uri).scheme not in _SERVERS:
            _try_database(tracking)
        return _open(tracking, None)
    database = Path(tracking.uri[len(_SQLITE) :])
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(database) + ".lock"):
            if not database.exists():
                _make(tracking, database)
            return _open(tracking, Path(tracking.artifacts).as_uri())
    except OSError as error:
        raise AsdError(f"{database}: {error.strerror}; set paths.mlruns or tracking.uri") from error


def _make(tracking: Tracking, database: Path) -> None:
    """A database with MLflow's tables, under its name when it has all of them.

    A process that is killed while MLflow makes them would leave some, on which every later one
    fails.
    """
    draft, copy = (database.with_name(f"{database.name}.{kind}") for kind in ("draft", "partial"))
    for path in (draft, copy):
        path.unlink(missing_ok=True)
    _open(replace(tracking, uri=f"{_SQLITE}{draft}"), Path(tracking.artifacts).as_uri())
    with closing(sqlite3.connect(draft)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # Lets one process write while others read; a property of the file from now on.
        target.execute("pragma journal_mode=wal")
    copy.replace(database)
    draft.unlink()


def _try_database(tracking: Tracking) -> None:
    """Connect once: MLflow itself would try ten times, for minutes."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        sqlalchemy.create_engine(tracking.uri).connect().close()
    except ImportError as error:
        raise AsdError(
            f"tracking.uri={tracking.uri}: {error}; for PostgreSQL: pip install 'asd[server]'"
        ) from error
    except SQLAlchemyError as error:
        raise _unusable(tracking, error) from error


def _open(tracking: Tracking, artifacts: str | None) -> tuple[MlflowClient, str]:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking.uri)
        found = client.get_experiment_by_name(tracking.experiment)
        if found is None:
            try:
                made = client.create_experiment(tracking.experiment, artifacts, experiment_tags())
                return client, made
            except MlflowException:
                # Another process may have made it since we looked.
                found = client.get_experiment_by_name(tracking.experiment)
                if found is None:
                    raise
    except MlflowException as error:
        raise _unusable(tracking, error) from error
    if found.lifecycle_stage != "active":
        raise AsdError(
            f"tracking.experiment={tracking.experiment}: deleted in MLflow; restore it "
            "(mlflow experiments restore) or choose another name"
        )
    return client, str(found.experiment_id)


def _unusable(tracking: Tracking, error: Exception) -> AsdError:
    said = str(error)
    if "error code 401" in said:
        user = os.environ.get("MLFLOW_TRACKING_USERNAME")
        who = f"the password of user {user!r}" if user else "a request without a user name"
        return AsdError(
            f"tracking.uri={tracking.uri}: the server refuses {who}; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if "error code 403" in said:
        return AsdError(
            f"tracking.uri={tracking.uri}: user {os.environ.get('MLFLOW_TRACKING_USERNAME')!r} "
            f"may not write to experiment {tracking.experiment!r}; ask the server's admin, or "
            "choose another tracking.experiment"
        )
    return AsdError(
        f"tracking.uri={tracking.uri}: cannot be used: {reason(error)}. Start the "
        "server, or use the embedded database (unset MLFLOW_TRACKING_URI) or tracking=off"
    )


def reason(error: Exception) -> str:
    """What went wrong in a few words: MLflow wraps a refused connection in half a page."""
    said = str(error)
    for words in ("Connection refused", "timed out", "Name or service not known"):
        if words in said:
            return words.lower()
    return said.strip().splitlines()[0] if said.strip() else type(error).__name__
