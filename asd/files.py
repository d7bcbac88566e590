"""Files that appear whole or not at all, whenever the process is killed."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asd.errors import AsdError

log = logging.getLogger(__name__)

_GLANCE = 1.0  # seconds for which a lock may be held without a word


def check_regular(path: Path) -> None:
    """Refuse what is there but is no regular file: to open a pipe may take for ever.

    Raises:
        OSError: a pipe, a device, a folder.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))


@contextmanager
def locked(file: Path, doing: str, wait: bool = True) -> Iterator[None]:
    """Be the one process that holds a lock; ``doing`` says what another does.

    The file stays: removing it while another process waits for it would let two in. The system
    lets go of it when the process ends.

    Raises:
        OSError: it cannot be written (NotImplementedError: a disk without locks); Timeout: another
            process holds it, and ``wait`` is false.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    try:
        lock.acquire(timeout=_GLANCE)
    except Timeout:
        if not wait:
            raise
        log.warning("waiting for another process, which %s (%s)", doing, file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of ``path`` at the block's end.

    If the block raises, what stood at ``path`` before is unchanged and the temporary file is gone.
    The folder is made if need be.

    Raises:
        OSError: the disk is full, the folder cannot be written to, and the like.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file in one step.

    Raises:
        AsdError: it cannot be written; whatever stood at ``path`` before is unchanged.
    """
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AsdError(
            f"{path}: cannot be written: {error.strerror}. Nothing was lost: what stood there "
            "before is unchanged. Free space or choose another folder, then repeat"
        ) from error
