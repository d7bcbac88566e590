"""Where studies are kept: sqlite in the runs' folder, or PostgreSQL for many workers."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from asd.errors import AsdError

log = logging.getLogger(__name__)
T = TypeVar("T")

_SQLITE = "sqlite:///"
# Seconds that sqlite waits for another process's write, and that PostgreSQL has to answer.
_PATIENCE = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": 10}}
# Seconds between two attempts on a storage that is away, and how many there are.
_PAUSE, _ATTEMPTS = 10.0, 30


class StorageError(AsdError):
    """The storage does not answer, or is full or damaged."""


class HeartbeatStorage(RDBStorage):
    """Optuna's storage, in which a heartbeat that fails is not the last one."""

    def record_heartbeat(self, trial_id: int) -> None:
        """See Optuna."""
        try:
            super().record_heartbeat(trial_id)
        except (StorageInternalError, SQLAlchemyError):
            log.debug("no heartbeat: the storage does not answer", exc_info=True)


def storage_url(url: str | None, runs: str) -> str:
    """The address of the storage, absolute.

    Args:
        url: ``hydra.sweeper.storage``; None: sqlite in the folder ``runs``.
        runs: ``paths.runs``.

    Raises:
        AsdError: it is of another kind, or holds a password, which every run would store.
    """
    url = url or f"{_SQLITE}{Path(runs) / 'optuna.db'}"
    if url.startswith(_SQLITE):
        return _SQLITE + str(_file(url).absolute())
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] != "postgresql":
        raise AsdError(
            f"hydra.sweeper.storage: {parts.scheme or 'this'} cannot be used; give "
            "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        )
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise AsdError(
            "hydra.sweeper.storage: holds a password, which every run would store; give it in "
            "PGPASSWORD or ~/.pgpass"
        )
    return url


def connect(
    url: str, heartbeat_seconds: int | None = None, dead_after_seconds: int | None = None
) -> HeartbeatStorage:
    """Open the storage.

    Args:
        url: see ``storage_url``.
        heartbeat_seconds, dead_after_seconds: of a worker.

    Raises:
        StorageError: it cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    kind = urlsplit(url).scheme.split("+")[0]
    options: dict[str, Any] = {"connect_args": _PATIENCE[kind], "pool_pre_ping": True}
    with reaching(url):
        return HeartbeatStorage(
            url, options, heartbeat_interval=heartbeat_seconds, grace_period=dead_after_seconds
        )


def make_storage(url: str) -> None:
    """Make the storage, where it is not there yet.

    Raises:
        StorageError: it cannot be made, or another process does so at this moment.
    """
    with reaching(url):
        if url.startswith(_SQLITE):
            _file(url).parent.mkdir(parents=True, exist_ok=True)
        with connect(url).engine.connect() as connection:
            if url.startswith(_SQLITE):
                # Lets one process write while others read; a property of the file from now on.
                connection.exec_driver_sql("pragma journal_mode=wal")


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say of errors in the block which storage cannot be used; its address has no password.

    Raises:
        StorageError: it is away, full or damaged, or its driver is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Of what Optuna calls experimental, and of epochs that are told again.
            warnings.simplefilter("ignore")
            yield
    except (StorageInternalError, SQLAlchemyError, OSError, ImportError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        if isinstance(error, ImportError):
            reason += "; pip install 'asd[server]'"
        raise StorageError(f"hydra.sweeper.storage={url}: cannot be used: {reason}") from error


def patiently(url: str, action: Callable[[], T]) -> T:
    """The result of an action on the storage, tried again while that is away.

    Raises:
        StorageError: it was away for five minutes.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with reaching(url):
                return action()
        except StorageError as error:
            if attempt == 0:
                log.warning("%s; trying again", error)
            time.sleep(_PAUSE)
    with reaching(url):
        return action()


def is_there(url: str) -> bool:
    """Whether the storage may have studies: a file of sqlite is there, or it is a server."""
    return not url.startswith(_SQLITE) or _file(url).exists()


def _file(url: str) -> Path:
    return Path(url.removeprefix(_SQLITE))
