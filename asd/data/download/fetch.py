"""Fetching one file over HTTP: resumed where it stopped, tried again, checked before it counts."""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass
from pathlib import Path

from asd.data.download.http_part import (
    TransientError,
    discard,
    forget_validator,
    length,
    request_part,
)
from asd.data.download.report import Report, megabytes
from asd.errors import AsdError


@dataclass(frozen=True)
class FetchOptions:
    """How patient to be. Times in seconds, sizes in bytes."""

    retries: int = 8  # failures in a row, without progress, before giving up
    backoff: float = 1.0  # wait after the first failure; doubles with each
    backoff_max: float = 60.0
    retry_after_max: float = 300.0  # longest wait that a server may ask for
    connect_timeout: float = 10.0
    read_timeout: float = 60.0  # silence, not the whole transfer
    chunk_bytes: int = 1 << 18
    progress_bytes: int = 1 << 20  # new bytes that reset the count of failures

    def __post_init__(self) -> None:
        for name in ("retries", "backoff", "backoff_max", "retry_after_max"):
            if getattr(self, name) < 0:
                raise AsdError(f"{_flag(name)} {getattr(self, name)}: must not be negative")
        for name in ("connect_timeout", "read_timeout", "chunk_bytes", "progress_bytes"):
            if getattr(self, name) <= 0:
                raise AsdError(f"{_flag(name)} {getattr(self, name)}: must be above 0")

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after this many failures in a row: exponential, with jitter."""
        if retry_after is not None:
            return min(max(retry_after, 0.0), self.retry_after_max)
        longest = min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max)
        return longest * random.uniform(0.5, 1.0)


def fetch(
    url: str,
    target: Path,
    size: int | None,
    md5: str,
    options: FetchOptions,
    report: Report,
) -> None:
    """Fetch ``url`` into ``target``; what is there afterwards has this size and this MD5.

    Bytes gather in ``<target>.part``, which stays after an interruption and is resumed by the next
    call. A complete file that is wrong is removed and fetched once more.

    Args:
        size: bytes; None if not known.
        md5: 32 hex digits.

    Raises:
        AsdError: the server refuses or fails too often, or the file is wrong twice.
    """
    if target.exists():
        problem = mismatch(target, size, md5)
        if problem is None:
            return
        report.line(f"{target.name}: {problem}; removed, fetching it again")
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    problem = None
    for _ in range(2):
        _gather(url, part, size, options, report)
        problem = mismatch(part, size, md5)
        if problem is None:
            part.replace(target)
            forget_validator(part)
            return
        report.line(f"{target.name}: {problem}; removed")
        discard(part)
    raise AsdError(
        f"{url}: {problem}, twice: this is not the published file. Try another --base-url, or put "
        f"{target.name} (MD5 {md5}) into {target.parent} by hand and run again."
    )


def mismatch(path: Path, size: int | None, md5: str) -> str | None:
    """What is wrong with a complete file, or None."""
    found_size = path.stat().st_size
    if size is not None and found_size != size:
        return f"{found_size:,} bytes where {size:,} were expected"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if found == md5 else f"MD5 {found} where {md5} was expected"


def _gather(url: str, part: Path, size: int | None, options: FetchOptions, report: Report) -> None:
    """Bring ``part`` to its full length, in as many requests as it takes."""
    have = furthest = length(part)
    if size is not None and have > size:
        discard(part)
        have = furthest = 0
    if size is None or have < size:
        start = f"from byte {have:,} on" if have else "from its beginning"
        expected = "size not known" if size is None else megabytes(size)
        report.line(f"{part.stem}: fetching {url} {start} ({expected})")
    timeout = (options.connect_timeout, options.read_timeout)
    failures = 0
    while size is None or length(part) != size:
        try:
            request_part(url, part, size, timeout, options.chunk_bytes, report)
            return
        except TransientError as error:
            # Only bytes never had before count as progress: a server that cannot resume and always
            # cuts at the same place must not be asked for ever.
            if length(part) >= furthest + options.progress_bytes:
                failures = 0
            furthest = max(furthest, length(part))
            failures += 1
            if failures > options.retries:
                raise AsdError(
                    f"{url}: {error}; gave up after {failures} tries. Try later (what has arrived "
                    f"stays in {part} and is resumed), raise --retries, or name a mirror with "
                    "--base-url."
                ) from error
            wait = options.wait(failures, error.retry_after)
            report.line(
                f"{part.stem}: {error}; next try in {wait:.0f} s ({failures}/{options.retries})"
            )
            time.sleep(wait)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
