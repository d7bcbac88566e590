"""Passwords and tokens within addresses: hidden in what is printed and stored."""

from __future__ import annotations

import re

# What may stand in a query: of PostgreSQL and sqlite, of MLflow's pages, of downloads. Of all else
# nobody knows whether it is secret.
_HARMLESS = (
    r"ssl(?:mode|cert|key|rootcert|crl)|gssencmode|channel_binding|passfile|service|application_name"
    r"|connect_timeout|target_session_attrs|client_encoding|options|host|port|user|dbname|keepalives"
    r"|mode|cache|uri|timeout|charset|viewStateShareKey|searchFilter|orderByKey|orderByAsc|download"
)
# The user of a database: a short plain name, not a token that stands in its place.
_USER = r"(?!(?:[a-z_.-]*\d){5})[a-z_][a-z0-9_.-]{0,19}"
_SECRETS = (
    # Of a web address every user part (a token may stand alone), of a database's the password.
    # Backslashes: Hydra's quoting.
    (re.compile(r"(https?\\?://)[^/\s'\"?#]*@", re.I), r"\1***@"),
    (re.compile(r"(\w\\?://[^/\s:@\\]*\\?):(?!\d+/|\*\*\*@)[^\s'\"]*@"), r"\1:***@"),
    (
        re.compile(rf"(\w\\?://)(?!{_USER}(?:\\?:\*\*\*)?@)[^/\s'\"?#@:\\]+((?:\\?:\*\*\*)?@)"),
        r"\1***\2",
    ),
)
_ADDRESS = re.compile(r"(?:\w\\?://|\?)[^\s'\"]*")
_QUERY = re.compile(
    rf"(\?(?=[^=&;#]+(?:[&#]|$))|[?&;#](?!(?:{_HARMLESS})\\?=)[^=?&;#]*\\?=)[^&;#]+", re.I
)


def redacted(text: str) -> str:
    """The text with three stars for each secret in an address.

    >>> redacted("tracking.uri=http://TOKEN@host/?p=1 postgresql://ada:pw@host/db?port=1")
    'tracking.uri=http://***@host/?p=*** postgresql://ada:***@host/db?port=1'
    """
    for pattern, stars in _SECRETS:
        text = pattern.sub(stars, text)
    return _ADDRESS.sub(lambda address: _QUERY.sub(r"\1***", address[0]), text)
