"""Where studies are kept: sqlite in the runs' folder, or PostgreSQL for many workers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from asd.errors import AsdError
from asd.options import check_no_secret

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
# Seconds that sqlite waits for another process's write, and that PostgreSQL has to answer.
_PATIENCE = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": 10}}


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
    if (file := database_file(url)) is not None:
        return _SQLITE + str(file.absolute())
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] != "postgresql":
        raise AsdError(
            f"hydra.sweeper.storage: {parts.scheme or 'this'} cannot be used; give "
            "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        )
    check_no_secret("hydra.sweeper.storage", url)
    return url


def database_file(url: str) -> Path | None:
    """The file of sqlite; None for a server."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def connect(url: str, dead_after_seconds: int | None = None) -> HeartbeatStorage:
    """Open the storage, with empty tables where there are none.

    Args:
        url: see ``storage_url``.
        dead_after_seconds: of a worker: how long it may give no sign of life.
    """
    # Of what Optuna calls experimental, and of epochs that are told again.
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    warnings.filterwarnings("ignore", module=r"optuna\.|asd\.search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    options = {"connect_args": _PATIENCE[urlsplit(url).scheme.split("+")[0]], "pool_pre_ping": True}
    beat = dead_after_seconds and max(1, dead_after_seconds // 6)
    with reaching(url):
        return HeartbeatStorage(
            url, options, heartbeat_interval=beat, grace_period=dead_after_seconds
        )


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say of errors in the block which storage cannot be used; its address has no password.

    Raises:
        AsdError: it is away, full or damaged, or its driver is not installed.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError, ImportError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise AsdError(
            f"hydra.sweeper.storage={url}: cannot be used: {reason}; when it can, the same "
            "command goes on"
        ) from error
