"""One HTTP request that fills a partial file, or goes on where an earlier one stopped."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from asd.data.download.report import Report
from asd.errors import AsdError

if TYPE_CHECKING:
    from requests import Response

# Statuses that may pass by themselves.
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class TransientError(Exception):
    """A failure that another try may mend."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def request_part(
    url: str,
    part: Path,
    size: int | None,
    timeout: tuple[float, float],
    chunk_bytes: int,
    report: Report,
) -> None:
    """One request; appends to ``part`` if the server resumes, begins again if it does not.

    Args:
        size: bytes of the whole file; None if not known.
        timeout: seconds to connect, and seconds of silence.

    Raises:
        TransientError: another try may help.
        AsdError: it will not.
    """
    import requests

    have = length(part)
    # The sizes and ranges are those of the file itself, so no transfer compression.
    headers = {"Accept-Encoding": "identity", "User-Agent": "asd-download"}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = _read_validator(part, url)
        if validator:
            headers["If-Range"] = validator
    try:
        with requests.get(
            url,
            headers=headers,
            stream=True,
            timeout=timeout,
        ) as response:
            resumed, total = _accept(response, url, part, have, size)
            if total is not None and have == total and resumed:
                return
            _write_validator(part, url, response)
            done = have if resumed else 0
            with (
                part.open("ab" if resumed else "wb") as file,
                report.bar(part.stem, total, done) as advance,
            ):
                for chunk in response.iter_content(chunk_bytes):
                    file.write(chunk)
                    advance(len(chunk))
    except (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        raise TransientError(f"connection failed ({_reason(error)})") from error
    except requests.exceptions.RequestException as error:
        raise AsdError(f"{url}: {error}; check --base-url") from error
    if total is not None and length(part) < total:
        raise TransientError(f"connection closed at {length(part):,} of {total:,} bytes")


def _accept(
    response: Response, url: str, part: Path, have: int, size: int | None
) -> tuple[bool, int | None]:
    """Whether the body continues ``part``, and the bytes of the whole file (None: not known)."""
    status = response.status_code
    if status == 206:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if match is None or int(match[1]) != have:
            discard(part)
            raise TransientError("the server sent another range than the one asked for")
        total = None if match[2] == "*" else int(match[2])
        _refuse_other_size(url, total, size, part)
        return True, total or size
    if status == 200:
        plain = response.headers.get("Content-Encoding", "identity") == "identity"
        length = response.headers.get("Content-Length", "") if plain else ""
        total = int(length) if length.isdecimal() else None
        _refuse_other_size(url, total, size, part)
        return False, total or size
    if status == 416:  # nothing beyond what is there: complete, or another file
        match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
        if match and int(match[1]) == have and size in (None, have):
            return True, have
        discard(part)
        raise TransientError("the server has no such range; beginning again")
    if status in TRANSIENT_STATUS:
        raise TransientError(
            f"HTTP {status} {response.reason}", _retry_after(response.headers.get("Retry-After"))
        )
    by_hand = (
        f"name a mirror with --base-url, or put {part.stem} into {part.parent} by hand "
        "and run again."
    )
    if status in (404, 410):
        raise AsdError(f"{url}: not found (HTTP {status}). If the file has moved, {by_hand}")
    if status in (401, 403, 407, 451):
        raise AsdError(
            f"{url}: access refused (HTTP {status}). The server or a proxy on the way blocks this "
            f"program: open the address in a browser, {by_hand}"
        )
    raise AsdError(f"{url}: HTTP {status} {response.reason}. Try later, {by_hand}")


def _refuse_other_size(url: str, total: int | None, size: int | None, part: Path) -> None:
    if total is not None and size is not None and total != size:
        raise AsdError(
            f"{url}: the server offers {total:,} bytes where {size:,} were expected: this is not "
            f"the published file. Check --base-url, or put {part.stem} into {part.parent} by hand."
        )


def _retry_after(text: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date); None if it does not."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _reason(error: BaseException) -> str:
    """The innermost cause that has a text, which is what a reader can act on."""
    cause: object = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    if isinstance(cause, BaseException) and cause.args:
        cause = cause.args[0]
    # urllib3 puts the connection's repr first: "<HTTPConnection ...>: Failed to ...".
    return re.sub(r"^[^:]*\(host=.*?\): ", "", str(cause)) or type(error).__name__


def length(part: Path) -> int:
    """Bytes there; 0 if there is no file."""
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    """Remove a partial file and what is kept with it."""
    part.unlink(missing_ok=True)
    forget_validator(part)


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def forget_validator(part: Path) -> None:
    """Remove the ETag or date kept with a partial file."""
    _validator_file(part).unlink(missing_ok=True)


def _read_validator(part: Path, url: str) -> str | None:
    """The ETag or date kept with the part, if it came from this very address."""
    try:
        kept = json.loads(_validator_file(part).read_text(encoding="utf-8"))
        return str(kept["validator"]) if kept["url"] == url else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write_validator(part: Path, url: str, response: Response) -> None:
    """Keep what If-Range may carry: a strong ETag, else the date (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if validator:
        kept = json.dumps({"url": url, "validator": validator})
        _validator_file(part).write_text(kept, encoding="utf-8")
    else:
        forget_validator(part)
