"""Fetching one file: pooch takes it only with its MD5; what fails is tried again and resumed."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm
from urllib3.util import Retry

from asd.errors import AsdError

RETRIES = 8  # in a row that bring nothing new
BACKOFF_S = 1.0  # doubles with each, up to 2 minutes, unless the server names a time
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass by themselves
TIMEOUT_S = (10.0, 60.0)  # to connect, of silence
CHUNK_BYTES = 1 << 18

# Ranges count bytes of the file itself, so no transfer compression.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "asd-download"}
# Bytes with rate and time left, where standard error is a terminal, and gone when complete.
BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "disable": None}


def fetch(url: str, target: Path, md5: str) -> None:
    """Fetch ``url`` into ``target``, or leave it if it is there with this MD5 (32 hex digits).

    A wrong file is removed, so that the next run fetches it from its first byte on.

    Raises:
        AsdError: the server refuses or fails too often, or the file is wrong.
        OSError: it cannot be written.
    """
    gather = partial(_gather, target.with_name(f"{target.name}.part"))
    try:
        pooch.retrieve(url, f"md5:{md5}", target.name, target.parent, downloader=gather)
    except (ValueError, requests.RequestException) as error:  # ValueError: the hash
        raise AsdError(
            f"{url}: {error}. Run the same command again later (a file that stopped half-way is "
            f"resumed), name a mirror with --base-url, or put {target.name} into {target.parent} "
            "by hand."
        ) from error


def _gather(part: Path, url: str, output_file: str, _: object) -> None:
    """A downloader for pooch whose bytes gather in ``part``, which outlives interruptions."""
    part.touch()
    Path(output_file).unlink()  # else a killed process would leave it beside the part
    most, failures = part.stat().st_size, 0
    while True:
        try:
            _request(url, part)
            break
        except requests.RequestException as error:
            answer, have = error.response, part.stat().st_size
            refused = answer is not None and answer.status_code not in PASSING_STATUS
            failures = 0 if have > most else failures + 1
            if refused or failures > RETRIES or isinstance(error, ValueError):  # no address
                raise
            most = max(most, have)
            print(f"{url}: {error}, at {have:,} bytes; trying again", file=sys.stderr, flush=True)
            asked = None if answer is None else Retry().get_retry_after(answer.raw)
            time.sleep(min(120.0, BACKOFF_S * 2**failures) if asked is None else asked)
    part.replace(output_file)


def _request(url: str, part: Path) -> None:
    """Ask for what the part lacks; append it if the server resumes, begin again if it does not."""
    have = part.stat().st_size
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:
            return  # nothing lies beyond the part: its MD5 tells whether it is the file
        response.raise_for_status()
        begin = have if response.status_code == 206 else 0
        total = begin + int(response.headers.get("Content-Length", 0))
        with (
            part.open("ab" if begin else "wb") as file,
            tqdm(total=total, initial=begin, desc=part.stem, **BAR) as bar,
        ):
            for chunk in response.iter_content(CHUNK_BYTES):
                bar.update(file.write(chunk))
