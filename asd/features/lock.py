"""Who may write in a folder of the store, and what is said if nobody can."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger(__name__)


def lock_of(folder: Path) -> FileLock:
    """The lock that is held while something in a folder of the store is written or removed.

    Its file lies beside the folder and stays: removing it while another process waits for it would
    let two in.
    """
    from filelock import FileLock

    return FileLock(f"{folder}.lock")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the one process that computes what is in a folder of the store.

    Raises:
        AsdError: the lock's file cannot be written.
    """
    from filelock import Timeout

    lock = lock_of(folder)
    with saying(Path(lock.lock_file)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.info("another process computes these features (%s); waiting for it", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Say of what could not be written where it is and what to do.

    Raises:
        AsdError: in place of OSError.
    """
    try:
        yield
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        raise AsdError(
            f"{path}: {getattr(error, 'strerror', None) or error}; nothing of it is kept. Free "
            "some space, or set paths.cache to a folder that can be written to and has more, then "
            "start again"
        ) from error
