"""Fetching one file by pooch: resumed where it stopped, tried again, its MD5 decides."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.options import check_number

if TYPE_CHECKING:
    from requests import Response

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass by themselves

# Bytes with rate and time left, where standard error is a terminal, and gone when complete.
BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "disable": None}


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


def has_md5(path: Path, md5: str) -> bool:
    """Whether the file's content has this MD5, 32 hex digits."""
    import pooch

    return bool(pooch.file_hash(path, "md5") == md5)


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class FetchOptions:
    """How patient to be: options of the program, which have no file in ``conf/``."""

    retries: int = _option(8, "failures in a row, without progress, before giving up")
    backoff: float = _option(1.0, "s to wait after the first failure; doubles with each")
    backoff_max: float = _option(60.0, "s, longest wait between tries")
    retry_after_max: float = _option(300.0, "s, longest wait that a server may ask for")
    connect_timeout: float = _option(10.0, "s")
    read_timeout: float = _option(60.0, "s of silence")
    chunk_bytes: int = _option(1 << 18, "bytes read at once")
    progress_bytes: int = _option(1 << 20, "new bytes that reset the count of failures")

    def __post_init__(self) -> None:
        for option in fields(self):
            flag = "--" + option.name.replace("_", "-")
            above = option.name.endswith(("timeout", "bytes"))
            check_number(flag, getattr(self, option.name), 0, above=above)

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failures in a row, as the server asks or exponential."""
        if retry_after is not None:
            return min(retry_after, self.retry_after_max)
        longest = min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max)
        return longest * random.uniform(0.5, 1.0)


def fetch(url: str, target: Path, size: int | None, md5: str, options: FetchOptions) -> None:
    """Fetch ``url`` into ``target``, or leave it if it is there with this MD5 (32 hex digits).

    A file that is wrong is removed and fetched once more. ``size`` is in bytes, None if not known.

    Raises:
        AsdError: the server refuses or fails too often, or the file is wrong twice.
        OSError: it cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the downloader says more
    if target.exists() and not has_md5(target, md5):
        say(f"{target}: not the published file (MD5 {md5}); removed")
        target.unlink()
    downloader = ResumingDownloader(target, size, md5, options)
    for _ in range(2):
        try:
            pooch.retrieve(url, f"md5:{md5}", target.name, target.parent, downloader=downloader)
            return
        except ValueError as error:  # what pooch raises for a wrong hash, the file being removed
            problem = error
            say(f"{target.name}: {problem}")
    raise AsdError(
        f"{url}: wrong twice, this is not the published file: {problem} Try another --base-url, "
        f"or put {target.name} (MD5 {md5}) into {target.parent} by hand and run again."
    )


class PassingError(Exception):
    """A failure that another try may mend, and the seconds that the server asks to wait."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ResumingDownloader:
    """A downloader for pooch whose bytes gather in ``<target>.part``, which outlives interruptions.

    Only what the part lacks is asked for; a server that cannot resume sends all of it again. Where
    the part comes from is not checked: pooch takes the file only with its MD5.
    """

    def __init__(self, target: Path, size: int | None, md5: str, options: FetchOptions) -> None:
        self.part = target.with_name(target.name + ".part")
        self.size, self.md5, self.options = size, md5, options

    def __call__(self, url: str, output_file: str, _: object = None) -> None:
        """Bring the part to its full length, in as many requests as it takes, and hand it over."""
        Path(output_file).unlink()  # else a killed process would leave it beside the part
        failures, furthest = 0, self._length()
        whole = furthest > 0 and has_md5(self.part, self.md5)
        while not whole:
            try:
                self._request(url)
                whole = True
            except PassingError as error:
                # Only bytes never had before count as progress: a server that cannot resume and
                # always cuts at the same place must not be asked for ever.
                progress = self._length() >= furthest + self.options.progress_bytes
                failures = 1 if progress else failures + 1
                furthest = max(furthest, self._length())
                self._wait(url, error, failures)
        self.part.replace(output_file)

    def _length(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _wait(self, url: str, error: PassingError, failures: int) -> None:
        if failures > self.options.retries:
            raise AsdError(
                f"{url}: {error}; gave up after {failures} tries. Try later (what has arrived "
                f"stays in {self.part}), raise --retries, or name a mirror with --base-url."
            ) from error
        wait = self.options.wait(failures, error.retry_after)
        tries = f"{failures}/{self.options.retries}"
        say(f"{self.part.stem}: {error}; next try in {wait:.0f} s ({tries})")
        time.sleep(wait)

    def _request(self, url: str) -> None:
        """One request; appends to the part if the server resumes, begins again if it does not."""
        import requests
        from tqdm import tqdm

        have, timeout = self._length(), (self.options.connect_timeout, self.options.read_timeout)
        # Ranges count bytes of the file itself, so no transfer compression.
        headers = {"Accept-Encoding": "identity", "User-Agent": "asd-download"}
        if have:
            headers["Range"] = f"bytes={have}-"
        say(f"{self.part.stem}: fetching {url} from byte {have:,} on")
        try:
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                begin = have if response.status_code == 206 else 0
                total = self._total(url, response, begin)
                with (
                    self.part.open("ab" if begin else "wb") as file,
                    tqdm(total=total, initial=begin, desc=self.part.stem, **BAR) as bar,
                ):
                    for chunk in response.iter_content(self.options.chunk_bytes):
                        bar.update(file.write(chunk))
        except requests.RequestException as error:
            if isinstance(error, ValueError):
                raise AsdError(f"{url}: {error}; check --base-url") from error
            raise PassingError(f"connection failed ({_innermost(error)})") from error
        if total is not None and self._length() < total:
            raise PassingError(f"connection closed at {self._length():,} of {total:,} bytes")

    def _total(self, url: str, response: Response, begin: int) -> int | None:
        """Bytes of the whole file, if the answer brings it at all; None if not known."""
        status, reason = response.status_code, response.reason
        by_hand = f"put {self.part.stem} into {self.part.parent} by hand and run again."
        if status == 416:  # the part is no shorter than the file, and is not the file
            self.part.unlink(missing_ok=True)
            raise PassingError("the partial file is not one of this file; beginning again")
        if status in PASSING_STATUS:
            raise PassingError(f"HTTP {status} {reason}", _retry_after(response))
        if status not in (200, 206):
            raise AsdError(
                f"{url}: HTTP {status} {reason}. Name a mirror with --base-url, or {by_hand}"
            )
        length = response.headers.get("Content-Length")
        total = self.size if length is None else begin + int(length)
        if self.size not in (None, total):
            raise AsdError(
                f"{url}: the server offers {total:,} bytes where {self.size:,} were expected: this "
                f"is not the published file. Check --base-url, or {by_hand}"
            )
        return total


def _retry_after(response: Response) -> float | None:
    """Seconds that the server asks to wait; None where it says nothing that can be understood."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None


def _innermost(error: BaseException) -> BaseException:
    """The first cause, which is what a reader can act on, not the libraries' wrappings."""
    return _innermost(error.__context__) if error.__context__ else error
