"""Passwords and tokens within addresses: hidden in what is printed and stored."""

from __future__ import annotations

import re

_NAMES = (
    r"[\w.-]*(?:passw|pwd|token|secret|credential|signature|bearer|jwt|session|private)[\w.-]*"
    r"|(?:api|access|account)?[_-]?key|auth|sig|pass|pw"
)
_SECRETS = (
    # Of a web address every user part (a token may stand alone), of a database's the password.
    # Backslashes: Hydra's quoting.
    (re.compile(r"(https?\\?://)[^/\s'\"?#]*@", re.I), r"\1***@"),
    (re.compile(r"(\w\\?://[^/\s:@\\]*\\?):(?!\d+/|\*\*\*@)[^\s'\"]*@"), r"\1:***@"),
    (re.compile(rf"([?&;#](?:{_NAMES})\\?=)[^\s&'\"#]+", re.I), r"\1***"),
)


def redacted(text: str) -> str:
    """The text with three stars for each secret in an address.

    >>> redacted("tracking.uri=http://TOKEN@host/?api_key=1 postgresql://ada:pw@host/db")
    'tracking.uri=http://***@host/?api_key=*** postgresql://ada:***@host/db'
    """
    for pattern, stars in _SECRETS:
        text = pattern.sub(stars, text)
    return text
