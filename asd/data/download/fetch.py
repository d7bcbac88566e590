"""Fetching one file: pooch takes it only with its MD5, urllib3 tries again, a part is resumed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from asd.errors import AsdError

RETRIES = 8  # of a request that gets no answer or one of PASSING_STATUS
BACKOFF_S = 1.0  # doubles with each, up to 2 minutes, unless the server names a time
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass by themselves
TIMEOUT_S = (10.0, 60.0)  # to connect, of silence
CHUNK_BYTES = 1 << 18

# Ranges count bytes of the file itself, so no transfer compression.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "asd-download"}
# Bytes with rate and time left, where standard error is a terminal, and gone when complete.
BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "disable": None}


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


def fetch(url: str, target: Path, md5: str) -> None:
    """Fetch ``url`` into ``target``, or leave it if it is there with this MD5 (32 hex digits).

    A wrong file is removed, so that the next run fetches it from its first byte on.

    Raises:
        AsdError: the server refuses or fails too often, or the file is wrong.
        OSError: it cannot be written.
    """
    gather = partial(_gather, target)
    try:
        pooch.retrieve(url, f"md5:{md5}", target.name, target.parent, downloader=gather)
    except (ValueError, requests.RequestException) as error:  # ValueError: the hash
        raise AsdError(
            f"{url}: {error}. Run the same command again later (a file that stopped half-way is "
            f"resumed), name a mirror with --base-url, or put {target.name} into {target.parent} "
            "by hand."
        ) from error


def _gather(target: Path, url: str, output_file: str, _: object) -> None:
    """A downloader for pooch whose bytes gather in ``<target>.part``, which outlives interruptions.

    A body that is cut is continued for as long as that brings bytes never had before: a server
    that cannot resume and always cuts at the same place must not be asked for ever.
    """
    part = target.with_name(target.name + ".part")
    part.touch()
    Path(output_file).unlink()  # else a killed process would leave it beside the part
    while True:
        have = part.stat().st_size
        try:
            _request(url, part, have)
            break
        except requests.RequestException:
            if part.stat().st_size <= have:
                raise
            say(f"{part.stem}: connection closed at {part.stat().st_size:,} bytes; going on")
    part.replace(output_file)


def _request(url: str, part: Path, have: int) -> None:
    """Ask for what the part lacks; append it if the server resumes, begin again if it does not.

    Raises:
        requests.RequestException: no answer in all tries, a refusal, or the body was cut.
    """
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.Session() as session:
        retry = SpokenRetry(RETRIES, backoff_factor=BACKOFF_S, status_forcelist=PASSING_STATUS)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
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


class SpokenRetry(Retry):
    """urllib3's, which waits in silence."""

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as the server asks, or as long as the number of failures demands."""
        last = self.history[-1]
        say(f"{last.error or f'HTTP {last.status}'}: waiting, then trying again")
        super().sleep(response)
