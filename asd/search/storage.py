"""Where studies are kept: sqlite in the runs' folder, or PostgreSQL for many workers."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from asd.errors import AsdError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_SQLITE = "sqlite:///"
# Seconds that sqlite waits for another process's write, and that PostgreSQL has to answer.
_PATIENCE = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": 10}}


def storage_url(given: str | None, runs: str) -> str:
    """The address of the storage, absolute.

    Args:
        given: ``hydra.sweeper.storage``; None: sqlite in the folder ``runs``.
        runs: ``paths.runs``.

    Raises:
        AsdError: it is of another kind, or holds a password, which every run would store.
    """
    if given is None:
        return f"{_SQLITE}{(Path(runs) / 'optuna.db').absolute()}"
    kind = _kind(given)
    if kind not in _PATIENCE or (kind == "sqlite" and not given.startswith(_SQLITE)):
        raise AsdError(
            f"hydra.sweeper.storage: {kind or 'this'} cannot be used; give sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE"
        )
    if kind == "sqlite":
        return _SQLITE + str(Path(given[len(_SQLITE) :]).absolute())
    parts = urlsplit(given)
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise AsdError(
            "hydra.sweeper.storage: holds a password, which every run would store; give it in "
            "PGPASSWORD or ~/.pgpass"
        )
    return given


def open_storage(url: str, make: bool = False) -> RDBStorage:
    """Connect to the storage.

    Args:
        url: see ``storage_url``.
        make: its tables, where they are not there yet; the caller holds ``exclusively``.

    Raises:
        AsdError: it cannot be reached.
    """
    import optuna
    from optuna.storages import RDBStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    away: tuple[type[Exception], ...] = (sqlite3.Error, *storage_errors())
    options: dict[str, Any] = {"connect_args": _PATIENCE[_kind(url)]}
    try:
        if make and url.startswith(_SQLITE):
            # Lets one process write while others read; a property of the file from now on.
            with sqlite3.connect(url[len(_SQLITE) :]) as connection:
                connection.execute("pragma journal_mode=wal")
        return RDBStorage(url, options, skip_table_creation=not make)
    except ImportError as error:
        raise AsdError(f"hydra.sweeper.storage: {error}; pip install 'asd[server]'") from error
    except away as error:
        raise unusable(url, error) from error


def storage_errors() -> tuple[type[Exception], ...]:
    """What a storage raises that is away, full or damaged."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return StorageInternalError, SQLAlchemyError, OSError


def unusable(url: str, error: BaseException) -> AsdError:
    """The message of a storage that cannot be used; its address has no password."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(error).strip().splitlines() or [type(error).__name__]
    return AsdError(f"hydra.sweeper.storage={url}: cannot be used: {said[0]}")


@contextmanager
def exclusively(url: str) -> Iterator[None]:
    """Keep all other workers from choosing a trial, or making the storage, meanwhile.

    Raises:
        AsdError: the storage cannot be reached.
    """
    if url.startswith(_SQLITE):
        from filelock import FileLock

        path = Path(url[len(_SQLITE) :])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{path}.lock")
            lock.acquire()
        except OSError as error:
            raise AsdError(f"{path}: {error.strerror}; set hydra.sweeper.storage") from error
        try:
            yield
        finally:
            lock.release()
        return
    with _advisory_lock(url):
        yield


@contextmanager
def _advisory_lock(url: str) -> Iterator[None]:
    """PostgreSQL's own lock, which ends with the connection, however that ends."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    key = int.from_bytes(hashlib.blake2b(b"asd.search", digest_size=7).digest())
    try:
        engine = sqlalchemy.create_engine(
            url, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT",
            connect_args=_PATIENCE["postgresql"],
        )  # fmt: skip
        connection = engine.connect()
    except ImportError as error:
        raise AsdError(f"hydra.sweeper.storage: {error}; pip install 'asd[server]'") from error
    except SQLAlchemyError as error:
        raise unusable(url, error) from error
    with connection:
        connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": key})
        yield


def _kind(url: str) -> str:
    return urlsplit(url).scheme.split("+")[0]
